//! The pages of incidents: written by `gdr`, and kept in a bucket by the function.

use std::path::Path;
use std::process::Command;

use aws_sdk_s3::types::{
    DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode,
    ObjectLockRule,
};
use integration_tests::scenario::{InfectedInstance, StolenKey};
use integration_tests::{Browser, LocalAws, Result, Scenario as _, unique};
use playbooks::Ec2;
use remediation::evidence::{Bucket, Evidence};
use remediation::report::Status;

use crate::common::{
    TABLE, answer, expect, expect_exit, gdr, iam, json, on_aws, respond, responder, sdk,
};

fn s3(aws: &LocalAws) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&aws.root());
    aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
}

/// What a reader sees of a page that has no fault.
fn read(page: &Path) -> Result<String> {
    let mut browser = Browser::start()?;
    browser.open(page)?;
    assert_eq!(browser.faults()?, [""; 0]);
    let text = browser.text()?;
    browser.stop()?;
    Ok(text)
}

#[test]
fn gdr_writes_the_page_of_an_instance_with_values_and_steps() -> Result {
    on_aws(async |aws| {
        let infection = InfectedInstance::create(aws).await?;
        let finding = infection.finding()?;
        let before = infection.groups().await?;
        let playbook = Ec2::new(&sdk(aws, &aws.ec2_endpoint));
        let report = respond(playbook, aws, &finding).await?;
        expect(&report, Status::Contained);
        let folder = tempfile::tempdir()?;
        let page = folder.path().join("page.html");
        let named = format!("--html={}", page.display());
        let written = gdr(aws, &["incident", finding.id(), &named], "")?;
        expect_exit(&written, 0);
        let text = read(&page)?;
        for (interface, groups) in before {
            assert!(text.contains(&interface), "{text}");
            for group in groups {
                assert!(text.contains(&group), "{text}");
            }
        }
        // A step that was in place already is folded away, and its target with it.
        let source = std::fs::read_to_string(&page)?;
        for step in report.steps() {
            assert!(
                source.contains(step.action()) && source.contains(step.target()),
                "no {} on {} in:\n{text}",
                step.action(),
                step.target()
            );
        }
        for told in report.residual_risks() {
            assert!(text.contains(told), "no {told} in:\n{text}");
        }
        let release = format!(
            "gdr release {} --table {} --category ec2",
            finding.id(),
            *TABLE
        );
        assert!(text.contains(&release), "{text}");
        // The command is the one that releases it.
        let released = Command::new(env!("CARGO_BIN_EXE_gdr"))
            .args(release.split(' ').skip(1).chain(["--yes"]))
            .envs(aws.environment())
            .env("AWS_ENDPOINT_URL_EC2", &aws.ec2_endpoint)
            .output()?;
        expect_exit(&released, 0);
        assert!(infection.is_untouched().await?);
        Ok(())
    })
}

#[test]
fn without_a_file_each_function_has_a_page_in_the_current_folder() -> Result {
    on_aws(async |aws| {
        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        expect(&respond(iam(aws), aws, &finding).await?, Status::Contained);
        let folder = tempfile::tempdir()?;
        let written = Command::new(env!("CARGO_BIN_EXE_gdr"))
            .args([
                "--table",
                &TABLE,
                "--output",
                "json",
                "incident",
                finding.id(),
                "--html",
            ])
            .envs(aws.environment())
            .current_dir(folder.path())
            .output()?;
        expect_exit(&written, 0);
        let name = format!("incident-{}-iam.html", finding.id());
        assert_eq!(json(&written)?, serde_json::json!([name]));
        let text = read(&folder.path().join(name))?;
        assert!(text.contains(theft.key_id()), "{text}");
        let other = gdr(aws, &["incident", finding.id(), "--category", "ec2"], "")?;
        expect_exit(&other, 1);
        let said = String::from_utf8_lossy(&other.stderr).into_owned();
        assert!(said.contains("only: iam"), "{said}");
        Ok(())
    })
}

#[test]
fn a_kept_page_is_neither_deleted_nor_replaced_while_it_is_locked() -> Result {
    on_aws(async |aws| {
        let s3 = s3(aws);
        let bucket = unique("evidence");
        let created = s3.create_bucket().bucket(&bucket);
        created.object_lock_enabled_for_bucket(true).send().await?;
        let retention = DefaultRetention::builder()
            .mode(ObjectLockRetentionMode::Compliance)
            .days(365)
            .build();
        let rule = ObjectLockRule::builder()
            .default_retention(retention)
            .build();
        let lock = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(rule)
            .build();
        let locking = s3.put_object_lock_configuration().bucket(&bucket);
        locking.object_lock_configuration(lock).send().await?;

        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        let evidence = Bucket {
            name: bucket.clone(),
            owner: aws.account_id.clone(),
        };
        let responder =
            responder(iam(aws), aws, &TABLE).keeping(Evidence::new(s3.clone(), evidence));
        let report = answer(&responder, &finding, &unique("request")).await?;
        expect(&report, Status::Contained);
        let stored = report.stored().ok_or("not stored")?;
        let version = stored.version.as_deref().ok_or("no version")?;

        let place = stored.place();
        let shown = gdr(aws, &["incident", finding.id()], "")?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(&place), "{shown}");

        let get = || {
            s3.get_object()
                .bucket(&bucket)
                .key(&stored.key)
                .version_id(version)
                .send()
        };
        let first = get().await?.body.collect().await?.into_bytes();
        // Whoever has every permission in the account can put something else there, and it stays.
        let put = s3.put_object().bucket(&bucket).key(&stored.key);
        put.body(b"nothing happened".to_vec().into()).send().await?;
        let delete = s3.delete_object();
        let delete = delete.bucket(&bucket).key(&stored.key).version_id(version);
        let refused = delete
            .send()
            .await
            .expect_err("it is locked")
            .into_service_error();
        assert_eq!(refused.meta().code(), Some("AccessDenied"), "{refused:?}");
        assert_eq!(get().await?.body.collect().await?.into_bytes(), first);

        let folder = tempfile::tempdir()?;
        let page = folder.path().join("kept.html");
        std::fs::write(&page, &first)?;
        let text = read(&page)?;
        assert!(
            text.contains(theft.key_id()) && text.contains("contained"),
            "{text}"
        );

        let json_key = stored.key.replace(".html", ".json");
        let kept = s3.get_object().bucket(&bucket).key(json_key).send().await?;
        let kept = kept.body.collect().await?.into_bytes();
        let kept: serde_json::Value = serde_json::from_slice(&kept)?;
        assert_eq!(kept["id"], finding.id());
        assert_eq!(kept["report"]["status"], "contained");
        Ok(())
    })
}
