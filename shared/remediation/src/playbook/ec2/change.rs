//! What may be changed of an instance and of what belongs to it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::isolation_group::{IsolationGroup, NAME as ISOLATION_GROUP};
use super::state::{Address, Target, Timeouts};
use crate::plan::{Action, Phase, Undo};

/// The actions' names, as reports, notices and records show them.
pub(crate) mod name {
    pub(crate) const TERMINATION: &str = "ec2:ProtectFromTermination";
    pub(crate) const STOP: &str = "ec2:ProtectFromStop";
    pub(crate) const SHUTDOWN: &str = "ec2:StopOnShutdown";
    pub(crate) const KEEP_VOLUME: &str = "ec2:KeepVolume";
    pub(crate) const DETACH: &str = "autoscaling:DetachInstance";
    pub(crate) const STANDBY: &str = "autoscaling:EnterStandby";
    pub(crate) const TARGETS: &str = "elasticloadbalancing:DeregisterTarget";
    pub(crate) const BALANCERS: &str = "elasticloadbalancing:DeregisterInstance";
    pub(crate) const PREPARE: &str = "ec2:PrepareIsolationGroup";
    pub(crate) const ISOLATE: &str = "ec2:IsolateInterface";
    pub(crate) const DENY: &str = "iam:DenyInstanceCredentials";
    pub(crate) const ADDRESS: &str = "ec2:RemovePublicAddress";
    pub(crate) const METADATA: &str = "ec2:DisableInstanceMetadata";
    pub(crate) const TIMEOUTS: &str = "ec2:ShortenIdleTimeouts";
    pub(crate) const CUT: &str = "ec2:CutTrackedConnections";
    pub(crate) const SNAPSHOT: &str = "ec2:SnapshotVolumes";
    pub(crate) const TAG: &str = "ec2:MarkContained";
}
use name::*;

/// An attribute of an instance that keeps it from being lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attribute {
    /// `DisableApiTermination`, wanted `true`.
    DisableApiTermination,
    /// `DisableApiStop`, wanted `true`.
    DisableApiStop,
    /// `InstanceInitiatedShutdownBehavior`, wanted `stop`: termination protection does not keep the
    /// operating system from shutting itself down,
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingDisableAPITermination.html>.
    ShutdownBehavior,
}

impl Attribute {
    /// The value that protects.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::DisableApiTermination | Self::DisableApiStop => "true",
            Self::ShutdownBehavior => "stop",
        }
    }
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::DisableApiTermination => TERMINATION,
            Self::DisableApiStop => STOP,
            Self::ShutdownBehavior => SHUTDOWN,
        }
    }
    fn key(self) -> &'static str {
        match self {
            Self::DisableApiTermination => "DisableApiTermination",
            Self::DisableApiStop => "DisableApiStop",
            Self::ShutdownBehavior => "InstanceInitiatedShutdownBehavior",
        }
    }
}

