//! The state of an instance that is read before anything is planned.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::instance::{Instance, Interface};
use super::isolation_group::IsolationGroup;
use aws::error::{Error, Result};
use model::investigation::listed;
use model::settings::ForensicsRule;

/// Regions in a sentence.
const MOST: usize = 40;

/// The state of an instance, as it was read. A value that only protects or informs keeps its own error, so it cannot
/// keep the interfaces from being isolated. It is read when their state is known.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// The Region in which it was read: the instance's Region, if it was found.
    pub(super) region: String,
    /// The other Regions that were asked for an instance which [`State::region`] does not have, and do not have
    /// it either. `None`: it was found, or can be nowhere else.
    #[serde(
        serialize_with = "readable_if_read",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) elsewhere: Option<Result<BTreeSet<String>>>,
    /// `None`: nobody found such an instance.
    pub(super) instance: Option<Instance>,
    pub(super) interfaces: Vec<Interface>,
    /// The isolation group of each VPC that has one.
    pub(super) groups: BTreeMap<String, IsolationGroup>,
    /// The other groups of ours in which interfaces may be isolated.
    pub(super) other_groups: Vec<IsolationGroup>,
    /// The access of forensics.
    pub(super) access: Access,
    /// The local networks that interfaces of an Outpost may be on. `None`: the instance is on no Outpost.
    pub(super) local_networks: Option<LocalNetworks>,
    /// The groups that cut connections, by their ids: while they do, they let everything through.
    pub(super) conversion_groups: BTreeMap<String, IsolationGroup>,
    /// The route tables that send traffic of others to it.
    #[serde(serialize_with = "readable")]
    pub(super) forwarding: Result<Vec<ForwardingTable>>,
    #[serde(serialize_with = "readable")]
    pub(super) scaling: Result<Option<Membership>>,
    /// The role of the instance profile. `None`: it has no profile, or the profile no role.
    #[serde(serialize_with = "readable")]
    pub(super) role: Result<Option<Role>>,
    /// How many instances there are with its instance profile.
    #[serde(serialize_with = "readable")]
    pub(super) alike: Result<usize>,
    /// The policy that denies this instance everything, if its role has one of its name. `None`: not read
    /// yet, or there is no role.
    #[serde(serialize_with = "readable_if_read")]
    pub(super) deny: Option<Result<Option<Value>>>,
    /// The finding's instance profile that the instance no longer has.
    pub(super) earlier: Option<Earlier>,
    /// `None`: not read yet.
    #[serde(flatten)]
    pub(super) rest: Option<Rest>,
}

/// An instance profile that the finding names and the instance does not have, or no longer has. Credentials that an
/// instance was given work for hours without it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Earlier {
    /// Its ARN.
    pub(super) profile: String,
    /// `None`: it has no role, or is gone.
    #[serde(serialize_with = "readable")]
    pub(super) role: Result<Option<Role>>,
    /// As [`State::deny`].
    #[serde(serialize_with = "readable_if_read")]
    pub(super) deny: Option<Result<Option<Value>>>,
}

/// The values that only protect, preserve and inform.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rest {
    pub(super) protection: Protection,
    #[serde(serialize_with = "readable")]
    pub(super) targets: Result<Registrations>,
    /// Names of Classic Load Balancers.
    #[serde(serialize_with = "readable")]
    pub(super) balancers: Result<BTreeSet<String>>,
    #[serde(serialize_with = "readable")]
    pub(super) hardware: Result<Hardware>,
    /// The volumes of which this finding has a snapshot already.
    #[serde(serialize_with = "readable")]
    pub(super) snapshots: Result<BTreeSet<String>>,
    /// The snapshots of each volume that are being taken, for whatever reason.
    #[serde(serialize_with = "readable")]
    pub(super) pending_snapshots: Result<BTreeMap<String, BTreeSet<String>>>,
    /// The tags of each attached volume.
    #[serde(serialize_with = "readable")]
    pub(super) volume_tags: Result<BTreeMap<String, BTreeMap<String, String>>>,
    /// For each interface, what its subnet routes traffic to whose flows are always tracked.
    #[serde(serialize_with = "readable")]
    pub(super) routes: Result<BTreeMap<String, BTreeSet<String>>>,
    /// The interface endpoints (PrivateLink) of its VPCs, to which flows are always tracked.
    #[serde(serialize_with = "readable")]
    pub(super) endpoints: Result<BTreeSet<String>>,
}

