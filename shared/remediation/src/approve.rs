//! Approving a containment: a plan that a policy leaves to an approver is stored. It runs after an approval, if the
//! state is still as it was planned for.
//!
//! A plan is made for a state and a time. So nothing drifted if the plan for the time of the stored one equals it, to
//! the letter. Steps that other targets share may be done since, or come up. The plan for the time of the approval
//! runs, and differs only by that time: sessions are cut off that were issued until now, and not only those that were
//! issued until the plan was made.

mod drift;
mod rejection;
mod store;

use std::time::Duration;

use jiff::Timestamp;

use self::drift::{drift, is_approved};
pub use self::rejection::reject;
pub(crate) use self::store::{Waiting, store_for_approval};
use crate::admit::log_intent;
use crate::authorize::Authorizer;
use crate::containment::target_state;
use crate::deadline::within;
use crate::decision::ResponseSettings;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::execute::{Execution, Executor, LateSteps};
use crate::finding::Finding;
use crate::notify::Notices;
use crate::plan::Step;
use crate::planner;
use crate::policy_parameter::PolicyParameter;
use crate::record::{Approved, Awaiting, Claim, Incident, IncidentStore, Intent, Times};
use crate::report::{Outcome, Report, Status};
use crate::session::{Rules, Session};
use aws::playbook::Playbook;
use policy::Authorized;

/// How long an approver waits for an invocation that is at work on the target.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long containing may take, as in a function.
const TIME: Duration = Duration::from_secs(120);
/// The next step where a plan is no longer run.
const ANEW: &str =
    "contain it by hand, or wait for the next delivery of the finding, which makes a new plan";

/// Who approves, and with what.
#[derive(Debug)]
pub struct Approver<'a> {
    /// The approver's ARN.
    pub by: &'a str,
    /// The table.
    pub record: &'a IncidentStore,
    /// The policies that the function asks.
    pub policies: &'a PolicyParameter,
    /// The function's settings as they are now. `None`: they are not known.
    pub current: Option<&'a ResponseSettings>,
    /// By what the function tells. `None`: they are not known, so no notice is sent.
    pub notices: Option<&'a Notices>,
}

/// Reads the plan that awaits approval.
///
/// # Errors
/// If there is none, or its time is over: its outcome.
pub fn pending(incident: &Incident, now: Timestamp) -> Result<Awaiting> {
    let Some(awaiting) = incident.awaiting()? else {
        let why = match incident {
            Incident {
                rejected: Some(rejected),
                ..
            } => format!("it was rejected {rejected}"),
            Incident {
                released: Some(released),
                ..
            } if incident.status == "released" => format!("it was released {released}"),
            Incident {
                approved: Some(approved),
                ..
            } => format!("it was approved {approved}"),
            _ => format!("its status is {}", incident.status),
        };
        return Err(Error::Refused(format!("nothing awaits approval: {why}")));
    };
    if awaiting.expires_at <= now {
        return Err(Error::Refused(format!(
            "it could be approved until {}: {ANEW}",
            awaiting.expires_at
        )));
    }
    Ok(awaiting)
}

/// Runs exactly the plan that awaits approval: claims the targets, observes, plans and asks the policies
/// again, writes down, executes and reads back, as a function does.
///
/// # Errors
/// [`Error::Refused`] if it can no longer be approved, or the state has drifted, with each difference; else what could
/// not be read or written. Nothing was changed then.
pub async fn approve<P: Playbook>(
    mut playbook: P,
    approver: &Approver<'_>,
    incident: &Incident,
    now: Timestamp,
) -> Result<Report> {
    let mut awaiting = pending(incident, now)?;
    if let Some(current) = approver.current {
        spare_also(&mut awaiting, current);
    }
    let finding = Finding::parse(&incident.event)?;
    playbook.configure(&awaiting.settings);
    let invocation = format!("approval by {} at {now}", approver.by);
    let times = (PATIENCE, TIME);
    let delivery = Delivery::by_operator(&incident.event, &finding, &invocation, now, times);
    let mut session = Session::new(&playbook, Some(approver.record), &delivery);
    let planned = planned::<P>(&awaiting);
    let targets = planner::recorded_targets::<P>(&finding, &planned);
    session.claim(targets).await;
    let done = match session.claims.all() {
        Ok(()) => Box::pin(carry_out(approver, &session, &awaiting, &planned)).await,
        Err(error) => Err(error),
    };
    let outcome = |claim: &Claim| {
        let report = done.as_ref().ok()?;
        let state = target_state(report)?;
        Some(claim.conclude(state, report.steps(), finding.severity.value()))
    };
    let ending = session
        .claims
        .end(approver.record, &delivery, false, outcome);
    ending.await;
    done
}

/// Spares those whom the current settings spare, too. The settings may have changed since, and somebody who may write
/// the table could have taken the lists out of the plan.
fn spare_also(awaiting: &mut Awaiting, current: &ResponseSettings) {
    let ResponseSettings {
        responder_roles,
        never_contain,
        ..
    } = current;
    let (policy, settings) = (&mut awaiting.policy, &mut awaiting.settings);
    policy.responder_roles.extend_from_slice(responder_roles);
    policy.never_contain.extend_from_slice(never_contain);
    for list in [
        &mut settings.iam.never_contain,
        &mut settings.ec2.never_contain,
    ] {
        list.extend_from_slice(responder_roles);
        list.extend_from_slice(never_contain);
    }
}

/// The actions of the plan, as far as they can be read.
fn planned<P: Playbook>(awaiting: &Awaiting) -> Vec<P::Action> {
    let steps = awaiting.steps.iter();
    steps
        .filter_map(|step| serde_json::from_value(step.recorded.clone()).ok())
        .collect()
}

