//! The alarms, each in one line.

use integration_tests::Result;
use serde_json::Value;

use super::{flattened, said};

/// The members that the lines have. Every other member of an alarm is told below them.
const TOLD: [&str; 12] = [
    "AlarmDescription",
    "Namespace",
    "MetricName",
    "Dimensions",
    "Statistic",
    "Period",
    "EvaluationPeriods",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "AlarmActions",
    "OKActions",
];

pub(super) fn all(template: &Value) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
        if resource["Type"] == "AWS::CloudWatch::Alarm" {
            let condition = resource["Condition"].as_str();
            let condition = condition
                .map(|it| format!(" (if {it})"))
                .unwrap_or_default();
            lines.push(format!("{name}{condition}"));
            lines.extend(alarm(&resource["Properties"])?);
        }
    }
    Ok(lines)
}

fn alarm(alarm: &Value) -> Result<Vec<String>> {
    let compared = match alarm["ComparisonOperator"].as_str() {
        Some("GreaterThanThreshold") => ">",
        Some("GreaterThanOrEqualToThreshold") => ">=",
        Some("LessThanThreshold") => "<",
        Some("LessThanOrEqualToThreshold") => "<=",
        other => return Err(format!("the comparison {other:?}").into()),
    };
    let dimensions = alarm["Dimensions"].as_array().into_iter().flatten();
    let dimensions =
        dimensions.map(|it| format!(" of {} {}", said(&it["Name"]), said(&it["Value"])));
    let mut lines = vec![
        format!(
            "    goes off: {} of {} {}{} in {} s {compared} {}, {} times in a row",
            said(&alarm["Statistic"]),
            said(&alarm["Namespace"]),
            said(&alarm["MetricName"]),
            dimensions.collect::<String>(),
            said(&alarm["Period"]),
            said(&alarm["Threshold"]),
            said(&alarm["EvaluationPeriods"]),
        ),
        format!("    without data: {}", said(&alarm["TreatMissingData"])),
        format!("    tells: {}", said(&alarm["AlarmActions"])),
    ];
    if !alarm["OKActions"].is_null() {
        lines.push(format!(
            "    tells when it is over: {}",
            said(&alarm["OKActions"])
        ));
    }
    for (way, value) in flattened(alarm, &|way| TOLD.contains(&way)) {
        lines.push(format!("    {way}: {value}"));
    }
    Ok(lines)
}
