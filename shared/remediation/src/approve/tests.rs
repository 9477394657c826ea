use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::fixtures::fake::{Fake, act};
use crate::fixtures::{ENFORCING, finding, now};
use crate::planner::Planner as _;
use crate::record::Held;
use crate::report::Proposed;
use crate::settings::Settings;
use policy::{Gate, LoadedPolicies};

fn awaiting(targets: &[&'static str]) -> Awaiting {
    let steps = targets.iter().map(|target| {
        let action = act(target);
        Held {
            proposed: Proposed::new(&action),
            recorded: json!(target),
        }
    });
    Awaiting {
        planned_at: now(),
        expires_at: now() + Config::APPROVAL_LASTS,
        what: "a reason".to_owned(),
        policy: ENFORCING.clone(),
        settings: Settings::default(),
        steps: steps.collect(),
    }
}

fn incident(awaiting: &Awaiting) -> Incident {
    Incident {
        id: "16afba5c".to_owned(),
        category: "s3".to_owned(),
        finding_type: "Policy:S3/BucketAnonymousAccessGranted".to_owned(),
        account_id: "111122223333".to_owned(),
        region: "us-east-1".to_owned(),
        received_at: now().to_string(),
        updated_at: now().to_string(),
        status: "notified".to_owned(),
        awaiting: serde_json::to_value(awaiting).expect("JSON"),
        ..Incident::default()
    }
}

#[test]
fn a_plan_can_be_approved_until_its_time_is_over() {
    let incident = incident(&awaiting(&["exposed"]));
    let last = now() + Config::APPROVAL_LASTS;
    let before = pending(&incident, last - SignedDuration::from_millis(1));
    assert_eq!(before.expect("it can be approved").steps.len(), 1);
    let error = pending(&incident, last).expect_err("it is too late");
    assert!(
        error.to_string().contains(&last.to_string()),
        "it says until when: {error}"
    );
}

#[test]
fn an_incident_that_awaits_no_approval_names_its_outcome() {
    let with = |change: &dyn Fn(&mut Incident)| {
        let mut incident = Incident {
            awaiting: Value::Null,
            ..incident(&awaiting(&[]))
        };
        change(&mut incident);
        pending(&incident, now()).expect_err("refused").to_string()
    };
    let by = || Some("by alice".to_owned());
    let rejected = with(&|incident| incident.rejected = by());
    assert!(rejected.contains("rejected by alice"), "{rejected}");
    let approved = with(&|incident| incident.approved = by());
    assert!(approved.contains("approved by alice"), "{approved}");
    let released = with(&|incident| {
        incident.status = "released".to_owned();
        incident.released = by();
    });
    assert!(released.contains("released by alice"), "{released}");
    let never = with(&|_| {});
    assert!(never.contains("notified"), "{never}");
    let unread = with(&|incident| incident.awaiting = json!({ "plan": 2 }));
    assert!(unread.contains("cannot read the plan"), "{unread}");
}

/// How a world of these steps differs from what awaits approval.
async fn differences(awaiting: &Awaiting, policies: &str, playbook: &Fake) -> Vec<String> {
    let finding = finding(json!({ "type": "Policy:S3/BucketAnonymousAccessGranted" }));
    let state = playbook.observe(&finding).await.expect("observed");
    let then = Fake::plan(&finding, &state, &awaiting.settings, awaiting.planned_at);
    let guard = LoadedPolicies::new(policies);
    let approved = then.steps.iter();
    let approved = approved.filter(|step| is_approved(awaiting, step));
    let approved = approved.map(Step::key);
    let gate = Gate::new::<Fake>(&guard, &finding, &awaiting.policy, false, now());
    let gate = gate.approving(approved.collect());
    let plan: Authorized<_> = gate.plan::<Fake>(&state, &awaiting.settings);
    drift(awaiting, &then, &plan)
}

const ASKS: &str = "permit (principal, action, resource);
    @id(\"ask\") forbid (principal, action, resource) unless { context.approved };";

#[tokio::test]
async fn the_waiting_plan_runs_or_each_difference_is_named() {
    let world = Fake::new([act("a"), act("b")]);
    let same = differences(&awaiting(&["a", "b"]), ASKS, &world).await;
    assert_eq!(same, [] as [String; 0]);

    let done = Fake::new([act("a"), act("b"), act("c")]);
    done.apply(&act("a")).await.expect("applied");
    let mut other = awaiting(&["a", "b", "gone"]);
    other.steps[1].recorded = json!("another value");
    let found = differences(&other, ASKS, &done).await;
    let expected = [
        "on a: it is in effect already",
        "on b: it was {\"Done\":false}",
        "on gone: it is no longer there",
        "on c: it was not in the plan",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
}

#[tokio::test]
async fn an_approved_step_that_a_policy_forbids_since_does_not_run() {
    let forbids = format!("{ASKS} @id(\"no\") forbid (principal, action, resource);");
    let found = differences(&awaiting(&["a"]), &forbids, &Fake::new([act("a")])).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("withheld by no"), "{found:?}");
    let world = Fake::new([act("a")]);
    let unusable = differences(&awaiting(&["a"]), "permit everything", &world).await;
    assert!(unusable[0].contains("no-policy"), "{unusable:?}");
}
