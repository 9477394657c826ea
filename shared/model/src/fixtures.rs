//! Findings for unit tests.

pub(crate) use sample_findings::{attack, event, user_detail};
use serde_json::Value;

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
