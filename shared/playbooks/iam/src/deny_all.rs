//! `AWSDenyAll`, the AWS-managed policy that denies everything: the fallback when the inline policies of an entity use
//! up their quota.
//!
//! Quotas: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>. Attached
//! or as a permissions boundary, it denies the entity everything, long-term keys included.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::policy_document::Deny;

/// The ARN of `AWSDenyAll` in the partition of `entity`, an ARN.
pub(super) fn deny_all_arn(entity: &str) -> String {
    let partition = entity.split(':').nth(1).unwrap_or("aws");
    format!("arn:{partition}:iam::aws:policy/AWSDenyAll")
}

pub(super) fn is_deny_all(policy: &str) -> bool {
    policy.ends_with(":iam::aws:policy/AWSDenyAll")
}

/// How `AWSDenyAll` applies to an entity, beside our inline policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenyAll {
    /// Whether it is attached. `None`: it could not be read.
    pub attached: Option<bool>,
    /// The ARN of the permissions boundary, whichever that is.
    pub boundary: Option<String>,
}

impl DenyAll {
    /// The policy that denies the entity everything, if there is one.
    pub(super) fn in_effect(&self) -> Option<&'static str> {
        if self.attached == Some(true) {
            Some("AWSDenyAll is attached to it")
        } else if self.boundary.as_deref().is_some_and(is_deny_all) {
            Some("AWSDenyAll is its permissions boundary")
        } else {
            None
        }
    }

    /// The value that was found: our inline policy, and whatever a fallback would replace.
    pub(super) fn beside(&self, inline: &Deny) -> Value {
        if self.attached != Some(true) && self.boundary.is_none() {
            return inline.to_json();
        }
        json!({
            "InlinePolicy": inline.to_json(),
            "AWSDenyAll": if self.attached == Some(true) { "attached" } else { "not attached" },
            "PermissionsBoundary": self.boundary,
        })
    }
}
