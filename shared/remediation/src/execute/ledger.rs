//! The account of an execution: the planned, attempted, found and left steps, and the reports that follow from them.

use std::collections::{HashMap, HashSet};

use super::Execution;
use crate::error::{Error, Result};
use crate::plan::{Action, Step, StepKey};
use crate::report::{READ_BACK, ReadBack, StepReport};
use policy::Authorized;

/// The account of one execution.
pub(super) struct Ledger<A> {
    /// The reports on steps that are not executed.
    steps: Vec<StepReport>,
    /// The steps that could not be planned, since something could not be read. Reading back may find out.
    unknown: Vec<(StepKey, Error)>,
    residual_risks: Vec<String>,
    next_steps: Vec<String>,
    /// The steps that must not be executed, although reading back may plan them.
    held_back: HashSet<StepKey>,
    reported: HashSet<StepKey>,
    pub(super) already: Vec<A>,
    /// The steps that await approval, as they are planned in the state that was read last.
    awaiting: Vec<A>,
    /// The steps that awaited approval in the plan.
    awaited: HashSet<StepKey>,
    /// Reading back has shown what was unknown.
    found_out: bool,
    pub(super) executed: Vec<A>,
    pub(super) attempted: HashMap<StepKey, Result<()>>,
    /// Steps that came up and were not admitted.
    not_admitted: Vec<Step<A>>,
    /// Steps that only the last reading back shows, and that are not executed.
    late: Vec<Step<A>>,
    /// The last reading back. `None`: nothing was executed.
    read_back: Option<Result<ReadBack>>,
    /// Why reading back failed first, if a retry may not meet it.
    unreadable: Option<Error>,
}

/// The news of a plan that is made after acting.
#[derive(Debug)]
pub(super) struct Round<A> {
    /// The steps to be executed next: neither attempted nor held back before.
    pub(super) pending: Authorized<A>,
    /// The steps that are to be reported and were not reported before.
    late: Vec<Step<A>>,
    /// The steps that await approval.
    awaiting: Vec<A>,
    /// The steps that were unknown and are known now.
    found_out: HashSet<StepKey>,
    residual_risks: Vec<String>,
    next_steps: Vec<String>,
}

impl<A> Default for Ledger<A> {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            unknown: Vec::new(),
            residual_risks: Vec::new(),
            next_steps: Vec::new(),
            held_back: HashSet::new(),
            reported: HashSet::new(),
            already: Vec::new(),
            awaiting: Vec::new(),
            awaited: HashSet::new(),
            found_out: false,
            executed: Vec::new(),
            attempted: HashMap::new(),
            not_admitted: Vec::new(),
            late: Vec::new(),
            read_back: None,
            unreadable: None,
        }
    }
}

impl<A: Action> Ledger<A> {
    /// Takes in a plan, or a part of it that was made of a fuller state. Answers what is to be executed.
    pub(super) fn absorb(&mut self, plan: Authorized<A>) -> Vec<A> {
        let plan = plan.into_plan();
        let mut pending = Vec::new();
        self.residual_risks = plan.residual_risks;
        self.advise(plan.next_steps);
        self.held_back.extend(plan.held_back);
        for step in plan.steps {
            match step {
                Step::Do(action) => pending.push(action),
                other => self.absorb_undone(&other),
            }
        }
        pending
    }

    /// Takes in a step that is not executed.
    fn absorb_undone(&mut self, step: &Step<A>) {
        match step {
            Step::Unknown { error, .. } => self.unknown.push((step.key(), error.clone())),
            _ => drop(self.reported.insert(step.key())),
        }
        match step {
            Step::Already(action, _) => self.already.push(action.clone()),
            // It stays withheld, also if acting changes what the policies look at.
            Step::Withheld(action, why) => {
                self.held_back.insert(step.key());
                if why.awaits_approval {
                    self.awaiting.push(action.clone());
                    self.awaited.insert(step.key());
                }
            }
            _ => {}
        }
        self.steps.push(StepReport::unexecuted(step));
    }

    /// Adds next steps that are not among them yet.
    pub(super) fn advise(&mut self, next_steps: Vec<String>) {
        for step in next_steps {
            if !self.next_steps.contains(&step) {
                self.next_steps.push(step);
            }
        }
    }

