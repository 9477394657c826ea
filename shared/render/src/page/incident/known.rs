//! The findings of the investigation, and the question to the owner.

use maud::{Markup, html};
use serde_json::Value;

use super::{entries, second, text};
use crate::page::Outside;
use crate::page::words::folded;

/// The answers of an investigation to one question, or to every other.
fn answers(report: &Value, is_for_owner: bool) -> impl Iterator<Item = &Value> {
    let answers = entries(report, "investigation").iter();
    answers.filter(move |answer| (answer["question"] == "ask_the_owner") == is_for_owner)
}

/// The answer to a question, if it is known.
pub(super) fn answer<'a>(report: &'a Value, question: &str) -> Option<&'a str> {
    let mut answers = answers(report, false);
    let answer = answers.find(|answer| answer["question"] == question && answer["known"] == true);
    answer.map(|answer| text(answer, "answer"))
}

pub(super) fn known(report: &Value) -> Markup {
    let answers: Vec<_> = answers(report, false).collect();
    html! {
        @if answers.is_empty() { p { "The function investigated nothing." } }
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

/// The activity that CloudTrail showed some time after the containment.
pub(super) fn afterwards(after: &Value) -> Markup {
    let made = entries(after, "made");
    html! {
        @if !after.is_null() {
            h3 { "What CloudTrail showed later" }
            p {
                @if text(after, "shown") == "not_held" { span.badge.bad { "did not hold" } " " }
                (Outside(text(after, "summary")))
                " " span.soft { "(asked at " (Outside(&second(text(after, "asked_at")))) ")" }
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

pub(super) fn owner(report: &Value) -> Markup {
    let questions: Vec<_> = answers(report, true).collect();
    html! {
        @if questions.is_empty() { p { "The responder has no question for the owner." } }
        @for question in questions {
            blockquote.panel { (Outside(text(question, "answer"))) }
        }
    }
}

pub(super) fn list(entries: &[Value], none: &str) -> Markup {
    html! {
        @if entries.is_empty() { p { (none) } }
        @else { (folded(entries.iter().map(|it| html! { (Outside(it.as_str().unwrap_or_default())) }))) }
    }
}
