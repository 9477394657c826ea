//! The result of reading back: the outcome of a step is taken from AWS, not from what its call answered.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::Error;
use crate::plan::{Action, Plan, Step, StepKey};

/// The state that was read after acting. `clippy.toml` lets only `execute` make one, from a second observation.
#[derive(Debug)]
pub struct ReadBack {
    /// The evidence that a step is in effect, and the value that was read; `None`: it is not.
    in_effect: HashMap<StepKey, Option<(String, Value)>>,
    /// The steps that could not be read, and why.
    unread: HashMap<StepKey, Error>,
    /// The replacement for a step that is not in effect.
    dispensable: HashMap<StepKey, String>,
}

impl ReadBack {
    /// Takes what the plan for the state after acting says. `dispensable`: the replacements for steps that AWS refused.
    pub fn of<A: Action>(plan: &Plan<A>, dispensable: HashMap<StepKey, String>) -> Self {
        let steps = plan.steps.iter();
        let in_effect = steps.clone().map(|step| {
            let shown = match step {
                Step::Already(action, detail) => Some((detail.clone(), action.to())),
                _ => None,
            };
            (step.key(), shown)
        });
        let unread = steps.clone().filter_map(|step| match step {
            Step::Unknown { error, .. } => Some((step.key(), error.clone())),
            _ => None,
        });
        Self {
            in_effect: in_effect.collect(),
            unread: unread.collect(),
            dispensable,
        }
    }

    /// `Some(true)`: in effect; `Some(false)`: not; `None`: the resource is no longer there.
    pub fn shows(&self, key: &StepKey) -> Option<bool> {
        self.in_effect.get(key).map(Option::is_some)
    }

    /// Says why it is not known whether the step is in effect, if that could not be read.
    pub fn unread(&self, key: &StepKey) -> Option<&Error> {
        self.unread.get(key)
    }

    /// Says what shows that the step is in effect: it may be so by other means than were asked for.
    pub fn detail(&self, key: &StepKey) -> &str {
        let shown = self.in_effect.get(key).and_then(Option::as_ref);
        shown.map_or("", |(detail, _)| detail)
    }

    /// The value that was read of a step that is in effect.
    pub fn value(&self, key: &StepKey) -> Option<&Value> {
        let shown = self.in_effect.get(key)?.as_ref();
        shown.map(|(_, value)| value)
    }

    /// Says what does the work of a step that AWS refused.
    pub fn dispensable(&self, key: &StepKey) -> Option<&String> {
        self.dispensable.get(key)
    }
}
