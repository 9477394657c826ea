//! The alarms and the dashboard that are deployed with the stack.

use std::collections::BTreeSet;

use integration_tests::scenario::StolenRoleSession;
use integration_tests::stack::RESPONDERS;
use integration_tests::{Result, Scenario, Stack, cloudwatch};
use serde_json::{Value, json};

use crate::e2e::notice::{next, subscribe};
use crate::e2e::world::{World, expect_status, on_aws};

/// The alarms and dashboards of a stack's nested stack, by their kinds and ids.
async fn operations(world: &World, stack: &Stack<'_>) -> Result<Vec<(String, String)>> {
    let cloudformation = aws_sdk_cloudformation::Client::new(&world.aws.root());
    let resources = async |name: &str| -> Result<Vec<(String, String)>> {
        let call = cloudformation.list_stack_resources().stack_name(name);
        let found = call.send().await?;
        let resources = found.stack_resource_summaries().iter();
        let named = resources.filter_map(|it| {
            Some((
                it.resource_type()?.to_owned(),
                it.physical_resource_id()?.to_owned(),
            ))
        });
        Ok(named.collect())
    };
    let of_stack = resources(&stack.name).await?;
    let mut found = Vec::new();
    for (kind, id) in of_stack {
        match kind.as_str() {
            "AWS::CloudFormation::Stack" => found.extend(resources(&id).await?),
            "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::Dashboard" => found.push((kind, id)),
            _ => {}
        }
    }
    Ok(found)
}

#[test]
fn the_alarms_and_the_dashboard_are_deployed_with_the_stack_unless_the_setting_says_no() -> Result {
    on_aws(async |world| {
        let without = Stack::deploy(world.aws, "gdr-silent", &[("AlarmsAndDashboard", "false")]);
        assert_eq!(operations(world, &without.await?).await?, []);

        let found = operations(world, &world.enforcing).await?;
        let of_kind = |kind: &str| {
            let ids = found.iter().filter(|(of, _)| of == kind);
            ids.map(|(_, id)| id.clone()).collect::<BTreeSet<_>>()
        };
        let alarms = of_kind("AWS::CloudWatch::Alarm");
        let dashboards = of_kind("AWS::CloudWatch::Dashboard");
        assert_eq!((alarms.len(), dashboards.len()), (18, 1), "{found:?}");
        let named = json!({ "AlarmNames": alarms });
        let described = cloudwatch::call(world.aws, "describe_alarms", &named)?;
        let described = described["MetricAlarms"].as_array().ok_or("no alarms")?;
        let topics = ["NotificationTopic", "ChatTopic"].map(|topic| world.enforcing.output(topic));
        let [text, chat] = topics;
        let topics = [text?, chat?];
        assert_eq!(described.len(), 18);
        for alarm in described {
            assert_eq!(alarm["AlarmActions"], json!(topics), "{alarm:#}");
        }
        let named = json!({ "DashboardName": dashboards.first() });
        let body = cloudwatch::call(world.aws, "get_dashboard", &named)?;
        let body: Value = serde_json::from_str(body["DashboardBody"].as_str().unwrap_or_default())?;
        let text = body.to_string();
        assert!(!text.contains("${"), "everything is filled in: {text}");
        for responder in RESPONDERS {
            let function = world.enforcing.function(responder)?;
            assert!(text.contains(function), "{function} is shown: {text}");
        }
        Ok(())
    })
}

/// CloudWatch takes metrics from the log by itself, which local AWS does not: here the test does, as the
/// line of the report says.
#[test]
fn a_report_of_a_failure_raises_the_alarm_that_tells_the_topic() -> Result {
    on_aws(async |world| {
        let function = world.enforcing.function("Iam")?;
        let mut broken = StolenRoleSession::create(world.aws).await?.finding()?.0;
        broken["detail"]["severity"] = json!("high");
        let inbox = subscribe(world, "NotificationTopic").await?;
        let report = world.enforcing.invoke(function, &broken).await?;
        expect_status(&report, "failed");
        let id = report["finding_id"].as_str().ok_or("no id")?;
        let lines = world.enforcing.await_reports("Iam", id, 1).await?;
        let line = lines.last().ok_or("no line")?;
        let directives = line["_aws"]["CloudWatchMetrics"].as_array();
        for directive in directives.ok_or("no metrics")? {
            assert_eq!(directive["Namespace"], world.enforcing.name);
            let data =
                json!({ "Namespace": directive["Namespace"], "MetricData": data(line, directive) });
            cloudwatch::call(world.aws, "put_metric_data", &data)?;
        }
        let alarms = cloudwatch::call(
            world.aws,
            "describe_alarms",
            &json!({ "StateValue": "ALARM" }),
        )?;
        let raised = alarms["MetricAlarms"].as_array().into_iter().flatten();
        let raised = raised.filter(|alarm| alarm["Namespace"] == world.enforcing.name);
        let raised: Vec<_> = raised.map(|alarm| &alarm["MetricName"]).collect();
        assert_eq!(raised, ["NotContained"]);
        // Other tests' notices come there too.
        while let Some(notice) = next(world, &inbox).await? {
            let told = notice["Message"].as_str().unwrap_or_default();
            if told.contains("A finding was not contained") && told.contains("NotContained") {
                return Ok(());
            }
        }
        Err("the topic was not told".into())
    })
}

/// What CloudWatch would take of `line` by `directive`.
fn data(line: &Value, directive: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut data = Vec::new();
    for metric in list(&directive["Metrics"]) {
        let name = metric["Name"].as_str().unwrap_or_default();
        for set in list(&directive["Dimensions"]) {
            let dimensions = list(&set).into_iter().map(|dimension| {
                let value = &line[dimension.as_str().unwrap_or_default()];
                json!({ "Name": dimension, "Value": value })
            });
            data.push(json!({
                "MetricName": name, "Value": line[name], "Unit": metric["Unit"],
                "Dimensions": dimensions.collect::<Vec<_>>(),
            }));
        }
    }
    data
}
