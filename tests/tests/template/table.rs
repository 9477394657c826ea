//! A table of the templates that an operator can read: each parameter with the settings of the
//! functions that it changes, each alarm, who is denied what, and how long anything is kept.
//!
//! The table is the templates' side, written down: nothing is in a template that is not in the table, and nothing
//! in the table that no template has. Where a change is meant, `UPDATE_EXPECT=1 cargo test -p integration-tests
//! template::table` rewrites it; the difference is what an operator gets to know of the change, so read it.

mod alarms;
mod environment;
mod resources;
mod statements;

use expect_test::expect_file;
use integration_tests::Result;
use serde_json::Value;

use crate::common::yaml;

/// The templates, in the order of the table.
const TEMPLATES: [&str; 10] = [
    "template.yaml",
    "infra/operations.yaml",
    "infra/member-roles.yaml",
    "infra/scp-keep-contained.yaml",
    "infra/scp-protect-responder.yaml",
    "infra/integrations/jira.yaml",
    "infra/integrations/opsgenie.yaml",
    "infra/integrations/pagerduty.yaml",
    "infra/integrations/servicenow.yaml",
    "infra/integrations/webhook.yaml",
];

const HEAD: &str = "\
The templates, value by value. This file is generated; tests/tests/template/table.rs says how.
Functions of CloudFormation are written as in YAML: !Ref, !GetAtt, !Sub, !If.
";

#[test]
fn the_templates_match_the_table_of_settings() -> Result {
    let mut text = HEAD.to_owned();
    let main = yaml("template.yaml");
    text += &environment::parameters(&main)?;
    text += &environment::variables(&main)?;
    for path in TEMPLATES {
        let template = yaml(path);
        if path != "template.yaml" {
            text += &section(&format!("{path}: parameters"), constraints(&template));
        }
        text += &section(&format!("{path}: conditions"), conditions(&template));
        text += &section(&format!("{path}: alarms"), alarms::all(&template)?);
        text += &section(&format!("{path}: resources"), resources::all(&template));
        text += &section(
            &format!("{path}: who may what, and who may not"),
            statements::all(&template)?,
        );
    }
    expect_file!["table.txt"].assert_eq(&text);
    Ok(())
}

/// Every template of the project is in the table.
#[test]
fn the_table_has_every_template() -> Result {
    let mut found = vec!["template.yaml".to_owned()];
    for folder in ["infra", "infra/integrations"] {
        for entry in integration_tests::checkout().join(folder).read_dir()? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".yaml") {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    found.sort();
    let mut known = TEMPLATES.map(str::to_owned).to_vec();
    known.sort();
    assert_eq!(found, known);
    Ok(())
}

/// Nothing, if there are no lines.
fn section(title: &str, lines: Vec<String>) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("\n## {title}\n\n{}\n", lines.join("\n"))
}

fn constraints(template: &Value) -> Vec<String> {
    let parameters = template["Parameters"].as_object().into_iter().flatten();
    let lines = parameters.flat_map(|(name, parameter)| {
        let mut lines = vec![name.clone()];
        lines.extend(constraint(parameter));
        lines
    });
    lines.collect()
}

/// The constraints of a parameter, and its default.
fn constraint(parameter: &Value) -> Vec<String> {
    let members = parameter.as_object().into_iter().flatten();
    let members = members
        .filter(|(key, _)| !["Description", "ConstraintDescription"].contains(&key.as_str()));
    members
        .map(|(key, value)| format!("    {key}: {}", said(value)))
        .collect()
}

fn conditions(template: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for part in ["Conditions", "Rules"] {
        for (name, condition) in template[part].as_object().into_iter().flatten() {
            lines.push(format!("{name}: {}", said(condition)));
        }
    }
    lines
}

/// A value of a template on one line.
fn said(value: &Value) -> String {
    let list = |items: &[Value]| {
        let items: Vec<_> = items.iter().map(said).collect();
        format!("[{}]", items.join(", "))
    };
    match value {
        Value::Array(items) => list(items),
        Value::Object(members) => {
            if let [(name, argument)] = members.iter().collect::<Vec<_>>()[..] {
                match (name.as_str(), argument) {
                    ("Ref" | "GetAtt" | "Condition", Value::String(name_of)) => {
                        return format!("!{name} {name_of}");
                    }
                    ("Sub", Value::String(text)) => return format!("!Sub {text:?}"),
                    (
                        "If" | "Equals" | "Not" | "And" | "Or" | "Join" | "Split" | "Sub",
                        argument,
                    ) => {
                        return format!("!{name} {}", said(argument));
                    }
                    _ => {}
                }
            }
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{key}: {}", said(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// The values below `value`, each with the way to it. `left_out` says which members are not looked into.
fn flattened(value: &Value, left_out: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
    fn add(
        way: &str,
        value: &Value,
        left_out: &dyn Fn(&str) -> bool,
        found: &mut Vec<(String, String)>,
    ) {
        match value {
            Value::Object(members) if !is_function(value) => {
                for (key, member) in members {
                    let way = if way.is_empty() {
                        key.clone()
                    } else {
                        format!("{way}.{key}")
                    };
                    if !left_out(&way) {
                        add(&way, member, left_out, found);
                    }
                }
            }
            Value::Array(items)
                if items
                    .iter()
                    .any(|item| item.is_object() && !is_function(item)) =>
            {
                for (index, item) in items.iter().enumerate() {
                    add(&format!("{way}[{index}]"), item, left_out, found);
                }
            }
            other => found.push((way.to_owned(), said(other))),
        }
    }
    let mut found = Vec::new();
    add("", value, left_out, &mut found);
    found
}

/// Whether it is `!Ref` and the like.
fn is_function(value: &Value) -> bool {
    let members = value.as_object().filter(|members| members.len() == 1);
    members.is_some_and(|members| {
        ["Ref", "GetAtt", "Sub", "If", "Join", "Split"]
            .iter()
            .any(|name| members.contains_key(*name))
    })
}
