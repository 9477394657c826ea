//! The commands of `gdr` about an incident, whole, so that they can be copied.

use maud::{Markup, html};

use super::Place;
use model::finding::visible;
use model::incident::Incident;

/// The option that a command needs for a hub's incident of a member account.
pub(super) fn of_member() -> Markup {
    html! {
        p.soft {
            "If the resource is in another account than the table, add " code { "--member-profile" }
            " with a profile for that account."
        }
    }
}

/// A command about this incident.
pub(super) fn command(word: &str, incident: &Incident, place: Option<Place<'_>>) -> String {
    format!(
        "gdr {word} {}{}{}",
        quoted(&incident.id),
        option("--table", place.map(|place| place.table)),
        option("--category", Some(&incident.category)),
    )
}

pub(super) fn option(name: &str, value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!(" {name} {}", quoted(value)))
}

/// One word to a shell, whatever it is:
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>.
pub(super) fn quoted(text: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_.:/".contains(it);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", visible(text).replace('\'', r"'\''"))
}
