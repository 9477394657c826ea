//! The findings in a block of text.

use std::ops::Range;

use remediation::finding::{self, Finding};
use serde_json::Value;

use super::cut::{Block, newlines, not_json};

/// Where a finding was read from.
pub(crate) struct Place<'a> {
    /// The line of the file that it begins in.
    pub(crate) line: u64,
    /// Which one of a list it is, for the beginning of a complaint.
    pub(crate) which: &'a str,
    document: Document<'a>,
}

enum Document<'a> {
    Text(&'a [u8]),
    Read(&'a Value),
    None,
}

impl Place<'_> {
    /// What the finding was read from.
    pub(crate) fn document(&self) -> Option<Value> {
        match self.document {
            Document::Text(text) => serde_json::from_slice(text).ok(),
            Document::Read(document) => Some(document.clone()),
            Document::None => None,
        }
    }

    /// The same, as an event's detail.
    pub(crate) fn detail(&self) -> Option<Value> {
        finding::detail_of(&self.document()?).ok()
    }
}

/// A file and a line of it, as compilers write it; a file that cannot be read has no lines.
pub(crate) fn place(file: &str, line: u64) -> String {
    match line {
        0 => file.to_owned(),
        line => format!("{file}:{line}"),
    }
}

/// Reads the findings of a block, in its order, and hands each to `take`, or what is wrong.
pub(crate) fn each(block: &Block, mut take: impl FnMut(&Place<'_>, Result<Finding, String>)) {
    for piece in &block.pieces {
        let nowhere = Place {
            line: piece.line,
            which: "",
            document: Document::None,
        };
        match &piece.content {
            Ok(range) => in_piece(block, piece.line, range, &mut take),
            Err(problem) => take(&nowhere, Err(problem.clone())),
        }
    }
}

/// What is in a piece of text: a finding, as a rule.
fn in_piece(
    block: &Block,
    line: u64,
    range: &Range<usize>,
    take: &mut impl FnMut(&Place<'_>, Result<Finding, String>),
) {
    let text = &block.text[range.clone()];
    let place = |line, document| Place {
        line,
        which: "",
        document,
    };
    if let Err(error) = str::from_utf8(text) {
        let valid = error.valid_up_to();
        let problem = format!(
            "not JSON: invalid UTF-8 at byte {} of the value, save the file as UTF-8",
            valid + 1
        );
        let line = line + newlines(&text[..valid]);
        return take(&place(line, Document::None), Err(problem));
    }
    if let Ok(finding) = Finding::read_slice(text) {
        return take(&place(line, Document::Text(text)), Ok(finding));
    }
    for value in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
        let findings = match value {
            Ok(value) => finding::split(value),
            Err(error) => {
                let line = line + (error.line() as u64).saturating_sub(1);
                return take(&place(line, Document::None), Err(not_json(&error)));
            }
        };
        let several = findings.len() > 1;
        for (index, document) in findings.iter().enumerate() {
            let which = if several {
                format!("finding {} of the list: ", index + 1)
            } else {
                String::new()
            };
            let place = Place {
                line,
                which: &which,
                document: Document::Read(document),
            };
            let finding = Finding::read(document);
            take(&place, finding.map_err(|error| format!("{which}{error}")));
        }
    }
}