/// A change to an instance or to what belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "`region`, `instance`, `interface`, `from` and `to` say it all"
)]
pub enum Change {
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
        /// The group as it was. `None`: there was none.
        from: Option<IsolationGroup>,
    },
    /// Puts an interface into the isolation group of its VPC, and into no other.
    IsolateInterface {
        region: String,
        interface: String,
        vpc: String,
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
    /// Puts an isolated interface into a group that lets everything through for some seconds, which
    /// ends the tracking of connections that carry packets, and then back.
    CutConnections {
        region: String,
        interface: String,
        vpc: String,
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
    /// Tags a resource with what contained it.
    Mark {
        region: String,
        resource: String,
        tags: BTreeMap<String, String>,
    },
}

const ATTRIBUTE: &[&str] = &["ec2:ModifyInstanceAttribute"];
const INTERFACE: &str = "ec2:ModifyNetworkInterfaceAttribute";

impl Action for Change {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[
        (TERMINATION, ATTRIBUTE),
        (STOP, ATTRIBUTE),
        (SHUTDOWN, ATTRIBUTE),
        (KEEP_VOLUME, ATTRIBUTE),
        (DETACH, &["autoscaling:DetachInstances"]),
        (STANDBY, &["autoscaling:EnterStandby"]),
        (TARGETS, &["elasticloadbalancing:DeregisterTargets"]),
        (
            BALANCERS,
            &["elasticloadbalancing:DeregisterInstancesFromLoadBalancer"],
        ),
        (
            PREPARE,
            &[
                "ec2:CreateSecurityGroup",
                "ec2:CreateTags",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeSecurityGroups",
                "ec2:RevokeSecurityGroupEgress",
                "ec2:RevokeSecurityGroupIngress",
            ],
        ),
        (ISOLATE, &["ec2:DescribeSecurityGroups", INTERFACE]),
        (DENY, &["iam:PutRolePolicy"]),
        (ADDRESS, &["ec2:DisassociateAddress", INTERFACE]),
        (METADATA, &["ec2:ModifyInstanceMetadataOptions"]),
        (TIMEOUTS, &[INTERFACE]),
        (
            CUT,
            &[
                "ec2:AuthorizeSecurityGroupEgress",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:CreateSecurityGroup",
                "ec2:CreateTags",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeSecurityGroups",
                "ec2:RevokeSecurityGroupEgress",
                "ec2:RevokeSecurityGroupIngress",
                INTERFACE,
            ],
        ),
        (
            SNAPSHOT,
            &[
                "ec2:CreateSnapshots",
                "ec2:CreateTags",
                "ec2:DescribeSnapshots",
            ],
        ),
        (TAG, &["ec2:CreateTags"]),
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::ProtectAttribute { attribute, .. } => attribute.action(),
            Self::KeepVolume { .. } => KEEP_VOLUME,
            Self::LeaveAutoScalingGroup { standby: true, .. } => STANDBY,
            Self::LeaveAutoScalingGroup { .. } => DETACH,
            Self::DeregisterTargets { .. } => TARGETS,
            Self::DeregisterFromBalancers { .. } => BALANCERS,
            Self::PrepareIsolationGroup { .. } => PREPARE,
            Self::IsolateInterface { .. } => ISOLATE,
            Self::DenyCredentials { .. } => DENY,
            Self::RemovePublicAddress { .. } => ADDRESS,
            Self::DisableMetadata { .. } => METADATA,
            Self::ShortenTimeouts { .. } => TIMEOUTS,
            Self::CutConnections { .. } => CUT,
            Self::SnapshotVolumes { .. } => SNAPSHOT,
            Self::Mark { .. } => TAG,
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
            Self::IsolateInterface { interface, .. }
            | Self::RemovePublicAddress { interface, .. }
            | Self::ShortenTimeouts { interface, .. }
            | Self::CutConnections { interface, .. } => interface,
            Self::DenyCredentials { role_arn, .. } => role_arn,
            Self::Mark { resource, .. } => resource,
        }
        .clone()
    }

    fn phase_of(name: &str) -> Phase {
        match name {
            TERMINATION | STOP | SHUTDOWN | KEEP_VOLUME | DETACH | STANDBY | TARGETS
            | BALANCERS => Phase::Protect,
            SNAPSHOT => Phase::Preserve,
            TAG => Phase::Annotate,
            _ => Phase::Contain,
        }
    }

    fn phase(&self) -> Phase {
        Self::phase_of(self.name())
    }

    /// A group without an interface in it, an address less or a shorter time-out contains nothing.
    fn only_narrows(name: &str) -> bool {
        matches!(name, PREPARE | ADDRESS | METADATA | TIMEOUTS | CUT)
    }

    /// An Auto Scaling group terminates what fails its health check, whatever protects it from
    /// termination, <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html>.
    /// A load balancer only stops sending people there.
    fn precedes(&self) -> bool {
        matches!(self, Self::LeaveAutoScalingGroup { .. })
    }

    /// IAM is another service: neither waits for the other to answer.
    fn beside(&self) -> bool {
        matches!(self, Self::DenyCredentials { .. })
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
        match self {
            Self::ProtectAttribute {
                attribute, from, ..
            } => json!({ attribute.key(): from }),
            Self::KeepVolume { device, .. } => {
                json!({ "DeviceName": device, "DeleteOnTermination": true })
            }
            Self::LeaveAutoScalingGroup { group, .. } => json!({ "AutoScalingGroupName": group }),
            Self::DeregisterTargets { from, .. } => json!({ "Targets": from }),
            Self::DeregisterFromBalancers { from, .. } => json!({ "LoadBalancerNames": from }),
            Self::PrepareIsolationGroup { from, .. } => {
                from.as_ref().map_or(json!({}), IsolationGroup::to_json)
            }
            Self::IsolateInterface { from, .. } => json!({ "Groups": from }),
            Self::DenyCredentials { from, .. } => json!({ "PolicyDocument": from }),
            Self::RemovePublicAddress { from, .. } => json!({ "Addresses": from }),
            Self::DisableMetadata { from, .. } => json!({ "HttpEndpoint": from }),
            Self::ShortenTimeouts { from, .. } => json!(from),
            Self::CutConnections { .. } => json!({ "Groups": [ISOLATION_GROUP] }),
            Self::SnapshotVolumes { covered, .. } => json!({ "Snapshots": covered }),
            Self::Mark { .. } => json!({}),
        }
    }

    fn to(&self) -> Value {
        match self {
            Self::ProtectAttribute { attribute, .. } => {
                json!({ attribute.key(): attribute.wanted() })
            }
            Self::KeepVolume { device, .. } => {
                json!({ "DeviceName": device, "DeleteOnTermination": false })
            }
            Self::LeaveAutoScalingGroup { group, standby, .. } => {
                if *standby {
                    json!({ "AutoScalingGroupName": group, "LifecycleState": "Standby" })
                } else {
                    json!({ "AutoScalingGroupName": null })
                }
            }
            Self::DeregisterTargets { .. } => json!({ "Targets": [] }),
            Self::DeregisterFromBalancers { .. } => json!({ "LoadBalancerNames": [] }),
            Self::PrepareIsolationGroup { from, .. } => {
                let id = from.as_ref().map_or("to be created", |group| &group.id);
                json!({ "GroupName": ISOLATION_GROUP, "GroupId": id, "Rules": [] })
            }
            Self::IsolateInterface { to, .. } => {
                let group = to.as_deref().unwrap_or(ISOLATION_GROUP);
                json!({ "Groups": [group] })
            }
            Self::DenyCredentials { to, .. } => json!({ "PolicyDocument": to }),
            Self::RemovePublicAddress { .. } => json!({ "Addresses": [] }),
            Self::DisableMetadata { .. } => json!({ "HttpEndpoint": "disabled" }),
            Self::ShortenTimeouts { .. } => json!(Timeouts::SHORTEST),
            Self::CutConnections { seconds, .. } => {
                json!({ "Groups": [ISOLATION_GROUP], "OpenForSeconds": seconds })
            }
            Self::SnapshotVolumes { volumes, .. } => json!({ "Snapshots": volumes }),
            Self::Mark { tags, .. } => json!({ "Tags": tags }),
        }
    }

    /// EC2 associates an Elastic IP address anew, assigns another address of its own, and cannot unset a
    /// time-out.
    fn is_back(&self, found: &Self) -> bool {
        match (self, found) {
            (
                Self::RemovePublicAddress { from, .. },
                Self::RemovePublicAddress { from: found, .. },
            ) => mapped(from) == mapped(found),
            (Self::ShortenTimeouts { from, .. }, Self::ShortenTimeouts { from: found, .. }) => {
                from.in_effect() == found.in_effect()
            }
            _ => self.from() == found.from(),
        }
    }

    fn undo(&self) -> Undo {
        match self {
            Self::PrepareIsolationGroup { .. } => Undo::Nothing(
                "the isolation group stays for the next time; without rules it does nothing",
            ),
            Self::LeaveAutoScalingGroup { standby: false, .. } => Undo::Nothing(
                "the Auto Scaling group has replaced the instance: to take it back, call \
                 autoscaling:AttachInstances, which raises the desired capacity by one",
            ),
            Self::SnapshotVolumes { .. } => {
                Undo::Nothing("the snapshots are evidence: a person decides when they may go")
            }
            _ => Undo::Restore,
        }
    }
}

/// The private addresses that have a public one, each with its Elastic IP address, if it is one.
fn mapped(addresses: &[Address]) -> BTreeSet<(&str, Option<&str>)> {
    let addresses = addresses.iter();
    addresses
        .map(|address| (address.private.as_str(), address.allocation.as_deref()))
        .collect()
}
