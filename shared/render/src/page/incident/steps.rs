//! The steps of an incident: those that contain first, and those that were in place already in one line.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::commands::{command, of_member, option};
use super::{Incident, Place, colour, entries, interfaces, text};
use crate::page::Outside;
use crate::page::words::words;
use crate::report_view::{recorded_outcome, to_second};
use model::category::Category;
use model::incident::Awaiting;

/// How many steps show before the others are folded.
const UNFOLDED: usize = 20;

pub(super) fn done(incident: &Incident, place: Option<Place<'_>>, now: Timestamp) -> Markup {
    let (in_place, mut others): (Vec<_>, Vec<_>) = entries(&incident.report, "steps")
        .iter()
        .partition(|step| step["outcome"] == "already");
    others.sort_by_key(|step| (step["phase"] != "contain", step["outcome"] != "failed"));
    let (shown, folded) = others.split_at(others.len().min(UNFOLDED));
    let awaiting = incident.awaiting();
    html! {
        @if others.is_empty() && in_place.is_empty() { p { "No step was planned." } }
        @for step in shown { (one(step)) }
        @if !folded.is_empty() {
            details {
                summary { "and " (folded.len()) " more" }
                @for step in folded { (one(step)) }
            }
        }
        (already(&in_place))
        @if incident.category == Category::Ec2.as_str() { (interfaces::before_and_after(incident)) }
        @match &awaiting {
            Ok(Some(plan)) => (waits(incident, plan, place, now)),
            Ok(None) => {},
            Err(error) => p { (Outside(&error.to_string())) },
        }
    }
}

/// The steps of which nothing had to be done.
fn already(steps: &[&Value]) -> Markup {
    let steps_were = if steps.len() == 1 {
        "step was"
    } else {
        "steps were"
    };
    html! {
        @if !steps.is_empty() {
            details {
                summary { (steps.len()) " " (steps_were) " in place already" }
                ul {
                    @for step in steps {
                        li {
                            (Outside(text(step, "action"))) " on " (Outside(text(step, "target")))
                            " " span.soft { (Outside(text(step, "detail"))) }
                            (values(step, "After"))
                        }
                    }
                }
            }
        }
    }
}

/// A step that contains shows its values; those of any other step fold.
fn one(step: &Value) -> Markup {
    let (tone, word, after) = recorded_outcome(text(step, "outcome"));
    let detail = text(step, "detail");
    let values = values(step, after);
    let contains = step["phase"] == "contain";
    html! {
        article {
            h3 { (Outside(text(step, "action"))) " " span.badge.(colour(tone)) { (Outside(word)) } }
            p {
                (Outside(text(step, "target")))
                @if !contains { " " span.soft { "(" (Outside(text(step, "phase"))) ")" } }
                @if !detail.is_empty() { ": " (Outside(detail)) }
            }
            @if contains { (values) }
            @else if !values.0.is_empty() { details { summary { "values" } (values) } }
        }
    }
}

/// The value found beside the value wanted, if one was found.
fn values(step: &Value, after: &str) -> Markup {
    sides(&step["from"], after, &step["to"])
}

fn sides(from: &Value, after: &str, to: &Value) -> Markup {
    let empty =
        |value: &Value| value.is_null() || value.as_object().is_some_and(|it| it.is_empty());
    if empty(from) && empty(to) {
        return html! {};
    }
    html! {
        div.sides {
            div { p.soft { "Before" } (words(from)) }
            div { p.soft { (after) } (words(to)) }
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
    let expires = to_second(plan.expires_at);
    html! {
        h3 { "What awaits approval" }
        @if now < plan.expires_at {
            p { "It can be approved until " (expires) ". To run exactly these steps:" }
            pre { code { (approve) } }
            @if parameter.is_none() {
                p.soft {
                    "The policies are asked again: add " code { "--policy-parameter" } " with the stack's output "
                    "PolicyParameter, or " code { "--stack" } " with its name."
                }
            }
            (of_member())
            p { "To reject them:" }
            pre { code { (command("reject", incident, place)) " --reason \"why\"" } }
        } @else {
            p { "It could be approved until " (expires) "." }
        }
        @for step in &plan.steps {
            p { strong { (Outside(&step.proposed.action)) } " on " (Outside(&step.proposed.target)) }
            (sides(&step.proposed.from, "Would become", &step.proposed.to))
        }
    }
}
