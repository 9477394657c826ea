//! `gdr rehearse` as a person would call it, on files made for the purpose.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A finding as it is exported to S3.
fn finding(id: &str, instance: &str, updated: &str) -> Value {
    json!({
        "schemaVersion": "2.0",
        "accountId": "111122223333",
        "region": "us-east-1",
        "id": id,
        "type": "Backdoor:EC2/C&CActivity.B!DNS",
        "severity": 8,
        "createdAt": "2026-03-04T05:00:00Z",
        "updatedAt": updated,
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": instance, "tags": [] },
        },
        "service": { "count": 1, "archived": false },
    })
}

fn write(folder: &TempDir, name: &str, findings: &[Value]) -> Result {
    let lines: Vec<_> = findings.iter().map(|it| format!("{it}\n")).collect();
    fs::write(folder.path().join(name), lines.concat())?;
    Ok(())
}

/// `gdr rehearse` without anything in the environment, credentials least of all.
fn rehearse(folder: &TempDir, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_gdr"))
        .arg("rehearse")
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .output()?)
}

fn json_of(folder: &TempDir, arguments: &[&str]) -> Result<Value> {
    let output = rehearse(folder, &[&["--output", "json"], arguments].concat())?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

const ONE: &str = "i-00000000000000001";
const TWO: &str = "i-00000000000000002";

#[test]
fn the_document_of_a_rehearsal_lists_containments_with_time_and_policy() -> Result {
    let folder = TempDir::new()?;
    let findings = [
        finding("b", TWO, "2026-03-04T06:00:00Z"),
        finding("a", ONE, "2026-03-04T05:00:00Z"),
        finding("a", ONE, "2026-03-04T07:00:00Z"),
    ];
    write(&folder, "export.jsonl", &findings)?;
    let document = json_of(&folder, &["export.jsonl"])?;
    let mut members: Vec<_> = document.as_object().ok_or("no object")?.keys().collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "entries",
            "exemptions",
            "format",
            "hit",
            "left_out",
            "openings",
            "policies",
            "rehearsed_at",
            "remarks",
            "settings",
            "settings_from",
            "summary",
            "unreadable",
            "version",
            "windows",
        ]
    );
    assert_eq!(document["format"], 1);
    let summary = &document["summary"];
    assert_eq!(
        *summary,
        json!({
            "from": "2026-03-04T05:00:00Z", "to": "2026-03-04T07:00:00Z",
            "findings": 2, "events": 3,
            "contained": 2, "partial": 0, "uncertain": 0, "awaits_approval": 0, "withheld": 0,
            "breaker": 0, "openings": 0, "left_out": 0,
        })
    );
    let first = &document["entries"][0];
    for (member, expected) in [
        ("at", json!("2026-03-04T05:00:00Z")),
        ("outcome", json!("contained")),
        ("function", json!("ec2")),
        ("kind", json!("Instance")),
        ("name", json!(ONE)),
        ("target", json!(format!("us-east-1/{ONE}"))),
        ("finding_id", json!("a")),
        ("by", json!(["playbooks"])),
        ("events", json!(2)),
        ("last", json!("2026-03-04T07:00:00Z")),
    ] {
        assert_eq!(first[member], expected, "{member} {first:#}");
    }
    let steps = first["steps"].as_array().ok_or("no steps")?;
    let isolate = steps
        .iter()
        .find(|step| step["action"] == "ec2:IsolateInterface");
    assert_eq!(isolate.ok_or("no isolation")?["verdict"], "permitted");
    assert_eq!(document["hit"][1]["name"], TWO);
    assert_eq!(document["settings"]["MaxContainments"], 20);
    // Without a stack nothing says what is deployed.
    assert_eq!(
        document["settings_from"],
        "the defaults of the stack's parameters"
    );
    assert_eq!(document["policies"]["from"], "the default policies");
    let policies = document["policies"]["text"].as_str().unwrap_or_default();
    assert!(policies.contains("@id(\"playbooks\")"), "{policies}");
    let remarks = document["remarks"].to_string();
    assert!(remarks.contains("No stack is named"), "{remarks}");
    assert!(
        remarks.contains("the policies are the default ones"),
        "{remarks}"
    );
    Ok(())
}

#[test]
fn settings_and_policies_are_those_that_are_given() -> Result {
    let folder = TempDir::new()?;
    let findings = [
        finding("a", ONE, "2026-03-04T05:00:00Z"),
        finding("b", TWO, "2026-03-04T05:10:00Z"),
    ];
    write(&folder, "export.jsonl", &findings)?;
    let outcomes = |arguments: &[&str]| -> Result<Vec<String>> {
        let document = json_of(&folder, &[&["export.jsonl"], arguments].concat())?;
        let entries = document["entries"].as_array().ok_or("no entries")?.clone();
        let word = |entry: &Value| entry["outcome"].as_str().unwrap_or_default().to_owned();
        Ok(entries.iter().map(word).collect())
    };
    assert_eq!(
        outcomes(&["--max-containments", "1"])?,
        ["contained", "breaker"]
    );
    assert_eq!(
        outcomes(&["--max-containments", "1", "--limit-window-minutes", "5"])?,
        ["contained", "contained"]
    );
    assert_eq!(
        outcomes(&["--ec2-response", "approve"])?,
        ["awaits_approval", "awaits_approval"]
    );
    assert_eq!(outcomes(&["--minimum-severity", "9"])?, [""; 0]);
    assert_eq!(
        outcomes(&["--since", "2026-03-04T05:05:00Z"])?,
        ["contained"]
    );
    assert_eq!(outcomes(&["--until", "2026-03-04"])?, [""; 0]);
    assert_eq!(outcomes(&["--account", "444455556666"])?, [""; 0]);
    let own = format!(
        "permit (principal, action, resource);\n@id(\"spared\") @reason(\"ours\")\n\
         forbid (principal, action, resource) when {{ resource.name == \"{ONE}\" }};"
    );
    fs::write(folder.path().join("own.cedar"), own)?;
    assert_eq!(
        outcomes(&["--policy", "own.cedar"])?,
        ["withheld", "contained"]
    );
    let document = json_of(&folder, &["export.jsonl", "--policy", "own.cedar"])?;
    assert_eq!(document["policies"]["from"], "own.cedar");
    let exemption = &document["exemptions"][0];
    assert_eq!(
        (&exemption["by"], &exemption["reason"]),
        (&json!("spared"), &json!("ours"))
    );
    Ok(())
}

