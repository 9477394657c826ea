//! The instance's interfaces and their groups, before and after, as two pictures.

use serde_json::Value;

use super::{Incident, entries, text};
use maud::{Markup, html};
use model::actions::ec2 as name;
use model::finding::printable;

/// An interface, and what it is in.
struct Interface {
    id: String,
    /// Public addresses.
    public: Vec<String>,
    groups: Vec<String>,
    /// The groups isolate it.
    isolated: bool,
}

pub(super) fn before_and_after(incident: &Incident) -> Markup {
    let before = before(&incident.evidence["before"]);
    if before.is_empty() {
        return html! {};
    }
    let after: Vec<_> = before
        .iter()
        .map(|interface| after(interface, incident))
        .collect();
    let released = incident.released.is_some();
    html! {
        h3 { "The interfaces of the instance" }
        div.sides {
            (picture("Before", &before))
            (picture(if released { "After, until it was released" } else { "After" }, &after))
        }
    }
}

/// From what was observed.
fn before(evidence: &Value) -> Vec<Interface> {
    let strings = |value: &Value, member| {
        let entries = entries(value, member).iter();
        entries
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect()
    };
    let interfaces = entries(evidence, "interfaces").iter();
    interfaces
        .map(|interface| Interface {
            id: text(interface, "id").to_owned(),
            public: entries(interface, "public_addresses")
                .iter()
                .map(|address| text(address, "public").to_owned())
                .collect(),
            groups: strings(interface, "groups"),
            isolated: false,
        })
        .collect()
}

/// As before, but for what the steps that are in effect changed.
fn after(before: &Interface, incident: &Incident) -> Interface {
    let steps = entries(&incident.report, "steps").iter();
    let in_effect = |action: &str| {
        steps.clone().find(|step| {
            step["action"] == action
                && text(step, "target") == before.id
                && (step["outcome"] == "applied" || step["outcome"] == "already")
        })
    };
    let isolated = in_effect(name::ISOLATE);
    let groups = isolated.map(|step| {
        let groups = entries(&step["to"], "Groups").iter();
        groups
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect()
    });
    Interface {
        id: before.id.clone(),
        public: match in_effect(name::ADDRESS) {
            Some(_) => Vec::new(),
            None => before.public.clone(),
        },
        groups: groups.unwrap_or_else(|| before.groups.clone()),
        isolated: isolated.is_some(),
    }
}

const WIDTH: usize = 320;
const LINE: usize = 20;
const MARGIN: usize = 8;

fn picture(name: &str, interfaces: &[Interface]) -> Markup {
    let mut drawn = Vec::new();
    let mut y = MARGIN;
    for interface in interfaces {
        let lines = lines(interface);
        let height = LINE * lines.len() + MARGIN;
        drawn.push((y, height, lines, interface.isolated));
        y += height + MARGIN;
    }
    html! {
        figure.picture aria-label=(name) {
            figcaption { (name) }
            svg role="img" aria-label=(spoken(name, interfaces)) viewBox={ "0 0 " (WIDTH) " " (y) } {
                @for (y, height, lines, isolated) in &drawn {
                    @let colour = if *isolated { "good" } else { "warn" };
                    rect.stroke.(colour) x="2" y=(y) width=(WIDTH - 4) height=(height) rx="5" stroke-width="2" {}
                    @for (index, line) in lines.iter().enumerate() {
                        text x=(if index == 0 { 12 } else { 28 }) y=(y + LINE * (index + 1) - 3) { (line) }
                    }
                }
            }
        }
    }
}

fn lines(interface: &Interface) -> Vec<String> {
    let mut lines = vec![cut(&interface.id)];
    lines.extend(
        interface
            .public
            .iter()
            .map(|address| cut(&format!("public address {address}"))),
    );
    lines.extend(
        interface
            .groups
            .iter()
            .map(|group| cut(&format!("group {group}"))),
    );
    lines.push(
        if interface.isolated {
            "lets nothing through"
        } else {
            "lets through what its groups allow"
        }
        .to_owned(),
    );
    lines
}

/// The text that fits on a line. The steps have all of it.
fn cut(text: &str) -> String {
    const LONGEST: usize = 38;
    let text = printable(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn spoken(name: &str, interfaces: &[Interface]) -> String {
    let interfaces = interfaces
        .iter()
        .map(|interface| lines(interface).join(", "));
    format!("{name}: {}", interfaces.collect::<Vec<_>>().join("; "))
}
