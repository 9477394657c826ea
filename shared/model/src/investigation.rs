//! The facts about a finding: the first questions of an investigation, answered as data.
//!
//! The questions are those of the remediation pages of the GuardDuty user guide,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-creds.html>: who called what, when and from where, has
//! the principal done so before, what may it do, was the bucket meant to be public. They are asked after the
//! containment, whose outcome they cannot change: a history of calling an API does not make a known-bad call a good
//! one. All of it reads only, and within a set time; a missing answer is an answer too, which says why and what to do
//! instead.
//!
//! Here is the pure half: the questions and answers as data, and what the finding itself says.

pub mod afterwards;
mod anomaly_model;
mod answer;
mod facts;
mod owner;
pub mod privilege;

pub use self::answer::{Answer, Investigation, Question, THE_FINDING};
pub use self::answer::{listed, reason};
use crate::finding::Finding;

/// The finding's own facts, without a call.
pub fn from_finding(finding: &Finding) -> Investigation {
    let mut answers = facts::answers(finding);
    answers.extend(anomaly_model::answer(finding));
    answers.extend(owner::question(finding));
    anomaly_model::fill_in(finding, &mut answers);
    Investigation {
        answers,
        leads: Vec::new(),
    }
}

impl Investigation {
    /// Adds what a playbook `found`. It counts more than the anomaly model of GuardDuty.
    pub fn merge(&mut self, finding: &Finding, found: Self) {
        let is_anew = |answer: &Answer| {
            let anew = |other: &Answer| other.question() == answer.question();
            found.answers.iter().any(anew) && anomaly_model::QUESTIONS.contains(&answer.question())
        };
        self.answers.retain(|answer| !is_anew(answer));
        self.answers.extend(found.answers);
        self.leads = found.leads;
        anomaly_model::fill_in(finding, &mut self.answers);
    }
}

/// True if an answer says that the principal may do everything, or may give itself every permission.
pub fn tells_of_administrator(answers: &[Answer]) -> bool {
    let mut permissions = answers
        .iter()
        .filter(|it| it.question() == Question::Permissions);
    permissions.any(|answer| privilege::tells_of_administrator(answer.answer()))
}

#[cfg(test)]
mod tests;
