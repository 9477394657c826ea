//! The alarms and the dashboard, held against the metrics that there are and against the runbook.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::checkout;
use remediation::metrics::{METRICS, POLICY_UNUSABLE};
use serde_json::{Value, json};

use crate::common::yaml;
use integration_tests::stack::RESPONDERS;

fn operations() -> Value {
    yaml("infra/operations.yaml")
}

fn of_type<'a>(template: &'a Value, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    let resources = template["Resources"].as_object().expect("resources");
    let resources = resources.iter();
    resources
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
        .collect()
}

fn alarms(template: &Value) -> BTreeMap<&str, &Value> {
    let alarms = of_type(template, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() > 10, "{alarms:?}");
    alarms
}

/// Whether there is such a metric: one that the functions write under these dimensions, or one of AWS's.
fn exists(namespace: &str, name: &str, dimensions: &[&str]) -> bool {
    match namespace {
        "ours" => METRICS
            .iter()
            .any(|metric| metric.name == name && metric.dimensions.contains(&dimensions)),
        // <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>
        "AWS/Lambda" => ["Errors", "Throttles"].contains(&name) && dimensions == ["FunctionName"],
        // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
        "AWS/SQS" => name == "ApproximateNumberOfMessagesVisible" && dimensions == ["QueueName"],
        _ => false,
    }
}

#[test]
fn each_alarm_looks_at_a_metric_that_is_written_and_tells_the_topics() {
    let template = operations();
    for (name, alarm) in alarms(&template) {
        let namespace = match &alarm["Namespace"] {
            Value::String(namespace) => namespace,
            ours => {
                assert_eq!(*ours, json!({ "Ref": "Namespace" }), "{name}");
                "ours"
            }
        };
        let dimensions = alarm["Dimensions"].as_array().into_iter().flatten();
        let dimensions: Vec<_> = dimensions
            .map(|it| it["Name"].as_str().expect("a name"))
            .collect();
        let metric = alarm["MetricName"].as_str().expect("a metric");
        assert!(
            exists(namespace, metric, &dimensions),
            "{name}: {namespace} {metric} {dimensions:?}"
        );
        assert_eq!(alarm["AlarmActions"], json!({ "Ref": "Tell" }), "{name}");
        // Longest of CloudWatch, <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html>.
        let description = alarm["AlarmDescription"].as_str().expect("a description");
        assert!(description.len() <= 1024, "{name}");
    }
    let main = yaml("template.yaml");
    let variables = &main["Globals"]["Function"]["Environment"]["Variables"];
    let nested = &main["Resources"]["Operations"]["Properties"]["Parameters"];
    assert_eq!(
        variables["METRICS_NAMESPACE"],
        json!({ "Ref": "AWS::StackName" })
    );
    assert_eq!(nested["Namespace"], variables["METRICS_NAMESPACE"]);
    let tell = json!({ "If": [
        "NotifiesChat",
        { "Join": [",", [{ "Ref": "NotificationTopic" }, { "Ref": "ChatTopic" }]] },
        { "Ref": "NotificationTopic" },
    ] });
    assert_eq!(nested["Tell"], tell);
}

#[test]
fn each_function_and_each_queue_has_an_alarm() {
    let template = operations();
    let watched: BTreeSet<_> = alarms(&template)
        .values()
        .filter_map(|alarm| {
            let value = alarm["Dimensions"][0]["Value"]["Ref"].as_str()?;
            Some((alarm["MetricName"].as_str()?, value))
        })
        .collect();
    let functions = RESPONDERS.map(|name| format!("{name}Function"));
    let mut expected = BTreeSet::from([
        ("ApproximateNumberOfMessagesVisible", "DeadLetterQueue"),
        ("ApproximateNumberOfMessagesVisible", "OnFailureQueue"),
    ]);
    for function in &functions {
        let function = function.as_str();
        expected.extend([("Errors", function), ("Throttles", function)]);
    }
    assert_eq!(watched, expected);
    let filters = of_type(&template, "AWS::Logs::MetricFilter");
    let logs: BTreeSet<_> = filters
        .values()
        .map(|it| it["LogGroupName"]["Ref"].as_str())
        .collect();
    assert_eq!(
        logs,
        BTreeSet::from(["S3Log", "IamLog", "Ec2Log", "LambdaLog"].map(Some))
    );
    for filter in filters.values() {
        let pattern = format!("{{ $.fields.message = \"{}*\" }}", policy::UNUSABLE);
        assert_eq!(filter["FilterPattern"], pattern);
        assert_eq!(
            filter["MetricTransformations"][0]["MetricName"],
            POLICY_UNUSABLE
        );
    }
}

