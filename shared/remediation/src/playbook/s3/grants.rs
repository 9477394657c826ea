//! Whom outside the account a bucket's policy lets in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::bucket_policy::statements;
use crate::finding::printable;

/// Condition keys by which a statement for everybody lets in only some accounts,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
const ACCOUNT_KEYS: [&str; 4] = [
    "aws:principalaccount",
    "aws:sourceaccount",
    "aws:sourceowner",
    "s3:dataaccesspointaccount",
];
const ORGANIZATION_KEYS: [&str; 2] = ["aws:principalorgid", "aws:principalorgpaths"];

/// Who is named by the statements that allow something. Printable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Grants {
    /// Other accounts, each with what it may do.
    pub(super) accounts: BTreeMap<String, BTreeSet<String>>,
    /// Organizations.
    pub(super) organizations: BTreeSet<String>,
    /// AWS services, and CloudFront's own identities.
    pub(super) services: BTreeSet<String>,
    /// Canonical users, identity providers, ids of principals that are gone.
    pub(super) others: BTreeSet<String>,
}

impl Grants {
    /// True if a principal outside the account is let in, other than an AWS service.
    pub(super) fn name_principals(&self) -> bool {
        !(self.accounts.is_empty() && self.organizations.is_empty() && self.others.is_empty())
    }

    /// Reads them from a policy. A condition that narrows a grant further is not looked at: it is
    /// better to name one account too many.
    pub(super) fn of(policy: &Value, own_account: &str) -> Self {
        let mut grants = Self::default();
        for statement in statements(Some(policy)) {
            if statement["Effect"] != "Allow" {
                continue;
            }
            let actions = strings(&statement["Action"]);
            let actions = if actions.is_empty() {
                vec!["all but some actions".to_owned()]
            } else {
                actions
            };
            let mut account = |id: &str| {
                if id != own_account {
                    let may = grants.accounts.entry(printable(id)).or_default();
                    may.extend(actions.iter().cloned());
                }
            };
            let mut conditions = Vec::new();
            for (key, values) in equalities(&statement["Condition"]) {
                if ACCOUNT_KEYS.contains(&key.as_str()) {
                    values.iter().for_each(|id| account(id));
                } else if ORGANIZATION_KEYS.contains(&key.as_str()) {
                    conditions.extend(values);
                }
            }
            let principal = &statement["Principal"];
            for named in strings(&principal["AWS"]) {
                match account_of(&named) {
                    Some(id) if digits(id) => account(id),
                    Some("cloudfront") => {
                        grants.services.insert(named);
                    }
                    _ if named == "*" => {}
                    _ => {
                        grants.others.insert(named);
                    }
                }
            }
            grants.organizations.extend(conditions);
            grants.services.extend(strings(&principal["Service"]));
            grants.others.extend(strings(&principal["CanonicalUser"]));
            grants.others.extend(strings(&principal["Federated"]));
        }
        grants
    }
}

/// The account of a principal: `111122223333`, or the fifth part of an ARN.
fn account_of(principal: &str) -> Option<&str> {
    if digits(principal) {
        Some(principal)
    } else {
        principal.split(':').nth(4)
    }
}

fn digits(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Condition keys, in lower case, with the values that they must equal.
fn equalities(condition: &Value) -> Vec<(String, Vec<String>)> {
    let operators = condition.as_object().into_iter().flatten();
    operators
        .filter(|(operator, _)| {
            let operator = operator.rsplit(':').next().unwrap_or_default();
            operator.starts_with("StringEquals") || operator.starts_with("StringLike")
        })
        .flat_map(|(_, keys)| keys.as_object().into_iter().flatten())
        .map(|(key, values)| (key.to_ascii_lowercase(), strings(values)))
        .collect()
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![printable(text)],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everybody_outside_the_account_whom_a_statement_names_is_listed() {
        let policy = json!({ "Statement": [
            { "Effect": "Allow", "Action": "s3:GetObject",
              "Principal": { "AWS": ["999988887777", "arn:aws:iam::111122223333:role/own"] } },
            { "Effect": "Allow", "Action": ["s3:ListBucket"],
              "Principal": { "AWS": "arn:aws:iam::999988887777:user/reader" } },
            { "Effect": "Allow", "Action": "s3:*", "Principal": "*",
              "Condition": { "StringEquals": { "aws:PrincipalOrgID": "o-abc", "aws:PrincipalAccount": ["444455556666"] } } },
            { "Effect": "Allow", "Action": "s3:GetObject",
              "Principal": { "Service": "cloudfront.amazonaws.com", "CanonicalUser": "f00d" } },
            { "Effect": "Allow", "Action": "s3:GetObject",
              "Principal": { "AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1" } },
            { "Effect": "Deny", "Action": "s3:*", "Principal": { "AWS": "123412341234" } },
        ] });
        let grants = Grants::of(&policy, "111122223333");
        let accounts: Vec<_> = grants.accounts.keys().map(String::as_str).collect();
        assert_eq!(accounts, ["444455556666", "999988887777"]);
        assert_eq!(grants.accounts["999988887777"].len(), 2);
        assert!(grants.organizations.contains("o-abc"));
        assert_eq!(grants.services.len(), 2);
        assert!(grants.others.contains("f00d"));
    }

    #[test]
    fn a_condition_that_excludes_an_account_does_not_let_it_in() {
        let policy = json!({ "Statement": { "Effect": "Allow", "Action": "s3:*", "Principal": "*",
            "Condition": { "StringNotEquals": { "aws:PrincipalAccount": "444455556666" } } } });
        assert_eq!(Grants::of(&policy, "111122223333"), Grants::default());
    }
}
