//! The report as a page: a time line with filters, what would have happened one by one, and the tables.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use remediation::page::{Lines, Outside, Page, Script, Section};
use serde_json::{Value, json};
use simulation::{BreakerTrip, Entry, Exemption, NotContained, Outcome, Report, Step, StepVerdict};

use super::document::Document;
use super::table::{contained, qualified, words};
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
        content: events(report, shown),
    });
    let tables = [
        (
            "hit",
            "Who would have been hit",
            !report.hit.is_empty(),
            hit(report),
        ),
        (
            "breaker",
            "How often the breaker would have opened",
            true,
            breaker(report),
        ),
        (
            "exemptions",
            "Which exemptions applied",
            !report.exemptions.is_empty(),
            exemptions(&report.exemptions),
        ),
        (
            "left-out",
            "What is left to a person",
            !report.left_out.is_empty(),
            left_out(&report.left_out),
        ),
        (
            "unreadable",
            "What could not be read",
            !document.unreadable.is_empty(),
            unreadable(document),
        ),
        (
            "to-know",
            "To know when reading this",
            true,
            to_know(report),
        ),
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
        title: "Rehearsal: what would have been contained",
        lead: lead(document),
        sections,
        script: Some(Script {
            code: include_str!("page/filter.js"),
            data: &data,
        }),
    }
    .render()
}

