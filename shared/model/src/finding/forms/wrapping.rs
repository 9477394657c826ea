//! The wrappings of findings: lists, and the records of services that relay them.
//!
//! A command line reads a finding in whatever it was kept in. A function does not: it takes what EventBridge
//! hands to it, and refuses the rest by its name.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// How many wrappings may be within each other: a list of records of SQS with messages of SNS has four.
const DEEPEST: u8 = 6;

/// The members that hold a list of findings, or of what findings are wrapped in: the answer of
/// `GetFindings`; the event that Lambda gets from SNS or SQS; the answer of `ReceiveMessage`; the request of
/// `PutEvents`; the answer of CloudWatch Logs.
const LISTS: [&str; 7] = [
    "Findings",
    "findings",
    "Records",
    "Messages",
    "Entries",
    "events",
    "logEvents",
];

/// The wrappings that hold one finding as JSON text: the members on the way to it, and the name of the whole.
const TEXTS: [(&[&str], &str); 7] = [
    (&["Sns", "Message"], "a record of Amazon SNS"),
    // The notification by itself, as a queue or an HTTP endpoint gets it.
    (&["Message"], "a notification of Amazon SNS"),
    // As Lambda gets it.
    (&["body"], "a record of Amazon SQS"),
    // As ReceiveMessage shows it.
    (&["Body"], "a message of Amazon SQS"),
    (&["Detail"], "an entry of PutEvents"),
    (&["message"], "an event of CloudWatch Logs"),
    (&["detail"], "an event whose detail is text"),
];

/// The findings in a document: each of a list, also within each other; each in a record of SNS or SQS, an
/// entry of `PutEvents` or a line of a log; else the document itself.
pub fn split(document: Value) -> Vec<Value> {
    opened(document, DEEPEST)
}

fn opened(document: Value, deepest: u8) -> Vec<Value> {
    let Some(deeper) = deepest.checked_sub(1) else {
        return vec![document];
    };
    let each = |values: Vec<Value>| {
        let values = values.into_iter();
        values.flat_map(|value| opened(value, deeper)).collect()
    };
    match document {
        Value::Array(values) => each(values),
        Value::Object(mut members) => {
            if let Some(values) = list(&mut members) {
                return each(values);
            }
            match unwrapped(&members) {
                Some((within, _)) => opened(within, deeper),
                None => vec![Value::Object(members)],
            }
        }
        other => vec![other],
    }
}

/// The list in a document that is one. CloudTrail's files have `Records` too, which are no wrappings.
fn list(members: &mut Map<String, Value>) -> Option<Vec<Value>> {
    let name = LISTS.into_iter().find(|name| {
        let values = members.get(*name).and_then(Value::as_array);
        let wraps = |value: &Value| value.as_object().is_some_and(|it| unwrapped(it).is_some());
        let of_findings = name.eq_ignore_ascii_case("findings");
        values.is_some_and(|values| of_findings || values.iter().any(wraps))
    })?;
    match members.remove(name) {
        Some(Value::Array(values)) => Some(values),
        _ => None,
    }
}

/// The content of a wrapping, and the name of the wrapping. `None`: it is none, or holds no JSON object.
fn unwrapped(members: &Map<String, Value>) -> Option<(Value, &'static str)> {
    TEXTS.iter().find_map(|(path, called)| {
        let (last, before) = path.split_last()?;
        let mut inner = members;
        for name in before {
            inner = inner.get(*name)?.as_object()?;
        }
        let text = inner.get(*last)?.as_str()?;
        let within: Value = serde_json::from_str(text).ok().filter(Value::is_object)?;
        Some((in_place(members, last, within), *called))
    })
}

/// The content of the text: the event, where only its detail was text.
fn in_place(members: &Map<String, Value>, name: &str, within: Value) -> Value {
    const OF_PUT_EVENTS: [(&str, &str); 3] = [
        ("Source", "source"),
        ("DetailType", "detail-type"),
        ("Time", "time"),
    ];
    match name {
        "detail" => {
            let mut event = members.clone();
            event.insert(name.to_owned(), within);
            Value::Object(event)
        }
        "Detail" => {
            let mut event = Map::new();
            for (there, here) in OF_PUT_EVENTS {
                if let Some(value) = members.get(there) {
                    event.insert(here.to_owned(), value.clone());
                }
            }
            event.insert("detail".to_owned(), within);
            Value::Object(event)
        }
        _ => within,
    }
}

