//! Buckets that are looked at again: after a containment, and when CloudTrail shows who set a mark.

use super::*;
use fixtures::looks::{Sent, at_look, delays, next, queue};
use fixtures::table::table;
use fixtures::windows::{Windows, invocation};
use fixtures::{NOW, enforcing};
use jiff::Timestamp;
use model::report::Status;
use remediation::respond::Responder;

fn again(world: &world::World) -> S3 {
    let clients = world.playbook.clients.clone();
    S3 { clients }
}

fn responder(world: &world::World) -> (Sent, Responder<S3>) {
    let (sent, recheck) = queue();
    let (_, record) = table();
    let responder = Windows::new().responder(again(world), enforcing());
    (sent, responder.recording(record).rechecking(recheck))
}

fn read_anonymously() -> Value {
    event(json!({
        "type": "Discovery:S3/TorIPCaller",
        "resource": { "accessKeyDetails": anonymous(), "s3BucketDetails": [{ "name": "exposed" }] },
    }))
}

/// So many minutes after the event came in, in seconds.
fn after(minutes: i64) -> i64 {
    let now: Timestamp = NOW.parse().unwrap();
    now.as_second() + minutes * 60
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_opened_again_within_a_minute_is_blocked_again_and_notified() {
    let world = world(public());
    let (sent, responder) = responder(&world);
    let event = read_anonymously();
    let report = Box::pin(responder.respond(event, &invocation("request"))).await;
    assert_eq!(report.unwrap().status(), Status::Contained);
    assert_eq!(delays(&sent), [10]);

    world.now().block = None;
    let (event, look) = next(&sent);
    let report = Box::pin(responder.respond(event, &at_look(look, 0))).await;
    let report = report.unwrap();
    assert!(report.undone(), "{}", report.to_line());
    assert_eq!(world.flags(), [true; 4]);
    assert_eq!(delays(&sent), [50]);

    let (event, look) = next(&sent);
    let report = Box::pin(responder.respond(event, &at_look(look, 1))).await;
    let report = report.unwrap();
    assert_eq!(report.status(), Status::AlreadyContained);
    assert!(delays(&sent).is_empty(), "no credential was contained");
}

/// Whoever opens the bucket marks it within the 15 minutes that CloudTrail is late.
#[tokio::test(start_paused = true)]
async fn a_mark_that_turns_out_to_be_set_just_now_exempts_no_longer_and_the_report_says_so_both_times()
 {
    let marked = |bucket: &mut Bucket, call| bucket.calls.push((call, after(-3), false));
    for (bucket, call) in [
        (
            Bucket {
                tag: Some("yes"),
                ..public()
            },
            "PutBucketTagging",
        ),
        (
            Bucket {
                tag: Some("yes"),
                ..public()
            },
            "TagResource",
        ),
        (
            Bucket {
                website: true,
                ..public()
            },
            "PutBucketWebsite",
        ),
    ] {
        let world = world(bucket);
        let (sent, responder) = responder(&world);
        let event = read_anonymously();
        let report = Box::pin(responder.respond(event, &invocation("request"))).await;
        let report = report.unwrap();
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert!(
            report
                .reason()
                .contains("checks the mark again in 15 minutes")
        );
        assert_eq!(world.flags(), [false; 4]);
        assert_eq!(delays(&sent), [900]);

        marked(&mut world.now(), call);
        let (event, look) = next(&sent);
        tokio::time::advance(std::time::Duration::from_secs(900)).await;
        let report = Box::pin(responder.respond(event, &at_look(look, 15))).await;
        let report = report.unwrap();
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert_eq!(world.flags(), [true; 4], "{call}");
        let told = report.next_steps().join("; ");
        assert!(told.contains(&format!("mallory called {call}")), "{told}");
        // What is contained now is looked at as any containment.
        assert_eq!(delays(&sent), [10]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_nobody_set_by_then_counts_for_good() {
    for bucket in [
        Bucket {
            tag: Some("yes"),
            ..public()
        },
        Bucket {
            website: true,
            ..public()
        },
    ] {
        let world = world(bucket);
        let (sent, responder) = responder(&world);
        let event = read_anonymously();
        Box::pin(responder.respond(event, &invocation("request")))
            .await
            .unwrap();
        let (event, look) = next(&sent);
        tokio::time::advance(std::time::Duration::from_secs(900)).await;
        let report = Box::pin(responder.respond(event, &at_look(look, 15))).await;
        let report = report.unwrap();
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert!(
            report.reason().contains("older than the activity"),
            "{}",
            report.reason()
        );
        assert_eq!(world.flags(), [false; 4]);
        assert!(delays(&sent).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_notice_asks_to_check_the_mark_again() {
    let world = world(Bucket {
        tag: Some("yes"),
        ..public()
    });
    let responder = Windows::new().responder(again(&world), enforcing());
    let event = read_anonymously();
    let report = Box::pin(responder.respond(event, &invocation("request"))).await;
    let told = report.unwrap().next_steps().join("; ");
    assert!(
        told.contains("check in 15 minutes whether CloudTrail"),
        "{told}"
    );
}

/// GuardDuty gives a low severity to the flags being taken off; the public policy is still there.
#[tokio::test(start_paused = true)]
async fn a_contained_bucket_that_was_opened_again_is_blocked_at_any_severity() {
    let world = world(public());
    let (_, responder) = responder(&world);
    let opened = |id: char| {
        event(json!({
            "id": id.to_string().repeat(32), "severity": 2.0,
            "type": "Policy:S3/BucketBlockPublicAccessDisabled",
            "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
        }))
    };
    let report = Box::pin(responder.respond(opened('a'), &invocation("low"))).await;
    assert_eq!(report.unwrap().status(), Status::Notified);
    assert_eq!(world.flags(), [false; 4], "it was never contained");

    let event = read_anonymously();
    Box::pin(responder.respond(event, &invocation("request")))
        .await
        .unwrap();
    assert_eq!(world.flags(), [true; 4]);
    world.now().block = None;
    let report = Box::pin(responder.respond(opened('b'), &invocation("again"))).await;
    let report = report.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(report.undone());
    assert_eq!(world.flags(), [true; 4]);
}
