//! The texts of the sources stay plain, too: the doc comments, and the messages that somebody reads.

use std::path::Path;

use integration_tests::checkout;
use integration_tests::documents::read;
use serde_json::Value;

use super::prose::{Rule, faults_of};
use crate::common::yaml;

/// Folders whose sources are held.
const HELD: [&str; 2] = ["shared", "functions"];

/// Parts of paths that are not held: tests, and what only they use.
const TESTS: [&str; 9] = [
    "/tests",
    "tests.rs",
    "_tests/",
    "/fixtures",
    "/golden",
    "/hostile",
    "/sequences",
    "/testkit",
    "/target/",
];

/// The words of a literal that make it a message.
const MESSAGE: usize = 4;

/// Beginnings of literals that are not held, with the reason.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("#!/bin/sh", "a script"),
    ("SET ", "an expression of DynamoDB"),
];

/// A doc comment or a literal of a source.
struct Passage {
    line: usize,
    text: String,
    rule: Rule,
}

/// The doc comments and the messages of a source, without its tests.
fn passages(source: &str) -> Vec<Passage> {
    let tests = source.find("#[cfg(test)]\nmod tests {");
    let source = &source[..tests.unwrap_or(source.len())];
    let mut found: Vec<Passage> = Vec::new();
    let mut rest = source;
    let mut was_doc = false;
    while let Some(at) = rest.find(['/', '"', '\'', '\n']) {
        let line = source[..source.len() - rest.len() + at]
            .matches('\n')
            .count()
            + 1;
        let here = &rest[at..];
        let is_doc = here.starts_with("///") || here.starts_with("//!");
        let length = if is_doc || here.starts_with("//") {
            here.find('\n').unwrap_or(here.len())
        } else if here.starts_with('"') {
            literal(here, raw_marks(&rest[..at]))
        } else if here.starts_with('\'') {
            character(here)
        } else {
            1
        };
        let text = &here[..length];
        if is_doc {
            let text = text[3..].trim_start_matches(' ');
            match found.last_mut().filter(|_| was_doc) {
                Some(passage) => passage.text += &format!("\n{text}"),
                None => found.push(Passage {
                    line,
                    text: text.to_owned(),
                    rule: Rule::Sentence,
                }),
            }
            was_doc = true;
        } else if text.len() > 2 && text.starts_with('"') {
            found.push(Passage {
                line,
                text: message(text),
                rule: Rule::Fragment,
            });
        }
        was_doc &= is_doc || text == "\n";
        rest = &here[length..];
    }
    found
}

/// The length of a literal that begins here, raw with so many marks or not.
fn literal(here: &str, marks: Option<usize>) -> usize {
    if let Some(marks) = marks {
        let end = format!("\"{}", "#".repeat(marks));
        return here[1..]
            .find(&end)
            .map_or(here.len(), |at| at + 1 + end.len());
    }
    let mut escaped = false;
    let end = here[1..].find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(here.len(), |at| at + 2)
}

/// How many `#` a raw literal has that begins after this, if one does.
fn raw_marks(before: &str) -> Option<usize> {
    let bare = before.trim_end_matches('#');
    let is_raw = bare.ends_with('r') && !bare[..bare.len() - 1].ends_with(char::is_alphanumeric);
    is_raw.then(|| before.len() - bare.len())
}

/// The length of a character's literal that begins here, or of the mark of a lifetime.
fn character(here: &str) -> usize {
    let escaped = usize::from(here[1..].starts_with('\\'));
    let end = here
        .char_indices()
        .skip(2 + escaped)
        .find(|(_, c)| *c == '\'');
    match end {
        Some((at, _)) if escaped == 1 || here[1..at].chars().count() == 1 => at + 1,
        _ => 1,
    }
}

/// A literal as it is read: without its marks and breaks, each placeholder a code span, each indented line of a
/// help text a passage.
fn message(literal: &str) -> String {
    let text = literal[1..literal.len() - 1]
        .replace("\\\n", "")
        .replace("\\\"", "\"");
    let text = text.replace("\\n", "\n\n").replace("\n  ", "\n\n");
    text.replace(['{', '}'], "`")
}

