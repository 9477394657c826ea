//! The gate between a plan and its execution.

use std::collections::HashSet;

use super::*;
use crate::fixtures::{Act, Found, Triage, act, left_to_approver};
use model::plan::Step;
use model::settings::Settings;
use model::standing::{RecordedTarget, Standing};

/// An instance with these tags, which the finding shows too.
pub(super) fn instance(finding: &Finding, tags: &[(&str, &str)]) -> Resource {
    Resource::instance(finding, "i-0abc1234").tags(tags.iter().copied(), Some(tags))
}

/// What becomes of each step: the word, and by what it is withheld.
pub(super) fn outcomes(plan: &Authorized<Act>) -> Vec<(&'static str, String)> {
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

pub(super) fn planned(gate: &Gate<'_>, acts: &[Act]) -> Authorized<Act> {
    gate.plan::<Ec2>(&acts.to_vec(), &Settings::default())
}

pub(super) fn approving(acts: &[Act]) -> HashSet<StepKey> {
    acts.iter().map(StepKey::of).collect()
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
fn a_containment_in_effect_is_judged_by_the_severity_it_was_permitted_for() {
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
fn a_finding_more_severe_than_the_containment_keeps_its_severity() {
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
fn steps_left_to_the_approver_run_only_if_approver_and_policies_permit() {
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
fn steps_in_effect_or_impossible_are_not_asked_of_policies() {
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
fn a_gate_names_its_finding_function_and_time() {
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
