//! The questions to CloudTrail that a plan rests on, and what their answers change.

use super::gate::{approving, instance, outcomes, planned};
use super::*;
use crate::fixtures::act;
use model::plan::Step;

const SPARED: &str = r#"permit (principal, action, resource);
    @id("spared") @reason("its owner said so") forbid (principal, action, resource)
    when { resource.hasTag("isolation") && resource.getTag("isolation") == "never" };"#;

const NEVER: &[(&str, &str)] = &[("isolation", "never")];

fn of_tags(age: TagAge) -> HistoryAnswer {
    let resource = TaggedResource {
        name: "i-0abc1234".to_owned(),
        region: "us-east-1".to_owned(),
    };
    HistoryAnswer::TagAge(resource, age)
}

#[test]
fn a_tag_that_spares_counts_as_far_as_cloudtrail_shows_that_it_is_older() {
    let (finding, guard, settings) = (instance_finding(json!({})), loaded(SPARED), settings());
    let acts = [act(instance(&finding, NEVER))];
    let unknown = TagAge::Unknown("it keeps no events of that day".to_owned());
    for (age, outcome, by, remark) in [
        (TagAge::Older, "withheld", "spared", None),
        (
            TagAge::SetSince("mallory, by CreateTags".to_owned()),
            "do",
            "",
            Some("did not count: mallory, by CreateTags"),
        ),
        (unknown, "waits", "spared", Some("keeps no events")),
    ] {
        let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
        let plan = planned(&gate, &acts);
        assert_eq!(outcomes(&plan), [("waits", "spared".to_owned())]);
        let Step::Withheld(_, why) = &plan.steps[0] else {
            panic!("{plan:?}")
        };
        for part in ["its owner said so", "the approver decides", "was not asked"] {
            assert!(why.reason.contains(part), "{why}");
        }
        assert_eq!(gate.remarks(), [""; 0]);
        let [OpenQuestion::TagAge(asked)] = &gate.open_questions(&plan)[..] else {
            panic!("{plan:?}")
        };
        assert_eq!(
            (asked.name.as_str(), asked.region.as_str()),
            ("i-0abc1234", "us-east-1")
        );
        gate.learn(of_tags(age));
        let plan = planned(&gate, &acts);
        assert_eq!(outcomes(&plan), [(outcome, by.to_owned())]);
        assert_eq!(gate.open_questions(&plan), []);
        let remarks = gate.remarks();
        assert_eq!(remarks.len(), usize::from(remark.is_some()), "{remarks:?}");
        for (remark, expected) in remarks.iter().zip(remark) {
            assert!(remark.contains(expected), "{remark}");
        }
        // Whoever set the tag learns why it did not count.
        let told = plan.next_steps.iter().any(|told| told.contains("(spared)"));
        assert_eq!(told, outcome == "do", "{:?}", plan.next_steps);
    }
}

#[test]
fn why_it_is_not_known_how_old_the_tags_are_is_a_part_of_the_reason() {
    let (finding, guard, settings) = (instance_finding(json!({})), loaded(SPARED), settings());
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    gate.learn(of_tags(TagAge::Unknown("no answer in time".to_owned())));
    let plan = planned(&gate, &[act(instance(&finding, NEVER))]);
    let Step::Withheld(_, why) = &plan.steps[0] else {
        panic!("{plan:?}")
    };
    assert!(
        why.reason
            .contains("older than the activity: no answer in time"),
        "{why}"
    );
}

#[test]
fn the_approver_lets_a_step_run_although_a_tag_may_spare_it() {
    let (finding, guard, settings) = (instance_finding(json!({})), loaded(SPARED), settings());
    let acts = [act(instance(&finding, NEVER))];
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    let gate = gate.approving(approving(&acts));
    assert_eq!(outcomes(&planned(&gate, &acts)), [("do", String::new())]);
}

