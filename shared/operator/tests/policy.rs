//! `gdr policy`, as far as it makes no call.

use std::process::{Command, Output};

use integration_tests::files;
use serde_json::{Value, json};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn gdr(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gdr"))
        .arg("policy")
        .args(arguments)
        .current_dir(ROOT)
        .env_remove("INCIDENT_TABLE")
        .output()
        .expect("gdr runs")
}

fn file(name: &str, text: &str) -> String {
    files::file(name, text).expect("a file")
}

fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(error)
}

const DEFAULT: &str = "infra/policies/default.cedar";

#[test]
fn shipped_policies_are_valid() {
    let checked = gdr(&[
        "check",
        DEFAULT,
        "infra/policies/examples/production-needs-approval.cedar",
        "infra/policies/examples/exemption-with-an-end.cedar",
    ]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
}

#[test]
fn a_mistake_in_a_policy_fails_with_its_line_and_column() {
    let mistyped = file(
        "mistyped.cedar",
        "permit (principal, action, resource);\nforbid (principal, action, resource)\n\
         when { resource.nmae == \"x\" };\n",
    );
    let checked = gdr(&["check", &mistyped]);
    assert_eq!(checked.status.code(), Some(1));
    let told = said(&checked);
    assert!(told.contains(&format!("{mistyped}:3:8: ")), "{told}");
    let checked = gdr(&["--output", "json", "check", &mistyped]);
    let told: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert_eq!(told["valid"], false);
    assert_eq!(told["errors"][0]["line"], 3);
    assert_eq!(told["errors"][0]["column"], 8);
}

#[test]
fn files_that_do_not_go_together_or_do_not_fit_are_refused() {
    let twice = gdr(&["check", DEFAULT, DEFAULT]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(
        said(&twice).contains("two policies have the @id"),
        "{}",
        said(&twice)
    );
    let long = format!(
        "// {}\npermit (principal, action, resource);",
        "x".repeat(8_192)
    );
    let long = gdr(&["check", &file("long.cedar", &long)]);
    assert_eq!(long.status.code(), Some(1));
    assert!(said(&long).contains("8192"), "{}", said(&long));
    let missing = gdr(&["check", "no-such-file.cedar"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        said(&missing).contains("no-such-file.cedar"),
        "{}",
        said(&missing)
    );
}

#[test]
fn which_steps_would_run_is_explained_with_the_policy_that_decides() {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/stolen-key.json"))
            .expect("a finding");
    let finding = |event: &Value| file("finding.json", &event.to_string());
    let explained = |arguments: &[&str]| -> Value {
        let explained = gdr(arguments);
        assert_eq!(explained.status.code(), Some(0), "{}", said(&explained));
        serde_json::from_slice(&explained.stdout).expect("JSON")
    };
    let severe = finding(&event);
    let told = explained(&["--output", "json", "explain", "--finding", &severe]);
    assert_eq!(told[0]["category"], "iam");
    assert_eq!(told[0]["decision"], "contain");
    let steps = told[0]["steps"].as_array().expect("steps");
    assert!(!steps.is_empty());
    for step in steps {
        assert_eq!(
            (&step["verdict"], &step["by"]),
            (&json!("permitted"), &json!(["playbooks"]))
        );
    }

    let permitting = file(
        "sessions.cedar",
        "@id(\"sessions\")\npermit (principal, action == Action::\"iam:RevokeUserSessions\", resource);",
    );
    let told = explained(&[
        "--output",
        "json",
        "explain",
        "--finding",
        &severe,
        "--policy",
        &permitting,
    ]);
    let by: Vec<_> = told[0]["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| (step["action"].clone(), step["by"][0].clone()))
        .collect();
    assert_eq!(
        by,
        [
            (json!("iam:RevokeUserSessions"), json!("sessions")),
            (json!("iam:DeactivateAccessKey"), json!("not-permitted")),
            (
                json!("iam:DeactivateServiceSpecificCredential"),
                json!("not-permitted")
            ),
            (json!("iam:MarkContained"), json!("not-permitted")),
        ]
    );

    let detail = if event["detail"].is_object() {
        "/detail/severity"
    } else {
        "/severity"
    };
    *event.pointer_mut(detail).expect("a severity") = json!(1.0);
    let told = explained(&["--output", "json", "explain", "--finding", &finding(&event)]);
    for step in told[0]["steps"].as_array().expect("steps") {
        assert_eq!(step["by"], json!(["minimum-severity"]));
    }
}
