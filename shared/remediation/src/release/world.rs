//! The state of AWS after an incident, and what it means for releasing the incident.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Allowance, Verdict};
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::{Action, Step, StepKey, Undo};
use crate::record::Incident;
use aws::playbook::{Playbook, TargetGone};

/// The state of an action.
pub(super) enum Found<A> {
    /// As the responder left it, as this shows.
    InEffect(String),
    /// With another value, that an action would start from.
    Other(A),
    /// It could not be read, or the resource is not what it was.
    Unclear(String),
    /// There is nothing left that could be put back.
    Gone,
    /// Its target is gone, and it stays without it.
    Outlives,
    /// Nothing shows it.
    Missing,
}

/// The state of a finding's target, by what would be done about it.
pub(super) struct World<P: Playbook> {
    state: P::State,
    pub(super) steps: HashMap<StepKey, Step<P::Action>>,
}

impl<P: Playbook> World<P> {
    pub(super) fn of(&self, recorded: &P::Action) -> Found<P::Action> {
        match self.steps.get(&StepKey::of(recorded)) {
            Some(Step::Already(_, how)) => return Found::InEffect(how.clone()),
            Some(Step::Do(action) | Step::Withheld(action, _)) => {
                return Found::Other(action.clone());
            }
            Some(Step::Unknown { error, .. }) => return Found::Unclear(error.to_string()),
            Some(Step::Skipped { .. }) | None => {}
        }
        match (
            P::after_target_gone(&self.state, recorded),
            self.steps.get(&StepKey::of(recorded)),
        ) {
            (TargetGone::ChangeGone, _) => Found::Gone,
            (TargetGone::ChangeStays, _) => Found::Outlives,
            (TargetGone::Unknown, Some(Step::Skipped { reason, .. })) => {
                Found::Unclear(reason.clone())
            }
            (TargetGone::Unknown, _) => Found::Missing,
        }
    }
}

/// Reads the target, where it was when it was contained.
pub(super) async fn look<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    incident: &Incident,
    recorded: &[P::Action],
    now: Timestamp,
) -> Result<World<P>> {
    let recorded: Vec<_> = recorded.iter().collect();
    let state = Box::pin(playbook.read_back(finding, &recorded)).await?;
    let plan = P::plan(finding, &state, &incident.settings, now);
    let steps = plan.steps.into_iter().map(|step| (step.key(), step));
    let steps = steps.collect();
    Ok(World { state, steps })
}

pub(super) fn verdict<P: Playbook>(
    recorded: &P::Action,
    found: &Found<P::Action>,
    allowance: &Allowance,
) -> Verdict {
    match recorded.undo() {
        Undo::Nothing(why) => return Verdict::Left(why.to_owned()),
        Undo::RequiresExplicitTarget if !allowance.reactivate.contains(&recorded.target()) => {
            return Verdict::Left("stays as it is unless it is named".to_owned());
        }
        Undo::Restore | Undo::RequiresExplicitTarget => {}
    }
    match found {
        Found::InEffect(_) | Found::Outlives => Verdict::Restore,
        Found::Other(other) if recorded.is_restored(other) => Verdict::Already,
        Found::Other(other) if recorded.left(other) => Verdict::Restore,
        Found::Other(other) => Verdict::Drifted(format!("it is {} now", other.from())),
        Found::Unclear(why) => Verdict::Drifted(why.clone()),
        Found::Gone => Verdict::Left(
            "the changed resource is gone, so there is nothing to put back".to_owned(),
        ),
        Found::Missing => Verdict::Drifted("it is no longer there".to_owned()),
    }
}

/// Why what was put back does not count as being back.
pub(super) fn unshown<P: Playbook>(
    recorded: &P::Action,
    found: Found<P::Action>,
    allowance: &Allowance,
) -> Option<String> {
    match found {
        Found::InEffect(_) => Some("reading back shows it still in effect".to_owned()),
        Found::Other(other) if recorded.is_restored(&other) => None,
        Found::Other(other) => Some(format!("reading back shows {} instead", other.from())),
        // The operator said that it is to be so whatever it is now.
        Found::Unclear(_) if allowance.force_drift => None,
        Found::Unclear(why) => Some(format!("reading back does not show it: {why}")),
        Found::Missing => Some("reading back no longer shows it".to_owned()),
        // The call that took it away is all that tells.
        Found::Gone | Found::Outlives => None,
    }
}
