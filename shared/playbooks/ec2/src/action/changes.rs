//! The changes, each with what it found and what it wants.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::attributes::Attribute;
use super::super::instance::Address;
use super::super::isolation_group::IsolationGroup;
use super::super::state::Target;
use super::super::timeouts::Timeouts;
use model::settings::ForensicsRule;

/// An attribute that is set, so that the instance is not lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProtectAttribute {
    pub region: String,
    pub instance: String,
    pub attribute: Attribute,
    pub from: String,
}

/// An EBS volume that is kept when the instance is terminated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeepVolume {
    pub region: String,
    pub instance: String,
    pub device: String,
    pub volume: String,
}

/// An Auto Scaling group that the instance leaves, or in which it goes on standby. The desired capacity stays, so
/// that the group replaces the instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaveAutoScalingGroup {
    pub region: String,
    pub instance: String,
    /// `None`: it is in none.
    pub group: Option<String>,
    pub standby: bool,
}

/// The deregistration of the instance from its target groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeregisterTargets {
    pub region: String,
    pub instance: String,
    pub from: Vec<Target>,
    /// The target groups that have it, or had it and let its connections end. `None`: not known, as of
    /// a step that was stored.
    #[serde(skip)]
    pub seen: Option<BTreeSet<String>>,
}

/// The deregistration of the instance from its Classic Load Balancers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeregisterFromBalancers {
    pub region: String,
    pub instance: String,
    pub from: BTreeSet<String>,
}

/// The isolation group of a VPC, which is made, or loses its rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrepareIsolationGroup {
    pub region: String,
    pub vpc: String,
    /// The account that is to own it. Earlier versions did not say it.
    #[serde(default)]
    pub account: String,
    /// The group as it was. `None`: there was none.
    pub from: Option<IsolationGroup>,
}

/// Another group of ours, which loses its rules: other instances may be isolated in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloseIsolationGroup {
    pub region: String,
    /// The group as it was.
    pub from: IsolationGroup,
    /// The rules that it may have.
    pub keep: Vec<ForensicsRule>,
}

/// An interface that is put into the isolation group of its VPC, and into no other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IsolateInterface {
    pub region: String,
    pub interface: String,
    pub vpc: String,
    /// As of [`PrepareIsolationGroup`].
    #[serde(default)]
    pub account: String,
    /// The groups it was in.
    pub from: BTreeSet<String>,
    /// The group it is to be in. `None`: it is made by the step before.
    pub to: Option<String>,
}

/// A deny on the role of the instance, for the credentials of this one instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DenyCredentials {
    pub role: String,
    pub role_arn: String,
    pub instance: String,
    /// The policy of this name that the role had.
    pub from: Option<Value>,
    pub to: Value,
}

/// The public addresses of an interface, which are taken away.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemovePublicAddress {
    pub region: String,
    pub interface: String,
    /// They are recorded, since one that was assigned automatically is lost for good.
    pub from: Vec<Address>,
}

/// The instance metadata service, which is turned off.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DisableMetadata {
    pub region: String,
    pub instance: String,
    pub from: String,
}

/// The idle time-outs of tracked connections, set to the shortest that EC2 allows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShortenTimeouts {
    pub region: String,
    pub interface: String,
    pub from: Timeouts,
}

/// An isolated interface that is put into a group which lets everything through for some seconds, and then back. This
/// ends the tracking of connections that carry packets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CutConnections {
    pub region: String,
    pub interface: String,
    pub vpc: String,
    /// As of [`PrepareIsolationGroup`].
    #[serde(default)]
    pub account: String,
    /// The isolation group. `None`: it is made by a step before.
    #[serde(default)]
    pub group: Option<String>,
    pub seconds: u8,
    pub finding: String,
}

/// One set of snapshots of all EBS volumes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SnapshotVolumes {
    pub region: String,
    pub instance: String,
    pub finding: String,
    /// The volumes that this finding has no snapshot of.
    pub volumes: BTreeSet<String>,
    /// The volumes that it has one of.
    pub covered: BTreeSet<String>,
    pub root: Option<String>,
}

/// An isolated interface that is put into a group which lets through what forensics need, and nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdmitForensics {
    pub region: String,
    pub interface: String,
    pub vpc: String,
    pub account: String,
    pub rules: Vec<ForensicsRule>,
    /// The groups it was in.
    pub from: BTreeSet<String>,
    /// The group it is to be in. `None`: it is made then.
    pub to: Option<String>,
}

/// The tags of a resource that say what contained it, or of a group of ours that say what it is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mark {
    pub region: String,
    pub resource: String,
    pub tags: BTreeMap<String, String>,
    /// The interfaces that are isolated first: the tag keeps others from isolating them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub isolated: BTreeSet<String>,
}
