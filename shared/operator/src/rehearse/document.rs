//! What is written: the report, what could not be read, and where it comes from.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use remediation::finding::printable;
use remediation::rehearsal::Report;
use serde::Serialize;

/// The JSON document.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// The version of `gdr`.
    pub(super) version: &'static str,
    pub(super) rehearsed_at: Timestamp,
    #[serde(flatten)]
    pub(super) report: Report,
    pub(super) unreadable: Vec<Unreadable>,
}

/// Something that is not a finding, or not a usable one.
#[derive(Debug, Serialize)]
pub(super) struct Unreadable {
    pub(super) file: Arc<str>,
    /// From 1; 0 for the file as a whole.
    pub(super) line: u64,
    pub(super) error: String,
}

impl Document {
    pub(super) fn new(
        report: Report,
        unreadable: Vec<Unreadable>,
        rehearsed_at: Timestamp,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            rehearsed_at,
            report,
            unreadable,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, error } = self;
        f.write_str(&printable(&format!("{file}:{line}: {error}")))
    }
}
