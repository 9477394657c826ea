use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::json;

use super::*;

const S3: &str = "arn:aws:lambda:us-east-1:111122223333:function:gdr-s3";
const IAM: &str = "arn:aws:lambda:us-east-1:111122223333:function:gdr-iam";
const EC2: &str = "arn:aws:lambda:us-east-1:111122223333:function:gdr-ec2";
const TRIAGE: &str = "arn:aws:lambda:us-east-1:111122223333:function:gdr-triage";
const NOW: &str = "2026-01-02T12:00:00Z";

fn functions() -> Functions {
    Functions {
        known: [S3, IAM, EC2, TRIAGE].map(str::to_owned).to_vec(),
        looks_again: BTreeMap::from([("iam", IAM.to_owned()), ("ec2", EC2.to_owned())]),
        tells_security_hub: TRIAGE.to_owned(),
    }
}

fn event(time: &str) -> Value {
    json!({
        "time": time,
        "detail": { "id": "abc", "type": "Policy:S3/BucketAnonymousAccessGranted",
                    "accountId": "111122223333" },
    })
}

fn letter(body: &Value, attributes: &[(&str, &str)]) -> Letter {
    let mut message = Message::builder().body(body.to_string());
    for (name, value) in attributes {
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(*value);
        message = message.message_attributes(*name, value.build().unwrap());
    }
    let now = NOW.parse().unwrap();
    Letter::read("queue", "url", message.build(), &functions(), now)
}

fn record(function: &str) -> Value {
    json!({
        "version": "1.0",
        "timestamp": "2026-01-02T11:59:00.000Z",
        "requestContext": { "functionArn": function, "condition": "RetriesExhausted",
                            "approximateInvokeCount": 3 },
        "requestPayload": event("2026-01-02T11:50:00Z"),
        "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
        "responsePayload": { "errorType": "Retryable", "errorMessage": "s3:GetBucketAcl on b: 503" },
    })
}

#[test]
fn a_dead_letter_goes_to_the_target_of_its_rule_with_the_error_of_eventbridge() {
    let body = event("2026-01-02T11:30:00Z");
    let letter = letter(
        &body,
        &[
            ("RULE_ARN", "arn:aws:events:us-east-1:111122223333:rule/r"),
            ("TARGET_ARN", S3),
            ("ERROR_CODE", "NO_PERMISSIONS"),
            ("ERROR_MESSAGE", "not authorized"),
            ("RETRY_ATTEMPTS", "4"),
        ],
    );
    assert_eq!(letter.to, Address::Function(S3.to_owned(), body));
    assert_eq!(letter.why, "NO_PERMISSIONS: not authorized");
    assert_eq!(letter.tries, Some(5));
    assert_eq!(letter.finding_id, "abc");
    assert_eq!(letter.account_id, "111122223333");
    assert!(!letter.late);
}

#[test]
fn a_failed_event_goes_to_its_function_without_the_record_around_it() {
    let letter = letter(&record(&format!("{IAM}:$LATEST")), &[]);
    let Address::Function(function, payload) = &letter.to else {
        panic!("{letter:?}");
    };
    assert_eq!(function, IAM);
    assert_eq!(*payload, event("2026-01-02T11:50:00Z"));
    assert_eq!(
        letter.why,
        "RetriesExhausted: Retryable: s3:GetBucketAcl on b: 503"
    );
    assert_eq!(letter.tries, Some(3));
}

#[test]
fn a_look_that_was_given_up_on_goes_to_the_function_as_the_look_that_it_is() {
    let event = event("2026-01-02T11:50:00Z");
    for (category, contained_by) in [(json!(null), IAM), (json!("iam"), IAM), (json!("ec2"), EC2)] {
        let body = json!({ "recheck": 2, "category": category, "event": event });
        let letter = letter(&body, &[]);
        let Address::Function(function, payload) = &letter.to else {
            panic!("{letter:?}");
        };
        assert_eq!(function, contained_by);
        let (received, look) = recheck::received(payload).expect("a look");
        assert_eq!((received, look.number), (event.clone(), 2));
        assert_eq!(letter.finding_id, "abc");
    }
}

#[test]
fn a_failed_update_of_security_hub_goes_to_the_function_that_updates_it() {
    let body = json!({ "security_hub": {
        "finding": "arn:aws:guardduty:us-east-1:111122223333:detector/d0123/finding/abc",
        "product": "arn:aws:securityhub:us-east-1::product/aws/guardduty",
        "region": "us-east-1", "note": "guardduty-responder: contained",
    } });
    let letter = letter(&body, &[]);
    let Address::Function(function, payload) = &letter.to else {
        panic!("{letter:?}");
    };
    assert_eq!(function, TRIAGE);
    assert_eq!(payload["Records"][0]["body"], body.to_string());
    assert_eq!(letter.finding_id, "abc");
    assert!(letter.why.contains("Security Hub"), "{}", letter.why);
}

#[test]
fn nothing_is_addressed_to_a_function_that_is_not_of_the_stack() {
    for other in [
        "arn:aws:lambda:us-east-1:111122223333:function:somebody-elses",
        "arn:aws:lambda:us-east-1:111122223333:function:gdr-s3-copy",
        "arn:aws:lambda:us-east-1:444455556666:function:gdr-s3",
        "",
    ] {
        let letter = letter(&record(other), &[]);
        assert!(
            matches!(&letter.to, Address::Undeliverable(why) if why.contains("no function of the stack")),
            "{other}: {letter:?}"
        );
    }
}

#[test]
fn a_message_without_an_event_is_kept_and_shown_with_visible_control_characters() {
    for body in [
        json!(null),
        json!({}),
        json!([1]),
        json!("x"),
        json!({ "requestPayload": {} }),
    ] {
        let letter = letter(&body, &[]);
        assert!(matches!(letter.to, Address::Undeliverable(_)), "{letter:?}");
    }
    let mut hostile = record(S3);
    hostile["requestPayload"]["detail"]["id"] = json!("a\u{1b}[2Jb\nc");
    hostile["responsePayload"]["errorMessage"] = json!("\u{202e}x");
    let letter = letter(&hostile, &[]);
    let shown = format!("{}{}", letter.finding_id, letter.why);
    assert!(!shown.contains(['\u{1b}', '\n', '\u{202e}']), "{shown:?}");
}

#[test]
fn a_message_is_late_an_hour_after_its_event() {
    for (time, late) in [
        ("2026-01-02T11:00:00Z", false),
        ("2026-01-02T10:59:59Z", true),
        ("2025-12-31T00:00:00Z", true),
    ] {
        let letter = letter(&event(time), &[("TARGET_ARN", S3)]);
        assert_eq!(letter.late, late, "{time}");
    }
}
