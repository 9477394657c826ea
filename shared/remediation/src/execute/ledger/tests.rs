use serde_json::json;

use super::*;
use crate::error::{CallError, CallFailure};
use crate::fixtures::fake::{Act, Fake, act};
use crate::fixtures::{ENFORCING, finding, gate, now};
use crate::report::Outcome;
use crate::settings::Settings;
use policy::{Gate, LoadedPolicies};

type State = Vec<(Act, bool)>;

fn open(target: &'static str) -> (Act, bool) {
    (act(target), false)
}

fn shut(target: &'static str) -> (Act, bool) {
    (act(target), true)
}

fn impossible(target: &'static str) -> (Act, bool) {
    let impossible = true;
    (
        Act {
            impossible,
            ..act(target)
        },
        false,
    )
}

fn unread(target: &'static str) -> (Act, bool) {
    let unread = Some(Error::Refused("it could not be read".to_owned()));
    (
        Act {
            unread,
            ..act(target)
        },
        false,
    )
}

/// The plan for these steps.
fn plan(state: &State) -> Authorized<Act> {
    let finding = finding(json!({ "type": "Policy:S3/BucketAnonymousAccessGranted" }));
    gate::<Fake>(&finding, now()).plan::<Fake>(state, &Settings::default())
}

/// [`plan`], of which `asks` awaits approval.
fn plan_asking(state: &State) -> Authorized<Act> {
    let finding = finding(json!({ "type": "Policy:S3/BucketAnonymousAccessGranted" }));
    let guard = LoadedPolicies::new(
        "permit (principal, action, resource);
         forbid (principal, action, resource) when { resource.name == \"asks\" }
         unless { context.approved };",
    );
    let gate = Gate::new::<Fake>(&guard, &finding, &ENFORCING, false, now());
    gate.plan::<Fake>(state, &Settings::default())
}

/// The account of an execution of `plan`.
fn executed(plan: Authorized<Act>) -> Ledger<Act> {
    let mut ledger = Ledger::default();
    let pending = ledger.absorb(plan);
    let results = pending.iter().map(|it| (StepKey::of(it), Ok(())));
    let results = results.collect();
    ledger.attempt(pending, results);
    ledger
}

fn targets<'a>(steps: impl IntoIterator<Item = &'a Step<Act>>) -> Vec<String> {
    let steps = steps.into_iter();
    steps.map(|step| step.key().target).collect()
}

/// One case: the state that was planned for, the state that is read back, and the targets of the steps that are
/// pending, late and found out then.
struct Case {
    name: &'static str,
    before: State,
    after: State,
    pending: &'static [&'static str],
    late: &'static [&'static str],
    found_out: &'static [&'static str],
}

#[test]
fn classify_sorts_each_step_by_its_known_state() {
    let none = &[] as &[&str];
    let cases = [
        Case {
            name: "a step that was attempted is neither executed nor reported again",
            before: vec![open("a")],
            after: vec![open("a")],
            pending: none,
            late: none,
            found_out: none,
        },
        Case {
            name: "a step in effect that was never unknown is no news",
            before: vec![open("a")],
            after: vec![shut("a"), shut("b")],
            pending: none,
            late: none,
            found_out: none,
        },
        Case {
            name: "a new step is executed",
            before: vec![open("a")],
            after: vec![shut("a"), open("b")],
            pending: &["b"],
            late: none,
            found_out: none,
        },
        Case {
            name: "a new step that is impossible or unknown is reported",
            before: vec![open("a")],
            after: vec![shut("a"), impossible("b"), unread("c")],
            pending: none,
            late: &["b", "c"],
            found_out: none,
        },
        Case {
            name: "an impossible step is reported once",
            before: vec![open("a"), impossible("b")],
            after: vec![shut("a"), impossible("b")],
            pending: none,
            late: none,
            found_out: none,
        },
        Case {
            name: "an unknown step that stays unknown is reported once",
            before: vec![open("a"), unread("b")],
            after: vec![shut("a"), unread("b")],
            pending: none,
            late: none,
            found_out: none,
        },
        Case {
            name: "an unknown step that turns out open is executed",
            before: vec![open("a"), unread("b")],
            after: vec![shut("a"), open("b")],
            pending: &["b"],
            late: none,
            found_out: &["b"],
        },
        Case {
            name: "an unknown step that turns out in effect is reported",
            before: vec![open("a"), unread("b")],
            after: vec![shut("a"), shut("b")],
            pending: none,
            late: &["b"],
            found_out: &["b"],
        },
        Case {
            name: "an unknown step whose target is gone is no longer unknown",
            before: vec![open("a"), unread("b")],
            after: vec![shut("a")],
            pending: none,
            late: none,
            found_out: &["b"],
        },
    ];
    for Case {
        name,
        before,
        after,
        pending,
        late,
        found_out,
    } in cases
    {
        let ledger = executed(plan(&before));
        let round = classify(plan(&after), &ledger, |_| true);
        assert_eq!(targets(&round.pending.steps), pending, "{name}");
        assert_eq!(targets(&round.late), late, "{name}");
        let found: Vec<_> = round.found_out.iter().map(|key| &key.target).collect();
        assert_eq!(found, found_out.iter().collect::<Vec<_>>(), "{name}");
        assert!(round.awaiting.is_empty(), "{name}");
    }
}

