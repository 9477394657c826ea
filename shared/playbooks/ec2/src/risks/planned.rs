//! Whether what was read is about to change.

use super::super::action::Action;
use model::plan::{Action as _, Plan, Step};

/// Whether the step of this name on this target is planned, and so not in effect.
pub(super) fn is_planned(plan: &Plan<Action>, action: &str, target: &str) -> bool {
    plan.steps.iter().any(|step| {
        matches!(step, Step::Do(change) if change.name() == action && change.target() == target)
    })
}
