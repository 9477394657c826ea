//! The templates of the integrations as data: the limits of EventBridge, the secrets, the roles.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::PRODUCTS;
use crate::common::yaml;

fn templates() -> Vec<(&'static str, Value)> {
    let names = PRODUCTS.iter().map(|product| product.name);
    names
        .map(|name| (name, yaml(&format!("infra/integrations/{name}.yaml"))))
        .collect()
}

fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a String, &'a Value)> {
    let resources = template["Resources"].as_object().expect("resources");
    let found = resources.iter().filter(|(_, it)| it["Type"] == kind);
    found.map(|(name, it)| (name, &it["Properties"])).collect()
}

fn targets(template: &Value) -> Vec<&Value> {
    let rules = resources(template, "AWS::Events::Rule").into_iter();
    rules
        .map(
            |(_, rule)| match rule["Targets"].as_array().map(Vec::as_slice) {
                Some([target]) => target,
                other => panic!("{other:?}"),
            },
        )
        .collect()
}

/// The variables that a template names.
fn variables(template: &str) -> BTreeSet<&str> {
    let parts = template.split('<').skip(1);
    parts
        .map(|part| part.split_once('>').expect("an end").0)
        .collect()
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_InputTransformer.html>
#[test]
fn each_transformer_keeps_to_the_limits_of_eventbridge_and_uses_each_of_its_variables() {
    let mut transformers = 0;
    for (name, template) in templates() {
        for target in targets(&template) {
            if target["InputTransformer"].is_null() {
                assert_eq!(target["InputPath"], "$.detail", "{name}");
                continue;
            }
            transformers += 1;
            let text = target["InputTransformer"]["InputTemplate"].as_str();
            let text = text.expect("a template");
            assert!(text.len() <= 8_192, "{name}: {}", text.len());
            let paths = target["InputTransformer"]["InputPathsMap"].as_object();
            let paths = paths.expect("paths");
            assert!(paths.len() <= 100, "{name}");
            let defined: BTreeSet<_> = paths.keys().map(String::as_str).collect();
            assert_eq!(variables(text), defined, "{name}");
            for (variable, path) in paths {
                let legible = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
                assert!(
                    variable.chars().all(legible) && !variable.starts_with("aws"),
                    "{name}: {variable}"
                );
                let path = path.as_str().and_then(|it| it.strip_prefix("$.detail."));
                let path = path.unwrap_or_else(|| panic!("{name}: {variable}"));
                assert!(
                    path.split('.')
                        .all(|part| !part.is_empty() && part.chars().all(legible))
                );
            }
            // What comes from outside is taken from the alert only, whose texts need no escape.
            for member in [
                "title",
                "reason",
                "finding_type",
                "next_steps",
                "residual_risks",
                "steps",
            ] {
                let unsafe_path = format!("$.detail.{member}");
                assert!(
                    !paths.values().any(|it| *it == unsafe_path),
                    "{name}: {unsafe_path}"
                );
            }
            // Values, not keys, and JSON whichever of them is a number.
            let filled = defined.iter().fold(text.to_owned(), |text, variable| {
                text.replace(&format!(": <{variable}>"), ": 0")
            });
            let filled: Value = serde_json::from_str(&filled)
                .unwrap_or_else(|error| panic!("{name}: {error}: {filled}"));
            assert!(filled.is_object());
        }
    }
    assert_eq!(transformers, 5);
}

#[test]
fn a_secret_is_hidden_and_goes_into_the_connection_only() {
    for (name, template) in templates() {
        let parameters = template["Parameters"].as_object().expect("parameters");
        let hidden = parameters.iter().filter(|(_, it)| it["NoEcho"] == true);
        let [(secret, parameter)] = hidden.collect::<Vec<_>>()[..] else {
            panic!("{name}: one secret")
        };
        assert_eq!(parameter["Default"], "none", "{name}");
        for (logical, resource) in template["Resources"].as_object().expect("resources") {
            let text = resource.to_string();
            let has =
                text.contains(&json!({ "Ref": secret }).to_string()) || text.contains("SecretId");
            assert_eq!(has, logical == "Connection", "{name}: {logical}");
        }
        assert!(template["Outputs"].is_null(), "{name}");
        let one = &template["Rules"]["OneSecret"]["Assertions"];
        assert_eq!(one.as_array().map(Vec::len), Some(1), "{name}");
    }
}

#[test]
fn eventbridge_may_call_only_the_destinations_and_failed_deliveries_are_kept_with_an_alarm() {
    for (name, template) in templates() {
        let arn = |(logical, _): (&String, _)| json!({ "GetAtt": format!("{logical}.Arn") });
        let destinations = resources(&template, "AWS::Events::ApiDestination").into_iter();
        let destinations: Vec<_> = destinations.map(arn).collect();
        let one_or_all = |all: &[Value]| match all {
            [one] => one.clone(),
            all => json!(all),
        };
        let role = &template["Resources"]["InvokeRole"]["Properties"];
        let statements = &role["Policies"][0]["PolicyDocument"]["Statement"];
        let invoke = json!([{
            "Effect": "Allow", "Action": "events:InvokeApiDestination", "Resource": one_or_all(&destinations),
        }]);
        assert_eq!(*statements, invoke, "{name}");
        assert_eq!(role["Policies"].as_array().map(Vec::len), Some(1), "{name}");
        for (logical, destination) in resources(&template, "AWS::Events::ApiDestination") {
            let rate = destination["InvocationRateLimitPerSecond"].as_u64();
            assert!(rate.is_some_and(|rate| rate <= 10), "{name}: {logical}");
        }
        let rules = resources(&template, "AWS::Events::Rule");
        let queue = json!({ "Arn": { "GetAtt": "DeadLetterQueue.Arn" } });
        for target in targets(&template) {
            assert_eq!(target["DeadLetterConfig"], queue, "{name}");
            assert_eq!(
                target["RetryPolicy"]["MaximumEventAgeInSeconds"], 3600,
                "{name}"
            );
            assert!(destinations.contains(&target["Arn"]), "{name}");
        }
        let policy =
            &template["Resources"]["DeadLetterQueuePolicy"]["Properties"]["PolicyDocument"];
        let sources = &policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"];
        let of_rules: Vec<_> = rules.iter().copied().map(arn).collect();
        assert_eq!(*sources, one_or_all(&of_rules), "{name}");
        let alarms = resources(&template, "AWS::CloudWatch::Alarm");
        assert_eq!(alarms.len(), rules.len() + 1, "{name}");
        for (logical, alarm) in alarms {
            assert_eq!(
                alarm["AlarmActions"],
                json!([{ "Ref": "NotificationTopic" }]),
                "{name}: {logical}"
            );
        }
    }
}
