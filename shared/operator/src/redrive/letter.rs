//! The messages of the queues: events that did not reach a function, or on which a function failed.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use jiff::{SignedDuration, Timestamp};
use remediation::finding::printable;
use remediation::notify::security_hub;
use remediation::recheck;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The age from which a message is sent only with `--late`: EventBridge and Lambda try for as long.
const LATE: SignedDuration = SignedDuration::from_hours(1);

/// A message, and what it says.
#[derive(Debug, Serialize)]
pub(super) struct Letter {
    pub(super) queue: &'static str,
    pub(super) finding_id: String,
    pub(super) finding_type: String,
    pub(super) account_id: String,
    /// When the event was.
    pub(super) at: Timestamp,
    /// It is older than an hour.
    pub(super) late: bool,
    /// How often it was tried.
    pub(super) tries: Option<u64>,
    /// Why it is in the queue.
    pub(super) why: String,
    /// The function that gets it.
    #[serde(serialize_with = "function")]
    pub(super) to: Address,
    #[serde(skip)]
    pub(super) message: Held,
}

/// A message that nobody else sees for the moment.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) queue_url: String,
    pub(super) id: String,
    pub(super) receipt: String,
}

/// The receiver of a letter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Address {
    /// To the function of this ARN, which gets the payload.
    Function(String, Value),
    /// Nowhere, for this reason.
    Undeliverable(String),
}

fn function<S: Serializer>(to: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    match to {
        Address::Function(arn, _) => serializer.serialize_some(arn),
        Address::Undeliverable(_) => serializer.serialize_none(),
    }
}

/// The content of a message, as far as it is known.
struct Content<'a> {
    event: &'a Value,
    /// The finding, where there is no event to tell it.
    finding: Option<String>,
    payload: Option<Value>,
    function: Option<&'a str>,
    at: Option<&'a Value>,
    tries: Option<u64>,
    why: String,
}

/// The functions that anything may be sent to.
pub(super) struct Functions {
    /// Their ARNs.
    pub(super) known: Vec<String>,
    /// Those that look again after a containment, by what they contain.
    pub(super) looks_again: BTreeMap<&'static str, String>,
    /// The one that updates Security Hub.
    pub(super) tells_security_hub: String,
}

impl Letter {
    /// Reads a message of a queue.
    pub(super) fn read(
        queue: &'static str,
        queue_url: &str,
        message: Message,
        functions: &Functions,
        now: Timestamp,
    ) -> Self {
        let attributes = attributes(&message);
        let body = message.body.as_deref().unwrap_or_default();
        let parsed: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        let content = read(&parsed, body, &attributes, functions);
        let detail = content.event.get("detail").unwrap_or(content.event);
        let text = |member: &str| printable(detail[member].as_str().unwrap_or_default());
        let time = |value: &Value| value.as_str()?.parse().ok();
        let at = [&content.event["time"], &detail["updatedAt"]]
            .into_iter()
            .chain(content.at)
            .find_map(time)
            .or_else(|| sent_at(&message))
            .unwrap_or(now);
        Self {
            queue,
            finding_id: match &content.finding {
                Some(finding) => printable(finding),
                None => text("id"),
            },
            finding_type: text("type"),
            account_id: text("accountId"),
            at,
            late: now.duration_since(at) > LATE,
            tries: content.tries,
            why: printable(&content.why),
            to: address(&content, functions),
            message: Held {
                queue_url: queue_url.to_owned(),
                id: message.message_id.unwrap_or_default(),
                receipt: message.receipt_handle.unwrap_or_default(),
            },
        }
    }
}

/// The attributes that EventBridge gives,
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>.
fn attributes(message: &Message) -> BTreeMap<&str, &str> {
    let attributes = message.message_attributes.iter().flatten();
    attributes
        .filter_map(|(name, value)| Some((name.as_str(), value.string_value()?)))
        .collect()
}

/// Milliseconds of the epoch.
fn sent_at(message: &Message) -> Option<Timestamp> {
    let attributes = message.attributes.as_ref()?;
    let sent = attributes.get(&MessageSystemAttributeName::SentTimestamp)?;
    Timestamp::from_millisecond(sent.parse().ok()?).ok()
}

fn read<'a>(
    parsed: &'a Value,
    body: &str,
    attributes: &BTreeMap<&str, &'a str>,
    functions: &'a Functions,
) -> Content<'a> {
    if let Some(&target) = attributes.get("TARGET_ARN") {
        let told = ["ERROR_CODE", "ERROR_MESSAGE", "EXHAUSTED_RETRY_CONDITION"];
        let told = told.iter().filter_map(|name| attributes.get(name).copied());
        return Content {
            event: parsed,
            finding: None,
            payload: (!parsed.is_null()).then(|| parsed.clone()),
            function: Some(target),
            at: None,
            tries: attributes
                .get("RETRY_ATTEMPTS")
                .and_then(|retries| retries.parse().ok())
                .map(|retries: u64| retries + 1),
            why: told.collect::<Vec<_>>().join(": "),
        };
    }
    if let Some((category, payload)) = recheck::handed_over(body) {
        return Content {
            event: &parsed["event"],
            finding: None,
            payload: Some(payload),
            function: functions
                .looks_again
                .get(category.as_str())
                .map(String::as_str),
            at: None,
            tries: None,
            why: if parsed["recheck"] == 0 {
                "the follow-up of postponed steps failed each time".to_owned()
            } else {
                "the recheck of a containment failed each time".to_owned()
            },
        };
    }
    if let Some((arn, payload)) = security_hub::handed_over(body) {
        return Content {
            event: &Value::Null,
            finding: arn.rsplit('/').next().map(str::to_owned),
            payload: Some(payload),
            function: Some(&functions.tells_security_hub),
            at: None,
            tries: None,
            why: "Security Hub could not be updated in an hour".to_owned(),
        };
    }
    let context = &parsed["requestContext"];
    Content {
        event: &parsed["requestPayload"],
        finding: None,
        payload: parsed.get("requestPayload").cloned(),
        function: context["functionArn"].as_str(),
        at: Some(&parsed["timestamp"]),
        tries: context["approximateInvokeCount"].as_u64(),
        why: failure(parsed),
    }
}

/// Why a function failed, of the record that Lambda sends,
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>.
fn failure(record: &Value) -> String {
    let payload = &record["responsePayload"];
    let told = [
        &record["requestContext"]["condition"],
        &payload["errorType"],
        &payload["errorMessage"],
    ];
    let told: Vec<_> = told.into_iter().filter_map(Value::as_str).collect();
    if told.is_empty() {
        "the record gives no reason".to_owned()
    } else {
        told.join(": ")
    }
}

/// The function of a message. Somebody who may write to a queue must not invoke other functions through the
/// operator.
fn address(content: &Content<'_>, functions: &Functions) -> Address {
    let (Some(payload), Some(function)) = (&content.payload, content.function) else {
        return Address::Undeliverable(
            "the message is no event of EventBridge with TARGET_ARN, no record of Lambda with requestPayload, \
             no recheck, and no update of Security Hub"
                .to_owned(),
        );
    };
    // A record names the version too: `…:function:name:$LATEST`.
    let known = functions.known.iter().find(|known| {
        let rest = function.strip_prefix(known.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    match known {
        Some(known) => Address::Function(known.clone(), payload.clone()),
        None => Address::Undeliverable(format!(
            "the message is for {}, which is no function of the stack",
            printable(function)
        )),
    }
}

#[cfg(test)]
mod tests;
