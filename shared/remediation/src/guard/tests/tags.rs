//! Tags that the finding shows, and that somebody set after the activity had begun.

use std::time::Duration;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::retry::RetryConfig;
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use aws_sdk_cloudtrail::types::Event;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
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
        let attributes = request.lookup_attributes();
        assert_eq!(attributes[0].attribute_value(), "exposed");
        on.answer("cloudtrail:LookupEvents", || {
            let events = calls.iter().map(|(name, failed)| {
                let detail = if *failed {
                    json!({ "errorCode": "AccessDenied" })
                } else {
                    json!({})
                };
                Event::builder()
                    .event_name(*name)
                    .username("mallory")
                    .cloud_trail_event(detail.to_string())
                    .build()
            });
            Ok(LookupEventsOutput::builder()
                .set_events(Some(events.collect()))
                .build())
        })
    });
    let client = mock_client!(aws_sdk_cloudtrail, RuleMode::MatchAny, [&rule], |config| {
        config.retry_config(RetryConfig::disabled())
    });
    (wire, EventHistory::with_client(client))
}

/// Whether the step is withheld, and what a person is told.
async fn planned(policies: &str, history: &EventHistory) -> (bool, Vec<String>) {
    let finding = finding(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": [{
            "name": "exposed", "tags": [{ "key": "environment", "value": "production" }],
        }] },
    }));
    let guard = Guard::new(policies);
    let mut gate = Gate::new::<Fake>(&guard, &finding, &ENFORCING, false, now());
    let state = vec![(act("exposed"), false)];
    let until = Instant::now() + Duration::from_secs(60);
    let settings = Settings::default();
    let plan = gate
        .plan_by_history::<Fake>(&state, &settings, Some(history), until)
        .await;
    let withheld = matches!(plan.steps[0], Step::Withheld(..));
    // Reading back plans in the same way.
    let again = gate.plan::<Fake>(&state, &settings);
    assert_eq!(matches!(again.steps[0], Step::Withheld(..)), withheld);
    (withheld, plan.next_steps.clone())
}

#[tokio::test(start_paused = true)]
async fn a_tag_withholds_if_nobody_has_set_it_since_the_activity_began() {
    let (wire, nobody) = history(&[("GetBucketTagging", false), ("PutBucketTagging", true)]);
    let (withheld, _) = planned(TAGGED, &nobody).await;
    assert!(withheld);
    assert_eq!(wire.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_was_set_since_the_activity_began_withholds_nothing() {
    let (_, somebody) = history(&[("PutBucketTagging", false)]);
    let (withheld, told) = planned(TAGGED, &somebody).await;
    assert!(!withheld);
    assert!(
        told.iter()
            .any(|told| told.contains("mallory called PutBucketTagging")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn if_cloudtrail_cannot_tell_the_policy_holds_and_a_person_is_asked() {
    let (wire, silent) = history(&[]);
    wire.fail("cloudtrail:LookupEvents", 400, "ThrottlingException");
    let (withheld, told) = planned(TAGGED, &silent).await;
    assert!(withheld);
    assert!(
        told.iter()
            .any(|told| told.contains("cloudtrail:LookupEvents")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn cloudtrail_is_not_asked_where_no_tag_decides() {
    for policies in [ALL, "forbid (principal, action, resource);"] {
        let (wire, unasked) = history(&[]);
        planned(policies, &unasked).await;
        assert!(wire.calls().is_empty(), "{policies}");
    }
}
