//! The deployed functions keep a page of what they did where they can only add to it.

use aws_sdk_iam::types::PolicyEvaluationDecisionType;
use integration_tests::scenario::PublicBucket;
use integration_tests::stack::{RESPONDERS, Responder};
use integration_tests::{Browser, Result, Scenario, files};

use crate::e2e::world::{World, expect_status, on_aws};

#[test]
fn after_a_containment_the_page_is_in_the_bucket_and_opens_in_a_browser() -> Result {
    on_aws(async |world| {
        let s3 = aws_sdk_s3::config::Builder::from(&world.aws.root());
        let s3 = aws_sdk_s3::Client::from_conf(s3.force_path_style(true).build());
        // The bucket takes nothing without TLS, which the emulator does not speak.
        let evidence = world.enforcing.output("EvidenceBucket")?;
        s3.delete_bucket_policy().bucket(evidence).send().await?;
        let bucket = PublicBucket::create(world.aws).await?;
        let finding = bucket.finding()?;
        let reports = world.enforcing.respond(&finding).await?;
        expect_status(&reports["S3"], "contained");
        // The principal's function contained nothing, and what it told is kept too.
        expect_status(&reports["Iam"], "notified");
        for (responder, told) in [
            ("S3", bucket.name.as_str()),
            ("Iam", "What to ask the owner"),
        ] {
            let stored = &reports[responder]["stored"];
            let text = |member: &str| {
                let text = stored[member].as_str();
                text.ok_or_else(|| format!("no {member}: {}", reports[responder]))
            };
            assert_eq!(text("bucket")?, world.enforcing.output("EvidenceBucket")?);
            let folder = format!(
                "{}/{}/{}/",
                responder.to_lowercase(),
                world.aws.account_id,
                finding.id()
            );
            assert!(text("key")?.starts_with(&folder), "{stored}");
            let get = s3.get_object().bucket(text("bucket")?).key(text("key")?);
            // The emulator's CloudFormation turns no versions on; that the template does is held by its tests.
            let version = stored["version"].as_str().map(str::to_owned);
            let object = get.set_version_id(version).send().await?;
            assert_eq!(object.content_type(), Some("text/html; charset=utf-8"));
            let file = files::path("incident.html")?;
            std::fs::write(&file, object.body.collect().await?.into_bytes())?;
            let mut browser = Browser::start()?;
            browser.open(&file)?;
            assert_eq!(browser.faults()?, [""; 0]);
            let shown = browser.text()?;
            assert!(
                shown.contains(told) && shown.contains(finding.id()),
                "{shown}"
            );
            browser.stop()?;
        }
        Ok(())
    })
}

#[test]
fn a_function_cannot_read_delete_or_unlock_evidence_nor_write_as_another() -> Result {
    on_aws(async |world| {
        for responder in RESPONDERS {
            let own = responder.to_lowercase();
            assert!(
                may(world, responder, "s3:PutObject", &own).await?,
                "{responder}"
            );
            for other in RESPONDERS
                .map(str::to_lowercase)
                .iter()
                .filter(|it| **it != own)
            {
                let put = may(world, responder, "s3:PutObject", other).await?;
                assert!(!put, "{responder} writes as {other}");
            }
            for action in [
                "s3:GetObject",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:BypassGovernanceRetention",
                "s3:PutObjectRetention",
                "s3:PutObjectLegalHold",
            ] {
                let may = may(world, responder, action, &own).await?;
                assert!(!may, "{responder} may {action}");
            }
        }
        Ok(())
    })
}

/// Whether a function's role may do this to an object in the folder of another, or its own.
async fn may(world: &World, responder: Responder, action: &str, folder: &str) -> Result<bool> {
    let bucket = world.enforcing.output("EvidenceBucket")?;
    let verdict = world
        .aws
        .iam()
        .simulate_principal_policy()
        .policy_source_arn(world.enforcing.role_arn(responder).await?)
        .action_names(action)
        .resource_arns(format!(
            "arn:aws:s3:::{bucket}/{folder}/111122223333/id/time.html"
        ))
        .send()
        .await?;
    let result = verdict.evaluation_results().first().ok_or("no verdict")?;
    Ok(result.eval_decision == PolicyEvaluationDecisionType::Allowed)
}
