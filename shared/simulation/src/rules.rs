//! The settings that are rehearsed.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::breaker::GroupSize;
use model::breaker::Limits;
use model::decision::{ResponseMode, ResponseSettings};
use model::settings::Settings;

/// The policies of the default ones that only carry a setting out.
pub(super) const OF_SETTINGS: [&str; 2] = ["minimum-severity", "response-mode"];

/// The policy flags of the functions that contain, by the names of the stack's parameters.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Modes {
    /// `S3Response`.
    pub s3: ResponseMode,
    /// `IamResponse`.
    pub iam: ResponseMode,
    /// `Ec2Response`.
    pub ec2: ResponseMode,
    /// `LambdaResponse`.
    pub lambda: ResponseMode,
}

/// The settings that are rehearsed.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The settings of the decision; the mode is that of [`Rules::modes`].
    pub policy: ResponseSettings,
    /// The flags of the functions.
    pub modes: Modes,
    /// How far the playbooks go.
    pub settings: Settings,
    /// The limits of the breaker.
    pub limits: Limits,
    /// `HandOverSequences`.
    pub hand_over: bool,
    /// Takes an archived finding for one that is not.
    pub archived: bool,
    /// Events before this time did not come.
    pub since: Option<Timestamp>,
    /// Nor did those from this time on.
    pub until: Option<Timestamp>,
    /// How large a crowd is, where that is known.
    pub sizes: Vec<GroupSize>,
}

impl Rules {
    /// The settings, by the names of the stack's parameters.
    pub(super) fn by_parameter(&self) -> Value {
        let settings = &self.settings;
        let forensics_access = settings.ec2.forensics_access.iter();
        let forensics_access: Vec<_> = forensics_access.map(ToString::to_string).collect();
        json!({
            "S3Response": self.modes.s3,
            "IamResponse": self.modes.iam,
            "Ec2Response": self.modes.ec2,
            "LambdaResponse": self.modes.lambda,
            "MinimumSeverity": self.policy.minimum_severity,
            "ApprovalNotNeededFrom": self.policy.approval_not_needed_from,
            "NeverContain": self.policy.never_contain,
            "MaxContainments": self.limits.containments,
            "LimitWindowMinutes": self.limits.window.as_mins(),
            "MaxSharePercent": self.limits.share_percent,
            "HandOverSequences": self.hand_over,
            "S3AccountBlock": settings.s3.account_block,
            "S3PolicyDeny": settings.s3.policy_deny,
            "S3QuarantineObjects": self.policy.quarantine_objects,
            "IamUserSessionKeys": settings.iam.user_session_keys,
            "IamCreatedKeys": settings.iam.created_keys,
            "IamRoleWide": settings.iam.role_wide,
            "IamMarkContained": settings.iam.mark_contained,
            "Ec2AutoScaling": settings.ec2.auto_scaling,
            "Ec2CutConnectionsSeconds": settings.ec2.cut_connections_seconds,
            "Ec2ShortenTimeouts": settings.ec2.shorten_timeouts,
            "Ec2RemovePublicAddress": settings.ec2.remove_public_address,
            "Ec2DisableMetadata": settings.ec2.disable_metadata,
            "Ec2ContainerNodes": settings.ec2.isolate_container_nodes,
            "Ec2ForensicsAccess": forensics_access.join(", "),
        })
    }
}
