//! The report as a page: a time line with filters, what would have happened one by one, and the tables.

mod events;
mod tables;

use std::collections::BTreeSet;

use maud::{Markup, html};
use render::page::{Lines, Outside, Page, Script, Section};
use serde_json::{Value, json};
use simulation::{Entry, Outcome, Report};

use super::document::Document;
use super::table::{contained, words};
use crate::output::counted;

/// How many entries, and how many rows of a table, are on a page, that a phone can show it. The JSON has
/// all.
const MOST: usize = 2_000;
/// How many lines of what cannot be read are on a page.
const UNREADABLE: usize = 100;
/// How many names there are to choose from.
const NAMES: usize = 500;

const OUTCOMES: [Outcome; 4] = [
    Outcome::Contained,
    Outcome::AwaitsApproval,
    Outcome::Withheld,
    Outcome::Breaker,
];

/// The page as HTML.
pub(super) fn render(document: &Document) -> String {
    let report = &document.report;
    let shown = &report.entries[..report.entries.len().min(MOST)];
    let data = data(report, shown);
    let mut sections = vec![Section {
        id: "time-line",
        heading: "Time line",
        content: html! { (filters(shown)) (time_line()) },
    }];
    sections.push(Section {
        id: "events",
        heading: "What would have happened",
        content: events::events(report, shown),
    });
    let tables = [
        (
            "hit",
            "Principals, instances and buckets that would have been contained",
            !report.hit.is_empty(),
            tables::hit(report),
        ),
        (
            "breaker",
            "When the circuit breaker would have opened",
            true,
            tables::breaker(report),
        ),
        (
            "exemptions",
            "Which exemptions applied",
            !report.exemptions.is_empty(),
            tables::exemptions(&report.exemptions),
        ),
        (
            "left-out",
            "Findings that are not contained automatically",
            !report.left_out.is_empty(),
            tables::left_out(&report.left_out),
        ),
        (
            "unreadable",
            "Unreadable input",
            !document.unreadable.is_empty(),
            unreadable(document),
        ),
        ("to-know", "Limits of this rehearsal", true, to_know(report)),
        ("settings", "The settings", true, settings(document)),
        ("policies", "The policies", true, policies(document)),
    ];
    for (id, heading, is, content) in tables {
        if is {
            sections.push(Section {
                id,
                heading,
                content,
            });
        }
    }
    Page {
        title: "Rehearsal: which targets would have been contained",
        lead: lead(document),
        sections,
        script: Some(Script {
            code: include_str!("page/filter.js"),
            data: &data,
        }),
    }
    .render()
}

/// The data that the script filters by and draws, in the order of the entries on the page.
fn data(report: &Report, shown: &[Entry]) -> Value {
    let entries = shown.iter().map(|entry| {
        let text = [
            entry.target.as_str(),
            &entry.resource,
            &entry.account_id,
            &entry.region,
            &entry.finding_id,
            &entry.finding_type,
            &entry.reason,
            entry.actor.as_deref().unwrap_or_default(),
        ];
        json!({
            "at": entry.at.as_second(),
            "outcome": entry.outcome,
            "function": entry.function,
            "names": names(entry),
            "text": format!("{} {}", text.join(" "), entry.by.join(" ")).to_lowercase(),
        })
    });
    let openings = report.openings.iter();
    let openings = openings
        .map(|opening| json!({ "at": opening.at.as_second(), "function": opening.function }));
    let time = |time: Option<jiff::Timestamp>| time.map(jiff::Timestamp::as_second);
    json!({
        "from": time(report.summary.from),
        "to": time(report.summary.to),
        "outcomes": OUTCOMES.map(|outcome| json!([outcome, words(outcome)])),
        "entries": entries.collect::<Vec<_>>(),
        "openings": openings.collect::<Vec<_>>(),
    })
}

/// By what an entry is found if a principal or another target is chosen.
fn names(entry: &Entry) -> BTreeSet<&str> {
    let names = [Some(entry.name.as_str()), entry.actor.as_deref()];
    names.into_iter().flatten().collect()
}

