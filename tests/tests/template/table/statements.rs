//! Who is denied what, action by action; and whom the resources' own policies, and the trust of the roles, let in.
//! The roles' allowed actions are held against the code (`permissions`) and against runs (`privilege`).

use integration_tests::Result;
use serde_json::Value;

use super::said;

pub(super) fn all(template: &Value) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
        let properties = &resource["Properties"];
        let mut add = |title: String, document: &Value, denied_only: bool| -> Result {
            let said = statements(document, denied_only)?;
            if !said.is_empty() {
                lines.push(title);
                lines.extend(said);
            }
            Ok(())
        };
        for policy in properties["Policies"].as_array().into_iter().flatten() {
            let title = format!(
                "{name}, policy {}",
                policy["PolicyName"].as_str().unwrap_or_default()
            );
            add(title, &policy["PolicyDocument"], true)?;
        }
        let own = &properties["PolicyDocument"];
        match resource["Type"].as_str().unwrap_or_default() {
            "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" => add(name.clone(), own, true)?,
            "AWS::IAM::Role" => {
                let trust = &properties["AssumeRolePolicyDocument"];
                add(format!("{name}, who may assume it"), trust, false)?;
            }
            "AWS::Organizations::Policy" => add(name.clone(), &properties["Content"], false)?,
            _ => add(name.clone(), own, false)?,
        }
    }
    Ok(lines)
}

fn statements(document: &Value, denied_only: bool) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for statement in document["Statement"].as_array().into_iter().flatten() {
        let effect = statement["Effect"].as_str().ok_or("no effect")?;
        if denied_only && effect != "Deny" {
            continue;
        }
        lines.push(format!("    {effect}"));
        for (key, value) in statement.as_object().into_iter().flatten() {
            match key.as_str() {
                "Effect" => {}
                // One a line, so that a difference shows which one.
                "Action" | "NotAction" | "Resource" | "NotResource" => {
                    let mut several: Vec<_> = match value {
                        Value::Array(items) => items.iter().map(said).collect(),
                        one => vec![said(one)],
                    };
                    several.sort();
                    let several = several.into_iter();
                    lines.extend(several.map(|one| format!("        {key} {one}")));
                }
                _ => lines.push(format!("        {key} {}", said(value))),
            }
        }
    }
    Ok(lines)
}