/// Refuses what a finding is wrapped in, by its name.
///
/// # Errors
/// [`Error::Malformed`] with the path of the member that holds the finding.
pub(super) fn refuse(members: &Map<String, Value>) -> Result<()> {
    let (at, first) = LISTS
        .iter()
        .find_map(|name| {
            let first = members.get(*name)?.as_array()?.first()?.as_object()?;
            Some((format!("{name}[0]."), first))
        })
        .unwrap_or((String::new(), members));
    let found = TEXTS.iter().find_map(|(path, called)| {
        let mut inner: Option<&Value> = None;
        for name in *path {
            inner = match inner {
                None => first.get(*name),
                Some(value) => value.get(*name),
            };
            inner?;
        }
        let text = inner?.as_str()?;
        let known = first.contains_key("Sns") || is_of_aws(first);
        let holds = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
        (holds || known).then(|| (format!("{at}{}", path.join(".")), *called))
    });
    match found {
        Some((member, called)) => Err(Error::malformed(
            member,
            format!(
                "this is {called}, whose content only `gdr explain` reads: a function takes the event \
                 itself, from an EventBridge rule"
            ),
        )),
        None => Ok(()),
    }
}

/// True for a record or notification that names the service that it is of.
fn is_of_aws(members: &Map<String, Value>) -> bool {
    let is = |name: &str, value: &str| members.get(name).is_some_and(|it| it == value);
    is("eventSource", "aws:sqs") || is("EventSource", "aws:sns") || is("Type", "Notification")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;
    use crate::fixtures::{event, user_detail};
    use serde_json::json;

    fn sns(message: &Value) -> Value {
        json!({ "EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {
            "Type": "Notification", "Subject": null, "Message": message.to_string() } })
    }

    fn sqs(body: &Value) -> Value {
        json!({ "eventSource": "aws:sqs", "messageId": "1", "body": body.to_string() })
    }

    fn notification(message: &Value) -> Value {
        json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:111122223333:findings",
            "Message": message.to_string() })
    }

    #[test]
    fn a_finding_is_read_out_of_whatever_it_was_handed_on_in() {
        let event = event(user_detail("mallory"));
        let bare = event["detail"].clone();
        let mut replayed = event.clone();
        replayed["replay-name"] = json!("yesterday");
        let mut text_detail = event.clone();
        text_detail["detail"] = json!(bare.to_string());
        let entry = json!({ "Source": "aws.guardduty", "DetailType": "GuardDuty Finding",
            "Time": "2026-03-04T05:06:07Z", "Detail": bare.to_string() });
        for wrapped in [
            json!({ "Records": [sns(&event)] }),
            json!({ "Records": [sqs(&event)] }),
            json!({ "Records": [sqs(&notification(&event))] }),
            json!({ "Messages": [{ "MessageId": "1", "Body": notification(&event).to_string() }] }),
            json!({ "Messages": [{ "MessageId": "1", "Body": event.to_string() }] }),
            sns(&bare),
            notification(&event),
            notification(&bare),
            replayed,
            text_detail,
            json!({ "Entries": [entry] }),
            json!({ "events": [{ "timestamp": 1, "message": event.to_string() }] }),
            json!([{ "Records": [sns(&json!({ "Findings": [bare] }))] }]),
        ] {
            let found = split(wrapped.clone());
            assert_eq!(found.len(), 1, "{wrapped}");
            let finding = Finding::read(&found[0]).expect("a finding");
            assert_eq!(finding.account_id, "111122223333");
            assert_eq!(finding.finding_type.resource(), "IAMUser");
        }
        let two = json!({ "Records": [sns(&event), sns(&event)] });
        assert_eq!(split(two).len(), 2);
    }

    #[test]
    fn an_envelope_without_a_finding_stays_whole() {
        for document in [
            json!({ "Records": [{ "eventName": "ListBuckets" }, { "eventName": "GetUser" }] }),
            json!({ "Message": "a text" }),
            json!({ "body": "[1]" }),
            json!({ "detail": "x" }),
        ] {
            assert_eq!(split(document.clone()), [document]);
        }
        let mut deep = json!({ "id": "x" });
        for _ in 0..20 {
            deep = notification(&deep);
        }
        assert_eq!(split(deep).len(), 1);
    }

    #[test]
    fn a_function_refuses_a_wrapping_by_its_name() {
        let event = event(user_detail("mallory"));
        for (wrapped, member, called) in [
            (
                json!({ "Records": [sns(&event)] }),
                "`Records[0].Sns.Message`",
                "a record of Amazon SNS",
            ),
            (
                json!({ "Records": [sqs(&event)] }),
                "`Records[0].body`",
                "a record of Amazon SQS",
            ),
            (
                json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Message": "hello" } }] }),
                "`Records[0].Sns.Message`",
                "a record of Amazon SNS",
            ),
            (
                notification(&event),
                "`Message`",
                "a notification of Amazon SNS",
            ),
        ] {
            let problem = Finding::parse(&wrapped).expect_err("no event").to_string();
            assert!(problem.contains(member), "{problem}");
            assert!(problem.contains(called), "{problem}");
        }
    }
}
