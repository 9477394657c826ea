//! Who may assume a role, according to its trust policy.

use serde_json::Value;

use aws::iam_policy::decoded;
use model::finding::printable;

/// The principals that a trust policy allows, without its conditions,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// AWS services: `lambda.amazonaws.com`.
    pub(super) services: Vec<String>,
    /// Accounts, users, roles, identity providers.
    pub(super) others: Vec<String>,
    /// The identity providers among the others: those of web identities and of SAML.
    pub(super) providers: Vec<String>,
}

/// The name of Cognito's identity pools in a trust policy: `cognito-identity.amazonaws.com`, in some partitions with
/// more behind its first word.
const IDENTITY_POOLS: &str = "cognito-identity";

impl Trust {
    /// Reads a document as IAM hands it out. An unreadable document names nobody.
    pub(super) fn from_encoded(document: &str) -> Self {
        let document = decoded(document).unwrap_or_default();
        let mut trust = Self::default();
        for statement in listed(&document["Statement"]) {
            if statement["Effect"] != "Allow" {
                continue;
            }
            match &statement["Principal"] {
                Value::String(anybody) => trust.add("AWS", anybody),
                Value::Object(kinds) => {
                    for (kind, names) in kinds {
                        for name in listed(names).filter_map(Value::as_str) {
                            trust.add(kind, name);
                        }
                    }
                }
                _ => {}
            }
        }
        trust
    }

    fn add(&mut self, kind: &str, name: &str) {
        let name = printable(name);
        if kind == "Federated" && !self.providers.contains(&name) {
            self.providers.push(name.clone());
        }
        let list = if kind == "Service" {
            &mut self.services
        } else {
            &mut self.others
        };
        if !list.contains(&name) {
            list.push(name);
        }
    }

    /// Whether the users of an identity pool of Cognito may assume the role.
    pub(super) fn is_for_identity_pools(&self) -> bool {
        self.providers
            .iter()
            .any(|name| name.starts_with(IDENTITY_POOLS))
    }

    /// Whether the service `name`, without its domain, may assume the role.
    pub(super) fn is_for(&self, name: &str) -> bool {
        self.services
            .iter()
            .any(|service| service.split('.').next() == Some(name))
    }

    /// Everybody who may assume the role, for a sentence.
    pub(super) fn who(&self) -> String {
        let all: Vec<_> = self.services.iter().chain(&self.others).cloned().collect();
        if all.is_empty() {
            "any principal that its trust policy names".to_owned()
        } else {
            all.join(", ")
        }
    }
}

fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(items) => items.iter(),
        Value::Null => [].iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_assume_a_role_is_read_from_every_form_of_a_trust_policy() {
        let document = serde_json::json!({ "Statement": [
            { "Effect": "Allow", "Principal": { "Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"] } },
            { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root", "Federated": "accounts.google.com" } },
            { "Effect": "Deny", "Principal": { "AWS": "arn:aws:iam::444455556666:root" } },
            { "Effect": "Allow", "Principal": "*" },
        ] });
        let encoded = percent_encoding::utf8_percent_encode(
            &document.to_string(),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        let trust = Trust::from_encoded(&encoded);
        assert!(trust.is_for("lambda") && !trust.is_for("ec2"));
        assert_eq!(
            trust.others,
            ["arn:aws:iam::111122223333:root", "accounts.google.com", "*"]
        );
        assert_eq!(trust.providers, ["accounts.google.com"]);
        assert!(!trust.is_for_identity_pools());
        assert!(!trust.who().contains("444455556666"));
        assert!(
            Trust::from_encoded("not json")
                .who()
                .contains("trust policy")
        );
    }
}
