//! What a person released.

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::fixtures::table::{Items, table};
use crate::verify::tests::guardduty;

fn key(bucket: &str) -> (String, String) {
    (
        format!("TARGET#s3#111122223333#{bucket}"),
        "state".to_owned(),
    )
}

/// A person releases `bucket` at that time of the day of the finding.
fn release(items: &Items, bucket: &str, time: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let released_at = format!("2026-03-04T{time}Z");
    let item = [
        ("target_state", text("released")),
        ("released_at", text(&released_at)),
    ];
    let item = item.map(|(name, value)| (name.to_owned(), value));
    items.lock().unwrap().insert(key(bucket), item.into());
}

fn state(items: &Items, bucket: &str) -> String {
    let state = items.lock().unwrap()[&key(bucket)]["target_state"].clone();
    state.as_s().unwrap().clone()
}

/// The operator released the incident of this finding.
fn close(items: &Items, id: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let key = (format!("INCIDENT#{id}"), "s3".to_owned());
    let item = [("status".to_owned(), text("released"))].into();
    items.lock().unwrap().insert(key, item);
}

#[tokio::test(start_paused = true)]
async fn activity_before_a_release_is_notified_once_except_for_the_released_incident() {
    for (released, told) in [(None, 1), (Some("c"), 1), (Some("b"), 0)] {
        let (_, notices, sns) = topic();
        let (items, record) = table();
        release(&items, "exposed", "05:03:00");
        if let Some(released) = released {
            close(&items, &released.repeat(32));
        }
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
        let responder = responder.recording(record);
        let mut event = made_public();
        event["detail"]["id"] = json!("b".repeat(32));
        for delivery in ["first", "second"] {
            let invocation = Invocation {
                id: delivery.to_owned(),
                ..invocation(LONG)
            };
            let report = responder.respond(event.clone(), &invocation).await.unwrap();
            let status = if told > 0 {
                Status::Notified
            } else {
                Status::Ignored
            };
            assert_eq!(report.status(), status, "{}", report.to_line());
            let reason = report.reason();
            assert!(
                reason.contains("released it at 2026-03-04T05:03:00Z"),
                "{reason}"
            );
            assert_eq!(notices.lock().unwrap().len(), told, "{released:?}");
        }
        assert!(responder.playbook.applied().is_empty());
        assert_eq!(state(&items, "exposed"), "released");
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_stands_whatever_guardduty_answers() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    release(&items, "exposed", "05:03:00");
    close(&items, "16afba5c5c43e07c9e3e5e2e544e95df");
    let (wire, verifier) = guardduty(Vec::new());
    wire.fail(
        "guardduty:ListDetectors",
        500,
        "InternalServerErrorException",
    );
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.recording(record).verifying(verifier);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Ignored, "{}", report.to_line());
    assert_eq!(state(&items, "exposed"), "released");
    assert!(responder.playbook.applied().is_empty());
    assert!(notices.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_does_not_come_to_planning_takes_no_release_back() {
    for prevented in ["unread", "unverified"] {
        let (_, _, sns) = topic();
        let (items, record) = table();
        // The finding has newer activity.
        release(&items, "exposed", "04:00:00");
        let mut fake = Fake::new([act("exposed")]);
        let (wire, verifier) = guardduty(Vec::new());
        if prevented == "unread" {
            fake.unreadable = Some((0, error(CallFailure::Denied)));
        }
        let mut responder = Responder::new(fake, enforcing(), sns).recording(record);
        if prevented == "unverified" {
            wire.fail("guardduty:ListDetectors", 403, "AccessDeniedException");
            responder = responder.verifying(verifier);
        }
        let report = answer(&responder, made_public()).await.unwrap();
        assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
        let reason = report.reason();
        assert_eq!(
            reason.contains("could not be verified with GuardDuty"),
            prevented == "unverified"
        );
        assert_eq!(state(&items, "exposed"), "released", "{prevented}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_released_leaves_the_others_of_the_finding_contained() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    release(&items, "exposed", "05:03:00");
    let fake = Fake::new([act("exposed"), act("another")]);
    let responder = Responder::new(fake, enforcing(), sns).recording(record);
    let mut event = made_public();
    event["detail"]["resource"]["s3BucketDetails"] =
        json!([{ "name": "exposed" }, { "name": "another" }]);
    let report = answer(&responder, event).await.unwrap();
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(responder.playbook.applied(), ["another"]);
    let left = report
        .steps()
        .iter()
        .find(|step| step.target() == "exposed");
    let left = left.expect("a step");
    assert_eq!(left.outcome(), Outcome::Skipped);
    assert!(
        left.detail().contains("the operator released it"),
        "{}",
        left.detail()
    );
    assert_eq!(notices.lock().unwrap().len(), 1);
    assert_eq!(state(&items, "exposed"), "released");
    assert_ne!(state(&items, "another"), "released");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_released_and_could_not_be_read_at_first_stays_released() {
    let (_, _, sns) = topic();
    let (items, record) = table();
    release(&items, "exposed", "05:03:00");
    let unread = Act {
        unread: Some(error(CallFailure::Transient)),
        unread_when: |observation| observation == 1,
        ..act("exposed")
    };
    let fake = Fake::new([unread, act("another")]);
    let responder = Responder::new(fake, enforcing(), sns).recording(record);
    let mut event = made_public();
    event["detail"]["resource"]["s3BucketDetails"] =
        json!([{ "name": "exposed" }, { "name": "another" }]);
    let report = answer(&responder, event).await.unwrap();
    assert_eq!(responder.playbook.applied(), ["another"]);
    let outcomes: Vec<_> = report
        .steps()
        .iter()
        .map(|step| (step.target(), step.outcome()))
        .collect();
    let expected = [("another", Outcome::Applied), ("exposed", Outcome::Skipped)];
    assert_eq!(outcomes, expected, "{}", report.to_line());
}
