//! What is found out about a bucket.

use super::cases::{anonymous, data_access, made_public, public, shared};
use super::world::{Bucket, World, world};
use super::*;
use fixtures::{answered, investigate, run};
use model::investigation::{Answer, Question};

async fn told(world: &World, finding: &Finding, question: Question) -> Answer {
    let found = investigate(&world.playbook, finding).await;
    assert!(world.wire.writes().is_empty() && world.control.writes().is_empty());
    answered(&found, question).clone()
}

#[tokio::test(start_paused = true)]
async fn a_public_bucket_is_reported_with_its_cause_until_it_is_blocked() {
    for (bucket, by) in [
        (public(), "by its policy"),
        (
            Bucket {
                acl_is_public: true,
                ..shared()
            },
            "its ACL (READ to AllUsers)",
        ),
    ] {
        let world = world(bucket);
        let before = told(&world, &made_public(), Question::PublicNow).await;
        assert!(before.is_known(), "{before:?}");
        assert!(
            before.answer().contains("is PUBLIC") && before.answer().contains(by),
            "{before:?}"
        );
        run(&world.playbook, &made_public()).await;
        world.wire.clear();
        let after = told(&world, &made_public(), Question::PublicNow).await;
        assert!(
            after.is_known() && after.answer().contains("is not public"),
            "{after:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_bucket_leaves_the_question_open_with_the_permission() {
    for denied in [
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketAcl",
        "s3:GetBucketPublicAccessBlock",
    ] {
        let world = world(public());
        world.wire.fail(denied, 403, "AccessDenied");
        let answer = told(&world, &made_public(), Question::PublicNow).await;
        assert!(
            !answer.is_known() && answer.answer().contains(denied),
            "{answer:?}"
        );
    }
    let world = world(public());
    world
        .control
        .fail("s3:GetAccountPublicAccessBlock", 403, "AccessDenied");
    let answer = told(&world, &made_public(), Question::PublicNow).await;
    assert!(
        !answer.is_known(),
        "the account may block what the policy opens: {answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_gone_is_not_public() {
    let world = world(Bucket {
        gone: true,
        ..public()
    });
    let answer = told(&world, &made_public(), Question::PublicNow).await;
    assert!(
        answer.is_known() && answer.answer().contains("no such bucket"),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn intended_public_access_is_shown_by_marks_older_than_the_first_event() {
    let began = "2026-03-04T04:50:00Z"
        .parse::<Timestamp>()
        .unwrap()
        .as_second();
    let tagged = || Bucket {
        tag: Some("website of the press office"),
        ..public()
    };
    let since = Bucket {
        calls: vec![("PutBucketTagging", began + 60, false)],
        ..tagged()
    };
    for (bucket, known, word) in [
        (public(), true, "nothing says so"),
        (tagged(), false, "the tag gdr:public-ok, and for the moment"),
        (
            Bucket {
                website: true,
                ..public()
            },
            false,
            "a static-website configuration, and for the moment",
        ),
        (since, false, "does not exempt"),
    ] {
        let world = world(bucket);
        let finding = data_access(anonymous());
        let answer = told(&world, &finding, Question::MeantPublic).await;
        assert_eq!(answer.is_known(), known, "{answer:?}");
        assert!(answer.answer().contains(word), "{word}: {answer:?}");
    }
    // GuardDuty read the tag when CloudTrail was not late yet.
    let listed = finding(json!({
        "type": "Discovery:S3/TorIPCaller", "updatedAt": "2026-03-04T04:51:00Z",
        "resource": { "accessKeyDetails": anonymous(), "s3BucketDetails": [{
            "name": "exposed", "tags": [{ "key": "gdr:public-ok", "value": "website of the press office" }],
        }] },
    }));
    let answer = told(&world(tagged()), &listed, Question::MeantPublic).await;
    assert!(answer.is_known(), "{answer:?}");
    let yes = "yes: the bucket has the tag gdr:public-ok, which is older";
    assert!(answer.answer().contains(yes), "{answer:?}");
    let denied = world(public());
    denied.wire.fail("s3:GetBucketTagging", 403, "AccessDenied");
    let answer = told(&denied, &made_public(), Question::MeantPublic).await;
    assert!(
        !answer.is_known() && answer.answer().contains("s3:GetBucketTagging"),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn remaining_readers_are_named_if_there_is_no_plan() {
    let world = world(shared());
    let notified = told(&world, &made_public(), Question::OtherAccess).await;
    assert!(notified.answer().contains("presigned URLs"), "{notified:?}");
    let inquiry_finding = made_public();
    let inquiry = Inquiry::new(
        &inquiry_finding,
        fixtures::now(),
        tokio::time::Instant::now() + std::time::Duration::from_secs(60),
    );
    let state = world.playbook.observe(&inquiry_finding).await.unwrap();
    let found = world.playbook.investigate(&inquiry, Some(&state)).await;
    let mut questions = found.answers.iter().map(Answer::question);
    assert!(
        questions.all(|question| question != Question::OtherAccess),
        "{found:?}"
    );
}
