//! Findings for unit tests.

pub(crate) use sample_findings::{attack, event, user_detail};
use serde_json::Value;

use crate::decision::{ResponseMode, ResponseSettings};
use crate::finding::Finding;
use crate::investigation::{Answer, Investigation, Question};

/// The finding of [`event`].
pub(crate) fn finding(changes: Value) -> Finding {
    Finding::parse(&event(changes)).expect("a finding")
}

/// A finding that an access key of an IAM user was used from a malicious address.
pub(crate) fn user_finding(name: &str) -> Finding {
    finding(user_detail(name))
}

/// The answer to a question.
pub(crate) fn answered(investigation: &Investigation, question: Question) -> &Answer {
    let mut answers = investigation.answers.iter();
    let answer = answers.find(|answer| answer.question() == question);
    answer.unwrap_or_else(|| panic!("no {question}: {investigation:#?}"))
}

/// Settings by which everything of medium severity is contained, but for this principal.
pub(crate) fn containing_but_for(exempt: &str) -> ResponseSettings {
    ResponseSettings {
        dry_run: false,
        mode: ResponseMode::Contain,
        minimum_severity: Some(4.0),
        approval_not_needed_from: None,
        own_account: Some("111122223333".to_owned()),
        responder_roles: vec!["gdr-IamResponderRole-ABC".to_owned()],
        never_contain: vec![exempt.to_owned()],
    }
}
