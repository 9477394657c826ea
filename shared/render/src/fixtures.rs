//! Findings for unit tests.

use model::finding::Finding;
pub(crate) use sample_findings::{event, user_detail};
use serde_json::Value;

/// The finding of [`event`].
pub(crate) fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}
