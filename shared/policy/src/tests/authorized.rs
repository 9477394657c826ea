//! What becomes of a plan that the policies permit.

use super::gate::{approving, outcomes, planned};
use super::*;
use crate::fixtures::{Act, Found, act, left_to_approver};
use model::plan::Step;

/// A plan of steps that the policies permit.
fn permitted(acts: &[Act]) -> Authorized<Act> {
    let (finding, settings, guard) = (instance_finding(json!({})), settings(), loaded(ALL));
    planned(
        &Gate::new::<Ec2>(&guard, &finding, &settings, false, now()),
        acts,
    )
}

/// A step to contain, one to preserve, and one that is in effect.
fn three() -> [Act; 3] {
    let finding = instance_finding(json!({}));
    let on = |name: &str| act(Resource::instance(&finding, name));
    [
        on("i-1"),
        Act {
            name: "ec2:SnapshotVolumes",
            phase: Phase::Preserve,
            ..on("i-2")
        },
        Act {
            found: Found::InEffect,
            ..on("i-3")
        },
    ]
}

#[test]
fn steps_withheld_by_phase_stay_withheld_in_the_next_plan() {
    let mut plan = permitted(&three());
    plan.hold_back(Phase::Preserve, "later");
    let words: Vec<_> = outcomes(&plan).into_iter().map(|it| it.0).collect();
    assert_eq!(words, ["do", "skipped", "already"]);
    let Step::Skipped { reason, target, .. } = &plan.steps[1] else {
        panic!("{plan:?}")
    };
    assert_eq!((reason.as_str(), target.contains("i-2")), ("later", true));
    assert_eq!(plan.held_back, approving(&three()[1..2]));
    assert!(plan.contains());
}

#[test]
fn all_that_is_to_be_done_can_be_withheld() {
    let mut plan = permitted(&three());
    let why = left_to_approver(false);
    plan.withhold(&why);
    let words: Vec<_> = outcomes(&plan).into_iter().map(|it| it.0).collect();
    assert_eq!(words, ["withheld", "withheld", "already"]);
    assert!(!plan.contains());
    plan.advise(vec!["look".to_owned()]);
    assert_eq!(plan.next_steps.last().map(String::as_str), Some("look"));
}

#[test]
fn a_part_of_a_plan_is_known_by_its_steps() {
    let acts = three();
    let rest = permitted(&acts).without(&approving(&acts[..1]));
    let keys = |plan: &Authorized<Act>| plan.steps.iter().map(Step::key).collect::<Vec<_>>();
    assert_eq!(keys(&rest), [StepKey::of(&acts[1]), StepKey::of(&acts[2])]);
    assert!(!rest.contains(), "only what preserves is left");
    let mut plan = permitted(&acts);
    let taken = plan.take_out(|act| act.phase == Phase::Contain);
    assert_eq!(
        keys(&taken),
        [StepKey::of(&acts[0])],
        "what is in effect stays"
    );
    assert_eq!(keys(&plan), [StepKey::of(&acts[1]), StepKey::of(&acts[2])]);
    assert_eq!(taken.into_plan().steps.len(), 1);
}
