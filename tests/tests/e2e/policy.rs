//! What the settings, and who is accused, leave to a person.

use aws_sdk_ssm::types::ParameterType;
use integration_tests::finding::Finding;
use integration_tests::scenario::{PublicBucket, StolenKey};
use integration_tests::{Result, Scenario, unique};
use policy::DEFAULT;
use serde_json::json;

use crate::e2e::permissions::role_without;
use crate::e2e::world::{
    World, expect_no_step_applied, expect_status, expect_stopped_attack, expect_working_attack,
    on_aws,
};

#[test]
fn a_finding_below_the_minimum_severity_is_only_notified() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        let mild = bucket.finding()?.with("/severity", 3.9);
        expect_status(&world.enforcing.respond(&mild).await?["S3"], "notified");
        expect_working_attack(&bucket).await?;
        let enough = bucket.finding()?.with("/severity", 4);
        expect_status(&world.enforcing.respond(&enough).await?["S3"], "contained");
        Ok(())
    })
}

#[test]
fn without_policies_that_can_be_read_nothing_is_contained() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        let finding = bucket.finding()?;
        // The function's own role may read the parameter of the stack alone.
        let role = role_without(world, "iam:CreateUser").await?;
        let parameter = format!("/{}/policy", unique("policies"));
        for (role, name, policies, why) in [
            (None, "/none", "", "/none"),
            (
                Some(&role),
                &parameter,
                "permit (principal, action, resorce);",
                "not valid",
            ),
            (
                Some(&role),
                &parameter,
                "permit (principal, action, resource",
                "not valid",
            ),
        ] {
            put_policies(world, &parameter, policies).await?;
            let settings = [("POLICY_PARAMETER", name)];
            let role = role.map(String::as_str);
            let function = world.enforcing.variant("S3", role, &settings).await?;
            let report = world.enforcing.invoke(&function, &finding.0).await?;
            expect_status(&report, "notified");
            assert_eq!(report["steps"][0]["outcome"], "withheld", "{report}");
            let detail = report["steps"][0]["detail"].as_str().unwrap_or_default();
            assert!(
                detail.contains("no-policy") && detail.contains(why),
                "{detail}"
            );
            expect_working_attack(&bucket).await?;
        }
        // With valid policies the same function contains: nothing else kept the others from it.
        put_policies(world, &parameter, DEFAULT).await?;
        let settings = [("POLICY_PARAMETER", parameter.as_str())];
        let function = world
            .enforcing
            .variant("S3", Some(&role), &settings)
            .await?;
        let report = world.enforcing.invoke(&function, &finding.0).await?;
        expect_status(&report, "contained");
        expect_stopped_attack(&bucket).await
    })
}

async fn put_policies(world: &World, parameter: &str, policies: &str) -> Result {
    let put = aws_sdk_ssm::Client::new(&world.aws.root()).put_parameter();
    let put = put
        .name(parameter)
        .r#type(ParameterType::String)
        .overwrite(true);
    // A parameter is not empty.
    put.value(if policies.is_empty() { " " } else { policies })
        .send()
        .await?;
    Ok(())
}

#[test]
fn a_category_can_be_set_to_notify_or_off() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        for (mode, status) in [
            ("notify", "notified"),
            ("off", "ignored"),
            ("typo", "notified"),
        ] {
            let function = world
                .enforcing
                .variant("S3", None, &[("RESPONSE_MODE", mode)])
                .await?;
            let report = world
                .enforcing
                .invoke(&function, &bucket.finding()?.0)
                .await?;
            expect_status(&report, status);
            expect_no_step_applied(&report);
        }
        expect_working_attack(&bucket).await
    })
}

#[test]
fn kinds_that_nothing_here_contains_go_to_triage_alone() -> Result {
    on_aws(async |world| {
        for kind in [
            "Execution:Kubernetes/MaliciousIPCaller",
            "AttackSequence:S3/CompromisedData",
        ] {
            let finding = Finding::stolen_key()?.of_type(kind).with(
                "/resource",
                json!({ "resourceType": if kind.starts_with("Attack") { "AttackSequence" } else { "EKSCluster" } }),
            );
            let reports = world.enforcing.respond(&finding).await?;
            assert_eq!(reports.keys().collect::<Vec<_>>(), [&"Triage"], "{kind}");
            expect_status(&reports["Triage"], "notified");
        }
        Ok(())
    })
}

#[test]
fn a_user_who_only_bears_the_name_of_the_accused_is_left_alone() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let before = theft.state().await?;
        let predecessor = "AIDAPREDECESSOR000000";
        let finding = theft
            .finding()?
            .with("/resource/accessKeyDetails/principalId", predecessor);
        let report = &world.enforcing.respond(&finding).await?["Iam"];
        expect_no_step_applied(report);
        assert_ne!(report["status"], "contained");
        assert_eq!(theft.state().await?, before);
        expect_working_attack(&theft).await
    })
}

#[test]
fn the_responder_does_not_contain_itself() -> Result {
    on_aws(async |world| {
        let arn = world.enforcing.role_arn("Iam").await?;
        let role_name = arn.rsplit('/').next().unwrap_or_default();
        let iam = world.aws.iam();
        let role = iam
            .get_role()
            .role_name(role_name)
            .send()
            .await?
            .role
            .ok_or("no role")?;
        let policies = iam
            .list_role_policies()
            .role_name(role_name)
            .send()
            .await?
            .policy_names;
        let session = format!("{}:{}", role.role_id(), world.enforcing.function("Iam")?);
        let accused =
            Finding::stolen_key()?.by("ASIAQQQQQQQQQQQQQQQQ", &session, "AssumedRole", role_name);
        // IAM would refuse the writes as well, so the reason must show that nothing was planned.
        let report = &world.enforcing.respond(&accused).await?["Iam"];
        expect_status(report, "notified");
        let reason = report["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("is the responder's own role"), "{report:#}");
        assert_eq!(report["steps"], json!([]), "nothing is planned: {report:#}");
        let after = iam
            .list_role_policies()
            .role_name(role_name)
            .send()
            .await?
            .policy_names;
        assert_eq!(after, policies);
        Ok(())
    })
}
