//! Preparation of a plan: the claim on the target, its state, GuardDuty's answer and the policies, all requested at the
//! same time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join3;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::authorize::{Authorizer, with_policies};
use crate::config::Config;
use crate::containment::Containment;
use crate::deadline::within;
use crate::decision::{self, Decision};
use crate::delivery::Delivery;
use crate::error::Result;
use crate::finding::Finding;
use crate::postpone;
use crate::record::Claim;
use crate::report::{Obstacle, Report};
use crate::session::{Services, Session};
use crate::verify::{Verdict, Verifier};
use aws::playbook::Playbook;
use policy::LoadedPolicies;

/// How long the table may take to say whether the incident was released. It serves, and does not decide.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state and the policies that a session plans with.
pub(crate) struct Prepared<S> {
    /// The essential state, which decides how the target is contained.
    pub(crate) state: S,
    pub(crate) guard: Arc<LoadedPolicies>,
}

/// An answer in place of a plan: there is nothing to plan.
type EarlyContainment = Box<Containment>;

/// Claims, observes, verifies, and asks the policies what is forbidden whatever the target is.
pub(crate) async fn prepare<P: Playbook>(
    services: &Services<'_>,
    session: &mut Session<'_, P>,
) -> Result<Prepared<P::State>, EarlyContainment> {
    let (playbook, delivery) = (session.playbook, session.delivery);
    let targets = decision::targets(P::CATEGORY, delivery.finding);
    let work = join3(
        Box::pin(session.claim(targets)),
        observe(playbook, delivery.finding, delivery.deadline),
        within(
            delivery.deadline,
            "verifying",
            verify::<P>(services.verifier, services.config, delivery),
        ),
    );
    let (((), state, verdict), guard) = with_policies(services.policies, delivery, work).await;
    let found = state.as_ref().ok();
    let found = found.and_then(|state| P::found_target(delivery.finding, state));
    if let Some(found) = found
        .clone()
        .filter(|_| session.claims.unrecorded.is_none())
    {
        session.claim(Ok(vec![found])).await;
    }
    respect_releases(session, &verdict, found.as_deref()).await?;
    enforce(session, verdict).await?;
    believe(session)?;
    let rules = services.rules(false);
    let forbidden = Authorizer::new(session, &guard, rules)
        .gate
        .forbids_outright();
    if let Some(why) = forbidden {
        return Err(notified(session, why.to_string()).await);
    }
    // What was read while another invocation was at work is stale.
    let state = if session.claims.waited() {
        observe(playbook, session.finding(), delivery.deadline).await
    } else {
        state
    };
    match state {
        Ok(state) => Ok(Prepared { state, guard }),
        Err(error) => {
            let finding = session.finding();
            let failed = Containment::failed::<P>(finding, Obstacle::Target, &error, false);
            Err(Box::new(failed))
        }
    }
}

async fn observe<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    deadline: Instant,
) -> Result<P::State> {
    within(deadline, "observing", Box::pin(playbook.glance(finding))).await
}

/// Asks GuardDuty for the finding, if it is to be asked, and decides about it as GuardDuty has it.
async fn verify<P: Playbook>(
    verifier: Option<&Verifier>,
    config: &Config,
    delivery: &Delivery<'_>,
) -> Result<Verdict> {
    let Some(verifier) = verifier else {
        return Ok(Verdict::Unasked);
    };
    let policy = &config.policy;
    let verdict = verifier.verify(delivery.event, delivery.finding, policy);
    let verdict = verdict.await?;
    let Verdict::Genuine(current) = verdict else {
        return Ok(verdict);
    };
    // The event's severity may have been another, or its sign of a sample missing.
    Ok(match decision::decide(P::CATEGORY, &current, policy) {
        Decision::Contain(_) if policy.is_dry_run(&current) => {
            Verdict::Withheld("GuardDuty has it as a sample".to_owned())
        }
        Decision::Contain(_) => Verdict::Genuine(current),
        Decision::Notify(why) | Decision::Ignore(why) => Verdict::Withheld(why),
    })
}

async fn notified<P: Playbook>(session: &Session<'_, P>, why: String) -> EarlyContainment {
    let (playbook, delivery) = (Some(session.playbook), session.delivery);
    Box::new(Containment::notified(playbook, delivery, why, false).await)
}

