//! Tags that the finding shows, and that somebody set after the activity had begun.

use std::time::Duration;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use aws_sdk_cloudtrail::types::Event;
use testkit::{mock, mock_client};
use tokio::time::Instant;

use super::*;
use crate::fixtures::fake::act;
use crate::fixtures::{ENFORCING, Protocol, Wire};
use crate::plan::Step;

const TAGGED: &str = "permit (principal, action, resource);
    @id(\"tagged\") forbid (principal, action, resource)
    when { resource.hasTag(\"environment\") && resource.getTag(\"environment\") == \"production\" };";

/// A history with calls of these names, of which some failed.
fn history(calls: &'static [(&'static str, bool)]) -> (Wire, EventHistory) {
    let wire = Wire::new(Protocol::Json);
    let on = wire.clone();
    let rule = mock!(Client::lookup_events).then_compute_response(move |request| {
        let asked = request.lookup_attributes()[0].clone();
        assert_eq!(asked.attribute_key().as_str(), "EventName");
        on.answer("cloudtrail:LookupEvents", || {
            let calls = calls
                .iter()
                .filter(|(name, _)| *name == asked.attribute_value());
            let events = calls.map(|(name, failed)| {
                let mut record = json!({
                    "eventName": name, "eventSource": "s3.amazonaws.com",
                    "userIdentity": { "userName": "mallory" },
                    "requestParameters": { "bucketName": "exposed" },
                });
                if *failed {
                    record["errorCode"] = json!("AccessDenied");
                }
                Event::builder()
                    .cloud_trail_event(record.to_string())
                    .build()
            });
            Ok(LookupEventsOutput::builder()
                .set_events(Some(events.collect()))
                .build())
        })
    });
    let client = mock_client!(aws_sdk_cloudtrail, [&rule]);
    (wire, EventHistory::with_clients(client, None))
}

/// What withholds the step, and what a person is told.
async fn planned(
    policies: &str,
    history: Option<&EventHistory>,
) -> (Option<Withheld>, Vec<String>) {
    planned_since("2026-03-04T04:50:00Z", false, policies, history).await
}

/// [`planned`], about activity that began at this time, of a step that a person perhaps has approved.
async fn planned_since(
    began: &str,
    approved: bool,
    policies: &str,
    history: Option<&EventHistory>,
) -> (Option<Withheld>, Vec<String>) {
    let finding = finding(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": [{
            "name": "exposed", "tags": [{ "key": "environment", "value": "production" }],
        }] },
        "service": { "eventFirstSeen": began },
    }));
    let guard = LoadedPolicies::new(policies);
    let approved = approved.then(|| StepKey::of(&act("exposed")));
    let gate = Gate::new::<Fake>(&guard, &finding, &ENFORCING, false, now());
    let gate = gate.approving(approved.into_iter().collect());
    let state = vec![(act("exposed"), false)];
    let until = Instant::now() + Duration::from_secs(60);
    let settings = Settings::default();
    let withheld = |plan: &Authorized<_>| match &plan.steps[0] {
        Step::Withheld(_, why) => Some(why.clone()),
        _ => None,
    };
    let plan = plan_by_history::<Fake>(&gate, &state, &settings, history, until).await;
    let (why, told) = (withheld(&plan), plan.next_steps.clone());
    // Reading back plans in the same way, and what was asked is not asked again.
    assert_eq!(withheld(&gate.plan::<Fake>(&state, &settings)), why);
    let again = plan_by_history::<Fake>(&gate, &state, &settings, None, until).await;
    assert_eq!(withheld(&again), why);
    (why, told)
}

