//! Reading back what was done: the outcome of a step comes from AWS's state, not from the answer to its call.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Executor;
use super::ledger::Ledger;
use crate::deadline::within;
use crate::error::Result;
use crate::plan::{Action, Plan, StepKey};
use crate::report::ReadBack;
use aws::playbook::Playbook;
use policy::Authorized;

/// Pauses before the state is read back again because it does not show an accepted change: IAM and EC2 answer reads
/// from copies that lag behind.
const READ_BACK_PAUSES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Observes again and plans again.
async fn take<P: Playbook>(
    executor: &Executor<'_, P>,
    planned: &[&P::Action],
    attempted: &HashMap<StepKey, Result<()>>,
) -> Result<Seen<P>> {
    let Executor {
        playbook,
        gate,
        settings,
        until,
    } = *executor;
    let observing = Box::pin(playbook.read_back(gate.finding(), planned));
    let state = within(until, "reading back", observing).await?;
    let plan = gate.plan::<P>(&state, settings);
    let dispensable = planned.iter().filter_map(|action| {
        let key = StepKey::of(*action);
        let error = attempted.get(&key)?.as_ref().err()?;
        let otherwise = P::dispensable(&state, action, error)?;
        Some((key, otherwise))
    });
    let back = read_back(&plan, dispensable.collect());
    Ok(Seen { back, state, plan })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads back what was done"
)]
fn read_back<A: Action>(plan: &Plan<A>, dispensable: HashMap<StepKey, String>) -> ReadBack {
    ReadBack::of(plan, dispensable)
}

/// The state after acting, with what would be done in it.
pub(super) struct Seen<P: Playbook> {
    pub(super) back: ReadBack,
    pub(super) state: P::State,
    pub(super) plan: Authorized<P::Action>,
}

/// Reads back until every accepted step shows, or the pauses are used up.
pub(super) async fn settled<P: Playbook>(
    executor: &Executor<'_, P>,
    ledger: &Ledger<P::Action>,
) -> Result<Seen<P>> {
    let Ledger {
        executed,
        already,
        attempted,
        ..
    } = ledger;
    let planned: Vec<_> = executed.iter().chain(already).collect();
    let take = || take(executor, &planned, attempted);
    let mut latest = take().await;
    for pause in READ_BACK_PAUSES {
        let again = match &latest {
            Ok(Seen { back, .. }) => executed.iter().any(|action| {
                attempted[&StepKey::of(action)].is_ok()
                    && back.shows(&StepKey::of(action)) == Some(false)
            }),
            Err(error) => error.is_transient(),
        };
        if !again || Instant::now() + pause >= executor.until {
            break;
        }
        sleep(pause).await;
        latest = take().await;
    }
    latest
}
