//! What is asked about is shown, what is printed for programs is one document, and nothing of what the table
//! holds is obeyed by a terminal.

use std::process::Output;

use integration_tests::Result;
use policy::DEFAULT;
use serde_json::{Value, json};

use crate::without_aws::stub::{ACCOUNT, Answer, Call, Stub};
use crate::without_aws::world::{
    CONTAINED, ESCAPES, WAITING, bucket, caller, configuration, file, finding, ok, queues, stack,
    table,
};

const BLOCK: &str = "s3:BlockBucketPublicAccess";

fn stub() -> Result<Stub> {
    let queues = queues();
    Stub::start(move |call| match call.service.as_str() {
        "sts" => caller(),
        "dynamodb" => table(call),
        "cloudformation" => stack(),
        "s3" => bucket(call),
        "sqs" => queues(call),
        "ssm" if call.operation == "GetParameter" => ok(json!({
            "Parameter": { "Name": "/gdr/policy", "Type": "String", "Value": DEFAULT },
        })),
        _ => None,
    })
}

/// The arguments with a table, unless the command asks no account.
fn on_table<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let asks = !matches!(
        arguments,
        ["explain", ..] | ["policy", "explain" | "check", ..]
    );
    let table: &[&str] = if asks { &["--table", "incidents"] } else { &[] };
    [table, &["--output", "json"], arguments].concat()
}

