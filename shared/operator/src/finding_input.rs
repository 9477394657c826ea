//! The one finding that a command is about, from a file or standard input, in any form that `gdr explain` reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;
use remediation::error::Result;
use remediation::finding::{DETAIL_TYPE, Finding, detail_of, printable};
use serde_json::{Value, json};

use crate::findings::parse::{self, JsonText};
use crate::findings::source;

/// A finding, and the event that a function would get.
#[derive(Debug)]
pub(crate) struct FindingInput {
    pub(crate) finding: Finding,
    pub(crate) event: Value,
}

/// Reads the finding in `path`; `-` is standard input.
///
/// # Errors
/// With the path, if it cannot be read or holds anything but one finding.
pub(crate) fn read(path: &Path) -> std::result::Result<FindingInput, String> {
    let document = document(path)?;
    subject(&document).map_err(|error| named(path, &error))
}

/// The one document in `path` that is a finding.
///
/// # Errors
/// As [`read`].
pub(crate) fn document(path: &Path) -> std::result::Result<Value, String> {
    let paths = vec![PathBuf::from(path)];
    let documents = source::documents(paths, ProgressBar::hidden(), Arc::default());
    one(source::values(documents)).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> String {
    printable(&format!("{}: {error}", path.display()))
}

fn one(values: impl Iterator<Item = JsonText>) -> std::result::Result<Value, String> {
    let (mut first, mut count) = (None, 0_usize);
    for json in values {
        parse::each(&json, |position, finding| {
            count += 1;
            first.get_or_insert_with(|| match finding {
                Ok(_) => position.document().ok_or_else(|| "not JSON".to_owned()),
                Err(error) if position.line == 0 => Err(error),
                Err(error) => Err(format!("line {}: {error}", position.line)),
            });
        });
    }
    match first {
        Some(found) if count == 1 => found,
        _ => Err(format!("has {count} findings, and one is needed")),
    }
}

fn subject(document: &Value) -> Result<FindingInput> {
    let of_event = |member: &str| document.get("detail").and(document.get(member));
    let mut event = json!({
        "source": of_event("source").unwrap_or(&json!("aws.guardduty")),
        "detail-type": DETAIL_TYPE,
        "detail": detail_of(document)?,
    });
    for member in ["time", "account", "region"] {
        if let Some(value) = of_event(member) {
            event[member] = value.clone();
        }
    }
    let finding = Finding::parse(&event)?;
    Ok(FindingInput { finding, event })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn subject_of(bytes: &[u8]) -> std::result::Result<FindingInput, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("finding");
        fs::write(&path, bytes).expect("a file");
        let read = read(&path);
        if let Err(error) = &read {
            assert!(error.starts_with(&path.display().to_string()), "{error}");
        }
        read
    }

    fn compressed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("compressed");
        encoder.finish().expect("compressed")
    }

    fn detail() -> Value {
        json!({
            "schemaVersion": "2.0", "id": "0123456789abcdef0123456789abcdef", "accountId": "111122223333",
            "region": "eu-west-1", "type": "Recon:IAMUser/TorIPCaller", "severity": 5,
            "resource": { "resourceType": "AccessKey" }, "service": {},
        })
    }

    #[test]
    fn every_form_becomes_the_event_that_a_function_would_get() {
        let event = json!({
            "source": "aws.guardduty", "detail-type": DETAIL_TYPE, "time": "2026-01-02T03:04:05Z",
            "region": "us-east-1", "detail": detail(),
        });
        let list = json!({ "Findings": [detail()] });
        for document in [event.clone(), detail(), list, json!([detail()])] {
            let text = document.to_string();
            let indented = serde_json::to_string_pretty(&document).expect("JSON");
            for bytes in [text.as_bytes(), indented.as_bytes(), &compressed(&text)] {
                let read = subject_of(bytes).unwrap();
                assert_eq!(read.event["detail"]["id"], detail()["id"]);
                assert_eq!(read.finding.region, "eu-west-1");
                assert!(!read.finding.is_drill());
            }
        }
        assert_eq!(
            subject_of(event.to_string().as_bytes()).unwrap().event,
            event
        );
        let api = json!({ "Findings": [{
            "SchemaVersion": "2.0", "Id": "0123", "AccountId": "111122223333", "Region": "eu-west-1",
            "Type": "Recon:IAMUser/TorIPCaller", "Severity": 5,
            "Resource": { "ResourceType": "AccessKey" }, "Service": {},
        }] });
        let read = subject_of(api.to_string().as_bytes()).unwrap();
        assert_eq!(read.event["detail"]["accountId"], "111122223333");
    }

    #[test]
    fn a_finding_that_was_relayed_becomes_the_event_that_it_was() {
        let event = json!({
            "source": "aws.guardduty", "detail-type": DETAIL_TYPE, "time": "2026-01-02T03:04:05Z",
            "account": "111122223333", "region": "us-east-1", "detail": detail(),
        });
        let notification = json!({ "Type": "Notification", "Message": event.to_string() });
        for wrapped in [
            json!({ "Records": [{ "EventSource": "aws:sns", "Sns": notification }] }),
            json!({ "Records": [{ "eventSource": "aws:sqs", "body": notification.to_string() }] }),
            json!({ "Messages": [{ "Body": event.to_string() }] }),
        ] {
            let read = subject_of(wrapped.to_string().as_bytes()).unwrap();
            assert_eq!(read.event, event);
        }
        let mut without = event.clone();
        without["detail"]["accountId"] = json!(null);
        let read = subject_of(without.to_string().as_bytes()).unwrap();
        assert_eq!(read.event, event);
    }

    #[test]
    fn a_drill_stays_one() {
        let drill = json!({
            "source": "guardduty-responder.drill", "detail-type": DETAIL_TYPE, "detail": detail(),
        });
        assert!(
            subject_of(drill.to_string().as_bytes())
                .unwrap()
                .finding
                .is_drill()
        );
    }

    #[test]
    fn input_with_no_or_several_findings_is_refused_with_its_number() {
        for (text, told) in [
            ("{", "line 1: the JSON value is not complete"),
            ("id", "not JSON"),
            ("[]", "has 0 findings"),
            ("[{}, {}]", "has 2 findings"),
            ("{}", "missing"),
        ] {
            let error = subject_of(text.as_bytes()).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
