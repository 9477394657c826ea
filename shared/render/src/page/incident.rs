//! The page of an incident: the event, the response, the remaining risks, and the undo.

mod interfaces;
mod moments;
mod undo;

use jiff::Timestamp;
use serde_json::Value;

pub use self::undo::Undone;
use super::{Json, Outside, Page, Section};
use crate::report_view::{Tone, incident_at_risk, incident_status, recorded_outcome};
use maud::{Markup, html};
use model::category::Category;
use model::finding::{Finding, Severity, visible};
use model::incident::{Awaiting, Incident};

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
            content: done(incident, place, now),
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
            content: html! { (known(report)) (afterwards(&incident.afterwards)) },
        },
        Section {
            id: "owner",
            heading: "What to ask the owner",
            content: owner(report),
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
        lead: lead(incident, now),
        sections,
        script: None,
    };
    page.render()
}

/// The facts for a reader who reads no further.
fn lead(incident: &Incident, now: Timestamp) -> Markup {
    let (tone, word, meaning) = incident_status(incident);
    let reason = text(&incident.report, "reason");
    html! {
        div.panel {
            p { span.badge.(colour(tone)) { (Outside(word)) } " " (meaning) }
            @if !reason.is_empty() { p { "Why: " (Outside(reason)) } }
            @if incident.drill {
                p { "This was a drill: nothing was changed." }
            }
            @if let Some(person) = incident.report["run_by"].as_str() {
                p { "Run by hand by " (Outside(person)) }
            }
            @for (what, told) in decisions(incident) {
                p { (what) " " (Outside(told)) }
            }
        }
        p.soft { "This page was made at " (now) " from what was recorded until " (incident.updated_at) "." }
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
    let severity = report["severity"].as_f64();
    let description = finding.map(Finding::description).unwrap_or_default();
    html! {
        @if !description.is_empty() { p { (Outside(&description)) } }
        dl {
            dt { "Finding" } dd { (Outside(&incident.id)) }
            dt { "Type" } dd { (Outside(&incident.finding_type)) }
            @if let Some(severity) = severity {
                dt { "Severity" } dd { (severity) " (" (Severity::label(severity)) ")" }
            }
            dt { "Account" } dd { (Outside(&incident.account_id)) }
            dt { "Region" } dd { (Outside(&incident.region)) }
            dt { "Function" } dd { (Outside(&incident.scope())) }
        }
        (moments::time_line(incident, finding))
        @let sequence = &report["sequence"];
        @if !sequence.is_null() {
            h3 { "The parts of the attack sequence" }
            (Json(sequence))
        }
        @let breaker = &report["breaker"];
        @if !breaker.is_null() {
            h3 { "What the breaker counted" }
            (Json(breaker))
        }
    }
}

fn done(incident: &Incident, place: Option<Place<'_>>, now: Timestamp) -> Markup {
    let steps = entries(&incident.report, "steps");
    let awaiting = incident.awaiting();
    html! {
        @if incident.category == Category::Ec2.as_str() { (interfaces::before_and_after(incident)) }
        @if steps.is_empty() { p { "No step was planned." } }
        @for step in steps { (one(step)) }
        @match &awaiting {
            Ok(Some(plan)) => (waits(incident, plan, place, now)),
            Ok(None) => {},
            Err(error) => p { (Outside(&error.to_string())) },
        }
    }
}

fn one(step: &Value) -> Markup {
    let (tone, word, after) = recorded_outcome(text(step, "outcome"));
    let detail = text(step, "detail");
    html! {
        article {
            h3 { (Outside(text(step, "action"))) " " span.badge.(colour(tone)) { (Outside(word)) } }
            p {
                (Outside(text(step, "target")))
                " " span.soft { "(" (Outside(text(step, "phase"))) ")" }
            }
            @if !detail.is_empty() { p { (Outside(detail)) } }
            (values(&step["from"], after, &step["to"]))
        }
    }
}

/// The found and the wanted value, if anything was found.
fn values(from: &Value, after: &str, to: &Value) -> Markup {
    let empty =
        |value: &Value| value.is_null() || value.as_object().is_some_and(|it| it.is_empty());
    if empty(from) && empty(to) {
        return html! {};
    }
    html! {
        div.sides {
            div { p.soft { "Before" } (Json(from)) }
            div { p.soft { (after) } (Json(to)) }
        }
    }
}

fn waits(incident: &Incident, plan: &Awaiting, place: Option<Place<'_>>, now: Timestamp) -> Markup {
    let parameter = place.and_then(|place| place.policy_parameter);
    let approve = format!(
        "{}{}",
        command("approve", incident, place),
        option("--policy-parameter", parameter)
    );
    html! {
        h3 { "What waits for a person" }
        @if now < plan.expires_at {
            p { "It can be approved until " (plan.expires_at) ". To run exactly this:" }
            pre { code { (approve) } }
            @if parameter.is_none() {
                p.soft {
                    "The policies are asked again: add " code { "--policy-parameter" } " with the stack's output "
                    "PolicyParameter, or " code { "--stack" } " with its name."
                }
            }
            (of_member())
            p { "To let it be:" }
            pre { code { (command("reject", incident, place)) " --reason \"why\"" } }
        } @else {
            p { "It could be approved until " (plan.expires_at) "." }
        }
        @for step in &plan.steps {
            p { strong { (Outside(&step.proposed.action)) } " on " (Outside(&step.proposed.target)) }
            (values(&step.proposed.from, "Would become", &step.proposed.to))
        }
    }
}

/// The option of a command for a hub's incident of a member account.
fn of_member() -> Markup {
    html! {
        p.soft {
            "Where the resource is in another account than the table, add " code { "--member-profile" }
            " with a profile for that account."
        }
    }
}

/// A command of `gdr` about this incident, whole, so that it can be copied.
fn command(word: &str, incident: &Incident, place: Option<Place<'_>>) -> String {
    format!(
        "gdr {word} {}{}{}",
        quoted(&incident.id),
        option("--table", place.map(|place| place.table)),
        option("--category", Some(&incident.category)),
    )
}

fn option(name: &str, value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!(" {name} {}", quoted(value)))
}

