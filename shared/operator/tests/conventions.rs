//! What every command has in common: colours, exit statuses, the manual, a reader that goes away.

use std::process::{Command, Output, Stdio};

use integration_tests::{Result, files};
use serde_json::json;

fn gdr(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let program = env!("CARGO_BIN_EXE_gdr");
    let mut command = Command::new(program);
    command.env_clear().args(arguments);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    Ok(command.envs(variables.iter().copied()).output()?)
}

/// A finding in a file.
fn finding() -> Result<String> {
    let finding = json!({
        "schemaVersion": "2.0", "id": "0123456789abcdef0123456789abcdef", "accountId": "111122223333",
        "region": "eu-west-1", "type": "Policy:S3/BucketAnonymousAccessGranted", "severity": 8,
        "resource": { "resourceType": "AccessKey", "s3BucketDetails": [{ "name": "customer-data" }] },
        "service": {},
    });
    files::file("finding.json", &finding.to_string())
}

#[test]
fn colours_are_for_terminals_and_for_nobody_who_sets_no_color() -> Result {
    let finding = finding()?;
    let explain = ["policy", "explain", "--finding", &finding];
    let escapes = |variables: &[(&str, &str)]| -> Result<bool> {
        let output = gdr(&explain, variables)?;
        assert!(output.status.success(), "{output:?}");
        let shown = String::from_utf8(output.stdout)?;
        assert!(shown.contains("permitted"), "{shown}");
        Ok(shown.contains('\u{1b}'))
    };
    assert!(!escapes(&[])?, "this is no terminal");
    assert!(escapes(&[("CLICOLOR_FORCE", "1")])?);
    assert!(!escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")])?);
    Ok(())
}

#[test]
fn wrong_usage_is_2_and_a_stack_that_is_not_named_says_how_to_name_it() -> Result {
    for wrong in [
        &["no-such-command"][..],
        &["redrive", "--list", "--yes"],
        &["run"],
        &["rehearse", "s3://"],
        &["prove"],
        &["prove", "--account", "1234"],
        &["prove", "--account", "111122223333", "--id", "Not An Id"],
        &[
            "prove",
            "--account",
            "111122223333",
            "--only",
            "bucket,vault",
        ],
        &[
            "prove",
            "--account",
            "111122223333",
            "--clean",
            "0a1b2c3d",
            "--only",
            "key",
        ],
        &["incidents", "--status", "contianed"],
        &["--table", "t", "release", "x", "--category", "S3"],
    ] {
        let output = gdr(wrong, &[])?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    for (command, told) in [
        (&["incidents"][..], "which stack? Give --stack"),
        (&["doctor"], "which stack? Give --stack"),
        (&["redrive"], "which stack? Give --stack"),
        (&["notify-test"], "which stack? Give --stack"),
        (
            &["--table", "t", "approve", "16afba5c"],
            "--policy-parameter or POLICY_PARAMETER with its output PolicyParameter",
        ),
        (
            &["policy", "push", "infra/policies/default.cedar"],
            "--parameter or POLICY_PARAMETER with its output PolicyParameter",
        ),
        (
            &["--table", "t", "drill", "notype"],
            "neither a file nor a finding type",
        ),
    ] {
        let output = gdr(command, &[("AWS_REGION", "us-east-1")])?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(told), "{said}");
    }
    Ok(())
}

#[test]
fn a_reader_that_goes_away_is_no_failure() -> Result {
    let finding = finding()?;
    // It is gone before anything is written: else what fits into the pipe would be written without an error.
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_gdr"))
        .args(["policy", "explain", "--finding", &finding])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

#[test]
fn the_manual_has_a_page_for_every_command() -> Result {
    let folder = files::path("man")?;
    let output = gdr(&["man", &folder.display().to_string()], &[])?;
    assert!(output.status.success(), "{output:?}");
    for command in [
        "gdr",
        "gdr-notify-test",
        "gdr-redrive",
        "gdr-doctor",
        "gdr-policy-push",
        "gdr-prove",
    ] {
        let page = std::fs::read_to_string(folder.join(format!("{command}.1")))?;
        assert!(page.contains(".TH"), "{page}");
        assert!(page.contains("Examples"), "{command}: {page}");
    }
    Ok(())
}
