//! A stack and its record, as a stub tells of them.

use std::collections::BTreeSet;
use std::sync::Mutex;

use integration_tests::{Result, files};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::without_aws::stub::{ACCOUNT, Answer, Call};

pub(crate) const WAITING: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const CONTAINED: &str = "cccccccccccccccccccccccccccccccc";
pub(crate) const ESCAPES: &str = "\u{1b}[2J\u{9b}31m\u{202e}";

pub(crate) fn ok(body: impl ToString) -> Answer {
    Some((200, body.to_string()))
}

/// A finding about a bucket that was made public, as GuardDuty's event has it.
pub(crate) fn finding(id: &str) -> Value {
    json!({
        "source": "aws.guardduty", "detail-type": "GuardDuty Finding",
        "time": Timestamp::now().to_string(),
        "detail": {
            "schemaVersion": "2.0", "id": id, "accountId": ACCOUNT, "region": "us-east-1",
            "type": "Policy:S3/BucketAnonymousAccessGranted", "severity": 8,
            "createdAt": "2026-03-04T05:00:00Z", "updatedAt": "2026-03-04T05:06:00Z",
            "resource": { "resourceType": "AccessKey", "s3BucketDetails": [{ "name": "customer-data" }] },
            "service": { "archived": false },
        },
    })
}

pub(crate) fn file(text: &str) -> Result<String> {
    files::file("without-aws", text)
}

/// An item of the table, with texts that obey nobody's terminal.
fn item(id: &str, status: &str, more: &[(&str, &Value)]) -> Value {
    let text = |text: &str| json!({ "S": text });
    let mut item = json!({
        "pk": text(&format!("INCIDENT#{id}")), "sk": text("s3"), "kind": text("incident"),
        "finding_type": text(&format!("Policy:S3/BucketAnonymousAccessGranted{ESCAPES}")),
        "account_id": text(ACCOUNT), "region": text("us-east-1"),
        "received_at": text("2026-03-04T05:06:07Z"), "updated_at": text("2026-03-04T05:06:07Z"),
        "status": text(status), "event": text(&finding(id).to_string()),
    });
    for (name, value) in more {
        item[*name] = text(&value.to_string());
    }
    item
}

/// An incident whose plan waits for a person.
pub(crate) fn waiting() -> Value {
    let expires = Timestamp::now() + SignedDuration::from_hours(1);
    let plan = json!({
        "planned_at": "2026-03-04T05:06:07Z", "expires_at": expires.to_string(),
        "what": format!("the bucket customer-data{ESCAPES}"),
        "policy": {
            "dry_run": false, "mode": "approve", "minimum_severity": 4.0,
            "approval_not_needed_from": null, "own_account": null, "responder_roles": [],
            "never_contain": [],
        },
        "settings": {},
        "steps": [{
            "action": "s3:BlockBucketPublicAccess", "target": format!("customer-data{ESCAPES}"),
            "from": {}, "to": { "BlockPublicAcls": true }, "recorded": {},
        }],
    });
    item(
        WAITING,
        "notified",
        &[("awaiting", &plan), ("report", &report())],
    )
}

/// An incident whose bucket was changed since.
fn contained() -> Value {
    let action = json!({ "BlockBucket": {
        "bucket": {
            "name": "customer-data", "arn": "arn:aws:s3:::customer-data", "region": "us-east-1",
            "owner_account": ACCOUNT,
        },
        "from": {
            "BlockPublicAcls": true, "IgnorePublicAcls": false, "BlockPublicPolicy": false,
            "RestrictPublicBuckets": false,
        },
        "acl": null,
    }});
    let name = "action:s3:BlockBucketPublicAccess arn:aws:s3:::customer-data";
    item(
        CONTAINED,
        "contained",
        &[
            (name, &action),
            ("report", &report()),
            ("afterwards", &afterwards()),
        ],
    )
}

/// What CloudTrail showed of a contained credential later.
fn afterwards() -> Value {
    json!({
        "asked_at": "2026-03-04T05:22:00Z", "shown": "refused",
        "summary": format!("3 calls were refused, the last of 198.51.100.7{ESCAPES}"),
        "made": [format!("created user eve{ESCAPES}")],
    })
}

