//! Findings for unit tests.

pub(crate) use sample_findings::{attack, event, user_detail};
use serde_json::Value;

use crate::finding::Finding;

/// The finding of [`event`].
pub(crate) fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}
