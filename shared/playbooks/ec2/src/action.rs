//! The changes of an instance and its resources.

mod agreement;
mod permissions;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::attributes::Attribute;
use super::instance::{Address, mapped};
use super::isolation_group::IsolationGroup;
use super::role;
use super::state::Target;
use super::timeouts::Timeouts;
use model::actions::{self, ec2::*};
use model::plan::{self, Phase, Undo};
use model::settings::ForensicsRule;

/// A change to an instance or to what belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "`region`, `instance`, `interface`, `from` and `to` say it all"
)]
pub enum Action {
    /// Sets an attribute that keeps the instance from being lost.
    ProtectAttribute {
        region: String,
        instance: String,
        attribute: Attribute,
        from: String,
    },
    /// Keeps an EBS volume when the instance is terminated.
    KeepVolume {
        region: String,
        instance: String,
        device: String,
        volume: String,
    },
    /// Takes the instance out of its Auto Scaling group, or puts it on standby there. The desired
    /// capacity stays, so that the group replaces it.
    LeaveAutoScalingGroup {
        region: String,
        instance: String,
        /// `None`: it is in none.
        group: Option<String>,
        standby: bool,
    },
    /// Deregisters the instance from its target groups.
    DeregisterTargets {
        region: String,
        instance: String,
        from: Vec<Target>,
        /// The target groups that have it, or had it and let its connections end. `None`: not known, as of
        /// a step that was stored.
        #[serde(skip)]
        seen: Option<BTreeSet<String>>,
    },
    /// Deregisters the instance from its Classic Load Balancers.
    DeregisterFromBalancers {
        region: String,
        instance: String,
        from: BTreeSet<String>,
    },
    /// Makes sure that a VPC has an isolation group without rules.
    PrepareIsolationGroup {
        region: String,
        vpc: String,
        /// The account that is to own it. Earlier versions did not say it.
        #[serde(default)]
        account: String,
        /// The group as it was. `None`: there was none.
        from: Option<IsolationGroup>,
    },
    /// Takes the rules away from another group of ours, in which other instances may be isolated.
    CloseIsolationGroup {
        region: String,
        /// The group as it was.
        from: IsolationGroup,
        /// The rules that it may have.
        keep: Vec<ForensicsRule>,
    },
    /// Puts an interface into the isolation group of its VPC, and into no other.
    IsolateInterface {
        region: String,
        interface: String,
        vpc: String,
        /// As of [`Action::PrepareIsolationGroup`].
        #[serde(default)]
        account: String,
        /// The groups it was in.
        from: BTreeSet<String>,
        /// The group it is to be in. `None`: it is made by the step before.
        to: Option<String>,
    },
    /// Denies the role of the instance everything to the credentials of this one instance.
    DenyCredentials {
        role: String,
        role_arn: String,
        instance: String,
        /// The policy of this name that the role had.
        from: Option<Value>,
        to: Value,
    },
    /// Takes the public addresses of an interface away.
    RemovePublicAddress {
        region: String,
        interface: String,
        /// They are recorded, since one that was assigned automatically is lost for good.
        from: Vec<Address>,
    },
    /// Turns the instance metadata service off.
    DisableMetadata {
        region: String,
        instance: String,
        from: String,
    },
    /// Shortens the idle time-outs of tracked connections to the shortest that EC2 allows.
    ShortenTimeouts {
        region: String,
        interface: String,
        from: Timeouts,
    },
    /// Puts an isolated interface into a group that lets everything through for some seconds, and then back. This ends
    /// the tracking of connections that carry packets.
    CutConnections {
        region: String,
        interface: String,
        vpc: String,
        /// As of [`Action::PrepareIsolationGroup`].
        #[serde(default)]
        account: String,
        /// The isolation group. `None`: it is made by a step before.
        #[serde(default)]
        group: Option<String>,
        seconds: u8,
        finding: String,
    },
    /// Takes one set of snapshots of all EBS volumes.
    SnapshotVolumes {
        region: String,
        instance: String,
        finding: String,
        /// The volumes that this finding has no snapshot of.
        volumes: BTreeSet<String>,
        /// The volumes that it has one of.
        covered: BTreeSet<String>,
        root: Option<String>,
    },
    /// Puts an isolated interface into a group that lets through what forensics need, and nothing else.
    AdmitForensics {
        region: String,
        interface: String,
        vpc: String,
        account: String,
        rules: Vec<ForensicsRule>,
        /// The groups it was in.
        from: BTreeSet<String>,
        /// The group it is to be in. `None`: it is made then.
        to: Option<String>,
    },
    /// Tags a resource with what contained it, or a group of ours with what it is for.
    Mark {
        region: String,
        resource: String,
        tags: BTreeMap<String, String>,
    },
}