fn report() -> Value {
    json!({
        "title": format!("a title{ESCAPES}"), "reason": format!("a reason{ESCAPES}"), "severity": 8,
        "residual_risks": [format!("a risk{ESCAPES}")], "next_steps": [format!("a step{ESCAPES}")],
        "investigation": [{
            "question": "who", "answer": format!("somebody{ESCAPES}"), "source": "x", "known": true,
        }],
        "steps": [{
            "outcome": "planned", "action": "s3:BlockBucketPublicAccess", "from": {}, "to": {},
            "target": format!("customer-data{ESCAPES}"), "detail": format!("a detail{ESCAPES}"),
        }],
    })
}

/// A window of the breaker that is open.
fn window() -> Value {
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).as_millisecond();
    json!({
        "pk": { "S": format!("BREAKER#s3#{ACCOUNT}") }, "sk": { "S": "window" }, "kind": { "S": "window" },
        "places": { "N": "20" },
        "taken": { "M": { "customer-data": { "N": until.to_string() } } },
        "opened_by": { "S": "request" }, "opened_at": { "S": Timestamp::now().to_string() },
        "open_until": { "N": until.to_string() },
    })
}

/// What the table answers.
pub(crate) fn table(call: &Call) -> Answer {
    let items = match call.operation.as_str() {
        "Query" if call.body.contains(WAITING) => vec![waiting()],
        "Query" if call.body.contains(CONTAINED) => vec![contained()],
        "Query" => Vec::new(),
        "Scan" if call.body.contains("window") => vec![window()],
        "Scan" => vec![waiting(), contained()],
        _ => return None,
    };
    ok(json!({ "Items": items, "Count": items.len(), "ScannedCount": items.len() }))
}

pub(crate) fn caller() -> Answer {
    ok(format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/olga</Arn><UserId>AIDA</UserId>\
         <Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    ))
}

pub(crate) fn topic(name: &str) -> String {
    format!("arn:aws:sns:us-east-1:{ACCOUNT}:{name}")
}

pub(crate) fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}")
}

pub(crate) fn stack() -> Answer {
    let (notices, chat) = (topic("notices"), topic("chat"));
    let outputs = [
        ("S3ResponderFunction", "gdr-s3"),
        ("IamResponderFunction", "gdr-iam"),
        ("Ec2ResponderFunction", "gdr-ec2"),
        ("LambdaResponderFunction", "gdr-lambda"),
        ("TriageResponderFunction", "gdr-triage"),
        ("PolicyParameter", "/gdr/policy"),
        ("IncidentTable", "incidents"),
        ("NotificationTopic", &notices),
        ("ChatTopic", &chat),
        ("EventDeadLetterQueue", "https://sqs/undelivered"),
        ("OnFailureQueue", "https://sqs/on-failure"),
    ]
    .map(|(key, value)| {
        format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>")
    });
    ok(format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
         <DescribeStacksResult><Stacks><member><StackName>gdr</StackName>\
         <StackId>arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/gdr/0</StackId>\
         <CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>UPDATE_COMPLETE</StackStatus>\
         <Outputs>{}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
        outputs.concat()
    ))
}

/// The configuration of a deployed function with these variables.
pub(crate) fn configuration(variables: &Value) -> Answer {
    ok(json!({
        "Role": format!("arn:aws:iam::{ACCOUNT}:role/gdr"), "State": "Active",
        "LastUpdateStatus": "Successful", "Environment": { "Variables": variables },
    }))
}

/// A public bucket, as far as it decides.
pub(crate) fn bucket(call: &Call) -> Answer {
    if call.operation.contains("publicAccessBlock") && call.operation.starts_with("GET ") {
        let absent = "<Error><Code>NoSuchPublicAccessBlockConfiguration</Code></Error>";
        return Some((404, absent.to_owned()));
    }
    let public = "<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>";
    call.operation
        .contains("policyStatus")
        .then(|| (200, public.to_owned()))
}

/// A queue with one event that could not be delivered, once.
pub(crate) fn queues() -> impl Fn(&Call) -> Answer {
    let emptied = Mutex::new(BTreeSet::new());
    move |call| match call.operation.as_str() {
        "ReceiveMessage" => {
            let new = emptied.lock().ok()?.insert(call.body.clone());
            let message = json!({
                "MessageId": "m", "ReceiptHandle": "r", "Body": finding(CONTAINED).to_string(),
                "MessageAttributes": {
                    "TARGET_ARN": { "DataType": "String", "StringValue": function_arn("gdr-s3") },
                    "ERROR_CODE": { "DataType": "String", "StringValue": "THROTTLED" },
                },
            });
            let there = new && call.body.contains("undelivered");
            ok(json!({ "Messages": if there { vec![message] } else { vec![] } }))
        }
        "ChangeMessageVisibility" => ok("{}"),
        _ => None,
    }
}
