//! A plan that the policies permit.

use std::collections::{BTreeSet, HashSet};
use std::ops::Deref;

use super::questions::TaggedResource;
use model::plan::{Action, Phase, Plan, Step, StepKey, Withheld};

/// A plan of which each step that is to be done is permitted. Only a [`Gate`](super::Gate) makes one.
#[derive(Debug)]
pub struct Authorized<A> {
    pub(super) plan: Plan<A>,
    /// The resources whose tags decide.
    pub(super) depends_on_tags_of: BTreeSet<TaggedResource>,
    /// The principal's earlier activity would change the step.
    pub(super) depends_on_prior_activity: bool,
}

impl<A> Deref for Authorized<A> {
    type Target = Plan<A>;

    fn deref(&self) -> &Plan<A> {
        &self.plan
    }
}

impl<A> Authorized<A> {
    /// Adds what the on-call engineer should do next.
    pub fn advise(&mut self, next_steps: Vec<String>) {
        self.plan.next_steps.extend(next_steps);
    }
}

impl<A: Action> Authorized<A> {
    /// Lets the steps of a phase wait for another time, for this reason.
    pub fn hold_back(&mut self, phase: Phase, reason: &str) {
        self.leave_out(|action| (action.phase() == phase).then(|| reason.to_owned()));
    }

    /// Leaves out what is to be done and has a reason not to be, also when reading back would plan it.
    pub fn leave_out(&mut self, reason: impl Fn(&A) -> Option<String>) {
        for step in &mut self.plan.steps {
            if let Step::Do(action) = step
                && let Some(reason) = reason(action)
            {
                self.plan.held_back.insert(StepKey::of(action));
                *step = Step::Skipped {
                    action: action.name(),
                    target: action.target(),
                    reason,
                };
            }
        }
    }

    /// Withholds all that is to be done, for this reason.
    pub fn withhold(&mut self, why: &Withheld) {
        let steps = std::mem::take(&mut self.plan.steps).into_iter();
        self.plan.steps = steps
            .map(|step| match step {
                Step::Do(action) => Step::Withheld(action, why.clone()),
                other => other,
            })
            .collect();
    }

    /// True if anything is to be contained.
    pub fn contains(&self) -> bool {
        let mut steps = self.plan.steps.iter();
        steps.any(|step| matches!(step, Step::Do(action) if action.phase() == Phase::Contain))
    }

    /// Only the steps that are not among these.
    pub fn without(mut self, known: &HashSet<StepKey>) -> Self {
        self.plan.steps.retain(|step| !known.contains(&step.key()));
        self
    }

    /// Takes those steps out that are to be done and are `wanted`.
    pub fn take_out(&mut self, wanted: impl Fn(&A) -> bool) -> Self {
        let taken = self.plan.steps.extract_if(
            ..,
            |step| matches!(step, Step::Do(action) if wanted(action)),
        );
        Self {
            plan: Plan {
                steps: taken.collect(),
                ..Plan::default()
            },
            depends_on_tags_of: BTreeSet::new(),
            depends_on_prior_activity: false,
        }
    }

    /// The plan, to be taken apart.
    pub fn into_plan(self) -> Plan<A> {
        self.plan
    }
}