/// What the script filters by and draws, in the order of the entries on the page.
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
            "Nothing was changed. This says what guardduty-responder would have done about the findings "
            "of the past, under the settings and policies below, had it not been a dry run."
        }
        dl.panel {
            dt { "Findings" }
            dd { (counted(numbers.findings as u64, "finding")) " in " (counted(numbers.events as u64, "event")) }
            @if let (Some(from), Some(to)) = (numbers.from, numbers.to) {
                dt { "From, to" }
                dd { (minute(from)) " to " (minute(to)) }
            }
            dt { "Contained" }
            dd { (numbers.contained) " targets" @if !more.is_empty() { ": " (more) } }
            dt { "Waiting for approval" }
            dd { (numbers.awaits_approval) " targets" }
            dt { "Withheld by policies" }
            dd { (numbers.withheld) " targets" }
            dt { "Withheld by the breaker" }
            dd {
                (counted(numbers.breaker as u64, "target")) "; it would have opened "
                (counted(numbers.openings as u64, "time"))
            }
            dt { "Left to a person" }
            dd { (numbers.left_out) " findings" }
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

fn events(report: &Report, shown: &[Entry]) -> Markup {
    html! {
        (left_off(report.entries.len(), MOST, "here and in the time line"))
        @if shown.is_empty() {
            p { "Nothing would have been contained, approved or withheld." }
        }
        ol #entries { @for one in shown { li { (entry(one)) } } }
    }
}

fn entry(entry: &Entry) -> Markup {
    let severity = format!("{:.1}", entry.severity);
    html! {
        details {
            summary {
                (minute(entry.at)) " "
                span class={ "badge " (tone(entry.outcome)) } { (qualified(entry)) } " "
                strong { (Outside(&entry.name)) } " "
                span.soft { (entry.function.as_str()) }
            }
            dl {
                dt { "Target" }
                dd { (Outside(&entry.resource)) " (" (Outside(&entry.target)) ")" }
                dt { "Account" }
                dd { (entry.account_id) ", " (entry.region) }
                @if let Some(actor) = &entry.actor { dt { "Who acted" } dd { (Outside(actor)) } }
                dt { "Finding" }
                dd { (Outside(&entry.finding_type)) ", severity " (severity) ", " (Outside(&entry.finding_id)) }
                dt { "By" }
                dd { (Outside(&entry.by.join(", "))) }
                @if !entry.reason.is_empty() { dt { "Why" } dd { (Outside(&entry.reason)) } }
                @for depends in &entry.depends_on { dt { "Depends on" } dd { (Outside(depends)) } }
                dt { "Events" }
                dd {
                    (entry.events) " of " (entry.findings) " findings"
                    @if entry.last > entry.at { ", the last " (minute(entry.last)) }
                }
            }
            @for (heading, steps) in grouped(&entry.steps) {
                p.soft { (Outside(&heading)) ":" }
                ul { @for step in steps { li {
                    code { (step.action) }
                    @if let Some(condition) = step.condition { " if " (condition) }
                    @for depends in &step.depends_on { " – depends on " (Outside(depends)) }
                } } }
            }
        }
    }
}

/// Steps by what the policies say of them.
fn grouped(steps: &[Step]) -> Vec<(String, Vec<&Step>)> {
    let mut groups: BTreeMap<(StepVerdict, String), Vec<&Step>> = BTreeMap::new();
    for step in steps {
        let key = (step.verdict, step.by.join(", "));
        groups.entry(key).or_default().push(step);
    }
    let groups = groups.into_iter();
    groups
        .map(|((verdict, by), steps)| {
            let words = match verdict {
                StepVerdict::Permitted => "Permitted by",
                StepVerdict::AwaitsApproval => "Until a person approves it withheld by",
                StepVerdict::Withheld => "Withheld by",
            };
            (format!("{words} {by}"), steps)
        })
        .collect()
}

fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Contained => "person",
        Outcome::AwaitsApproval => "warn",
        Outcome::Withheld => "soft",
        Outcome::Breaker => "bad",
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

/// A table that scrolls by itself where there is no room for it.
fn table<const N: usize>(
    name: &str,
    headings: [&str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
) -> Markup {
    html! {
        (left_off(rows.len(), MOST, "here"))
        div.wide role="region" aria-label=(name) tabindex="0" {
            table aria-label=(name) {
                thead { tr { @for heading in headings { th scope="col" { (heading) } } } }
                tbody { @for row in rows.take(MOST) { tr { @for cell in row { td { (Outside(&cell)) } } } } }
            }
        }
    }
}

fn hit(report: &Report) -> Markup {
    let rows = report.hit.iter().map(|hit| {
        [
            hit.kind.to_lowercase(),
            hit.name.clone(),
            hit.account_id.clone(),
            minute(hit.first),
            hit.containments.to_string(),
            hit.findings.to_string(),
        ]
    });
    let headings = ["Kind", "Name", "Account", "First", "Times", "Findings"];
    table("Principals, instances and buckets", headings, rows)
}

fn breaker(report: &Report) -> Markup {
    let opening = |opening: &BreakerTrip| {
        [
            minute(opening.at),
            opening.function.to_string(),
            opening.account_id.clone(),
            all_or(opening.crowd.as_ref()),
            opening.places.to_string(),
            opening.withheld.to_string(),
        ]
    };
    let windows = report.windows.iter().map(|window| {
        [
            window.function.to_string(),
            window.account_id.clone(),
            all_or(window.crowd.as_ref()),
            window
                .places
                .map_or("not held".to_owned(), |it| it.to_string()),
            window.most.to_string(),
            window.most_without_breaker.to_string(),
        ]
    });
    html! {
        @if report.openings.is_empty() {
            p { "Never." }
        } @else {
            (table(
                "Openings",
                ["When", "Function", "Account", "Of", "Places", "Events withheld"],
                report.openings.iter().map(opening),
            ))
        }
        @if !report.windows.is_empty() {
            h3 { "How much was contained at most in the time of a window" }
            (table(
                "Windows",
                ["Function", "Account", "Of", "Places", "Most", "Without breaker"],
                windows,
            ))
        }
    }
}

fn all_or(crowd: Option<&String>) -> String {
    crowd.cloned().unwrap_or_else(|| "all".to_owned())
}

fn exemptions(exemptions: &[Exemption]) -> Markup {
    html! {
        ul { @for exemption in exemptions { li {
            strong { (Outside(&exemption.by)) } " (" (exemption.function.as_str()) "): "
            (Outside(&exemption.reason))
            @if exemption.awaits_approval { ", until a person approves it" }
            ". " (exemption.findings) " findings, " (exemption.targets.len()) " targets, first "
            (minute(exemption.first)) "."
            details {
                summary { "Targets and steps" }
                (left_off(exemption.targets.len(), MOST, "here"))
                ul { @for target in exemption.targets.iter().take(MOST) { li { (Outside(target)) } } }
                p.soft { (exemption.steps.iter().copied().collect::<Vec<_>>().join(", ")) }
            }
        } } }
    }
}

fn left_out(left_out: &[NotContained]) -> Markup {
    let rows = left_out.iter().map(|left| {
        let types = left.finding_types.iter();
        let types: Vec<_> = types
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        [
            left.function.to_string(),
            left.findings.to_string(),
            left.reason.clone(),
            minute(left.first),
            types.join(", "),
        ]
    });
    let headings = ["Function", "Findings", "Why", "First", "Types"];
    table(
        "Findings of which nothing is one to contain",
        headings,
        rows,
    )
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

/// A time to the minute, in UTC.
fn minute(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%MZ").to_string()
}
