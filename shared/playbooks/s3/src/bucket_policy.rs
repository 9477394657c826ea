//! A bucket's policy as data: its grants to others, and our own statement in it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html>. Statements of others are never
//! interpreted away: their statements are kept as they are, in their order.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use aws::error::{Error, Result};
use model::finding::printable;

/// S3 allows a bucket's policy 20 KB,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html>.
pub(super) const SIZE_LIMIT: usize = 20 * 1024;

/// The condition key of the caller's address. Condition keys are written in any case.
const SOURCE_IP: &str = "aws:SourceIp";

/// The prefix of the `Sid` of our statements.
const SID_PREFIX: &str = "GuardDutyResponderDeny";

/// A bucket's policy.
#[derive(Clone, Debug)]
pub struct BucketPolicy {
    /// As S3 gave it.
    pub(super) text: String,
    pub(super) document: Value,
}

/// The caller that a statement of ours shuts out, as narrowly as the finding allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Any caller from this address.
    Address(IpAddr),
    /// A user or a role of another account, by its unique id.
    Principal(String),
    /// Another account, by its id.
    Account(String),
}

impl BucketPolicy {
    pub(super) fn parse(text: String, bucket: &str) -> Result<Self> {
        match serde_json::from_str(&text) {
            Ok(document @ Value::Object(_)) => Ok(Self { text, document }),
            _ => Err(Error::Refused(format!(
                "the policy of {bucket} is not a JSON object"
            ))),
        }
    }
}

impl Caller {
    /// The statement that denies this caller everything on the bucket.
    ///
    /// Written as conditions, not as a principal: S3 refuses a policy that names an account or a
    /// user which no longer exists, and an unauthenticated caller has no principal. The unique id is
    /// in `aws:userid`; a role's is followed by the session's name. A call that an AWS service makes
    /// for someone comes from the service's address,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>. An address
    /// has its prefix always: without one IAM takes `/32`, which is one address of IPv4 only,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.
    pub(super) fn statement(&self, bucket_arn: &str) -> Value {
        let condition = match self {
            Self::Address(address) => json!({
                "IpAddress": { SOURCE_IP: one_address(*address) },
                "BoolIfExists": { "aws:ViaAWSService": "false" },
            }),
            Self::Principal(id) if id.starts_with("AROA") => {
                json!({ "StringLike": { "aws:userid": format!("{id}:*") } })
            }
            Self::Principal(id) => json!({ "StringEquals": { "aws:userid": id } }),
            Self::Account(id) => json!({ "StringEquals": { "aws:PrincipalAccount": id } }),
        };
        json!({
            "Sid": self.sid(),
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket_arn, format!("{bucket_arn}/*")],
            "Condition": condition,
        })
    }

    fn sid(&self) -> String {
        // A `Sid` is of letters and digits; no two addresses become the same one.
        let caller = match self {
            Self::Address(address) => address.to_string().replace(['.', ':'], "x"),
            Self::Principal(id) | Self::Account(id) => id.clone(),
        };
        format!("{SID_PREFIX}{caller}")
    }

    /// Who else the statement hits, and what it does not stop.
    pub(super) fn consequence(&self, bucket: &str) -> String {
        match self {
            Self::Address(address) => format!(
                "everybody who shares the address {address} is shut out of {bucket} too, signed in or \
                 not; the caller can come back from another address"
            ),
            Self::Principal(id) => format!(
                "only {id} is denied on {bucket}: other principals of its account keep what the \
                 bucket's policy and ACL give them"
            ),
            Self::Account(id) => format!("every principal of account {id} is shut out of {bucket}"),
        }
    }
}

/// True if `policy` has each of `wanted` in effect, however S3 writes it.
pub(super) fn holds(policy: Option<&Value>, wanted: &[Value]) -> bool {
    let standing = statements(policy);
    wanted.iter().all(|statement| {
        let mut standing = standing.iter();
        standing.any(|standing| normal(standing) == normal(statement))
    })
}

/// `policy` with `wanted`, each in the place of one that has its `Sid` or behind all others.
pub(super) fn with(policy: Option<&Value>, wanted: &[Value]) -> Value {
    let mut all = statements(policy);
    for statement in wanted {
        let mut standing = all.iter_mut();
        match standing.find(|standing| standing["Sid"] == statement["Sid"]) {
            Some(ours) => *ours = statement.clone(),
            None => all.push(statement.clone()),
        }
    }
    let mut document = policy
        .cloned()
        .unwrap_or_else(|| json!({ "Version": "2012-10-17" }));
    document["Statement"] = Value::Array(all);
    document
}

