//! Runs a plan: phases in order, independent steps at once, every outcome kept, and the outcome
//! taken from what is read back afterwards.

mod read_back;
mod turns;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

pub use self::read_back::ReadBack;
use self::read_back::{Seen, conclude, settled};
use self::turns::Turns;
pub(crate) use crate::deadline::{NO_ANSWER, within};
use crate::error::{Error, Result};
use crate::guard::{Authorized, Gate};
use crate::plan::{Action, Phase, Step, StepKey};
use crate::playbook::Playbook;
use crate::report::StepReport;
use crate::settings::Settings;

/// How often steps that only reading back brought to light (an interface that was attached
/// meanwhile) are executed too, before a person must look.
const ROUNDS: usize = 3;

/// How long a protecting step may take.
const PROTECT_AT_MOST: Duration = Duration::from_secs(10);

/// What executing a plan came to.
#[derive(Debug)]
pub struct Execution<A> {
    /// Every step of the plan, and any that came up while it was executed.
    pub steps: Vec<StepReport>,
    /// The first failure that a retry may not meet.
    pub transient: Option<Error>,
    /// What stays dangerous and what is to be done next, as the contained world shows it.
    pub residual_risks: Vec<String>,
    /// See [`Execution::residual_risks`].
    pub next_steps: Vec<String>,
    /// What a person may approve, as it is planned in the world that was read last.
    pub awaiting: Vec<A>,
}

/// Executes `plan`, which `gate` made, and reads back; what comes up then passes the gate too. Never
/// rolls anything back: half contained beats re-opened.
pub async fn execute<P: Playbook>(
    playbook: &P,
    gate: &Gate<'_>,
    plan: Authorized<P::Action>,
    settings: &Settings,
    until: Instant,
) -> Execution<P::Action> {
    let everywhere = async |_: &P::State, plan: Authorized<P::Action>| plan;
    execute_with(
        playbook,
        gate,
        plan,
        async || None,
        everywhere,
        settings,
        until,
    )
    .await
}

