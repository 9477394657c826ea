//! What policies see of a bucket.

use super::*;
use fixtures::ENFORCING;
use model::plan::StepKey;
use policy::{Gate, LoadedPolicies};

/// Whether a policy with this condition withholds what blocks the bucket.
async fn withheld(bucket: Bucket, condition: &str) -> bool {
    let tags = bucket
        .tag
        .map(|value| json!({ "key": "gdr:public-ok", "value": value }));
    let tags: Vec<_> = tags.into_iter().collect();
    // It is closed whether it is public or not.
    let finding = finding(json!({
        "type": "AttackSequence:S3/CompromisedData",
        "resource": {
            "resourceType": "S3Bucket",
            "s3BucketDetails": [{ "name": "exposed", "tags": tags }],
        },
        "handedOverTo": "s3",
    }));
    let world = world(bucket);
    let state = world.playbook.observe(&finding).await.unwrap();
    let guard = LoadedPolicies::new(&format!(
        "permit (principal, action, resource);
         @id(\"it\") forbid (principal, action, resource is Bucket) when {{ {condition} }};"
    ));
    assert_eq!(guard.problem(), None, "{condition}");
    let gate = Gate::new::<S3>(&guard, &finding, &ENFORCING, false, now());
    let plan = gate.plan::<S3>(&state, &Settings::default());
    match &plan.steps[0] {
        Step::Do(_) => false,
        Step::Withheld(_, why) => why.by == ["it"],
        other => panic!("{condition}: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_sees_all_that_is_observed_of_a_bucket() {
    // A mark with this value exempts nothing by itself.
    let tagged = || Bucket {
        tag: Some("false"),
        ..public()
    };
    for (bucket, condition, expected) in [
        (public(), "resource has public && resource.public", true),
        (shared(), "resource has public && resource.public", false),
        (shared(), "resource has public && !resource.public", true),
        (tagged(), "resource.hasTag(\"gdr:public-ok\")", true),
        (public(), "resource.hasTag(\"gdr:public-ok\")", false),
        (public(), "resource.name == \"exposed\"", true),
        (public(), "resource.name == \"another\"", false),
        (public(), "resource.region == \"us-east-1\"", true),
        (public(), "resource.account == \"111122223333\"", true),
    ] {
        let found = withheld(bucket, condition).await;
        assert_eq!(found, expected, "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_bucket_attributes_in_a_policy_wait_for_approval() {
    let finding = finding(json!({
        "type": "AttackSequence:S3/CompromisedData",
        "resource": {
            "resourceType": "S3Bucket",
            "s3BucketDetails": [{
                "name": "exposed", "tags": [{ "key": "environment", "value": "production" }],
            }],
        },
        "handedOverTo": "s3",
    }));
    let production =
        r#"resource.hasTag("environment") && resource.getTag("environment") == "production""#;
    for (call, code, status, condition) in [
        ("s3:GetBucketTagging", "AccessDenied", 403, production),
        ("s3:GetBucketTagging", "SlowDown", 503, production),
        (
            "s3:GetBucketPolicyStatus",
            "AccessDenied",
            403,
            "resource has public && !resource.public",
        ),
    ] {
        for approved in [false, true] {
            let world = world(shared());
            world.wire.fail(call, status, code);
            let state = world.playbook.observe(&finding).await.unwrap();
            let policies = format!(
                "permit (principal, action, resource);
                 @id(\"it\") forbid (principal, action, resource is Bucket) when {{ {condition} }};"
            );
            let guard = LoadedPolicies::new(&policies);
            assert_eq!(guard.problem(), None, "{condition}");
            let gate = Gate::new::<S3>(&guard, &finding, &ENFORCING, false, now());
            let plan = gate.plan::<S3>(&state, &Settings::default());
            let Step::Withheld(action, why) = &plan.steps[0] else {
                panic!("{call}: {plan:?}");
            };
            assert_eq!(why.by, ["it"], "{call}");
            assert!(why.awaits_approval, "{call}: {why}");
            let approving = approved.then(|| StepKey::of(action));
            let gate = gate.approving(approving.into_iter().collect());
            let plan = gate.plan::<S3>(&state, &Settings::default());
            assert_eq!(matches!(plan.steps[0], Step::Do(_)), approved, "{plan:?}");
        }
    }
}
