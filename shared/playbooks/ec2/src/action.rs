//! The changes to an instance and to what belongs to it.

mod agreement;
mod changes;
mod permissions;
mod values;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::changes::*;
pub use super::attributes::Attribute;
use super::instance::mapped;
use super::role;
use model::actions::{self, ec2::*};
use model::plan::{self, Phase, Undo};

/// A change to an instance or to what belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Action {
    ProtectAttribute(ProtectAttribute),
    KeepVolume(KeepVolume),
    LeaveAutoScalingGroup(LeaveAutoScalingGroup),
    DeregisterTargets(DeregisterTargets),
    DeregisterFromBalancers(DeregisterFromBalancers),
    PrepareIsolationGroup(PrepareIsolationGroup),
    CloseIsolationGroup(CloseIsolationGroup),
    IsolateInterface(IsolateInterface),
    DenyCredentials(DenyCredentials),
    RemovePublicAddress(RemovePublicAddress),
    DisableMetadata(DisableMetadata),
    ShortenTimeouts(ShortenTimeouts),
    CutConnections(CutConnections),
    SnapshotVolumes(SnapshotVolumes),
    AdmitForensics(AdmitForensics),
    Mark(Mark),
}

impl Action {
    /// The Region in which it is made. `None`: in IAM, which is the same in all.
    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::DenyCredentials(_) => None,
            Self::ProtectAttribute(ProtectAttribute { region, .. })
            | Self::KeepVolume(KeepVolume { region, .. })
            | Self::LeaveAutoScalingGroup(LeaveAutoScalingGroup { region, .. })
            | Self::DeregisterTargets(DeregisterTargets { region, .. })
            | Self::DeregisterFromBalancers(DeregisterFromBalancers { region, .. })
            | Self::PrepareIsolationGroup(PrepareIsolationGroup { region, .. })
            | Self::CloseIsolationGroup(CloseIsolationGroup { region, .. })
            | Self::AdmitForensics(AdmitForensics { region, .. })
            | Self::IsolateInterface(IsolateInterface { region, .. })
            | Self::RemovePublicAddress(RemovePublicAddress { region, .. })
            | Self::DisableMetadata(DisableMetadata { region, .. })
            | Self::ShortenTimeouts(ShortenTimeouts { region, .. })
            | Self::CutConnections(CutConnections { region, .. })
            | Self::SnapshotVolumes(SnapshotVolumes { region, .. })
            | Self::Mark(Mark { region, .. }) => Some(region),
        }
    }

    /// True for the mark of a security group.
    fn marks_group(&self) -> bool {
        matches!(self, Self::Mark(Mark { resource, .. }) if resource.starts_with("sg-"))
    }
}

impl plan::Action for Action {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = permissions::TABLE;

