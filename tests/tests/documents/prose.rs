//! The prose of the documents stays plain: short sentences, the glossary's words, no noun clause as a subject.

use integration_tests::documents::{all, read};

/// How many words a sentence may have.
const LONGEST: usize = 25;

/// Words with a plainer or a more exact one in `docs/glossary.md`.
const BANNED: [&str; 15] = [
    "a person",
    "anew",
    "any more",
    "at once",
    "by now",
    "comes again",
    "let be",
    "lies",
    "meanwhile",
    "of itself",
    "said",
    "stands",
    "the world",
    "told",
    "what there is",
];

/// First words of a noun clause. A question may begin with them.
const OPENINGS: [&str; 6] = ["that", "of", "what", "where", "whoever", "whom"];

/// The first and the last line of what a test generates from the code's own texts.
const GENERATED: [&str; 2] = ["<!-- The tables down", "<!-- end of the generated"];

/// The text of a paragraph, an item of a list, a cell or a heading, one each.
fn passages(document: &str) -> Vec<String> {
    let (mut fenced, mut generated) = (false, false);
    let mut passages = vec![String::new()];
    for line in document.lines() {
        let line = line.trim().trim_start_matches("> ");
        generated ^= GENERATED.iter().any(|mark| line.starts_with(mark));
        fenced ^= line.starts_with("```");
        if fenced || generated || line.is_empty() || line.starts_with("```") {
            passages.push(String::new());
        } else if line.starts_with('|') {
            let cells = line.trim_matches('|').split('|');
            passages.extend(cells.map(|cell| cell.trim_matches([' ', '-', ':']).to_owned()));
            passages.push(String::new());
        } else {
            let numbered = line.split_once(". ");
            let numbered = numbered.filter(|(number, _)| number.parse::<u8>().is_ok());
            let item = line.strip_prefix("- ").or(numbered.map(|(_, item)| item));
            let heading = line.starts_with('#');
            if item.is_some() || heading {
                passages.push(String::new());
            }
            let text = item.unwrap_or(line).trim_start_matches(['#', ' ']);
            if let Some(passage) = passages.last_mut() {
                *passage += text;
                passage.push(' ');
            }
            if heading {
                passages.push(String::new());
            }
        }
    }
    passages
}

/// A passage as it is read: a code span is one word, a link is its text.
fn plain(passage: &str) -> String {
    let mut text = String::new();
    for (at, part) in passage.split('`').enumerate() {
        text += if at % 2 == 0 { part } else { "code" };
    }
    let mut parts = text.split("](");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += part.split_once(')').map_or(part, |(_, rest)| rest);
    }
    plain.replace(['[', '!', '*', '"'], "").replace("<br>", " ")
}

/// Each sentence as its words. A colon or a semicolon ends one, too.
fn sentences(passage: &str) -> Vec<Vec<String>> {
    let mut sentences = vec![Vec::new()];
    for word in plain(passage).split_whitespace() {
        if let Some(sentence) = sentences.last_mut() {
            sentence.push(word.to_owned());
        }
        if word.ends_with(['.', '?', '!', ':', ';']) {
            sentences.push(Vec::new());
        }
    }
    sentences
}

/// Whether a text begins as a sentence does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is a whole sentence.
    Sentence,
    /// Its beginning may be a part of a sentence.
    Fragment,
}

/// The faults of a text outside the documents, each with its sentence.
pub(super) fn faults_of(text: &str, rule: Rule) -> Vec<String> {
    let mut found = Vec::new();
    for passage in passages(text) {
        for (at, sentence) in sentences(&passage).iter().enumerate() {
            let mut faults = faults(sentence);
            if rule == Rule::Fragment && at == 0 {
                faults.retain(|fault| !fault.starts_with("begins"));
            }
            if !faults.is_empty() {
                found.push(format!("{}: {}", faults.join(", "), sentence.join(" ")));
            }
        }
    }
    found
}

/// The faults of a sentence by the rules of this file.
fn faults(sentence: &[String]) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric();
    let words = sentence.iter();
    let words: Vec<_> = words
        .map(|word| word.trim_matches(|c| !is_word(c)).to_lowercase())
        .collect();
    let text = format!(" {} ", words.join(" "));
    let banned = BANNED.iter();
    let banned = banned.filter(|phrase| text.contains(&format!(" {phrase} ")));
    let mut faults: Vec<_> = banned.map(|phrase| format!("{phrase:?}")).collect();
    let opening = words
        .first()
        .filter(|word| OPENINGS.contains(&word.as_str()));
    let is_question = sentence.last().is_some_and(|word| word.ends_with('?'));
    faults.extend(
        opening
            .filter(|_| !is_question)
            .map(|word| format!("begins with {word:?}")),
    );
    if sentence.len() > LONGEST {
        faults.push(format!("has {} words", sentence.len()));
    }
    faults
}

#[test]
fn every_sentence_of_the_documents_is_short_and_plain() {
    let mut found = Vec::new();
    let mut sum = 0;
    for path in all().into_iter().chain(["CHANGELOG.md".to_owned()]) {
        let mut document = read(&path);
        if path == "CHANGELOG.md" {
            let released = document.match_indices("\n## [").nth(1);
            document.truncate(released.map_or(document.len(), |(at, _)| at));
        }
        sum += document.split(". ").count();
        let faults = faults_of(&document, Rule::Sentence).into_iter();
        found.extend(faults.map(|fault| format!("{path}: {fault}")));
    }
    assert!(sum > 1000, "{sum} sentences");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_sentence_that_breaks_a_rule_is_found() {
    for text in [
        "# What it does",
        "| `x` | whoever calls it |",
        "- It waits. Of the rest the notice says more.",
        "It asks a\nperson.",
        "The [look](docs/at-once.md) is made anew.",
        "1. It stands; it goes.",
        &"word ".repeat(LONGEST + 1),
    ] {
        let passages = passages(text);
        let sentences = passages.iter().flat_map(|passage| sentences(passage));
        assert_eq!(
            sentences.filter(|it| !faults(it).is_empty()).count(),
            1,
            "{text}"
        );
    }
    for text in [
        "## What will it do?",
        "`at once` and [a link](at once)",
        "```sh\nmake it anew\n```",
        "It withstands. A bystander understands.",
    ] {
        let passages = passages(text);
        let sentences = passages.iter().flat_map(|passage| sentences(passage));
        assert!(
            sentences.into_iter().all(|it| faults(&it).is_empty()),
            "{text}"
        );
    }
}