/// CloudWatch looks back seven days at most,
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html>.
#[test]
fn days_without_a_finding_raise_an_alarm_within_cloudwatchs_longest_period() {
    let template = operations();
    let alarm = alarms(&template)["NoFindingAlarm"];
    assert_eq!(alarm["TreatMissingData"], "breaching");
    assert_eq!(alarm["EvaluationPeriods"], json!({ "Ref": "QuietDays" }));
    let main = yaml("template.yaml");
    for parameter in [
        &template["Parameters"]["QuietDays"],
        &main["Parameters"]["QuietDays"],
    ] {
        let most = parameter["MaxValue"].as_u64().expect("a number");
        let period = alarm["Period"].as_u64().expect("seconds");
        assert!(most * period <= 604_800);
        assert_eq!(parameter["MinValue"], 0);
    }
}

/// The dashboard's text, as JSON; what is filled in stands as it is named.
fn dashboard(template: &Value) -> Value {
    let dashboards = of_type(template, "AWS::CloudWatch::Dashboard");
    let body = &dashboards["Dashboard"]["DashboardBody"]["Sub"][0];
    let text = body.as_str().expect("a text").replace("${NoFinding}", "");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_dashboard_shows_only_metrics_that_are_written_and_every_alarm() {
    let template = operations();
    let dashboard = dashboard(&template);
    let widgets = dashboard["widgets"].as_array().expect("widgets");
    let mut shown = 0;
    for widget in widgets.iter().filter(|widget| widget["type"] == "metric") {
        for metric in widget["properties"]["metrics"].as_array().expect("metrics") {
            let parts: Vec<_> = metric
                .as_array()
                .expect("a metric")
                .iter()
                .map(|it| it.as_str().expect("a text"))
                .collect();
            let [namespace, name, dimensions @ ..] = &parts[..] else {
                panic!("{metric}")
            };
            let namespace = if *namespace == "${Namespace}" {
                "ours"
            } else {
                namespace
            };
            let names: Vec<_> = dimensions.iter().step_by(2).copied().collect();
            assert!(exists(namespace, name, &names), "{metric}");
            shown += 1;
        }
    }
    assert!(shown > 30, "{shown}");
    let listed = &widgets[0]["properties"]["alarms"];
    let listed: BTreeSet<_> = listed
        .as_array()
        .expect("alarms")
        .iter()
        .map(|arn| arn.as_str().expect("an ARN").to_owned())
        .collect();
    let mut expected: BTreeSet<_> = alarms(&template)
        .keys()
        .map(|name| format!("${{{name}.Arn}}"))
        .collect();
    // Only where there is one.
    assert!(expected.remove("${NoFindingAlarm.Arn}"));
    assert_eq!(listed, expected);
    for log in widgets.iter().filter(|widget| widget["type"] == "log") {
        let query = log["properties"]["query"].as_str().expect("a query");
        for group in ["S3Log", "IamLog", "Ec2Log", "TriageLog"] {
            assert!(query.contains(&format!("SOURCE '${{{group}}}'")), "{query}");
        }
    }
}

#[test]
fn each_alarm_names_its_section_of_the_runbook_and_each_section_has_an_alarm() {
    let runbook = std::fs::read_to_string(checkout().join("docs/runbook.md")).expect("the runbook");
    let sections: BTreeSet<_> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(ToOwned::to_owned)
        .collect();
    let template = operations();
    let mut named = BTreeSet::new();
    for (name, alarm) in alarms(&template) {
        let kind = name.strip_suffix("Alarm").expect("the name of an alarm");
        let functions = RESPONDERS;
        let kind = functions
            .iter()
            .find_map(|function| kind.strip_prefix(function))
            .unwrap_or(kind);
        let description = alarm["AlarmDescription"].as_str().expect("a description");
        assert!(
            description
                .trim_end()
                .ends_with(&format!("Runbook: {kind}.")),
            "{name}: {description}"
        );
        named.insert(kind.to_owned());
    }
    assert_eq!(named, sections);
    for section in runbook.split("\n## ").skip(1) {
        for part in ["**It means**", "**Look**", "**Do**"] {
            assert!(section.contains(part), "no {part} in: {section}");
        }
    }
}
