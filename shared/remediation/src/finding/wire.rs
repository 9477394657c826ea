//! The members of a finding that the responder reads, as they come over the wire.
//!
//! Lenient where AWS has been seen to vary (a number as a string, `null` for an absent section or
//! an empty list), strict where a wrong type would change a decision. Unknown members are ignored.
//! Member names: the GuardDuty `Finding` shape,
//! <https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html>.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) finding_type: String,
    pub(super) account_id: String,
    pub(super) region: String,
    #[serde(deserialize_with = "number")]
    pub(super) severity: f64,
    #[serde(default)]
    pub(super) arn: Option<String>,
    #[serde(default)]
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) updated_at: Option<String>,
    pub(super) resource: Resource,
    #[serde(default, deserialize_with = "absent_when_null")]
    pub(super) service: Service,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    #[serde(default)]
    pub(super) resource_type: Option<String>,
    #[serde(default)]
    pub(super) access_key_details: Option<AccessKeyDetails>,
    #[serde(default, deserialize_with = "absent_when_null")]
    pub(super) s3_bucket_details: Vec<S3BucketDetail>,
    #[serde(default)]
    pub(super) instance_details: Option<InstanceDetails>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessKeyDetails {
    #[serde(default)]
    pub(super) access_key_id: Option<String>,
    #[serde(default)]
    pub(super) principal_id: Option<String>,
    #[serde(default)]
    pub(super) user_name: Option<String>,
    #[serde(default)]
    pub(super) user_type: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct S3BucketDetail {
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Only informs, so whatever is there is taken.
    #[serde(default)]
    pub(super) tags: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceDetails {
    #[serde(default)]
    pub(super) instance_id: Option<String>,
    /// Only informs, so whatever is there is taken.
    #[serde(default)]
    pub(super) tags: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    #[serde(default, deserialize_with = "truth")]
    pub(super) archived: bool,
    #[serde(default)]
    pub(super) resource_role: Option<String>,
    #[serde(default)]
    pub(super) event_first_seen: Option<String>,
    #[serde(default)]
    pub(super) event_last_seen: Option<String>,
    #[serde(default)]
    pub(super) additional_info: Value,
    #[serde(default)]
    pub(super) action: Option<Action>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Action {
    #[serde(default)]
    pub(super) action_type: Option<String>,
    #[serde(default)]
    pub(super) aws_api_call_action: Option<ApiCall>,
    #[serde(default)]
    pub(super) network_connection_action: Option<NetworkConnection>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiCall {
    #[serde(default)]
    pub(super) api: Option<String>,
    #[serde(default)]
    pub(super) remote_ip_details: Option<RemoteIp>,
    #[serde(default)]
    pub(super) remote_account_details: Option<RemoteAccount>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkConnection {
    #[serde(default)]
    pub(super) connection_direction: Option<String>,
    #[serde(default)]
    pub(super) remote_ip_details: Option<RemoteIp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemoteIp {
    #[serde(default)]
    pub(super) ip_address_v4: Option<String>,
    #[serde(default)]
    pub(super) ip_address_v6: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemoteAccount {
    #[serde(default)]
    pub(super) account_id: Option<String>,
}

fn absent_when_null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| de::Error::custom(format!("expected a number, found {}", kind(&value))))
}

fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    as_truth(&value)
        .ok_or_else(|| de::Error::custom(format!("expected true or false, found {}", kind(&value))))
}

/// `true`, `"true"` and their like; `null` counts as false. `None`: neither.
pub(super) fn as_truth(value: &Value) -> Option<bool> {
    match value {
        Value::Null => Some(false),
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The JSON type of a value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
