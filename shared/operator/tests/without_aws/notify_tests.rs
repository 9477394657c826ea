//! A test of the notices says what each channel took, and nothing that it cannot know.

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use integration_tests::Result;
use serde_json::{Value, json};

use crate::without_aws::stub::{ACCOUNT, Answer, Call, Stub};
use crate::without_aws::world::{caller, configuration, ok, stack, topic};

/// What is amiss.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    NobodySubscribed,
    Unauthorized,
    Disabled,
    Refused,
    RulesUnread,
    BusRefuses,
}

fn subscriptions(fault: Fault) -> Answer {
    let arn = match fault {
        Fault::NobodySubscribed => "PendingConfirmation",
        _ => "arn:aws:sns:us-east-1:111122223333:notices:0",
    };
    ok(format!(
        "<ListSubscriptionsByTopicResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
         <ListSubscriptionsByTopicResult><Subscriptions><member><SubscriptionArn>{arn}</SubscriptionArn>\
         <Owner>{ACCOUNT}</Owner><Protocol>email</Protocol><Endpoint>on-call@example.com</Endpoint>\
         <TopicArn>t</TopicArn></member></Subscriptions></ListSubscriptionsByTopicResult>\
         </ListSubscriptionsByTopicResponse>"
    ))
}

/// A rule of ours that sends to a product, one that sends to no product, and one of somebody else.
fn bus(call: &Call, fault: Fault, sent: &AtomicBool) -> Answer {
    let arn = |resource: &str| format!("arn:aws:events:us-east-1:{ACCOUNT}:{resource}");
    let ours = json!({ "source": ["guardduty-responder"] }).to_string();
    match call.operation.as_str() {
        "PutEvents" if fault == Fault::BusRefuses => None,
        "PutEvents" => {
            sent.store(true, Ordering::Relaxed);
            ok(json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "e-1" }] }))
        }
        "ListRules" if fault == Fault::RulesUnread => None,
        "ListRules" => ok(json!({ "Rules": [
            {
                "Name": "gdr-pagerduty-Alert", "EventPattern": ours,
                "State": if fault == Fault::Disabled { "DISABLED" } else { "ENABLED" },
            },
            { "Name": "to-a-queue", "EventPattern": ours, "State": "ENABLED" },
            { "Name": "other", "EventPattern": "{\"source\":[\"aws.ec2\"]}", "State": "ENABLED" },
        ] })),
        "ListTargetsByRule" if call.body.contains("gdr-pagerduty-Alert") => {
            ok(json!({ "Targets": [{
            "Id": "pagerduty", "Arn": arn("api-destination/gdr-pagerduty-Destination/0a1b"),
            "DeadLetterConfig": { "Arn": format!("arn:aws:sqs:us-east-1:{ACCOUNT}:gdr-pagerduty-DeadLetterQueue") },
        }] }))
        }
        "ListTargetsByRule" => {
            ok(json!({ "Targets": [{ "Id": "q", "Arn": "arn:aws:sqs:us-east-1:111122223333:q" }] }))
        }
        "DescribeApiDestination" => {
            ok(json!({ "ConnectionArn": arn("connection/gdr-pagerduty-Connection/0a1b") }))
        }
        "DescribeConnection" => {
            let unauthorized = fault == Fault::Unauthorized;
            ok(
                json!({ "ConnectionState": if unauthorized { "DEAUTHORIZED" } else { "AUTHORIZED" } }),
            )
        }
        _ => None,
    }
}

fn world(fault: Fault) -> impl Fn(&Call) -> Answer {
    let sent = AtomicBool::new(false);
    move |call| match (call.service.as_str(), call.operation.as_str()) {
        ("sts", _) => caller(),
        ("cloudformation", _) => stack(),
        ("lambda", _) => configuration(&json!({
            "DRY_RUN": "true", "OWN_ACCOUNT_ID": ACCOUNT, "RESPONSE_EVENTS": "true",
            "NOTIFICATION_TOPIC_ARN": topic("notices"), "INCIDENT_TABLE": "incidents",
        })),
        ("sns", "Publish") => ok(
            "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
             <MessageId>m-1</MessageId></PublishResult></PublishResponse>",
        ),
        ("sns", _) => subscriptions(fault),
        ("events", _) => bus(call, fault, &sent),
        ("sqs", "GetQueueUrl") => {
            ok(json!({ "QueueUrl": "https://sqs/gdr-pagerduty-DeadLetterQueue" }))
        }
        ("sqs", "GetQueueAttributes") => {
            let refused = fault == Fault::Refused && sent.load(Ordering::Relaxed);
            let messages = if refused { "1" } else { "0" };
            ok(json!({ "Attributes": { "ApproximateNumberOfMessages": messages } }))
        }
        _ => None,
    }
}

