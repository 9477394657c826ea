//! The members of a finding that the responder reads, as they come over the wire.
//!
//! Lenient where AWS has been seen to vary (a number as a string, `null` for an absent section or an empty list).
//! Strict where a wrong type would change a decision. Unknown members are ignored. Text that only informs is made
//! [printable](super::printable) here, so that none of it goes further as it came; ids are kept as they came, to be
//! held against their grammar. Member names: the GuardDuty `Finding` shape,
//! <https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html>.

mod lenient;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

pub(super) use lenient::{Object, kind};
use lenient::{
    account, count, embedded, flag, id, instant, list, number, object, optional, section, shown,
    truth,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) finding_type: String,
    /// `None`: the envelope may say it.
    #[serde(default, deserialize_with = "account")]
    pub(super) account_id: Option<String>,
    /// `None`: the envelope may say it.
    #[serde(default)]
    pub(super) region: Option<String>,
    #[serde(deserialize_with = "number")]
    pub(super) severity: f64,
    #[serde(default, deserialize_with = "shown")]
    pub(super) arn: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) title: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) description: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) custom_detection_rule_name: Option<String>,
    #[serde(default, deserialize_with = "instant")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "instant")]
    pub(super) updated_at: Option<Timestamp>,
    #[serde(deserialize_with = "object")]
    pub(super) resource: Resource,
    #[serde(default, deserialize_with = "section")]
    pub(super) service: Service,
    /// An envelope has it, and a detail never.
    #[serde(default)]
    pub(super) detail: Option<IgnoredAny>,
    /// Not GuardDuty's: see [`super::Finding::handed_over_to`].
    #[serde(default)]
    pub(super) handed_over_to: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    #[serde(default, deserialize_with = "shown")]
    pub(super) resource_type: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) access_key_details: Option<AccessKeyDetails>,
    #[serde(default, deserialize_with = "list")]
    pub(super) s3_bucket_details: Vec<S3BucketDetail>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) instance_details: Option<InstanceDetails>,
    #[serde(default, deserialize_with = "section")]
    pub(super) ecs_cluster_details: EcsCluster,
    #[serde(default, deserialize_with = "optional")]
    pub(super) lambda_details: Option<LambdaDetails>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessKeyDetails {
    #[serde(default, deserialize_with = "id")]
    pub(super) access_key_id: Option<String>,
    #[serde(default, deserialize_with = "id")]
    pub(super) principal_id: Option<String>,
    #[serde(default, deserialize_with = "id")]
    pub(super) user_name: Option<String>,
    #[serde(default, deserialize_with = "id")]
    pub(super) user_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EcsCluster {
    #[serde(default, deserialize_with = "shown")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "section")]
    pub(super) task_details: EcsTask,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct EcsTask {
    #[serde(default, deserialize_with = "shown")]
    pub(super) arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct S3BucketDetail {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "shown")]
    pub(super) role: Option<String>,
    #[serde(default, deserialize_with = "instant")]
    pub(super) created_at: Option<Timestamp>,
    /// Only informs, so whatever is there is taken.
    #[serde(default)]
    pub(super) tags: Value,
    #[serde(default, deserialize_with = "section")]
    pub(super) public_access: PublicAccess,
    #[serde(default, deserialize_with = "list")]
    pub(super) s3_object_details: Vec<S3ObjectDetail>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct S3ObjectDetail {
    #[serde(default, deserialize_with = "id")]
    pub(super) key: Option<String>,
    #[serde(default, deserialize_with = "id")]
    pub(super) e_tag: Option<String>,
    #[serde(default, deserialize_with = "id")]
    pub(super) version_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublicAccess {
    #[serde(default, deserialize_with = "shown")]
    pub(super) effective_permission: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceDetails {
    #[serde(default)]
    pub(super) instance_id: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) availability_zone: Option<String>,
    /// Only informs, so whatever is there is taken.
    #[serde(default)]
    pub(super) tags: Value,
    #[serde(default, deserialize_with = "section")]
    pub(super) iam_instance_profile: InstanceProfile,
    #[serde(default, deserialize_with = "list")]
    pub(super) network_interfaces: Vec<NetworkInterface>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) outpost_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LambdaDetails {
    #[serde(default)]
    pub(super) function_name: Option<String>,
    #[serde(default)]
    pub(super) function_arn: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) function_version: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) role: Option<String>,
    /// Only informs, so whatever is there is taken.
    #[serde(default)]
    pub(super) tags: Value,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct InstanceProfile {
    #[serde(default, deserialize_with = "shown")]
    pub(super) arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkInterface {
    #[serde(default, deserialize_with = "shown")]
    pub(super) network_interface_id: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) private_ip_address: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) public_ip: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub(super) security_groups: Vec<SecurityGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecurityGroup {
    #[serde(default, deserialize_with = "shown")]
    pub(super) group_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    #[serde(default, deserialize_with = "truth")]
    pub(super) archived: bool,
    #[serde(default, deserialize_with = "count")]
    pub(super) count: Option<u64>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) resource_role: Option<String>,
    #[serde(default, deserialize_with = "instant")]
    pub(super) event_first_seen: Option<Timestamp>,
    #[serde(default, deserialize_with = "instant")]
    pub(super) event_last_seen: Option<Timestamp>,
    #[serde(default, deserialize_with = "section")]
    pub(super) additional_info: AdditionalInfo,
    #[serde(default, deserialize_with = "section")]
    pub(super) action: Action,
    #[serde(default, deserialize_with = "section")]
    pub(super) runtime_details: Runtime,
    /// Read where it is asked for: only attack sequences have what the responder reads of it.
    #[serde(default)]
    pub(super) detection: Value,
}

/// The observations of Runtime Monitoring's agent. All of it only informs.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Runtime {
    #[serde(default, deserialize_with = "section")]
    pub(super) process: Process,
    #[serde(default, deserialize_with = "section")]
    pub(super) context: RuntimeContext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    #[serde(default, deserialize_with = "shown")]
    pub(super) executable_path: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) user: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuntimeContext {
    #[serde(default, deserialize_with = "shown")]
    pub(super) file_operation: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) file_path: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdditionalInfo {
    #[serde(default, deserialize_with = "flag")]
    pub(super) sample: Option<bool>,
    #[serde(default, deserialize_with = "embedded")]
    pub(super) value: AdditionalValue,
    /// As in [`AdditionalValue`]: findings have been sent with it in either place.
    #[serde(default)]
    pub(super) profiled_behavior: Value,
    /// As `profiled_behavior`.
    #[serde(default)]
    pub(super) unusual_behavior: Value,
}

