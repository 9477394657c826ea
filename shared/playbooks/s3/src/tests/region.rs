use super::*;
use model::plan;

async fn planned(world: &world::World) -> plan::Plan<Action> {
    let state = world.playbook.observe(&made_public()).await.unwrap();
    S3::plan(&made_public(), &state, &Settings::default(), now())
}

#[tokio::test(start_paused = true)]
async fn a_bucket_in_another_region_than_the_finding_says_is_found_and_blocked_there() {
    for (status, code) in [
        (301, "PermanentRedirect"),
        (400, "AuthorizationHeaderMalformed"),
        (400, "IllegalLocationConstraintException"),
    ] {
        let world = world(Bucket {
            home: Some("eu-west-1"),
            ..public()
        });
        world
            .wire
            .fail_once("s3:GetBucketPublicAccessBlock", status, code);
        let plan = planned(&world).await;
        let [Step::Do(Action::BlockBucket(action))] = plan.steps.as_slice() else {
            panic!("{plan:?}")
        };
        assert_eq!(action.bucket.region, "eu-west-1");
    }
}

#[tokio::test(start_paused = true)]
async fn the_search_for_the_region_ends() {
    for home in [
        Some("eu-west-1"),
        Some("us-east-1"),
        Some("evil.example/"),
        None,
    ] {
        let world = world(Bucket { home, ..public() });
        world
            .wire
            .fail("s3:GetBucketPublicAccessBlock", 301, "PermanentRedirect");
        let plan = planned(&world).await;
        assert!(matches!(plan.steps[..], [Step::Unknown { .. }]), "{plan:?}");
        let calls = world.wire.calls();
        let asked = |call: &str| calls.iter().filter(|made| **made == call).count();
        assert_eq!(asked("s3:ListBucket"), 1, "{calls:?}");
        assert!(asked("s3:GetBucketPublicAccessBlock") <= 2, "{calls:?}");
    }
}
