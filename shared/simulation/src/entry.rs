//! The response to a target.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::evaluation::{FindingSummary, Step, StepVerdict, Target};
use model::breaker::BREAKER;
use model::category::Category;
use model::plan::Phase;

/// The outcome for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Contained.
    Contained,
    /// Planned, until an approver approves it.
    AwaitsApproval,
    /// Withheld by policies.
    Withheld,
    /// Withheld by the breaker.
    Breaker,
}

/// Something that would have happened to a target. A repetition is counted, and makes no entry.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The outcome.
    pub outcome: Outcome,
    /// The function.
    pub function: Category,
    /// The account of the target.
    pub account_id: String,
    /// The Region of the finding.
    pub region: String,
    /// `User`, `Role`, `Bucket`, `Instance` or `Account`.
    pub kind: &'static str,
    /// The target's ARN; the ARN of a user or role is without its path, which findings do not have.
    pub resource: String,
    /// The target's name, or the id of an instance.
    pub name: String,
    /// The contained target, by the name in the record: `user/alice/AKIA…`.
    pub target: String,
    /// Who acted, if the finding is about calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The finding.
    pub finding_id: String,
    /// Its type.
    pub finding_type: String,
    /// Its severity at that time.
    pub severity: f64,
    /// The ids of the policies that decide, or `breaker`.
    pub by: Vec<String>,
    /// Why it is not contained.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Contained before, and again for newer activity.
    pub again: bool,
    /// Some of what contains is withheld.
    pub partial: bool,
    /// The values that only observing shows, and that would change this.
    pub depends_on: Vec<String>,
    /// The steps.
    pub steps: Vec<Step>,
    /// How many findings this answers.
    pub findings: usize,
    /// How many events.
    pub events: usize,
    /// When the last of them came.
    pub last: Timestamp,
}

/// A target: its function, its account, and its name in the record.
pub(super) type Key = (Category, String, String);

/// An event at a function.
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) function: Category,
    pub(super) finding: Arc<FindingSummary>,
    /// The finding's number.
    pub(super) number: u32,
}

impl Event {
    pub(super) fn key(&self, target: &Target) -> Key {
        let account = self.finding.account_id.clone();
        (self.function, account, target.place.clone())
    }

    pub(super) fn entry(
        &self,
        target: Target,
        outcome: Outcome,
        by: Vec<String>,
        full: Option<&str>,
        again: bool,
    ) -> Entry {
        let partial = outcome == Outcome::Contained && target.is_partial();
        let depends_on: BTreeSet<_> = target
            .steps
            .iter()
            .filter(|step| step.phase == Phase::Contain)
            .flat_map(|step| step.depends_on.clone())
            .collect();
        let reason = match outcome {
            Outcome::Contained => String::new(),
            Outcome::Breaker => full.unwrap_or_default().to_owned(),
            Outcome::AwaitsApproval | Outcome::Withheld => reasons(&target),
        };
        let finding = &self.finding;
        Entry {
            at: self.at,
            outcome,
            function: self.function,
            account_id: finding.account_id.clone(),
            region: finding.region.clone(),
            kind: target.kind.as_str(),
            resource: target.arn,
            name: target.name,
            target: target.place,
            actor: finding.actor.clone(),
            finding_id: finding.id.clone(),
            finding_type: finding.finding_type.clone(),
            severity: finding.severity,
            by,
            reason,
            again,
            partial,
            depends_on: depends_on.into_iter().collect(),
            steps: target.steps,
            findings: 1,
            events: 1,
            last: self.at,
        }
    }
}

/// The policies that make an outcome what it is.
pub(super) fn deciding(outcome: Outcome, target: &Target) -> Vec<String> {
    let verdict = match outcome {
        Outcome::Breaker => return vec![BREAKER.to_owned()],
        Outcome::Contained => StepVerdict::Permitted,
        Outcome::AwaitsApproval => StepVerdict::AwaitsApproval,
        Outcome::Withheld => StepVerdict::Withheld,
    };
    let steps = target.steps.iter();
    let by: BTreeSet<_> = steps
        .filter(|step| step.phase == Phase::Contain && step.verdict == verdict)
        .flat_map(|step| step.by.clone())
        .collect();
    by.into_iter().collect()
}

fn reasons(target: &Target) -> String {
    let reasons: BTreeSet<_> = target
        .steps
        .iter()
        .filter(|step| step.phase == Phase::Contain && !step.reason.is_empty())
        .map(|step| step.reason.as_str())
        .collect();
    reasons.into_iter().collect::<Vec<_>>().join("; ")
}
