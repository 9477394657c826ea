//! The parameters, the functions' variables, and the settings that the code takes from them: each parameter is
//! changed, and what `Config` says then is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use integration_tests::Result;
use remediation::Config;
use serde_json::{Value, json};

use super::{constraint, said};
use crate::privilege::template::Deployed;
use integration_tests::stack::RESPONDERS;

const ALL: &str = "each function";

/// Values of the parameters that have neither a list of values nor limits.
const SAMPLES: [(&str, &str); 7] = [
    ("ApprovalNotNeededFrom", "8.5"),
    ("Approvers", "arn:aws:iam::111122223333:role/on-call"),
    (
        "BreakGlassPrincipals",
        "arn:aws:iam::111122223333:role/break-glass",
    ),
    ("Ec2ForensicsAccess", "from sg-0123456789abcdef0 tcp/22"),
    ("ExternalId", "an-external-id"),
    ("NeverContain", "break-glass"),
    ("NotificationEmail", "on-call@example.com"),
];

/// Values that change something only together with another parameter.
const TOGETHER: [(&str, &str, (&str, &str)); 3] = [
    ("Mode", "hub", ("ExternalId", "an-external-id")),
    ("ExternalId", "an-external-id", ("Mode", "hub")),
    ("VerifyFindings", "false", ("Mode", "hub")),
];

type Set = BTreeMap<String, String>;
type Environments = BTreeMap<&'static str, Set>;

/// The environment of each function of a stack with these parameters.
fn environments(template: &Value, parameters: &Set) -> Result<Environments> {
    let names = template["Resources"].as_object().into_iter().flatten();
    let stack = Deployed {
        template: template.clone(),
        parameters: parameters.clone(),
        stack: "gdr".to_owned(),
        partition: "aws".to_owned(),
        account: "111122223333".to_owned(),
        region: "us-east-1".to_owned(),
        resources: names
            .map(|(name, _)| (name.clone(), (name.clone(), format!("arn:of:{name}"))))
            .collect(),
    };
    let environments = RESPONDERS.into_iter().map(|function| {
        let environment = stack.environment(&format!("{function}ResponderFunction"))?;
        Ok((function, environment))
    });
    environments.collect()
}

/// The settings that the code takes from an environment, by their names.
fn settings(environment: &Set) -> Set {
    by_name(&format!("{:#?}", Config::from_variables(environment)))
}

/// The members in the text of `{:#?}`, by the way to each. A list or a value with parts is one text.
fn by_name(debug: &str) -> Set {
    let mut names: Vec<&str> = Vec::new();
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in debug.lines().skip(1) {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 4;
        let text = text.trim_end_matches(',');
        let member = text.split_once(": ").filter(|(name, _)| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        });
        // The end of a value is as deep as its name.
        let closes = text.starts_with([')', ']']);
        names.truncate(if closes {
            depth
        } else {
            depth.saturating_sub(1)
        });
        if let Some((name, value)) = member {
            names.resize(depth.saturating_sub(1), "");
            names.push(name);
            let is_struct = value.ends_with(" {");
            if !is_struct {
                found.entry(way(&names)).or_default().push(value);
            }
        } else if !matches!(text, "}" | "") {
            found.entry(way(&names)).or_default().push(text);
        }
    }
    found
        .into_iter()
        .map(|(way, parts)| (way, parts.join(" ")))
        .collect()
}

fn way(names: &[&str]) -> String {
    let names: Vec<_> = names
        .iter()
        .copied()
        .filter(|name| !name.is_empty())
        .collect();
    names.join(".")
}

/// The values that differ in `after`: before, and after.
fn differences(before: &Set, after: &Set) -> Vec<(String, String)> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let value = |set: &Set, name: &str| set.get(name).cloned().unwrap_or_else(|| "-".to_owned());
    let changed = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    changed
        .map(|name| {
            let change = format!("{} -> {}", value(before, name), value(after, name));
            (name.clone(), change)
        })
        .collect()
}

