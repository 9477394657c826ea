//! What is read of an instance before anything is planned.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

pub use super::address::Address;
use super::bystanders::ForwardingTable;
use super::forensics::Access;
use super::isolation_group::IsolationGroup;
use super::local_network::LocalNetworks;
use super::target_groups::Group;
pub use super::timeouts::Timeouts;
use crate::breaker::{Crowd, Member};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::guard::Resource;
use crate::settings::ForensicsRule;

/// What was read of an instance. What only protects or informs keeps its own error, so that it cannot
/// keep the interfaces from being isolated, and is read when it is known how they are.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// The Region in which it was read: that of the instance, where one was found.
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
    /// What forensics may be let through.
    pub(super) access: Access,
    /// Where interfaces of an Outpost may be on the local network. `None`: the instance is on no Outpost.
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
    /// What the finding names of an instance profile that the instance has no longer.
    pub(super) earlier: Option<Earlier>,
    /// `None`: not read yet.
    #[serde(flatten)]
    pub(super) rest: Option<Rest>,
}

/// An instance profile that the finding names and the instance does not have (any more). Credentials that
/// an instance was given work for hours without it.
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

/// What only protects, preserves and informs.
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

    /// The role of the instance, and that of the profile which the finding names instead.
    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        let earlier = self.earlier.iter().map(|earlier| &earlier.role);
        let read = [&self.role].into_iter().chain(earlier);
        read.filter_map(|role| role.as_ref().ok()?.as_ref())
    }

    /// The instance as policies see it, whatever of it a step changes: who exempts an instance means
    /// its interfaces, its volumes and its credentials too. `role`: the ARN of the one that the step changes.
    pub(super) fn resource(&self, finding: &Finding, role: Option<&str>) -> Resource {
        let changed = self.roles().find(|found| Some(found.arn.as_str()) == role);
        let as_seen = |role: &Role| Resource::role(finding, &role.name, Some(&role.arn));
        let Some(instance) = &self.instance else {
            let id = finding.instance_id().unwrap_or_default();
            let resource = Resource::instance_in(finding, &self.region, &id);
            return match changed {
                Some(role) => resource.with_role(as_seen(role)),
                None => resource,
            };
        };
        let public = |found: &Interface| found.internet_addresses().next().is_some();
        let tags = instance.tags.iter();
        let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
        let mut resource = Resource::instance_in(finding, &self.region, &instance.id)
            .flag("internetFacing", self.interfaces.iter().any(public))
            .tags(tags, finding.instance_tags().as_deref());
        for (name, value) in [
            ("cluster", &instance.cluster),
            ("operator", &instance.operator),
        ] {
            if let Some(value) = value {
                resource = resource.text(name, value);
            }
        }
        resource = match &self.scaling {
            Ok(Some(found)) => resource.text("autoScalingGroup", &found.group),
            Ok(None) => resource,
            Err(_) => resource.unread("autoScalingGroup"),
        };
        match (changed, &self.role) {
            (Some(role), _) | (None, Ok(Some(role))) => resource.with_role(as_seen(role)),
            (None, Ok(None)) => resource,
            (None, Err(_)) => resource.unread("role"),
        }
    }

    /// What the instance is a member of: its Auto Scaling group, and the instances with its role.
    pub(super) fn blast_radius_groups(&self) -> Vec<Member> {
        let Some(instance) = &self.instance else {
            return Vec::new();
        };
        let region = self.region.clone();
        let mut members = Vec::new();
        let mut member = |crowd, size: &Result<usize>| {
            members.push(Member {
                name: instance.id.clone(),
                crowd,
                size: size.clone(),
            });
        };
        if let Ok(Some(found)) = &self.scaling {
            let name = found.group.clone();
            let region = region.clone();
            member(Crowd::AutoScalingGroup { region, name }, &found.size);
        }
        match &self.role {
            Ok(Some(role)) => {
                let name = role.name.clone();
                member(Crowd::Role { region, name }, &self.alike);
            }
            Ok(None) => {}
            Err(error) => {
                let profile = instance.profile.as_deref().unwrap_or_default();
                let name = format!("of the instance profile {profile}");
                member(Crowd::Role { region, name }, &Err(error.clone()));
            }
        }
        members
    }

    /// The interfaces that a group isolates.
    pub(super) fn manageable(&self) -> impl Iterator<Item = &Interface> {
        let interfaces = self.interfaces.iter();
        interfaces.filter(|interface| self.out_of_reach(interface).is_none())
    }
}

