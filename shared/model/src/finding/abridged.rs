//! A very long event, cut down to what the responder reads of it.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// The members that a playbook reads again for a recheck or a release: members of the event, each by its path; those of
/// every entry of a list.
const READ_AGAIN: &[&str] = &[
    "detail-type",
    "source",
    "account",
    "region",
    "time",
    "detail.accountId",
    "detail.arn",
    "detail.createdAt",
    "detail.handedOverTo",
    "detail.id",
    "detail.partition",
    "detail.region",
    "detail.resource.accessKeyDetails.accessKeyId",
    "detail.resource.accessKeyDetails.principalId",
    "detail.resource.accessKeyDetails.userName",
    "detail.resource.accessKeyDetails.userType",
    "detail.resource.instanceDetails.availabilityZone",
    "detail.resource.instanceDetails.iamInstanceProfile.arn",
    "detail.resource.instanceDetails.instanceId",
    "detail.resource.lambdaDetails.functionArn",
    "detail.resource.lambdaDetails.functionName",
    "detail.resource.lambdaDetails.role",
    "detail.resource.resourceType",
    "detail.resource.s3BucketDetails.name",
    "detail.resource.s3BucketDetails.s3ObjectDetails.eTag",
    "detail.resource.s3BucketDetails.s3ObjectDetails.key",
    "detail.resource.s3BucketDetails.s3ObjectDetails.versionId",
    "detail.schemaVersion",
    "detail.service.action.actionType",
    "detail.service.action.awsApiCallAction.api",
    "detail.service.action.awsApiCallAction.remoteAccountDetails.accountId",
    "detail.service.action.awsApiCallAction.remoteAccountDetails.affiliated",
    "detail.service.action.awsApiCallAction.remoteAccountDetails.awsServiceName",
    "detail.service.action.awsApiCallAction.remoteIpDetails.ipAddressV4",
    "detail.service.action.awsApiCallAction.remoteIpDetails.ipAddressV6",
    "detail.service.action.networkConnectionAction.connectionDirection",
    "detail.service.action.networkConnectionAction.remoteIpDetails.ipAddressV4",
    "detail.service.action.networkConnectionAction.remoteIpDetails.ipAddressV6",
    "detail.service.additionalInfo.sample",
    "detail.service.archived",
    "detail.service.eventFirstSeen",
    "detail.service.eventLastSeen",
    "detail.service.resourceRole",
    "detail.severity",
    "detail.title",
    "detail.type",
    "detail.updatedAt",
];

/// Characters of a text. Ids and names of AWS have at most 300.
const LONGEST: usize = 500;

/// `event`, if it has at most `limit` bytes as JSON. Else what is read of it, with the member
/// `abridged` that says so, or only that if even this is too long.
pub fn abridged(event: &Value, limit: usize) -> Cow<'_, Value> {
    let bytes = event.to_string().len();
    if bytes <= limit {
        return Cow::Borrowed(event);
    }
    let bare = event.get("detail").is_none();
    let paths: Vec<_> = READ_AGAIN
        .iter()
        .filter_map(|path| match path.strip_prefix("detail.") {
            Some(path) if bare => Some(path),
            _ => (!bare).then_some(*path),
        })
        .collect();
    let mark = json!(format!("it had {bytes} bytes; GuardDuty has all of it"));
    let mut short = only(event, &paths);
    short["abridged"] = mark.clone();
    if short.to_string().len() > limit {
        short = json!({ "abridged": mark });
    }
    Cow::Owned(short)
}

/// The members of `value` that `paths` lead to.
fn only<'a>(value: &Value, paths: &[&'a str]) -> Value {
    match value {
        Value::Array(entries) => entries.iter().map(|entry| only(entry, paths)).collect(),
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, member) in members {
                let further = |path: &&'a str| path.strip_prefix(name.as_str())?.strip_prefix('.');
                let below: Vec<_> = paths.iter().filter_map(further).collect();
                if !below.is_empty() || paths.contains(&name.as_str()) {
                    kept.insert(name.clone(), only(member, &below));
                }
            }
            Value::Object(kept)
        }
        Value::String(text) => text.chars().take(LONGEST).collect::<String>().into(),
        scalar => scalar.clone(),
    }
}
