use super::*;
use crate::fixtures::NOW;

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

#[tokio::test(start_paused = true)]
async fn other_calls_earlier_calls_and_calls_that_were_refused_leave_the_mark_as_old_as_it_is() {
    let bucket = Bucket {
        calls: vec![
            ("PutBucketTagging", began() - 1, false),
            ("PutBucketTagging", began() + 1, true),
            ("PutBucketPolicy", began() + 1, false),
        ],
        ..tagged()
    };
    assert_eq!(outcome(bucket, &made_public()).await.0, Outcome::Skipped);
}

#[tokio::test(start_paused = true)]
async fn a_mark_whose_age_cannot_be_told_does_not_count() {
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

#[tokio::test(start_paused = true)]
async fn a_mark_on_fresh_activity_counts_only_if_the_caller_cannot_have_set_it() {
    let now: Timestamp = NOW.parse().unwrap();
    let minute = jiff::SignedDuration::from_mins(1);
    let began = (now - minute).to_string();
    let fresh = |mut detail: Value, who: Value, tags: Value| {
        detail["resource"] = json!({
            "accessKeyDetails": who,
            "s3BucketDetails": [{ "name": "exposed", "tags": tags }],
        });
        detail["service"] = json!({ "eventFirstSeen": began });
        finding(detail)
    };
    let policy = || json!({ "type": "Policy:S3/BucketPublicAccessGranted" });
    let access = || json!({ "type": "Discovery:S3/TorIPCaller" });
    let admin = || json!({ "userType": "IAMUser", "userName": "admin", "principalId": "AIDAX" });
    let mark = || json!([{ "key": "gdr:public-ok", "value": "yes" }]);
    let cases = [
        (
            tagged(),
            fresh(policy(), admin(), Value::Null),
            Outcome::Applied,
        ),
        (
            tagged(),
            fresh(policy(), admin(), json!([])),
            Outcome::Applied,
        ),
        // GuardDuty read the tags minutes after they were set, and CloudTrail is later still.
        (tagged(), fresh(policy(), admin(), mark()), Outcome::Applied),
        (
            tagged(),
            fresh(access(), anonymous(), json!([])),
            Outcome::Applied,
        ),
        (
            tagged(),
            fresh(access(), anonymous(), Value::Null),
            Outcome::Skipped,
        ),
        (
            website(),
            fresh(policy(), admin(), json!([])),
            Outcome::Applied,
        ),
        (
            website(),
            fresh(access(), anonymous(), json!([])),
            Outcome::Skipped,
        ),
    ];
    for (index, (bucket, finding, expected)) in cases.into_iter().enumerate() {
        let (outcome, told) = outcome(bucket, &finding).await;
        assert_eq!(outcome, expected, "case {index}: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_the_finding_lists_counts_once_cloudtrail_must_show_what_was_set_since() {
    let now: Timestamp = NOW.parse().unwrap();
    for (minutes, expected) in [(14, Outcome::Applied), (15, Outcome::Skipped)] {
        let began = now - jiff::SignedDuration::from_mins(minutes);
        let finding = finding(json!({
            "type": "Policy:S3/BucketPublicAccessGranted",
            "resource": { "s3BucketDetails": [
                { "name": "exposed", "tags": [{ "key": "gdr:public-ok", "value": "yes" }] },
            ] },
            "service": { "eventFirstSeen": began.to_string() },
        }));
        let (outcome, told) = outcome(tagged(), &finding).await;
        assert_eq!(outcome, expected, "{minutes}: {told}");
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
