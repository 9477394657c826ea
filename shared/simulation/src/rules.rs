//! The settings that are rehearsed.

use jiff::Timestamp;
use serde::Serialize;

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