/// Policies under which a tag spares what would wait for a person.
const TAGGED_OR_ASKED: &str = "permit (principal, action, resource);
    @id(\"ask\") forbid (principal, action, resource) unless { context.approved };
    @id(\"tagged\") forbid (principal, action, resource)
    when { resource.hasTag(\"environment\") && resource.getTag(\"environment\") == \"production\" };";

#[tokio::test(start_paused = true)]
async fn a_tag_withholds_if_nobody_has_set_it_since_the_activity_began() {
    for policies in [TAGGED, TAGGED_OR_ASKED] {
        let (wire, nobody) = history(&[("GetBucketTagging", false), ("PutBucketTagging", true)]);
        let (why, _) = planned(policies, Some(&nobody)).await;
        assert!(!why.expect("withheld").awaits_approval);
        // One for each kind of call that tags a bucket, and none for those that read it.
        assert_eq!(wire.calls().len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_was_set_since_the_activity_began_withholds_nothing() {
    let (_, somebody) = history(&[("PutBucketTagging", false)]);
    let (why, told) = planned(TAGGED, Some(&somebody)).await;
    assert_eq!(why, None);
    assert!(
        told.iter()
            .any(|told| told.contains("mallory called PutBucketTagging")),
        "{told:?}"
    );
    let (why, _) = planned(TAGGED_OR_ASKED, Some(&somebody)).await;
    assert_eq!(why.expect("it is asked for").by, ["ask"]);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_of_cloudtrail_the_approver_decides() {
    const LATE: &str = "2026-03-04T04:50:00Z";
    for (began, code, why_not) in [
        (LATE, Some("ThrottlingException"), "cloudtrail:LookupEvents"),
        (
            LATE,
            Some("AccessDeniedException"),
            "cloudtrail:LookupEvents",
        ),
        ("2026-03-04T04:51:08Z", None, "less than 15 minutes ago"),
        (
            "2025-12-03T00:00:00Z",
            None,
            "before CloudTrail's event history",
        ),
        (LATE, None, "is not asked here"),
    ] {
        for policies in [TAGGED, TAGGED_OR_ASKED] {
            let (wire, silent) = history(&[]);
            if let Some(code) = code {
                wire.fail("cloudtrail:LookupEvents", 400, code);
            }
            let asked = (why_not != "is not asked here").then_some(&silent);
            let (why, told) = planned_since(began, false, policies, asked).await;
            let why = why.expect("withheld");
            assert!(why.awaits_approval, "{why}");
            assert!(why.by.contains(&"tagged".to_owned()), "{why}");
            assert!(why.to_string().contains(why_not), "{why_not}: {why}");
            let told = told.join("; ");
            assert!(told.contains(why_not), "{why_not}: {told}");
            // Who approves it decides that the tags do not count.
            let (why, _) = planned_since(began, true, policies, asked).await;
            assert_eq!(why, None, "{why_not}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_exempt_by_an_older_tag_is_not_contained_although_approved() {
    let (_, nobody) = history(&[]);
    let began = "2026-03-04T04:50:00Z";
    let (why, _) = planned_since(began, true, TAGGED, Some(&nobody)).await;
    assert!(!why.expect("withheld").awaits_approval);
}

#[tokio::test(start_paused = true)]
async fn cloudtrail_is_not_asked_where_no_tag_decides() {
    for policies in [ALL, "forbid (principal, action, resource);"] {
        let (wire, unasked) = history(&[]);
        planned(policies, Some(&unasked)).await;
        assert!(wire.calls().is_empty(), "{policies}");
    }
}

/// Policies under which only what is tagged so may be contained.
const OPTED_IN: &str = "permit (principal, action, resource);
    @id(\"opted-in\") forbid (principal, action, resource)
    unless { resource.hasTag(\"environment\") && resource.getTag(\"environment\") == \"production\" };";

#[tokio::test(start_paused = true)]
async fn a_tag_that_permits_is_weighed_as_one_that_spares() {
    let (wire, nobody) = history(&[]);
    let (why, _) = planned(OPTED_IN, Some(&nobody)).await;
    assert_eq!(why, None);
    assert!(!wire.calls().is_empty(), "CloudTrail was asked");
    let (_, somebody) = history(&[("PutBucketTagging", false)]);
    let (why, told) = planned(OPTED_IN, Some(&somebody)).await;
    let why = why.expect("withheld");
    assert!(!why.awaits_approval, "{why}");
    assert_eq!(why.by, ["opted-in"]);
    assert!(told.iter().any(|told| told.contains("did not count")));
    // Where CloudTrail cannot tell, the approver decides.
    for (approved, runs) in [(false, false), (true, true)] {
        let (wire, silent) = history(&[]);
        wire.fail("cloudtrail:LookupEvents", 400, "ThrottlingException");
        let began = "2026-03-04T04:50:00Z";
        let (why, _) = planned_since(began, approved, OPTED_IN, Some(&silent)).await;
        assert_eq!(why.is_none(), runs, "{why:?}");
        assert!(why.is_none_or(|why| why.awaits_approval));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_was_set_on_one_bucket_disowns_the_tags_of_no_other() {
    let finding = finding(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": (["exposed", "website"].map(|name| json!({
            "name": name, "tags": [{ "key": "environment", "value": "production" }],
        }))) },
        "service": { "eventFirstSeen": "2026-03-04T04:50:00Z" },
    }));
    // It is about the bucket "exposed".
    let (_, somebody) = history(&[("PutBucketTagging", false)]);
    let guard = LoadedPolicies::new(TAGGED);
    let gate = Gate::new::<Fake>(&guard, &finding, &ENFORCING, false, now());
    let state = vec![(act("website"), false), (act("exposed"), false)];
    let until = Instant::now() + Duration::from_secs(60);
    let settings = Settings::default();
    let plan = plan_by_history::<Fake>(&gate, &state, &settings, Some(&somebody), until).await;
    assert!(matches!(plan.steps[0], Step::Withheld(..)), "{plan:?}");
    assert!(matches!(plan.steps[1], Step::Do(_)), "{plan:?}");
    let told = plan.next_steps.join("; ");
    assert!(told.contains("exposed"), "{told}");
    assert!(!told.contains("website"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_tag_that_lifts_a_withheld_step_is_checked() {
    let policies = format!(
        "{TAGGED} @id(\"frozen\") forbid (principal, action, resource)
        when {{ resource.hasTag(\"frozen\") }} unless {{ resource.hasTag(\"thawed\") }};"
    );
    let guard = LoadedPolicies::new(&policies);
    let tag = |key: &str| json!({ "key": key, "value": "yes" });
    let finding = finding(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": [{ "name": "exposed", "tags": [tag("frozen"), tag("thawed")] }] },
    }));
    let gate = Gate::new::<Fake>(&guard, &finding, &ENFORCING, false, now());
    let plan = gate.plan::<Fake>(&vec![(act("exposed"), false)], &Settings::default());
    // With both and with none of them it may run, with one it may not.
    assert!(!gate.open_questions(&plan).is_empty(), "{plan:?}");
    assert!(matches!(plan.steps[0], Step::Withheld(..)), "{plan:?}");
}
