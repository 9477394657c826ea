//! Which calls a function sent, from CloudTrail and, for EC2, from moto's recorder.

use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{LocalAws, Result, http};

/// How many events one answer of the trail holds; ministack has no next page.
const PAGE: usize = 50;

/// A call as `service:Action`.
pub type Call = String;

/// The calls that `function` sent, reads and writes; of many, the newest.
pub async fn calls(aws: &LocalAws, function: &str) -> Result<Vec<Call>> {
    sent(aws, function, false, None).await
}

/// The calls that `function` sent and that changed something of the customer's; of many, the newest.
pub async fn mutating_calls(aws: &LocalAws, function: &str) -> Result<Vec<Call>> {
    let calls = sent(aws, function, true, None).await?.into_iter();
    Ok(calls.filter(|call| mutates(call)).collect())
}

/// The same of all calls since a time. The function is known to have sent `witness` in that time, so that the
/// emulators must have recorded it.
///
/// # Errors
/// If `witness` was not recorded, or one answer of the trail may not hold all calls.
pub async fn mutating_calls_since(
    aws: &LocalAws,
    function: &str,
    since: Timestamp,
    witness: &str,
) -> Result<Vec<Call>> {
    let calls = sent(aws, function, true, Some(since)).await?;
    if !calls.iter().any(|call| call == witness) {
        return Err(format!("no {witness} of {function} was recorded: {calls:?}").into());
    }
    Ok(calls.into_iter().filter(|call| mutates(call)).collect())
}

fn mutates(call: &str) -> bool {
    let action = call.split_once(':').map_or("", |(_, action)| action);
    // A report on services last accessed changes nothing either.
    let read = [
        "Get", "List", "Describe", "Head", "Simulate", "Lookup", "Generate",
    ]
    .iter()
    .any(|prefix| action.starts_with(prefix));
    // The notices, the record and the reminder are the responder's own.
    let own = [
        "dynamodb:UpdateItem",
        "events:PutEvents",
        "sns:Publish",
        "sqs:SendMessage",
    ];
    !read && !own.contains(&call)
}

async fn sent(
    aws: &LocalAws,
    function: &str,
    writes_only: bool,
    since: Option<Timestamp>,
) -> Result<Vec<Call>> {
    let lambda = aws_sdk_lambda::Client::new(&aws.root());
    let configuration = lambda
        .get_function_configuration()
        .function_name(function)
        .send()
        .await?;
    let key = session_key(
        configuration.function_arn().unwrap_or_default(),
        configuration.role().unwrap_or_default(),
    );
    let mut calls = trail(aws, &key, writes_only, since).await?;
    calls.extend(moto_calls(aws, &key).await?);
    Ok(calls)
}

/// The access key that ministack gives to a function: it has no API that tells, but derives the key
/// from these two names.
fn session_key(function_arn: &str, role_arn: &str) -> String {
    let digest = Sha256::digest(format!("{function_arn}:{role_arn}"));
    let hex: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!("ASIA{hex}")
}

/// Where all calls since a time are wanted, an answer that may not hold all is an error.
async fn trail(
    aws: &LocalAws,
    key: &str,
    writes_only: bool,
    since: Option<Timestamp>,
) -> Result<Vec<Call>> {
    let attribute = |name, value: &str| {
        LookupAttribute::builder()
            .attribute_key(name)
            .attribute_value(value)
            .build()
    };
    // Reads must not crowd out writes.
    let only = writes_only
        .then(|| attribute(LookupAttributeKey::ReadOnly, "false"))
        .transpose()?;
    let mut attributes = vec![attribute(LookupAttributeKey::AccessKeyId, key)?];
    attributes.extend(only);
    let found = aws_sdk_cloudtrail::Client::new(&aws.root())
        .lookup_events()
        .set_lookup_attributes(Some(attributes))
        .set_start_time(since.map(|since| DateTime::from_secs(since.as_second())))
        .send()
        .await?;
    if since.is_some() && found.events().len() >= PAGE {
        return Err(format!("{PAGE} calls or more: the trail may have more than it shows").into());
    }
    found.events().iter().map(call).collect()
}

fn call(event: &Event) -> Result<Call> {
    let source = event.event_source().unwrap_or_default();
    let service = source.split('.').next().unwrap_or_default();
    let record: Value = serde_json::from_str(event.cloud_trail_event().unwrap_or("{}"))?;
    // ministack names no event of IAM, SNS and STS, whose requests name the action in their body.
    let action = record["requestParameters"]["Action"]
        .as_str()
        .or(event.event_name());
    Ok(format!("{service}:{}", action.unwrap_or_default()))
}

async fn moto_calls(aws: &LocalAws, key: &str) -> Result<Vec<Call>> {
    let recording = http::get(&format!(
        "{}/moto-api/recorder/download-recording",
        aws.ec2_endpoint
    ))
    .await?;
    let credential = format!("Credential={key}/");
    let mut calls = Vec::new();
    for line in String::from_utf8(recording.body)?.lines() {
        let request: Value = serde_json::from_str(line)?;
        let signed_by = request["headers"]["Authorization"]
            .as_str()
            .unwrap_or_default();
        let Some((_, scope)) = signed_by.split_once(&credential) else {
            continue;
        };
        // The scope is the date, the Region and the service.
        let service = scope.split('/').nth(2).unwrap_or_default();
        let body = aws_smithy_types::base64::decode(request["body"].as_str().unwrap_or_default())?;
        let body = String::from_utf8(body)?;
        let action = body
            .split('&')
            .find_map(|pair| pair.strip_prefix("Action="));
        let action = action.ok_or("a request without an action")?;
        calls.push(format!("{service}:{action}"));
    }
    Ok(calls)
}