fn document(output: &Output) -> Result<Value> {
    Ok(serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What would change something.
fn writes(stub: &Stub) -> Vec<Call> {
    let writes = |call: &Call| {
        let operation = call.operation.as_str();
        ["UpdateItem", "PutParameter", "DeleteMessage"].contains(&operation)
            || operation.starts_with("PUT ")
            || operation.contains("/invocations")
    };
    stub.calls().into_iter().filter(writes).collect()
}

#[test]
fn the_subject_of_a_question_is_shown_first_with_json_too() -> Result {
    let stub = stub()?;
    let finding = file(&finding(CONTAINED).to_string())?;
    let policies = file("permit (principal, action, resource); // another")?;
    for (arguments, shown, question) in [
        (
            on_table(&["approve", WAITING, "--policy-parameter", "/gdr/policy"]),
            BLOCK,
            "Approve? [y/N]",
        ),
        (
            on_table(&["release", CONTAINED, "--force-drift"]),
            "DRIFTED",
            "Release? [y/N]",
        ),
        (
            on_table(&["run", &finding, "--enforce"]),
            BLOCK,
            "Contain? [y/N]",
        ),
        (on_table(&["breaker", "reset"]), "1 of 20", "Reset? [y/N]"),
        (
            on_table(&["redrive", "--stack", "gdr"]),
            CONTAINED,
            "Send 1 message again? [y/N]",
        ),
        (
            on_table(&["policy", "push", &policies, "--parameter", "/gdr/policy"]),
            "+ permit (principal, action, resource); // another",
            "Store it? [y/N]",
        ),
    ] {
        let output = stub.gdr(&arguments, "n\n")?;
        assert_eq!(output.status.code(), Some(3), "{arguments:?} {output:?}");
        let told = said(&output);
        let (before, _) = told
            .split_once(question)
            .ok_or_else(|| format!("no {question}: {output:?}"))?;
        assert!(
            before.contains(shown),
            "no {shown} before it is asked: {told}"
        );
        let document = document(&output)?.to_string();
        let why = ["refused", "left_because"];
        assert!(why.iter().any(|why| document.contains(why)), "{document}");
    }
    assert_eq!(writes(&stub).len(), 0, "{:?}", writes(&stub));
    Ok(())
}

#[test]
fn with_json_each_command_prints_one_document() -> Result {
    let stub = stub()?;
    let same = file(DEFAULT)?;
    let invalid = file("permit (principal, action, resorce);")?;
    let of_other = finding(CONTAINED)
        .to_string()
        .replace(ACCOUNT, "444455556666");
    let of_other = file(&of_other)?;
    let push = |file| ["policy", "push", file, "--parameter", "/gdr/policy"];
    for (arguments, code, pointer, expected) in [
        (&["incidents"][..], 0, "/0/id", json!(WAITING)),
        (
            &["incidents", "--status", "awaits_approval"],
            0,
            "/0/id",
            json!(WAITING),
        ),
        (
            &["incidents", "--status", "contained"],
            0,
            "/0/id",
            json!(CONTAINED),
        ),
        (&["incident", WAITING], 0, "/0/status", json!("notified")),
        (
            &["approve", CONTAINED, "--policy-parameter", "/x"],
            3,
            "/0/refused",
            json!("nothing awaits approval: its status is contained"),
        ),
        (
            &["reject", CONTAINED, "--reason", "x"],
            3,
            "/0/incident",
            json!(CONTAINED),
        ),
        (
            &["release", WAITING],
            3,
            "/0/refused",
            json!("there is nothing to release: the response changed nothing"),
        ),
        (
            &["release", CONTAINED, "--yes"],
            3,
            "/0/plan/0/action",
            json!(BLOCK),
        ),
        (&["breaker", "show"], 0, "/0/places", json!(20)),
        (
            &["breaker", "reset", "--category", "ec2"],
            3,
            "/reset",
            json!([]),
        ),
        (&push(&same), 0, "/stored", json!(true)),
        (&push(&invalid), 1, "/valid", json!(false)),
        (&["plan", &of_other], 3, "/0/refused", Value::Null),
        (
            &[
                "policy",
                "explain",
                "--finding",
                &file(&finding(WAITING).to_string())?,
            ],
            0,
            "/0/category",
            json!("s3"),
        ),
    ] {
        let output = stub.gdr(&on_table(arguments), "")?;
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {output:?}");
        let document = document(&output)?;
        let found = document.pointer(pointer);
        let found = found.ok_or_else(|| format!("{arguments:?}: no {pointer} in {document}"))?;
        if !expected.is_null() {
            assert_eq!(*found, expected, "{arguments:?}");
        }
    }
    Ok(())
}

#[test]
fn nothing_that_the_table_holds_is_obeyed_by_a_terminal() -> Result {
    let stub = stub()?;
    for arguments in [
        &["incidents"][..],
        &["incident", WAITING],
        &["approve", WAITING, "--policy-parameter", "/x"],
        &["release", CONTAINED],
        &["release", WAITING],
    ] {
        let output = stub.gdr(&[&["--table", "incidents"], arguments].concat(), "n\n")?;
        let shown = String::from_utf8(output.stdout)? + std::str::from_utf8(&output.stderr)?;
        for escape in ESCAPES.chars().filter(|it| !it.is_ascii_graphic()) {
            assert!(!shown.contains(escape), "{arguments:?}: {shown:?}");
        }
        let texts = arguments != ["release", WAITING];
        assert_eq!(shown.contains("\\u{202e}"), texts, "{arguments:?}: {shown}");
    }
    Ok(())
}

#[test]
fn an_incident_is_shown_with_the_later_activity_from_cloudtrail() -> Result {
    let stub = stub()?;
    let output = stub.gdr(&["--table", "incidents", "incident", CONTAINED], "")?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stdout);
    for part in [
        "what CloudTrail showed at 2026-03-04T05:22:00Z:",
        "3 calls were refused, the last of 198.51.100.7",
        "created user eve",
    ] {
        assert!(shown.contains(part), "no {part}: {shown}");
    }
    Ok(())
}

#[test]
fn a_release_for_another_function_names_the_functions_of_the_incident() -> Result {
    let stub = stub()?;
    let arguments = [
        "--table",
        "incidents",
        "release",
        CONTAINED,
        "--category",
        "ec2",
    ];
    let output = stub.gdr(&arguments, "")?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("only: s3"), "{output:?}");
    Ok(())
}

#[test]
fn a_finding_is_read_in_every_form_by_every_command_that_takes_one() -> Result {
    let stub = stub()?;
    let event = finding(CONTAINED);
    let api = json!({ "Findings": [{
        "SchemaVersion": "2.0", "Id": CONTAINED, "AccountId": ACCOUNT, "Region": "us-east-1",
        "Type": "Policy:S3/BucketAnonymousAccessGranted", "Severity": 8,
        "Resource": { "ResourceType": "AccessKey", "S3BucketDetails": [{ "Name": "customer-data" }] },
        "Service": {},
    }] });
    for text in [event["detail"].to_string(), format!("{api:#}")] {
        for command in [
            &["plan", "-"][..],
            &["run", "-"],
            &["policy", "explain", "--finding", "-"],
        ] {
            let output = stub.gdr(&on_table(command), &text)?;
            assert_eq!(output.status.code(), Some(0), "{command:?} {output:?}");
            assert!(document(&output)?.to_string().contains(BLOCK), "{output:?}");
        }
        // EventBridge refuses: so far the finding was read.
        let output = stub.gdr(&on_table(&["drill", "-"]), &text)?;
        assert!(said(&output).contains("events:PutEvents"), "{output:?}");
    }
    let broken = file("{\n")?;
    for command in [
        &["plan", &broken][..],
        &["drill", &broken],
        &["policy", "explain", "--finding", &broken],
    ] {
        let output = stub.gdr(&on_table(command), "")?;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains(&broken), "{output:?}");
    }
    Ok(())
}

