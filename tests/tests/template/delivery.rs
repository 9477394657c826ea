//! The rules: which findings are delivered to which functions.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use integration_tests::Result;
use integration_tests::known_types::{self, event};
use remediation::catalogue::routes;
use remediation::finding::{DETAIL_TYPE, DRILL_SOURCE, Finding};
use remediation::notify;
use serde_json::{Value, json};

use super::{functions, rules, template};
use crate::shared_aws::on_aws;

/// Findings as AWS may send them one day: kinds that it has not named, and members that are missing.
fn unforeseen() -> Vec<Value> {
    let mut events = Vec::new();
    let resource_types = [
        json!({}),
        json!({ "resourceType": null }),
        json!({ "resourceType": "" }),
        json!({ "resourceType": "SomethingNew" }),
        json!({ "resourceType": "Instance" }),
        json!({ "resourceType": "Lambda" }),
        json!({ "resourceType": "AttackSequence" }),
    ];
    for resource in resource_types {
        for kind in [
            "Brand:New/Kind",
            "Brand:S3/New",
            "Brand:IAMUser/New",
            "Brand:EC2/New",
            "Brand:Runtime/New",
            "Brand:Lambda/New",
            "Policy:S3/BucketBlockPublicAccessDisabled",
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            "UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.OutsideAWS",
            "Execution:Runtime/ReverseShell",
            "AttackSequence:S3/CompromisedData",
            "AttackSequence:EKS/CompromisedCluster",
        ] {
            events.push(event(kind, &resource, &json!({})));
        }
    }
    let user_types = [
        "AssumedRole",
        "Root",
        "FederatedUser",
        "AWSService",
        "Directory",
        "New",
        "",
    ];
    for user_type in user_types.map(Value::from).into_iter().chain([Value::Null]) {
        for (kind, resource_type) in [
            ("Stealth:S3/ServerAccessLoggingDisabled", "AccessKey"),
            ("Exfiltration:S3/AnomalousBehavior", "S3Bucket"),
            ("Recon:IAMUser/TorIPCaller", "AccessKey"),
        ] {
            let resource = json!({
                "resourceType": resource_type, "accessKeyDetails": { "userType": user_type },
            });
            events.push(event(kind, &resource, &json!({})));
        }
    }
    // Without a kind of user, which the key tells.
    for key in ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", ""] {
        for user_type in [json!(""), json!("Unknown"), json!("New"), Value::Null] {
            let details = json!({ "accessKeyId": key, "userType": user_type });
            for kind in [
                "Exfiltration:S3/AnomalousBehavior",
                "Recon:IAMUser/TorIPCaller",
            ] {
                let resource = json!({ "accessKeyDetails": details });
                events.push(event(kind, &resource, &json!({})));
            }
        }
        let resource = json!({ "accessKeyDetails": { "accessKeyId": key } });
        events.push(event(
            "Exfiltration:S3/AnomalousBehavior",
            &resource,
            &json!({}),
        ));
    }
    for resource in [Value::Null, json!({ "accessKeyDetails": null })] {
        events.push(event(
            "Exfiltration:S3/AnomalousBehavior",
            &resource,
            &json!({}),
        ));
    }
    events
}

/// The functions that `event` is delivered to by the rules of `template`, once for each rule that
/// takes it. EventBridge's own language decides here, not a second reading of ours.
async fn delivered(
    bus: &aws_sdk_eventbridge::Client,
    template: &Value,
    event: &Value,
) -> Vec<String> {
    let mut delivered = Vec::new();
    for (name, function) in functions(template) {
        for rule in rules(function) {
            let matched = bus
                .test_event_pattern()
                .event_pattern(rule["Pattern"].to_string())
                .event(event.to_string())
                .send()
                .await
                .expect("a pattern that EventBridge takes");
            if matched.result() {
                delivered.push(name.to_lowercase());
            }
        }
    }
    delivered.sort_unstable();
    delivered
}

