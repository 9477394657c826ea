//! Sequences that were found wrong once, shrunk.

use super::command::Command::{self, Approve, Deliver, Recheck, Reject, Release, Set, Undo};
use super::command::{Setting, Trouble};
use super::holds;

fn deliver(finding: usize) -> Command {
    deliver_in(finding, Trouble::None)
}

fn deliver_in(finding: usize, trouble: Trouble) -> Command {
    Deliver {
        finding,
        newer: false,
        trouble,
    }
}

fn go_on(finding: usize) -> Command {
    Deliver {
        finding,
        newer: true,
        trouble: Trouble::None,
    }
}

#[test]
fn a_new_plan_after_a_rejection_is_notified() {
    let rejected = Reject {
        plan: 0,
        stale: false,
    };
    holds(Setting::Approve, &[deliver(1), rejected, go_on(1)]);
}

#[test]
fn a_new_plan_after_a_reverted_approval_is_notified_as_reverted() {
    holds(
        Setting::Approve,
        &[deliver(1), Approve(0), Undo(0), Undo(0), go_on(1)],
    );
}

#[test]
fn a_finding_about_a_credential_released_with_another_incident_is_notified() {
    holds(Setting::Contain, &[deliver(0), Release(0), deliver(1)]);
}

#[test]
fn a_release_leaves_the_deny_that_a_session_counts_on_after_a_first_attempt_that_failed() {
    let throttled = deliver_in(2, Trouble::Throttled);
    holds(Setting::Contain, &[deliver(0), throttled, Release(0)]);
}

#[test]
fn a_release_leaves_the_deny_that_a_session_counts_on_which_waited_for_approval() {
    holds(
        Setting::Approve,
        &[deliver(0), deliver(2), Approve(0), deliver(2), Release(0)],
    );
}

#[test]
fn a_release_leaves_the_deny_that_an_invocation_at_work_has_found() {
    let at_work = deliver_in(2, Trouble::Released(0));
    holds(Setting::Contain, &[deliver(0), at_work]);
}

#[test]
fn a_rejection_concerns_the_plan_that_was_shown() {
    let rejected = Reject {
        plan: 0,
        stale: true,
    };
    holds(Setting::Approve, &[deliver(2), deliver(2), rejected]);
}

#[test]
fn a_containment_stays_when_the_settings_permit_less() {
    for setting in [Setting::Notify, Setting::Forbidden, Setting::DryRun] {
        holds(Setting::Contain, &[deliver(0), Set(setting), deliver(0)]);
        let look = Recheck(Trouble::None);
        holds(Setting::Contain, &[deliver(0), Set(setting), look]);
    }
}

#[test]
fn a_contained_target_that_cannot_be_read_is_not_reported_as_live() {
    for trouble in [Trouble::Throttled, Trouble::Denied] {
        holds(Setting::Contain, &[deliver(0), deliver_in(0, trouble)]);
        holds(Setting::Contain, &[deliver(0), Recheck(trouble)]);
    }
}

#[test]
fn a_release_is_not_reported_as_reverted_by_another_incident_of_the_credential() {
    let contained = [deliver(1), deliver(0), Release(1), go_on(0)];
    holds(Setting::Contain, &contained);
    let contained = [deliver(1), deliver(0), Release(0), go_on(0)];
    holds(Setting::Contain, &contained);
}

#[test]
fn a_release_of_an_incident_that_contained_nothing_leaves_a_containment() {
    let commands = [
        deliver(1),
        Set(Setting::Contain),
        deliver(0),
        Release(1),
        deliver(0),
    ];
    holds(Setting::Approve, &commands);
}

#[test]
fn a_revert_is_notified_by_the_retry_of_an_attempt_without_a_notice() {
    for trouble in [
        Trouble::Crash(2),
        Trouble::Crash(4),
        Trouble::TopicThrottled,
    ] {
        holds(
            Setting::Contain,
            &[deliver(1), Undo(0), deliver_in(1, trouble)],
        );
        holds(Setting::Contain, &[deliver(1), Undo(0), Recheck(trouble)]);
    }
}