async fn carry_out<P: Playbook>(
    approver: &Approver<'_>,
    session: &Session<'_, P>,
    awaiting: &Awaiting,
    planned: &[P::Action],
) -> Result<Report> {
    let released = session.claims.held.iter();
    let released = released.filter_map(|claim| claim.released_at).max();
    if let Some(released) = released.filter(|released| *released >= awaiting.planned_at) {
        return Err(Error::Refused(format!(
            "the operator released the target at {released}, after this was planned"
        )));
    }
    let (playbook, finding) = (session.playbook, session.finding());
    let (received_at, deadline) = (session.delivery.received_at(), session.delivery.deadline);
    let planned: Vec<_> = planned.iter().collect();
    let observing = Box::pin(playbook.read_back(finding, &planned));
    let observing = within(deadline, "observing", observing);
    let (state, guard) = approver
        .policies
        .during(received_at, deadline, observing)
        .await;
    let state = state?;
    let history = playbook.trail().cloned();
    let rules = Rules {
        policy: &awaiting.policy,
        settings: &awaiting.settings,
        history: history.as_ref(),
        dry_run: false,
    };
    let then = P::plan(finding, &state, rules.settings, awaiting.planned_at);
    let approved = then.steps.iter();
    let approved = approved.filter(|step| is_approved(awaiting, step));
    let authorizer = Authorizer::new(session, &guard, rules);
    let authorizer = authorizer.approving(approved.map(Step::key).collect());
    let plan = authorizer.plan::<P>(&state).await;
    let drift = drift(awaiting, &then, &plan);
    if !drift.is_empty() {
        return Err(Error::Refused(format!(
            "not as it was planned at {}, so nothing was changed: {}; {ANEW}",
            awaiting.planned_at,
            drift.join("; ")
        )));
    }
    begin(
        approver,
        session,
        awaiting,
        session.intent(&state, &plan, &rules),
    )
    .await?;
    let executor = Executor {
        playbook,
        gate: &authorizer.gate,
        settings: rules.settings,
        until: deadline,
    };
    let mut late = Recorded {
        record: approver.record,
        session,
        rules,
    };
    let done = Box::pin(executor.execute(plan, &mut late)).await;
    Ok(Box::pin(conclude(approver, session, awaiting, &state, done)).await)
}

/// Writes down what is about to be done, and for which targets.
async fn begin<P: Playbook>(
    approver: &Approver<'_>,
    session: &Session<'_, P>,
    awaiting: &Awaiting,
    intent: Intent,
) -> Result<()> {
    let intent = Intent {
        approved: Some(Approved {
            planned_at: awaiting.planned_at,
            by: approver.by.to_owned(),
        }),
        ..intent
    };
    let (record, finding, event) = (approver.record, session.finding(), session.delivery.event);
    record
        .intend(P::CATEGORY, finding, event, &intent, session.now())
        .await?;
    for claim in &session.claims.held {
        record.begin(claim, finding, session.now()).await?;
    }
    Ok(())
}

/// Records what comes up while an approved plan is executed, before it is done.
struct Recorded<'a, 's, P> {
    record: &'a IncidentStore,
    session: &'a Session<'s, P>,
    rules: Rules<'a>,
}

impl<P: Playbook> LateSteps<P> for Recorded<'_, '_, P> {
    async fn next_part(&mut self) -> Option<Authorized<P::Action>> {
        None
    }

    async fn admit(
        &mut self,
        state: &P::State,
        came_up: Authorized<P::Action>,
    ) -> Authorized<P::Action> {
        let intent = self.session.intent(state, &came_up, &self.rules);
        let (finding, event) = (self.session.finding(), self.session.delivery.event);
        let now = self.session.now();
        let intended = self
            .record
            .intend(P::CATEGORY, finding, event, &intent, now);
        if let Err(error) = Box::pin(intended).await {
            log_intent(&error, &intent.actions);
        }
        came_up
    }
}

/// Reports what was executed, records it and tells of it. `state`: the state observed before.
async fn conclude<P: Playbook>(
    approver: &Approver<'_>,
    session: &Session<'_, P>,
    awaiting: &Awaiting,
    state: &P::State,
    done: Execution<P::Action>,
) -> Report {
    let (record, finding, event) = (approver.record, session.finding(), session.delivery.event);
    let what = format!("{}; approved by {}", awaiting.what, approver.by);
    let mut report = Report::concluded(P::CATEGORY, finding, what, false, done.steps);
    let contained = matches!(report.status(), Status::Contained | Status::Partial);
    let times = Times {
        contained: contained.then(|| session.now()),
        ..Times::default()
    };
    report.approved_by = Some(approver.by.to_owned());
    report.residual_risks = done.residual_risks;
    report.next_steps = done.next_steps;
    let collected = session.collect(state).await;
    let concluded = record.conclude(finding, event, &report, &collected, times, session.now());
    if let Err(error) = concluded.await {
        report.next_steps.push(format!(
            "keep this report: it was not recorded, and the incident shows what was intended only: {error}"
        ));
    }
    if let Some(notices) = approver.notices {
        let sent = Box::pin(notices.announce(&mut report, finding)).await;
        let marking = record.mark_notified(finding, &report, &sent, session.now());
        if let Err(error) = Box::pin(marking).await {
            tracing::error!(%error, "people may be notified again");
        }
    }
    report
}

/// True for a report of which everything that was approved is in effect. Steps that were left to the on-call engineer
/// anyway may make it partial, and do not count.
pub fn succeeded(report: &Report) -> bool {
    let mut steps = report.steps().iter();
    !steps.any(|step| step.outcome() == Outcome::Failed)
}

#[cfg(test)]
mod tests;
