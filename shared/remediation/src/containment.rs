//! The result of dealing with one delivery.

use jiff::Timestamp;
use serde_json::Value;

use crate::breaker::Page;
use crate::category::Category;
use crate::claims::Claims;
use crate::delivery::Delivery;
use crate::error::Error;
use crate::finding::Finding;
use crate::guidance;
use crate::investigation::{Investigation, from_finding};
use crate::record::TargetState;
use crate::report::{Obstacle, Outcome, Report, Status, StepReport};
use crate::session;
use aws::playbook::Playbook;

/// The result of dealing with one delivery.
pub(crate) struct Containment {
    pub(crate) report: Report,
    /// The claims that are to be ended when all is recorded.
    pub(crate) claims: Claims,
    /// The failure for which Lambda is to try again.
    pub(crate) retryable: Option<Error>,
    /// The evidence that was collected afterwards.
    pub(crate) post_evidence: Value,
    /// True if anything could be planned. If not, the targets are as they were.
    pub(crate) planned: bool,
    /// When it was known what to do.
    pub(crate) planned_at: Option<Timestamp>,
    /// When something contains the target, as read back.
    pub(crate) contained_at: Option<Timestamp>,
    /// Set if the breaker let nothing through: whether a notice is sent.
    pub(crate) breaker_alert: Option<Page>,
    /// Set if what could not be done now can be done later.
    pub(crate) postponement: Option<Postponement>,
    /// A window of the breaker had no room.
    pub(crate) breaker_open: bool,
    /// A part of an attack sequence was refused by its function for good.
    pub(crate) not_handed_over: bool,
}

/// A later delivery of an event, or of another in its place.
pub(crate) struct Postponement {
    /// Why.
    pub(crate) why: String,
    /// The event that is to come. `None`: the event itself.
    pub(crate) event: Option<Value>,
    /// The report tells what is of interest until then, and not only that the event was put off.
    pub(crate) tells: bool,
    /// The targets about which the record is to await it.
    pub(crate) awaited: Vec<String>,
}

impl Containment {
    /// An answer without anything having been planned.
    pub(crate) fn answer(report: Report) -> Self {
        Self {
            report,
            claims: Claims::default(),
            retryable: None,
            post_evidence: Value::Null,
            planned: false,
            planned_at: None,
            contained_at: None,
            breaker_alert: None,
            postponement: None,
            breaker_open: false,
            not_handed_over: false,
        }
    }

    /// The answer that this failed before anything could be planned.
    pub(crate) fn failed<P: Playbook>(
        finding: &Finding,
        obstacle: Obstacle,
        error: &Error,
        dry_run: bool,
    ) -> Self {
        let mut report = Report::prevented(P::CATEGORY, finding, obstacle, error, dry_run);
        attach_investigation(&mut report, from_finding(finding));
        advise(&mut report, P::CATEGORY, finding);
        Self {
            retryable: Some(error.clone()).filter(Error::is_transient),
            ..Self::answer(report)
        }
    }

    /// The answer that the finding is left to the on-call engineer, for this reason. `None` for `playbook`: nothing
    /// can look at the finding's account.
    pub(crate) async fn notified<P: Playbook>(
        playbook: Option<&P>,
        delivery: &Delivery<'_>,
        why: String,
        dry_run: bool,
    ) -> Self {
        let finding = delivery.finding;
        let mut report = Report::notified(P::CATEGORY, finding, why, dry_run);
        let investigation = match playbook {
            Some(playbook) => session::investigate(playbook, &delivery.inquiry(), None).await,
            None => from_finding(finding),
        };
        attach_investigation(&mut report, investigation);
        advise(&mut report, P::CATEGORY, finding);
        Self::answer(report)
    }

    /// The same, to be dealt with again later.
    pub(crate) fn postponed(self, postponement: Option<Postponement>) -> Self {
        Self {
            postponement,
            ..self
        }
    }
}

/// Adds what was found out, which changes neither the status nor the steps.
pub(crate) fn attach_investigation(report: &mut Report, investigation: Investigation) {
    report.investigation = investigation.answers;
    report.next_steps.extend(investigation.leads);
}

/// Adds the advice for the kind of finding. Advice how to contain would only confuse where it was contained.
pub(crate) fn advise(report: &mut Report, category: Category, finding: &Finding) {
    let advice = match report.status() {
        Status::Contained | Status::AlreadyContained => guidance::questions(category, finding),
        _ => guidance::next_steps(category, finding),
    };
    report.next_steps.extend(advice);
    let whole = guidance::whole_account(category, finding, &report.investigation);
    report.next_steps.extend(whole);
}

/// The state of the targets for the record. `None`: they are as they were.
pub(crate) fn target_state(report: &Report) -> Option<TargetState> {
    let applied = |step: &StepReport| step.outcome() == Outcome::Applied;
    match report.status() {
        Status::Contained | Status::AlreadyContained => Some(TargetState::Contained),
        Status::Partial => Some(TargetState::Partial),
        Status::Failed => Some(TargetState::Failed),
        // Evidence was secured, and containing was left to the on-call engineer.
        Status::Notified if report.steps().iter().any(applied) => Some(TargetState::Withheld),
        Status::Ignored
        | Status::Notified
        | Status::DryRun
        | Status::Rejected
        | Status::Released => None,
    }
}
