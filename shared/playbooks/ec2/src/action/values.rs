//! The value that each action found, and the one that it wants.

use serde_json::{Value, json};

use super::super::isolation_group::{FORENSICS_NAME, IsolationGroup, NAME as ISOLATION_GROUP};
use super::super::timeouts::Timeouts;
use super::*;

impl Action {
    pub(super) fn value_found(&self) -> Value {
        match self {
            Self::ProtectAttribute(ProtectAttribute {
                attribute, from, ..
            }) => json!({ attribute.key(): from }),
            Self::KeepVolume(KeepVolume { device, .. }) => {
                json!({ "DeviceName": device, "DeleteOnTermination": true })
            }
            Self::LeaveAutoScalingGroup(LeaveAutoScalingGroup { group, .. }) => {
                json!({ "AutoScalingGroupName": group })
            }
            Self::DeregisterTargets(DeregisterTargets { from, .. }) => json!({ "Targets": from }),
            Self::DeregisterFromBalancers(DeregisterFromBalancers { from, .. }) => {
                json!({ "LoadBalancerNames": from })
            }
            Self::PrepareIsolationGroup(PrepareIsolationGroup { from, .. }) => {
                from.as_ref().map_or(json!({}), IsolationGroup::to_json)
            }
            Self::IsolateInterface(IsolateInterface { from, .. }) => json!({ "Groups": from }),
            Self::DenyCredentials(DenyCredentials { from, .. }) => {
                json!({ "PolicyDocument": from })
            }
            Self::RemovePublicAddress(RemovePublicAddress { from, .. }) => {
                json!({ "Addresses": from })
            }
            Self::DisableMetadata(DisableMetadata { from, .. }) => json!({ "HttpEndpoint": from }),
            Self::ShortenTimeouts(ShortenTimeouts { from, .. }) => json!(from),
            Self::CutConnections(CutConnections { group, .. }) => {
                json!({ "Groups": [group.as_deref().unwrap_or(ISOLATION_GROUP)] })
            }
            Self::CloseIsolationGroup(CloseIsolationGroup { from, .. }) => from.to_json(),
            Self::AdmitForensics(AdmitForensics { from, .. }) => json!({ "Groups": from }),
            Self::SnapshotVolumes(SnapshotVolumes { covered, .. }) => {
                json!({ "Snapshots": covered })
            }
            Self::Mark(_) => json!({}),
        }
    }

    pub(super) fn value_wanted(&self) -> Value {
        match self {
            Self::ProtectAttribute(ProtectAttribute { attribute, .. }) => {
                json!({ attribute.key(): attribute.wanted() })
            }
            Self::KeepVolume(KeepVolume { device, .. }) => {
                json!({ "DeviceName": device, "DeleteOnTermination": false })
            }
            Self::LeaveAutoScalingGroup(LeaveAutoScalingGroup { group, standby, .. }) => {
                if *standby && group.is_some() {
                    json!({ "AutoScalingGroupName": group, "LifecycleState": "Standby" })
                } else {
                    json!({ "AutoScalingGroupName": null })
                }
            }
            Self::DeregisterTargets(_) => json!({ "Targets": [] }),
            Self::DeregisterFromBalancers(_) => json!({ "LoadBalancerNames": [] }),
            Self::PrepareIsolationGroup(PrepareIsolationGroup { from, .. }) => {
                let id = from.as_ref().map_or("to be created", |group| &group.id);
                json!({ "GroupName": ISOLATION_GROUP, "GroupId": id, "Rules": [] })
            }
            Self::IsolateInterface(IsolateInterface { to, .. }) => {
                let group = to.as_deref().unwrap_or(ISOLATION_GROUP);
                json!({ "Groups": [group] })
            }
            Self::DenyCredentials(DenyCredentials { to, .. }) => json!({ "PolicyDocument": to }),
            Self::RemovePublicAddress(_) => json!({ "Addresses": [] }),
            Self::DisableMetadata(_) => json!({ "HttpEndpoint": "disabled" }),
            Self::ShortenTimeouts(_) => json!(Timeouts::SHORTEST),
            Self::CutConnections(CutConnections { group, seconds, .. }) => {
                let group = group.as_deref().unwrap_or(ISOLATION_GROUP);
                json!({ "Groups": [group], "OpenForSeconds": seconds })
            }
            Self::CloseIsolationGroup(CloseIsolationGroup { from, keep, .. }) => {
                json!({ "GroupId": from.id, "Rules": keep })
            }
            Self::AdmitForensics(AdmitForensics { rules, to, .. }) => {
                let group = to.as_deref().unwrap_or(FORENSICS_NAME);
                json!({ "Groups": [group], "Rules": rules })
            }
            Self::SnapshotVolumes(SnapshotVolumes {
                volumes, covered, ..
            }) => json!({ "Snapshots": volumes | covered }),
            Self::Mark(Mark { tags, .. }) => json!({ "Tags": tags }),
        }
    }
}