/// [`execute`], for a plan of which parts are made while others are being executed. `more` answers each,
/// and then `None`. A step that comes up when reading back goes through `admit` before it is done, with the state
/// that was read: it needs a place, and has values that were found.
pub(crate) async fn execute_with<P: Playbook>(
    playbook: &P,
    gate: &Gate<'_>,
    plan: Authorized<P::Action>,
    mut more: impl AsyncFnMut() -> Option<Authorized<P::Action>>,
    mut admit: impl AsyncFnMut(&P::State, Authorized<P::Action>) -> Authorized<P::Action>,
    settings: &Settings,
    until: Instant,
) -> Execution<P::Action> {
    let mut attempted: HashMap<StepKey, Result<()>> = HashMap::new();
    let mut sorted = Sorted::default();
    let mut executed = sorted.take_in(plan);
    let turns = Turns::default();
    let mut unread = false;
    let parts = async {
        let mut parts = Vec::new();
        let mut next = more().await;
        while let Some(plan) = next {
            let mut sorted = Sorted::default();
            let pending = sorted.take_in(plan);
            // What is read late must not use up the time for reading back and for telling.
            let (results, after) = futures::join!(
                apply_all(playbook, &pending, &turns, until),
                timeout_at(until, more()),
            );
            let after = after.unwrap_or_else(|_| {
                unread = true;
                None
            });
            parts.push((sorted, pending, results));
            next = after;
        }
        parts
    };
    let (results, parts) = futures::join!(
        Box::pin(apply_all(playbook, &executed, &turns, until)),
        Box::pin(parts),
    );
    attempted.extend(results);
    for (also, pending, results) in parts {
        sorted.merge(also);
        executed.extend(pending);
        attempted.extend(results);
    }
    let awaited: HashSet<_> = sorted.awaiting.iter().map(StepKey::of).collect();
    if unread {
        sorted.next_steps.push(
            "look at the target again: the time of this invocation ended before all of it was read, and what \
             depends on the rest was not planned"
                .to_owned(),
        );
    }
    let mut transient = None;
    let mut pending: Option<(P::State, Authorized<P::Action>)> = None;
    let mut read_back = None;
    let mut came_up = Vec::new();
    let mut left_out = Vec::new();
    for round in 0..ROUNDS {
        if let Some((state, plan)) = pending.take() {
            let mut actions = Vec::new();
            for step in admit(&state, plan).await.into_plan().steps {
                match step {
                    Step::Do(action) => actions.push(action),
                    step => {
                        sorted.held_back.insert(step.key());
                        sorted.reported.insert(step.key());
                        left_out.push(step);
                    }
                }
            }
            if actions.is_empty() {
                break;
            }
            attempted.extend(apply_all(playbook, &actions, &Turns::default(), until).await);
            executed.append(&mut actions);
        } else if round > 0 || executed.is_empty() {
            break;
        }
        let already = &sorted.already;
        let settled = settled(
            playbook, gate, settings, until, &executed, already, &attempted,
        );
        match settled.await {
            Ok(Seen {
                back,
                state,
                plan: mut after,
            }) => {
                let waits = |step: &Step<P::Action>| match step {
                    Step::Withheld(action, why) if why.awaits_approval => {
                        let acted = attempted.contains_key(&StepKey::of(action));
                        (!acted).then(|| action.clone())
                    }
                    Step::Do(action) if awaited.contains(&StepKey::of(action)) => {
                        Some(action.clone())
                    }
                    _ => None,
                };
                sorted.awaiting = after.steps.iter().filter_map(waits).collect();
                let new = after.take_out(|action| {
                    let key = StepKey::of(action);
                    !sorted.held_back.contains(&key) && !attempted.contains_key(&key)
                });
                pending = (!new.is_empty()).then_some((state, new));
                let after = after.into_plan();
                sorted.residual_risks = after.residual_risks;
                for step in after.next_steps {
                    if !sorted.next_steps.contains(&step) {
                        sorted.next_steps.push(step);
                    }
                }
                let after = after.steps;
                sorted.find_out(&after, P::reads_all_again);
                came_up = sorted.came_up(after, &attempted);
                read_back = Some(Ok(back));
            }
            Err(error) => {
                if error.is_transient() {
                    transient.get_or_insert(error.clone());
                }
                read_back = Some(Err(error));
            }
        }
    }
    let Sorted {
        mut steps,
        residual_risks,
        next_steps,
        unknown,
        awaiting,
        ..
    } = sorted;
    let worth_a_retry = |key: &StepKey| P::Action::phase_of(key.action).is_worth_a_retry();
    let unread = unknown
        .into_iter()
        .filter(|(key, _)| worth_a_retry(key))
        .map(|(_, error)| error);
    let mut transient = unread.filter(Error::is_transient).chain(transient).next();
    if let Some(read_back) = &read_back {
        for action in &executed {
            let key = StepKey::of(action);
            let result = &attempted[&key];
            let unread = read_back.as_ref().ok().and_then(|back| back.unread(&key));
            if let Some(error) = unread.filter(|error| error.is_transient()) {
                transient.get_or_insert(error.clone());
            }
            if let Err(error) = result
                && error.is_transient()
                && action.phase().is_worth_a_retry()
                && !read_back
                    .as_ref()
                    .is_ok_and(|back| back.shows(&key) == Some(true))
            {
                transient.get_or_insert(error.clone());
            }
            steps.push(conclude(action, result, read_back.as_ref()));
        }
    }
    for step in left_out.iter().chain(&came_up) {
        if let Step::Unknown { action, error, .. } = step
            && error.is_transient()
            && P::Action::phase_of(action).is_worth_a_retry()
        {
            transient.get_or_insert(error.clone());
        }
        steps.push(StepReport::unexecuted(step));
    }
    let again_and_again = pending.map(|(_, plan)| plan.into_plan().steps);
    steps.extend(again_and_again.iter().flatten().filter_map(|step| {
        let Step::Do(action) = step else {
            return None;
        };
        Some(StepReport::failed(
            action,
            "came up again and again while containing".to_owned(),
        ))
    }));
    Execution {
        steps,
        transient,
        residual_risks,
        next_steps,
        awaiting,
    }
}

/// What a plan says beside what is to be done.
struct Sorted<A> {
    steps: Vec<StepReport>,
    /// What could not be planned, since it could not be read, and why. Reading back may find out.
    unknown: Vec<(StepKey, Error)>,
    residual_risks: Vec<String>,
    next_steps: Vec<String>,
    held_back: HashSet<StepKey>,
    reported: HashSet<StepKey>,
    already: Vec<A>,
    awaiting: Vec<A>,
    /// Reading back has shown what was unknown.
    found_out: bool,
}

impl<A> Default for Sorted<A> {
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
            found_out: false,
        }
    }
}

