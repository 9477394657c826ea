//! Approving a containment: what a policy leaves to a person is stored, and run when one approves it, if
//! the world is still as it was planned for.
//!
//! A plan is made for a state of the world and a time. So the world did not drift if the plan for the time
//! of the stored one is the stored one, to the letter. Steps that other targets share may be done since, or come
//! up. What runs is the plan for the time of the approval, which differs from it in nothing but that time: sessions
//! are cut off that were issued until now, and not only those that were issued until the plan was made.

mod drift;

mod rejection;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::drift::{drift, is_approved};
pub use self::rejection::reject;
use crate::contain::{Incoming, Means, actions_of, keep_in_log, target_state};
use crate::error::{Error, Result};
use crate::execute::{Execution, execute_with, within};
use crate::finding::Finding;
use crate::guard::{Authorized, Gate};
use crate::history::plan_by_history;
use crate::notify::Notices;
use crate::plan::Step;
use crate::planner;
use crate::playbook::Playbook;
use crate::policy::Policy;
use crate::policy_parameter::PolicyParameter;
use crate::record::{Approved, Awaiting, Claim, Held, Incident, Intent, Lease, Record, Times};
use crate::report::{Approval, Outcome, Proposed, Report, Status};

/// How long a person waits for an invocation that is at work on the target.
const PATIENCE: Duration = Duration::from_secs(15);
/// What storing a plan may take: the notice waits for it.
const STORING: Duration = Duration::from_secs(2);
/// What containing may take, as in a function.
const TIME: Duration = Duration::from_secs(120);
/// What to do where a plan is not run any more.
const ANEW: &str =
    "contain it by hand, or wait for the next delivery of the finding, which is planned anew";

/// What a function leaves to a person.
pub(crate) struct Waiting<'a, A> {
    /// The steps that would run.
    pub(crate) actions: &'a [A],
    /// The described world.
    pub(crate) evidence: Value,
    /// What is contained, and why.
    pub(crate) what: String,
}

/// Stores what waits for a person, and has the report say how it is approved, or why it cannot be. Answers
/// a failure that a retry may not meet.
pub(crate) async fn hold<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    finding: &Finding,
    waiting: Waiting<'_, P::Action>,
    report: &mut Report,
) -> Option<Error> {
    if waiting.actions.is_empty() {
        return None;
    }
    let Some(record) = means.record else {
        report.next_steps.push(
            "contain it by hand: it cannot be approved, since there is no table to store the plan in \
             (INCIDENT_TABLE)"
                .to_owned(),
        );
        return None;
    };
    let Means { config, .. } = *means;
    let at = incoming.clock();
    let steps = waiting.actions.iter().map(|action| Held {
        proposed: Proposed::new(action),
        recorded: serde_json::to_value(action).unwrap_or_default(),
    });
    let awaiting = Awaiting {
        planned_at: incoming.now,
        expires_at: at.saturating_add(config.approval_lasts).unwrap_or(at),
        what: waiting.what,
        policy: config.policy.clone(),
        settings: config.settings.clone(),
        steps: steps.collect(),
    };
    let (event, evidence) = (incoming.event, &waiting.evidence);
    let holding = Box::pin(record.hold(P::CATEGORY, finding, event, &awaiting, evidence, at));
    match within(Instant::now() + STORING, "dynamodb:UpdateItem", holding).await {
        Ok(true) => {
            report.approval = Some(Approval {
                expires_at: awaiting.expires_at,
                steps: awaiting
                    .steps
                    .into_iter()
                    .map(|step| step.proposed)
                    .collect(),
            });
            None
        }
        Ok(false) => {
            report.next_steps.push(
                "nothing: a person rejected containing it, and there is no newer activity"
                    .to_owned(),
            );
            None
        }
        Err(error) => {
            tracing::error!(%error, "the plan was not stored, so nobody can approve it");
            report.next_steps.push(format!(
                "contain it by hand: it cannot be approved, since the plan was not stored: {error}"
            ));
            Some(error).filter(Error::is_transient)
        }
    }
}

/// Who approves, and with what.
#[derive(Debug)]
pub struct Approver<'a> {
    /// The person's ARN.
    pub by: &'a str,
    /// The table.
    pub record: &'a Record,
    /// The policies that the function asks.
    pub policies: &'a PolicyParameter,
    /// The function's settings as they are now. `None`: they are not known.
    pub current: Option<&'a Policy>,
    /// By what the function tells. `None`: that is not known, so that nobody is told.
    pub notices: Option<&'a Notices>,
}

/// The plan that a person may approve.
///
/// # Errors
/// If there is none, or its time is over: what became of it.
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
/// [`Error::Refused`] if it can no longer be approved, or the world is not as it was planned for, with each
/// difference; else what could not be read or written. Nothing was changed then.
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
    let started = Instant::now();
    let clock = move || {
        let passed = SignedDuration::try_from(started.elapsed()).unwrap_or_default();
        now.saturating_add(passed).unwrap_or(now)
    };
    let mut claims = Vec::new();
    let claimed = claim::<P>(approver, &finding, &awaiting, now, &mut claims).await;
    let done = match claimed {
        Ok(()) => {
            let approval = Approving {
                approver,
                incident,
                awaiting: &awaiting,
                finding: &finding,
                claims: &claims,
                now,
            };
            Box::pin(carry_out(&playbook, &approval, clock)).await
        }
        Err(error) => Err(error),
    };
    for claim in &claims {
        let state = done.as_ref().ok().and_then(|report| {
            let severity = finding.severity.value();
            let conclude = |state| claim.conclude(state, report.steps(), severity);
            target_state(report).map(conclude)
        });
        if let Err(error) = approver.record.give_back(claim, state, clock()).await {
            tracing::error!(%error, "the claim on a target was not given back and ends by its time");
        }
    }
    done
}

