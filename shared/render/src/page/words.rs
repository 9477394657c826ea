//! Values of AWS in words: members by name, lists, yes and no. Other values stay JSON.

use maud::{Markup, html};
use serde_json::Value;

use super::{Json, Outside};

/// How many entries of a list show before the others are folded.
const UNFOLDED: usize = 10;

/// A value in words.
pub(super) fn words(value: &Value) -> Markup {
    match value {
        Value::Null => html! { "none" },
        Value::Bool(true) => html! { "yes" },
        Value::Bool(false) => html! { "no" },
        Value::Number(number) => html! { (number) },
        Value::String(text) => html! { (Outside(text)) },
        Value::Array(entries) if entries.is_empty() => html! { "none" },
        Value::Object(members) if members.is_empty() => html! { "none" },
        Value::Array(entries) => folded(entries.iter().map(words)),
        // A policy document is read as IAM writes it.
        Value::Object(members) if members.contains_key("Statement") => html! { (Json(value)) },
        Value::Object(members) => html! {
            dl {
                @for (name, value) in members {
                    dt { (Outside(&name.replace('_', " "))) }
                    dd { (words(value)) }
                }
            }
        },
    }
}

/// A list, of which the first entries show.
pub fn folded(entries: impl ExactSizeIterator<Item = Markup>) -> Markup {
    let entries: Vec<_> = entries.collect();
    let (shown, more) = entries.split_at(entries.len().min(UNFOLDED));
    html! {
        ul { @for entry in shown { li { (entry) } } }
        @if !more.is_empty() {
            details {
                summary { "and " (more.len()) " more" }
                ul { @for entry in more { li { (entry) } } }
            }
        }
    }
}
