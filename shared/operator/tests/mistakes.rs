//! Mistakes that an operator makes at three in the morning: `gdr` says so, and loses nothing.

use std::fs;
use std::process::{Command, Output};

use integration_tests::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Runs `gdr` in a folder, with these variables and no others.
fn gdr(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gdr"));
    command.env_clear().args(arguments);
    command
        .env("HOME", folder.path())
        .current_dir(folder.path());
    // Where there is no credential, the SDK would ask the instance that it may run on.
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    Ok(command.envs(variables.iter().copied()).output()?)
}

fn text(bytes: &[u8]) -> Result<String> {
    Ok(String::from_utf8(bytes.to_vec())?)
}

fn finding() -> Value {
    json!({
        "schemaVersion": "2.0", "id": "0123456789abcdef0123456789abcdef", "accountId": "111122223333",
        "region": "eu-west-1", "type": "Policy:S3/BucketAnonymousAccessGranted", "severity": 8,
        "updatedAt": "2026-03-04T05:06:00Z",
        "resource": { "resourceType": "AccessKey", "s3BucketDetails": [{ "name": "customer-data" }] },
        "service": {},
    })
}

/// A folder with one finding.
fn folder() -> Result<TempDir> {
    let folder = TempDir::new()?;
    fs::write(folder.path().join("export.jsonl"), finding().to_string())?;
    Ok(folder)
}

/// Expects a complaint and an exit status.
fn refused(output: &Output, status: i32, says: &[&str]) -> Result {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let said = text(&output.stderr)?;
    for words in says {
        assert!(said.contains(words), "no '{words}' in {said}");
    }
    Ok(())
}

#[test]
fn each_missing_part_of_a_request_is_named() -> Result {
    let folder = folder()?;
    let region = ("AWS_REGION", "us-east-1");
    let incidents = ["--table", "t", "incidents"];
    let without = gdr(&folder, &incidents, &[region])?;
    refused(
        &without,
        1,
        &[
            "dynamodb:Scan on t: NoCredentials",
            "there are no credentials",
        ],
    )?;
    assert!(
        !text(&without.stderr)?.contains("retr"),
        "nothing is retried"
    );
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
    ];
    refused(
        &gdr(&folder, &incidents, &keys)?,
        1,
        &["NoRegion", "no Region is set"],
    )?;
    let of_nobody = [&["--profile", "nosuch"][..], &incidents].concat();
    let of_nobody = gdr(&folder, &of_nobody, &[region])?;
    refused(
        &of_nobody,
        2,
        &["there is no profile nosuch: the AWS configuration files have none"],
    )?;
    let nowhere = [
        region,
        keys[0],
        keys[1],
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ];
    let nowhere = gdr(&folder, &incidents, &nowhere)?;
    refused(
        &nowhere,
        1,
        &["ConnectionFailed: the connection failed", "refused"],
    )?;
    let plan = gdr(&folder, &["plan", "export.jsonl"], &[region])?;
    refused(
        &plan,
        1,
        &["sts:GetCallerIdentity", "there are no credentials"],
    )
}

#[test]
fn a_page_replaces_nothing_but_a_page() -> Result {
    let folder = folder()?;
    let input = folder.path().join("export.jsonl");
    let over = gdr(
        &folder,
        &["rehearse", "export.jsonl", "--html", "export.jsonl"],
        &[],
    )?;
    refused(
        &over,
        1,
        &["export.jsonl: it is there already and is no page"],
    )?;
    assert_eq!(fs::read_to_string(&input)?, finding().to_string());
    for _ in 0..2 {
        let written = gdr(
            &folder,
            &["rehearse", "export.jsonl", "--html", "page.html"],
            &[],
        )?;
        assert!(written.status.success(), "{written:?}");
    }
    let mut there: Vec<_> = fs::read_dir(folder.path())?
        .map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()))
        .collect::<Result<_>>()?;
    there.sort();
    assert_eq!(there, ["export.jsonl", "page.html"]);
    let printed = gdr(&folder, &["rehearse", "export.jsonl", "--html", "-"], &[])?;
    assert!(
        text(&printed.stdout)?.starts_with("<!DOCTYPE html>"),
        "{printed:?}"
    );
    assert!(!folder.path().join("-").exists());
    Ok(())
}

#[test]
fn who_is_never_contained_is_read_alike_everywhere() -> Result {
    let folder = folder()?;
    let mut finding = finding();
    finding["type"] = json!("UnauthorizedAccess:IAMUser/MaliciousIPCaller");
    finding["resource"] = json!({ "resourceType": "AccessKey", "accessKeyDetails": {
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "principalId": "AIDACKCEVSQ6C2EXAMPLE",
        "userType": "IAMUser", "userName": "alice",
    }});
    fs::write(folder.path().join("user.json"), finding.to_string())?;
    let explain = [
        "policy",
        "explain",
        "--finding",
        "user.json",
        "--never-contain",
    ];
    let nobody = [&explain[..], &["alic*"]].concat();
    refused(&gdr(&folder, &nobody, &[])?, 2, &["spares nobody"])?;
    for (list, permitted) in [("deployer,alice", false), ("deployer,others", true)] {
        let explained = gdr(&folder, &[&explain[..], &[list]].concat(), &[])?;
        let said = text(&explained.stdout)?;
        assert_eq!(
            said.contains("permitted"),
            permitted,
            "{list}: {explained:?}"
        );
    }
    Ok(())
}

