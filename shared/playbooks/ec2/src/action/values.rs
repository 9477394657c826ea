//! The value that each action found, and the one that it wants.

use serde_json::{Value, json};

use super::super::isolation_group::{FORENSICS_NAME, IsolationGroup, NAME as ISOLATION_GROUP};
use super::super::timeouts::Timeouts;
use super::Action;

impl Action {
    pub(super) fn value_found(&self) -> Value {
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
            Self::CutConnections { group, .. } => {
                json!({ "Groups": [group.as_deref().unwrap_or(ISOLATION_GROUP)] })
            }
            Self::CloseIsolationGroup { from, .. } => from.to_json(),
            Self::AdmitForensics { from, .. } => json!({ "Groups": from }),
            Self::SnapshotVolumes { covered, .. } => json!({ "Snapshots": covered }),
            Self::Mark { .. } => json!({}),
        }
    }

    pub(super) fn value_wanted(&self) -> Value {
        match self {
            Self::ProtectAttribute { attribute, .. } => {
                json!({ attribute.key(): attribute.wanted() })
            }
            Self::KeepVolume { device, .. } => {
                json!({ "DeviceName": device, "DeleteOnTermination": false })
            }
            Self::LeaveAutoScalingGroup { group, standby, .. } => {
                if *standby && group.is_some() {
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
            Self::CutConnections { group, seconds, .. } => {
                let group = group.as_deref().unwrap_or(ISOLATION_GROUP);
                json!({ "Groups": [group], "OpenForSeconds": seconds })
            }
            Self::CloseIsolationGroup { from, keep, .. } => {
                json!({ "GroupId": from.id, "Rules": keep })
            }
            Self::AdmitForensics { rules, to, .. } => {
                let group = to.as_deref().unwrap_or(FORENSICS_NAME);
                json!({ "Groups": [group], "Rules": rules })
            }
            Self::SnapshotVolumes {
                volumes, covered, ..
            } => json!({ "Snapshots": volumes | covered }),
            Self::Mark { tags, .. } => json!({ "Tags": tags }),
        }
    }
}