pub(super) fn readable<T: Serialize, S: Serializer>(
    value: &Result<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Ok(value) => value.serialize(to),
        Err(error) => BTreeMap::from([("NotRead", error.to_string())]).serialize(to),
    }
}

fn readable_if_read<T: Serialize, S: Serializer>(
    value: &Option<Result<T>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => readable(value, to),
        None => to.serialize_none(),
    }
}

impl State {
    /// The group of ours that isolates an interface: it is in that one and in no other, and the group lets
    /// nothing through, or only what forensics may be let through.
    pub(super) fn isolates(&self, interface: &Interface) -> Option<&IsolationGroup> {
        let own = self.groups.get(&interface.vpc).into_iter();
        let mut groups = own.chain(self.forensics_groups(&interface.vpc));
        groups.find(|group| {
            interface.groups.iter().eq([&group.id]) && group.lets_only(self.may_let(group))
        })
    }

    /// The groups of a VPC that let through what forensics need; the one that is used comes first.
    pub(super) fn forensics_groups(&self, vpc: &str) -> impl Iterator<Item = &IsolationGroup> {
        let groups = self.other_groups.iter();
        groups.filter(move |group| group.forensics && group.vpc == vpc)
    }

    /// The rules that a group of ours may have.
    pub(super) fn may_let(&self, group: &IsolationGroup) -> &[ForensicsRule] {
        if group.forensics {
            self.access.of(&group.vpc)
        } else {
            &[]
        }
    }

    /// Why there is nothing to contain but the credentials that the instance was given.
    pub(super) fn gone(&self) -> Option<String> {
        let Some(instance) = &self.instance else {
            return Some(self.unfound());
        };
        let gone = matches!(instance.state.as_str(), "terminated" | "shutting-down");
        gone.then(|| {
            format!(
                "the instance is {}: nothing is left to isolate; look for snapshots of its volumes",
                instance.state,
            )
        })
    }

    /// The reason that the instance was not found, with the Regions of the search.
    pub(super) fn unfound(&self) -> String {
        let region = &self.region;
        match &self.elsewhere {
            None => format!("{region} has no such instance"),
            Some(Ok(others)) if others.is_empty() => {
                format!(
                    "{region} has no such instance, and no other Region is enabled for the account"
                )
            }
            Some(Ok(others)) => {
                let others: Vec<_> = others.iter().collect();
                format!(
                    "{region} has no such instance, nor has any other Region that is enabled for the account: {}",
                    listed(&others, MOST),
                )
            }
            Some(Err(error)) => {
                format!(
                    "{region} has no such instance, and not every other Region answered: {error}"
                )
            }
        }
    }

    /// The Region in the ARN of the instance. The Region of an instance that was not found may be any.
    pub(super) fn region_of_arn(&self) -> &str {
        match self.elsewhere {
            Some(_) => "*",
            None => &self.region,
        }
    }

    /// The role of the instance, and that of the profile which the finding names instead.
    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        let earlier = self.earlier.iter().map(|earlier| &earlier.role);
        let read = [&self.role].into_iter().chain(earlier);
        read.filter_map(|role| role.as_ref().ok()?.as_ref())
    }
}