impl Action {
    /// The Region in which it is made. `None`: in IAM, which is the same in all.
    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::DenyCredentials { .. } => None,
            Self::ProtectAttribute { region, .. }
            | Self::KeepVolume { region, .. }
            | Self::LeaveAutoScalingGroup { region, .. }
            | Self::DeregisterTargets { region, .. }
            | Self::DeregisterFromBalancers { region, .. }
            | Self::PrepareIsolationGroup { region, .. }
            | Self::CloseIsolationGroup { region, .. }
            | Self::AdmitForensics { region, .. }
            | Self::IsolateInterface { region, .. }
            | Self::RemovePublicAddress { region, .. }
            | Self::DisableMetadata { region, .. }
            | Self::ShortenTimeouts { region, .. }
            | Self::CutConnections { region, .. }
            | Self::SnapshotVolumes { region, .. }
            | Self::Mark { region, .. } => Some(region),
        }
    }

    /// True for the mark of a security group.
    fn marks_group(&self) -> bool {
        matches!(self, Self::Mark { resource, .. } if resource.starts_with("sg-"))
    }
}

impl plan::Action for Action {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = permissions::TABLE;

    fn name(&self) -> &'static str {
        match self {
            Self::ProtectAttribute { attribute, .. } => attribute.action(),
            Self::KeepVolume { .. } => KEEP_VOLUME,
            Self::LeaveAutoScalingGroup { standby: true, .. } => STANDBY,
            Self::LeaveAutoScalingGroup { .. } => DETACH,
            Self::DeregisterTargets { .. } => TARGETS,
            Self::DeregisterFromBalancers { .. } => BALANCERS,
            Self::PrepareIsolationGroup { .. } => PREPARE,
            Self::CloseIsolationGroup { .. } => CLOSE,
            Self::IsolateInterface { .. } => ISOLATE,
            Self::DenyCredentials { .. } => DENY,
            Self::RemovePublicAddress { .. } => ADDRESS,
            Self::DisableMetadata { .. } => METADATA,
            Self::ShortenTimeouts { .. } => TIMEOUTS,
            Self::CutConnections { .. } => CUT,
            Self::SnapshotVolumes { .. } => SNAPSHOT,
            Self::AdmitForensics { .. } => FORENSICS,
            Self::Mark { .. } => MARK,
        }
    }

    fn target(&self) -> String {
        match self {
            Self::ProtectAttribute { instance, .. }
            | Self::LeaveAutoScalingGroup { instance, .. }
            | Self::DeregisterTargets { instance, .. }
            | Self::DeregisterFromBalancers { instance, .. }
            | Self::DisableMetadata { instance, .. }
            | Self::SnapshotVolumes { instance, .. } => instance,
            Self::KeepVolume { volume, .. } => volume,
            Self::PrepareIsolationGroup { vpc, .. } => vpc,
            Self::CloseIsolationGroup { from, .. } => &from.id,
            Self::IsolateInterface { interface, .. }
            | Self::RemovePublicAddress { interface, .. }
            | Self::ShortenTimeouts { interface, .. }
            | Self::CutConnections { interface, .. }
            | Self::AdmitForensics { interface, .. } => interface,
            Self::DenyCredentials { role_arn, .. } => role_arn,
            Self::Mark { resource, .. } => resource,
        }
        .clone()
    }

    fn phase_of(name: &str) -> Phase {
        actions::phase(name)
    }

    fn phase(&self) -> Phase {
        Self::phase_of(self.name())
    }

    /// A group without an interface in it, an address less or a shorter time-out contains nothing.
    fn only_narrows(name: &str) -> bool {
        matches!(name, PREPARE | CLOSE | ADDRESS | METADATA | TIMEOUTS | CUT)
    }

    /// An Auto Scaling group terminates what fails its health check, whatever protects it from
    /// termination, <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html>.
    /// A load balancer only stops sending people there.
    fn blocks_containment(&self) -> bool {
        matches!(self, Self::LeaveAutoScalingGroup { .. })
    }

    /// IAM is another service: neither waits for the other to answer. Nor is an interface put into a group that
    /// is only closed again.
    fn independent(&self) -> bool {
        matches!(
            self,
            Self::DenyCredentials { .. } | Self::CloseIsolationGroup { .. }
        )
    }

    /// The interfaces when there is a group for them; then what only narrows what is left. One interface is never changed by two calls at the same time, and it is isolated before
    /// it is opened.
    fn order(&self) -> u8 {
        match self {
            Self::IsolateInterface { .. } => 1,
            Self::RemovePublicAddress { .. } | Self::DisableMetadata { .. } => 2,
            Self::ShortenTimeouts { .. } => 3,
            Self::CutConnections { .. } => 4,
            _ => 0,
        }
    }

    fn from(&self) -> Value {
        self.value_found()
    }

    fn to(&self) -> Value {
        self.value_wanted()
    }

    /// The deny may name the instance in another Region than that in which it is found now.
    fn continues_own_change(&self) -> bool {
        match self {
            Self::DenyCredentials {
                from: Some(from),
                to,
                ..
            } => role::differs_in_region(from, to),
            _ => false,
        }
    }

    /// As [`Action::continues_own_change`] has it, which earlier versions left for instances of another Region.
    fn left(&self, found: &Self) -> bool {
        match (self, found) {
            (
                Self::DenyCredentials { to, .. },
                Self::DenyCredentials {
                    from: Some(from), ..
                },
            ) => from == to,
            _ => false,
        }
    }

    /// EC2 associates an Elastic IP address under a new id, assigns another address of its own, and cannot unset a
    /// time-out.
    fn is_restored(&self, found: &Self) -> bool {
        match (self, found) {
            (
                Self::RemovePublicAddress { from, .. },
                Self::RemovePublicAddress { from: found, .. },
            ) => mapped(from) == mapped(found),
            (Self::ShortenTimeouts { from, .. }, Self::ShortenTimeouts { from: found, .. }) => {
                from.in_effect() == found.in_effect()
            }
            // It is over for the interface, whichever group isolates it.
            (Self::CutConnections { .. }, Self::CutConnections { .. }) => true,
            _ => self.from() == found.from(),
        }
    }

    fn builds_on(&self, other: &Self) -> bool {
        self.isolates_by(other)
    }

    fn is_within(&self, wider: &Self) -> bool {
        self.differs_in_group_only(wider)
    }

    fn undo(&self) -> Undo {
        match self {
            Self::PrepareIsolationGroup { .. } => Undo::Nothing(
                "the isolation group stays for the next time; without rules it does nothing",
            ),
            Self::CloseIsolationGroup { .. } => Undo::Nothing(
                "the rules would open a group in which other instances may be isolated",
            ),
            Self::AdmitForensics { .. } => Undo::Nothing(
                "the groups that the interface had are given back for ec2:IsolateInterface",
            ),
            Self::Mark { .. } if self.marks_group() => Undo::Nothing(
                "the tag says what the group is for, and keeps others from giving it rules",
            ),
            Self::LeaveAutoScalingGroup { standby: false, .. } => Undo::Nothing(
                "the Auto Scaling group has replaced the instance: to take it back, call \
                 autoscaling:AttachInstances, which raises the desired capacity by one",
            ),
            Self::SnapshotVolumes { .. } => Undo::Nothing(
                "the snapshots are evidence: the operator decides when to delete them",
            ),
            _ => Undo::Restore,
        }
    }
}
