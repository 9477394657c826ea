//! Findings and settings for unit tests.

use jiff::Timestamp;
use model::decision::{ResponseMode, ResponseSettings};
use model::finding::Finding;
use sample_findings::{NOW, event, user_detail};
use serde_json::Value;

/// Settings by which everything is contained.
pub(crate) static ENFORCING: ResponseSettings = ResponseSettings {
    dry_run: false,
    mode: ResponseMode::Contain,
    minimum_severity: Some(0.0),
    approval_not_needed_from: None,
    own_account: None,
    responder_roles: Vec::new(),
    never_contain: Vec::new(),
};

/// The time at which the findings of these tests come in.
pub(crate) fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// The finding of [`event`].
pub(crate) fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}

/// A finding that an access key of an IAM user was used from a malicious address.
pub(crate) fn user_finding(name: &str) -> Finding {
    finding(user_detail(name))
}
