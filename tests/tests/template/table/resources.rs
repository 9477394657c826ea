//! The resources, with every value that is set: how long each is kept, how long it may take, what becomes of it
//! when the stack is deleted.

use serde_json::Value;

use super::{flattened, said};

/// Members that other parts of the table have, or other tests hold: texts, policies, the routes of findings.
fn is_elsewhere(way: &str) -> bool {
    let last = way.rsplit('.').next().unwrap_or_default();
    [
        "AssumeRolePolicyDocument",
        "Content",
        "DashboardBody",
        "Description",
        "Pattern",
        "Policies",
        "PolicyDocument",
        "Value",
        "Variables",
    ]
    .contains(&last)
}

pub(super) fn all(template: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let globals = flattened(&template["Globals"], &is_elsewhere);
    if !template["Globals"].is_null() {
        lines.push("each function".to_owned());
        lines.extend(
            globals
                .into_iter()
                .map(|(way, value)| format!("    {way}: {value}")),
        );
    }
    for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
        if resource["Type"] == "AWS::CloudWatch::Alarm" {
            continue;
        }
        let kind = resource["Type"].as_str().unwrap_or_default();
        lines.push(format!("{name}, {kind}"));
        for (key, value) in resource.as_object().into_iter().flatten() {
            match key.as_str() {
                "Type" | "Metadata" => {}
                "Properties" => {
                    let set = flattened(value, &is_elsewhere).into_iter();
                    lines.extend(set.map(|(way, value)| format!("    {way}: {value}")));
                }
                // The condition, the dependencies, and what stays when the stack goes.
                _ => lines.push(format!("    ({key}: {})", said(value))),
            }
        }
    }
    lines
}
