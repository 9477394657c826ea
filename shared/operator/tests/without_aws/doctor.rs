//! `gdr doctor` where something is wrong, or cannot be looked at.

use integration_tests::Result;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::without_aws::stub::{Answer, Call, Stub};
use crate::without_aws::world::{configuration, function_arn, ok, stack, table, topic};

const RULE: &str = "arn:aws:events:us-east-1:111122223333:rule/gdr-buckets";

/// The lines of the doctor, of which not all are ok.
fn doctor(stub: &Stub) -> Result<Vec<Value>> {
    let output = stub.gdr(&["--stack", "gdr", "--output", "json", "doctor"], "")?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?;
    Ok(lines.as_array().cloned().unwrap_or_default())
}

#[track_caller]
fn expect(lines: &[Value], check: &str, of: &str, found: &str) {
    let line = lines.iter().find(|line| {
        let text = |member: &str| line[member].as_str().unwrap_or_default();
        text("of").starts_with(of) && text("found").contains(found)
    });
    let line = line.unwrap_or_else(|| panic!("nothing of {of} with {found}: {lines:#?}"));
    assert_eq!(line["check"], check, "{line}");
    let to_do = line["to_do"].as_str().unwrap_or_default();
    assert_eq!(to_do.is_empty(), check == "ok", "{line}");
}

fn subscriptions(call: &Call) -> Answer {
    let mail = "<member><Protocol>email</Protocol><Endpoint>on-call@example.com</Endpoint>\
                <SubscriptionArn>PendingConfirmation</SubscriptionArn></member>";
    let members = if call.body.contains("notices") {
        mail
    } else {
        ""
    };
    ok(format!(
        "<ListSubscriptionsByTopicResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
         <ListSubscriptionsByTopicResult><Subscriptions>{members}</Subscriptions>\
         </ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>"
    ))
}

fn resources() -> Answer {
    ok(
        "<ListStackResourcesResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
         <ListStackResourcesResult><StackResourceSummaries><member>\
         <LogicalResourceId>Buckets</LogicalResourceId>\
         <PhysicalResourceId>gdr-buckets</PhysicalResourceId>\
         <ResourceType>AWS::Events::Rule</ResourceType>\
         <LastUpdatedTimestamp>2026-01-01T00:00:00Z</LastUpdatedTimestamp>\
         <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member></StackResourceSummaries>\
         </ListStackResourcesResult></ListStackResourcesResponse>",
    )
}

/// The right to invoke of another rule.
fn lambda(call: &Call) -> Answer {
    let operation = call.operation.as_str();
    if operation.contains("/configuration") {
        return configuration(&json!({ "NOTIFICATION_TOPIC_ARN": topic("notices") }));
    }
    if operation.contains("/policy") {
        let policy = json!({ "Statement": [{
            "Effect": "Allow", "Action": "lambda:InvokeFunction",
            "Principal": { "Service": "events.amazonaws.com" },
            "Condition": { "ArnLike": { "AWS:SourceArn": format!("{RULE}-of-before") } },
        }] });
        return ok(json!({ "Policy": policy.to_string() }));
    }
    None
}

fn events(call: &Call) -> Answer {
    match call.operation.as_str() {
        "DescribeRule" => ok(json!({ "Name": "gdr-buckets", "Arn": RULE, "State": "ENABLED" })),
        "ListTargetsByRule" => ok(json!({
            "Targets": [{ "Id": "1", "Arn": function_arn("gdr-s3") }],
        })),
        _ => None,
    }
}

#[test]
fn what_is_wrong_around_the_functions_is_told_with_what_to_do() -> Result {
    let stub = Stub::with_clock(SignedDuration::from_secs(90), |call| {
        match (call.service.as_str(), call.operation.as_str()) {
            ("sts", _) => crate::without_aws::world::caller(),
            ("cloudformation", "DescribeStacks") => stack(),
            ("cloudformation", "ListStackResources") => resources(),
            ("sns", _) => subscriptions(call),
            ("lambda", _) => lambda(call),
            ("events", _) => events(call),
            ("dynamodb", "DescribeTable") => Some((
                400,
                json!({ "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException" })
                    .to_string(),
            )),
            ("dynamodb", _) => table(call),
            ("ssm", _) => Some((400, json!({ "__type": "ParameterNotFound" }).to_string())),
            _ => None,
        }
    })?;
    let lines = doctor(&stub)?;
    for (check, of, found) in [
        ("ok", "stack gdr", "UPDATE_COMPLETE"),
        ("problem", "clock of this machine", "off"),
        ("hint", "NeverContain", "it is empty"),
        ("problem", "rule Buckets", "EventBridge may not invoke"),
        (
            "problem",
            "notices to email on-call@example.com",
            "not confirmed",
        ),
        ("problem", "notices for the chat", "nobody has subscribed"),
        ("problem", "table of incidents", "it is gone"),
        ("problem", "breaker", "it holds back in 1 windows"),
        ("problem", "policies", "the parameter is gone"),
        (
            "unknown",
            "GuardDuty in us-east-1",
            "guardduty:ListDetectors",
        ),
    ] {
        expect(&lines, check, of, found);
    }
    let hints = lines.iter().filter(|line| line["check"] == "hint");
    assert_eq!(hints.count(), 1, "one for all functions");
    Ok(())
}

#[test]
fn what_cannot_be_looked_at_is_unknown_and_the_rest_is_looked_at() -> Result {
    let stub = Stub::start(
        |call| match (call.service.as_str(), call.operation.as_str()) {
            ("cloudformation", "DescribeStacks") => stack(),
            ("lambda", _) => configuration(&json!({
                "NOTIFICATION_TOPIC_ARN": topic("notices"), "NEVER_CONTAIN": "deployer",
            })),
            ("dynamodb", _) => table(call),
            _ => None,
        },
    )?;
    let lines = doctor(&stub)?;
    for (check, of, found) in [
        (
            "unknown",
            "rules and event sources",
            "cloudformation:ListStackResources",
        ),
        ("unknown", "s3 role", "cloudformation:ListStackResources"),
        ("unknown", "notices", "sns:ListSubscriptionsByTopic"),
        ("unknown", "OnFailureQueue", "sqs:GetQueueAttributes"),
        ("ok", "s3 function", "dry run"),
        ("problem", "breaker", "it holds back"),
    ] {
        expect(&lines, check, of, found);
    }
    assert!(lines.iter().all(|line| line["of"] != "NeverContain"));
    Ok(())
}
