mod account;
mod by_others;
mod cases;
mod deny;
mod exemption;
mod golden;
mod hostile;
mod investigation;
mod left_open;
mod looks;
mod policies;
mod policy_text;
mod quarantine;
mod refused_call;
mod region;
mod shut_out;
mod world;

use serde_json::{Value, json};

use self::cases::{anonymous, data_access, made_public, partner, public, shared};
use self::world::{Bucket, World, world};
use super::*;
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use fixtures::waves::{contained, slow};
use fixtures::{event, finding, now, run};
use model::plan::{Action as _, Step};
use model::report::Outcome;

#[tokio::test(start_paused = true)]
async fn an_exposed_bucket_gets_all_four_flags_after_one_round_trip_of_reads() {
    for finding in [made_public(), data_access(anonymous())] {
        let world = world(public());
        let done = run(&world.playbook, &finding).await;
        assert_eq!(
            done.steps[0].outcome(),
            Outcome::Applied,
            "{:?}",
            done.steps
        );
        assert_eq!(world.flags(), [true; 4]);
        assert_eq!(
            world.wire.calls()[7],
            "s3:PutBucketPublicAccessBlock",
            "{:?}",
            world.wire.calls()
        );
        assert_eq!(world.wire.writes().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_anonymous_caller_is_known_by_its_principal_id_where_its_kind_is_not_said() {
    let finding = fixtures::case("anonymous-without-user-type");
    let world = world(public());
    let done = run(&world.playbook, &finding).await;
    assert_eq!(
        done.steps[0].outcome(),
        Outcome::Applied,
        "{:?}",
        done.steps
    );
    assert_eq!(world.flags(), [true; 4]);
    // A key shows that somebody has credentials, which the flags do not stop.
    let finding = fixtures::case("key-without-user-type");
    let world = self::world::world(public());
    let done = run(&world.playbook, &finding).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    assert!(
        done.steps[0]
            .detail()
            .contains("the iam function and its settings"),
        "{:?}",
        done.steps
    );
    assert_eq!(world.flags(), [false; 4]);
}

#[tokio::test(start_paused = true)]
async fn two_round_trips_come_before_the_flags_are_set() {
    let world = world(public());
    let Clients { s3, control, trail } = &world.playbook.clients;
    let clients = Clients {
        s3: slow!(aws_sdk_s3, s3),
        control: slow!(aws_sdk_s3control, control),
        trail: trail.clone(),
    };
    let playbook = S3 { clients };
    let event = event(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
    }));
    let course = contained(playbook, event).await;
    assert_eq!(
        course.before(&world.wire, "s3:PutBucketPublicAccessBlock"),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn containment_does_not_wait_for_access_points_which_are_still_reported() {
    let world = world(Bucket {
        access_points: vec!["analytics"],
        ..public()
    });
    let (finding, playbook) = (made_public(), &world.playbook);
    let planned = |state: &State| S3::plan(&finding, state, &Settings::default(), now());
    let glanced = playbook.glance(&finding).await.unwrap();
    let plan = planned(&glanced);
    assert!(matches!(plan.steps.as_slice(), [Step::Do(_)]));
    assert!(!plan.residual_risks.join("\n").contains("access points"));
    let whole = playbook.complete(&finding, &glanced).await.unwrap();
    let risks = planned(&whole).residual_risks.join("\n");
    assert!(risks.contains("analytics"), "{risks}");
    assert!(playbook.complete(&finding, &whole).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_of_an_attack_sequence_is_blocked_for_any_actor_public_or_not() {
    let handed_over = finding(json!({
        "type": "AttackSequence:S3/CompromisedData",
        "resource": { "resourceType": "S3Bucket", "s3BucketDetails": [{ "name": "exposed" }] },
        "handedOverTo": "s3",
    }));
    for bucket in [public(), shared()] {
        let world = world(bucket);
        let done = run(&world.playbook, &handed_over).await;
        assert_eq!(
            done.steps[0].outcome(),
            Outcome::Applied,
            "{:?}",
            done.steps
        );
        assert_eq!(world.flags(), [true; 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_run_plans_nothing_and_writes_nothing() {
    let world = world(public());
    run(&world.playbook, &made_public()).await;
    world.wire.clear();
    let again = run(&world.playbook, &made_public()).await;
    assert_eq!(again.steps[0].outcome(), Outcome::Already);
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_step_keeps_the_flags_and_the_acl_that_were_found() {
    let some = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .build();
    let world = world(Bucket {
        block: Some(some),
        acl_is_public: true,
        ..public()
    });
    let state = world.playbook.observe(&made_public()).await.unwrap();
    let plan = S3::plan(&made_public(), &state, &Settings::default(), now());
    let [Step::Do(action)] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(
        action.from(),
        json!({
            "BlockPublicAcls": true, "IgnorePublicAcls": false,
            "BlockPublicPolicy": false, "RestrictPublicBuckets": false,
            "AclIsAsStored": true,
            "Acl": { "Owner": "canonical-id", "Grants": [
                { "Grantee": "http://acs.amazonaws.com/groups/global/AllUsers", "Permission": "READ" },
                { "Grantee": "canonical-id", "Permission": "READ" },
            ] },
        })
    );
    let record = serde_json::to_value(action).unwrap();
    let recorded: Action = serde_json::from_value(record).unwrap();
    assert_eq!(recorded.from(), action.from());
}

#[tokio::test(start_paused = true)]
async fn release_puts_back_exactly_the_flags_that_were_found() {
    let some = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .build();
    for (found, left) in [
        (Some(some), [true, false, false, false]),
        (None, [false; 4]),
    ] {
        let world = world(Bucket {
            block: found,
            ..public()
        });
        let state = world.playbook.observe(&made_public()).await.unwrap();
        let plan = S3::plan(&made_public(), &state, &Settings::default(), now());
        let [Step::Do(action)] = plan.steps.as_slice() else {
            panic!("{plan:?}")
        };
        world.playbook.apply(action).await.unwrap();
        assert_eq!(world.flags(), [true; 4]);
        for _ in 0..2 {
            world.playbook.restore(action).await.unwrap();
            assert_eq!(world.flags(), left);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_flags_are_back_also_where_the_acl_was_not_read_before() {
    let world = world(public());
    let seen = async || {
        let state = world.playbook.observe(&made_public()).await.unwrap();
        let plan = S3::plan(&made_public(), &state, &Settings::default(), now());
        let step = plan.steps.into_iter().next();
        let Some(Step::Do(action)) = step else {
            panic!("{step:?}")
        };
        action
    };
    world.wire.fail_once("s3:GetBucketAcl", 403, "AccessDenied");
    let recorded = seen().await;
    let found = seen().await;
    assert_ne!(recorded.from(), found.from());
    assert!(recorded.is_restored(&found));
    let Action::BlockBucket(mut other) = found else {
        panic!("{found:?}")
    };
    other.from.block_public_acls = true;
    assert!(!recorded.is_restored(&Action::BlockBucket(other)));
}

#[tokio::test(start_paused = true)]
async fn flags_that_are_accepted_and_not_kept_are_a_failure() {
    let world = world(Bucket {
        forgets: true,
        ..public()
    });
    let done = run(&world.playbook, &made_public()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Failed);
    assert!(
        done.steps[0]
            .detail()
            .contains("reading back does not show it in effect"),
        "{:?}",
        done.steps
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_names_the_permission_and_is_not_retried() {
    let world = world(public());
    world
        .wire
        .fail("s3:PutBucketPublicAccessBlock", 403, "AccessDenied");
    let done = run(&world.playbook, &made_public()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Failed);
    assert!(
        done.steps[0]
            .detail()
            .contains("role allows s3:PutBucketPublicAccessBlock")
    );
    assert!(done.transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_took_effect_and_seemed_to_fail_counts_as_applied() {
    let world = world(public());
    world
        .wire
        .fail_after_effect("s3:PutBucketPublicAccessBlock", 500, "InternalError");
    let done = run(&world.playbook, &made_public()).await;
    assert_eq!(
        done.steps[0].outcome(),
        Outcome::Applied,
        "{:?}",
        done.steps
    );
    assert!(done.transient.is_none(), "{:?}", done.transient);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again_at_once_and_left_to_a_retry_if_it_stays() {
    let world = world(public());
    world
        .wire
        .fail("s3:PutBucketPublicAccessBlock", 409, "OperationAborted");
    let done = run(&world.playbook, &made_public()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Failed);
    assert!(done.transient.is_some());
    world
        .wire
        .fail_once("s3:PutBucketPublicAccessBlock", 409, "OperationAborted");
    let retried = run(&world.playbook, &made_public()).await;
    assert_eq!(retried.steps[0].outcome(), Outcome::Applied);
    assert!(retried.transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn failed_reads_for_information_do_not_prevent_the_block() {
    for (status, code) in [
        (403, "AccessDenied"),
        (503, "SlowDown"),
        (404, "NoSuchBucket"),
    ] {
        for read in [
            "s3:GetBucketAcl",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPolicyStatus",
            "s3:GetBucketTagging",
            "s3:GetBucketWebsite",
        ] {
            let world = world(public());
            world.wire.fail(read, status, code);
            let done = run(&world.playbook, &made_public()).await;
            assert_eq!(done.steps[0].outcome(), Outcome::Applied, "{read} {code}");
            assert!(done.transient.is_none(), "{read} {code}");
        }
        for read in ["s3:ListAccessPoints", "s3:GetAccountPublicAccessBlock"] {
            let world = world(public());
            world.control.fail(read, status, code);
            let done = run(&world.playbook, &made_public()).await;
            assert_eq!(done.steps[0].outcome(), Outcome::Applied, "{read} {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_cannot_be_read_is_a_failure_that_says_so() {
    let world = world(public());
    world
        .wire
        .fail("s3:GetBucketPublicAccessBlock", 403, "AccessDenied");
    let done = run(&world.playbook, &made_public()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Failed);
    assert!(
        done.steps[0]
            .detail()
            .contains("s3:GetBucketPublicAccessBlock on exposed")
    );
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_gone_is_skipped() {
    let world = world(Bucket {
        gone: true,
        ..Bucket::default()
    });
    let done = run(&world.playbook, &made_public()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
}

#[tokio::test(start_paused = true)]
async fn blocking_public_access_is_not_sold_as_the_answer_to_a_stolen_credential() {
    let user = json!({ "userType": "IAMUser", "userName": "mallory", "principalId": "AIDAX" });
    let world = world(public());
    let done = run(&world.playbook, &data_access(user)).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    assert!(
        done.steps[0].detail().contains("does not stop"),
        "{:?}",
        done.steps
    );
    assert!(done.residual_risks[0].contains("exposed is public at present"));
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_account_is_stopped_only_where_the_public_grant_lets_it_in() {
    let open = world(public());
    let done = run(&open.playbook, &data_access(partner())).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Applied);
    let private = world(shared());
    let done = run(&private.playbook, &data_access(partner())).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    assert!(done.steps[0].detail().contains("bucket policy"));
}

#[tokio::test(start_paused = true)]
async fn a_cors_preflight_is_not_public_access() {
    let preflight = finding(json!({
        "type": "Discovery:S3/TorIPCaller",
        "resource": { "accessKeyDetails": anonymous(), "s3BucketDetails": [{ "name": "exposed" }] },
        "service": { "action": { "awsApiCallAction": { "api": "PreflightRequest" } } },
    }));
    let world = world(Bucket::default());
    let done = run(&world.playbook, &preflight).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    assert!(done.steps[0].detail().contains("CORS"));
}

#[tokio::test(start_paused = true)]
async fn each_of_several_buckets_has_its_own_step() {
    let several = finding(json!({
        "type": "Policy:S3/BucketPublicAccessGranted",
        "resource": { "s3BucketDetails": [
            { "name": "exposed" }, { "name": "data--use1-az4--x-s3" }, { "name": "second" },
        ] },
    }));
    let world = world(public());
    let done = run(&world.playbook, &several).await;
    let outcomes: Vec<_> = done
        .steps
        .iter()
        .map(|step| (step.target(), step.outcome()))
        .collect();
    assert!(
        outcomes.contains(&("arn:aws:s3:::data--use1-az4--x-s3", Outcome::Skipped)),
        "{outcomes:?}"
    );
    assert!(
        outcomes.contains(&("arn:aws:s3:::exposed", Outcome::Applied)),
        "{outcomes:?}"
    );
    assert_eq!(done.steps.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_can_still_read_this_bucket_is_named() {
    let world = world(Bucket {
        acl_is_public: true,
        acl_names: Some("f00d"),
        access_points: vec!["analytics"],
        ..shared()
    });
    let done = run(&world.playbook, &made_public()).await;
    let told = done.residual_risks.join("\n");
    for who in [
        "IAM principals of account 111122223333",
        "presigned URLs",
        "account 999988887777 (s3:GetObject, s3:ListBucket)",
        "canonical id f00d",
        "access points, by those whom their own policies let in: analytics (Internet)",
        "Multi-Region access points of exposed are not read",
        "ACLs are in effect in exposed",
        "7 days at most by signature version 4",
    ] {
        assert!(told.contains(who), "{who} in {told}");
    }
    assert!(
        !told.contains("canonical-id"),
        "the owner is no stranger: {told}"
    );
}

#[tokio::test(start_paused = true)]
async fn flags_that_someone_took_off_again_are_put_on_again() {
    let world = world(public());
    run(&world.playbook, &made_public()).await;
    world.now().block = None;
    let again = run(&world.playbook, &made_public()).await;
    assert_eq!(again.steps[0].outcome(), Outcome::Applied);
    assert_eq!(world.flags(), [true; 4]);
}
