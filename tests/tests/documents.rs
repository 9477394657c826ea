//! The documents are held against the code.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use integration_tests::checkout;
use integration_tests::documents::{all, blocks, read};

/// Every Rust file of the workspace, in one text.
fn sources() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
    let mut text = String::new();
    for folder in ["functions", "shared", "tests"] {
        collect(&checkout().join(folder), &mut text);
    }
    text
}

#[test]
fn each_row_of_the_comparison_names_a_test_that_there_is() {
    let page = std::fs::read_to_string(checkout().join("docs/depth.md")).expect("docs/depth.md");
    let sources = sources();
    let mut rows = 0;
    for row in page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what"))
    {
        let tests = row
            .trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .unwrap_or_default();
        let mut named = 0;
        for test in tests.split('`').filter(|name| name.contains('_')) {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "there is no test {test}"
            );
            named += 1;
        }
        assert!(named > 0, "no test: {row}");
        rows += 1;
    }
    assert!(rows > 20, "{rows} rows");
}

#[test]
fn every_parameter_of_the_template_is_in_the_readme() {
    let read = |name: &str| std::fs::read_to_string(checkout().join(name)).expect("a document");
    let (template, readme) = (read("template.yaml"), read("README.md"));
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(&template).expect("YAML");
    for (name, _) in template["Parameters"].as_mapping().expect("parameters") {
        let name = name.as_str().expect("a name");
        assert!(
            readme.contains(&format!("`{name}`")),
            "the README does not say what {name} is"
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
    let schema = read("shared/remediation/src/guard/schema.cedarschema");
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
