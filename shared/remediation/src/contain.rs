//! From a decision to contain to what came of it: claim and observe, plan, write down, execute,
//! collect.

use std::time::Duration;

use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::catalogue::Category;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::execute::{Execution, execute, within};
use crate::finding::Finding;
use crate::guidance;
use crate::plan::{Action, Phase, Plan, Step, StepKey};
use crate::playbook::Playbook;
use crate::policy::{self, Decision};
use crate::record::{Claim, Intent, Lease, Record, TargetState};
use crate::report::{Report, Status, StepReport};
use crate::verify::{Verdict, Verifier};

/// One event at one function.
pub(crate) struct Incoming<'a> {
    pub(crate) event: &'a Value,
    pub(crate) finding: &'a Finding,
    /// Identifies the invocation; the same when Lambda retries it.
    pub(crate) invocation: &'a str,
    pub(crate) now: Timestamp,
    /// When that was, on the clock that does not jump.
    pub(crate) started: Instant,
    /// When containing must be done, so that the record and the notice still have time.
    pub(crate) until: Instant,
    /// How many looks there were at this containment before, if this is one.
    pub(crate) look: Option<usize>,
}

impl Incoming<'_> {
    /// The time of day, by what has passed since the event came in.
    pub(crate) fn clock(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        self.now.saturating_add(passed).unwrap_or(self.now)
    }
}

/// What came of containing.
pub(crate) struct Contained {
    pub(crate) report: Report,
    pub(crate) transient: Option<Error>,
    pub(crate) collected: Value,
    pub(crate) claims: Vec<Claim>,
}

impl Contained {
    pub(crate) fn just(report: Report, transient: Option<Error>) -> Self {
        Self {
            report,
            transient,
            collected: Value::Null,
            claims: Vec::new(),
        }
    }
}

/// Plans and changes nothing.
pub(crate) async fn rehearse<P: Playbook>(
    playbook: &P,
    config: &Config,
    incoming: &Incoming<'_>,
    what: String,
) -> Contained {
    let Incoming {
        finding,
        now,
        until,
        ..
    } = *incoming;
    let state = match within(until, "observing", Box::pin(playbook.observe(finding))).await {
        Ok(state) => state,
        Err(error) => return unobserved::<P>(finding, &error, true),
    };
    let plan = P::plan(finding, &state, &config.settings, now);
    let transient = plan.steps.iter().find_map(|step| match step {
        Step::Unknown { error, .. } if error.is_transient() => Some(error.clone()),
        _ => None,
    });
    let steps = plan.steps.iter().map(StepReport::unexecuted).collect();
    let mut report = Report::concluded(P::CATEGORY, finding, what, true, steps);
    report.residual_risks = plan.residual_risks;
    report.next_steps = plan.next_steps;
    report
        .next_steps
        .extend(what_is_left(P::CATEGORY, finding, report.status()));
    Contained::just(report, transient)
}

/// Contains. The playbook's futures are boxed: together they are larger than a thread's stack likes.
pub(crate) async fn contain<P: Playbook>(
    playbook: &P,
    config: &Config,
    record: Option<&Record>,
    verifier: Option<&Verifier>,
    incoming: &Incoming<'_>,
    what: String,
) -> Contained {
    let Incoming {
        event,
        finding,
        now,
        until,
        look,
        ..
    } = *incoming;
    let (claims, state, verified) = futures::join!(
        claim::<P>(record, incoming),
        within(until, "observing", Box::pin(playbook.observe(finding))),
        within(
            until,
            "verifying",
            verified::<P>(verifier, config, incoming)
        ),
    );
    let mut unrecorded = None;
    let claims = match claims {
        Ok(claims) => claims,
        Err(error @ Error::Busy { .. }) => return unobserved::<P>(finding, &error, false),
        Err(error) => {
            unrecorded = Some(error);
            Vec::new()
        }
    };
    let verified = match verified {
        Ok(Verdict::Genuine(current)) => Some(current),
        Ok(Verdict::Unasked) => None,
        Ok(Verdict::Withheld(why)) => {
            let mut report = Report::notified(P::CATEGORY, finding, why, false);
            report.next_steps = guidance::next_steps(P::CATEGORY, finding);
            return Contained {
                claims,
                ..Contained::just(report, None)
            };
        }
        Err(error) => {
            return Contained {
                claims,
                ..unobserved::<P>(finding, &error, false)
            };
        }
    };
    let finding = verified.as_deref().unwrap_or(finding);
    let released = claims.iter().filter_map(|claim| claim.released_at).max();
    if let Some(released) = released
        && finding.last_seen().is_none_or(|seen| seen <= released)
    {
        let why = format!("a person released it at {released}, and there is no newer activity");
        let report = Report::ignored(P::CATEGORY, finding, why, false);
        return Contained {
            claims,
            ..Contained::just(report, None)
        };
    }
    // What was read while another invocation was at work is not what there is now.
    let state = if claims.iter().any(|claim| claim.waited) {
        within(until, "observing", Box::pin(playbook.observe(finding))).await
    } else {
        state
    };
    let state = match state {
        Ok(state) => state,
        Err(error) => {
            return Contained {
                claims,
                ..unobserved::<P>(finding, &error, false)
            };
        }
    };
    let mut plan = P::plan(finding, &state, &config.settings, now);
    let undone = look.is_some() && !plan.is_empty();
    if let (Some(record), None, false) = (record, &unrecorded, plan.is_empty()) {
        let intent = Intent {
            received_at: now,
            evidence: P::evidence(&state),
            settings: config.settings.clone(),
            actions: intended(&plan),
        };
        let at = incoming.clock();
        let targets = claims.iter().map(|claim| record.begin(claim, finding, at));
        let (written, begun) = futures::join!(
            record.intend(P::CATEGORY, finding, event, &intent, at),
            try_join_all(targets),
        );
        unrecorded = written.and(begun.map(drop)).err();
    }
    if let Some(error) = unrecorded.as_ref().filter(|_| record.is_some()) {
        tracing::error!(%error, "not recorded: containing without the record");
        for (key, action) in intended(&plan) {
            tracing::warn!(key, %action, "about to act; keep this to undo it");
        }
        hold_snapshots_back(&mut plan, error);
    }
    let done = Box::pin(execute(
        playbook,
        finding,
        plan,
        &config.settings,
        now,
        until,
    ))
    .await;
    let (collected, leads) = futures::join!(
        within(
            until,
            "collecting evidence",
            Box::pin(playbook.collect(finding))
        ),
        within(until, "investigating", async {
            Ok(playbook.investigate(finding).await)
        }),
    );
    let collected = collected.unwrap_or_else(|error| json!({ "error": error.to_string() }));
    let leads = leads.unwrap_or_else(|error| vec![format!("look yourself: {error}")]);
    let Execution {
        steps,
        transient,
        residual_risks,
        next_steps,
    } = done;
    let mut report = Report::concluded(P::CATEGORY, finding, what, false, steps);
    report.residual_risks = residual_risks;
    report.next_steps = next_steps;
    report.next_steps.extend(leads);
    report
        .next_steps
        .extend(what_is_left(P::CATEGORY, finding, report.status()));
    if undone {
        report.undone = true;
        report.next_steps.insert(
            0,
            "someone undid this containment and it was done again: find out in CloudTrail who, and \
             contain that principal too"
                .to_owned(),
        );
    }
    Contained {
        report,
        transient,
        collected,
        claims,
    }
}

