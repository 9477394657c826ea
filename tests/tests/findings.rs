//! What is done about each finding type that AWS has named: held in a file, so that a change of the
//! catalogue shows every answer that it changes, and in docs/findings.md, for people.
//!
//! Where a change is meant, `UPDATE_EXPECT=1 cargo test -p integration-tests findings` writes
//! both anew.

mod table;

use std::collections::BTreeSet;

use expect_test::expect_file;
use integration_tests::{checkout, known_types};
use policy::{DEFAULT, LoadedPolicies};
use remediation::catalogue::{Disposition, disposition, routes};
use remediation::category::Category;
use remediation::decision::{ResponseMode, ResponseSettings};
use remediation::finding::Finding;
use serde_json::Value;

/// What is done about the part of a finding that concerns a function.
struct Answer {
    function: Category,
    /// Why not, if it is not contained.
    notified: Option<String>,
}

impl Answer {
    fn word(&self) -> &'static str {
        self.notified.as_ref().map_or("contain", |_| "notify")
    }
}

/// The settings that let the default policies permit the most.
fn permissive() -> ResponseSettings {
    ResponseSettings {
        dry_run: false,
        mode: ResponseMode::Contain,
        minimum_severity: Some(0.0),
        approval_not_needed_from: None,
        own_account: None,
        quarantine_objects: false,
        responder_roles: Vec::new(),
        never_contain: Vec::new(),
    }
}

/// Why a finding of a kind that is contained is notified all the same: a default policy says so.
fn forbidden(function: Category, finding: &Finding) -> Option<String> {
    let at = finding.updated_at().unwrap_or_default();
    let why = LoadedPolicies::new(DEFAULT).forbids(function, finding, &permissive(), at)?;
    Some(format!("{} (policy {})", why.reason, why.by.join(", ")))
}

fn answers(event: &Value) -> Vec<Answer> {
    let finding = Finding::parse(event).expect("a finding");
    routes(&finding)
        .into_iter()
        .map(|function| Answer {
            function,
            notified: match disposition(function, &finding) {
                Disposition::Contain => forbidden(function, &finding),
                Disposition::Notify(why) => Some(why.to_owned()),
            },
        })
        .collect()
}

#[test]
fn the_answer_about_each_finding_type_is_the_one_that_was_decided() {
    let mut text = "type\tcase\tfunction\tanswer\twhy\n".to_owned();
    for known in known_types::all() {
        for case in known.cases() {
            for answer in answers(&case.event) {
                let fields = [
                    known.name,
                    &case.name,
                    answer.function.as_str(),
                    answer.word(),
                    answer.notified.as_deref().unwrap_or_default(),
                ];
                text.push_str(fields.join("\t").trim_end());
                text.push('\n');
            }
        }
    }
    expect_file!["../fixtures/finding-answers.tsv"].assert_eq(&text);
}

#[test]
fn the_document_has_the_answer_about_each_finding_type() {
    const START: &str =
        "<!-- The tables down to the end mark are generated: tests/tests/findings -->\n";
    const END: &str = "<!-- end of the generated tables -->\n";
    let document =
        std::fs::read_to_string(checkout().join("docs/findings.md")).expect("docs/findings.md");
    let (before, rest) = document.split_once(START).expect("the mark of the start");
    let (_, after) = rest.split_once(END).expect("the mark of the end");
    let text = format!("{before}{START}{}{END}{after}", table::render());
    expect_file!["../../docs/findings.md"].assert_eq(&text);
}

#[test]
fn each_finding_type_is_listed_once_with_all_that_the_tables_say_of_it() {
    let types = known_types::all();
    let names: BTreeSet<_> = types.iter().map(|known| known.name).collect();
    assert_eq!(names.len(), types.len());
    assert!(types.len() > 240, "{}", types.len());
    for known in &types {
        assert!(!known.cases().is_empty(), "{}", known.name);
        let words = ["Low", "Medium", "High", "Critical", "Varies"];
        let severities: Vec<_> = known.severity.split('/').collect();
        assert!(
            severities.iter().all(|word| words.contains(word)),
            "{}: {severities:?}",
            known.name
        );
    }
}

#[test]
fn no_finding_type_that_aws_has_named_is_unknown_to_the_catalogue() {
    let is_unknown = |answer: Answer| {
        answer
            .notified
            .is_some_and(|why| why.contains("does not know"))
    };
    let (mut tried, mut renamed) = (0, 0);
    for known in known_types::all() {
        for case in known.cases() {
            for answer in answers(&case.event) {
                assert!(!is_unknown(answer), "{} {}", known.name, case.name);
                tried += 1;
            }
            // It is the name that is known: a name that AWS has not given is not.
            let mut event = case.event;
            let (purpose, _) = known.name.split_once(':').expect("a purpose");
            event["detail"]["type"] = known.name.replacen(purpose, "Unheard", 1).into();
            renamed += answers(&event)
                .into_iter()
                .map(is_unknown)
                .filter(|unknown| *unknown)
                .count();
        }
    }
    assert!(
        tried > 250 && renamed > 100,
        "{tried} answers, {renamed} unknown"
    );
}

#[test]
fn a_type_that_aws_might_name_next_is_notified_and_not_contained() {
    let mut tried = 0;
    for known in known_types::all() {
        let (purpose, rest) = known.name.split_once(':').expect("a purpose");
        let (resource, name) = rest.split_once('/').expect("a name");
        for renamed in [
            format!("{purpose}:{resource}/Brand{name}"),
            format!("Brand{purpose}:{resource}/{name}"),
            format!("{purpose}:{resource}/{name}!Artifact"),
        ] {
            // The artifact says nothing where the name alone tells that a principal acted.
            if renamed.ends_with("!Artifact") && !matches!(resource, "EC2" | "Runtime") {
                continue;
            }
            for case in known.cases() {
                let mut event = case.event;
                event["detail"]["type"] = renamed.as_str().into();
                for answer in answers(&event) {
                    assert!(answer.notified.is_some(), "{renamed} {}", case.name);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
}
