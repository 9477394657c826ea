//! The output: the report, the unreadable input, and the sources of both.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use remediation::finding::printable;
use serde::Serialize;
use simulation::Report;

use super::rule_sources::{Policies, RuleSources};
use crate::findings::parse;

/// The JSON document.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// The version of `gdr`.
    pub(super) version: &'static str,
    pub(super) rehearsed_at: Timestamp,
    #[serde(flatten)]
    pub(super) report: Report,
    pub(super) policies: Policies,
    /// The source of the settings, for the reader.
    pub(super) settings_from: String,
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
        mut report: Report,
        rule_sources: RuleSources,
        unreadable: Vec<Unreadable>,
        rehearsed_at: Timestamp,
    ) -> Self {
        report.remarks.splice(0..0, rule_sources.remarks);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            rehearsed_at,
            report,
            policies: rule_sources.policies,
            settings_from: rule_sources.settings_from,
            unreadable,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, error } = self;
        f.write_str(&printable(&format!(
            "{}: {error}",
            parse::place(file, *line)
        )))
    }
}
