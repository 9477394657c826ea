//! The gate between a plan and its execution.

use super::*;
use crate::fixtures::{Act, Found, Triage, act, left_to_approver};
use model::plan::Step;
use model::settings::Settings;
use model::standing::{RecordedTarget, Standing};

/// An instance with these tags, which the finding shows too.
fn instance(finding: &Finding, tags: &[(&str, &str)]) -> Resource {
    Resource::instance(finding, "i-0abc1234").tags(tags.iter().copied(), Some(tags))
}

/// What becomes of each step: the word, and by what it is withheld.
fn outcomes(plan: &Authorized<Act>) -> Vec<(&'static str, String)> {
    let steps = plan.steps.iter().map(|step| match step {
        Step::Do(_) => ("do", String::new()),
        Step::Already(..) => ("already", String::new()),
        Step::Skipped { .. } => ("skipped", String::new()),
        Step::Withheld(_, why) if why.awaits_approval => ("waits", why.by.join(" ")),
        Step::Withheld(_, why) => ("withheld", why.by.join(" ")),
        Step::Unknown { .. } => ("unknown", String::new()),
    });
    steps.collect()
}

fn planned(gate: &Gate<'_>, acts: &[Act]) -> Authorized<Act> {
    gate.plan::<Ec2>(&acts.to_vec(), &Settings::default())
}

fn approving(acts: &[Act]) -> std::collections::HashSet<StepKey> {
    acts.iter().map(StepKey::of).collect()
}

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
fn what_the_principal_did_before_is_asked_where_a_policy_decides_by_it_and_once() {
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
fn what_the_principal_did_before_is_asked_where_it_decides_once_the_tags_do_not_count() {
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

/// A finding of this severity.
fn severe(severity: f64) -> Finding {
    instance_finding(json!({ "severity": severity }))
}

fn standing(severity: f64, step: &Act) -> Standing {
    Standing {
        steps: BTreeSet::from([StepKey::of(step).to_string()]),
        severity,
        ..Standing::default()
    }
}

#[test]
fn what_contains_a_target_already_is_judged_by_the_severity_that_it_was_permitted_for() {
    let (guard, settings) = (loaded(DEFAULT), settings());
    let finding = severe(1.0);
    let acts = [act(instance(&finding, &[]))];
    for (stands, outcome) in [
        (Some(8.0), "do"),
        (Some(2.0), "withheld"),
        (None, "withheld"),
    ] {
        let standing = stands.map(|severity| standing(severity, &acts[0]));
        let target = RecordedTarget {
            name: "us-east-1/i-0abc1234",
            standing: standing.as_ref(),
        };
        let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now()).about([target]);
        assert_eq!(outcomes(&planned(&gate, &acts))[0].0, outcome, "{stands:?}");
        assert_eq!(
            gate.forbids_outright().is_none(),
            outcome == "do",
            "{stands:?}"
        );
        // By a record that was not read yet it could be severe enough.
        assert!(gate.may_restore());
    }
    let off = loaded("permit (principal, action, resource); forbid (principal, action, resource);");
    assert!(!Gate::new::<Ec2>(&off, &finding, &settings, false, now()).may_restore());
}

#[test]
fn a_finding_that_is_more_severe_than_what_stands_keeps_its_own_severity() {
    let (guard, settings, finding) = (loaded(DEFAULT), settings(), severe(8.0));
    let acts = [act(instance(&finding, &[]))];
    let mild = standing(1.0, &acts[0]);
    let target = RecordedTarget {
        name: "us-east-1/i-0abc1234",
        standing: Some(&mild),
    };
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now()).about([target]);
    assert_eq!(outcomes(&planned(&gate, &acts)), [("do", String::new())]);
    assert_eq!(gate.forbids_outright(), None);
}