/// Whom the settings of now spare is spared too: they may have changed since, and whoever may write the table
/// could have taken the lists out of the plan.
fn spare_also(awaiting: &mut Awaiting, current: &Policy) {
    let Policy {
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

async fn claim<P: Playbook>(
    approver: &Approver<'_>,
    finding: &Finding,
    awaiting: &Awaiting,
    now: Timestamp,
    claims: &mut Vec<Claim>,
) -> Result<()> {
    let owner = format!("approval by {} at {now}", approver.by);
    let lease = Lease {
        owner: &owner,
        now,
        lasts: PATIENCE + TIME + Duration::from_secs(10),
        until: Instant::now() + PATIENCE,
    };
    for target in planner::recorded_targets::<P>(finding, &planned::<P>(awaiting))? {
        let claim = approver.record.claim(P::CATEGORY, finding, &target, &lease);
        claims.push(claim.await?);
    }
    Ok(())
}

struct Approving<'a> {
    approver: &'a Approver<'a>,
    incident: &'a Incident,
    awaiting: &'a Awaiting,
    finding: &'a Finding,
    claims: &'a [Claim],
    now: Timestamp,
}

async fn carry_out<P: Playbook>(
    playbook: &P,
    approval: &Approving<'_>,
    clock: impl Fn() -> Timestamp,
) -> Result<Report> {
    let Approving {
        approver,
        incident,
        awaiting,
        finding,
        claims,
        now,
    } = *approval;
    let released = claims.iter().filter_map(|claim| claim.released_at).max();
    if let Some(released) = released.filter(|released| *released >= awaiting.planned_at) {
        return Err(Error::Refused(format!(
            "a person released the target at {released}, after this was planned"
        )));
    }
    let until = Instant::now() + TIME;
    let planned = planned::<P>(awaiting);
    let planned: Vec<_> = planned.iter().collect();
    let observing = Box::pin(playbook.read_back(finding, &planned));
    let observing = within(until, "observing", observing);
    let (state, guard) = approver.policies.during(now, until, observing).await;
    let state = state?;
    let settings = &awaiting.settings;
    let then = P::plan(finding, &state, settings, awaiting.planned_at);
    let approved = then.steps.iter();
    let approved = approved.filter(|step| is_approved(awaiting, step));
    let approved = approved.map(Step::key);
    let gate =
        Gate::new::<P>(&guard, finding, &awaiting.policy, false, now).approving(approved.collect());
    let history = playbook.trail().cloned();
    let plan = plan_by_history::<P>(&gate, &state, settings, history.as_ref(), until).await;
    let drift = drift(awaiting, &then, &plan);
    if !drift.is_empty() {
        return Err(Error::Refused(format!(
            "not as it was planned at {}, so nothing was changed: {}; {ANEW}",
            awaiting.planned_at,
            drift.join("; ")
        )));
    }
    let intent = Intent {
        received_at: now,
        evidence: P::evidence(&state),
        settings: settings.clone(),
        actions: actions_of(&plan),
        completes: false,
        approved: Some(Approved {
            planned_at: awaiting.planned_at,
            by: approver.by.to_owned(),
        }),
        invocation: format!("approval by {} at {now}", approver.by),
    };
    let (record, event) = (approver.record, &incident.event);
    record
        .intend(P::CATEGORY, finding, event, &intent, clock())
        .await?;
    for claim in claims {
        record.begin(claim, finding, clock()).await?;
    }
    let keep = async |state: &P::State, came_up: Authorized<P::Action>| {
        let intent = Intent {
            received_at: now,
            evidence: P::evidence(state),
            settings: settings.clone(),
            actions: actions_of(&came_up),
            completes: false,
            approved: None,
            invocation: intent.invocation.clone(),
        };
        let intended = record.intend(P::CATEGORY, finding, event, &intent, clock());
        if let Err(error) = Box::pin(intended).await {
            keep_in_log(&error, &intent.actions);
        }
        came_up
    };
    let done = Box::pin(execute_with(
        playbook,
        &gate,
        plan,
        async || None,
        keep,
        settings,
        until,
    ));
    let done = done.await;
    let Execution {
        steps,
        residual_risks,
        next_steps,
        ..
    } = done;
    let what = format!("{}; approved by {}", awaiting.what, approver.by);
    let mut report = Report::concluded(P::CATEGORY, finding, what, false, steps);
    let contained = matches!(report.status(), Status::Contained | Status::Partial).then(&clock);
    report.approved_by = Some(approver.by.to_owned());
    report.residual_risks = residual_risks;
    report.next_steps = next_steps;
    let collecting = Box::pin(playbook.collect(finding, &state));
    let collected = within(until, "collecting evidence", collecting).await;
    let collected = collected.unwrap_or_else(|error| json!({ "error": error.to_string() }));
    let times = Times {
        contained,
        ..Times::default()
    };
    let concluded = record.conclude(finding, event, &report, &collected, times, clock());
    if let Err(error) = concluded.await {
        report.next_steps.push(format!(
            "keep this report: it was not recorded, and the incident shows what was intended only: {error}"
        ));
    }
    if let Some(notices) = approver.notices {
        let sent = Box::pin(notices.announce(&mut report, finding)).await;
        let marking = record.mark_notified(finding, &report, &sent, clock());
        if let Err(error) = Box::pin(marking).await {
            tracing::error!(%error, "people may be notified again");
        }
    }
    Ok(report)
}

/// True for a report of which everything that was approved is in effect. What was to be left to a person
/// anyway, for which it may be partial, does not count.
pub fn succeeded(report: &Report) -> bool {
    let mut steps = report.steps().iter();
    !steps.any(|step| step.outcome() == Outcome::Failed)
}

#[cfg(test)]
mod tests;