fn notify_test(stub: &Stub, more: &[&str], typed: &str) -> Result<Output> {
    let command = [
        "--stack",
        "gdr",
        "--output",
        "json",
        "notify-test",
        "--wait",
        "1",
    ];
    stub.gdr(&[&command, more].concat(), typed)
}

/// Channel and outcome of each.
fn outcomes(output: &Output) -> Result<Vec<(String, String)>> {
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let channels = told["channels"].as_array().ok_or("no channels")?.iter();
    Ok(channels
        .map(|it| (text(&it["channel"]), text(&it["outcome"])))
        .collect())
}

fn sent(stub: &Stub) -> Vec<Call> {
    let calls = stub.calls().into_iter();
    calls
        .filter(|call| ["Publish", "PutEvents"].contains(&call.operation.as_str()))
        .collect()
}

#[test]
fn notify_test_sends_a_drill_through_every_channel_and_prints_each_answer() -> Result {
    let stub = Stub::start(world(Fault::None))?;
    let output = notify_test(&stub, &["--yes"], "")?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let expected = [
        ("topic", "accepted"),
        ("event bus", "accepted"),
        ("product by rule gdr-pagerduty-Alert", "accepted"),
        ("chat topic", "off"),
        ("Security Hub", "off"),
    ];
    let expected = expected.map(|(channel, outcome)| (channel.to_owned(), outcome.to_owned()));
    assert_eq!(outcomes(&output)?, expected);
    let told = String::from_utf8(output.stdout)?;
    for part in [
        "m-1",
        "e-1",
        "email on-call@example.com",
        "whether it arrived shows in the product",
    ] {
        assert!(told.contains(part), "no {part}: {told}");
    }
    let sent = sent(&stub);
    let one = |operation| sent.iter().find(|call| call.operation == operation);
    let (notice, event) = (one("Publish").ok_or("no notice")?, one("PutEvents"));
    let event = event.ok_or("no event")?;
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(notice.body.contains("Subject=%5BDRILL%5D"), "{notice:?}");
    let body: Value = serde_json::from_str(&event.body)?;
    let entry = &body["Entries"][0];
    assert_eq!(entry["DetailType"], "GuardDuty Response Drill");
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().ok_or("no detail")?)?;
    let alert = &detail["alert"];
    let marks = [
        &detail["drill"],
        &detail["status"],
        &alert["action"],
        &alert["severity"],
    ];
    assert_eq!(json!(marks), json!([true, "notified", "trigger", "info"]));
    Ok(())
}

#[test]
fn notify_test_names_each_failed_channel_and_exits_with_1() -> Result {
    for (fault, channel, outcome, why) in [
        (
            Fault::NobodySubscribed,
            "topic",
            "failed",
            "no confirmed subscription",
        ),
        (Fault::BusRefuses, "event bus", "failed", "events:PutEvents"),
        (
            Fault::Unauthorized,
            "product",
            "failed",
            "gdr-pagerduty-Connection is DEAUTHORIZED",
        ),
        (Fault::Disabled, "product", "failed", "the rule is disabled"),
        (
            Fault::Refused,
            "product",
            "failed",
            "gdr-pagerduty-DeadLetterQueue: its attributes ERROR_CODE",
        ),
        (
            Fault::RulesUnread,
            "products",
            "unknown",
            "events:ListRules",
        ),
    ] {
        let stub = Stub::start(world(fault))?;
        let output = notify_test(&stub, &["--yes"], "")?;
        assert_eq!(output.status.code(), Some(1), "{fault:?}: {output:?}");
        let found = outcomes(&output)?;
        let is_named = |(of, it): &(String, String)| of.starts_with(channel) && it == outcome;
        assert!(found.iter().any(is_named), "{fault:?}: {found:?}");
        let told = String::from_utf8(output.stdout)?;
        assert!(told.contains(why), "{fault:?}: {told}");
    }
    Ok(())
}

#[test]
fn nothing_is_sent_before_it_is_confirmed_and_a_resolve_goes_to_products_only() -> Result {
    let stub = Stub::start(world(Fault::None))?;
    let output = notify_test(&stub, &[], "n\n")?;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(sent(&stub).is_empty());
    let asked = String::from_utf8(output.stderr)?;
    for part in [
        "topic",
        "product by rule gdr-pagerduty-Alert",
        "Send? [y/N]",
    ] {
        assert!(asked.contains(part), "no {part}: {asked}");
    }

    let id = "16afba5c5c43e07c9e3e5e2e544e95df";
    let output = notify_test(&stub, &["--resolve", id], "y\n")?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let sent = sent(&stub);
    let [event] = &sent[..] else {
        panic!("{sent:?}")
    };
    let body: Value = serde_json::from_str(&event.body)?;
    let detail: Value =
        serde_json::from_str(body["Entries"][0]["Detail"].as_str().ok_or("no detail")?)?;
    assert_eq!(detail["alert"]["action"], "resolve");
    assert_eq!(detail["alert"]["key"], id);
    Ok(())
}
