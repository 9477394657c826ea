//! Runs a plan: phases run in order, and independent steps at the same time. Every outcome is kept, and comes from what
//! is read back afterwards.

mod ledger;
mod read_back;
mod schedule;

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use self::ledger::{Ledger, classify};
use self::read_back::{Seen, settled};
use self::schedule::Schedule;
pub(crate) use crate::deadline::within;
use crate::error::{Error, Result};
use crate::plan::{Action, Phase, StepKey};
use crate::report::StepReport;
use crate::settings::Settings;
use aws::playbook::Playbook;
use policy::{Authorized, Gate};

/// The rounds for steps that only reading back shows, such as an interface attached since. After them the on-call
/// engineer must look.
const ROUNDS: usize = 3;

/// How long a protecting step may take.
const PROTECT_AT_MOST: Duration = Duration::from_secs(10);

/// The result of executing a plan.
#[derive(Debug)]
pub struct Execution<A> {
    /// Every step of the plan, and any that came up while it was executed.
    pub steps: Vec<StepReport>,
    /// The first failure that a retry may not meet.
    pub transient: Option<Error>,
    /// The risks that remain and the next steps, by the state that was read last.
    pub residual_risks: Vec<String>,
    /// See [`Execution::residual_risks`].
    pub next_steps: Vec<String>,
    /// The steps that await approval, as they are planned in the state that was read last.
    pub awaiting: Vec<A>,
}

/// Executes `plan`, which `gate` made, and reads back; steps found then pass the gate too. Never rolls anything back:
/// half contained beats re-opened.
pub async fn execute<P: Playbook>(
    playbook: &P,
    gate: &Gate<'_>,
    plan: Authorized<P::Action>,
    settings: &Settings,
    until: Instant,
) -> Execution<P::Action> {
    let executor = Executor {
        playbook,
        gate,
        settings,
        until,
    };
    executor.execute(plan, &mut ()).await
}

/// Steps that are found while a plan is executed.
pub(crate) trait LateSteps<P: Playbook> {
    /// Answers the next part of the plan, which is made while the parts before it are executed. `None`: there is
    /// none.
    async fn next_part(&mut self) -> Option<Authorized<P::Action>>;

    /// Admits steps that came up when `state` was read back, before they are executed: they need places, and have
    /// values that were found.
    async fn admit(
        &mut self,
        state: &P::State,
        came_up: Authorized<P::Action>,
    ) -> Authorized<P::Action>;
}

/// No part is made late, and all that comes up is admitted.
impl<P: Playbook> LateSteps<P> for () {
    async fn next_part(&mut self) -> Option<Authorized<P::Action>> {
        None
    }

    async fn admit(
        &mut self,
        _state: &P::State,
        came_up: Authorized<P::Action>,
    ) -> Authorized<P::Action> {
        came_up
    }
}

/// A playbook at work, by the plans that one gate makes.
pub(crate) struct Executor<'a, P> {
    pub(crate) playbook: &'a P,
    pub(crate) gate: &'a Gate<'a>,
    pub(crate) settings: &'a Settings,
    pub(crate) until: Instant,
}

impl<P: Playbook> Executor<'_, P> {
    /// [`execute`], with steps that are found during it.
    pub(crate) async fn execute(
        &self,
        plan: Authorized<P::Action>,
        late: &mut impl LateSteps<P>,
    ) -> Execution<P::Action> {
        let mut ledger = Ledger::default();
        self.apply_parts(plan, late, &mut ledger).await;
        let mut pending: Option<(P::State, Authorized<P::Action>)> = None;
        for round in 0..ROUNDS {
            if let Some((state, came_up)) = pending.take() {
                let actions = ledger.absorb_admitted(late.admit(&state, came_up).await);
                if actions.is_empty() {
                    break;
                }
                let results = self.apply(&actions, &Schedule::default()).await;
                ledger.attempt(actions, results);
            } else if round > 0 || ledger.executed.is_empty() {
                break;
            }
            match settled(self, &ledger).await {
                Ok(Seen { back, state, plan }) => {
                    let round = classify(plan, &ledger, P::reads_all_again);
                    let came_up = ledger.settle(back, round);
                    pending = (!came_up.is_empty()).then_some((state, came_up));
                }
                Err(error) => ledger.settle_unread(error),
            }
        }
        ledger.conclude(pending.map(|(_, plan)| plan))
    }

    /// Applies a plan, and beside it the parts that are made during it.
    async fn apply_parts(
        &self,
        plan: Authorized<P::Action>,
        late: &mut impl LateSteps<P>,
        ledger: &mut Ledger<P::Action>,
    ) {
        let first = ledger.absorb(plan);
        let schedule = Schedule::default();
        let mut unread = false;
        let parts = async {
            let mut parts = Vec::new();
            let mut next = late.next_part().await;
            while let Some(plan) = next {
                let pending = ledger.absorb(plan);
                // What is read late must not use up the time for reading back and for telling.
                let (results, after) = futures::join!(
                    self.apply(&pending, &schedule),
                    timeout_at(self.until, late.next_part()),
                );
                unread = after.is_err();
                next = after.ok().flatten();
                parts.push((pending, results));
            }
            parts
        };
        let (results, parts) =
            futures::join!(Box::pin(self.apply(&first, &schedule)), Box::pin(parts));
        ledger.attempt(first, results);
        for (pending, results) in parts {
            ledger.attempt(pending, results);
        }
        if unread {
            ledger.advise(vec![
                "check the target again: this invocation's time ended before all of it was read, and \
                 steps that depend on the rest were not planned"
                    .to_owned(),
            ]);
        }
    }

    /// Applies each action when its turn comes: containing steps do not wait for those that only protect, unless
    /// evidence would be lost ([`Action::precedes`]).
    async fn apply(
        &self,
        actions: &[P::Action],
        schedule: &Schedule,
    ) -> Vec<(StepKey, Result<()>)> {
        let slots: Vec<_> = actions.iter().map(|it| schedule.register(it)).collect();
        let applied = actions.iter().zip(&slots).map(async |(action, slot)| {
            // What protects evidence must not use up the time for containing.
            let until = match action.phase() {
                Phase::Protect => self.until.min(Instant::now() + PROTECT_AT_MOST),
                _ => self.until,
            };
            let preceding = schedule.wait_turn(*slot);
            let applied = self.playbook.apply_by(action, until, preceding);
            let result = within(until, action.name(), applied).await;
            schedule.finish(*slot);
            if let Err(error) = &result {
                tracing::warn!(action = action.name(), target = action.target(), %error, "step failed");
            }
            (StepKey::of(action), result)
        });
        join_all(applied).await
    }
}

#[cfg(test)]
mod tests;