    fn name(&self) -> &'static str {
        match self {
            Self::ProtectAttribute(ProtectAttribute { attribute, .. }) => attribute.action(),
            Self::KeepVolume(_) => KEEP_VOLUME,
            Self::LeaveAutoScalingGroup(LeaveAutoScalingGroup { standby: true, .. }) => STANDBY,
            Self::LeaveAutoScalingGroup(_) => DETACH,
            Self::DeregisterTargets(_) => TARGETS,
            Self::DeregisterFromBalancers(_) => BALANCERS,
            Self::PrepareIsolationGroup(_) => PREPARE,
            Self::CloseIsolationGroup(_) => CLOSE,
            Self::IsolateInterface(_) => ISOLATE,
            Self::DenyCredentials(_) => DENY,
            Self::RemovePublicAddress(_) => ADDRESS,
            Self::DisableMetadata(_) => METADATA,
            Self::ShortenTimeouts(_) => TIMEOUTS,
            Self::CutConnections(_) => CUT,
            Self::SnapshotVolumes(_) => SNAPSHOT,
            Self::AdmitForensics(_) => FORENSICS,
            Self::Mark(_) => MARK,
        }
    }

    fn target(&self) -> String {
        match self {
            Self::ProtectAttribute(ProtectAttribute { instance, .. })
            | Self::LeaveAutoScalingGroup(LeaveAutoScalingGroup { instance, .. })
            | Self::DeregisterTargets(DeregisterTargets { instance, .. })
            | Self::DeregisterFromBalancers(DeregisterFromBalancers { instance, .. })
            | Self::DisableMetadata(DisableMetadata { instance, .. })
            | Self::SnapshotVolumes(SnapshotVolumes { instance, .. }) => instance,
            Self::KeepVolume(KeepVolume { volume, .. }) => volume,
            Self::PrepareIsolationGroup(PrepareIsolationGroup { vpc, .. }) => vpc,
            Self::CloseIsolationGroup(CloseIsolationGroup { from, .. }) => &from.id,
            Self::IsolateInterface(IsolateInterface { interface, .. })
            | Self::RemovePublicAddress(RemovePublicAddress { interface, .. })
            | Self::ShortenTimeouts(ShortenTimeouts { interface, .. })
            | Self::CutConnections(CutConnections { interface, .. })
            | Self::AdmitForensics(AdmitForensics { interface, .. }) => interface,
            Self::DenyCredentials(DenyCredentials { role_arn, .. }) => role_arn,
            Self::Mark(Mark { resource, .. }) => resource,
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
        matches!(self, Self::LeaveAutoScalingGroup(_))
    }

    /// IAM is another service: neither waits for the other to answer. Nor is an interface put into a group that
    /// is only closed again.
    fn independent(&self) -> bool {
        matches!(
            self,
            Self::DenyCredentials(_) | Self::CloseIsolationGroup(_)
        )
    }

    /// The interfaces when there is a group for them; then what only narrows what is left. One interface is never changed by two calls at the same time, and it is isolated before
    /// it is opened.
    fn order(&self) -> u8 {
        match self {
            Self::IsolateInterface(_) => 1,
            Self::RemovePublicAddress(_) | Self::DisableMetadata(_) => 2,
            Self::ShortenTimeouts(_) => 3,
            Self::CutConnections(_) => 4,
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
            Self::DenyCredentials(DenyCredentials {
                from: Some(from),
                to,
                ..
            }) => role::differs_in_region(from, to),
            _ => false,
        }
    }

    /// As [`Action::continues_own_change`] has it, which earlier versions left for instances of another Region.
    fn left(&self, found: &Self) -> bool {
        match (self, found) {
            (
                Self::DenyCredentials(DenyCredentials { to, .. }),
                Self::DenyCredentials(DenyCredentials {
                    from: Some(from), ..
                }),
            ) => from == to,
            _ => false,
        }
    }

    /// EC2 associates an Elastic IP address under a new id, assigns another address of its own, and cannot unset a
    /// time-out.
    fn is_restored(&self, found: &Self) -> bool {
        match (self, found) {
            (
                Self::RemovePublicAddress(RemovePublicAddress { from, .. }),
                Self::RemovePublicAddress(RemovePublicAddress { from: found, .. }),
            ) => mapped(from) == mapped(found),
            (
                Self::ShortenTimeouts(ShortenTimeouts { from, .. }),
                Self::ShortenTimeouts(ShortenTimeouts { from: found, .. }),
            ) => from.in_effect() == found.in_effect(),
            // It is over for the interface, whichever group isolates it.
            (Self::CutConnections(_), Self::CutConnections(_)) => true,
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
            Self::PrepareIsolationGroup(_) => Undo::Nothing(
                "the isolation group stays for the next time; without rules it does nothing",
            ),
            Self::CloseIsolationGroup(_) => Undo::Nothing(
                "the rules would open a group in which other instances may be isolated",
            ),
            Self::AdmitForensics(_) => Undo::Nothing(
                "the groups that the interface had are given back for ec2:IsolateInterface",
            ),
            Self::Mark(_) if self.marks_group() => Undo::Nothing(
                "the tag says what the group is for, and keeps others from giving it rules",
            ),
            Self::LeaveAutoScalingGroup(LeaveAutoScalingGroup { standby: false, .. }) => {
                Undo::Nothing(
                    "the Auto Scaling group has replaced the instance: to take it back, call \
                 autoscaling:AttachInstances, which raises the desired capacity by one",
                )
            }
            Self::SnapshotVolumes(_) => Undo::Nothing(
                "the snapshots are evidence: the operator decides when to delete them",
            ),
            _ => Undo::Restore,
        }
    }
}
