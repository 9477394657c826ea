//! The one finding that a command is about, from a file or standard input.

use std::io::Read as _;
use std::path::Path;

use remediation::error::{Error, Result};
use remediation::finding::{DETAIL_TYPE, Finding, detail_of, split};
use serde_json::{Value, json};

/// A finding, and the event that a function would get.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) finding: Finding,
    pub(crate) event: Value,
}

/// Reads the finding in `path`; `-` is standard input.
///
/// # Errors
/// With the path, if it cannot be read or holds anything but one finding.
pub(crate) fn read(path: &Path) -> std::result::Result<Subject, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut text);
        read.map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| named(&error))?;
    subject(&text).map_err(|error| named(&error))
}

fn subject(text: &str) -> Result<Subject> {
    let document = one(text)?;
    let of_event = |member: &str| document.get("detail").and(document.get(member));
    let mut event = json!({
        "source": of_event("source").unwrap_or(&json!("aws.guardduty")),
        "detail-type": DETAIL_TYPE,
        "detail": detail_of(&document)?,
    });
    for member in ["time", "account", "region"] {
        if let Some(value) = of_event(member) {
            event[member] = value.clone();
        }
    }
    let finding = Finding::parse(&event)?;
    Ok(Subject { finding, event })
}

/// The one document in `text` that may be a finding.
///
/// # Errors
/// For what is no JSON, and for none or several.
pub(crate) fn one(text: &str) -> Result<Value> {
    let document = serde_json::from_str(text)
        .map_err(|error| Error::malformed("document", format!("not JSON: {error}")))?;
    let mut findings = split(document);
    match findings.len() {
        1 => Ok(findings.swap_remove(0)),
        count => Err(Error::malformed(
            "document",
            format!("has {count} findings, and one is needed"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let read = subject(&document.to_string()).unwrap();
            assert_eq!(read.event["detail"]["id"], detail()["id"]);
            assert_eq!(read.finding.region, "eu-west-1");
            assert!(!read.finding.is_drill());
        }
        assert_eq!(subject(&event.to_string()).unwrap().event, event);
    }

    #[test]
    fn a_drill_stays_one() {
        let drill = json!({
            "source": "guardduty-responder.drill", "detail-type": DETAIL_TYPE, "detail": detail(),
        });
        assert!(subject(&drill.to_string()).unwrap().finding.is_drill());
    }

    #[test]
    fn anything_but_one_finding_is_told() {
        for (text, told) in [
            ("{", "not JSON"),
            ("[]", "has 0 findings"),
            ("[{}, {}]", "has 2 findings"),
            ("{}", "missing"),
        ] {
            let error = subject(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
