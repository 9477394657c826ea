//! `gdr explain` over the findings of this repository, and over those of the folder that `FINDINGS_CORPUS` names,
//! if it is set. Files in folders whose names begin with `neg-` are not findings of GuardDuty.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const ROW: [&str; 9] = [
    "decision",
    "decisions",
    "file",
    "finding_id",
    "finding_type",
    "functions",
    "reason",
    "sample",
    "targets",
];
const FAILURE: [&str; 3] = ["error", "file", "line"];

#[test]
fn every_file_of_the_cases_and_of_the_corpus_gets_an_answer() -> Result {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/cases");
    let counts = every_file_gets_an_answer(cases)?;
    for word in ["contain", "notify", "error"] {
        assert!(counts.contains_key(word), "no {word}: {counts:?}");
    }
    if let Ok(corpus) = std::env::var("FINDINGS_CORPUS") {
        let counts = every_file_gets_an_answer(&corpus)?;
        assert!(!counts.is_empty(), "{corpus} has no file");
    }
    Ok(())
}

/// How often each decision was the answer.
fn every_file_gets_an_answer(corpus: &str) -> Result<BTreeMap<String, usize>> {
    let output = Command::new(env!("CARGO_BIN_EXE_gdr"))
        .args(["explain", "--output", "json", corpus])
        .output()?;
    let mut counts = BTreeMap::new();
    let mut answered = BTreeMap::new();
    for line in str::from_utf8(&output.stdout)?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let word = check(&row).map_err(|problem| format!("{problem}: {line}"))?;
        *counts.entry(word).or_insert(0) += 1;
        let file = row["file"].as_str().unwrap_or_default().to_owned();
        *answered.entry(file).or_insert(0) += 1;
    }
    for file in files(Path::new(corpus))? {
        assert!(answered.contains_key(&file), "{file} got no answer");
    }
    let errors = counts.contains_key("error");
    assert_eq!(output.status.code(), Some(i32::from(errors)));
    Ok(counts)
}

/// Holds a row against what is documented; the decision, or `error`.
fn check(row: &Value) -> std::result::Result<String, &'static str> {
    let members = row.as_object().ok_or("not an object")?;
    let mut keys: Vec<_> = members.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let file = row["file"].as_str().ok_or("no file")?;
    let negative = file.split('/').any(|part| part.starts_with("neg-"));
    if keys == FAILURE {
        let error = row["error"].as_str().ok_or("no error")?;
        if !row["line"].is_u64() {
            return Err("no line");
        }
        if !error.contains('`') {
            return Err("an error that names no member");
        }
        return Ok("error".to_owned());
    }
    if keys != ROW {
        return Err("other keys than the documented ones");
    }
    let decision = row["decision"].as_str().ok_or("no decision")?;
    if !["contain", "notify", "ignore"].contains(&decision) {
        return Err("an unknown decision");
    }
    if negative && decision != "ignore" {
        return Err("a decision on what is not a finding");
    }
    let words = |member: &str| row[member].as_array().cloned().unwrap_or_default();
    let functions = words("functions");
    let known = ["s3", "iam", "ec2", "lambda", "triage"];
    if functions.is_empty()
        || !functions
            .iter()
            .all(|it| known.iter().any(|known| it == known))
    {
        return Err("no function, or an unknown one");
    }
    if decision == "contain" && words("targets").is_empty() {
        return Err("to be contained, and no target");
    }
    if row["reason"].as_str().is_none_or(str::is_empty) || !row["sample"].is_boolean() {
        return Err("no reason, or no sample flag");
    }
    Ok(decision.to_owned())
}

fn files(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "json") {
            files.push(path.display().to_string());
        }
    }
    Ok(files)
}
