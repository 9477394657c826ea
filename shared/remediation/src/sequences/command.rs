//! What may happen.

use proptest::prelude::*;

use super::account::Key;

/// The findings, by their number: two about one key, one about a session and one about another key of the same
/// user, one about a key of another user.
pub(super) const FINDINGS: [Key; 5] = [
    Key::First,
    Key::First,
    Key::Session,
    Key::Second,
    Key::OfAnotherUser,
];

/// One event of a sequence. What is counted is counted among those for which it makes a difference, round and
/// round.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    /// GuardDuty sends the finding.
    Deliver {
        finding: usize,
        /// The activity goes on. If not, it was before everything else.
        newer: bool,
        trouble: Trouble,
    },
    /// The next look that is held back comes in.
    Recheck(Trouble),
    /// An attacker takes a step back, of those in effect.
    Undo(usize),
    /// An approver approves a plan, of those that wait.
    Approve(usize),
    /// An approver rejects it: as it is shown now, or as it was shown before the last command.
    Reject { plan: usize, stale: bool },
    /// An operator releases an incident, of those that are not.
    Release(usize),
    /// The settings are changed.
    Set(Setting),
    /// So many minutes pass.
    Wait(i64),
}

/// What goes wrong in the first attempt of an invocation. Lambda retries it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// The process dies when it has called something outside of it so often.
    Crash(usize),
    /// The account cannot be read for now.
    Throttled,
    /// The account cannot be read, in no attempt.
    Denied,
    /// The topic takes nothing for now.
    TopicThrottled,
    /// An operator releases an incident at that time, of those that are not released.
    Released(usize),
}

/// What a function may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Contain,
    Approve,
    Notify,
    Forbidden,
    DryRun,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        6 => Just(Trouble::None),
        2 => (1usize..12).prop_map(Trouble::Crash),
        1 => Just(Trouble::Throttled),
        1 => Just(Trouble::Denied),
        1 => Just(Trouble::TopicThrottled),
        1 => (0usize..3).prop_map(Trouble::Released),
    ]
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    let finding =
        prop_oneof![4 => Just(0usize), 3 => Just(1), 2 => Just(2), 2 => Just(3), 1 => Just(4)];
    let setting = prop_oneof![
        2 => Just(Setting::Contain),
        2 => Just(Setting::Approve),
        1 => Just(Setting::Notify),
        1 => Just(Setting::Forbidden),
        1 => Just(Setting::DryRun),
    ];
    prop_oneof![
        8 => (finding, any::<bool>(), trouble())
            .prop_map(|(finding, newer, trouble)| Command::Deliver { finding, newer, trouble }),
        2 => trouble().prop_map(Command::Recheck),
        2 => (0usize..4).prop_map(Command::Undo),
        3 => (0usize..2).prop_map(Command::Approve),
        3 => (0usize..2, any::<bool>()).prop_map(|(plan, stale)| Command::Reject { plan, stale }),
        3 => (0usize..3).prop_map(Command::Release),
        2 => setting.prop_map(Command::Set),
        1 => prop_oneof![Just(1i64), Just(30), Just(300)].prop_map(Command::Wait),
    ]
}
