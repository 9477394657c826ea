//! The conclusion of a containment: its report, what awaits approval, and what is found out once all is read back.

use jiff::Timestamp;

use crate::admit::Admission;
use crate::approve::{self, Waiting};
use crate::breaker::Page;
use crate::cloudtrail::afterwards::Afterwards;
use crate::containment::{Containment, advise, attach_investigation};
use crate::error::Error;
use crate::execute::Execution;
use crate::investigation::{Investigation, from_finding};
use crate::postpone;
use crate::report::{Outcome, Report, Status, StepReport};
use crate::session::{self, Services, Session};
use aws::playbook::Playbook;

/// A plan that was executed.
pub(crate) struct Executed<'a, P: Playbook> {
    /// The decision: the target, and why it is contained.
    pub(crate) what: String,
    /// The fullest observation before anything was changed.
    pub(crate) state: &'a P::State,
    pub(crate) execution: Execution<P::Action>,
    pub(crate) admission: Admission,
    /// The calls with the credential that CloudTrail shows afterwards, if that was looked at.
    pub(crate) afterwards: Option<Afterwards>,
    pub(crate) planned_at: Timestamp,
    /// Why the policies could not be read, if a retry may not meet it.
    pub(crate) unread_policies: Option<Error>,
}

/// The news that a delivery turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followup {
    /// A finding, as it came in.
    New,
    /// A recheck of a containment that is in effect.
    Stands,
    /// Somebody undid a containment.
    Reverted,
    /// CloudTrail shows that the contained credential still works.
    NotHeld,
}

/// Reports what was executed, stores what awaits approval, and investigates.
pub(crate) async fn conclude<P: Playbook>(
    services: &Services<'_>,
    session: &Session<'_, P>,
    executed: Executed<'_, P>,
) -> Containment {
    let Executed {
        what,
        state,
        execution,
        admission,
        afterwards,
        planned_at,
        unread_policies,
    } = executed;
    let still_works = afterwards.as_ref().filter(|it| it.not_held().is_some());
    let mut report = concluded(session, &what, execution.steps, still_works);
    report.provisional =
        P::is_provisional(session.finding(), state, session.delivery.received_at());
    report.stood = admission.stood;
    report.newly_contained = !admission.retried && contained_now(&report);
    let contained = matches!(report.status(), Status::Contained | Status::Partial);
    let contained_at = contained.then(|| session.now());
    let reverted = is_reverted(session, &report, &admission);
    let goes_on = report.steps().iter().filter_map(StepReport::goes_on);
    report.residual_risks = goes_on.chain(execution.residual_risks).collect();
    report.next_steps = execution.next_steps;
    let waiting = Waiting {
        actions: &execution.awaiting,
        evidence: P::evidence(state),
        what,
    };
    let storing = approve::store_for_approval(services.config, session, waiting, &mut report);
    let retryable = execution.transient.or(storing.await).or(unread_policies);
    let breaker_open = admission.refusal.as_ref().is_some_and(|it| !it.unasked);
    let (breaker_alert, unasked) = report_admission(&mut report, admission, reverted);
    let retryable = retryable.or(unasked);
    report.is_retried = retryable.is_some();
    let followup = match (still_works.is_some(), reverted) {
        (true, _) => Followup::NotHeld,
        (false, true) => Followup::Reverted,
        (false, false) if session.delivery.recheck.is_some() => Followup::Stands,
        (false, false) => Followup::New,
    };
    let (post_evidence, investigation) = futures::join!(
        session.collect(state),
        Box::pin(look_into(session, &report, state, followup, breaker_alert)),
    );
    attach_investigation(&mut report, investigation);
    advise(&mut report, P::CATEGORY, session.finding());
    report_followup(&mut report, followup, afterwards);
    let (postponement, busy) = postpone::busy_rest(session);
    Containment {
        retryable: retryable.or(busy),
        post_evidence,
        planned: true,
        planned_at: Some(planned_at),
        contained_at,
        breaker_alert,
        breaker_open,
        postponement,
        ..Containment::answer(report)
    }
}

