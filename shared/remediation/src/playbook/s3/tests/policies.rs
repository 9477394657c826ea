//! What policies see of a bucket.

use super::*;
use crate::fixtures::ENFORCING;
use crate::guard::{Gate, Guard};

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
    let guard = Guard::new(&format!(
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
