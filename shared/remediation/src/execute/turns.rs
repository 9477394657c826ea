//! Whose turn it is: what has to be finished before a step is begun.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tokio::sync::Notify;

use crate::plan::{Action, Phase};

/// When a step runs. Protecting and containing have one order between them.
type Rank = (Phase, u8);

/// The place of a step in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// After all steps of a lower rank.
    Ranked(Rank),
    /// Beside the others: it waits for none, and none waits for it.
    Beside,
}

/// The steps that are not finished yet. Steps may join while others run.
#[derive(Debug, Default)]
pub(super) struct Turns {
    left: RefCell<BTreeMap<Rank, usize>>,
    changed: Notify,
}

impl Turns {
    pub(super) fn join(&self, action: &impl Action) -> Turn {
        let phase = match action.phase() {
            Phase::Protect if !action.blocks_containment() => return Turn::Beside,
            _ if action.independent() => return Turn::Beside,
            Phase::Protect | Phase::Contain => Phase::Contain,
            later => later,
        };
        let rank = (phase, action.order());
        *self.left.borrow_mut().entry(rank).or_default() += 1;
        Turn::Ranked(rank)
    }

    /// Waits for what comes before.
    pub(super) async fn preceding(&self, turn: Turn) {
        let Turn::Ranked(rank) = turn else {
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

    pub(super) fn done(&self, turn: Turn) {
        let Turn::Ranked(rank) = turn else {
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