#[test]
fn classify_keeps_steps_unknown_that_are_not_read_again() {
    let ledger = executed(plan(&vec![open("a"), unread("b")]));
    let round = classify(plan(&vec![shut("a")]), &ledger, |_| false);
    assert!(round.found_out.is_empty());
}

#[test]
fn classify_executes_nothing_that_is_held_back_or_was_withheld() {
    let before = vec![open("a"), open("asks"), open("held")];
    let mut first = plan_asking(&before);
    first.leave_out(|act| (act.target == "held").then(|| "later".to_owned()));
    let ledger = executed(first);
    // The policies permit all of it now.
    let round = classify(plan(&before), &ledger, |_| true);
    assert_eq!(targets(&round.pending.steps), [] as [&str; 0]);
    let awaiting: Vec<_> = round.awaiting.iter().map(|act| act.target).collect();
    assert_eq!(awaiting, ["asks"]);
}

#[test]
fn classify_lists_steps_awaiting_approval_after_acting() {
    let ledger = executed(plan_asking(&vec![open("a"), open("asks")]));
    let round = classify(plan_asking(&vec![shut("a"), open("asks")]), &ledger, |_| {
        true
    });
    let awaiting: Vec<_> = round.awaiting.iter().map(|act| act.target).collect();
    assert_eq!(awaiting, ["asks"]);
    assert!(round.late.is_empty(), "it was reported before");
    // What is in effect by now awaits nothing.
    let round = classify(plan_asking(&vec![shut("a"), shut("asks")]), &ledger, |_| {
        true
    });
    assert!(round.awaiting.is_empty());
}

/// What is read back of the step `a` in this state.
#[expect(
    clippy::disallowed_methods,
    reason = "the outcomes of a step, by each reading back that there could be"
)]
fn read_back(state: State, otherwise: Option<&str>) -> ReadBack {
    let key = StepKey::of(&act("a"));
    let dispensable = otherwise.map(|otherwise| (key, otherwise.to_owned()));
    ReadBack::of(&*plan(&state), dispensable.into_iter().collect())
}

fn failure(kind: CallFailure) -> Error {
    Error::from(CallError {
        operation: "fake:Apply",
        target: "a".to_owned(),
        code: "it".to_owned(),
        message: "failed".to_owned(),
        kind,
    })
}

