//! The dry run: the containment as it would be planned, with nothing changed.

use crate::authorize::{Authorizer, with_policies};
use crate::containment::{Containment, advise, attach_investigation};
use crate::deadline::within;
use crate::error::Error;
use crate::plan::{Action as _, Plan, Step};
use crate::report::{Obstacle, Report, StepReport};
use crate::session::{Services, Session, investigate};
use aws::playbook::Playbook;

/// Plans to contain `what`, and changes nothing.
pub(crate) async fn dry_run<P: Playbook>(
    services: &Services<'_>,
    session: &Session<'_, P>,
    what: String,
) -> Containment {
    let (playbook, delivery) = (session.playbook, session.delivery);
    let finding = delivery.finding;
    let observing = Box::pin(playbook.observe(finding));
    let observing = within(delivery.deadline, "observing", observing);
    let (state, guard) = with_policies(services.policies, delivery, observing).await;
    let authorizer = Authorizer::new(session, &guard, services.rules(true));
    if let Some(why) = authorizer.gate.forbids_outright() {
        return Containment::notified(Some(playbook), delivery, why.to_string(), true).await;
    }
    let state = match state {
        Ok(state) => state,
        Err(error) => return Containment::failed::<P>(finding, Obstacle::Target, &error, true),
    };
    let plan = authorizer.plan::<P>(&state).await.into_plan();
    let planned_at = Some(delivery.now());
    let retryable = unread::<P>(&plan).or_else(|| guard.transient().cloned());
    let steps = plan.steps.iter().map(StepReport::unexecuted).collect();
    let mut report = Report::concluded(P::CATEGORY, finding, what, true, steps);
    report.is_retried = retryable.is_some();
    report.residual_risks = plan.residual_risks;
    report.next_steps = plan.next_steps;
    let investigation = investigate(playbook, &delivery.inquiry(), Some(&state)).await;
    attach_investigation(&mut report, investigation);
    advise(&mut report, P::CATEGORY, finding);
    Containment {
        planned_at,
        retryable,
        ..Containment::answer(report)
    }
}

/// The first failure to read what a step depends on that a retry may not meet.
fn unread<P: Playbook>(plan: &Plan<P::Action>) -> Option<Error> {
    plan.steps.iter().find_map(|step| match step {
        Step::Unknown { action, error, .. } => {
            let counts = P::Action::phase_of(action).is_worth_a_retry();
            Some(error.clone()).filter(|error| counts && error.is_transient())
        }
        _ => None,
    })
}