#[test]
fn tags_that_decide_nothing_are_not_asked_about() {
    let (finding, guard, settings) = (instance_finding(json!({})), loaded(SPARED), settings());
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    for tags in [&[][..], &[("isolation", "please")], &[("team", "never")]] {
        let plan = planned(&gate, &[act(instance(&finding, tags))]);
        assert_eq!(outcomes(&plan), [("do", String::new())], "{tags:?}");
        assert_eq!(gate.open_questions(&plan), [], "{tags:?}");
    }
}

#[test]
fn a_tag_that_permits_counts_for_nothing_where_somebody_has_set_it_since() {
    let (finding, settings) = (instance_finding(json!({})), settings());
    let guard = loaded(
        r#"@id("tagged") permit (principal, action, resource)
            when { resource.hasTag("isolation") };"#,
    );
    let acts = [act(instance(&finding, NEVER))];
    for (age, outcome, by) in [
        (TagAge::Older, "do", ""),
        (
            TagAge::SetSince("mallory".to_owned()),
            "withheld",
            NOT_PERMITTED,
        ),
    ] {
        let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
        gate.learn(of_tags(age));
        let plan = planned(&gate, &acts);
        assert_eq!(outcomes(&plan), [(outcome, by.to_owned())]);
    }
}

#[test]
fn of_many_tags_those_that_policies_look_at_are_tried_in_every_choice() {
    let (finding, settings) = (instance_finding(json!({})), settings());
    let guard = loaded(
        r#"permit (principal, action, resource);
        @id("some") forbid (principal, action, resource) when {
            !resource.hasTag("a") && !resource.hasTag("b") && resource.hasTag("c") &&
            resource.hasTag("d")
        };"#,
    );
    let tags = ["a", "b", "c", "d", "e", "f"].map(|key| (key, "yes"));
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    let plan = planned(&gate, &[act(instance(&finding, &tags))]);
    assert_eq!(outcomes(&plan), [("waits", "some".to_owned())]);
}

/// Spares who has called before.
const KNOWN: &str = r#"permit (principal, action, resource);
    @id("known") forbid (principal, action, resource is Instance)
    when { context.history has called && context.history.called };"#;

#[test]
fn prior_activity_is_asked_once_if_a_policy_depends_on_it() {
    let (finding, settings) = (instance_finding(json!({})), settings());
    let acts = [
        act(instance(&finding, &[])),
        act(Resource::role(&finding, "web", None)),
    ];
    let guard = loaded(KNOWN);
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    let plan = planned(&gate, &acts);
    assert_eq!(gate.open_questions(&plan), [OpenQuestion::PriorActivity]);
    let known = PriorActivity::known(true, false, false);
    let missing = "the trail\nended".to_owned();
    gate.learn(HistoryAnswer::PriorActivity(known, Some(missing)));
    let plan = planned(&gate, &acts);
    assert_eq!(gate.open_questions(&plan), []);
    assert_eq!(
        outcomes(&plan),
        [("withheld", "known".to_owned()), ("do", String::new())]
    );
    let remarks = gate.remarks();
    assert!(
        remarks[0].contains("has made such calls before"),
        "{remarks:?}"
    );
    assert!(!remarks[0].contains('\n'), "{remarks:?}");
    // Without such a policy it is not asked.
    let guard = loaded(ALL);
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    assert_eq!(gate.open_questions(&planned(&gate, &acts)), []);
}

#[test]
fn prior_activity_is_asked_if_it_decides_after_ignored_tags() {
    let (finding, settings) = (instance_finding(json!({})), settings());
    let guard = loaded(
        r#"permit (principal, action, resource);
        forbid (principal, action, resource) when { resource.hasTag("isolation") };
        forbid (principal, action, resource)
        when { context.history has called && context.history.called };"#,
    );
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    let plan = planned(&gate, &[act(instance(&finding, NEVER))]);
    let questions = gate.open_questions(&plan);
    assert!(
        questions.contains(&OpenQuestion::PriorActivity),
        "{questions:?}"
    );
}
