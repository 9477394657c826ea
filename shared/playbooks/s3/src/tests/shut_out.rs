//! Whom the flags shut out, and what they leave open for them.

use super::*;

#[tokio::test(start_paused = true)]
async fn partners_that_a_public_policy_also_names_are_said_to_be_shut_out() {
    let both = json!({ "Statement": [
        { "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject" },
        { "Effect": "Allow", "Principal": { "AWS": "999988887777" }, "Action": "s3:PutObject" },
    ] });
    let world = world(Bucket {
        policy: Some(both.to_string()),
        ..public()
    });
    let done = run(&world.playbook, &made_public()).await;
    let next = done.next_steps.join("\n");
    assert!(
        next.contains("account 999988887777 (s3:PutObject); they are shut out"),
        "{next}"
    );
    assert!(!next.contains("lets in account 999988887777 too"), "{next}");
    let risks = done.residual_risks.join("\n");
    assert!(!risks.contains("999988887777"), "{risks}");
}

#[tokio::test(start_paused = true)]
async fn users_of_a_blocked_bucket_are_offered_the_ways_that_the_flags_leave() {
    for (bucket, told) in [
        (public(), "another way in: CloudFront, presigned URLs,"),
        (
            Bucket {
                website: true,
                ..public()
            },
            "CloudFront (also for the website)",
        ),
        (
            Bucket {
                acl_is_public: true,
                ..shared()
            },
            "VPC access points, or a policy statement that names them",
        ),
        (public(), "(remove the public one first)"),
    ] {
        let world = world(bucket);
        let done = run(&world.playbook, &made_public()).await;
        let next = done.next_steps.join("\n");
        assert!(next.contains(told), "{told}: {next}");
    }
    // Nobody is shut out of a bucket that was not public.
    let quiet = world(Bucket::default());
    let state = quiet.playbook.observe(&made_public()).await.unwrap();
    let plan = S3::plan(&made_public(), &state, &Settings::default(), now());
    assert!(matches!(plan.steps.as_slice(), [Step::Do(_)]));
    let next = plan.next_steps.join("\n");
    assert!(!next.contains("presigned URLs"), "{next}");
}
