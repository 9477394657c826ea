//! A document that was fetched, and of which time its findings are.

use jiff::Timestamp;

/// How many documents are requested in parallel.
pub(super) const AT_ONCE: usize = 8;

/// Findings that were updated in this time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Period {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// A fetched document: its name, and its text or the error.
pub(super) struct Fetched {
    pub(super) name: String,
    pub(super) text: Result<Vec<u8>, String>,
    pub(super) last_known_only: bool,
}

impl Fetched {
    pub(super) fn failed(name: impl Into<String>, problem: String) -> Self {
        Self {
            name: name.into(),
            text: Err(problem),
            last_known_only: false,
        }
    }
}
