//! Runs a plan: phases in order, independent steps at once, every outcome kept, and the outcome
//! taken from what is read back afterwards.

mod turns;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use self::turns::Turns;
use crate::error::{CallError, CallFailure, Error, Result};
use crate::guard::{Authorized, Gate};
use crate::plan::{Action, Phase, Step, StepKey};
use crate::playbook::Playbook;
use crate::report::StepReport;
use crate::settings::Settings;

/// Pauses before the world is read back again because it does not show a change that was accepted:
/// IAM and EC2 answer reads from copies that lag behind.
const READ_BACK_PAUSES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How often steps that only reading back brought to light (an interface that was attached
/// meanwhile) are executed too, before a person must look.
const ROUNDS: usize = 3;

/// The code of what was not answered in the time set for it.
pub(crate) const NO_ANSWER: &str = "DeadlineExceeded";

/// How long a protecting step may take.
const PROTECT_AT_MOST: Duration = Duration::from_secs(10);

/// What was read after acting. Only this module makes one, from a second observation.
#[derive(Debug)]
pub struct ReadBack {
    /// What shows that a step is in effect; `None`: it is not.
    in_effect: HashMap<StepKey, Option<String>>,
    /// What does the work of a step that is not in effect, see [`Playbook::dispensable`].
    dispensable: HashMap<StepKey, String>,
}

impl ReadBack {
    async fn take<P: Playbook>(
        playbook: &P,
        gate: &Gate<'_>,
        settings: &Settings,
        until: Instant,
        planned: &[&P::Action],
        attempted: &HashMap<StepKey, Result<()>>,
    ) -> Result<(Self, Authorized<P::Action>)> {
        let observing = Box::pin(playbook.read_back(gate.finding(), planned));
        let state = within(until, "reading back", observing).await?;
        let plan = gate.plan::<P>(&state, settings);
        let in_effect = plan
            .steps
            .iter()
            .map(|step| {
                let shown = match step {
                    Step::Already(_, detail) => Some(detail.clone()),
                    _ => None,
                };
                (step.key(), shown)
            })
            .collect();
        let dispensable = planned.iter().filter_map(|action| {
            let key = StepKey::of(*action);
            let error = attempted.get(&key)?.as_ref().err()?;
            let otherwise = P::dispensable(&state, action, error)?;
            Some((key, otherwise))
        });
        let dispensable = dispensable.collect();
        let back = Self {
            in_effect,
            dispensable,
        };
        Ok((back, plan))
    }

    /// `Some(true)`: in effect; `Some(false)`: not; `None`: the resource is no longer there.
    fn shows(&self, key: &StepKey) -> Option<bool> {
        self.in_effect.get(key).map(Option::is_some)
    }

    /// What shows that the step is in effect: by other means than were asked for, it may be.
    fn detail(&self, key: &StepKey) -> &str {
        let detail = self.in_effect.get(key).and_then(Option::as_deref);
        detail.unwrap_or_default()
    }
}

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
    let nowhere = async |_: &[P::Action]| {};
    execute_with(
        playbook,
        gate,
        plan,
        async || None,
        nowhere,
        settings,
        until,
    )
    .await
}

