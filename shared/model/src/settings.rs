//! The settings that let a playbook do more than its narrowest containment. Every setting is off, or the careful
//! choice, by default.

mod forensics;
mod spared;

pub use self::forensics::too_wide;
pub use self::forensics::{Direction, ForensicsRule};
pub use self::spared::{Entity, Spared, protects};
use serde::{Deserialize, Serialize};

/// The settings of all playbooks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Buckets.
    pub s3: S3Settings,
    /// Credentials.
    pub iam: IamSettings,
    /// Instances.
    pub ec2: Ec2Settings,
}

/// Settings for buckets.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct S3Settings {
    /// `S3_ACCOUNT_BLOCK`: answer a finding that the account's Block Public Access was turned off by
    /// turning it on again. Hits every public bucket of the account. GuardDuty gives that finding a
    /// low severity, so `MINIMUM_SEVERITY` must let it through as well.
    pub account_block: bool,
    /// `S3_POLICY_DENY`: deny the principal of another account, or the address of an anonymous
    /// caller, in the bucket's policy.
    pub policy_deny: bool,
}

/// Settings for credentials.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IamSettings {
    /// `IAM_USER_SESSION_KEYS`: when a session of a user is stolen and the key that made it is not
    /// known, deactivate all active keys of the user.
    pub user_session_keys: bool,
    /// `IAM_CREATED_KEYS`: deactivate the access keys that the principal created since the first event. So it does with
    /// the user's own keys and service-specific credentials of that age, whoever created them.
    pub created_keys: bool,
    /// `IAM_ROLE_WIDE`: revoke all sessions of the role, not only the one that the finding names.
    pub role_wide: bool,
    /// `IAM_MARK_CONTAINED`: tag the user or role that is contained, so that a service control policy
    /// can keep others from undoing it.
    pub mark_contained: bool,
    /// `NEVER_CONTAIN` and `RESPONDER_ROLES`: names or ARNs of users and roles that are left alone
    /// also when it only comes out while observing that they are concerned.
    pub never_contain: Vec<String>,
}

/// Settings for instances.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ec2Settings {
    /// `EC2_AUTO_SCALING`: the response to a member of an Auto Scaling group.
    pub auto_scaling: AutoScaling,
    /// `EC2_CUT_CONNECTIONS_SECONDS`: how long, at most 90 seconds, the interfaces are in a group that lets everything
    /// through. This ends the tracking of open connections, before they are isolated for good. 0: not at all.
    pub cut_connections_seconds: u8,
    /// `EC2_SHORTEN_TIMEOUTS`: shorten the idle time-outs of tracked connections to their minimum.
    pub shorten_timeouts: bool,
    /// `EC2_REMOVE_PUBLIC_ADDRESS`: take the public addresses away.
    pub remove_public_address: bool,
    /// `EC2_DISABLE_METADATA`: turn the instance metadata service off.
    pub disable_metadata: bool,
    /// `EC2_CONTAINER_NODES`: isolate nodes of EKS and ECS clusters and instances that an AWS service
    /// operates, too.
    pub isolate_container_nodes: bool,
    /// `EC2_FORENSICS_ACCESS`: the rules of the group into which an isolated interface is put, so that it can be
    /// examined. Empty: nothing gets in or out.
    pub forensics_access: Vec<ForensicsRule>,
    /// See [`IamSettings::never_contain`]: these roles get no deny for an instance either.
    pub never_contain: Vec<String>,
}

/// The response to a member of an Auto Scaling group, which would otherwise terminate it when it fails its health
/// check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoScaling {
    /// Taken out of the group, which replaces it.
    #[default]
    Detach,
    /// Put on standby: still in the group, easier to put back.
    Standby,
    /// Left in the group.
    Keep,
}
