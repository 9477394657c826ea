//! Calls without credentials that S3 refused.

use super::cases::refused_with;
use super::deny::on;
use super::*;
use fixtures::{answer, run_with};
use model::report::Status;

fn refused() -> Finding {
    refused_with("AccessDenied", 1)
}

fn shut() -> Bucket {
    Bucket {
        block: Some(BlockPublicAccess::ALL.into()),
        ..public()
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_bucket_that_is_not_public_nothing_is_planned() {
    for bucket in [Bucket::default(), shared()] {
        let world = world(bucket);
        let (report, _) = answer(&world.playbook, &refused()).await;
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        let [step] = report.steps() else {
            panic!("{}", report.to_line())
        };
        assert_eq!(step.outcome(), Outcome::Skipped);
        for told in [
            "AccessDenied",
            "the caller got nothing",
            "not public at present",
        ] {
            assert!(step.detail().contains(told), "{told}: {}", step.detail());
        }
        assert_eq!(world.flags(), [false; 4]);
        assert!(world.wire.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_public_bucket_is_left_to_its_owner_and_its_users_go_on() {
    let by_acl = Bucket {
        acl_is_public: true,
        ..shared()
    };
    for (bucket, by) in [
        (
            public(),
            "its policy: statement TheMistake (without a condition)",
        ),
        (by_acl, "its ACL (READ to AllUsers)"),
    ] {
        // The deny of the address, too.
        for settings in [Settings::default(), on()] {
            let world = world(bucket.clone());
            let done = run_with(&world.playbook, &refused(), &settings).await;
            let [step] = done.steps.as_slice() else {
                panic!("{:?}", done.steps)
            };
            assert_eq!(step.outcome(), Outcome::Skipped);
            for told in ["the caller got nothing", by, "left to its owner"] {
                assert!(step.detail().contains(told), "{told}: {}", step.detail());
            }
            let next = done.next_steps.join("\n");
            assert!(next.contains("ask the owner of exposed"), "{next}");
            assert!(!next.contains("S3_POLICY_DENY"), "{next}");
            let risks = done.residual_risks.join("\n");
            assert!(risks.contains("exposed is public at present"), "{risks}");
            assert!(world.wire.writes().is_empty());
            assert!(world.anybody_gets_an_object());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_refused_by_the_flags_is_reported_as_contained() {
    let world = world(shut());
    let (report, _) = answer(&world.playbook, &refused()).await;
    let line = report.to_line();
    assert_eq!(report.status(), Status::AlreadyContained, "{line}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_no_refusal_or_only_the_last_of_several_leaves_the_bucket_to_be_shut() {
    for finding in [
        // Who may list a bucket is told so.
        refused_with("NoSuchKey", 1),
        refused_with("AccessDenied", 2),
    ] {
        let world = world(public());
        let done = run(&world.playbook, &finding).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Applied, "{done:?}");
        assert!(!world.anybody_gets_an_object());
    }
    // An object was perhaps got by an ACL of its own, or by a condition.
    let conditional = json!({ "Statement": { "Effect": "Allow", "Principal": "*",
        "Action": "s3:GetObject", "Condition": { "StringEquals": { "aws:SourceVpce": "vpce-1" } } } });
    for bucket in [
        Bucket {
            acls_enabled: true,
            ..shared()
        },
        Bucket {
            policy: Some(conditional.to_string()),
            ..Bucket::default()
        },
    ] {
        let world = world(bucket);
        run(&world.playbook, &refused_with("AccessDenied", 2)).await;
        assert_eq!(world.flags(), [true; 4]);
    }
    let world = world(shared());
    let done = run(&world.playbook, &refused_with("AccessDenied", 2)).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    assert!(done.steps[0].detail().contains("the last of several calls"));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_of_which_it_is_not_known_whether_it_is_public_is_not_called_private() {
    let world = world(public());
    world
        .wire
        .fail("s3:GetBucketPolicyStatus", 403, "AccessDenied");
    let done = run(&world.playbook, &refused()).await;
    let detail = done.steps[0].detail();
    assert!(
        detail.contains("check whether the bucket is public"),
        "{detail}"
    );
    assert!(!detail.contains("not public"), "{detail}");
    assert!(world.wire.writes().is_empty());
}