#[test]
fn an_option_that_would_be_passed_over_is_refused() -> Result {
    let folder = folder()?;
    for command in [
        &["explain", "export.jsonl"][..],
        &["policy", "explain", "--finding", "export.jsonl"],
    ] {
        for option in [
            ["--stack", "gdr"],
            ["--profile", "p"],
            ["--region", "eu-west-1"],
        ] {
            let output = gdr(&folder, &[command, &option].concat(), &[])?;
            refused(&output, 2, &["asks no account", option[0]])?;
        }
        let noted = gdr(&folder, command, &[("GDR_STACK", "gdr")])?;
        refused(&noted, 0, &["not by those of the stack gdr"])?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_could_not_be_written_is_no_success() -> Result {
    let folder = folder()?;
    for arguments in [
        &["policy", "explain", "--finding", "export.jsonl"][..],
        &[
            "policy",
            "explain",
            "--finding",
            "export.jsonl",
            "--output",
            "json",
        ],
        &["explain", "export.jsonl"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gdr"));
        command.current_dir(folder.path()).args(arguments);
        let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
        let output = command.stdout(full).output()?;
        refused(&output, 1, &["No space left"])?;
    }
    Ok(())
}

#[test]
fn a_mistyped_option_reassures_nobody() -> Result {
    let folder = folder()?;
    for (wrong, says) in [
        (&["--account", "1111222233"][..], "12 digits"),
        (
            &["--since", "2026-03-01", "--until", "2026-02-01"],
            "is not before",
        ),
        (&["--since", "0d"], "how long ago"),
        (&["--size", "users=0"], "users=NUMBER"),
    ] {
        let output = gdr(
            &folder,
            &[&["rehearse", "export.jsonl"], wrong].concat(),
            &[],
        )?;
        refused(&output, 2, &[says])?;
    }
    // A window of no account would look as if nothing were contained.
    let shown = ["--table", "t", "breaker", "show", "--account", "11112222"];
    refused(&gdr(&folder, &shown, &[])?, 2, &["12 digits"])?;
    let sequences = |arguments: &[&str]| -> Result<Value> {
        let output = gdr(
            &folder,
            &[&["--output", "json", "rehearse", "export.jsonl"], arguments].concat(),
            &[],
        )?;
        assert!(output.status.success(), "{output:?}");
        let document: Value = serde_json::from_slice(&output.stdout)?;
        Ok(document["settings"]["HandOverSequences"].clone())
    };
    assert_eq!(sequences(&["--hand-over-sequences", "false"])?, false);
    assert_eq!(sequences(&["--hand-over-sequences=false"])?, false);
    assert_eq!(sequences(&["--hand-over-sequences"])?, true);
    Ok(())
}

#[test]
fn nothing_read_is_no_success() -> Result {
    let folder = folder()?;
    fs::create_dir(folder.path().join("notes"))?;
    fs::write(
        folder.path().join("notes/finding.txt"),
        finding().to_string(),
    )?;
    fs::write(folder.path().join("empty.json"), "")?;
    for command in ["explain", "rehearse"] {
        let passed = gdr(&folder, &[command, "notes"], &[])?;
        refused(
            &passed,
            1,
            &[
                "no finding was read (files: 0 read, 1 passed over)",
                ".jsonl",
            ],
        )?;
        let empty = gdr(&folder, &[command, "empty.json"], &[])?;
        refused(
            &empty,
            1,
            &["no finding was read (files: 1 read, 0 passed over)"],
        )?;
    }
    // A file that cannot be read has no line.
    let absent = gdr(&folder, &["explain", "absent.json"], &[])?;
    refused(&absent, 1, &["absent.json: cannot be read"])
}

#[test]
fn a_finding_or_a_policy_is_taken_from_standard_input_or_by_its_place_everywhere() -> Result {
    let folder = folder()?;
    let read = |arguments: &[&str], file: &str| -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gdr"));
        command.current_dir(folder.path()).args(arguments);
        let input = fs::File::open(folder.path().join(file))?;
        Ok(command.stdin(input).output()?)
    };
    fs::write(
        folder.path().join("permit.cedar"),
        "@id(\"all\") permit (principal, action, resource);",
    )?;
    for (arguments, file) in [
        (&["policy", "explain", "export.jsonl"][..], "export.jsonl"),
        (&["policy", "explain", "-"], "export.jsonl"),
        (&["policy", "check", "-"], "permit.cedar"),
        (
            &["policy", "explain", "export.jsonl", "--policy", "-"],
            "permit.cedar",
        ),
    ] {
        let output = read(arguments, file)?;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    let neither = gdr(&folder, &["policy", "explain"], &[])?;
    assert_eq!(neither.status.code(), Some(2), "{neither:?}");
    Ok(())
}

#[test]
fn policy_explain_says_that_a_step_may_need_a_setting() -> Result {
    let folder = folder()?;
    let output = gdr(&folder, &["policy", "explain", "export.jsonl"], &[])?;
    let told = text(&output.stdout)?;
    assert!(told.contains("a setting that is off by default"), "{told}");
    Ok(())
}
