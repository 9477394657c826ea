use super::*;
use crate::error::{CallError, CallFailure, Error};
use crate::finding::Finding;
use crate::fixtures::fake::{Act, Fake, act};
use crate::fixtures::{ENFORCING, finding, gate, now, run};
use crate::plan::Phase;
use crate::report::Outcome;
use policy::LoadedPolicies;
use serde_json::json;

fn some_finding() -> Finding {
    finding(json!({ "type": "Policy:S3/BucketAnonymousAccessGranted" }))
}

async fn done(fake: &Fake) -> Execution<Act> {
    run(fake, &some_finding()).await
}

/// [`done`], with the deadline `seconds` from now.
async fn done_within(fake: &Fake, seconds: u64) -> Execution<Act> {
    let finding = some_finding();
    let state = fake.observe(&finding).await.unwrap();
    let (settings, gate) = (Settings::default(), gate::<Fake>(&finding, now()));
    let plan = gate.plan::<Fake>(&state, &settings);
    let until = Instant::now() + Duration::from_secs(seconds);
    execute(fake, &gate, plan, &settings, until).await
}

/// Admits what comes up by this function.
struct Admits<F>(F);

impl<F: FnMut(Authorized<Act>) -> Authorized<Act>> LateSteps<Fake> for Admits<F> {
    async fn next_part(&mut self) -> Option<Authorized<Act>> {
        None
    }

    async fn admit(
        &mut self,
        _state: &Vec<(Act, bool)>,
        came_up: Authorized<Act>,
    ) -> Authorized<Act> {
        (self.0)(came_up)
    }
}

/// [`done`], with what comes up admitted by `admit`.
async fn done_admitting(
    fake: &Fake,
    admit: impl FnMut(Authorized<Act>) -> Authorized<Act>,
) -> Execution<Act> {
    let finding = some_finding();
    let state = fake.observe(&finding).await.unwrap();
    let executor = Executor {
        playbook: fake,
        gate: &gate::<Fake>(&finding, now()),
        settings: &Settings::default(),
        until: Instant::now() + Duration::from_secs(60),
    };
    let plan = executor.gate.plan::<Fake>(&state, executor.settings);
    executor.execute(plan, &mut Admits(admit)).await
}

fn outcomes(execution: &Execution<Act>) -> Vec<(&str, Outcome)> {
    let steps = execution.steps.iter();
    steps.map(|step| (step.target(), step.outcome())).collect()
}

fn taking(seconds: u64, target: &'static str) -> Act {
    Act {
        takes: Duration::from_secs(seconds),
        ..act(target)
    }
}

fn error(kind: CallFailure) -> Error {
    let code = match kind {
        CallFailure::Transient => "Throttling",
        CallFailure::Denied => "AccessDenied",
        CallFailure::Gone => "NoSuchEntity",
        CallFailure::Permanent => "UnmodifiableEntity",
    };
    Error::from(CallError {
        operation: "fake:Apply",
        target: "it".to_owned(),
        code: code.to_owned(),
        message: "as the test asked".to_owned(),
        kind,
    })
}

fn failing(kind: CallFailure, target: &'static str) -> Act {
    Act {
        fails: Some(error(kind)),
        ..act(target)
    }
}