    /// Takes in steps that came up, after they were asked to be admitted. Answers what is to be executed.
    pub(super) fn absorb_admitted(&mut self, admitted: Authorized<A>) -> Vec<A> {
        let mut pending = Vec::new();
        for step in admitted.into_plan().steps {
            match step {
                Step::Do(action) => pending.push(action),
                step => {
                    self.held_back.insert(step.key());
                    self.reported.insert(step.key());
                    self.not_admitted.push(step);
                }
            }
        }
        pending
    }

    /// Takes in what was executed, with the answers of the calls.
    pub(super) fn attempt(&mut self, executed: Vec<A>, results: Vec<(StepKey, Result<()>)>) {
        self.executed.extend(executed);
        self.attempted.extend(results);
    }

    /// Takes in a reading back, with what its plan says. Answers the steps to be executed next.
    pub(super) fn settle(&mut self, read_back: ReadBack, round: Round<A>) -> Authorized<A> {
        let Round {
            pending,
            late,
            awaiting,
            found_out,
            residual_risks,
            next_steps,
        } = round;
        self.read_back = Some(Ok(read_back));
        self.residual_risks = residual_risks;
        self.advise(next_steps);
        self.awaiting = awaiting;
        self.found_out |= !found_out.is_empty();
        self.unknown.retain(|(key, _)| !found_out.contains(key));
        // A step is reported once: by what is known of it now.
        let found_out: HashSet<_> = found_out.iter().map(ToString::to_string).collect();
        self.steps.retain(|step| !found_out.contains(&step.key()));
        let withheld = late
            .iter()
            .filter(|step| matches!(step, Step::Withheld(..)));
        self.held_back.extend(withheld.map(Step::key));
        self.late = late;
        pending
    }

    /// Takes in that reading back failed.
    pub(super) fn settle_unread(&mut self, error: Error) {
        if error.is_transient() {
            self.unreadable.get_or_insert(error.clone());
        }
        self.read_back = Some(Err(error));
    }

    /// The outcome of each step. `unfinished`: steps found when there was no round left to execute them in.
    pub(super) fn conclude(mut self, unfinished: Option<Authorized<A>>) -> Execution<A> {
        let transient = self.transient();
        let mut steps = std::mem::take(&mut self.steps);
        if let Some(read_back) = &self.read_back {
            let concluded = self.executed.iter().map(|action| {
                let result = &self.attempted[&StepKey::of(action)];
                conclude(action, result, read_back.as_ref())
            });
            steps.extend(concluded);
        }
        steps.extend(self.came_up().map(StepReport::unexecuted));
        let unfinished = unfinished.map(|plan| plan.into_plan().steps);
        for step in unfinished.iter().flatten() {
            if let Step::Do(action) = step {
                let why = "came up again and again while containing".to_owned();
                steps.push(StepReport::failed(action, why));
            }
        }
        Execution {
            steps,
            transient,
            residual_risks: self.residual_risks,
            next_steps: self.next_steps,
            awaiting: self.awaiting,
        }
    }

    fn came_up(&self) -> impl Iterator<Item = &Step<A>> {
        self.not_admitted.iter().chain(&self.late)
    }

    /// The first failure that a retry may not meet.
    fn transient(&self) -> Option<Error> {
        let counts = |action: &str| A::phase_of(action).is_worth_a_retry();
        let unknown = self.unknown.iter();
        let unknown = unknown.filter(|(key, _)| counts(key.action));
        let executed = self.executed.iter();
        let executed = executed.flat_map(|action| self.failures(action));
        let came_up = self.came_up().filter_map(|step| match step {
            Step::Unknown { action, error, .. } => counts(action).then_some(error),
            _ => None,
        });
        let errors = unknown.map(|(_, error)| error);
        let errors = errors.chain(&self.unreadable).chain(executed);
        errors.chain(came_up).find(|it| it.is_transient()).cloned()
    }

    /// The failures of a step that was executed and does not show in effect.
    fn failures(&self, action: &A) -> impl Iterator<Item = &Error> {
        let key = StepKey::of(action);
        let read_back = self.read_back.as_ref().and_then(|back| back.as_ref().ok());
        let unread = read_back.and_then(|back| back.unread(&key));
        let in_effect = read_back.and_then(|back| back.shows(&key)) == Some(true);
        let failed = self.attempted[&key].as_ref().err();
        let failed = failed.filter(|_| !in_effect && action.phase().is_worth_a_retry());
        unread.into_iter().chain(failed)
    }
}

