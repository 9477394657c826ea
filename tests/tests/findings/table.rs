//! The tables of docs/findings.md: one for each kind of resource, one row for all types that have the same
//! answer and the same advice.

use std::fmt::Write as _;

use integration_tests::known_types::{self, KnownType};
use remediation::category::Category;
use remediation::finding::FindingType;
use remediation::guidance;

use crate::findings::answers;

/// The tables' titles, and the words for the kinds of resources in each. Every other word is in the
/// last one.
const TABLES: [(&str, &[&str]); 8] = [
    ("Buckets and objects: `*:S3/*`", &["S3"]),
    ("Credentials: `*:IAMUser/*`", &["IAMUser"]),
    ("Instances and their copies: `*:EC2/*`", &["EC2"]),
    ("Runtime Monitoring: `*:Runtime/*`", &["Runtime"]),
    (
        "Clusters and containers: `*:Kubernetes/*`, `*:ECS/*`, `*:Container/*`",
        &["Kubernetes", "ECS", "Container"],
    ),
    (
        "Databases and functions: `*:RDS/*`, `*:Lambda/*`",
        &["RDS", "Lambda"],
    ),
    ("Attack sequences: `AttackSequence:*`", &[]),
    (
        "Administration, mail, names, notebooks: other custom detection rules",
        &[],
    ),
];

/// The types that share the other two columns.
struct Row {
    types: Vec<KnownType>,
    answer: String,
    advice: String,
}

pub(crate) fn render() -> String {
    let mut text = String::new();
    for (index, (title, _)) in TABLES.iter().enumerate() {
        let types: Vec<_> = known_types::all()
            .into_iter()
            .filter(|known| table_of(known) == index)
            .collect();
        let _ = writeln!(
            text,
            "\n<details>\n<summary>{} ({} types)</summary>\n\n\
             | finding types, default severity | answer | what the on-call engineer checks, unless it was contained |\n\
             |---|---|---|",
            html(title),
            types.len(),
        );
        for row in rows(&types) {
            let types: Vec<_> = row.types.iter().map(label).collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                types.join("<br>"),
                row.answer,
                row.advice
            );
        }
        text.push_str("\n</details>\n");
    }
    text.push('\n');
    text
}

fn table_of(known: &KnownType) -> usize {
    if known.name.starts_with("AttackSequence:") {
        return TABLES.len() - 2;
    }
    TABLES
        .iter()
        .position(|(_, words)| words.contains(&known.resource()))
        .unwrap_or(TABLES.len() - 1)
}

fn rows(types: &[KnownType]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for &known in types {
        let (answer, advice) = (answer(&known), advice(&known));
        match rows
            .iter_mut()
            .find(|row| row.answer == answer && row.advice == advice)
        {
            Some(row) => row.types.push(known),
            None => rows.push(Row {
                types: vec![known],
                answer,
                advice,
            }),
        }
    }
    rows
}

fn label(known: &KnownType) -> String {
    let retired = if known.retired { ", retired" } else { "" };
    format!("`{}` {}{retired}", known.name, known.severity)
}

/// `ec2` contains (source); notifies (target): why.
fn answer(known: &KnownType) -> String {
    let cases = known.cases();
    let mut parts: Vec<(Category, Option<String>, Vec<&str>)> = Vec::new();
    for case in &cases {
        for given in answers(&case.event) {
            let key = (given.function, given.notified);
            match parts
                .iter_mut()
                .find(|part| (part.0, &part.1) == (key.0, &key.1))
            {
                Some(part) => part.2.push(&case.name),
                None => parts.push((key.0, key.1, vec![&case.name])),
            }
        }
    }
    let parts: Vec<_> = parts
        .into_iter()
        .map(|(function, notified, of)| {
            let when = if of.len() == cases.len() {
                String::new()
            } else {
                format!(" ({})", of.join(", "))
            };
            match notified {
                None => format!("**{function}** contains{when}"),
                Some(why) => format!("**{function}** notifies{when}: {why}"),
            }
        })
        .collect();
    parts.join("<br>")
}

fn advice(known: &KnownType) -> String {
    let kind = FindingType::parse(known.name).expect("a type");
    let mut functions: Vec<Category> = Vec::new();
    for case in known.cases() {
        for given in answers(&case.event) {
            if !functions.contains(&given.function) {
                functions.push(given.function);
            }
        }
    }
    let several = functions.len() > 1;
    let parts: Vec<_> = functions
        .into_iter()
        .map(|function| {
            let text = guidance::advice(function, &kind);
            if several {
                format!("**{function}** {text}")
            } else {
                text.to_owned()
            }
        })
        .collect();
    parts.join("<br>")
}

/// Backquotes mean nothing within an HTML element.
fn html(title: &str) -> String {
    title
        .split('`')
        .enumerate()
        .map(|(index, part)| match index % 2 {
            0 => part.to_owned(),
            _ => format!("<code>{part}</code>"),
        })
        .collect()
}
