//! The simulated containments, one by one.

use std::collections::BTreeMap;

use maud::{Markup, html};
use render::page::Outside;
use simulation::{Entry, Outcome, Report, Step, StepVerdict};

use super::{MOST, left_off, minute};
use crate::output::counted;
use crate::rehearse::table::qualified;

pub(super) fn events(report: &Report, shown: &[Entry]) -> Markup {
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
                @if let Some(actor) = &entry.actor { dt { "Principal" } dd { (Outside(actor)) } }
                dt { "Finding" }
                dd { (Outside(&entry.finding_type)) ", severity " (severity) ", " (Outside(&entry.finding_id)) }
                dt { "By" }
                dd { (Outside(&entry.by.join(", "))) }
                @if !entry.reason.is_empty() { dt { "Why" } dd { (Outside(&entry.reason)) } }
                @for depends in &entry.depends_on { dt { "Depends on" } dd { (Outside(depends)) } }
                dt { "Events" }
                dd {
                    (counted(entry.events as u64, "event")) " of " (counted(entry.findings as u64, "finding"))
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
                StepVerdict::AwaitsApproval => "Until an approver approves it, withheld by",
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