#[test]
fn what_the_playbook_leaves_to_the_approver_runs_only_if_approver_and_policies_let_it() {
    let (finding, settings) = (instance_finding(json!({})), settings());
    let left = |found| Act {
        found,
        ..act(instance(&finding, &[]))
    };
    let asks = r#"permit (principal, action, resource);
        @id("asks") forbid (principal, action, resource) unless { context.approved };"#;
    let forbids = r#"permit (principal, action, resource);
        @id("forbids") forbid (principal, action, resource);"#;
    let (waits, both) = (("waits", "playbook"), ("withheld", "playbook forbids"));
    for (text, found, approved, outcome) in [
        (ALL, Found::LeftToApprover, false, waits),
        (ALL, Found::LeftToApprover, true, ("do", "")),
        (ALL, Found::Forbidden, false, ("withheld", "playbook")),
        (
            asks,
            Found::LeftToApprover,
            false,
            ("waits", "playbook asks"),
        ),
        (asks, Found::LeftToApprover, true, ("do", "")),
        (asks, Found::Forbidden, false, ("withheld", "playbook asks")),
        (forbids, Found::LeftToApprover, false, both),
        (forbids, Found::LeftToApprover, true, both),
    ] {
        let acts = [left(found)];
        let guard = loaded(text);
        let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
        let gate = match approved {
            true => gate.approving(approving(&acts)),
            false => gate,
        };
        let plan = planned(&gate, &acts);
        let (word, by) = outcome;
        assert_eq!(
            outcomes(&plan),
            [(word, by.to_owned())],
            "{text} {approved}"
        );
        if let (Step::Withheld(_, why), false) = (&plan.steps[0], by == "playbook") {
            assert!(why.reason.ends_with("; others would be hit"), "{why}");
        }
    }
    assert!(left_to_approver(true).awaits_approval);
}

#[test]
fn what_is_in_effect_or_impossible_is_asked_of_nobody() {
    let (finding, settings) = (instance_finding(json!({})), settings());
    let guard = LoadedPolicies::unusable("there are none".to_owned());
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    let acts = [Found::InEffect, Found::Impossible].map(|found| Act {
        found,
        ..act(instance(&finding, &[]))
    });
    let words: Vec<_> = outcomes(&planned(&gate, &acts))
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(words, ["already", "skipped"]);
}

#[test]
fn a_mark_is_set_only_where_something_is_contained() {
    let (finding, settings) = (instance_finding(json!({})), settings());
    let guard = loaded(
        r#"permit (principal, action, resource);
        @id("spared") @reason("it is spared") forbid (principal, action, resource)
        when { context.target like "*spared" && action == Action::"ec2:IsolateInterface" };"#,
    );
    let named = |name: &str| Resource::instance(&finding, name);
    let isolate = |name| act(named(name));
    let mark = || Act {
        name: "ec2:MarkContained",
        phase: Phase::Annotate,
        ..act(named("i-0abc1234"))
    };
    let keep = || Act {
        name: "ec2:SnapshotVolumes",
        phase: Phase::Preserve,
        ..act(named("i-0abc1234"))
    };
    let prepare = || Act {
        name: "ec2:PrepareIsolationGroup",
        ..act(named("sg-1"))
    };
    let stands = |name| Act {
        found: Found::InEffect,
        ..isolate(name)
    };
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    for (acts, marked) in [
        (vec![isolate("i-1"), mark(), keep()], true),
        (vec![isolate("spared"), mark(), keep()], false),
        (vec![isolate("spared"), isolate("i-1"), mark()], true),
        (vec![isolate("spared"), stands("i-1"), mark()], true),
        // By what only prepares nothing is contained.
        (vec![isolate("spared"), prepare(), mark()], false),
        // Nothing that contains was withheld.
        (vec![mark(), keep()], true),
    ] {
        let plan = planned(&gate, &acts);
        for step in &plan.steps {
            match step {
                Step::Do(act) if act.phase == Phase::Annotate => assert!(marked, "{plan:?}"),
                Step::Withheld(act, why) if act.phase == Phase::Annotate => {
                    assert!(!marked, "{plan:?}");
                    assert_eq!(why.reason, "it is spared");
                }
                Step::Withheld(act, _) => assert_eq!(act.phase, Phase::Contain, "{plan:?}"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_gate_says_what_it_decides_about() {
    let (finding, settings, guard) = (instance_finding(json!({})), settings(), loaded(ALL));
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    assert_eq!(gate.finding().id, finding.id);
    assert_eq!((gate.category(), gate.now()), (Category::Ec2, now()));
    // A function without actions forbids nothing outright.
    let mild = severe(1.0);
    let guard = loaded(DEFAULT);
    let gate = Gate::new::<Triage>(&guard, &mild, &settings, false, now());
    assert_eq!(gate.forbids_outright(), None);
}

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
fn steps_are_held_back_by_phase_and_not_executed_when_they_come_up_again() {
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