/// The files of a kind below a folder, by their path from the checkout.
fn files_of(folder: &str, kind: &str) -> Vec<String> {
    let entries = std::fs::read_dir(checkout().join(folder)).expect("a folder");
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files_of(&path, kind));
        } else if Path::new(&path).extension().is_some_and(|it| it == kind) {
            found.push(path);
        }
    }
    found
}

/// The faults of a source's texts.
fn faults(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for Passage { line, text, rule } in passages(source) {
        let is_exempt = rule == Rule::Fragment
            && (text.split_whitespace().count() < MESSAGE
                || EXCEPTIONS
                    .iter()
                    .any(|(start, _)| text.trim_start().starts_with(start)));
        if !is_exempt {
            let faults = faults_of(&text, rule).into_iter();
            found.extend(faults.map(|fault| format!("{path}:{line}: {fault}")));
        }
    }
    found
}

#[test]
fn every_message_and_doc_comment_is_short_and_plain() {
    let is_left_out = |path: &String| TESTS.iter().any(|part| path.contains(part));
    let paths = HELD.iter().flat_map(|folder| files_of(folder, "rs"));
    let paths: Vec<_> = paths.filter(|path| !is_left_out(path)).collect();
    assert!(paths.len() > 200, "{} sources", paths.len());
    let found: Vec<_> = paths
        .iter()
        .flat_map(|path| faults(path, &read(path)))
        .collect();
    assert!(
        found.is_empty(),
        "{} faults:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// The texts of a policy: its comments and reasons.
fn texts_of_policy(policy: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    for line in policy.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("//") {
            let comment = comment.trim_start_matches('/').trim_start();
            texts
                .last_mut()
                .expect("one")
                .push_str(&format!("{comment}\n"));
        } else {
            let reason = line
                .strip_prefix("@reason(\"")
                .and_then(|it| it.strip_suffix("\")"));
            texts.extend(reason.map(str::to_owned));
            texts.push(String::new());
        }
    }
    texts
}

/// The descriptions in a template, wherever they are.
fn descriptions(template: &Value) -> Vec<&str> {
    match template {
        Value::Array(items) => items.iter().flat_map(descriptions).collect(),
        Value::Object(members) => {
            let described = ["Description", "AlarmDescription", "ConstraintDescription"];
            let named = described
                .iter()
                .filter_map(|name| members.get(*name)?.as_str());
            named
                .chain(members.values().flat_map(descriptions))
                .collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_description_and_policy_is_short_and_plain() {
    let mut found = Vec::new();
    let mut hold = |path: &str, text: &str, rule| {
        let faults = faults_of(text, rule).into_iter();
        found.extend(faults.map(|fault| format!("{path}: {fault}")));
    };
    for path in files_of("infra", "yaml")
        .into_iter()
        .chain(["template.yaml".to_owned()])
    {
        let template = yaml(&path);
        let described = descriptions(&template);
        assert!(described.len() > 2, "{path}");
        for text in described {
            hold(&path, text, Rule::Sentence);
        }
    }
    let policies = files_of("infra", "cedar").into_iter();
    for path in policies
        .chain(files_of("shared/policy/src", "cedar"))
        .chain(files_of("shared", "cedarschema"))
    {
        for text in texts_of_policy(&read(&path)) {
            hold(&path, &text, Rule::Sentence);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_text_of_a_source_that_breaks_a_rule_is_found() {
    for source in [
        "/// What it does.\nfn x() {}",
        "//! It waits for\n//! a person.",
        "x(\"it asks \\\n   a person about this\")",
        "x(r#\"it waits \"meanwhile\" for {this}\"#)",
        "let quote = '\"'; x(\"it is told to somebody else\")",
        "x(\"the policy of {name} is read; what it allows is not known\")",
    ] {
        assert_eq!(faults("x.rs", source).len(), 1, "{source}");
    }
    for source in [
        "// What it does.\nfn x() {}",
        "x(\"a person\")",
        "x(\" of the role that it has\")",
        "x(\"`{told}` is the value of {anew}\")",
        "/// Does it.\n#[cfg(test)]\nmod tests {\n    /// What it does.\n}",
    ] {
        assert!(faults("x.rs", source).is_empty(), "{source}");
    }
}