/// Sorts what is planned `after` acting by what is known of the execution. `reads_all_again`: see
/// [`Playbook::reads_all_again`](aws::playbook::Playbook::reads_all_again). Pure.
pub(super) fn classify<A: Action>(
    mut after: Authorized<A>,
    ledger: &Ledger<A>,
    reads_all_again: impl Fn(&str) -> bool,
) -> Round<A> {
    let attempted = |key: &StepKey| ledger.attempted.contains_key(key);
    let awaiting = after.steps.iter().filter_map(|step| match step {
        Step::Withheld(action, why) if why.awaits_approval && !attempted(&step.key()) => {
            Some(action.clone())
        }
        Step::Do(action) if ledger.awaited.contains(&step.key()) => Some(action.clone()),
        _ => None,
    });
    let awaiting = awaiting.collect();
    let pending = after.take_out(|action| {
        let key = StepKey::of(action);
        !ledger.held_back.contains(&key) && !attempted(&key)
    });
    let after = after.into_plan();
    let unread = after.steps.iter();
    let unread = unread.filter(|step| matches!(step, Step::Unknown { .. }));
    let unread: HashSet<_> = unread.map(Step::key).collect();
    let unknown = ledger.unknown.iter().map(|(key, _)| key);
    let (found_out, unknown): (HashSet<_>, HashSet<_>) = unknown
        .cloned()
        .partition(|key| !unread.contains(key) && reads_all_again(key.action));
    let any_found_out = ledger.found_out || !found_out.is_empty();
    let mut late = after.steps;
    late.retain(|step| {
        let key = step.key();
        let new = !ledger.reported.contains(&key) && !attempted(&key);
        match step {
            Step::Do(_) => false,
            Step::Unknown { .. } => new && !unknown.contains(&key),
            // A step that was not read before has not been reported.
            Step::Already(..) => new && any_found_out && !unknown.contains(&key),
            Step::Skipped { .. } | Step::Withheld(..) => new,
        }
    });
    Round {
        pending,
        late,
        awaiting,
        found_out,
        residual_risks: after.residual_risks,
        next_steps: after.next_steps,
    }
}

/// The outcome of a step, by what its call answered and what was read back.
fn conclude(
    action: &impl Action,
    result: &Result<()>,
    read_back: std::result::Result<&ReadBack, &Error>,
) -> StepReport {
    let unread = |error: &Error| {
        let detail =
            format!("the call was accepted, but the result could not be read back: {error}");
        StepReport::failed(action, detail)
    };
    if let (Ok(()), Ok(back)) = (result, read_back)
        && let Some(error) = back.unread(&StepKey::of(action))
    {
        return unread(error);
    }
    let shown = read_back.map(|back| (back, back.shows(&StepKey::of(action))));
    match (result, shown) {
        (Ok(()), Ok((back, Some(true)))) => {
            let detail = format!("{READ_BACK}{}", back.detail(&StepKey::of(action)));
            StepReport::applied(action, back, detail)
        }
        (Err(error), Ok((back, Some(true)))) => StepReport::applied(
            action,
            back,
            format!("reading back shows it in effect, although the call failed: {error}"),
        ),
        (Ok(()), Ok((_, Some(false)))) => StepReport::failed(
            action,
            "the call was accepted, but reading back does not show it in effect".to_owned(),
        ),
        (Err(error), Ok((back, Some(false)))) => match back.dispensable(&StepKey::of(action)) {
            Some(otherwise) => StepReport::dispensed(action, format!("{otherwise}: {error}")),
            None => StepReport::failed(action, error.to_string()),
        },
        (Err(error), Ok((_, None))) if error.is_gone() => {
            StepReport::vanished(action, format!("the resource is no longer there: {error}"))
        }
        (Ok(()), Ok((_, None))) => {
            StepReport::vanished(action, "the resource is no longer there".to_owned())
        }
        (Ok(()), Err(error)) => unread(error),
        (Err(error), _) => StepReport::failed(action, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
