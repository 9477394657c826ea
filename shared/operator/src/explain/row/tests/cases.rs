//! Findings as people have reported them, with the answer about each: `tests/fixtures/cases`.
//!
//! `answers.tsv` has a line for each function that gets the input. The last column names what of the right
//! answer this version does not give yet; nothing is asserted of it. The playbooks run on some of the same
//! inputs in the tests of the library.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use indicatif::ProgressBar;

use super::*;
use crate::findings::{parse, source};

fn folder() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/cases"
    ))
}

/// The finding in an input, or what it is refused with.
fn read(input: &str) -> Result<Finding, String> {
    let path = folder().join(format!("{input}.json"));
    let mut found = Vec::new();
    let documents = source::documents(vec![path], ProgressBar::hidden(), Arc::default());
    for json in source::values(documents) {
        parse::each(&json, |_, finding| found.push(finding));
    }
    assert_eq!(found.len(), 1, "{input}");
    found.remove(0)
}

struct Expected {
    input: String,
    function: String,
    answer: String,
    says: String,
}

fn answers() -> Vec<Expected> {
    let table = fs::read_to_string(folder().join("answers.tsv")).expect("the table");
    let lines = table.lines().skip(1);
    lines
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            let [input, function, answer, says, _still_to_come] = fields[..] else {
                panic!("five columns: {line}");
            };
            Expected {
                input: input.to_owned(),
                function: function.to_owned(),
                answer: answer.to_owned(),
                says: says.to_owned(),
            }
        })
        .collect()
}

#[test]
fn each_reported_finding_has_the_answer_that_stands_beside_it() {
    for expected in answers() {
        let Expected {
            input,
            function,
            answer,
            says,
        } = expected;
        let finding = match read(&input) {
            Ok(finding) => finding,
            Err(error) => {
                assert_eq!(answer, "refused", "{input}: {error}");
                assert!(error.contains(&says), "{input}: {error}");
                continue;
            }
        };
        let function = Category::from_word(&function).expect("a function");
        let decision = rules().decide(function, &finding);
        assert_eq!(
            decision.as_str(),
            answer,
            "{input} {function}: {decision:?}"
        );
        let (Decision::Ignore(why) | Decision::Notify(why) | Decision::Contain(why)) = decision;
        assert!(why.contains(&says), "{input} {function}: {why}");
        let row = Row::new(&"f.json".into(), &finding, &rules());
        assert!(row.reason.contains(&why), "{input}: {}", row.reason);
    }
}

#[test]
fn each_input_has_an_answer_for_each_function_that_gets_it() {
    let inputs = fs::read_dir(folder())
        .expect("a folder")
        .filter_map(|entry| {
            let path = entry.expect("an entry").path();
            let is_input = path.extension().is_some_and(|ending| ending == "json");
            is_input.then(|| {
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
        });
    let answers = answers();
    let mut tried = 0;
    for input in inputs {
        let of = answers.iter().filter(|expected| expected.input == input);
        let answered: BTreeSet<_> = of.map(|expected| expected.function.clone()).collect();
        let functions: BTreeSet<_> = match read(&input) {
            Ok(finding) => {
                let routes = catalogue::routes(&finding).into_iter();
                routes.map(|route| route.as_str().to_owned()).collect()
            }
            Err(_) => [String::new()].into(),
        };
        assert_eq!(answered, functions, "{input}");
        tried += 1;
    }
    assert!(tried > 30, "{tried}");
}
