//! A permission that is missing is told, and never passed over.

use integration_tests::scenario::StolenKey;
use integration_tests::{Result, Scenario, unique};
use serde_json::json;

use crate::world::{World, on_aws, steps};

#[test]
fn a_step_that_is_denied_is_reported_with_its_permission_and_the_rest_is_done() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let role = role_without(world, "iam:UpdateAccessKey").await?;
        let function = world.enforcing.variant("Iam", Some(&role), &[]).await?;
        let report = world
            .enforcing
            .invoke(&function, &theft.finding()?.0)
            .await?;
        assert!(
            report["status"] == "partial" || report["status"] == "failed",
            "{report:#}"
        );
        let denied = steps(&report)
            .iter()
            .find(|step| step["action"] == "iam:DeactivateAccessKey")
            .ok_or("no such step")?;
        assert_eq!(denied["outcome"], "failed", "{report:#}");
        let detail = denied["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("iam:UpdateAccessKey") || detail.contains("AccessDenied"),
            "{detail}"
        );
        // The sessions are revoked all the same: half contained beats open.
        let attack = theft.attack().await?;
        assert!(attack[0].works && !attack[1].works, "{attack:#?}");
        Ok(())
    })
}

#[test]
fn without_any_permission_nothing_is_said_to_be_contained() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let role = role_without(world, "iam:*").await?;
        let function = world.enforcing.variant("Iam", Some(&role), &[]).await?;
        let report = world
            .enforcing
            .invoke(&function, &theft.finding()?.0)
            .await?;
        assert!(
            report["status"] == "partial" || report["status"] == "failed",
            "{report:#}"
        );
        Ok(())
    })
}

/// The ARN of a role that may do everything but `action`.
async fn role_without(world: &World, action: &str) -> Result<String> {
    let iam = world.aws.iam();
    let name = unique("lacking");
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "lambda.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }],
    });
    let made = iam
        .create_role()
        .role_name(&name)
        .assume_role_policy_document(trust.to_string())
        .send()
        .await?;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
            { "Effect": "Deny", "Action": action, "Resource": "*" },
        ],
    });
    iam.put_role_policy()
        .role_name(&name)
        .policy_name("AllBut")
        .policy_document(policy.to_string())
        .send()
        .await?;
    Ok(made.role.ok_or("no role")?.arn)
}
