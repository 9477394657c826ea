//! The parts of a policy that make its holder an administrator, or let it become one. Pure.
//!
//! Conditions, boundaries and denies elsewhere may narrow it; better one administrator named too
//! many.

use std::fmt;

use serde_json::Value;

/// The level of a policy's permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrivilegeLevel {
    /// Everything.
    Administrator,
    /// Everything on IAM, and so whatever the holder gives itself.
    Iam,
    /// Everything but some services.
    AllButSome,
}

impl fmt::Display for PrivilegeLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Administrator => "ADMINISTRATOR, who may do everything,",
            Self::Iam => "MAY CHANGE IAM, and so give itself everything,",
            Self::AllButSome => "MAY DO EVERYTHING BUT SOME ACTIONS",
        })
    }
}

impl PrivilegeLevel {
    /// The level of a policy of AWS's own, by its ARN,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_job-functions.html>.
    pub fn of_aws_policy(arn: &str) -> Option<Self> {
        match arn.rsplit('/').next()? {
            "AdministratorAccess" => Some(Self::Administrator),
            "IAMFullAccess" => Some(Self::Iam),
            "PowerUserAccess" => Some(Self::AllButSome),
            _ => None,
        }
    }

    /// The most that a policy document gives.
    pub fn of_document(document: &Value) -> Option<Self> {
        let statements = listed(&document["Statement"]);
        statements
            .iter()
            .filter_map(|statement| of(statement))
            .min()
    }
}

/// True if `text` tells of one who may do everything, or give itself everything. No name that AWS allows has
/// the words.
pub fn tells_of_administrator(text: &str) -> bool {
    let powers = [PrivilegeLevel::Administrator, PrivilegeLevel::Iam];
    powers.iter().any(|power| text.contains(&power.to_string()))
}

fn of(statement: &Value) -> Option<PrivilegeLevel> {
    if statement["Effect"] != "Allow" || !texts(&statement["Resource"]).contains(&"*") {
        return None;
    }
    let actions = texts(&statement["Action"]);
    let has = |wanted: &str| {
        actions
            .iter()
            .any(|action| action.eq_ignore_ascii_case(wanted))
    };
    if has("*") || has("*:*") {
        Some(PrivilegeLevel::Administrator)
    } else if has("iam:*") {
        Some(PrivilegeLevel::Iam)
    } else if !statement["NotAction"].is_null() {
        Some(PrivilegeLevel::AllButSome)
    } else {
        None
    }
}

/// Policies have one element or a list of them.
fn listed(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<&str> {
    listed(value)
        .into_iter()
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn administrators_and_those_who_change_iam_are_found_in_either_spelling() {
        let allow = |action: Value, resource: Value| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
        for (statement, power) in [
            (
                allow(json!("*"), json!("*")),
                Some(PrivilegeLevel::Administrator),
            ),
            (
                allow(json!(["s3:Get*", "*:*"]), json!(["arn:x", "*"])),
                Some(PrivilegeLevel::Administrator),
            ),
            (allow(json!("IAM:*"), json!("*")), Some(PrivilegeLevel::Iam)),
            (allow(json!("s3:*"), json!("*")), None),
            (allow(json!("*"), json!("arn:aws:s3:::one")), None),
            (
                json!({ "Effect": "Allow", "NotAction": "iam:*", "Resource": "*" }),
                Some(PrivilegeLevel::AllButSome),
            ),
            (
                json!({ "Effect": "Deny", "Action": "*", "Resource": "*" }),
                None,
            ),
            (json!("*"), None),
        ] {
            let one = json!({ "Statement": statement });
            assert_eq!(PrivilegeLevel::of_document(&one), power, "{one}");
            let list = json!({ "Statement": [allow(json!("s3:*"), json!("*")), statement] });
            assert_eq!(PrivilegeLevel::of_document(&list), power, "{list}");
        }
    }

    #[test]
    fn managed_policies_of_aws_are_recognized_by_their_names() {
        for (name, power) in [
            ("AdministratorAccess", Some(PrivilegeLevel::Administrator)),
            ("IAMFullAccess", Some(PrivilegeLevel::Iam)),
            ("PowerUserAccess", Some(PrivilegeLevel::AllButSome)),
            ("job-function/SupportUser", None),
        ] {
            let arn = format!("arn:aws:iam::aws:policy/{name}");
            assert_eq!(PrivilegeLevel::of_aws_policy(&arn), power, "{arn}");
        }
    }
}
