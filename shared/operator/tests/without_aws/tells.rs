//! A command sends notices only if it changes something.

use integration_tests::Result;
use policy::DEFAULT;
use serde_json::json;

use crate::without_aws::stub::{ACCOUNT, Answer, Call, Stub};
use crate::without_aws::world::{
    CONTAINED, bucket, caller, configuration, file, finding, stack, topic,
};

/// A stack whose functions tell by every channel.
fn telling(call: &Call) -> Answer {
    match call.service.as_str() {
        "sts" => caller(),
        "cloudformation" => stack(),
        "s3" => bucket(call),
        "lambda" => configuration(&json!({
            "DRY_RUN": "false", "OWN_ACCOUNT_ID": ACCOUNT, "RESPONSE_EVENTS": "true",
            "NOTIFICATION_TOPIC_ARN": topic("notices"), "CHAT_TOPIC_ARN": topic("chat"),
            "SECURITY_HUB_QUEUE_URL": "https://sqs/security-hub", "INCIDENT_TABLE": "incidents",
            "RECHECK_QUEUE_URL": "https://sqs/rechecks",
        })),
        _ => None,
    }
}

/// The services by which a report, a record or a look leaves the process.
fn told(stub: &Stub) -> Vec<String> {
    let calls = stub.calls().into_iter();
    let leaves = ["sns", "events", "sqs", "dynamodb"];
    let calls = calls.filter(|call| leaves.contains(&call.service.as_str()));
    calls
        .map(|call| format!("{}:{}", call.service, call.operation))
        .collect()
}

#[test]
fn a_plan_and_a_run_that_only_tries_tell_nobody_and_a_run_that_enforces_tells_by_every_channel()
-> Result {
    let mut event = finding(CONTAINED);
    // Security Hub knows a finding by its ARN.
    let detector = format!("arn:aws:guardduty:us-east-1:{ACCOUNT}:detector/12abc");
    event["detail"]["arn"] = json!(format!("{detector}/finding/{CONTAINED}"));
    let finding = file(&event.to_string())?;
    let policy = file(DEFAULT)?;
    for (command, code) in [
        (&["plan", &finding, "--policy", &policy][..], 0),
        (
            &["plan", &finding, "--policy", &policy, "--no-simulation"],
            0,
        ),
        (&["run", &finding, "--policy", &policy], 0),
    ] {
        let stub = Stub::start(telling)?;
        let output = stub.gdr(&[&["--stack", "gdr"], command].concat(), "")?;
        assert_eq!(output.status.code(), Some(code), "{command:?} {output:?}");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("s3:BlockBucketPublicAccess"), "{shown}");
        assert_eq!(told(&stub), [""; 0], "{command:?}");
    }
    let stub = Stub::start(telling)?;
    let enforce = [
        "--stack",
        "gdr",
        "run",
        &finding,
        "--policy",
        &policy,
        "--enforce",
        "--yes",
    ];
    // The stub refuses the write, so that the report is a failure.
    let output = stub.gdr(&enforce, "")?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = told(&stub);
    for channel in [
        "sns:Publish",
        "events:PutEvents",
        "sqs:SendMessage",
        "dynamodb:UpdateItem",
    ] {
        assert!(
            told.iter().any(|it| it == channel),
            "no {channel}: {told:?}"
        );
    }
    let publishes = told.iter().filter(|it| *it == "sns:Publish");
    assert_eq!(publishes.count(), 2, "notice and chat: {told:?}");
    Ok(())
}
