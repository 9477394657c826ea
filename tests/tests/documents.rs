//! The documents are held against the code.

mod claims;
mod prose;
mod sources;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use expect_test::expect_file;
use integration_tests::checkout;
use integration_tests::documents::{all, blocks, read};
use serde_json::Value;

use crate::common::yaml;

/// A parameter's names, its default and its meaning, as a table has them.
type Parameters = (Vec<String>, String, String);

/// The rows of a document's tables of parameters.
fn parameters_of(path: &str) -> Vec<Parameters> {
    let document = read(path);
    let tables = document
        .split("| parameter | default | meaning |\n")
        .skip(1);
    let rows = tables.flat_map(|table| {
        table
            .lines()
            .take_while(|line| line.starts_with('|'))
            .skip(1)
    });
    rows.map(|row| {
        let cells: Vec<_> = row
            .trim_matches('|')
            .splitn(3, '|')
            .map(str::trim)
            .collect();
        let [names, default, meaning] = cells[..] else {
            panic!("{path}: {row}")
        };
        let names = names
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned());
        let default = default.trim_matches('`').to_owned();
        (names.collect(), default, meaning.to_owned())
    })
    .collect()
}

/// Checks a document's parameters against the template. Returns their names.
fn checked_parameters(path: &str, template: &serde_json::Map<String, Value>) -> Vec<String> {
    let plain = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string())
    };
    let mut documented = Vec::new();
    for (names, default, meaning) in parameters_of(path) {
        for name in names {
            let parameter = template.get(&name);
            let parameter = parameter.unwrap_or_else(|| panic!("the template has no {name}"));
            assert_eq!(default, plain(&parameter["Default"]), "{path}: {name}");
            let words = parameter["AllowedValues"].as_array().into_iter().flatten();
            // The meaning says by itself what `true`, `false` and a number do.
            let words = words.filter_map(Value::as_str);
            for word in words.filter(|word| !["true", "false", default.as_str()].contains(word)) {
                let quoted = format!("`{word}`");
                assert!(meaning.contains(&quoted), "{path}: {name}: {word}");
            }
            documented.push(name);
        }
    }
    documented.sort();
    documented
}

#[test]
fn the_configuration_has_each_parameter_of_the_template_once_with_its_default_and_its_words() {
    let template = yaml("template.yaml");
    let parameters = template["Parameters"].as_object().expect("parameters");
    let mut known: Vec<_> = parameters.keys().cloned().collect();
    known.sort();
    assert_eq!(
        checked_parameters("docs/configuration.md", parameters),
        known
    );
    // The README has those that matter most.
    assert!(checked_parameters("README.md", parameters).len() >= 8);
}

#[test]
fn the_page_about_the_report_has_each_member_and_outcome_of_the_golden_reports() {
    let page = read("docs/report.md");
    let mut documented = BTreeSet::new();
    for entry in std::fs::read_dir(checkout().join("tests/golden")).expect("a folder") {
        let report = entry.expect("an entry").path().join("report.json");
        let report = std::fs::read_to_string(report).expect("a report");
        let report: Value = serde_json::from_str(&report).expect("a report");
        documented.extend(report.as_object().expect("members").keys().cloned());
        documented.extend(report["status"].as_str().map(str::to_owned));
        for step in report["steps"].as_array().expect("steps") {
            documented.extend(step.as_object().expect("members").keys().cloned());
            documented.extend(step["outcome"].as_str().map(str::to_owned));
        }
    }
    assert!(documented.len() > 25, "{documented:?}");
    for word in documented {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
}

/// `UPDATE_EXPECT=1` writes them.
#[test]
fn the_notices_in_the_documents_are_those_that_the_functions_send() {
    let page = read("docs/notifications.md");
    let mut parts = page.split("```text\n");
    let mut expected = parts.next().expect("a beginning").to_owned();
    for name in ["stolen-key", "instance-partial", "bucket-awaits-approval"] {
        let (_, after) = parts
            .next()
            .and_then(|it| it.split_once("```"))
            .expect("a notice");
        let mail = read(&format!("tests/golden/{name}/mail.txt"));
        expected += &format!("```text\n{mail}```{after}");
    }
    assert_eq!(parts.next(), None);
    expect_file!["../../docs/notifications.md"].assert_eq(&expected);
}

/// Lines of 100 columns, as a mail shows them. A sequence of attacks has more.
#[test]
fn a_notice_of_a_usual_incident_fits_on_a_screen() {
    for folder in std::fs::read_dir(checkout().join("tests/golden")).expect("a folder") {
        let folder = folder.expect("an entry").path();
        let mail = std::fs::read_to_string(folder.join("mail.txt")).expect("a notice");
        let lines = mail
            .lines()
            .map(|line| line.chars().count().div_ceil(100).max(1));
        let lines: usize = lines.sum();
        assert!(
            lines <= 60 || folder.ends_with("attack-sequence"),
            "{folder:?}: {lines}"
        );
    }
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
            let text = format!("{}\n{block}", policy::DEFAULT);
            match policy::Policies::parse(&text) {
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
        "lambda:",
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
    for page in ["s3", "iam", "ec2", "lambda"] {
        // The tables; elsewhere a page may speak of calls and condition keys.
        let page = read(&format!("docs/playbooks/{page}.md"));
        let rows = page.lines().filter(|line| line.starts_with('|'));
        told.extend(rows.flat_map(|row| steps(row, '`')));
    }
    assert!(known.len() > 20, "{known:?}");
    assert_eq!(told, known);
}
