//! The documents are held against the code.

mod claims;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use integration_tests::checkout;
use integration_tests::documents::{all, blocks, read};
use serde_json::Value;

use crate::common::yaml;

/// The rows of the README's tables of parameters: the names, the default, the meaning.
fn parameters_of_the_readme() -> Vec<(Vec<String>, String, String)> {
    let readme = read("README.md");
    let section = readme.split("\n### Parameters\n").nth(1);
    let section = section.and_then(|rest| rest.split("\n## ").next());
    let rows = section.expect("a section").lines();
    let rows = rows.filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row
            .trim_matches('|')
            .splitn(3, '|')
            .map(str::trim)
            .collect();
        let [names, default, meaning] = cells[..] else {
            panic!("{row}")
        };
        let names = names
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned());
        let default = default.trim_matches('`').to_owned();
        (names.collect(), default, meaning.to_owned())
    })
    .collect()
}

#[test]
fn the_readme_has_each_parameter_of_the_template_once_with_its_default_and_its_words() {
    let template = yaml("template.yaml");
    let parameters = template["Parameters"].as_object().expect("parameters");
    let plain = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string())
    };
    let mut told = Vec::new();
    for (names, default, meaning) in parameters_of_the_readme() {
        for name in names {
            let parameter = parameters.get(&name);
            let parameter = parameter.unwrap_or_else(|| panic!("the template has no {name}"));
            assert_eq!(default, plain(&parameter["Default"]), "{name}");
            let words = parameter["AllowedValues"].as_array().into_iter().flatten();
            // The meaning says by itself what `true`, `false` and a number do.
            let words = words.filter_map(Value::as_str);
            for word in words.filter(|word| !["true", "false", default.as_str()].contains(word)) {
                assert!(meaning.contains(&format!("`{word}`")), "{name}: {word}");
            }
            told.push(name);
        }
    }
    told.sort();
    let mut known: Vec<_> = parameters.keys().cloned().collect();
    known.sort();
    assert_eq!(told, known);
}

/// Headings as a page of Markdown names them.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in document.lines() {
        fenced ^= line.starts_with("```");
        if let Some(title) = line.strip_prefix('#').filter(|_| !fenced) {
            let title = title.trim_start_matches('#').trim().to_lowercase();
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            found.insert(
                title
                    .chars()
                    .filter(kept)
                    .collect::<String>()
                    .replace(' ', "-"),
            );
        }
    }
    found
}

#[test]
fn every_link_within_the_documents_leads_somewhere() {
    let mut links = 0;
    for path in all() {
        let document = read(&path);
        for link in document.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
            let target = if file.is_empty() {
                Path::new(&path).to_owned()
            } else {
                folder.join(file)
            };
            let full = checkout().join(&target);
            assert!(full.exists(), "{path}: {link} leads nowhere");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&full).expect("a document");
                assert!(
                    anchors(&text).contains(anchor),
                    "{path}: {link} has no such heading"
                );
            }
            links += 1;
        }
    }
    assert!(links > 20, "{links} links");
}

#[test]
fn every_target_of_make_in_the_documents_is_one() {
    let mut targets = BTreeSet::new();
    for path in all() {
        let document = read(&path);
        for line in blocks(&document, "sh").into_iter().flat_map(str::lines) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(arguments) = line.strip_prefix("make ") {
                targets.insert(arguments.to_owned());
            }
        }
    }
    assert!(targets.len() > 5, "{targets:?}");
    for arguments in targets {
        let made = Command::new("make")
            .arg("--dry-run")
            .args(arguments.split_whitespace())
            .current_dir(checkout())
            .output()
            .expect("make");
        assert!(made.status.success(), "make {arguments}: {made:?}");
    }
}

#[test]
fn every_policy_in_the_documents_is_valid_without_a_warning() {
    let mut policies = 0;
    for path in all() {
        for block in blocks(&read(&path), "cedar") {
            let text = format!("{}\n{block}", remediation::guard::DEFAULT);
            match remediation::guard::Policies::parse(&text) {
                Ok(parsed) => assert_eq!(parsed.warnings, [], "{path}: {block}"),
                Err(problems) => panic!("{path}: {problems:?} in {block}"),
            }
            policies += 1;
        }
    }
    assert!(policies > 8, "{policies} policies");
}

/// What the schema knows is what the playbooks can do: a test of the library holds that.
#[test]
fn each_step_is_on_the_page_of_its_playbook_and_no_other_is() {
    let schema = read("shared/policy/src/schema.cedarschema");
    let services = [
        "s3:",
        "iam:",
        "ec2:",
        "autoscaling:",
        "elasticloadbalancing:",
    ];
    let steps = |text: &str, quote: char| -> BTreeSet<String> {
        let quoted = text.split(quote).skip(1).step_by(2);
        quoted
            .filter(|name| {
                services.iter().any(|service| {
                    name.strip_prefix(service)
                        .is_some_and(|rest| rest.starts_with(|c: char| c.is_uppercase()))
                })
            })
            .map(ToOwned::to_owned)
            .collect()
    };
    let known: BTreeSet<String> = schema
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| steps(line, '"'))
        .collect();
    let mut told = BTreeSet::new();
    for page in ["s3", "iam", "ec2"] {
        // The tables; elsewhere a page may speak of calls and condition keys.
        let page = read(&format!("docs/playbooks/{page}.md"));
        let rows = page.lines().filter(|line| line.starts_with('|'));
        told.extend(rows.flat_map(|row| steps(row, '`')));
    }
    assert!(known.len() > 20, "{known:?}");
    assert_eq!(told, known);
}
