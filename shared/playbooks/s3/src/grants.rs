//! The principals outside the account that a bucket's policy lets in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::bucket_policy::statements;
use model::finding::printable;

/// Condition keys by which a statement for everybody lets in only some accounts,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
const ACCOUNT_KEYS: [&str; 3] = [
    "aws:principalaccount",
    "aws:sourceaccount",
    "aws:sourceowner",
];
const ORGANIZATION_KEYS: [&str; 2] = ["aws:principalorgid", "aws:principalorgpaths"];
const PRINCIPAL_KEY: &str = "aws:principalarn";
const USER_ID_KEY: &str = "aws:userid";
/// Characters of a condition that are shown.
const SHOWN: usize = 300;

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
    /// Statements for everybody whose conditions name no account and no principal. S3 does not call
    /// all of them public: an address, a VPC, an endpoint or an access point in the condition is enough,
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>.
    pub(super) open: Vec<Open>,
}

/// A statement that lets in everybody, or everybody but some, who meets its condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Open {
    sid: Option<String>,
    /// As in the policy.
    condition: Option<String>,
}

impl Open {
    fn of(statement: &Value) -> Self {
        let condition = &statement["Condition"];
        let condition = condition.as_object().filter(|keys| !keys.is_empty());
        Self {
            sid: statement["Sid"].as_str().map(printable),
            condition: condition.map(|_| {
                let text = printable(&statement["Condition"].to_string());
                let mut shown: String = text.chars().take(SHOWN).collect();
                if shown.len() < text.len() {
                    shown.push('…');
                }
                shown
            }),
        }
    }

    /// True if not everybody meets it.
    pub(super) fn is_conditional(&self) -> bool {
        self.condition.is_some()
    }
}

impl std::fmt::Display for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.sid {
            Some(sid) => write!(f, "statement {sid}")?,
            None => f.write_str("a statement without a Sid")?,
        }
        match &self.condition {
            Some(condition) => write!(f, " (condition {condition})"),
            None => f.write_str(" (without a condition)"),
        }
    }
}

impl Grants {
    /// True if a principal outside the account is let in, or may be, other than an AWS service.
    pub(super) fn let_others_in(&self) -> bool {
        !(self.accounts.is_empty()
            && self.organizations.is_empty()
            && self.others.is_empty()
            && self.open.is_empty())
    }

    /// Reads them from a policy. A condition that narrows a grant further is not looked at: it is
    /// better to name one account too many.
    pub(super) fn of(policy: &Value, own_account: &str) -> Self {
        let mut grants = Self::default();
        for statement in statements(Some(policy)) {
            if statement["Effect"] == "Allow" {
                grants.read(&statement, own_account);
            }
        }
        grants
    }

