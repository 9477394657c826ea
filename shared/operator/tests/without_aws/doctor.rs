//! `gdr doctor` where something is wrong, or cannot be looked at.

use integration_tests::Result;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::without_aws::stub::{Answer, Call, Stub};
use crate::without_aws::world::{configuration, function_arn, ok, stack, table, topic};

const RULE: &str = "arn:aws:events:us-east-1:111122223333:rule/gdr-buckets";

/// The lines of the doctor, of which not all are ok.
fn doctor(stub: &Stub) -> Result<Vec<Value>> {
    doctor_of(stub, "gdr")
}

fn doctor_of(stub: &Stub, stack: &str) -> Result<Vec<Value>> {
    let output = stub.gdr(&["--stack", stack, "--output", "json", "doctor"], "")?;
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
         <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member><member>\
         <LogicalResourceId>BucketsRole</LogicalResourceId>\
         <PhysicalResourceId>gdr-BucketsRole-1A2B3C</PhysicalResourceId>\
         <ResourceType>AWS::IAM::Role</ResourceType>\
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
fn each_problem_of_a_deployment_is_shown_with_its_remedy() -> Result {
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
        ("problem", "breaker", "it holds back in 1 window"),
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
fn a_check_that_cannot_read_is_unknown_and_the_others_run() -> Result {
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

/// A detector of which a policy of the organization manages a feature.
fn guardduty(call: &Call, status: &str) -> Answer {
    match call.operation.split('?').next().unwrap_or_default() {
        "GET /detector" => ok(json!({ "detectorIds": ["d0123"] })),
        "GET /detector/d0123" => ok(json!({
            "status": status, "serviceRole": "x", "findingPublishingFrequency": "SIX_HOURS",
            "features": [
                { "name": "CLOUD_TRAIL", "status": status },
                { "name": "S3_DATA_EVENTS", "status": status, "managedBy": "GUARDDUTY_POLICY" },
            ],
        })),
        _ => None,
    }
}

/// The account of `guardduty`, with that many executions at once, a role of Security Incident Response if
/// `shared`, and of the Security Hubs those that are on. Each other call is refused.
fn account(call: &Call, status: &str, executions: u32, shared: bool, hubs: [bool; 2]) -> Answer {
    let off = |code: &str| Some((404, json!({ "__type": code }).to_string()));
    match (call.service.as_str(), call.operation.as_str()) {
        ("cloudformation", "DescribeStacks") => stack(),
        ("cloudformation", "ListStackResources") => resources(),
        ("guardduty", _) => guardduty(call, status),
        ("lambda", settings) if settings.contains("/account-settings") => ok(json!({
            "AccountLimit": { "ConcurrentExecutions": executions },
        })),
        ("lambda", _) => configuration(&json!({
            "NOTIFICATION_TOPIC_ARN": topic("notices"), "SECURITY_HUB_QUEUE_URL": "https://sqs/updates",
        })),
        ("iam", "GetRole") if shared => ok(
            "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult><Role>\
             <Path>/</Path><RoleName>AWSSecurityIncidentResponseContainment</RoleName><RoleId>AROA</RoleId>\
             <Arn>arn:aws:iam::111122223333:role/AWSSecurityIncidentResponseContainment</Arn>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate></Role></GetRoleResult></GetRoleResponse>",
        ),
        ("iam", "GetRole") => Some((
            404,
            "<ErrorResponse><Error><Code>NoSuchEntity</Code></Error></ErrorResponse>".to_owned(),
        )),
        ("securityhub", hub) if hub.starts_with("GET /accounts") => match hubs[0] {
            true => ok(json!({ "HubArn": "arn" })),
            false => off("InvalidAccessException"),
        },
        ("securityhub", hub) if hub.starts_with("GET /hubv2") => match hubs[1] {
            true => ok(json!({ "HubV2Arn": "arn" })),
            false => off("ResourceNotFoundException"),
        },
        _ => None,
    }
}

#[test]
fn conditions_of_the_account_are_hints() -> Result {
    let narrow = Stub::start(|call| account(call, "ENABLED", 10, true, [true, true]))?;
    // By this name the stack's role was cut.
    let lines = doctor_of(&narrow, "gdr-of-the-payments-team")?;
    let concurrency = "concurrency of the account";
    let response = "AWS Security Incident Response";
    for (check, of, found) in [
        (
            "ok",
            "GuardDuty",
            "a GuardDuty policy of the organization manages S3_DATA_EVENTS",
        ),
        (
            "hint",
            "names",
            "gdr-BucketsRole-1A2B3C do not begin with gdr-of-the-payments-team-",
        ),
        ("hint", concurrency, "at most 10 concurrent executions"),
        (
            "hint",
            response,
            "role AWSSecurityIncidentResponseContainment",
        ),
        (
            "ok",
            "SecurityHub",
            "Security Hub CSPM and Security Hub are on",
        ),
    ] {
        expect(&lines, check, of, found);
    }
    let hubs = lines.iter().filter(|line| line["of"] == "SecurityHub");
    assert_eq!(hubs.count(), 1, "one for all functions");
    let wide = Stub::start(|call| account(call, "DISABLED", 1000, false, [false, true]))?;
    let lines = doctor(&wide)?;
    for (check, of, found) in [
        (
            "problem",
            "GuardDuty",
            "is DISABLED; a GuardDuty policy of the organization manages",
        ),
        ("ok", "names", "none was cut"),
        ("ok", concurrency, "at most 1000 concurrent executions"),
        ("ok", response, "has no role"),
        (
            "ok",
            "SecurityHub",
            "Security Hub is on, and gets the notes",
        ),
    ] {
        expect(&lines, check, of, found);
    }
    let governed = lines
        .iter()
        .find(|line| line["of"] == "GuardDuty in us-east-1");
    let to_do = governed
        .and_then(|line| line["to_do"].as_str())
        .unwrap_or_default();
    assert!(
        to_do.starts_with("change the GuardDuty policy of the organization"),
        "{to_do}"
    );
    Ok(())
}

#[test]
fn with_security_hub_one_of_the_two_must_be_on() -> Result {
    let stub = Stub::start(|call| account(call, "ENABLED", 1000, false, [false, false]))?;
    let lines = doctor(&stub)?;
    expect(
        &lines,
        "problem",
        "SecurityHub",
        "neither Security Hub CSPM nor Security Hub is on",
    );
    Ok(())
}
