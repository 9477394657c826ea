//! `gdr prove` on local AWS: the whole of it, with Ctrl-C in the middle, and after a crash. The instance needs an
//! internet and is left out: `tests/tests/prove.rs` shows it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use integration_tests::{LocalAws, Result, files, unique};
use serde_json::Value;

use crate::common::on_aws;

/// An id of letters and digits.
fn id() -> String {
    let id = unique("p").replace('-', "");
    id[id.len().saturating_sub(12)..].to_owned()
}

fn start(aws: &LocalAws, arguments: &[&str]) -> Result<Child> {
    let child = Command::new(env!("CARGO_BIN_EXE_gdr"))
        .args([
            "prove",
            "--account",
            &aws.account_id,
            "--yes",
            "--output",
            "json",
        ])
        .args(arguments)
        .envs(aws.environment())
        .env("AWS_ENDPOINT_URL_EC2", &aws.ec2_endpoint)
        .env_remove("GDR_STACK")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(child)
}

/// Starts a proof and sends it a signal once it has made a user.
fn struck(aws: &LocalAws, id: &str, signal: &str) -> Result<(Option<i32>, String)> {
    let mut child = start(aws, &["--id", id, "--only", "key"])?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("no standard error")?);
    let (mut line, mut said) = (String::new(), String::new());
    while !line.contains("made user") {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err(format!("it ended before it made a user: {said}").into());
        }
        said += &line;
    }
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status()?;
    assert!(sent.success(), "{signal} was not sent");
    // Or it would wait for somebody to read.
    lines.read_to_string(&mut said)?;
    let output = child.wait_with_output()?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

/// The users that a proof has.
async fn users(aws: &LocalAws, id: &str) -> Result<Vec<String>> {
    let path = format!("/gdr-proof/{id}/");
    let found = aws.iam().list_users().path_prefix(path).send().await?;
    Ok(found.users.into_iter().map(|user| user.user_name).collect())
}

#[test]
fn each_attack_is_stopped_released_and_removed_and_the_record_is_json_and_a_page() -> Result {
    on_aws(async |aws| {
        let (id, page) = (id(), files::path("proof.html")?);
        let page_name = page.display().to_string();
        let arguments = [
            "--id",
            &id,
            "--only",
            "bucket,key,role,function",
            "--html",
            &page_name,
        ];
        let output = start(aws, &arguments)?.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let record: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(record["proved"], true, "{record:#}");
        let scenes = record["scenes"].as_array().ok_or("no scenes")?;
        let victims: Vec<_> = scenes
            .iter()
            .filter_map(|it| it["victim"].as_str())
            .collect();
        assert_eq!(
            victims,
            [
                "public_bucket",
                "stolen_key",
                "stolen_role_session",
                "hijacked_function"
            ]
        );
        for part in [
            "made user",
            "attacker",
            "bystander",
            "contained",
            "removed user",
        ] {
            assert!(said.contains(part), "no {part}: {said}");
        }
        let page = std::fs::read_to_string(&page)?;
        for part in ["badge good", "The stolen key", "Nothing is left."] {
            assert!(page.contains(part), "no {part}: {page}");
        }
        assert_eq!(users(aws, &id).await?, [""; 0]);
        Ok(())
    })
}

#[test]
fn an_interrupted_proof_removes_its_resources_and_reports_the_interruption() -> Result {
    on_aws(async |aws| {
        let id = id();
        let (code, told) = struck(aws, &id, "-INT")?;
        assert_eq!(code, Some(1), "{told}");
        let record: Value = serde_json::from_str(&told)?;
        assert_eq!(record["proved"], false);
        let stopped = record["stopped"].as_str().unwrap_or_default();
        assert!(stopped.contains("interrupted"), "{record:#}");
        let removed = record["removal"]["removed"].to_string();
        assert!(removed.contains("user"), "{removed}");
        assert_eq!(users(aws, &id).await?, [""; 0]);
        Ok(())
    })
}

#[test]
fn resources_of_a_killed_proof_are_removed_by_its_id() -> Result {
    on_aws(async |aws| {
        let id = id();
        let (code, told) = struck(aws, &id, "-KILL")?;
        assert_eq!((code, told.as_str()), (None, ""));
        let left = users(aws, &id).await?;
        assert!(!left.is_empty(), "it was killed too late");
        let output = start(aws, &["--clean", &id])?.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let removal: Value = serde_json::from_slice(&output.stdout)?;
        let removed = removal["removed"].to_string();
        for user in left {
            assert!(removed.contains(&user), "{user}: {removed}");
        }
        assert_eq!(users(aws, &id).await?, [""; 0]);
        Ok(())
    })
}