/// The values that a parameter is tried with beside its default.
fn tried(name: &str, parameter: &Value) -> Result<Vec<String>> {
    let default = plain(&parameter["Default"]);
    let mut values: Vec<_> = if let Some(allowed) = parameter["AllowedValues"].as_array() {
        allowed.iter().map(plain).collect()
    } else if !parameter["MinValue"].is_null() {
        [&parameter["MinValue"], &parameter["MaxValue"]]
            .map(plain)
            .to_vec()
    } else {
        let sample = SAMPLES.iter().find(|(of, _)| *of == name);
        let sample = sample.ok_or_else(|| format!("SAMPLES has no value of {name}"))?;
        vec![sample.1.to_owned()]
    };
    values.retain(|value| *value != default);
    if values.is_empty() {
        return Err(format!("{name} has no value but its default").into());
    }
    Ok(values)
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The functions that something is true of, as the table names them.
fn named(functions: &[&str]) -> String {
    if functions.len() == RESPONDERS.len() {
        ALL.to_owned()
    } else {
        functions.join(", ")
    }
}

/// Each parameter: its default, what else it may be, and what that changes.
pub(super) fn parameters(template: &Value) -> Result<String> {
    let mut text =
        "\n## template.yaml: parameters, and the settings that they change\n\n".to_owned();
    for (name, parameter) in template["Parameters"].as_object().ok_or("parameters")? {
        writeln!(text, "{name}")?;
        for line in constraint(parameter) {
            writeln!(text, "{line}")?;
        }
        let used = used_by(template, name);
        if !used.is_empty() {
            writeln!(text, "    used by: {}", used.join(", "))?;
        }
        for value in tried(name, parameter)? {
            let mut base = Set::new();
            let together = TOGETHER
                .iter()
                .find(|(of, with, _)| of == name && *with == value);
            if let Some((_, _, (other, of_other))) = together {
                base.insert((*other).to_owned(), (*of_other).to_owned());
            }
            let before = environments(template, &base)?;
            let mut changed = base.clone();
            changed.insert(name.clone(), value.clone());
            for line in changes(&before, &environments(template, &changed)?)
                .map_err(|problem| format!("{name} = {value}: {problem}"))?
            {
                writeln!(text, "    {value}: {line}")?;
            }
        }
    }
    Ok(text)
}

/// The settings that the second environments change, for all functions together that they are the same for. A variable
/// that differs and changes no setting is an error: the code does not read it, or under another name.
fn changes(before: &Environments, after: &Environments) -> Result<Vec<String>> {
    let mut alike: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
    for function in RESPONDERS {
        let (before, after) = (&before[function], &after[function]);
        let variables: Vec<_> = differences(before, after)
            .into_iter()
            .map(|(it, _)| it)
            .collect();
        let settings = differences(&settings(before), &settings(after));
        if variables.is_empty() {
            continue;
        }
        if settings.is_empty() {
            return Err(format!("{variables:?} of {function} changes no setting").into());
        }
        let mut lines = vec![variables.join(", ")];
        lines.extend(
            settings
                .into_iter()
                .map(|(name, change)| format!("{name} {change}")),
        );
        alike.entry(lines).or_default().push(function);
    }
    let lines = alike.into_iter().flat_map(|(lines, functions)| {
        let of = named(&functions);
        let (variables, settings) = lines
            .split_first()
            .map_or_else(Default::default, |(first, rest)| {
                (first.clone(), rest.to_vec())
            });
        settings
            .into_iter()
            .map(move |setting| format!("{variables} of {of}: {setting}"))
    });
    Ok(lines.collect())
}

/// The conditions, rules and resources that refer to a parameter.
fn used_by(template: &Value, parameter: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in ["Conditions", "Rules", "Resources", "Outputs"] {
        for (name, value) in template[part].as_object().into_iter().flatten() {
            if refers(value, parameter) {
                found.push(name.clone());
            }
        }
    }
    // The variables of all functions are told apart from it.
    let mut globals = template["Globals"]["Function"].clone();
    if let Some(globals) = globals.as_object_mut() {
        globals.remove("Environment");
    }
    if refers(&globals, parameter) {
        found.push(ALL.to_owned());
    }
    found
}

fn refers(value: &Value, name: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| refers(item, name)),
        Value::Object(members) => members.iter().any(|(key, member)| match member {
            Value::String(text) if key == "Ref" => text == name,
            Value::String(text) if key == "Sub" => text.contains(&format!("${{{name}}}")),
            other => refers(other, name),
        }),
        _ => false,
    }
}

/// Each variable of the functions: where it comes from, and which settings are others without it.
pub(super) fn variables(template: &Value) -> Result<String> {
    let mut text =
        "\n## template.yaml: variables of the functions, and the settings without each\n\n"
            .to_owned();
    let mut turned = Set::new();
    for (name, parameter) in template["Parameters"].as_object().ok_or("parameters")? {
        turned.insert(
            name.clone(),
            tried(name, parameter)?.pop().unwrap_or_default(),
        );
    }
    let stacks = [
        environments(template, &Set::new())?,
        environments(template, &turned)?,
    ];
    let own = |function: &str| {
        let resource = &template["Resources"][format!("{function}ResponderFunction")];
        resource["Properties"]["Environment"]["Variables"].clone()
    };
    let mut places = vec![(
        ALL,
        template["Globals"]["Function"]["Environment"]["Variables"].clone(),
    )];
    places.extend(RESPONDERS.map(|function| (function, own(function))));
    for (place, set) in places {
        for (name, value) in set.as_object().unwrap_or(&serde_json::Map::new()) {
            let function = if place == ALL { "Triage" } else { place };
            let without = stacks.iter().map(|stack| without(&stack[function], name));
            let lost = without.into_iter().find(|lost| !lost.is_empty());
            let lost =
                lost.ok_or_else(|| format!("no setting is another without {name} of {place}"))?;
            writeln!(text, "{name} of {place}: {}", said(value))?;
            for (setting, change) in lost {
                writeln!(text, "    {setting} {change}")?;
            }
        }
    }
    Ok(text)
}

fn without(environment: &Set, variable: &str) -> Vec<(String, String)> {
    let mut lacking = environment.clone();
    lacking.remove(variable);
    differences(&settings(environment), &settings(&lacking))
}

#[test]
fn members_are_found_by_their_names() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is only written")]
    struct Inner {
        word: Option<&'static str>,
        list: Vec<u8>,
    }
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is only written")]
    struct Outer {
        flag: bool,
        inner: Inner,
        last: u8,
    }
    let outer = Outer {
        flag: true,
        inner: Inner {
            word: Some("a: b"),
            list: vec![1, 2],
        },
        last: 3,
    };
    let found = by_name(&format!("{outer:#?}"));
    let expected = json!({
        "flag": "true",
        "inner.word": "Some( \"a: b\" )",
        "inner.list": "[ 1 2 ]",
        "last": "3",
    });
    assert_eq!(json!(found), expected);
}
