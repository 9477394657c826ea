use serde_json::json;

use super::*;
use crate::fixtures::{Act, act};

#[test]
fn a_mark_alone_is_not_worth_a_retry() {
    for phase in [Phase::Protect, Phase::Contain, Phase::Preserve] {
        assert!(phase.is_worth_a_retry(), "{phase:?}");
    }
    assert!(!Phase::Annotate.is_worth_a_retry());
}

#[test]
fn a_step_contains_in_its_phase_unless_it_only_prepares() {
    assert!(act("bucket").contains());
    let prepares = Act {
        name: "fake:Prepare",
        ..act("group")
    };
    assert!(!prepares.contains());
    for phase in [Phase::Protect, Phase::Preserve, Phase::Annotate] {
        let act = Act {
            phase,
            ..act("bucket")
        };
        assert!(!act.contains(), "{phase:?}");
    }
}

/// An action that says nothing but what every one has to.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
struct Plain(Value);

impl Action for Plain {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[];
    fn name(&self) -> &'static str {
        "fake:Plain"
    }
    fn target(&self) -> String {
        String::new()
    }
    fn phase(&self) -> Phase {
        Phase::Contain
    }
    fn from(&self) -> Value {
        self.0.clone()
    }
    fn to(&self) -> Value {
        Value::Null
    }
    fn undo(&self) -> Undo {
        Undo::Restore
    }
}

#[test]
fn an_action_that_says_no_more_contains_at_once_by_itself_and_builds_on_no_other() {
    let (plain, other) = (Plain(json!("found")), Plain(json!("else")));
    assert!(plain.contains());
    assert_eq!(plain.order(), 0);
    assert!(!plain.blocks_containment());
    assert!(!plain.independent());
    assert!(!plain.continues_own_change());
    assert!(plain.is_restored(&plain.clone()));
    assert!(!plain.is_restored(&other));
    assert!(!plain.left(&other));
    assert!(!plain.is_within(&other));
    assert!(!plain.builds_on(&other));
}

#[test]
fn a_withheld_step_names_the_policy_the_reason_and_whether_approval_helps() {
    let mut why = Withheld {
        by: vec!["production".to_owned(), "overnight".to_owned()],
        reason: "it serves customers".to_owned(),
        awaits_approval: false,
    };
    let forbidden = "withheld by production, overnight: it serves customers";
    assert_eq!(why.to_string(), forbidden);
    why.awaits_approval = true;
    let waits = "withheld by production, overnight until it is approved: it serves customers";
    assert_eq!(why.to_string(), waits);
}

#[test]
fn a_step_is_known_by_its_action_and_target_whatever_became_of_it() {
    let error = Error::Refused("no".to_owned());
    let why = Withheld {
        by: Vec::new(),
        reason: String::new(),
        awaits_approval: true,
    };
    for step in [
        Step::Do(act("bucket")),
        Step::Already(act("bucket"), String::new()),
        Step::Withheld(act("bucket"), why),
        Step::skipped("fake:Contain", "bucket", "impossible"),
        Step::unknown("fake:Contain", "bucket", &error),
    ] {
        assert_eq!(step.key(), StepKey::of(&act("bucket")), "{step:?}");
        assert_eq!(step.key().to_string(), "fake:Contain bucket");
    }
}

#[test]
fn the_steps_of_a_plan_are_recorded_by_their_keys() {
    let plan = Plan {
        steps: vec![Step::Already(act("a"), String::new()), Step::Do(act("b"))],
        ..Plan::default()
    };
    let recorded = plan.recorded_actions();
    assert_eq!(recorded, [("fake:Contain b".to_owned(), json!("b"))]);
}

#[test]
fn a_plan_without_a_step_to_be_done_is_empty() {
    let of = |steps| Plan::<Act> {
        steps,
        ..Plan::default()
    };
    assert!(of(vec![]).is_empty());
    assert!(of(vec![Step::Already(act("a"), String::new())]).is_empty());
    let open = vec![Step::Already(act("a"), String::new()), Step::Do(act("b"))];
    assert!(!of(open).is_empty());
}
