//! Random sequences of what may happen to a few findings, held against a simple model: deliveries and looks,
//! whatever fails in them; attackers who undo; approvals, rejections, releases; modes, policies and the dry run,
//! changed in between. The flow, the record, approving and releasing are the real ones; the account, the table,
//! the topic and the queue are in memory.
//!
//! Sequences are the same in every run, unless `PROPTEST_RNG_SEED` is set; `PROPTEST_CASES` makes them more. A
//! sequence that fails is shrunk, and then belongs into `named`.

mod account;
mod command;
mod model;
mod named;
mod run;

use proptest::collection::vec;
use proptest::prelude::*;

use self::command::{Command, Setting, command};
use self::run::Run;
use crate::fixtures::hostile::{block_on, hold};

/// How many commands a sequence has at most.
const LONGEST: usize = 16;

fn holds(setting: Setting, commands: &[Command]) {
    block_on(async {
        let mut run = Run::new(setting);
        for command in commands {
            Box::pin(run.carry_out(command)).await;
        }
    });
}

#[test]
fn in_any_order_of_events_nothing_is_lost_and_every_notice_is_true() {
    let setting = prop_oneof![Just(Setting::Contain), Just(Setting::Approve)];
    let sequence = (setting, vec(command(), 1..=LONGEST));
    hold(1, sequence, |(setting, commands)| holds(setting, &commands));
}