/// A hub in another account than the finding's.
fn hub(call: &Call) -> Answer {
    match call.service.as_str() {
        "sts" => caller(),
        "cloudformation" => stack(),
        "s3" => bucket(call),
        "lambda" => configuration(&json!({
            "MODE": "hub", "OWN_ACCOUNT_ID": "999988887777", "EXTERNAL_ID": "x",
            "NOTIFICATION_TOPIC_ARN": "arn:aws:sns:us-east-1:999988887777:notices",
        })),
        "iam" => ok(
            "<SimulatePrincipalPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
             <SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults><member>\
             <EvalActionName>x</EvalActionName><EvalDecision>allowed</EvalDecision></member>\
             </EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>",
        ),
        _ => None,
    }
}

#[test]
fn a_plan_names_the_role_that_was_asked_about_and_none_if_none_was() -> Result {
    let stub = Stub::start(hub)?;
    let finding = file(&finding(CONTAINED).to_string())?;
    let policy = file(DEFAULT)?;
    let plan = [
        "--output", "json", "--stack", "gdr", "plan", &finding, "--policy", &policy,
    ];
    let simulated = |more: &[&str]| -> Result<Value> {
        let output = stub.gdr(&[&plan[..], more].concat(), "")?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let plans = document(&output)?;
        assert!(plans[0]["permissions"][0].is_object(), "{plans:#}");
        Ok(plans[0]["simulated_role"].clone())
    };
    assert_eq!(simulated(&["--no-simulation"])?, Value::Null);
    assert!(stub.calls().iter().all(|call| call.service != "iam"));
    let role = simulated(&[])?;
    let name = role.as_str().and_then(|role| role.rsplit('/').next());
    assert!(
        name.is_some_and(|name| name.starts_with("gdr-member-")),
        "{role}"
    );
    let asked = stub
        .calls()
        .into_iter()
        .filter(|call| call.service == "iam");
    for call in asked {
        assert!(
            call.body.contains(name.unwrap_or_default()),
            "{}",
            call.body
        );
    }
    Ok(())
}

#[test]
fn a_release_observes_by_the_settings_of_the_containment() -> Result {
    let looks = |created_keys: bool| -> Result<bool> {
        let incident = json!({
            "pk": { "S": format!("INCIDENT#{CONTAINED}") }, "sk": { "S": "iam" },
            "kind": { "S": "incident" }, "account_id": { "S": ACCOUNT }, "status": { "S": "contained" },
            "event": { "S": json!({
                "source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {
                    "schemaVersion": "2.0", "id": CONTAINED, "accountId": ACCOUNT, "region": "us-east-1",
                    "type": "UnauthorizedAccess:IAMUser/TorIPCaller", "severity": 8,
                    "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
                        "userType": "IAMUser", "userName": "ops-bot", "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
                        "principalId": "AIDAIOSFODNN7EXAMPLE",
                    } },
                    "service": {
                        "eventFirstSeen": "2026-03-04T05:00:00Z", "eventLastSeen": "2026-03-04T05:04:00Z",
                    },
                },
            }).to_string() },
            "settings": { "S": json!({ "iam": { "created_keys": created_keys } }).to_string() },
            "action:iam:DeactivateAccessKey AKIAI44QH8DHBEXAMPLE": { "S": json!({ "DeactivateAccessKey": {
                "user": "ops-bot", "key": "AKIAI44QH8DHBEXAMPLE", "from": "Active",
            } }).to_string() },
        });
        let stub = Stub::start(move |call| match call.service.as_str() {
            "sts" => caller(),
            "dynamodb" => ok(json!({ "Items": [incident], "Count": 1, "ScannedCount": 1 })),
            _ => None,
        })?;
        let key = ["--reactivate-key", "AKIAI44QH8DHBEXAMPLE"];
        let release = ["--table", "incidents", "release", CONTAINED];
        stub.gdr(&[&release[..], &key].concat(), "n\n")?;
        let calls = stub.calls();
        assert!(calls.iter().any(|call| call.service == "iam"), "{calls:?}");
        Ok(calls.iter().any(|call| call.service == "cloudtrail"))
    };
    assert!(looks(true)?, "the keys that were created are looked for");
    assert!(!looks(false)?);
    Ok(())
}
