//! The page of an incident: the event, the response, the remaining risks, and the undo.

mod commands;
mod interfaces;
mod known;
mod moments;
mod steps;
mod undo;

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use self::known::list;
pub use self::undo::Undone;
use super::words::words;
use super::{Json, Outside, Page, Section};
use crate::report_view::{Tone, incident_at_risk, incident_status, not_in_effect, to_second};
use model::finding::{Finding, Severity};
use model::incident::Incident;

/// The record of an incident, and the other values of its commands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The parameter with the policies that the functions ask, and that approving asks again. `None`: the maker of the
    /// page does not know it.
    pub policy_parameter: Option<&'a str>,
}

/// The page of `incident` as HTML. `place`: for the commands; `None`: it is recorded nowhere.
/// Pure: `now` is when the page is made.
pub fn render(
    incident: &Incident,
    actions: &Result<Vec<Undone>, String>,
    place: Option<Place<'_>>,
    now: Timestamp,
) -> String {
    let finding = Finding::parse(&incident.event).ok();
    let report = &incident.report;
    let title = match text(report, "title") {
        "" => &incident.finding_type,
        title => title,
    };
    let sections = vec![
        Section {
            id: "happened",
            heading: "What happened",
            content: happened(incident, finding.as_ref()),
        },
        Section {
            id: "done",
            heading: "What was done",
            content: steps::done(incident, place, now),
        },
        Section {
            id: "risk",
            heading: incident_at_risk(incident),
            content: list(
                entries(report, "residual_risks"),
                "Nothing that the responder knows of.",
            ),
        },
        Section {
            id: "next",
            heading: "What to do next",
            content: list(
                entries(report, "next_steps"),
                "Nothing that the responder knows of.",
            ),
        },
        Section {
            id: "known",
            heading: "What is known",
            content: html! { (known::known(report)) (known::afterwards(&incident.afterwards)) },
        },
        Section {
            id: "owner",
            heading: "What to ask the owner",
            content: known::owner(report),
        },
        Section {
            id: "release",
            heading: "How to release it",
            content: undo::section(incident, actions, place),
        },
        Section {
            id: "evidence",
            heading: "The evidence",
            content: evidence(incident),
        },
    ];
    let page = Page {
        title: &format!("Incident: {title}"),
        lead: lead(incident, finding.as_ref(), now),
        sections,
        script: None,
    };
    page.render()
}

/// How many of the next steps the first screen has.
const FIRST_STEPS: usize = 3;

/// The first screen: status, who, what, when, and what to do.
fn lead(incident: &Incident, finding: Option<&Finding>, now: Timestamp) -> Markup {
    let (tone, word, meaning) = incident_status(incident);
    let report = &incident.report;
    html! {
        div.panel {
            p { span.badge.(colour(tone)) { (Outside(word)) } " " (meaning) }
            @if incident.drill {
                p { "This was a drill: nothing was changed." }
            }
            @if let Some(operator) = report["run_by"].as_str() {
                p { "Run by hand by " (Outside(operator)) }
            }
            @for (what, told) in decisions(incident) {
                p { (what) " " (Outside(told)) }
            }
            (at_a_glance(incident, finding))
            (first_steps(incident))
        }
        p.soft { "This page was made at " (to_second(now)) " from the record of " (second(&incident.updated_at)) "." }
    }
}

fn at_a_glance(incident: &Incident, finding: Option<&Finding>) -> Markup {
    let report = &incident.report;
    let reason = text(report, "reason");
    let who = known::answer(report, "who").or_else(|| known::answer(report, "instance"));
    let seen = finding.and_then(Finding::first_seen).map(to_second);
    let contained = incident.contained_at.as_deref().map(second);
    let done = if incident.status == "partial" {
        "a part contained "
    } else {
        "contained "
    };
    html! {
        dl {
            @if let Some(who) = who { dt { "Who" } dd { (Outside(who)) } }
            dt { "What" }
            dd { (Outside(&incident.finding_type)) (severity(report)) }
            @if seen.is_some() || contained.is_some() {
                dt { "When" }
                dd {
                    @if let Some(seen) = seen { "first seen " (seen) }
                    @if seen.is_some() && contained.is_some() { ", " }
                    @if let Some(contained) = &contained { (done) (Outside(contained)) }
                }
            }
            dt { "Where" }
            dd { "account " (Outside(&incident.account_id)) ", " (Outside(&incident.region)) }
            @if !reason.is_empty() { dt { "Why" } dd { (Outside(reason)) } }
        }
    }
}