#[test]
fn each_kind_of_finding_is_delivered_once_to_exactly_the_functions_it_is_for() -> Result {
    on_aws(async |aws| {
        let template = &template();
        let bus = &aws_sdk_eventbridge::Client::new(&aws.root());
        let known = known_types::all();
        let known = known.iter().flat_map(|known| known.cases());
        let events: Vec<_> = known.map(|case| case.event).chain(unforeseen()).collect();
        assert!(events.len() > 400, "{} events", events.len());
        let mut outcomes = stream::iter(&events)
            .map(async |event| {
                let mut drill = event.clone();
                drill["source"] = json!(DRILL_SOURCE);
                let both = futures::join!(
                    delivered(bus, template, event),
                    delivered(bus, template, &drill),
                );
                (event, both)
            })
            .buffer_unordered(4);
        while let Some((event, (delivered, of_drill))) = outcomes.next().await {
            assert_eq!(
                of_drill, delivered,
                "a drill goes where its finding goes: {event}"
            );
            let expected: Vec<_> = match Finding::parse(event) {
                Ok(finding) => routes(&finding).iter().map(ToString::to_string).collect(),
                // Whoever receives it must say so.
                Err(_) => {
                    assert_eq!(delivered.len(), 1, "{event}");
                    continue;
                }
            };
            let expected: BTreeSet<_> = expected.into_iter().collect();
            assert_eq!(delivered, Vec::from_iter(expected), "{event}");
        }
        Ok(())
    })
}

#[test]
fn a_finding_without_a_type_is_delivered_to_triage_which_says_that_it_has_none() -> Result {
    on_aws(async |aws| {
        let template = template();
        let bus = aws_sdk_eventbridge::Client::new(&aws.root());
        let mut event = event("any", &json!({ "resourceType": "Instance" }), &json!({}));
        for without in [json!(null), json!(""), json!("no colon")] {
            event["detail"]["type"] = without;
            assert_eq!(
                delivered(&bus, &template, &event).await,
                ["triage"],
                "{event}"
            );
        }
        event["detail"]
            .as_object_mut()
            .expect("a finding")
            .remove("type");
        assert_eq!(
            delivered(&bus, &template, &event).await,
            ["triage"],
            "{event}"
        );
        Ok(())
    })
}

#[test]
fn no_rule_takes_an_event_that_is_neither_a_finding_of_guardduty_nor_a_drill() {
    for (name, function) in functions(&template()) {
        for rule in rules(function) {
            assert_eq!(
                rule["Pattern"]["source"],
                json!(["aws.guardduty", DRILL_SOURCE]),
                "{name}"
            );
            assert_eq!(
                rule["Pattern"]["detail-type"],
                json!([DETAIL_TYPE]),
                "{name}"
            );
        }
    }
}

/// What the responder puts on the bus must not come back to it, not even as a drill: not by its source,
/// whatever the report in it looks like.
#[test]
fn no_rule_of_the_stack_matches_events_of_the_responder() -> Result {
    on_aws(async |aws| {
        let template = template();
        let bus = aws_sdk_eventbridge::Client::new(&aws.root());
        let known = known_types::all();
        let cases: Vec<_> = known.iter().flat_map(|known| known.cases()).collect();
        for case in cases.iter().step_by(10) {
            for (source, detail_type) in [
                (notify::SOURCE, notify::DETAIL_TYPE),
                (notify::SOURCE, notify::DRILL_DETAIL_TYPE),
                (notify::SOURCE, DETAIL_TYPE),
                (DRILL_SOURCE, notify::DETAIL_TYPE),
                (DRILL_SOURCE, notify::DRILL_DETAIL_TYPE),
            ] {
                let mut event = case.event.clone();
                event["source"] = json!(source);
                event["detail-type"] = json!(detail_type);
                let taken = delivered(&bus, &template, &event).await;
                assert!(taken.is_empty(), "{taken:?} {event}");
            }
        }
        Ok(())
    })
}
