//! Every finding type that AWS has named, and the forms in which its findings come.
//!
//! `fixtures/finding-types.tsv` lists them, after
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-active.html> and the
//! pages of the types that were retired. When AWS names a new one, add a line.

use serde_json::{Value, json};

/// A finding type, and what AWS says of it.
#[derive(Clone, Copy, Debug)]
pub struct KnownType {
    pub name: &'static str,
    /// The default severity, or several where it depends on what was found.
    pub severity: &'static str,
    /// What `resource.resourceType` may be, separated by `|`.
    resource_types: &'static str,
    /// True if GuardDuty makes no more findings of this type.
    pub retired: bool,
}

/// One form in which findings of a type come.
pub struct Case {
    /// What sets it apart from the others of the type. Empty: it is the only one.
    pub name: String,
    /// The event as EventBridge delivers it.
    pub event: Value,
}

/// The types in the order of the list: by kind of resource, then by name.
#[must_use]
pub fn all() -> Vec<KnownType> {
    let list = include_str!("../fixtures/finding-types.tsv");
    list.lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split('\t');
            Some(KnownType {
                name: fields.next()?,
                severity: fields.next()?,
                resource_types: fields.next()?,
                retired: fields.next()? == "retired",
            })
        })
        .collect()
}

impl KnownType {
    /// The word for the kind of resource: `S3` of `Discovery:S3/TorIPCaller`.
    #[must_use]
    pub fn resource(&self) -> &'static str {
        let behind = self.name.split_once(':').map_or("", |(_, rest)| rest);
        behind.split_once('/').map_or("", |(word, _)| word)
    }

    /// The forms that a decision could depend on.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let sequence = self.resource_types == "AttackSequence";
        let mut cases = Vec::new();
        for resource_type in self.resource_types.split('|') {
            let resource = json!({ "resourceType": resource_type });
            let mut case = |name: &str, resource: Value, service: Value| {
                let event = event(self.name, &resource, &service);
                cases.push(Case {
                    name: name.to_owned(),
                    event,
                });
            };
            match self.resource() {
                "S3" if !sequence => {
                    let by = |user_type: &str, name: &str| {
                        let mut resource = resource.clone();
                        resource["accessKeyDetails"] =
                            json!({ "userType": user_type, "userName": name });
                        resource
                    };
                    case("own principal", by("IAMUser", "someone"), json!({}));
                    case(
                        "anyone else",
                        by("AWSAccount", "ANONYMOUS_PRINCIPAL"),
                        json!({}),
                    );
                    case("nobody named", resource, json!({}));
                }
                "EC2" if resource_type == "Instance" => {
                    let mut resource = resource;
                    resource["instanceDetails"] = json!({ "instanceId": "i-0abc1234" });
                    case(
                        "source",
                        resource.clone(),
                        json!({ "resourceRole": "ACTOR" }),
                    );
                    // Who asks for a name is the source, whatever its role is said to be, and a scan
                    // sees no connection.
                    if !self.name.ends_with("!DNS") && !self.name.ends_with("File") {
                        let connection = json!({ "resourceRole": "TARGET", "action": {
                            "actionType": "NETWORK_CONNECTION",
                            "networkConnectionAction": { "connectionDirection": "INBOUND" },
                        } });
                        case("target", resource, connection);
                    }
                }
                _ if self.resource_types.contains('|') => case(resource_type, resource, json!({})),
                _ => case("", resource, json!({})),
            }
        }
        cases
    }
}

/// An event of EventBridge's with a finding of a type.
#[must_use]
pub fn event(finding_type: &str, resource: &Value, service: &Value) -> Value {
    json!({
        "version": "0", "id": "1", "account": "111122223333", "region": "us-east-1",
        "time": "2026-03-04T05:06:07Z", "resources": [],
        "source": "aws.guardduty", "detail-type": "GuardDuty Finding",
        "detail": {
            "schemaVersion": "2.0", "id": "16afba5c5c43e07c9e3e5e2e544e95df",
            "type": finding_type,
            "accountId": "111122223333", "region": "us-east-1", "severity": 8.0,
            "resource": resource, "service": service,
        },
    })
}
