use std::time::Duration;

use tokio::time::Instant;

use super::world::world_with_trail_that_takes;
use super::*;
use fixtures::NOW;

/// The second in which the activity of the findings begins.
fn began() -> i64 {
    let began: Timestamp = "2026-03-04T04:50:00Z".parse().unwrap();
    began.as_second()
}

fn tagged() -> Bucket {
    Bucket {
        tag: Some("yes"),
        ..public()
    }
}

/// Says nothing of whether the bucket was public before.
fn block_disabled() -> Finding {
    finding(json!({
        "type": "Policy:S3/BucketBlockPublicAccessDisabled",
        "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
    }))
}

fn website() -> Bucket {
    Bucket {
        website: true,
        ..public()
    }
}

async fn outcome(bucket: Bucket, finding: &Finding) -> (Outcome, String) {
    let world = world(bucket);
    let done = run(&world.playbook, finding).await;
    let blocked = world.flags() == [true; 4];
    assert_eq!(blocked, done.steps[0].outcome() == Outcome::Applied);
    let told = format!("{} {:?}", done.steps[0].detail(), done.next_steps);
    (done.steps[0].outcome(), told)
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_marked_before_the_activity_stays_public_and_the_report_says_so() {
    for (bucket, finding) in [
        (tagged(), made_public()),
        (tagged(), data_access(anonymous())),
        (website(), data_access(anonymous())),
        (website(), block_disabled()),
    ] {
        let world = world(bucket);
        let done = run(&world.playbook, &finding).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Skipped, "{done:?}");
        assert!(done.steps[0].detail().contains("public on purpose"));
        assert!(done.residual_risks[0].contains("stays public, as it is marked"));
        assert!(world.wire.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_website_does_not_exempt_a_bucket_that_was_made_public_only_now() {
    for granted in ["BucketAnonymousAccessGranted", "BucketPublicAccessGranted"] {
        let finding = finding(json!({
            "type": format!("Policy:S3/{granted}"),
            "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
        }));
        let (outcome, told) = outcome(website(), &finding).await;
        assert_eq!(outcome, Outcome::Applied, "{told}");
        assert!(told.contains("was not public before"), "{told}");
        let both = Bucket {
            website: true,
            ..tagged()
        };
        assert_eq!(self::outcome(both, &finding).await.0, Outcome::Skipped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_was_set_since_the_activity_began_does_not_count() {
    for (bucket, call) in [
        (tagged(), "PutBucketTagging"),
        (tagged(), "TagResource"),
        (website(), "PutBucketWebsite"),
        (website(), "CreateBucket"),
    ] {
        for finding in [made_public(), data_access(anonymous())] {
            let bucket = Bucket {
                calls: vec![(call, began(), false)],
                ..bucket.clone()
            };
            let (outcome, told) = outcome(bucket, &finding).await;
            assert_eq!(outcome, Outcome::Applied, "{call}");
            assert!(told.contains("is marked as public on purpose"), "{told}");
        }
    }
}

const DAY: i64 = 24 * 60 * 60;

/// What GuardDuty finds first is seldom what was done first: whoever opens a bucket marks it along the way.
#[tokio::test(start_paused = true)]
async fn a_mark_that_was_set_less_than_a_day_before_the_activity_does_not_count() {
    for (seconds, expected) in [
        (1, Outcome::Applied),
        (DAY, Outcome::Applied),
        (DAY + 1, Outcome::Skipped),
    ] {
        for finding in [made_public(), data_access(anonymous())] {
            let bucket = Bucket {
                calls: vec![("PutBucketTagging", began() - seconds, false)],
                ..tagged()
            };
            let (outcome, told) = outcome(bucket, &finding).await;
            assert_eq!(outcome, expected, "{seconds}: {told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_calls_calls_on_other_buckets_and_calls_that_were_refused_leave_the_mark_as_old_as_it_is()
 {
    let bucket = Bucket {
        calls: vec![
            ("PutBucketTagging", began() + 1, true),
            ("PutBucketPolicy", began() + 1, false),
        ],
        ..tagged()
    };
    assert_eq!(outcome(bucket, &made_public()).await.0, Outcome::Skipped);
    for other in ["another", "not-exposed", "exposed-too"] {
        let bucket = Bucket {
            calls: vec![("PutBucketTagging", began() + 1, false)],
            called_on: Some(other),
            ..tagged()
        };
        let (outcome, told) = outcome(bucket, &made_public()).await;
        assert_eq!(outcome, Outcome::Skipped, "{other}: {told}");
    }
}

/// CloudTrail keeps 90 days, and the day before the activity must be among them.
#[tokio::test(start_paused = true)]
async fn a_mark_counts_only_while_cloudtrail_has_the_day_before_the_activity() {
    for (seconds, expected) in [
        (89 * DAY - 60, Outcome::Skipped),
        (89 * DAY + 60, Outcome::Applied),
        (400 * DAY, Outcome::Applied),
    ] {
        let began = now() - jiff::SignedDuration::from_secs(seconds);
        let finding = finding(json!({
            "type": "Policy:S3/BucketBlockPublicAccessDisabled",
            "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
            "service": { "eventFirstSeen": began.to_string() },
        }));
        let (outcome, told) = outcome(tagged(), &finding).await;
        assert_eq!(outcome, expected, "{seconds}: {told}");
        let too_old = told.contains("before CloudTrail's event history");
        assert_eq!(too_old, expected == Outcome::Applied, "{told}");
    }
}

/// An attacker must not gain time by exhausting the account's look-ups.
#[tokio::test(start_paused = true)]
async fn a_cloudtrail_that_hangs_holds_the_flags_of_a_marked_bucket_up_for_four_seconds() {
    let world = world_with_trail_that_takes(tagged(), Duration::from_secs(3_600));
    let start = Instant::now();
    let done = run(&world.playbook, &made_public()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Applied, "{done:?}");
    let written = world.wire.first("s3:PutBucketPublicAccessBlock", start);
    assert_eq!(written, Some(Duration::from_secs(4)));
    assert_eq!(world.flags(), [true; 4]);
    let told = format!("{:?}", done.next_steps);
    assert!(told.contains("did not answer within 4 seconds"), "{told}");
}

/// A bucket that is looked at all day keeps its mark: the responder itself reads it with each delivery.
#[tokio::test(start_paused = true)]
async fn bucket_reads_do_not_use_up_the_cloudtrail_pages() {
    let mut calls = vec![("GetBucketAcl", began() + 1, false); 151];
    calls.push(("PutBucketWebsite", began() + 2, false));
    let bucket = Bucket { calls, ..tagged() };
    let (outcome, told) = outcome(bucket, &made_public()).await;
    assert_eq!(outcome, Outcome::Skipped, "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_mark_of_unknown_age_does_not_count() {
    let unreadable = world(tagged());
    for (status, code) in [(403, "AccessDenied"), (429, "ThrottlingException")] {
        unreadable.now().block = None;
        unreadable
            .wire
            .fail("cloudtrail:DescribeEvents", status, code);
        let done = run(&unreadable.playbook, &made_public()).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Applied, "{code}");
        assert!(done.transient.is_none());
    }
    let endless = Bucket {
        endless: true,
        ..tagged()
    };
    let world = world(endless);
    run(&world.playbook, &made_public()).await;
    let pages = world.wire.calls();
    let pages = pages.iter().filter(|call| call.starts_with("cloudtrail"));
    assert_eq!(pages.count(), 3);
    assert_eq!(world.flags(), [true; 4]);
}

/// What CloudTrail does not show yet is what happened in the last minutes before now, whenever the activity
/// began; and whoever is anonymous in the finding may have credentials too.
#[tokio::test(start_paused = true)]
async fn a_mark_that_may_have_been_set_in_the_last_minutes_counts_for_the_moment_and_says_so() {
    let now: Timestamp = NOW.parse().unwrap();
    for minutes in [1, 20, 600] {
        let began = (now - jiff::SignedDuration::from_mins(minutes)).to_string();
        let late = |mut detail: Value, tags: Value| {
            detail["resource"]["s3BucketDetails"] = json!([{ "name": "exposed", "tags": tags }]);
            detail["service"] = json!({ "eventFirstSeen": began });
            finding(detail)
        };
        let granted = || json!({ "type": "Policy:S3/BucketPublicAccessGranted", "resource": {} });
        let read = || json!({ "type": "Discovery:S3/TorIPCaller", "resource": { "accessKeyDetails": anonymous() } });
        let mark = || json!([{ "key": "gdr:public-ok", "value": "yes" }]);
        for (bucket, finding, provisional) in [
            (tagged(), late(granted(), Value::Null), true),
            (tagged(), late(granted(), mark()), true),
            (tagged(), late(read(), Value::Null), true),
            (website(), late(read(), json!([])), true),
            // GuardDuty saw the bucket without it.
            (tagged(), late(read(), json!([])), false),
            (tagged(), late(granted(), json!([])), false),
        ] {
            let world = world(bucket);
            let state = world.playbook.observe(&finding).await.unwrap();
            assert_eq!(S3::is_provisional(&finding, &state, now), provisional);
            let done = run(&world.playbook, &finding).await;
            let told = done.steps[0].detail();
            assert_eq!(
                done.steps[0].outcome() == Outcome::Skipped,
                provisional,
                "{told}"
            );
            assert_eq!(told.contains("for the moment"), provisional, "{told}");
            assert_eq!(told.contains("in 15 minutes"), provisional, "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_guardduty_saw_before_cloudtrails_delay_counts_for_good() {
    let now: Timestamp = NOW.parse().unwrap();
    for (minutes, settled) in [(14, false), (15, true)] {
        let read = now - jiff::SignedDuration::from_mins(minutes);
        let finding = finding(json!({
            "type": "Policy:S3/BucketPublicAccessGranted",
            "resource": { "s3BucketDetails": [
                { "name": "exposed", "tags": [{ "key": "gdr:public-ok", "value": "yes" }] },
            ] },
            "updatedAt": read.to_string(),
        }));
        let world = world(tagged());
        let state = world.playbook.observe(&finding).await.unwrap();
        assert_eq!(
            S3::is_provisional(&finding, &state, now),
            !settled,
            "{minutes}"
        );
        let (outcome, told) = outcome(tagged(), &finding).await;
        assert_eq!(outcome, Outcome::Skipped, "{told}");
        assert_eq!(
            told.contains("older than the activity"),
            settled,
            "{minutes}: {told}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_says_false_is_no_mark_and_a_website_is_not_there_to_be_written_to() {
    let untagged = Bucket {
        tag: Some("False"),
        ..public()
    };
    assert_eq!(outcome(untagged, &made_public()).await.0, Outcome::Applied);
    let written = finding(json!({
        "type": "Impact:S3/MaliciousIPCaller",
        "resource": { "accessKeyDetails": anonymous(), "s3BucketDetails": [{ "name": "exposed" }] },
    }));
    assert_eq!(outcome(website(), &written).await.0, Outcome::Applied);
    assert_eq!(outcome(tagged(), &written).await.0, Outcome::Skipped);
}

#[tokio::test(start_paused = true)]
async fn why_a_mark_does_not_count_is_said_in_the_plan() {
    let world = world(Bucket {
        calls: vec![("PutBucketTagging", began(), false)],
        ..tagged()
    });
    let state = world.playbook.observe(&made_public()).await.unwrap();
    let plan = S3::plan(&made_public(), &state, &Settings::default(), now());
    assert!(
        plan.next_steps[0].contains("mallory called PutBucketTagging at 2026-03-04T04:50:00Z"),
        "{:?}",
        plan.next_steps
    );
}