    fn read(&mut self, statement: &Value, own_account: &str) {
        let principal = &statement["Principal"];
        let all = |value: &Value| strings(value).iter().any(|named| named == "*");
        let for_everybody =
            all(principal) || all(&principal["AWS"]) || !statement["NotPrincipal"].is_null();
        let actions = strings(&statement["Action"]);
        let actions = if actions.is_empty() {
            vec!["all but some actions".to_owned()]
        } else {
            actions
        };
        let mut account = |id: &str| {
            if id != own_account {
                let may = self.accounts.entry(printable(id)).or_default();
                may.extend(actions.iter().cloned());
            }
        };
        let mut names_somebody = false;
        for equality in equalities(&statement["Condition"]) {
            let Equality { key, values, binds } = equality;
            let names = if ACCOUNT_KEYS.contains(&key.as_str()) {
                let ids = values.iter().filter(|id| digits(id));
                ids.for_each(|id| account(id));
                values.iter().all(|id| digits(id))
            } else if ORGANIZATION_KEYS.contains(&key.as_str()) {
                let fixed = values.iter().all(|id| id.starts_with("o-"));
                self.organizations.extend(values);
                fixed
            } else if key == PRINCIPAL_KEY && for_everybody {
                let ids = values
                    .iter()
                    .map(|arn| account_of(arn).filter(|id| digits(id)));
                let ids: Option<Vec<_>> = ids.collect();
                ids.iter().flatten().for_each(|id| account(id));
                ids.is_some()
            } else if key == USER_ID_KEY && for_everybody {
                let fixed = values.iter().all(|id| !id.starts_with(['*', '?', '$']));
                let ids = values.iter().map(|id| format!("the user id {id}"));
                self.others.extend(ids.filter(|_| fixed));
                fixed
            } else {
                false
            };
            names_somebody |= binds && names;
        }
        if for_everybody && !names_somebody {
            self.open.push(Open::of(statement));
        }
        for named in strings(&principal["AWS"]) {
            match account_of(&named) {
                Some(id) if digits(id) => account(id),
                Some("cloudfront") => {
                    self.services.insert(named);
                }
                _ if named == "*" => {}
                _ => {
                    self.others.insert(named);
                }
            }
        }
        self.services.extend(strings(&principal["Service"]));
        self.others.extend(strings(&principal["CanonicalUser"]));
        self.others.extend(strings(&principal["Federated"]));
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

/// A condition that a key equals one of some values.
struct Equality {
    /// In lower case.
    key: String,
    values: Vec<String>,
    /// False if a request without the key meets it too, such as one without credentials,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.
    binds: bool,
}

fn equalities(condition: &Value) -> Vec<Equality> {
    let mut equalities = Vec::new();
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        let operator = operator.to_ascii_lowercase();
        let (set, name) = operator.rsplit_once(':').unwrap_or(("", &operator));
        let required = !name.ends_with("ifexists");
        let name = name.trim_end_matches("ifexists");
        let equal = ["stringequals", "stringequalsignorecase", "stringlike"];
        if !equal.contains(&name) && !["arnequals", "arnlike"].contains(&name) {
            continue;
        }
        for (key, values) in keys.as_object().into_iter().flatten() {
            let values = strings(values);
            equalities.push(Equality {
                key: key.to_ascii_lowercase(),
                binds: required && set != "forallvalues" && !values.is_empty(),
                values,
            });
        }
    }
    equalities
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

    const OWN: &str = "111122223333";

    fn for_everybody(condition: Value) -> Grants {
        let policy = json!({ "Statement": { "Effect": "Allow", "Action": "s3:*", "Principal": "*",
            "Condition": condition } });
        Grants::of(&policy, OWN)
    }

    #[test]
    fn each_principal_outside_the_account_in_a_statement_is_listed() {
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
        let grants = Grants::of(&policy, OWN);
        let accounts: Vec<_> = grants.accounts.keys().map(String::as_str).collect();
        assert_eq!(accounts, ["444455556666", "999988887777"]);
        assert_eq!(grants.accounts["999988887777"].len(), 2);
        assert!(grants.organizations.contains("o-abc"));
        assert_eq!(grants.services.len(), 2);
        assert!(grants.others.contains("f00d"));
        assert!(grants.open.is_empty(), "{grants:?}");
    }

    #[test]
    fn a_condition_that_excludes_an_account_does_not_let_it_in_and_the_others_are_let_in() {
        let grants =
            for_everybody(json!({ "StringNotEquals": { "aws:PrincipalAccount": "444455556666" } }));
        assert!(grants.accounts.is_empty());
        assert_eq!(grants.open.len(), 1);
    }

    #[test]
    fn a_statement_for_everybody_is_open_unless_its_condition_names_who_it_is_for() {
        for condition in [
            json!({ "StringEquals": { "aws:PrincipalAccount": OWN } }),
            json!({ "StringEquals": { "aws:PrincipalOrgID": "o-abc" } }),
            json!({ "ForAnyValue:StringLike": { "aws:PrincipalOrgPaths": "o-abc/r-1/*" } }),
            json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/*" } }),
            json!({ "StringLike": { "aws:userid": "AROAX:*" } }),
            json!({ "StringEquals": { "aws:PrincipalAccount": OWN }, "IpAddress": { "aws:SourceIp": "52.0.0.0/8" } }),
        ] {
            let grants = for_everybody(condition.clone());
            assert!(grants.open.is_empty(), "{condition}");
        }
        for condition in [
            json!({ "IpAddress": { "aws:SourceIp": "52.0.0.0/8" } }),
            json!({ "StringEquals": { "aws:SourceVpce": "vpce-1" } }),
            json!({ "StringEquals": { "aws:SourceVpc": "vpc-1" } }),
            json!({ "ArnLike": { "aws:SourceArn": "arn:aws:sns:us-east-1:111122223333:topic" } }),
            json!({ "StringEquals": { "s3:DataAccessPointAccount": OWN } }),
            json!({ "ArnLike": { "s3:DataAccessPointArn": "arn:aws:s3:us-east-1:111122223333:accesspoint/*" } }),
            // Whoever has no such key meets these.
            json!({ "StringEqualsIfExists": { "aws:PrincipalAccount": OWN } }),
            json!({ "ForAllValues:StringEquals": { "aws:PrincipalOrgID": "o-abc" } }),
            json!({ "StringLike": { "aws:PrincipalAccount": "*" } }),
            json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/reader" } }),
            json!({}),
            Value::Null,
        ] {
            let grants = for_everybody(condition.clone());
            assert_eq!(grants.open.len(), 1, "{condition}");
        }
    }

    #[test]
    fn everybody_has_several_spellings_and_only_allow_statements_admit() {
        for (who, open) in [
            (json!({ "Principal": { "AWS": "*" } }), 1),
            (json!({ "Principal": { "AWS": ["*"] } }), 1),
            (
                json!({ "NotPrincipal": { "AWS": "arn:aws:iam::999988887777:root" } }),
                1,
            ),
            (
                json!({ "Principal": { "AWS": "arn:aws:iam::111122223333:root" } }),
                0,
            ),
            (
                json!({ "Principal": { "Service": "logging.s3.amazonaws.com" } }),
                0,
            ),
        ] {
            let mut statement = who.clone();
            statement["Action"] = json!("s3:GetObject");
            for (effect, open) in [("Allow", open), ("Deny", 0)] {
                statement["Effect"] = json!(effect);
                let grants = Grants::of(&json!({ "Statement": statement }), OWN);
                assert_eq!(grants.open.len(), open, "{statement}");
                assert_eq!(grants.let_others_in(), open == 1, "{statement}");
            }
        }
    }

    #[test]
    fn an_open_statement_is_shown_by_its_sid_and_condition() {
        let shown = |statement: Value| Open::of(&statement).to_string();
        assert_eq!(
            shown(
                json!({ "Sid": "Vpc", "Condition": { "StringEquals": { "aws:SourceVpc": "vpc-1" } } })
            ),
            r#"statement Vpc (condition {"StringEquals":{"aws:SourceVpc":"vpc-1"}})"#
        );
        let long =
            json!({ "Condition": { "StringEquals": { "aws:SourceVpc": "x".repeat(9_000) } } });
        assert!(shown(long).len() < 400);
    }
}
