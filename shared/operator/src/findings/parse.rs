//! The findings in a JSON value of a document.

use std::sync::Arc;

use remediation::finding::{self, Finding};
use serde_json::Value;

use super::json_stream::{newlines, not_json};

/// A JSON value of a document, not parsed yet.
pub(crate) struct JsonText {
    /// The name of the document.
    pub(crate) file: Arc<str>,
    /// The line that it begins in, from 1; 0 for the file as a whole.
    pub(crate) line: u64,
    /// The text, or what is wrong.
    pub(crate) text: Result<Vec<u8>, String>,
    /// The findings are as GuardDuty has them now, not as they were sent.
    pub(crate) last_known_only: bool,
}

/// The place that a finding was read from.
pub(crate) struct Position<'a> {
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

impl Position<'_> {
    /// The document of the finding.
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

/// Reads the findings of a value, in its order, and hands each to `take`, or what is wrong.
pub(crate) fn each(json: &JsonText, mut take: impl FnMut(&Position<'_>, Result<Finding, String>)) {
    let position = |line, document| Position {
        line,
        which: "",
        document,
    };
    let text = match &json.text {
        Ok(text) => text,
        Err(problem) => return take(&position(json.line, Document::None), Err(problem.clone())),
    };
    if let Err(error) = str::from_utf8(text) {
        let valid = error.valid_up_to();
        let problem = format!(
            "not JSON: invalid UTF-8 at byte {} of the value, save the file as UTF-8",
            valid + 1
        );
        let line = json.line + newlines(&text[..valid]);
        return take(&position(line, Document::None), Err(problem));
    }
    if let Ok(finding) = Finding::read_slice(text) {
        return take(&position(json.line, Document::Text(text)), Ok(finding));
    }
    for value in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
        let findings = match value {
            Ok(value) => finding::split(value),
            Err(error) => {
                let line = json.line + (error.line() as u64).saturating_sub(1);
                return take(&position(line, Document::None), Err(not_json(&error)));
            }
        };
        let several = findings.len() > 1;
        for (index, document) in findings.iter().enumerate() {
            let which = if several {
                format!("finding {} of the list: ", index + 1)
            } else {
                String::new()
            };
            let position = Position {
                line: json.line,
                which: &which,
                document: Document::Read(document),
            };
            let finding = Finding::read(document);
            take(
                &position,
                finding.map_err(|error| format!("{which}{error}")),
            );
        }
    }
}