/// The report on these steps. `still_works`: CloudTrail's evidence about a contained credential.
fn concluded<P: Playbook>(
    session: &Session<'_, P>,
    what: &str,
    mut steps: Vec<StepReport>,
    still_works: Option<&Afterwards>,
) -> Report {
    let again = steps.iter().any(StepReport::contained_now);
    // What reading back shows in effect, and does not keep the credential out, contains only in part.
    steps.extend(still_works.filter(|_| !again).map(StepReport::contradicted));
    Report::concluded(
        P::CATEGORY,
        session.finding(),
        what.to_owned(),
        false,
        steps,
    )
}

/// True if something was contained that was not contained before.
fn contained_now(report: &Report) -> bool {
    report.steps().iter().any(StepReport::contained_now)
}

/// True if somebody undid a containment, by the record or by what the recheck knows.
fn is_reverted<P: Playbook>(
    session: &Session<'_, P>,
    report: &Report,
    admission: &Admission,
) -> bool {
    let recheck = session.delivery.recheck;
    let by_recheck = recheck.is_some_and(|recheck| recheck.finds_undone(report.steps()));
    let mut claims = session.claims.held.iter();
    let released = claims.any(|claim| claim.released_at.is_some());
    admission.reverted || (by_recheck && !released)
}

/// Reports what the breaker answered. Answers whether a notice of the refusal is sent, and the failure to ask the
/// breaker that a retry may not meet.
fn report_admission(
    report: &mut Report,
    admission: Admission,
    reverted: bool,
) -> (Option<Page>, Option<Error>) {
    report.next_steps.extend(admission.remarks);
    let Some(refusal) = admission.refusal else {
        return (None, None);
    };
    report.breaker = refusal.overload;
    // That someone undid a containment is news by itself; so is what was contained beside what has no room,
    // and a plan that awaits approval.
    let news = reverted || report.newly_contained || report.approval().is_some();
    let page = if news { Page::AsUsual } else { refusal.page };
    (Some(page), refusal.transient)
}

/// Investigates the findings that cause a notice. A recheck without a reversal, the work of an awaited invocation and a
/// finding withheld by an open breaker cause no notice; and others may be waiting for the claims.
async fn look_into<P: Playbook>(
    session: &Session<'_, P>,
    report: &Report,
    state: &P::State,
    followup: Followup,
    breaker_alert: Option<Page>,
) -> Investigation {
    let delivery = session.delivery;
    let late = session.claims.waited() || delivery.put_off.is_some_and(|times| times > 0);
    let repeats = late && report.status() == Status::AlreadyContained;
    let untold = breaker_alert == Some(Page::Done);
    let news = matches!(followup, Followup::New | Followup::Reverted);
    if news && !repeats && !untold {
        session::investigate(session.playbook, &delivery.inquiry(), Some(state)).await
    } else {
        from_finding(session.finding())
    }
}

/// Reports that a containment was undone or did not hold.
fn report_followup(report: &mut Report, followup: Followup, afterwards: Option<Afterwards>) {
    let again = contained_now(report);
    if let (Followup::NotHeld, Some(after)) = (followup, &afterwards) {
        report.undone = true;
        report.next_steps.insert(0, not_held(after, again));
        report.next_steps.extend(after.made.iter().cloned());
    }
    report.afterwards = afterwards;
    // A cut-off that moved forward was not undone.
    if followup == Followup::Reverted {
        let mut steps = report.steps().iter();
        report.tell_undone(if again {
            "it was done again"
        } else if steps.any(|step| step.outcome() == Outcome::Withheld) {
            "it was not done again, since it is withheld"
        } else {
            "it could not be done again"
        });
    }
}

/// Tells the on-call engineer that a containment did not hold.
fn not_held(after: &Afterwards, again: bool) -> String {
    let again = if again {
        "it was contained again; find out in CloudTrail whether somebody undid it"
    } else {
        "the containing steps are in effect as read back, and nothing more could be done: delete or \
         change the credential itself, and look for other ways in"
    };
    format!("the containment did not hold: {}; {again}", after.summary)
}
