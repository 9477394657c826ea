//! The drift of the present state from the plan that awaits approval.

use std::collections::HashMap;

use crate::plan::{Action, Plan, Step, StepKey};
use crate::record::{Awaiting, Held};
use crate::report::Proposed;

fn held<'a>(awaiting: &'a Awaiting, key: &StepKey) -> Option<&'a Held> {
    let mut steps = awaiting.steps.iter();
    steps.find(|step| step.proposed.action == key.action && step.proposed.target == key.target)
}

/// True if the approver agreed to the step: it awaits approval, or an approved one builds on it.
pub(super) fn is_approved<A: Action>(awaiting: &Awaiting, step: &Step<A>) -> bool {
    let shared = match step {
        Step::Do(action) | Step::Already(action, _) | Step::Withheld(action, _) => {
            is_shared(awaiting, action)
        }
        Step::Skipped { .. } | Step::Unknown { .. } => false,
    };
    shared || held(awaiting, &step.key()).is_some()
}

/// True if a step that awaits approval builds on this one, which is shared with other targets.
fn is_shared<A: Action>(awaiting: &Awaiting, action: &A) -> bool {
    let mut recorded = awaiting.steps.iter();
    recorded.any(|step| {
        let held = serde_json::from_value::<A>(step.recorded.clone());
        held.is_ok_and(|held| held.builds_on(action))
    })
}

/// How what would run differs from what awaits approval. `then`: the plan for the time of the stored one in the present
/// state; `plan`: the plan that would run.
pub(super) fn drift<A: Action>(awaiting: &Awaiting, then: &Plan<A>, plan: &Plan<A>) -> Vec<String> {
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
            (Some(Step::Do(action) | Step::Already(action, _)), _)
                if is_shared(awaiting, action) =>
            {
                continue;
            }
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
            Step::Do(action) => !is_shared(awaiting, action),
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