#[tokio::test(start_paused = true)]
async fn phases_and_orders_run_in_turn_and_only_preceding_protection_is_awaited() {
    let step = |target, phase, order| Act {
        phase,
        order,
        ..taking(1, target)
    };
    let fake = Fake::new([
        step("note", Phase::Annotate, 0),
        step("second", Phase::Contain, 1),
        step("snapshot", Phase::Preserve, 0),
        step("first", Phase::Contain, 0),
        step("also first", Phase::Contain, 0),
        Act {
            takes: Duration::from_secs(9),
            ..step("keep", Phase::Protect, 7)
        },
        Act {
            takes: Duration::from_secs(2),
            blocks_containment: true,
            ..step("leave", Phase::Protect, 0)
        },
    ]);
    done(&fake).await;
    let calls = fake.calls().into_iter();
    let applied: Vec<_> = calls
        .filter(|(what, ..)| *what != "observe")
        .map(|(what, target, at)| (what, target, at.as_secs()))
        .collect();
    assert_eq!(
        applied,
        [
            ("begin", "first", 0),
            ("begin", "also first", 0),
            ("begin", "keep", 0),
            ("begin", "leave", 0),
            ("end", "first", 1),
            ("end", "also first", 1),
            ("end", "leave", 2),
            ("begin", "second", 2),
            ("end", "second", 3),
            ("begin", "snapshot", 3),
            ("end", "snapshot", 4),
            ("begin", "note", 4),
            ("end", "note", 5),
            ("end", "keep", 9),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_step_is_recorded_before_it_runs() {
    let late = Act {
        after: Some("first"),
        ..act("late")
    };
    let fake = Fake::new([act("first"), late]);
    let mut kept = Vec::new();
    let done = done_admitting(&fake, |came_up| {
        let begun = fake.calls().iter().any(|(_, target, _)| *target == "late");
        kept.extend(came_up.steps.iter().map(|step| (step.key().target, begun)));
        came_up
    });
    let done = done.await;
    assert_eq!(kept, [("late".to_owned(), false)]);
    assert_eq!(
        outcomes(&done),
        [("first", Outcome::Applied), ("late", Outcome::Applied)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_stops_no_other_step() {
    for phase in [Phase::Protect, Phase::Contain] {
        let fake = Fake::new([
            Act {
                phase,
                ..failing(CallFailure::Denied, "refused")
            },
            act("beside it"),
            Act {
                order: 1,
                ..act("after it")
            },
        ]);
        let done = done(&fake).await;
        assert_eq!(
            outcomes(&done),
            [
                ("refused", Outcome::Failed),
                ("beside it", Outcome::Applied),
                ("after it", Outcome::Applied),
            ]
        );
        assert!(done.steps[0].detail().contains("role allows fake:Apply"));
        assert!(done.transient.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_transient_failure_asks_for_a_retry() {
    for (kind, transient) in [
        (CallFailure::Transient, true),
        (CallFailure::Denied, false),
        (CallFailure::Gone, false),
        (CallFailure::Permanent, false),
    ] {
        let done = done(&Fake::new([failing(kind, "it")])).await;
        assert_eq!(outcomes(&done), [("it", Outcome::Failed)]);
        assert_eq!(done.transient.is_some(), transient, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_fails_in_time_and_asks_for_a_retry() {
    let fake = Fake::new([taking(3_600, "hanging"), act("beside it")]);
    let start = Instant::now();
    let done = done_within(&fake, 20).await;
    assert_eq!(start.elapsed(), Duration::from_secs(20));
    assert_eq!(
        outcomes(&done),
        [
            ("hanging", Outcome::Failed),
            ("beside it", Outcome::Applied)
        ]
    );
    assert!(
        done.steps[0]
            .detail()
            .contains("no answer came in the time allowed")
    );
    assert!(done.transient.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_step_that_cannot_be_read_back_is_not_applied() {
    for (kind, transient) in [
        (CallFailure::Transient, true),
        (CallFailure::Denied, false),
        (CallFailure::Gone, false),
    ] {
        let mut fake = Fake::new([act("it"), failing(CallFailure::Denied, "refused")]);
        fake.unreadable = Some((1, error(kind)));
        let done = done(&fake).await;
        assert_eq!(
            outcomes(&done),
            [("it", Outcome::Failed), ("refused", Outcome::Failed)]
        );
        let detail = done.steps[0].detail();
        assert!(detail.contains("could not be read back"), "{detail}");
        assert_eq!(done.transient.is_some(), transient, "{kind:?}");
        let observed = fake.calls().len() - fake.applied().len() * 2;
        assert_eq!(observed, if transient { 5 } else { 2 }, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_comes_up_while_executing_is_executed() {
    let fake = Fake::new([
        act("first"),
        Act {
            after: Some("first"),
            ..act("second")
        },
        Act {
            after: Some("second"),
            ..act("third")
        },
    ]);
    let done = done(&fake).await;
    assert_eq!(fake.applied(), ["first", "second", "third"]);
    assert!(
        outcomes(&done)
            .iter()
            .all(|(_, outcome)| *outcome == Outcome::Applied)
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_comes_up_too_late_is_a_failure() {
    let targets = ["0", "1", "2", "3"];
    let chain = targets.iter().enumerate().map(|(at, target)| Act {
        after: at.checked_sub(1).map(|before| targets[before]),
        ..act(target)
    });
    let fake = Fake::new(chain);
    let done = done(&fake).await;
    assert_eq!(fake.applied(), ["0", "1", "2"]);
    assert_eq!(outcomes(&done)[3], ("3", Outcome::Failed));
}

#[tokio::test(start_paused = true)]
async fn an_impossible_step_found_while_executing_is_reported() {
    let fake = Fake::new([
        act("first"),
        Act {
            after: Some("first"),
            impossible: true,
            ..act("impossible")
        },
    ]);
    let done = done(&fake).await;
    assert_eq!(
        outcomes(&done),
        [
            ("first", Outcome::Applied),
            ("impossible", Outcome::Skipped)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_undone_while_others_are_executed_is_not_in_effect() {
    let fake = Fake::new([
        Act {
            undone_by: Some("second"),
            ..act("first")
        },
        Act {
            after: Some("first"),
            ..act("second")
        },
    ]);
    let done = done(&fake).await;
    let last = |target: &str| {
        let mut all = outcomes(&done).into_iter();
        all.rfind(|(found, _)| *found == target)
    };
    assert_eq!(last("first"), Some(("first", Outcome::Failed)));
    assert_eq!(last("second"), Some(("second", Outcome::Applied)));
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_nothing_to_do_is_not_read_back() {
    let fake = Fake::new([Act {
        impossible: true,
        ..act("impossible")
    }]);
    let done = done(&fake).await;
    assert_eq!(outcomes(&done), [("impossible", Outcome::Skipped)]);
    assert_eq!(fake.calls().len(), 1, "{:?}", fake.calls());
    assert_eq!(done.residual_risks, ["a risk"]);
    assert_eq!(done.next_steps, ["a next step"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_could_not_be_read_is_a_failure_and_asks_for_a_retry_if_one_may_help() {
    for (kind, transient) in [(CallFailure::Transient, true), (CallFailure::Denied, false)] {
        let fake = Fake::new([Act {
            unread: Some(error(kind)),
            ..act("unread")
        }]);
        let done = done(&fake).await;
        assert_eq!(outcomes(&done), [("unread", Outcome::Failed)]);
        assert_eq!(done.transient.is_some(), transient, "{kind:?}");
    }
}

/// What executing comes to if a policy forbids more.
async fn done_under(forbid: &str, fake: &Fake) -> Execution<Act> {
    let (finding, settings) = (some_finding(), Settings::default());
    let guard = LoadedPolicies::new(&format!(
        "permit (principal, action, resource); @id(\"test\") {forbid}"
    ));
    assert_eq!(guard.problem(), None);
    let gate = Gate::new::<Fake>(&guard, &finding, &ENFORCING, false, now());
    let state = fake.observe(&finding).await.unwrap();
    let plan = gate.plan::<Fake>(&state, &settings);
    let until = Instant::now() + Duration::from_secs(60);
    execute(fake, &gate, plan, &settings, until).await
}

#[tokio::test(start_paused = true)]
async fn steps_that_a_policy_forbids_do_not_run_and_the_others_do() {
    let fake = Fake::new([act("forbidden"), act("another")]);
    let forbid = "@reason(\"so it is\") forbid (principal, action, resource)
                  when { resource.name == \"forbidden\" };";
    let done = done_under(forbid, &fake).await;
    assert_eq!(fake.applied(), ["another"]);
    assert_eq!(
        outcomes(&done),
        [
            ("forbidden", Outcome::Withheld),
            ("another", Outcome::Applied)
        ]
    );
    assert_eq!(done.steps[0].detail(), "withheld by test: so it is");
}

#[tokio::test(start_paused = true)]
async fn a_late_step_must_be_permitted_too() {
    let late = |target| Act {
        after: Some("first"),
        ..act(target)
    };
    let fake = Fake::new([act("first"), late("forbidden"), late("late")]);
    let forbid = "forbid (principal, action, resource) when { resource.name == \"forbidden\" };";
    let done = done_under(forbid, &fake).await;
    assert_eq!(fake.applied(), ["first", "late"]);
    let mut outcomes = outcomes(&done);
    outcomes.sort_unstable_by_key(|(target, _)| *target);
    assert_eq!(
        outcomes,
        [
            ("first", Outcome::Applied),
            ("forbidden", Outcome::Withheld),
            ("late", Outcome::Applied),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_withheld_step_stays_withheld_after_acting_changes_its_attributes() {
    let fake = Fake::new([act("first"), act("second")]);
    let forbid = "forbid (principal, action, resource) when {
                  resource.name == \"second\" && (resource is Bucket && resource has public && resource.public) };";
    let done = done_under(forbid, &fake).await;
    assert_eq!(fake.applied(), ["first"]);
    assert_eq!(
        outcomes(&done),
        [("second", Outcome::Withheld), ("first", Outcome::Applied)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_unknown_at_first_and_read_later_is_reported_once_without_a_retry() {
    let late = Act {
        unread: Some(error(CallFailure::Transient)),
        unread_when: |observation| observation == 1,
        ..act("late")
    };
    let done = done(&Fake::new([act("read"), late])).await;
    assert_eq!(
        outcomes(&done),
        [("read", Outcome::Applied), ("late", Outcome::Applied)]
    );
    assert!(done.transient.is_none(), "{:?}", done.transient);
    // What turns out to be impossible is reported as that, once.
    let never = Act {
        unread: Some(error(CallFailure::Transient)),
        unread_when: |observation| observation == 1,
        impossible: true,
        ..act("never")
    };
    let done = self::done(&Fake::new([act("read"), never])).await;
    assert_eq!(
        outcomes(&done),
        [("read", Outcome::Applied), ("never", Outcome::Skipped)]
    );
    assert!(done.transient.is_none(), "{:?}", done.transient);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_stays_unknown_is_reported_once_and_retried() {
    let never = Act {
        unread: Some(error(CallFailure::Transient)),
        ..act("never")
    };
    let done = done(&Fake::new([act("read"), never])).await;
    assert_eq!(
        outcomes(&done),
        [("never", Outcome::Failed), ("read", Outcome::Applied)]
    );
    assert!(done.transient.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_late_step_that_is_not_admitted_is_reported_and_not_run() {
    let late = Act {
        after: Some("first"),
        ..act("late")
    };
    let fake = Fake::new([act("first"), late]);
    let done = done_admitting(&fake, |mut came_up| {
        came_up.leave_out(|_| Some("the operator released it".to_owned()));
        came_up
    });
    let done = done.await;
    assert_eq!(
        outcomes(&done),
        [("first", Outcome::Applied), ("late", Outcome::Skipped)]
    );
    assert_eq!(fake.applied(), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn an_applied_step_that_cannot_be_read_back_is_reported_once_and_asks_for_a_retry() {
    for (kind, transient) in [(CallFailure::Transient, true), (CallFailure::Denied, false)] {
        let lost = Act {
            unread: Some(error(kind)),
            unread_when: |observation| observation > 1,
            ..act("lost")
        };
        let done = done(&Fake::new([act("read"), lost])).await;
        assert_eq!(
            outcomes(&done),
            [("read", Outcome::Applied), ("lost", Outcome::Failed)]
        );
        let detail = done.steps[1].detail();
        assert!(detail.contains("could not be read back"), "{detail}");
        assert_eq!(done.transient.is_some(), transient, "{kind:?}");
    }
}

/// How often the world was observed.
fn observed(fake: &Fake) -> usize {
    let calls = fake.calls().into_iter();
    calls.filter(|(what, ..)| *what == "observe").count()
}

#[tokio::test(start_paused = true)]
async fn an_independent_step_waits_for_none_and_none_waits_for_it() {
    let step = |target, order| Act {
        order,
        ..taking(5, target)
    };
    let fake = Fake::new([
        step("first", 0),
        Act {
            independent: true,
            ..step("independent", 1)
        },
        Act {
            independent: true,
            ..taking(30, "longest")
        },
        step("second", 1),
    ]);
    done(&fake).await;
    let calls = fake.calls().into_iter();
    let begun: Vec<_> = calls
        .filter(|(what, ..)| *what == "begin")
        .map(|(_, target, at)| (target, at.as_secs()))
        .collect();
    assert_eq!(
        begun,
        [
            ("first", 0),
            ("independent", 0),
            ("longest", 0),
            ("second", 5)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_protecting_step_that_hangs_fails_early_and_leaves_the_time_to_the_containment() {
    let hangs = Act {
        phase: Phase::Protect,
        blocks_containment: true,
        ..taking(3_600, "hangs")
    };
    let contains = Act {
        order: 1,
        ..taking(20, "contains")
    };
    let fake = Fake::new([hangs, contains]);
    let start = Instant::now();
    let done = done_within(&fake, 60).await;
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert_eq!(
        outcomes(&done),
        [("hangs", Outcome::Failed), ("contains", Outcome::Applied)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_world_is_read_back_once_where_no_accepted_step_is_missing() {
    for act in [act("it"), failing(CallFailure::Denied, "it")] {
        let fake = Fake::new([act]);
        done(&fake).await;
        assert_eq!(observed(&fake), 2, "{:?}", fake.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn the_world_is_read_back_again_while_an_accepted_step_is_missing_and_time_is_left() {
    for (seconds, reads) in [(60, 4), (3, 3), (1, 2)] {
        let fake = Fake::new([Act {
            undone_by: Some("it"),
            ..act("it")
        }]);
        let start = Instant::now();
        let done = done_within(&fake, seconds).await;
        assert_eq!(outcomes(&done), [("it", Outcome::Failed)]);
        assert!(done.steps[0].detail().contains("does not show it"));
        assert_eq!(observed(&fake), 1 + reads, "{seconds}");
        assert!(start.elapsed() < Duration::from_secs(seconds), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_fails_is_left_to_the_next_look() {
    let marks = Act {
        phase: Phase::Annotate,
        ..failing(CallFailure::Transient, "note")
    };
    let done = done(&Fake::new([act("it"), marks])).await;
    assert_eq!(
        outcomes(&done),
        [("it", Outcome::Applied), ("note", Outcome::Failed)]
    );
    assert!(done.transient.is_none(), "{:?}", done.transient);
}

#[tokio::test(start_paused = true)]
async fn a_new_unreadable_step_is_retried() {
    for (kind, transient) in [(CallFailure::Transient, true), (CallFailure::Denied, false)] {
        let late = Act {
            after: Some("first"),
            unread: Some(error(kind)),
            ..act("late")
        };
        let done = done(&Fake::new([act("first"), late])).await;
        assert_eq!(
            outcomes(&done),
            [("first", Outcome::Applied), ("late", Outcome::Failed)]
        );
        assert_eq!(done.transient.is_some(), transient, "{kind:?}");
    }
}

/// Makes one part of the plan two seconds late. Whether there is another is known at once, or never.
struct LatePart {
    part: Option<Authorized<Act>>,
    hangs: bool,
}

impl LateSteps<Fake> for LatePart {
    async fn next_part(&mut self) -> Option<Authorized<Act>> {
        let seconds = match (&self.part, self.hangs) {
            (Some(_), _) => 2,
            (None, true) => 3_600,
            (None, false) => 0,
        };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.part.take()
    }

    async fn admit(
        &mut self,
        _state: &Vec<(Act, bool)>,
        came_up: Authorized<Act>,
    ) -> Authorized<Act> {
        came_up
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_part_runs_beside_the_rest_and_one_without_time_is_reported() {
    for hangs in [false, true] {
        let (finding, settings) = (some_finding(), Settings::default());
        let fake = Fake::new([taking(5, "at once"), taking(1, "late")]);
        let state = fake.observe(&finding).await.unwrap();
        let gate = gate::<Fake>(&finding, now());
        let mut plan = gate.plan::<Fake>(&state, &settings);
        let first = plan.take_out(|act| act.target == "at once");
        let executor = Executor {
            playbook: &fake,
            gate: &gate,
            settings: &settings,
            until: Instant::now() + Duration::from_secs(60),
        };
        let part = Some(plan);
        let done = executor.execute(first, &mut LatePart { part, hangs }).await;
        assert_eq!(
            outcomes(&done),
            [("at once", Outcome::Applied), ("late", Outcome::Applied)]
        );
        let ended = fake.calls().into_iter().find(|(what, ..)| *what == "end");
        assert_eq!(
            ended.map(|(_, target, at)| (target, at.as_secs())),
            Some(("late", 3))
        );
        let mut told = done.next_steps.iter();
        let told = told.any(|told| told.contains("this invocation's time ended"));
        assert_eq!(told, hangs, "{:?}", done.next_steps);
    }
}