/// The open points come first: the plan that awaits approval, and each containing step that failed.
fn first_steps(incident: &Incident) -> Markup {
    let next = entries(&incident.report, "next_steps");
    let steps = entries(&incident.report, "steps").iter();
    let failed = steps.filter(|step| step["phase"] == "contain" && step["outcome"] == "failed");
    let failed: Vec<_> = failed.collect();
    let more = next.len().saturating_sub(FIRST_STEPS) + failed.len().saturating_sub(FIRST_STEPS);
    let awaits = !incident.awaiting.is_null();
    html! {
        @if awaits || !failed.is_empty() || !next.is_empty() {
            p { strong { "What to do now" } }
            ol {
                @if awaits {
                    li { "Approve or reject the plan: " a href="#done" { "the plan and its commands" } }
                }
                @for step in failed.iter().take(FIRST_STEPS) {
                    li { (Outside(&not_in_effect(text(step, "action"), text(step, "target")))) }
                }
                @for step in next.iter().take(FIRST_STEPS) {
                    li { (Outside(step.as_str().unwrap_or_default())) }
                }
            }
            @if more > 0 { p { a href="#next" { "and " (more) " more" } } }
        }
    }
}

fn severity(report: &Value) -> Markup {
    let severity = report["severity"].as_f64();
    html! {
        @if let Some(severity) = severity {
            ", severity " (severity) " (" (Severity::label(severity)) ")"
        }
    }
}

fn decisions(incident: &Incident) -> impl Iterator<Item = (&'static str, &str)> {
    let all = [
        ("Approved", &incident.approved),
        ("Rejected", &incident.rejected),
        ("Released", &incident.released),
    ];
    all.into_iter()
        .filter_map(|(what, told)| Some((what, told.as_deref()?)))
}

/// The class of a badge.
fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Doubtful => "warn",
        Tone::Bad => "bad",
        Tone::Neutral => "soft",
    }
}

fn happened(incident: &Incident, finding: Option<&Finding>) -> Markup {
    let report = &incident.report;
    let description = finding.map(Finding::description).unwrap_or_default();
    html! {
        @if !description.is_empty() { p { (Outside(&description)) } }
        dl {
            dt { "Finding" } dd { (Outside(&incident.id)) }
            dt { "Type" } dd { (Outside(&incident.finding_type)) (severity(report)) }
            dt { "Account" } dd { (Outside(&incident.account_id)) }
            dt { "Region" } dd { (Outside(&incident.region)) }
            dt { "Function" } dd { (Outside(&incident.scope())) }
        }
        (moments::time_line(incident, finding))
        @let sequence = &report["sequence"];
        @if !sequence.is_null() {
            h3 { "The parts of the attack sequence" }
            (words(sequence))
        }
        @let breaker = &report["breaker"];
        @if !breaker.is_null() {
            h3 { "What the circuit breaker counted" }
            (words(breaker))
        }
    }
}

fn evidence(incident: &Incident) -> Markup {
    let settings = serde_json::to_value(&incident.settings).unwrap_or_default();
    let actions = serde_json::to_value(&incident.actions).unwrap_or_default();
    let all = [
        ("The event", &incident.event),
        (
            "What was found before anything was changed",
            &incident.evidence["before"],
        ),
        ("What was collected afterwards", &incident.evidence["after"]),
        ("The actions, with the values that they found", &actions),
        ("The settings", &settings),
        ("The report", &incident.report),
    ];
    let none =
        |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    html! {
        @for (what, value) in all {
            @if none(value) {
                p { (what) ": none was recorded." }
            } @else {
                details { summary { (what) } (Json(value)) }
            }
        }
    }
}

/// A recorded time, to the second.
fn second(time: &str) -> String {
    let parsed = time.parse::<Timestamp>();
    parsed.map_or_else(|_| time.to_owned(), |time| to_second(time).to_string())
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn entries<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}
