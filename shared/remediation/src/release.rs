//! Undoing a containment: started by a person, from what was recorded, and refused where the world
//! is no longer as the responder left it.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::plan::{Action, Step, StepKey, Undo};
use crate::playbook::Playbook;
use crate::policy;
use crate::record::{Incident, Record};

/// What releasing would do about one action of the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what", content = "why")]
pub enum Verdict {
    /// What was found is put back.
    Restore,
    /// It is as it was found already.
    Already,
    /// It stays, for this reason.
    Left(String),
    /// It is neither as the responder left it nor as it was found, or something stands in the way.
    Drifted(String),
}

/// One action of an incident, and what releasing would do about it.
#[derive(Clone, Debug, Serialize)]
pub struct ReleaseStep<A> {
    /// The action's name.
    pub action: &'static str,
    /// The resource.
    pub target: String,
    /// The value that the responder left.
    pub from: Value,
    /// The value that it found, which is put back.
    pub to: Value,
    /// What is done about it.
    pub verdict: Verdict,
    #[serde(skip)]
    recorded: A,
}

/// What the person who releases allows.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    /// Restore also what drifted.
    pub force_drift: bool,
    /// The access keys to activate again.
    pub reactivate: Vec<String>,
}

/// What came of releasing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Released {
    /// The action's name.
    pub action: &'static str,
    /// The resource.
    pub target: String,
    /// `None`: put back, and read back. Else what went wrong.
    pub problem: Option<String>,
}

/// Shows what releasing `incident` would do. Reads only.
///
/// # Errors
/// If the incident's event or actions cannot be read, or the world cannot.
pub async fn plan<P: Playbook>(
    playbook: &P,
    incident: &Incident,
    allowance: &Allowance,
    now: Timestamp,
) -> Result<Vec<ReleaseStep<P::Action>>> {
    let finding = Finding::parse(&incident.event)?;
    let world = look(playbook, &finding, incident, now).await?;
    let mut steps = Vec::new();
    for (key, recorded) in &incident.actions {
        let recorded: P::Action = serde_json::from_value(recorded.clone()).map_err(|error| {
            Error::Refused(format!("the recorded action {key} cannot be read: {error}"))
        })?;
        let mut verdict = verdict(&recorded, world.get(&StepKey::of(&recorded)), allowance);
        if verdict == Verdict::Restore
            && let Some(why) = Box::pin(playbook.obstacle(&recorded)).await
        {
            verdict = Verdict::Drifted(why);
        }
        steps.push(ReleaseStep {
            action: recorded.name(),
            target: recorded.target(),
            from: recorded.to(),
            to: recorded.from(),
            verdict,
            recorded,
        });
    }
    // What was done last is undone first.
    steps.sort_by_key(|step| std::cmp::Reverse((step.recorded.phase(), step.recorded.order())));
    Ok(steps)
}

/// Releases: marks the targets, so that the same activity does not contain them again, puts back
/// what is to be restored, reads it back, and closes the incident if all of it is.
///
/// # Errors
/// If something drifted and that was not allowed, if an invocation is at work on a target, or if
/// the record cannot be written. Nothing was changed then.
pub async fn release<P: Playbook>(
    playbook: &P,
    record: &Record,
    incident: &Incident,
    steps: Vec<ReleaseStep<P::Action>>,
    allowance: &Allowance,
    by: &str,
    now: Timestamp,
) -> Result<Vec<Released>> {
    let drifted: Vec<_> = steps
        .iter()
        .filter_map(|step| match &step.verdict {
            Verdict::Drifted(why) => Some(format!("{} on {}: {why}", step.action, step.target)),
            _ => None,
        })
        .collect();
    if !drifted.is_empty() && !allowance.force_drift {
        return Err(Error::Refused(format!(
            "not as the responder left it, so nothing was released: {}",
            drifted.join("; "),
        )));
    }
    let finding = Finding::parse(&incident.event)?;
    for target in policy::targets(P::CATEGORY, &finding)? {
        record
            .mark_released(P::CATEGORY, &finding.account_id, &target, by, now)
            .await?;
    }
    let mut released = Vec::new();
    let to_restore = steps
        .into_iter()
        .filter(|step| matches!(step.verdict, Verdict::Restore | Verdict::Drifted(_)));
    for step in to_restore {
        let problem = Box::pin(playbook.restore(&step.recorded))
            .await
            .err()
            .map(|error| error.to_string());
        released.push((step, problem));
    }
    let world = look(playbook, &finding, incident, now).await?;
    let released: Vec<_> = released
        .into_iter()
        .map(|(step, problem)| {
            let found = world.get(&StepKey::of(&step.recorded));
            let problem = problem.or_else(|| match found {
                Some(Found::InEffect) => Some("reading back shows it still in effect".to_owned()),
                _ => None,
            });
            Released {
                action: step.action,
                target: step.target,
                problem,
            }
        })
        .collect();
    if released.iter().all(|step| step.problem.is_none()) {
        record.close(incident, by, now).await?;
    }
    Ok(released)
}

/// What the world shows of an action.
enum Found {
    /// As the responder left it.
    InEffect,
    /// With this value instead.
    Other(Value),
    /// It could not be read, or the resource is not what it was.
    Unclear(String),
}

async fn look<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    incident: &Incident,
    now: Timestamp,
) -> Result<HashMap<StepKey, Found>> {
    let state = Box::pin(playbook.observe(finding)).await?;
    let plan = P::plan(finding, &state, &incident.settings, now);
    Ok(plan
        .steps
        .into_iter()
        .map(|step| {
            let key = step.key();
            let found = match step {
                Step::Already(..) => Found::InEffect,
                Step::Do(action) | Step::Withheld(action, _) => Found::Other(action.from()),
                Step::Skipped { reason, .. } => Found::Unclear(reason),
                Step::Unknown { error, .. } => Found::Unclear(error.to_string()),
            };
            (key, found)
        })
        .collect())
}

fn verdict<A: Action>(recorded: &A, found: Option<&Found>, allowance: &Allowance) -> Verdict {
    match recorded.undo() {
        Undo::Nothing(why) => return Verdict::Left(why.to_owned()),
        Undo::OnlyIfNamed if !allowance.reactivate.contains(&recorded.target()) => {
            return Verdict::Left("stays as it is unless it is named".to_owned());
        }
        Undo::Restore | Undo::OnlyIfNamed => {}
    }
    match found {
        Some(Found::InEffect) => Verdict::Restore,
        Some(Found::Other(value)) if *value == recorded.from() => Verdict::Already,
        Some(Found::Other(value)) => Verdict::Drifted(format!("it is {value} now")),
        Some(Found::Unclear(why)) => Verdict::Drifted(why.clone()),
        None => Verdict::Drifted("it is no longer there".to_owned()),
    }
}
