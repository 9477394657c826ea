//! What is another's: callers of other accounts by the ACLs of objects, buckets of other accounts, and flags
//! that the organization sets.

use aws_sdk_s3control::types::PublicAccessBlockConfiguration as Flags;
use jiff::SignedDuration;

use super::deny::on;
use super::*;
use fixtures::enforcing;
use fixtures::table::table;
use fixtures::windows::{Windows, invocation};
use fixtures::{answer, run_with};
use model::report::Status;

/// An object of a bucket that is not public is, by an ACL of its own.
fn with_a_public_object() -> Bucket {
    Bucket {
        acls_enabled: true,
        object_is_public: true,
        ..shared()
    }
}

fn of_account(account: &str) -> Finding {
    finding(json!({
        "type": "Discovery:S3/MaliciousIPCaller.Custom",
        "resource": { "accessKeyDetails": partner(), "s3BucketDetails": [{ "name": "exposed" }] },
        "service": { "action": { "awsApiCallAction": {
            "api": "GetObject", "remoteAccountDetails": { "accountId": account },
        } } },
    }))
}

#[tokio::test(start_paused = true)]
async fn a_caller_admitted_by_an_object_acl_is_blocked() {
    for (settings, finding) in [
        (Settings::default(), data_access(partner())),
        (on(), data_access(partner())),
        (Settings::default(), of_account("444455556666")),
    ] {
        let world = world(with_a_public_object());
        assert!(world.anybody_gets_an_object());
        let done = run_with(&world.playbook, &finding, &settings).await;
        let mut steps = done.steps.iter();
        let block = steps.find(|step| step.action() == "s3:BlockBucketPublicAccess");
        assert_eq!(block.unwrap().outcome(), Outcome::Applied, "{done:?}");
        assert!(!world.anybody_gets_an_object());
        // The partner that the policy names goes on: what stood of it stands.
        assert_eq!(
            world.policy()["Statement"].as_array().map(Vec::len),
            settings.s3.policy_deny.then_some(2)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_flags_alone_are_not_called_the_containment_of_such_a_caller() {
    let world = world(with_a_public_object());
    let (report, _) = answer(&world.playbook, &data_access(partner())).await;
    let line = report.to_line();
    assert_eq!(report.status(), Status::Partial, "{line}");
    assert!(line.contains("by the ACL of an object"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_shut_out_where_the_caller_is_let_in_by_name_or_acls_have_no_effect() {
    let ignored = Bucket {
        account: Some(BlockPublicAccess::ALL.into()),
        ..with_a_public_object()
    };
    for (bucket, finding) in [
        (with_a_public_object(), of_account("999988887777")),
        (shared(), data_access(partner())),
        (ignored, data_access(partner())),
    ] {
        let world = world(bucket);
        let done = run(&world.playbook, &finding).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Skipped, "{done:?}");
        assert!(world.wire.writes().is_empty());
    }
}

fn made_public_two() -> Value {
    json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": { "userType": "IAMUser", "userName": "admin", "principalId": "AIDAX" },
            "s3BucketDetails": [{ "name": "exposed" }, { "name": "theirs" }],
        },
    })
}

fn and_theirs() -> Bucket {
    Bucket {
        of_another_account: Some("theirs"),
        ..public()
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_of_another_account_is_said_to_be_anothers_and_ours_is_shut() {
    let world = world(and_theirs());
    let (report, transient) = answer(&world.playbook, &finding(made_public_two())).await;
    let line = report.to_line();
    let step = |target: &str| {
        let mut steps = report.steps().iter();
        let step = steps.find(|step| step.target() == target);
        step.unwrap_or_else(|| panic!("{line}"))
    };
    let theirs = step("arn:aws:s3:::theirs");
    assert_eq!(theirs.outcome(), Outcome::Skipped, "{line}");
    assert!(
        theirs.detail().contains("belongs to another account"),
        "{line}"
    );
    assert!(!theirs.detail().contains("role allows"), "{line}");
    assert!(line.contains("wrote to it or read from it"), "{line}");
    assert_eq!(step("arn:aws:s3:::exposed").outcome(), Outcome::Applied);
    assert_eq!(world.wire.writes(), ["s3:PutBucketPublicAccessBlock"]);
    assert!(transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_of_the_account_that_the_role_may_not_read_is_still_a_failure() {
    for (listing, told) in [
        (None, "role allows"),
        (Some("AccessDenied"), "nor is it known"),
    ] {
        let world = world(public());
        world
            .wire
            .fail("s3:GetBucketPublicAccessBlock", 403, "AccessDenied");
        if let Some(code) = listing {
            world.wire.fail("s3:ListAllMyBuckets", 403, code);
        }
        let (report, _) = answer(&world.playbook, &made_public()).await;
        assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
        let detail = report.steps()[0].detail();
        assert!(detail.contains(told), "{told}: {detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_buckets_are_listed_only_where_one_is_refused() {
    let ours = world(public());
    run(&ours.playbook, &made_public()).await;
    assert!(!ours.wire.calls().contains(&"s3:ListAllMyBuckets"));
    let slow = world(public());
    slow.wire
        .fail("s3:GetBucketPublicAccessBlock", 503, "SlowDown");
    let done = run(&slow.playbook, &made_public()).await;
    assert!(done.transient.is_some());
    assert!(!slow.wire.calls().contains(&"s3:ListAllMyBuckets"));
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_bucket_that_was_used_with_credentials_is_no_failed_containment() {
    let user = json!({ "userType": "IAMUser", "userName": "mallory", "principalId": "AIDAX" });
    let world = world(public());
    world
        .wire
        .fail("s3:GetBucketPublicAccessBlock", 403, "AccessDenied");
    let (report, _) = answer(&world.playbook, &data_access(user)).await;
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    let detail = report.steps()[0].detail();
    for told in ["acted with credentials", "s3:GetBucketPublicAccessBlock"] {
        assert!(detail.contains(told), "{told}: {detail}");
    }
}

/// The account's flags shut the bucket, and a policy of the organization refuses its own.
fn governed() -> World {
    let world = world(Bucket {
        account: Some(BlockPublicAccess::ALL.into()),
        ..public()
    });
    world
        .wire
        .fail("s3:PutBucketPublicAccessBlock", 403, "AccessDenied");
    world
}

#[tokio::test(start_paused = true)]
async fn a_bucket_blocked_by_the_account_is_reported_so_if_its_own_flags_are_refused() {
    for finding in [made_public(), fixtures::case("bucket-of-a-blocked-account")] {
        told_as_shut_by_the_account(&finding).await;
    }
}

async fn told_as_shut_by_the_account(finding: &Finding) {
    let world = governed();
    assert!(!world.anybody_gets_an_object());
    let (report, transient) = answer(&world.playbook, finding).await;
    let line = report.to_line();
    assert_eq!(report.status(), Status::AlreadyContained, "{line}");
    assert!(transient.is_none(), "{transient:?}");
    let step = |action: &str| report.steps().iter().find(|step| step.action() == action);
    let account = step("s3:BlockAccountPublicAccess").unwrap();
    assert_eq!(account.outcome(), Outcome::Already);
    assert!(account.detail().contains("they shut each of its buckets"));
    let own = step("s3:BlockBucketPublicAccess").unwrap();
    assert_eq!(own.outcome(), Outcome::Skipped);
    for told in [
        "the flags of account 111122223333 shut exposed",
        "AccessDenied",
    ] {
        assert!(own.detail().contains(told), "{told}: {}", own.detail());
    }
}

#[tokio::test(start_paused = true)]
async fn the_buckets_own_flags_are_set_too_where_nothing_refuses_them() {
    let world = world(Bucket {
        account: Some(BlockPublicAccess::ALL.into()),
        ..public()
    });
    let (report, _) = answer(&world.playbook, &made_public()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(world.flags(), [true; 4]);
    world.now().account = Some(Flags::builder().build());
    assert!(!world.anybody_gets_an_object());
    let (report, _) = answer(&world.playbook, &made_public()).await;
    assert_eq!(
        report.status(),
        Status::AlreadyContained,
        "{}",
        report.to_line()
    );
}

#[tokio::test(start_paused = true)]
async fn flags_of_the_account_that_do_not_shut_the_bucket_leave_the_refusal_a_failure() {
    let half = Flags::builder().restrict_public_buckets(true).build();
    for account in [None, Some(half)] {
        let world = world(Bucket {
            account,
            acl_is_public: true,
            ..public()
        });
        world
            .wire
            .fail("s3:PutBucketPublicAccessBlock", 403, "AccessDenied");
        let (report, _) = answer(&world.playbook, &made_public()).await;
        assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
    }
}

#[tokio::test(start_paused = true)]
async fn two_flags_of_the_account_that_block_the_bucket_are_reported() {
    let shutting = Flags::builder()
        .restrict_public_buckets(true)
        .ignore_public_acls(true)
        .build();
    let world = world(Bucket {
        account: Some(shutting),
        ..public()
    });
    world
        .wire
        .fail("s3:PutBucketPublicAccessBlock", 403, "AccessDenied");
    let (report, _) = answer(&world.playbook, &made_public()).await;
    let line = report.to_line();
    assert_eq!(report.status(), Status::Notified, "{line}");
    assert!(line.contains("shut exposed, whose own are off"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_retried_although_the_account_shuts_the_bucket() {
    let world = governed();
    world
        .wire
        .fail("s3:PutBucketPublicAccessBlock", 503, "SlowDown");
    let (report, transient) = answer(&world.playbook, &made_public()).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert!(transient.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_finding_is_not_reported_as_a_revert() {
    let world = governed();
    let (_, record) = table();
    let responder = Windows::new()
        .responder(world.playbook, enforcing())
        .recording(record);
    for (number, id) in ["one", "two"].into_iter().enumerate() {
        let mut invocation = invocation(id);
        invocation.now += SignedDuration::from_mins(20 * i64::try_from(number).unwrap());
        let event = event(made_public_two());
        let report = Box::pin(responder.respond(event, &invocation)).await;
        let report = report.expect("an answer");
        assert_eq!(
            report.status(),
            Status::AlreadyContained,
            "{}",
            report.to_line()
        );
        assert!(!report.undone, "{}", report.to_line());
    }
}
