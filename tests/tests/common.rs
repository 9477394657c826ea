//! Templates as data, and what roles allow against what code declares.

use std::collections::BTreeSet;

use integration_tests::checkout;
use serde_json::{Value, json};

/// A template of the checkout, with `!Ref X` as `{"Ref": "X"}` and so on.
pub(crate) fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(checkout().join(path)).expect(path);
    plain(serde_yaml_ng::from_str(&text).expect(path))
}

fn plain(value: serde_yaml_ng::Value) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Tagged(tagged) => {
            let name = tagged.tag.to_string().trim_start_matches('!').to_owned();
            json!({ name: plain(tagged.value) })
        }
        Yaml::Sequence(items) => items.into_iter().map(plain).collect(),
        Yaml::Mapping(entries) => entries
            .into_iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), plain(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => serde_json::to_value(other).expect("a scalar"),
    }
}

/// The actions that the inline policies allow. None may have a wildcard.
pub(crate) fn granted<'a>(policies: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for policy in policies {
        for statement in policy["PolicyDocument"]["Statement"]
            .as_array()
            .expect("statements")
        {
            if statement["Effect"] == "Deny" {
                continue;
            }
            let actions = match &statement["Action"] {
                Value::Array(actions) => actions.clone(),
                action => vec![action.clone()],
            };
            for action in actions {
                let action = action.as_str().expect("an action").to_owned();
                assert!(!action.contains('*'), "{action}");
                granted.insert(action);
            }
        }
    }
    granted
}
