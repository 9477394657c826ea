//! `gdr redrive`, where Lambda does not take what is sent again.

use integration_tests::Result;
use serde_json::{Value, json};

use crate::without_aws::stub::{Call, Stub};
use crate::without_aws::world::{caller, ok, queues, stack};

/// The calls of the queues and of Lambda, in order.
fn course(stub: &Stub) -> Vec<(String, Value)> {
    let calls = stub.calls().into_iter();
    let calls = calls.filter(|call| ["sqs", "lambda"].contains(&call.service.as_str()));
    let told = |call: Call| {
        let operation = if call.service == "lambda" {
            "Invoke".to_owned()
        } else {
            call.operation
        };
        let body = serde_json::from_str(&call.body).unwrap_or_default();
        (operation, body)
    };
    calls.map(told).collect()
}

fn of<'a>(course: &'a [(String, Value)], operation: &str) -> Vec<&'a Value> {
    let calls = course.iter().filter(|(name, _)| name == operation);
    calls.map(|(_, body)| body).collect()
}

/// A stack with one event among the dead letters, whose functions answer an invocation so.
fn stub(invoked: Option<(u16, String)>) -> Result<Stub> {
    let queues = queues();
    Stub::start(move |call| match call.service.as_str() {
        "sts" => caller(),
        "cloudformation" => stack(),
        "lambda" => invoked.clone(),
        "sqs" if call.operation == "DeleteMessage" => ok("{}"),
        "sqs" => queues(call),
        _ => None,
    })
}

const REDRIVE: [&str; 7] = [
    "--stack", "gdr", "--output", "json", "redrive", "--yes", "--late",
];

#[test]
fn a_message_that_lambda_does_not_take_stays_in_its_queue_and_others_see_it_again() -> Result {
    let failed = json!({ "Type": "Service", "Message": "the test says no" });
    for (invoked, why) in [
        (None, "lambda:InvokeFunction"),
        (Some((400, failed.to_string())), "lambda:InvokeFunction"),
        // Lambda answers 200 to a caller that waits for the function.
        (
            Some((200, String::new())),
            "the event was not accepted (status 200)",
        ),
    ] {
        let stub = stub(invoked)?;
        let output = stub.gdr(&REDRIVE, "")?;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(why), "no {why}: {told}");
        assert!(told.contains("was not re-sent and stays in"), "{told}");
        let document: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(document[0]["sent"], false, "{document}");

        let course = course(&stub);
        assert_eq!(of(&course, "Invoke").len(), 1, "{course:?}");
        assert!(of(&course, "DeleteMessage").is_empty(), "{course:?}");
        let seen_again = course.last().ok_or("nothing could be read")?;
        assert_eq!(seen_again.0, "ChangeMessageVisibility", "{course:?}");
        assert_eq!(seen_again.1["VisibilityTimeout"], 0, "{course:?}");
    }
    Ok(())
}

#[test]
fn a_message_is_deleted_after_lambda_has_taken_it_and_held_for_five_minutes_at_most() -> Result {
    let stub = stub(Some((202, String::new())))?;
    let output = stub.gdr(&REDRIVE, "")?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(document[0]["sent"], true, "{document}");

    let course = course(&stub);
    let names: Vec<_> = course.iter().map(|(name, _)| name.as_str()).collect();
    let after = ["ChangeMessageVisibility", "Invoke", "DeleteMessage"];
    assert!(names.ends_with(&after), "{names:?}");
    let held = |operation: &str| -> Vec<Option<i64>> {
        let calls = of(&course, operation).into_iter();
        calls
            .map(|body| body["VisibilityTimeout"].as_i64())
            .collect()
    };
    let received = held("ReceiveMessage");
    assert!(received.len() > 1, "{course:?}");
    assert!(
        received.iter().all(|seconds| *seconds == Some(300)),
        "{received:?}"
    );
    assert_eq!(held("ChangeMessageVisibility"), [Some(60)]);
    Ok(())
}
