//! How the items of incidents are named.

use crate::category::Category;
use crate::decision;
use crate::finding::Finding;

/// The prefixes of the keys of incidents and of drills.
const INCIDENT: &str = "INCIDENT#";
const DRILL: &str = "DRILL#";

/// `INCIDENT#<finding id>`, or `DRILL#<finding id>`.
pub(in crate::record) fn key(id: &str, drill: bool) -> String {
    format!("{}{id}", if drill { DRILL } else { INCIDENT })
}

/// The finding's id in a key, and whether it is that of a drill.
pub(super) fn id_of(key: &str) -> (&str, bool) {
    match key.strip_prefix(DRILL) {
        Some(id) => (id, true),
        None => (key.strip_prefix(INCIDENT).unwrap_or(key), false),
    }
}

/// The function; for a part of an attack sequence also what is contained, since one function may get
/// several parts of the same sequence.
pub(crate) fn sort_key(category: Category, finding: &Finding) -> String {
    let part = finding
        .handed_over_to()
        .and_then(|_| decision::targets(category, finding).ok());
    match part {
        Some(targets) => format!("{category}#{}", targets.join(",")),
        None => category.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::from_item;
    use super::*;
    use crate::fixtures::finding;
    use crate::record::text;
    use serde_json::json;

    #[test]
    fn the_parts_of_a_sequence_that_one_function_gets_are_incidents_of_their_own() {
        let handed = |instance: &str| {
            finding(json!({
                "type": "AttackSequence:EC2/CompromisedInstanceGroup",
                "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": instance } },
                "handedOverTo": "ec2",
            }))
        };
        let whole = finding(json!({
            "type": "AttackSequence:EC2/CompromisedInstanceGroup",
            "resource": { "resourceType": "AttackSequence" },
        }));
        let keys = [
            sort_key(Category::Triage, &whole),
            sort_key(Category::Ec2, &handed("i-0abc1234")),
            sort_key(Category::Ec2, &handed("i-0abc1235")),
        ];
        assert_eq!(
            keys,
            [
                "triage",
                "ec2#us-east-1/i-0abc1234",
                "ec2#us-east-1/i-0abc1235"
            ]
        );
        for key in keys {
            let item = HashMap::from([("sk".to_owned(), text(&key))]);
            let incident = from_item(&item);
            assert!(incident.known_category().is_ok(), "{key}");
            assert_eq!(incident.sort_key(), key);
        }
    }

    #[test]
    fn a_finding_of_one_kind_is_one_incident_a_function() {
        let finding = crate::fixtures::user_finding("mallory");
        assert_eq!(sort_key(Category::Iam, &finding), "iam");
    }
}