/// One word to a shell, whatever it is:
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>.
fn quoted(text: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_.:/".contains(it);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", visible(text).replace('\'', r"'\''"))
}

fn known(report: &Value) -> Markup {
    let answers = entries(report, "investigation").iter();
    let answers: Vec<_> = answers
        .filter(|answer| answer["question"] != "ask_the_owner")
        .collect();
    html! {
        @if answers.is_empty() { p { "Nothing was looked into." } }
        @else {
            dl {
                @for answer in answers {
                    dt { (Outside(&text(answer, "question").replace('_', " "))) }
                    dd {
                        @if answer["known"] != true { strong { "Not known: " } }
                        (Outside(text(answer, "answer")))
                        " " span.soft { "(" (Outside(text(answer, "source"))) ")" }
                    }
                }
            }
        }
    }
}

/// CloudTrail's evidence some time after the containment.
fn afterwards(after: &Value) -> Markup {
    let made = entries(after, "made");
    html! {
        @if !after.is_null() {
            h3 { "What CloudTrail showed later" }
            p {
                @if text(after, "shown") == "not_held" { span.badge.bad { "did not hold" } " " }
                (Outside(text(after, "summary")))
                " " span.soft { "(asked at " (Outside(text(after, "asked_at"))) ")" }
            }
            @if made.is_empty() {
                p { "It shows nothing that the principal made or changed since the first event." }
            } @else {
                p { "Made or changed by the principal since the first event:" }
                (list(made, ""))
            }
        }
    }
}

fn owner(report: &Value) -> Markup {
    let questions = entries(report, "investigation").iter();
    let questions: Vec<_> = questions
        .filter(|answer| answer["question"] == "ask_the_owner")
        .collect();
    html! {
        @if questions.is_empty() { p { "The responder has no question for the owner." } }
        @for question in questions {
            blockquote.panel { (Outside(text(question, "answer"))) }
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

fn list(entries: &[Value], none: &str) -> Markup {
    html! {
        @if entries.is_empty() { p { (none) } }
        @else {
            ul { @for entry in entries { li { (Outside(entry.as_str().unwrap_or_default())) } } }
        }
    }
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