/// The attributes that keep an instance from being lost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Protection {
    #[serde(serialize_with = "readable")]
    pub(super) termination: Result<String>,
    #[serde(serialize_with = "readable")]
    pub(super) stop: Result<String>,
    #[serde(serialize_with = "readable")]
    pub(super) shutdown: Result<String>,
}

/// Membership of an Auto Scaling group.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Membership {
    pub(super) group: String,
    /// `InService`, `Standby`, `Terminating:Wait`, …
    pub(super) lifecycle: String,
    /// How many instances the group has, or is to have.
    #[serde(serialize_with = "readable")]
    pub(super) size: Result<usize>,
}

/// Registrations in target groups.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Registrations {
    /// The instance's.
    pub(super) own: Vec<Target>,
    /// A target with an address of the instance, in a group of another VPC, which may be the instance or not.
    pub(super) elsewhere: Vec<Target>,
    /// The groups that are not looked through yet.
    #[serde(skip)]
    pub(super) left: Vec<Group>,
    /// Why each of the others could not be looked through.
    #[serde(skip)]
    pub(super) unread: Vec<Error>,
}

impl Registrations {
    pub(super) fn sort(&mut self) {
        for targets in [&mut self.own, &mut self.elsewhere] {
            targets.sort_by(|a, b| (&a.group, &a.id, a.port).cmp(&(&b.group, &b.id, b.port)));
        }
    }
}

/// A registration in a target group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The target group's ARN.
    pub group: String,
    /// The instance's id, or one of its addresses.
    pub id: String,
    /// The port it was registered with.
    pub port: Option<i32>,
    /// The Availability Zone it was registered with: `all` for an address outside the VPC.
    pub zone: Option<String>,
    /// Whether the group is a Network Load Balancer's, whose flows are always tracked.
    pub network: bool,
    /// It is deregistered, and its open connections may go on for the group's deregistration delay.
    pub draining: bool,
}

/// A route table by which traffic of others goes through an interface of the instance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ForwardingTable {
    pub(super) id: String,
    /// The destinations of the traffic.
    pub(super) destinations: BTreeSet<String>,
    pub(super) subnets: BTreeSet<String>,
    /// The VPC whose main route table it is: each subnet without a table of its own uses it.
    pub(super) main_of: Option<String>,
    /// Gateways whose incoming traffic it routes.
    pub(super) gateways: BTreeSet<String>,
}

/// The device index at which each subnet has local network interfaces, if it has any. A subnet that EC2 does
/// not show is missing.
#[derive(Clone, Debug)]
pub(super) struct LocalNetworks(pub(super) Result<BTreeMap<String, Option<i32>>>);

impl Serialize for LocalNetworks {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        readable(&self.0, to)
    }
}

/// The rules that are used, and those that are not.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Access {
    /// In each VPC.
    pub(super) by_vpc: BTreeMap<String, Vec<ForensicsRule>>,
    /// The rules that are used nowhere, each with the reason.
    pub(super) left_out: Vec<String>,
    /// The peers that could not be read, whose rules are used nowhere either.
    pub(super) unread: BTreeMap<String, Unread>,
}

impl Access {
    /// The rules that are used in a VPC.
    pub(super) fn of(&self, vpc: &str) -> &[ForensicsRule] {
        self.by_vpc.get(vpc).map_or(&[], Vec::as_slice)
    }
}

/// Why a peer could not be read.
#[derive(Clone, Debug)]
pub(super) struct Unread(pub(super) Error);

impl Serialize for Unread {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// A target group that may have the instance.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) arn: String,
    pub(super) vpc: Option<String>,
    /// Its targets are addresses, which may be outside its VPC.
    pub(super) by_address: bool,
    /// A Network Load Balancer's.
    pub(super) network: bool,
}

/// The role whose credentials the instance gets.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) path: String,
}

/// The properties of its instance type.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Hardware {
    pub(super) nitro: bool,
    /// The size of its instance-store volumes in GB; 0: it has none.
    pub(super) instance_store_gb: i64,
}