#[test]
fn the_outcome_of_a_step_is_read_back_and_not_the_answer_of_its_call() {
    let denied = || Err(failure(CallFailure::Denied));
    let gone = || Err(failure(CallFailure::Gone));
    let (applied, skipped, failed) = (Outcome::Applied, Outcome::Skipped, Outcome::Failed);
    for (result, state, otherwise, outcome, detail) in [
        (
            Ok(()),
            vec![shut("a")],
            None,
            applied,
            "applied and read back: in effect",
        ),
        (
            denied(),
            vec![shut("a")],
            None,
            applied,
            "although the call failed",
        ),
        (
            Ok(()),
            vec![open("a")],
            None,
            failed,
            "does not show it in effect",
        ),
        (denied(), vec![open("a")], None, failed, "fake:Apply on a"),
        (
            denied(),
            vec![open("a")],
            Some("the account is shut"),
            skipped,
            "the account is shut: ",
        ),
        (gone(), vec![open("a")], None, failed, "fake:Apply on a"),
        (Ok(()), vec![], None, skipped, "no longer there"),
        (gone(), vec![], None, skipped, "no longer there: fake:Apply"),
        (denied(), vec![], None, failed, "fake:Apply on a"),
        (
            Ok(()),
            vec![unread("a")],
            None,
            failed,
            "could not be read back: it could not be read",
        ),
        (denied(), vec![unread("a")], None, failed, "fake:Apply on a"),
    ] {
        let back = read_back(state, otherwise);
        let step = conclude(&act("a"), &result, Ok(&back));
        assert_eq!(step.outcome(), outcome, "{result:?} {step:?}");
        assert!(step.detail().contains(detail), "{result:?} {step:?}");
    }
    let unreadable = failure(CallFailure::Denied);
    for (result, detail) in [
        (Ok(()), "could not be read back"),
        (gone(), "fake:Apply on a"),
    ] {
        let step = conclude(&act("a"), &result, Err(&unreadable));
        assert_eq!(step.outcome(), failed, "{step:?}");
        assert!(step.detail().contains(detail), "{step:?}");
    }
}

#[test]
fn a_call_that_failed_asks_for_a_retry_unless_its_step_is_in_effect() {
    for (state, transient) in [
        (vec![shut("a")], false),
        (vec![open("a")], true),
        (vec![], true),
    ] {
        let mut ledger = Ledger::default();
        let pending = ledger.absorb(plan(&vec![open("a")]));
        let result = Err(failure(CallFailure::Transient));
        ledger.attempt(pending, vec![(StepKey::of(&act("a")), result)]);
        let round = classify(plan(&state), &ledger, |_| true);
        let came_up = ledger.settle(read_back(state, None), round);
        assert!(came_up.is_empty());
        let done = ledger.conclude(None);
        assert_eq!(done.transient.is_some(), transient, "{:?}", done.steps);
    }
}

#[test]
fn classify_lists_no_step_that_was_attempted_among_those_that_await_approval() {
    // It was approved, and by now the policies ask again.
    let ledger = executed(plan(&vec![open("asks")]));
    let round = classify(plan_asking(&vec![open("asks")]), &ledger, |_| true);
    assert!(round.awaiting.is_empty(), "{:?}", round.awaiting);
    assert!(round.late.is_empty(), "{:?}", round.late);
}

#[test]
fn a_step_that_came_up_withheld_is_not_executed_when_it_is_permitted_later() {
    let mut ledger = executed(plan(&vec![open("a")]));
    let round = classify(plan_asking(&vec![shut("a"), open("asks")]), &ledger, |_| {
        true
    });
    assert_eq!(targets(&round.late), ["asks"]);
    let came_up = ledger.settle(read_back(vec![shut("a")], None), round);
    assert!(came_up.is_empty());
    let round = classify(plan(&vec![shut("a"), open("asks")]), &ledger, |_| true);
    assert_eq!(targets(&round.pending.steps), [] as [&str; 0]);
}

#[test]
fn known_outcomes_stay_known() {
    let mut ledger = executed(plan(&vec![open("a"), unread("b")]));
    let round = classify(plan(&vec![shut("a"), open("b")]), &ledger, |_| true);
    ledger.settle(read_back(vec![shut("a")], None), round);
    // A step that was not read before, and is in effect, is news now.
    let state = vec![shut("a"), shut("b"), shut("c")];
    let round = classify(plan(&state), &ledger, |_| true);
    assert_eq!(targets(&round.late), ["b", "c"]);
    ledger.settle(read_back(vec![shut("a")], None), round);
    let round = classify(plan(&state), &ledger, |_| true);
    assert_eq!(targets(&round.late), ["b", "c"]);
}