impl<A: Action> Sorted<A> {
    /// Takes a plan apart, and answers what is to be done.
    fn take_in(&mut self, plan: Authorized<A>) -> Vec<A> {
        let plan = plan.into_plan();
        let mut pending = Vec::new();
        self.residual_risks = plan.residual_risks;
        self.next_steps = plan.next_steps;
        self.held_back = plan.held_back;
        for step in plan.steps {
            match step {
                Step::Do(action) => pending.push(action),
                other => {
                    if let Step::Unknown { error, .. } = &other {
                        self.unknown.push((other.key(), error.clone()));
                    } else {
                        self.reported.insert(other.key());
                    }
                    if let Step::Already(action, _) = &other {
                        self.already.push(action.clone());
                    }
                    // It stays withheld, also if acting changes what the policies look at.
                    if let Step::Withheld(action, why) = &other {
                        self.held_back.insert(other.key());
                        if why.awaits_approval {
                            self.awaiting.push(action.clone());
                        }
                    }
                    self.steps.push(StepReport::unexecuted(&other));
                }
            }
        }
        pending
    }

    /// With what a fuller look at the same world says.
    fn merge(&mut self, fuller: Self) {
        self.steps.extend(fuller.steps);
        self.unknown.extend(fuller.unknown);
        self.residual_risks = fuller.residual_risks;
        for step in fuller.next_steps {
            if !self.next_steps.contains(&step) {
                self.next_steps.push(step);
            }
        }
        self.held_back.extend(fuller.held_back);
        self.reported.extend(fuller.reported);
        self.already.extend(fuller.already);
        self.awaiting.extend(fuller.awaiting);
    }

    /// Forgets what was unknown and is known in these steps, which reading back shows: a step is reported once.
    fn find_out(&mut self, shown: &[Step<A>], reads_all_again: impl Fn(&str) -> bool) {
        let unread = shown
            .iter()
            .filter(|step| matches!(step, Step::Unknown { .. }));
        let unread: HashSet<_> = unread.map(Step::key).collect();
        let known = self.unknown.extract_if(.., |(key, _)| {
            !unread.contains(key) && reads_all_again(key.action)
        });
        let known: HashSet<_> = known.map(|(key, _)| key.to_string()).collect();
        self.found_out |= !known.is_empty();
        self.steps.retain(|step| !known.contains(&step.key()));
    }

    fn is_unknown(&self, key: &StepKey) -> bool {
        self.unknown.iter().any(|(unknown, _)| unknown == key)
    }

    /// What is to be reported of what reading back shows, beside what was attempted.
    fn came_up(
        &mut self,
        shown: Vec<Step<A>>,
        attempted: &HashMap<StepKey, Result<()>>,
    ) -> Vec<Step<A>> {
        let mut came_up = shown;
        came_up.retain(|step| {
            let key = step.key();
            let reported = self.reported.contains(&key) || attempted.contains_key(&key);
            match step {
                Step::Do(_) => false,
                Step::Unknown { .. } => !reported && !self.is_unknown(&key),
                // A step that was not read before has not been reported.
                Step::Already(..) => !reported && self.found_out && !self.is_unknown(&key),
                Step::Skipped { .. } | Step::Withheld(..) => !reported,
            }
        });
        for step in &came_up {
            if let Step::Withheld(..) = step {
                self.held_back.insert(step.key());
            }
        }
        came_up
    }
}

/// Applies each action when its turn comes: what contains does not wait for what only protects, unless
/// evidence would be lost ([`Action::blocks_containment`]).
async fn apply_all<P: Playbook>(
    playbook: &P,
    actions: &[P::Action],
    turns: &Turns,
    until: Instant,
) -> Vec<(StepKey, Result<()>)> {
    let turns_taken: Vec<_> = actions.iter().map(|action| turns.join(action)).collect();
    let applied = actions.iter().zip(&turns_taken).map(async |(action, turn)| {
        // What protects evidence must not use up the time for containing.
        let until = match action.phase() {
            Phase::Protect => until.min(Instant::now() + PROTECT_AT_MOST),
            _ => until,
        };
        let applied = playbook.apply_by(action, until, turns.preceding(*turn));
        let result = within(until, action.name(), applied).await;
        turns.done(*turn);
        if let Err(error) = &result {
            tracing::warn!(action = action.name(), target = action.target(), %error, "step failed");
        }
        (StepKey::of(action), result)
    });
    join_all(applied).await
}

#[cfg(test)]
mod tests;
