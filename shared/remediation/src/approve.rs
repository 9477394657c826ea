//! Approving a containment: what a policy leaves to a person is stored, and run when one approves it, if
//! the world is still as it was planned for.
//!
//! A plan is made for a state of the world and a time. So the world did not drift if the plan for the time
//! of the stored one is the stored one, to the letter. What runs is the plan for the time of the approval,
//! which differs from it in nothing but that time: sessions are cut off that were issued until now, and not
//! only those that were issued until the plan was made.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::contain::{Incoming, Means, actions_of, keep_in_log, recorded, target_state};
use crate::error::{Error, Result};
use crate::execute::{Execution, execute_with, within};
use crate::finding::Finding;
use crate::guard::{EventHistory, Gate, PolicyParameter};
use crate::plan::{Action, Plan, Step, StepKey};
use crate::playbook::Playbook;
use crate::policy::{self, Policy};
use crate::recheck::in_effect;
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
    let claimed = claim::<P>(approver, &finding, now, &mut claims).await;
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
            let in_effect = in_effect(report.steps());
            let severity = finding.severity.value();
            target_state(report).map(|state| claim.conclude(state, in_effect, severity))
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

async fn claim<P: Playbook>(
    approver: &Approver<'_>,
    finding: &Finding,
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
    for target in policy::targets(P::CATEGORY, finding)? {
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
    let observing = within(until, "observing", Box::pin(playbook.observe(finding)));
    let (state, guard) = approver.policies.during(now, until, observing).await;
    let state = state?;
    let settings = &awaiting.settings;
    let then = P::plan(finding, &state, settings, awaiting.planned_at);
    let approved = then.steps.iter().map(Step::key);
    let approved = approved.filter(|key| held(awaiting, key).is_some());
    let gate =
        Gate::new::<P>(&guard, finding, &awaiting.policy, false, now).approving(approved.collect());
    let history = EventHistory::of(playbook);
    let plan = gate
        .plan_by_history::<P>(&state, settings, history.as_ref(), until)
        .await;
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
    let keep = async |came_up: &[P::Action]| {
        let intent = Intent {
            received_at: now,
            evidence: P::evidence(&state),
            settings: settings.clone(),
            actions: came_up.iter().map(recorded).collect(),
            completes: false,
            approved: None,
            invocation: intent.invocation.clone(),
        };
        let intended = record.intend(P::CATEGORY, finding, event, &intent, clock());
        if let Err(error) = Box::pin(intended).await {
            keep_in_log(&error, &intent.actions);
        }
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
    let collecting = Box::pin(playbook.collect(finding));
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
    Ok(report)
}

/// True for a report of which everything that was approved is in effect. What was to be left to a person
/// anyway, for which it may be partial, does not count.
pub fn succeeded(report: &Report) -> bool {
    let mut steps = report.steps().iter();
    !steps.any(|step| step.outcome() == Outcome::Failed)
}

fn held<'a>(awaiting: &'a Awaiting, key: &StepKey) -> Option<&'a Held> {
    let mut steps = awaiting.steps.iter();
    steps.find(|step| step.proposed.action == key.action && step.proposed.target == key.target)
}

/// How what would run differs from what awaits approval. `then`: the plan for the time of the stored one in
/// the world as it is now; `plan`: what would run.
fn drift<A: Action>(awaiting: &Awaiting, then: &Plan<A>, plan: &Plan<A>) -> Vec<String> {
    let by_key = |plan: &Plan<A>| -> HashMap<StepKey, usize> {
        let keys = plan.steps.iter().map(Step::key).enumerate();
        keys.map(|(index, key)| (key, index)).collect()
    };
    let (in_then, in_plan) = (by_key(then), by_key(plan));
    let mut differences = Vec::new();
    for step in &awaiting.steps {
        let Proposed {
            action,
            target,
            from,
            to,
        } = &step.proposed;
        let find = |keys: &HashMap<StepKey, usize>| {
            let mut keys = keys.iter();
            keys.find(|(key, _)| key.action == action && key.target == *target)
                .map(|(_, index)| *index)
        };
        let now = find(&in_plan).map(|index| &plan.steps[index]);
        let then = find(&in_then).map(|index| &then.steps[index]);
        let difference = match (now, then) {
            // What the playbook itself leaves to a person is withheld where nobody is asked who approved it.
            (Some(Step::Do(_)), Some(Step::Do(again) | Step::Withheld(again, _))) => {
                let held = serde_json::from_value::<A>(step.recorded.clone());
                if serde_json::to_value(again).is_ok_and(|again| again == step.recorded)
                    || held.is_ok_and(|held| again.is_within(&held))
                {
                    continue;
                }
                format!(
                    "it was {from}, to become {to}; now it is {}, to become {}",
                    again.from(),
                    again.to()
                )
            }
            (Some(Step::Do(_)), _) => "it would not have been planned then".to_owned(),
            (Some(Step::Already(_, how)), _) => format!("it is in effect already: {how}"),
            (Some(Step::Withheld(_, why)), _) => why.to_string(),
            (Some(Step::Skipped { reason, .. }), _) => reason.clone(),
            (Some(Step::Unknown { error, .. }), _) => error.to_string(),
            (None, _) => "it is no longer there".to_owned(),
        };
        differences.push(format!("{action} on {target}: {difference}"));
    }
    for step in &plan.steps {
        let new = match step {
            Step::Do(_) => true,
            Step::Withheld(_, why) => why.awaits_approval,
            _ => false,
        };
        let key = step.key();
        if new && held(awaiting, &key).is_none() {
            differences.push(format!(
                "{} on {}: it was not in the plan",
                key.action, key.target
            ));
        }
    }
    differences
}

#[cfg(test)]
mod tests;
