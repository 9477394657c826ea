use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::operation::get_bucket_acl::GetBucketAclOutput;
use aws_sdk_s3::operation::get_bucket_policy_status::GetBucketPolicyStatusOutput;
use aws_sdk_s3::operation::get_public_access_block::GetPublicAccessBlockOutput;
use aws_sdk_s3::operation::put_public_access_block::PutPublicAccessBlockOutput;
use aws_sdk_s3::types::{Grant, Grantee, Owner, PolicyStatus, Type};
use aws_smithy_mocks::{RuleMode, mock, mock_client};

use super::*;
use crate::fixtures::{Protocol, Wire, finding, now, run};
use crate::report::Outcome;

/// One bucket of account 111122223333.
#[derive(Clone, Default)]
struct Bucket {
    gone: bool,
    block: Option<PublicAccessBlockConfiguration>,
    policy_is_public: Option<bool>,
    acl_is_public: bool,
    /// Accepts the flags and does not keep them.
    forgets: bool,
}

struct World {
    bucket: Arc<Mutex<Bucket>>,
    wire: Wire,
    playbook: S3,
}

fn world(bucket: Bucket) -> World {
    let bucket = Arc::new(Mutex::new(bucket));
    let wire = Wire::new(Protocol::S3);
    let rule_of = || (Arc::clone(&bucket), wire.clone());
    let owned = |owner: Option<&str>| {
        if owner == Some("111122223333") {
            Ok(())
        } else {
            Err("AccessDenied")
        }
    };

    let (state, on) = rule_of();
    let get_block = mock!(Client::get_public_access_block).then_compute_response(move |request| {
        on.answer("s3:GetBucketPublicAccessBlock", || {
            owned(request.expected_bucket_owner())?;
            let bucket = state.lock().unwrap();
            if bucket.gone {
                return Err("NoSuchBucket");
            }
            let block = bucket
                .block
                .clone()
                .ok_or("NoSuchPublicAccessBlockConfiguration")?;
            Ok(GetPublicAccessBlockOutput::builder()
                .public_access_block_configuration(block)
                .build())
        })
    });
    let (state, on) = rule_of();
    let get_policy =
        mock!(Client::get_bucket_policy_status).then_compute_response(move |request| {
            on.answer("s3:GetBucketPolicyStatus", || {
                owned(request.expected_bucket_owner())?;
                let public = state
                    .lock()
                    .unwrap()
                    .policy_is_public
                    .ok_or("NoSuchBucketPolicy")?;
                let status = PolicyStatus::builder().is_public(public).build();
                Ok(GetBucketPolicyStatusOutput::builder()
                    .policy_status(status)
                    .build())
            })
        });
    let (state, on) = rule_of();
    let get_acl = mock!(Client::get_bucket_acl).then_compute_response(move |request| {
        on.answer("s3:GetBucketAcl", || {
            owned(request.expected_bucket_owner())?;
            let everyone = Grantee::builder()
                .r#type(Type::Group)
                .uri("http://acs.amazonaws.com/groups/global/AllUsers")
                .build()
                .unwrap();
            let grant = Grant::builder().grantee(everyone).build();
            let public = state.lock().unwrap().acl_is_public;
            Ok(GetBucketAclOutput::builder()
                .owner(Owner::builder().id("canonical-id").build())
                .set_grants(Some(if public { vec![grant] } else { vec![] }))
                .build())
        })
    });
    let (state, on) = rule_of();
    let put_block = mock!(Client::put_public_access_block).then_compute_response(move |request| {
        on.answer("s3:PutBucketPublicAccessBlock", || {
            owned(request.expected_bucket_owner())?;
            let mut bucket = state.lock().unwrap();
            if !bucket.forgets {
                bucket.block = request.public_access_block_configuration().cloned();
            }
            Ok(PutPublicAccessBlockOutput::builder().build())
        })
    });
    let client = mock_client!(
        aws_sdk_s3,
        RuleMode::MatchAny,
        [&get_block, &get_policy, &get_acl, &put_block],
        |config| config.retry_config(RetryConfig::disabled())
    );
    World {
        bucket,
        wire,
        playbook: S3 { client },
    }
}

fn public() -> Bucket {
    Bucket {
        policy_is_public: Some(true),
        ..Bucket::default()
    }
}

fn made_public() -> Finding {
    finding(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": { "userType": "IAMUser", "userName": "admin", "principalId": "AIDAX" },
            "s3BucketDetails": [{ "name": "exposed" }],
        },
    }))
}

fn data_access(details: Value) -> Finding {
    finding(json!({
        "type": "UnauthorizedAccess:S3/MaliciousIPCaller.Custom",
        "resource": {
            "resourceType": "S3Bucket",
            "accessKeyDetails": details,
            "s3BucketDetails": [{ "name": "exposed" }],
        },
        "service": { "action": { "awsApiCallAction": { "api": "GetObject" } } },
    }))
}

fn anonymous() -> Value {
    json!({ "userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL", "principalId": "ANONYMOUS_PRINCIPAL" })
}

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
        let block = world.bucket.lock().unwrap().block.clone().unwrap();
        for flag in [
            block.block_public_acls,
            block.ignore_public_acls,
            block.block_public_policy,
            block.restrict_public_buckets,
        ] {
            assert_eq!(flag, Some(true));
        }
        assert_eq!(
            world.wire.calls()[3],
            "s3:PutBucketPublicAccessBlock",
            "{:?}",
            world.wire.calls()
        );
        assert_eq!(world.wire.writes().len(), 1);
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
async fn the_step_shows_the_flags_that_were_found() {
    let some = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .build();
    let world = world(Bucket {
        block: Some(some),
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
        })
    );
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
            .contains("reading back does not show it"),
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
async fn a_call_that_took_effect_and_seemed_to_fail_counts_as_what_it_did() {
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
async fn a_conflict_fails_the_step_and_asks_for_a_retry_which_completes_it() {
    let world = world(public());
    world
        .wire
        .fail_once("s3:PutBucketPublicAccessBlock", 409, "OperationAborted");
    let done = run(&world.playbook, &made_public()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Failed);
    assert!(done.transient.is_some());
    let retried = run(&world.playbook, &made_public()).await;
    assert_eq!(retried.steps[0].outcome(), Outcome::Applied);
}

#[tokio::test(start_paused = true)]
async fn what_only_informs_does_not_keep_the_bucket_from_being_blocked() {
    for read in ["s3:GetBucketAcl", "s3:GetBucketPolicyStatus"] {
        let world = world(public());
        world.wire.fail(read, 403, "AccessDenied");
        let done = run(&world.playbook, &made_public()).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Applied, "{read}");
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
    let other =
        json!({ "userType": "AWSAccount", "userName": "other", "principalId": "999988887777" });
    let open = world(public());
    let done = run(&open.playbook, &data_access(other.clone())).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Applied);
    let private = world(Bucket::default());
    let done = run(&private.playbook, &data_access(other)).await;
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