fn lead(document: &Document) -> Markup {
    let numbers = &document.report.summary;
    let more = contained(numbers);
    html! {
        p {
            "Nothing was changed. This page shows how guardduty-responder would have responded to past findings "
            "under the settings and policies below, without a dry run."
        }
        dl.panel {
            dt { "Findings" }
            dd { (counted(numbers.findings as u64, "finding")) " in " (counted(numbers.events as u64, "event")) }
            @if let (Some(from), Some(to)) = (numbers.from, numbers.to) {
                dt { "From, to" }
                dd { (minute(from)) " to " (minute(to)) }
            }
            dt { "Contained" }
            dd { (targets(numbers.contained)) @if !more.is_empty() { ": " (more) } }
            dt { "Awaiting approval" }
            dd { (targets(numbers.awaits_approval)) }
            dt { "Withheld by policies" }
            dd { (targets(numbers.withheld)) }
            dt { "Withheld by the breaker" }
            dd {
                (targets(numbers.breaker)) "; it would have opened "
                (counted(numbers.openings as u64, "time"))
            }
            dt { "Not contained automatically" }
            dd { (counted(numbers.left_out as u64, "finding")) }
            dt { "Rehearsed" }
            dd { (minute(document.rehearsed_at)) }
        }
    }
}

fn filters(shown: &[Entry]) -> Markup {
    let functions: BTreeSet<_> = shown.iter().map(|entry| entry.function).collect();
    let outcomes: BTreeSet<_> = shown.iter().map(|entry| entry.outcome).collect();
    let names: BTreeSet<_> = shown.iter().flat_map(names).collect();
    html! {
        div.panel role="search" aria-label="Filters" {
            p {
                label { "Function " select #function {
                    option value="" { "all" }
                    @for function in functions { option { (function.as_str()) } }
                } } " "
                label { "Outcome " select #outcome {
                    option value="" { "all" }
                    @for outcome in outcomes {
                        option value=(json!(outcome).as_str().unwrap_or_default()) { (words(outcome)) }
                    }
                } }
            }
            p {
                label { "Principal or target " input #name list="names" type="text" autocomplete="off"; }
                datalist #names { @for name in names.iter().take(NAMES) { option value=(name) {} } }
            }
            p {
                label { "Text " input #text type="search" autocomplete="off"; } " "
                button #reset type="button" { "Show all" }
            }
            p #count role="status" {}
        }
    }
}

/// The script draws it, as wide as there is room.
fn time_line() -> Markup {
    html! {
        figure #drawing aria-label="Time line of what is listed below" {
            figcaption.soft {
                "How many targets in each part of the time, by what would have become of them. "
                "Upright lines: the breaker opened."
            }
        }
    }
}

/// Says so where there are more than the `most` that are shown.
fn left_off(all: usize, most: usize, place: &str) -> Markup {
    html! {
        @if all > most {
            p.warn {
                "Only the first " (most) " of " (all) " are " (place)
                ": gdr rehearse --output json has all."
            }
        }
    }
}

fn unreadable(document: &Document) -> Markup {
    let all = &document.unreadable;
    html! {
        (left_off(all.len(), UNREADABLE, "here"))
        ul { @for one in all.iter().take(UNREADABLE) { li { (Outside(&one.to_string())) } } }
    }
}

fn to_know(report: &Report) -> Markup {
    html! { ul { @for remark in &report.remarks { li { (Outside(remark)) } } } }
}

fn policies(document: &Document) -> Markup {
    let policies = &document.policies;
    html! {
        p { "From: " (Outside(&policies.from)) "." }
        (Lines(&policies.text))
    }
}

fn settings(document: &Document) -> Markup {
    let settings = document.report.settings.as_object().into_iter().flatten();
    let shown = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "-".to_owned(),
        Value::Array(all) => {
            let all: Vec<_> = all
                .iter()
                .map(|it| it.as_str().unwrap_or_default())
                .collect();
            all.join(", ")
        }
        other => other.to_string(),
    };
    html! {
        p { "From: " (Outside(&document.settings_from)) "." }
        dl { @for (name, value) in settings { dt { (name) } dd { (Outside(&shown(value))) } } }
    }
}

fn targets(count: usize) -> String {
    counted(count as u64, "target")
}

/// A time to the minute, in UTC.
fn minute(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%MZ").to_string()
}