/// `policy` without the statements that have the `Sid` of one of `ours`. `None`: nothing is left of it.
pub(super) fn without(policy: &Value, ours: &[Value]) -> Option<Value> {
    let mut others = statements(Some(policy));
    others.retain(|standing| ours.iter().all(|ours| standing["Sid"] != ours["Sid"]));
    if others.is_empty() {
        return None;
    }
    let mut document = policy.clone();
    document["Statement"] = Value::Array(others);
    Some(document)
}

/// True if `policy` has a statement with the `Sid` of `statement`.
pub(super) fn has_sid(policy: &Value, statement: &Value) -> bool {
    statements(Some(policy))
        .iter()
        .any(|standing| standing["Sid"] == statement["Sid"])
}

/// True if two policies say the same, however S3 writes them.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    normal(one) == normal(other)
}

/// One statement may stand without a list.
pub(super) fn statements(policy: Option<&Value>) -> Vec<Value> {
    match policy.map(|policy| &policy["Statement"]) {
        Some(Value::Array(all)) => all.clone(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![one.clone()],
    }
}

/// The statements of `policy` that name a user or a role which was deleted. S3 shows the unique id in
/// place of its ARN, and takes no policy with it,
/// <https://repost.aws/knowledge-center/s3-invalid-principal-in-policy-error>. Each as `statement Sid (AIDA…)`.
pub(super) fn naming_the_deleted(policy: &Value) -> Vec<String> {
    let all = statements(Some(policy)).into_iter().enumerate();
    all.filter_map(|(index, statement)| {
        let deleted: Vec<_> = ["Principal", "NotPrincipal"]
            .into_iter()
            .flat_map(|element| principals(&statement[element]["AWS"]))
            .filter(|named| is_unique_id(named))
            .map(|id| printable(&id))
            .collect();
        let called = match statement["Sid"].as_str() {
            Some(sid) => format!("statement {}", printable(sid)),
            None => format!("statement number {} (it has no Sid)", index + 1),
        };
        (!deleted.is_empty()).then(|| format!("{called}: {}", deleted.join(", ")))
    })
    .collect()
}

fn principals(named: &Value) -> Vec<String> {
    match named {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => several.iter().flat_map(principals).collect(),
        _ => Vec::new(),
    }
}

/// True for what S3 shows of a principal that is gone,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>.
fn is_unique_id(named: &str) -> bool {
    let prefixed = ["AIDA", "AROA"].iter().any(|kind| named.starts_with(kind));
    prefixed && named.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The range that holds this address alone.
fn one_address(address: IpAddr) -> String {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    format!("{address}/{bits}")
}

/// A form in which texts that IAM holds to be the same are the same: a list of one is that one, lists have no order,
/// and `{"AWS": "*"}` is `*`. A boolean is text, and an IPv4 address is a range of one.
fn normal(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(normal).collect();
            items.sort_by_key(ToString::to_string);
            match <[Value; 1]>::try_from(items) {
                Ok([only]) => only,
                Err(items) => Value::Array(items),
            }
        }
        Value::Object(members) => {
            let members: Map<_, _> = members
                .iter()
                .map(|(key, value)| {
                    if key.eq_ignore_ascii_case(SOURCE_IP) {
                        (key.clone(), normal(&ranges(value)))
                    } else {
                        (key.clone(), normal(value))
                    }
                })
                .collect();
            if members.len() == 1 && members.get("AWS").is_some_and(|aws| aws == "*") {
                return json!("*");
            }
            Value::Object(members)
        }
        Value::Bool(truth) => json!(truth.to_string()),
        other => other.clone(),
    }
}

/// Addresses of IPv4 without a prefix with the one that IAM takes them to have. Statements of earlier
/// versions have none.
fn ranges(addresses: &Value) -> Value {
    match addresses {
        Value::Array(several) => several.iter().map(ranges).collect(),
        Value::String(one) => match one.parse() {
            Ok(address @ IpAddr::V4(_)) => json!(one_address(address)),
            _ => addresses.clone(),
        },
        other => other.clone(),
    }
}