/// The content of the JSON text in `additionalInfo.value`. It is JSON once, not again inside.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdditionalValue {
    #[serde(default, deserialize_with = "flag")]
    pub(super) sample: Option<bool>,
    /// `{"fullUserAgent": …}`; only informs, so whatever is there is taken.
    #[serde(default)]
    pub(super) user_agent: Value,
    /// The behavior that the anomaly model has seen before. Read where it is asked for.
    #[serde(default)]
    pub(super) profiled_behavior: Value,
    /// The behavior that the anomaly model has not seen before. Read where it is asked for.
    #[serde(default)]
    pub(super) unusual_behavior: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Action {
    #[serde(default, deserialize_with = "shown")]
    pub(super) action_type: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) aws_api_call_action: Option<AwsApiCall>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) network_connection_action: Option<NetworkConnection>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) port_probe_action: Option<PortProbe>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) kubernetes_api_call_action: Option<OtherEnd>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) rds_login_attempt_action: Option<OtherEnd>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AwsApiCall {
    #[serde(default, deserialize_with = "shown")]
    pub(super) api: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) service_name: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) error_code: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) user_agent: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) caller_type: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) remote_ip_details: Option<RemoteIp>,
    #[serde(default, deserialize_with = "section")]
    pub(super) domain_details: Domain,
    #[serde(default, deserialize_with = "optional")]
    pub(super) remote_account_details: Option<RemoteAccount>,
}

/// The caller, if it is a domain and not an address: an AWS service, as a rule.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Domain {
    #[serde(default, deserialize_with = "shown")]
    pub(super) domain: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkConnection {
    #[serde(default, deserialize_with = "shown")]
    pub(super) connection_direction: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) remote_ip_details: Option<RemoteIp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PortProbe {
    #[serde(default, deserialize_with = "list")]
    pub(super) port_probe_details: Vec<OtherEnd>,
}

/// An action of which only the other end is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OtherEnd {
    #[serde(default, deserialize_with = "optional")]
    pub(super) remote_ip_details: Option<RemoteIp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemoteIp {
    #[serde(default, deserialize_with = "shown")]
    pub(super) ip_address_v4: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) ip_address_v6: Option<String>,
    #[serde(default, deserialize_with = "section")]
    pub(super) city: City,
    #[serde(default, deserialize_with = "section")]
    pub(super) country: Country,
    #[serde(default, deserialize_with = "section")]
    pub(super) organization: Organization,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct City {
    #[serde(default, deserialize_with = "shown")]
    pub(super) city_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Country {
    #[serde(default, deserialize_with = "shown")]
    pub(super) country_code: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) country_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Organization {
    #[serde(default, deserialize_with = "shown")]
    pub(super) asn: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) asn_org: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) isp: Option<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) org: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemoteAccount {
    #[serde(default)]
    pub(super) account_id: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    pub(super) affiliated: Option<bool>,
    #[serde(default, deserialize_with = "shown")]
    pub(super) aws_service_name: Option<String>,
}