/// [`execute`], for a plan of which parts are made while others are being executed. `more` answers each,
/// and then `None`. What comes up is handed to `keep` before it is done: it has values that were found, too.
pub(crate) async fn execute_with<P: Playbook>(
    playbook: &P,
    gate: &Gate<'_>,
    plan: Authorized<P::Action>,
    mut more: impl AsyncFnMut() -> Option<Authorized<P::Action>>,
    keep: impl AsyncFn(&[P::Action]),
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
    let Sorted {
        mut steps,
        mut transient,
        mut residual_risks,
        mut next_steps,
        mut held_back,
        reported,
        already,
        mut awaiting,
    } = sorted;

    if unread {
        next_steps.push(
            "look at the target again: the time of this invocation ended before all of it was read, and what \
             depends on the rest was not planned"
                .to_owned(),
        );
    }
    let awaited: HashSet<_> = awaiting.iter().map(StepKey::of).collect();

    let mut pending: Vec<P::Action> = Vec::new();
    let mut read_back = None;
    let mut came_up = Vec::new();
    for round in 0..ROUNDS {
        if round > 0 {
            keep(pending.as_slice()).await;
            attempted.extend(apply_all(playbook, &pending, &Turns::default(), until).await);
            executed.append(&mut pending);
        } else if executed.is_empty() {
            break;
        }
        let settled = settled(
            playbook, gate, settings, until, &executed, &already, &attempted,
        );
        match settled.await {
            Ok((back, after)) => {
                let after = after.into_plan();
                residual_risks = after.residual_risks;
                for step in after.next_steps {
                    if !next_steps.contains(&step) {
                        next_steps.push(step);
                    }
                }
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
                awaiting = after.steps.iter().filter_map(waits).collect();
                came_up.clear();
                for step in after.steps {
                    match step {
                        Step::Do(action) if held_back.contains(&StepKey::of(&action)) => {}
                        Step::Do(action) if !attempted.contains_key(&StepKey::of(&action)) => {
                            pending.push(action);
                        }
                        Step::Withheld(ref action, _)
                            if attempted.contains_key(&StepKey::of(action)) => {}
                        Step::Skipped { .. } | Step::Unknown { .. } | Step::Withheld(..)
                            if !reported.contains(&step.key()) =>
                        {
                            if let Step::Withheld(..) = &step {
                                held_back.insert(step.key());
                            }
                            came_up.push(step);
                        }
                        _ => {}
                    }
                }
                read_back = Some(Ok(back));
            }
            Err(error) => {
                if error.is_transient() {
                    transient.get_or_insert(error.clone());
                }
                read_back = Some(Err(error));
            }
        }
        if pending.is_empty() {
            break;
        }
    }
    if let Some(read_back) = &read_back {
        for action in &executed {
            let result = &attempted[&StepKey::of(action)];
            if let Err(error) = result
                && error.is_transient()
                && action.phase().is_worth_a_retry()
                && !read_back
                    .as_ref()
                    .is_ok_and(|back| back.shows(&StepKey::of(action)) == Some(true))
            {
                transient.get_or_insert(error.clone());
            }
            steps.push(conclude(action, result, read_back.as_ref()));
        }
    }
    for step in &came_up {
        if let Step::Unknown { action, error, .. } = step
            && error.is_transient()
            && P::Action::phase_of(action).is_worth_a_retry()
        {
            transient.get_or_insert(error.clone());
        }
        steps.push(StepReport::unexecuted(step));
    }
    steps.extend(pending.iter().map(|action| {
        StepReport::failed(
            action,
            "came up again and again while containing".to_owned(),
        )
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
    transient: Option<Error>,
    residual_risks: Vec<String>,
    next_steps: Vec<String>,
    held_back: HashSet<StepKey>,
    reported: HashSet<StepKey>,
    already: Vec<A>,
    awaiting: Vec<A>,
}

impl<A> Default for Sorted<A> {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            transient: None,
            residual_risks: Vec::new(),
            next_steps: Vec::new(),
            held_back: HashSet::new(),
            reported: HashSet::new(),
            already: Vec::new(),
            awaiting: Vec::new(),
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
                    self.reported.insert(other.key());
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
                    if let Step::Unknown { action, error, .. } = &other
                        && error.is_transient()
                        && A::phase_of(action).is_worth_a_retry()
                    {
                        self.transient.get_or_insert(error.clone());
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
        self.transient = self.transient.take().or(fuller.transient);
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
}

/// Applies each action when its turn comes: what contains does not wait for what only protects, unless
/// evidence would be lost ([`Action::precedes`]).
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

/// Reads back until every accepted step shows, or the pauses are used up.
async fn settled<P: Playbook>(
    playbook: &P,
    gate: &Gate<'_>,
    settings: &Settings,
    until: Instant,
    pending: &[P::Action],
    already: &[P::Action],
    attempted: &HashMap<StepKey, Result<()>>,
) -> Result<(ReadBack, Authorized<P::Action>)> {
    let planned: Vec<_> = pending.iter().chain(already).collect();
    let take = || ReadBack::take(playbook, gate, settings, until, &planned, attempted);
    let mut latest = take().await;
    for pause in READ_BACK_PAUSES {
        let again = match &latest {
            Ok((read_back, _)) => pending.iter().any(|action| {
                attempted[&StepKey::of(action)].is_ok()
                    && read_back.shows(&StepKey::of(action)) == Some(false)
            }),
            Err(error) => error.is_transient(),
        };
        if !again || Instant::now() + pause >= until {
            break;
        }
        sleep(pause).await;
        latest = take().await;
    }
    latest
}

fn conclude(
    action: &impl Action,
    result: &Result<()>,
    read_back: std::result::Result<&ReadBack, &Error>,
) -> StepReport {
    let shown = read_back.map(|back| (back, back.shows(&StepKey::of(action))));
    match (result, shown) {
        (Ok(()), Ok((back, Some(true)))) => {
            let detail = format!(
                "applied and read back: {}",
                back.detail(&StepKey::of(action))
            );
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
        (Err(error), Ok((back, Some(false)))) => match back.dispensable.get(&StepKey::of(action)) {
            Some(otherwise) => StepReport::dispensed(action, format!("{otherwise}: {error}")),
            None => StepReport::failed(action, error.to_string()),
        },
        (Err(error), Ok((_, None))) if error.is_gone() => {
            StepReport::vanished(action, format!("the resource is no longer there: {error}"))
        }
        (Ok(()), Ok((_, None))) => {
            StepReport::vanished(action, "the resource is no longer there".to_owned())
        }
        (Ok(()), Err(error)) => StepReport::failed(
            action,
            format!("the call was accepted, but the result could not be read back: {error}"),
        ),
        (Err(error), _) => StepReport::failed(action, error.to_string()),
    }
}

/// Bounds a call by the time that is left, so that record and notice still have theirs.
pub(crate) async fn within<T>(
    until: Instant,
    what: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match timeout_at(until, work).await {
        Ok(result) => result,
        Err(_) => Err(CallError {
            operation: what,
            target: "the finding's target".to_owned(),
            code: NO_ANSWER.to_owned(),
            message: "there was no answer in the time set for it".to_owned(),
            kind: CallFailure::Transient,
        }
        .into()),
    }
}

#[cfg(test)]
mod tests;