#[test]
fn an_answer_of_the_api_in_a_file_came_when_the_finding_was_made_too() -> Result {
    let folder = TempDir::new()?;
    let api = json!({ "Findings": [{
        "SchemaVersion": "2.0", "AccountId": "111122223333", "Region": "us-east-1", "Id": "a",
        "Type": "Backdoor:EC2/C&CActivity.B!DNS", "Severity": 8,
        "CreatedAt": "2026-03-04T05:00:00.000Z", "UpdatedAt": "2026-03-05T05:00:00.000Z",
        "Resource": { "ResourceType": "Instance", "InstanceDetails": { "InstanceId": ONE } },
        "Service": { "Archived": false },
    }] });
    write(&folder, "answer.json", &[api])?;
    let document = json_of(&folder, &["."])?;
    let entry = &document["entries"][0];
    assert_eq!(entry["at"], "2026-03-04T05:00:00Z");
    assert_eq!(entry["events"], 2);
    Ok(())
}

#[test]
fn the_table_has_the_numbers_and_hostile_names_as_text() -> Result {
    let folder = TempDir::new()?;
    let mut hostile = finding("a", ONE, "2026-03-04T05:00:00Z");
    hostile["type"] = json!("Backdoor:EC2/Spam\u{1b}[2Jbot\u{202e}");
    let findings = [hostile, finding("b", TWO, "2026-03-04T05:10:00Z")];
    write(&folder, "export.jsonl", &findings)?;
    let output = rehearse(&folder, &["export.jsonl"])?;
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("would be contained"), "{text}");
    assert!(text.contains(TWO), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    assert!(text.contains("to know:"), "{text}");
    Ok(())
}

#[test]
fn table_and_page_say_which_settings_and_policies_decided() -> Result {
    let folder = TempDir::new()?;
    let findings = (0..60).map(|number| {
        let instance = format!("i-{number:017}");
        finding(&format!("{number}"), &instance, "2026-03-04T05:00:00Z")
    });
    write(&folder, "export.jsonl", &findings.collect::<Vec<_>>())?;
    let own = "permit (principal, action, resource);\n// <script>\n";
    fs::write(folder.path().join("own.cedar"), own)?;
    let arguments = [
        "export.jsonl",
        "--policy",
        "own.cedar",
        "--html",
        "page.html",
    ];
    let output = rehearse(
        &folder,
        &[&arguments[..], &["--minimum-severity", "5"]].concat(),
    )?;
    let text = String::from_utf8(output.stdout)?;
    for told in [
        "settings from: the defaults of the stack's parameters, and what is given in their place",
        "policies from: own.cedar",
        "more: --output json has all, --html more",
    ] {
        assert!(text.contains(told), "no {told} in {text}");
    }
    let page = fs::read_to_string(folder.path().join("page.html"))?;
    for told in [
        "<h2 id=\"policies-heading\"><bdi>The policies",
        "permit (principal, action, resource);\n// &lt;script&gt;",
        "From: <bdi>own.cedar",
        "From: <bdi>the defaults of the stack",
    ] {
        assert!(page.contains(told), "no {told} in {page}");
    }
    Ok(())
}

#[test]
fn unreadable_input_is_an_error_with_file_and_line_and_the_rest_is_read() -> Result {
    let folder = TempDir::new()?;
    let mut timeless = finding("a", ONE, "");
    timeless["createdAt"] = json!(null);
    let findings = [
        timeless,
        json!({ "id": 1 }),
        finding("b", TWO, "2026-03-04T05:10:00Z"),
    ];
    write(&folder, "export.jsonl", &findings)?;
    let output = rehearse(&folder, &["--output", "json", "export.jsonl"])?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr)?;
    assert!(told.contains("export.jsonl:1: "), "{told}");
    assert!(told.contains("`updatedAt`"), "{told}");
    assert!(told.contains("export.jsonl:2: "), "{told}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(document["summary"]["contained"], 1);
    assert_eq!(document["unreadable"][1]["line"], 2);
    Ok(())
}

#[test]
fn wrong_usage_is_refused_before_any_input_is_read() -> Result {
    let folder = TempDir::new()?;
    write(&folder, "export.jsonl", &[])?;
    for (arguments, said) in [
        (&[][..], "required"),
        (&["export.jsonl", "--since", "yesterday"][..], "a date"),
        (
            &["export.jsonl", "--s3-response", "maybe"][..],
            "contain, approve",
        ),
        (&["export.jsonl", "--max-containments", "0"][..], "1..=500"),
        (&["export.jsonl", "--size", "users"][..], "users=NUMBER"),
        (&["s3://"][..], "names no bucket"),
    ] {
        let output = rehearse(&folder, arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        let told = String::from_utf8(output.stderr)?;
        assert!(told.contains(said), "{arguments:?} {told}");
    }
    Ok(())
}