/// Advice how to contain would only confuse where it was contained.
fn what_is_left(category: Category, finding: &Finding, status: Status) -> Vec<String> {
    match status {
        Status::Contained | Status::AlreadyContained => guidance::questions(category, finding),
        _ => guidance::next_steps(category, finding),
    }
}

pub(crate) fn unobserved<P: Playbook>(
    finding: &Finding,
    error: &Error,
    dry_run: bool,
) -> Contained {
    let mut report = Report::unobserved(P::CATEGORY, finding, error, dry_run);
    report.next_steps = guidance::next_steps(P::CATEGORY, finding);
    Contained::just(report, Some(error.clone()).filter(Error::is_transient))
}

/// What GuardDuty has of the finding, if that is to be asked and is one to contain.
async fn verified<P: Playbook>(
    verifier: Option<&Verifier>,
    config: &Config,
    incoming: &Incoming<'_>,
) -> Result<Verdict> {
    let Some(verifier) = verifier else {
        return Ok(Verdict::Unasked);
    };
    let verdict = verifier.verify(incoming.event, incoming.finding).await?;
    let Verdict::Genuine(current) = verdict else {
        return Ok(verdict);
    };
    // The event's severity may have been another, or its sign of a sample missing.
    let policy = &config.policy;
    Ok(match policy::decide(P::CATEGORY, &current, policy)? {
        Decision::Contain(_) if policy.is_dry_run(&current) => {
            Verdict::Withheld("GuardDuty has it as a sample".to_owned())
        }
        Decision::Contain(_) => Verdict::Genuine(current),
        Decision::Notify(why) | Decision::Ignore(why) => Verdict::Withheld(why),
    })
}

async fn claim<P: Playbook>(
    record: Option<&Record>,
    incoming: &Incoming<'_>,
) -> Result<Vec<Claim>> {
    let Some(record) = record else {
        return Ok(Vec::new());
    };
    let Incoming {
        finding,
        invocation,
        now,
        until,
        ..
    } = *incoming;
    // No longer than the invocation itself can take.
    let lasts = until.saturating_duration_since(Instant::now()) + Duration::from_secs(10);
    let lease = Lease {
        owner: invocation,
        now,
        lasts,
        until,
    };
    let mut claims = Vec::new();
    for target in policy::targets(P::CATEGORY, finding)? {
        claims.push(record.claim(P::CATEGORY, finding, &target, &lease).await?);
    }
    Ok(claims)
}

fn intended<A: Action>(plan: &Plan<A>) -> Vec<(String, Value)> {
    plan.steps
        .iter()
        .filter_map(|step| match step {
            Step::Do(action) => {
                let key = StepKey::of(action).to_string();
                Some((key, serde_json::to_value(action).unwrap_or_default()))
            }
            _ => None,
        })
        .collect()
}

/// Without the record nothing says whether this incident has its snapshots already, and they cost.
fn hold_snapshots_back<A: Action>(plan: &mut Plan<A>, error: &Error) {
    for step in &mut plan.steps {
        if let Step::Do(action) = step
            && action.phase() == Phase::Preserve
        {
            plan.held_back.insert(StepKey::of(action));
            *step = Step::Skipped {
                action: action.name(),
                target: action.target(),
                reason: format!("waits until the incident can be recorded: {error}"),
            };
        }
    }
}

/// What the record is to say of the targets. `None`: they are as they were.
pub(crate) fn target_state(status: Status) -> Option<TargetState> {
    match status {
        Status::Contained | Status::AlreadyContained => Some(TargetState::Contained),
        Status::Partial => Some(TargetState::Partial),
        Status::Failed => Some(TargetState::Failed),
        Status::Ignored | Status::Notified | Status::DryRun => None,
    }
}
