//! The order of steps: the steps that have to be finished before another begins.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tokio::sync::Notify;

use crate::plan::{Action, Phase};

/// When a step runs. Protecting and containing have one order between them.
type Rank = (Phase, u8);

/// The place of a step in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// After all steps of a lower rank.
    Ranked(Rank),
    /// It waits for no step, and no step waits for it.
    Independent,
}

/// The steps that are not finished yet. Steps may be added while others run.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    left: RefCell<BTreeMap<Rank, usize>>,
    changed: Notify,
}

impl Schedule {
    pub(super) fn register(&self, action: &impl Action) -> Slot {
        let phase = match action.phase() {
            Phase::Protect if !action.blocks_containment() => return Slot::Independent,
            _ if action.independent() => return Slot::Independent,
            Phase::Protect | Phase::Contain => Phase::Contain,
            later => later,
        };
        let rank = (phase, action.order());
        *self.left.borrow_mut().entry(rank).or_default() += 1;
        Slot::Ranked(rank)
    }

    /// Waits until every step of a lower rank is finished.
    pub(super) async fn wait_turn(&self, slot: Slot) {
        let Slot::Ranked(rank) = slot else {
            return;
        };
        loop {
            let changed = self.changed.notified();
            let first = self.left.borrow().keys().next().copied();
            if first.is_none_or(|first| first >= rank) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn finish(&self, slot: Slot) {
        let Slot::Ranked(rank) = slot else {
            return;
        };
        let mut left = self.left.borrow_mut();
        if let Some(count) = left.get_mut(&rank) {
            *count -= 1;
            if *count == 0 {
                left.remove(&rank);
            }
        }
        self.changed.notify_waiters();
    }
}
