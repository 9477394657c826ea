//! The output for a value of a document: rows as JSON or in columns, and how many of each kind.

use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use remediation::finding::printable;
use serde::Serialize;

use super::row::{Failure, Row, Rules, Verdict};
use super::table::Table;
use crate::findings::parse::{self, JsonText};
use crate::output::Format;

/// The answer for a value of a document.
pub(super) struct Explained {
    /// For standard output.
    pub(super) rows: Vec<u8>,
    /// For standard error, where errors are not rows.
    pub(super) complaints: Vec<String>,
    pub(super) counts: Counts,
    file: Arc<str>,
    format: Format,
    table: Table,
}

/// How many findings were answered how.
#[derive(Default)]
pub(super) struct Counts {
    contain: u64,
    notify: u64,
    ignore: u64,
    pub(super) errors: u64,
}

impl Counts {
    /// True if there was neither a finding nor an error.
    pub(super) fn is_nothing(&self) -> bool {
        self.contain + self.notify + self.ignore + self.errors == 0
    }
}

impl Explained {
    /// Explains the findings of a value.
    pub(super) fn new(json: &JsonText, rules: &Rules, format: Format, table: Table) -> Self {
        let mut answer = Self {
            rows: Vec::new(),
            complaints: Vec::new(),
            counts: Counts::default(),
            file: Arc::clone(&json.file),
            format,
            table,
        };
        parse::each(json, |position, finding| match finding {
            Ok(finding) => answer.row(&Row::new(&answer.file, &finding, rules)),
            Err(error) => answer.fail(position.line, error),
        });
        answer
    }

    fn row(&mut self, row: &Row) {
        match row.decision {
            Verdict::Contain => self.counts.contain += 1,
            Verdict::Notify => self.counts.notify += 1,
            Verdict::Ignore => self.counts.ignore += 1,
        }
        match self.format {
            Format::Json => self.json(row),
            Format::Table => self.rows.extend(self.table.line(row).into_bytes()),
        }
    }

    fn fail(&mut self, line: u64, error: String) {
        self.counts.errors += 1;
        let file = Arc::clone(&self.file);
        match self.format {
            Format::Json => self.json(&Failure { file, line, error }),
            Format::Table => self.complaints.push(printable(&format!(
                "{}: {error}",
                parse::place(&file, line)
            ))),
        }
    }

    fn json(&mut self, line: &impl Serialize) {
        // Nothing in a row cannot be written as JSON, and a vector takes whatever is written.
        serde_json::to_writer(&mut self.rows, line).expect("a row is JSON");
        self.rows.push(b'\n');
    }
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, more: &Counts) {
        self.contain += more.contain;
        self.notify += more.notify;
        self.ignore += more.ignore;
        self.errors += more.errors;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            contain,
            notify,
            ignore,
            errors,
        } = self;
        let findings = contain + notify + ignore;
        write!(
            f,
            "findings: {findings} (contain {contain}, notify {notify}, ignore {ignore}), \
             errors: {errors}"
        )
    }
}
