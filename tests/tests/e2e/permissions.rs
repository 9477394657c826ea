//! A permission that is missing is told, and never passed over.

use std::collections::BTreeSet;

use aws_sdk_iam::types::PolicyEvaluationDecisionType;
use integration_tests::scenario::{InfectedInstance, StolenKey};
use integration_tests::{Result, Scenario, trail, unique};
use serde_json::{Value, json};

use crate::e2e::world::{World, expect_status, expect_working_attack, on_aws, steps};

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
        expect_status(&report, "partial");
        let denied = steps(&report)
            .iter()
            .find(|step| step["action"] == "iam:DeactivateAccessKey")
            .ok_or("no such step")?;
        assert_eq!(denied["outcome"], "failed", "{report:#}");
        let detail = denied["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("iam:UpdateAccessKey") && detail.contains("AccessDenied"),
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
        let before = theft.state().await?;
        let role = role_without(world, "iam:*").await?;
        let function = world.enforcing.variant("Iam", Some(&role), &[]).await?;
        let report = world
            .enforcing
            .invoke(&function, &theft.finding()?.0)
            .await?;
        expect_status(&report, "failed");
        let in_effect = |step: &Value| step["outcome"] == "applied" || step["outcome"] == "already";
        assert!(!steps(&report).iter().any(in_effect), "{report:#}");
        // The reason names the call, its target, and what AWS answered.
        let reason = report["reason"].as_str().unwrap_or_default();
        for part in ["iam:GetUser on ", theft.user_name(), "AccessDenied"] {
            assert!(reason.contains(part), "no {part}: {report:#}");
        }
        assert_eq!(theft.state().await?, before);
        expect_working_attack(&theft).await
    })
}

/// The emulator of EC2 lets everyone do everything, so IAM is asked about the calls that were sent.
#[test]
fn each_call_that_isolates_an_instance_is_allowed_to_the_role_and_destruction_is_not() -> Result {
    on_aws(async |world| {
        let infection = InfectedInstance::create(world.aws).await?;
        infection.leave_open_group("gdr-isolation").await?;
        world.enforcing.respond(&infection.finding()?).await?;
        let elsewhere = InfectedInstance::create(world.aws).await?;
        world.enforcing.respond(&elsewhere.finding()?).await?;

        let calls = trail::calls(world.aws, world.enforcing.function("Ec2")?).await?;
        // What a condition on the new tags allows cannot be asked here: see `is_allowed`.
        let asked = |call: &&String| call.starts_with("ec2:") && *call != "ec2:CreateTags";
        let actions: BTreeSet<_> = calls.iter().filter(asked).collect();
        assert!(actions.len() > 5, "{actions:?}");
        for action in actions {
            assert!(is_allowed(world, action).await?, "the role lacks {action}");
        }
        for action in [
            "ec2:TerminateInstances",
            "ec2:StopInstances",
            "ec2:RebootInstances",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteSnapshot",
            "ec2:DeleteVolume",
            "ec2:AuthorizeSecurityGroupEgress",
        ] {
            assert!(!is_allowed(world, action).await?, "the role may {action}");
        }
        Ok(())
    })
}

/// Whether the EC2 function's role may do this to the resources that it would do it to.
async fn is_allowed(world: &World, action: &str) -> Result<bool> {
    let arn = |kind: &str| {
        let account = &world.aws.account_id;
        format!("arn:aws:ec2:us-east-1:{account}:{kind}/{kind}-0123456789abcdef0")
    };
    let resources = match action {
        // The group itself is allowed by its tags.
        "ec2:CreateSecurityGroup" => vec![arn("vpc")],
        "ec2:ModifyNetworkInterfaceAttribute" => {
            vec![arn("network-interface"), arn("security-group")]
        }
        "ec2:CreateSnapshots" => vec![arn("instance"), arn("volume")],
        "ec2:DeleteNetworkInterface" => vec![arn("network-interface")],
        "ec2:DeleteSnapshot" => vec![arn("snapshot")],
        "ec2:DeleteVolume" => vec![arn("volume")],
        "ec2:GetConsoleOutput"
        | "ec2:ModifyInstanceAttribute"
        | "ec2:RebootInstances"
        | "ec2:StopInstances"
        | "ec2:TerminateInstances" => vec![arn("instance")],
        _ if action.starts_with("ec2:Describe") => vec!["*".to_owned()],
        _ => vec![arn("security-group")],
    };
    // One at a time, since ministack looks at the first only. It also takes no condition's context,
    // so the tags of the new group are left out.
    for resource in resources {
        let verdict = world
            .aws
            .iam()
            .simulate_principal_policy()
            .policy_source_arn(world.enforcing.role_arn("Ec2").await?)
            .action_names(action)
            .resource_arns(resource)
            .send()
            .await?;
        let result = verdict.evaluation_results().first().ok_or("no verdict")?;
        if result.eval_decision != PolicyEvaluationDecisionType::Allowed {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The ARN of a role that may do everything but `action`.
pub(crate) async fn role_without(world: &World, action: &str) -> Result<String> {
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