/// Leaves released targets alone, and answers if nothing else is left. A release counts whatever GuardDuty answers.
/// `found`: the target's name where it was found elsewhere than the finding says.
async fn respect_releases<P: Playbook>(
    session: &mut Session<'_, P>,
    verdict: &Result<Verdict>,
    found: Option<&str>,
) -> Result<(), EarlyContainment> {
    let latest = match verdict {
        Ok(Verdict::Genuine(current)) => current,
        _ => session.delivery.finding,
    };
    session.claims.respect_releases(latest.last_seen());
    let claims = &session.claims;
    // The name by which it was found decides, not that by which it was sought.
    let mut deciding = claims.held.iter();
    let all_released = deciding
        .all(|claim| claim.left().is_some() || found.is_some_and(|found| !claim.is_of(found)));
    if !all_released {
        return Ok(());
    }
    if claims.unrecorded.is_none()
        && let Some(target) = claims.busy.first().cloned()
    {
        return Err(Box::new(postpone::at_work(session, target)));
    }
    let released = claims.held.iter().filter_map(Claim::left);
    match released.map(|(_, released)| released).max() {
        Some(released) => Err(Box::new(Box::pin(left_released(session, released)).await)),
        None => Ok(()),
    }
}

/// Answers about a finding whose targets were all released after its activity. The operator who released the very
/// incident knows of it; a notice of another finding may be news.
async fn left_released<P: Playbook>(session: &Session<'_, P>, released: Timestamp) -> Containment {
    let (delivery, why) = (session.delivery, released_at(released));
    let finding = delivery.finding;
    let itself = async {
        let asked = session.record?;
        let asked = asked.is_released(P::CATEGORY, finding, delivery.now());
        let until = Instant::now() + PATIENCE;
        let asked = within(until, "dynamodb:UpdateItem", Box::pin(asked)).await;
        asked.inspect_err(|error| {
            tracing::error!(%error, "it is not known whether this incident was released: a notice is sent");
        }).ok()
    };
    if itself.await == Some(true) {
        return Containment::answer(Report::ignored(P::CATEGORY, finding, why, false));
    }
    let why = format!("left alone, since {why}; another incident was released, and not this one");
    // Another incident's containment may stand: a release of one that contained nothing takes nothing back.
    Containment::notified(Some(session.playbook), delivery, why, false).await
}

/// The reason for which a released target is left alone.
pub(crate) fn released_at(released: Timestamp) -> String {
    format!("the operator released it at {released}, and there is no newer activity")
}

/// Enforces the finding as GuardDuty has it, and answers if GuardDuty does not bear it out.
async fn enforce<P: Playbook>(
    session: &mut Session<'_, P>,
    verdict: Result<Verdict>,
) -> Result<(), EarlyContainment> {
    let delivery = session.delivery;
    match verdict {
        Ok(Verdict::Genuine(current)) => session.enforce(current),
        Ok(Verdict::Unasked) => {}
        Ok(Verdict::Missing(why)) if delivery.put_off == Some(0) => {
            return Err(Box::new(postpone::missing::<P>(delivery, why)));
        }
        // It was verified when it was contained, and the finding has gone on since.
        Ok(Verdict::Later(..)) if delivery.recheck.is_some() && session.claims.all_stand() => {}
        Ok(Verdict::Later(why, detail))
            if delivery.recheck.is_none() && delivery.put_off.is_some() =>
        {
            let superseded = postpone::superseded(session, why, *detail);
            return Err(Box::new(superseded.await));
        }
        Ok(Verdict::Withheld(why) | Verdict::Missing(why) | Verdict::Later(why, _)) => {
            return Err(notified(session, why).await);
        }
        Err(error) => {
            let finding = delivery.finding;
            let failed = Containment::failed::<P>(finding, Obstacle::GuardDuty, &error, false);
            return Err(Box::new(failed));
        }
    }
    Ok(())
}

/// Refuses a message of the function's own queue that the record knows nothing of. A recheck follows a containment, and
/// a repeated delivery was postponed: the record shows either. A message that somebody else sent may be about anything.
/// Without a record, only the policy of the queue keeps such messages out.
fn believe<P: Playbook>(session: &Session<'_, P>) -> Result<(), EarlyContainment> {
    let claims = &session.claims;
    let asked = session.delivery.came_back.and(session.record);
    let known = |claim: &Claim| claim.is_awaited() || claim.stands().is_some();
    if asked.is_none()
        || session.is_verified()
        || claims.unrecorded.is_some()
        || claims.held.iter().any(known)
    {
        return Ok(());
    }
    // Knowledge of it may be with a target that another invocation is at work on.
    if let Some(target) = claims.busy.first().cloned() {
        return Err(Box::new(postpone::at_work(session, target)));
    }
    let targets: Vec<_> = claims.held.iter().map(Claim::target).collect();
    let why = format!(
        "a message asks to handle {} again, and the record shows neither a containment of it nor a \
         finding that waits",
        targets.join(", ")
    );
    tracing::error!(
        why,
        "a message was refused: find out in CloudTrail who sent it"
    );
    let report = Report::ignored(P::CATEGORY, session.delivery.finding, why, false);
    Err(Box::new(Containment::answer(report)))
}