/// An instance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Instance {
    pub(super) id: String,
    pub(super) state: String,
    /// The ARN of its instance profile.
    pub(super) profile: Option<String>,
    pub(super) spot: bool,
    /// An AWS service operates it (EKS Auto Mode, ECS Managed Instances, …).
    pub(super) operator: Option<String>,
    /// The EKS or ECS cluster that it is a node of, and how that is known.
    pub(super) cluster: Option<String>,
    /// The one that it is said to be a node of by what may have been set since the activity began.
    pub(super) claimed_cluster: Option<String>,
    pub(super) root_is_ebs: bool,
    pub(super) root_device: Option<String>,
    pub(super) volumes: Vec<Volume>,
    /// `enabled` or `disabled`; `None` if EC2 does not say.
    pub(super) metadata_endpoint: Option<String>,
    /// EC2 has not applied that yet.
    pub(super) metadata_pending: bool,
    pub(super) tags: BTreeMap<String, String>,
    /// It is on an Outpost.
    pub(super) on_outpost: bool,
    /// Its interfaces on networks of another kind, which have no security groups.
    pub(super) secondary_interfaces: Vec<SecondaryInterface>,
    /// What else EC2 says of it, for the record.
    pub(super) described: Value,
}

/// A secondary interface: of a network for remote direct memory access (RDMA), outside of every VPC,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceSecondaryInterface.html>.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SecondaryInterface {
    pub(super) id: String,
    pub(super) network: Option<String>,
}

/// An EBS volume that is attached.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) device: String,
    pub(super) delete_on_termination: bool,
}

/// A network interface of an instance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Interface {
    pub(super) id: String,
    pub(super) vpc: String,
    pub(super) subnet: String,
    pub(super) groups: BTreeSet<String>,
    /// An AWS service manages it and allows no one else to change its groups.
    pub(super) requester: Option<String>,
    /// `interface`, `efa`, `efa-only`, `trunk`, `branch`, …
    pub(super) kind: String,
    /// 0 is the primary one.
    pub(super) device_index: Option<i32>,
    pub(super) on_outpost: bool,
    pub(super) private_addresses: BTreeSet<String>,
    pub(super) public_addresses: Vec<Address>,
    /// IPv6 addresses and prefixes.
    pub(super) ipv6_addresses: BTreeSet<String>,
    pub(super) timeouts: Timeouts,
    pub(super) tags: BTreeMap<String, String>,
    /// Whether EC2 lets it send and receive only what is from or for itself. `None`: EC2 does not say.
    pub(super) source_dest_check: Option<bool>,
}

impl Interface {
    /// The IPv6 addresses that are routed in the internet: all but those of private use (`fd00::/8`),
    /// <https://docs.aws.amazon.com/vpc/latest/userguide/vpc-ip-addressing.html>.
    pub(super) fn global_ipv6(&self) -> impl Iterator<Item = &str> {
        let addresses = self.ipv6_addresses.iter().map(String::as_str);
        addresses.filter(|address| {
            let network = address.split('/').next().unwrap_or_default();
            let parsed: std::result::Result<Ipv6Addr, _> = network.parse();
            parsed.map_or(true, |ip| ip.segments()[0] & 0xfe00 != 0xfc00)
        })
    }

    /// The addresses by which the internet can reach it where a group and a route let it.
    pub(super) fn internet_addresses(&self) -> impl Iterator<Item = &str> {
        let v4 = self.public_addresses.iter();
        v4.map(|address| address.public.as_str())
            .chain(self.global_ipv6())
    }

    /// Whether it has this address in its VPC, however that is spelt.
    pub(super) fn has_address(&self, address: &str) -> bool {
        let wanted: std::result::Result<IpAddr, _> = address.parse();
        let mut own = self.private_addresses.iter().chain(&self.ipv6_addresses);
        own.any(|own| own == address || wanted.as_ref().is_ok_and(|ip| own.parse() == Ok(*ip)))
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
    /// Of an address that the instance has, in a group of another VPC, from where it may be meant or not.
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

/// The role whose credentials the instance gets.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) path: String,
}

/// What its instance type says.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Hardware {
    pub(super) nitro: bool,
    /// The size of its instance-store volumes in GB; 0: it has none.
    pub(super) instance_store_gb: i64,
}
