//! `gdr plan` and `gdr run` on local AWS: what the functions would do, and doing it without them.

use integration_tests::finding::Finding;
use integration_tests::scenario::{PublicBucket, StolenKey};
use integration_tests::{Result, Scenario, files};
use serde_json::Value;

use crate::e2e::operator::{expect_exit, gdr, said};
use crate::e2e::world::{World, expect_stopped_attack, expect_working_attack, on_aws};

fn file(finding: &Finding) -> Result<String> {
    files::file("finding.json", &finding.0.to_string())
}

fn with_stack(
    world: &World,
    stack: &str,
    arguments: &[&str],
    typed: &str,
) -> Result<std::process::Output> {
    gdr(world.aws, &[&["--stack", stack], arguments].concat(), typed)
}

#[test]
fn gdr_plan_shows_the_plan_of_the_function_and_its_permissions_and_changes_nothing() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let finding = theft.finding()?;
        let path = file(&finding)?;
        let before = theft.state().await?;
        let output = with_stack(world, "gdr", &["plan", &path, "--output", "json"], "")?;
        expect_exit(&output, 0);
        let plans: Value = serde_json::from_slice(&output.stdout)?;
        let reports = world.dry.respond(&finding).await?;
        let (planned, reported) = (&plans[0], &reports["Iam"]);
        assert_eq!(planned["category"], "iam");
        assert_eq!(planned["status"], "dry_run", "{plans:#}");
        let steps = |report: &Value| -> Vec<_> {
            let steps = report["steps"].as_array().into_iter().flatten();
            steps
                .map(|it| (it["action"].clone(), it["target"].clone()))
                .collect()
        };
        assert_eq!(steps(planned), steps(reported), "{plans:#}");
        assert_eq!(planned["reason"], reported["reason"]);
        let of = |permission: &str| {
            let mut all = planned["permissions"].as_array().into_iter().flatten();
            all.find(|it| it["permission"] == permission)
                .cloned()
                .unwrap_or_default()
        };
        assert_eq!(of("iam:UpdateAccessKey")["role"], "allowed", "{plans:#}");
        assert_eq!(of("iam:PutUserPolicy")["role"], "allowed", "{plans:#}");
        assert_eq!(theft.state().await?, before, "nothing was changed");
        expect_working_attack(&theft).await?;
        let shown = gdr(world.aws, &["incident", finding.id(), "--stack", "gdr"], "")?;
        expect_exit(&shown, 1);
        Ok(())
    })
}

#[test]
fn a_plan_names_each_permission_and_asks_the_policies_that_are_given() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        let path = file(&bucket.finding()?)?;
        let output = with_stack(world, "gdr", &["plan", &path], "")?;
        let shown = said(&output);
        for part in [
            "s3:BlockBucketPublicAccess",
            "s3:PutBucketPublicAccessBlock",
            "ROLE is what IAM simulates",
        ] {
            assert!(shown.contains(part), "no {part}: {shown}");
        }
        // The role of a dry run has no permission to write, and gets it with the setting.
        let dry = with_stack(world, "gdr-dry", &["plan", &path], "")?;
        assert!(said(&dry).contains("DryRun=false"), "{dry:?}");
        let without = with_stack(world, "gdr", &["plan", &path, "--no-simulation"], "")?;
        assert!(!said(&without).contains("ROLE is what IAM"), "{without:?}");
        let forbids =
            "@id(\"never\") @reason(\"not this one\") forbid (principal, action, resource);";
        let policy = files::file("forbid.cedar", forbids)?;
        let withheld = with_stack(world, "gdr", &["plan", &path, "--policy", &policy], "")?;
        assert!(said(&withheld).contains("not this one"), "{withheld:?}");
        expect_working_attack(&bucket).await
    })
}

#[test]
fn a_run_by_hand_acts_only_with_enforce_and_confirmation_and_can_be_released() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let finding = theft.finding()?;
        let path = file(&finding)?;
        let run = |more: &[&str], typed: &str| {
            with_stack(world, "gdr-dry", &[&["run", &path], more].concat(), typed)
        };
        let before = theft.state().await?;
        let rehearsed = run(&[], "")?;
        expect_exit(&rehearsed, 0);
        assert!(said(&rehearsed).contains("dry_run"), "{rehearsed:?}");
        let declined = run(&["--enforce"], "n\n")?;
        expect_exit(&declined, 3);
        assert!(
            said(&declined).contains("iam:DeactivateAccessKey"),
            "{declined:?}"
        );
        assert_eq!(theft.state().await?, before, "nothing was changed");
        let unrecorded = gdr(
            world.aws,
            &["--stack", "gdr-dry", "incident", finding.id()],
            "",
        )?;
        expect_exit(&unrecorded, 1);
        expect_working_attack(&theft).await?;

        let done = run(&["--enforce", "--yes", "--output", "json"], "")?;
        expect_exit(&done, 0);
        let reports: Value = serde_json::from_slice(&done.stdout)?;
        assert_eq!(reports[0]["status"], "contained", "{reports:#}");
        let by = reports[0]["run_by"].as_str().unwrap_or_default();
        assert!(by.ends_with(":root"), "{reports:#}");
        expect_stopped_attack(&theft).await?;

        let shown = gdr(
            world.aws,
            &["--stack", "gdr-dry", "incident", finding.id()],
            "",
        )?;
        expect_exit(&shown, 0);
        assert!(said(&shown).contains("run by"), "{shown:?}");
        let key = ["--reactivate-key", theft.key_id(), "--yes"];
        let release = [&["--stack", "gdr-dry", "release", finding.id()], &key[..]].concat();
        expect_exit(&gdr(world.aws, &release, "")?, 0);
        expect_working_attack(&theft).await
    })
}

#[test]
fn without_a_stack_the_defaults_hold_and_settings_can_be_given() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let path = file(&theft.finding()?)?;
        let defaults = gdr(world.aws, &["run", &path], "")?;
        expect_exit(&defaults, 0);
        let told = said(&defaults);
        assert!(
            told.contains("no --stack is given") && told.contains("dry_run"),
            "{told}"
        );
        let set = ["--set", "MINIMUM_SEVERITY=10", "--output", "json"];
        let above = gdr(world.aws, &[&["run", &path], &set[..]].concat(), "")?;
        let reports: Value = serde_json::from_slice(&above.stdout)?;
        assert_eq!(reports[0]["status"], "notified", "{reports:#}");
        let doubtful = gdr(
            world.aws,
            &["run", &path, "--set", "RESPONSE_MODE=maybe"],
            "",
        )?;
        assert!(
            said(&doubtful).contains("RESPONSE_MODE is 'maybe'"),
            "{doubtful:?}"
        );
        expect_working_attack(&theft).await
    })
}

#[test]
fn a_finding_of_another_account_is_refused_before_anything_is_asked_there() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let finding = theft.finding()?;
        let finding = finding.with("/accountId", "444455556666");
        let path = file(&finding)?;
        for command in ["plan", "run"] {
            let refused = with_stack(world, "gdr", &[command, &path], "")?;
            expect_exit(&refused, 3);
            assert!(said(&refused).contains("--member-profile"), "{refused:?}");
        }
        expect_working_attack(&theft).await
    })
}
