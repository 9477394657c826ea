//! The parts of a sequence for the reader, bounded. Pure.

use std::fmt::Display;

use serde::Serialize;

use super::HandedOver;
use super::assess::{Assessment, Verdict};
use crate::finding::{Actor, Endpoint, Indicator, Resource, Sequence, Severity, Signal};

/// How many actors and how many resources are listed, and how many of anything else. GuardDuty's
/// sequences have up to 400 of each.
const PARTS: usize = 20;
const OTHERS: usize = 10;
/// How many characters of one line, and of one value in it, are shown.
const LINE: usize = 400;
const VALUE: usize = 160;
/// How many values of an indicator are shown.
const VALUES: usize = 5;

/// The parts of a sequence, what matters most first. If there are more than are listed, the last entry says how many.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outline {
    /// GuardDuty's description.
    pub description: String,
    /// Who acted.
    pub actors: Vec<Part>,
    /// The affected resources.
    pub resources: Vec<Part>,
    /// By which signs.
    pub signals: Vec<String>,
    /// From where.
    pub endpoints: Vec<String>,
    /// The indicators.
    pub indicators: Vec<String>,
    /// Other sequences that it may be part of.
    pub additional_types: Vec<String>,
}

/// An actor or a resource, and what is or would be done about it.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// The name of the part.
    pub name: String,
    /// Its containment and function, and whether it was handed over; or why there is none.
    pub containment: String,
}

impl Outline {
    /// One entry a line, as a notice shows them.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.description.is_empty() {
            lines.push(self.description.clone());
        }
        let parts = |kind: &'static str, parts: &[Part]| {
            let parts = parts.iter();
            parts
                .map(|part| match part.containment.as_str() {
                    "" => format!("{kind}: {}", part.name),
                    what => format!("{kind}: {}\n      containment: {what}", part.name),
                })
                .collect::<Vec<_>>()
        };
        let named = |kind: &'static str, entries: &[String]| {
            let entries = entries.iter();
            entries
                .map(|entry| format!("{kind}: {entry}"))
                .collect::<Vec<_>>()
        };
        lines.extend(parts("actor", &self.actors));
        lines.extend(parts("resource", &self.resources));
        lines.extend(named("signal", &self.signals));
        lines.extend(named("endpoint", &self.endpoints));
        lines.extend(named("indicator", &self.indicators));
        lines.extend(named("may be part of", &self.additional_types));
        lines
    }
}

pub(super) fn outline(
    sequence: &Sequence,
    assessment: &Assessment,
    outcomes: &[HandedOver],
) -> Outline {
    let part = |name: String, verdict: &Verdict| Part {
        name,
        containment: cut(containment(verdict, assessment, outcomes), LINE),
    };
    let more = |count| Part {
        name: more(count),
        containment: String::new(),
    };
    let actors = sequence.actors.iter().zip(&assessment.actors);
    let resources = sequence.resources.iter().zip(&assessment.resources);
    Outline {
        description: cut(sequence.description.clone().unwrap_or_default(), 2 * LINE),
        actors: listed(
            PARTS,
            actors,
            |(one, verdict)| part(actor(one), verdict),
            more,
        ),
        resources: listed(
            PARTS,
            resources,
            |(one, verdict)| part(resource(one), verdict),
            more,
        ),
        signals: listed(OTHERS, sequence.signals.iter(), signal, self::more),
        endpoints: listed(OTHERS, sequence.endpoints.iter(), endpoint, self::more),
        indicators: listed(OTHERS, sequence.indicators.iter(), indicator, self::more),
        additional_types: listed(OTHERS, sequence.additional_types.iter(), value, self::more),
    }
}

fn containment(verdict: &Verdict, assessment: &Assessment, outcomes: &[HandedOver]) -> String {
    let targets = verdict.targets.iter().filter_map(|&index| {
        let (target, outcome) = (assessment.targets.get(index)?, outcomes.get(index)?);
        let became = match outcome {
            HandedOver::Done => "handed over".to_owned(),
            HandedOver::DryRun => "would be handed over".to_owned(),
            HandedOver::Off => "not handed over".to_owned(),
            HandedOver::Failed(error) => format!("NOT HANDED OVER: {error}"),
        };
        Some(format!(
            "{} ({} function): {became}",
            target.what, target.function
        ))
    });
    let none = if verdict.targets.is_empty() {
        "none"
    } else {
        "beside that none"
    };
    let notes = verdict.notes.iter().map(|note| format!("{none}: {note}"));
    let said: Vec<_> = targets.chain(notes).collect();
    said.join("; ")
}

fn actor(actor: &Actor) -> String {
    let mut said = Said::default();
    said.add("", &actor.user_type);
    said.add("", &actor.user_name);
    said.add("unique id ", &actor.user_uid);
    said.add("access key ", &actor.credential);
    said.add("issued by ", &actor.issuer);
    said.add("MFA ", &actor.mfa);
    said.add("account ", &actor.account);
    said.add("process ", &actor.process);
    said.or(&actor.id)
}

fn resource(resource: &Resource) -> String {
    let mut said = Said::default();
    said.add(
        "",
        &Some(resource.kind.clone()).filter(|kind| !kind.is_empty()),
    );
    said.add("", &resource.uid);
    said.add(
        "named ",
        &resource
            .name
            .clone()
            .filter(|name| Some(name) != resource.uid.as_ref()),
    );
    said.add("of ", &resource.user_name);
    said.add("", &resource.effective_permission);
    said.add("public address ", &resource.public_ip);
    said.add("account ", &resource.account);
    said.add("region ", &resource.region);
    said.or(&None)
}

fn signal(signal: &Signal) -> String {
    let mut said = Said::default();
    said.add("", &signal.kind);
    said.add("", &signal.name);
    let severity = signal.severity.map(|severity| {
        let label = Severity::label(severity);
        format!("{severity} {label}")
    });
    said.add("severity ", &severity);
    let times = |count| format!("{count} time{}", if count == 1 { "" } else { "s" });
    said.add("", &signal.count.map(times));
    said.add("from ", &signal.first_seen);
    said.add("to ", &signal.last_seen);
    for noticed in signal.indicators.iter().take(VALUES) {
        said.add("", &Some(indicator(noticed)));
    }
    said.or(&signal.uid)
}

fn endpoint(endpoint: &Endpoint) -> String {
    let mut said = Said::default();
    said.add("", &endpoint.ip);
    said.add("", &endpoint.domain);
    said.add("port ", &endpoint.port);
    said.add("", &endpoint.city);
    said.add("", &endpoint.country);
    said.add("", &endpoint.organisation);
    said.add("AS", &endpoint.asn);
    said.add("", &endpoint.direction);
    said.or(&endpoint.id)
}

fn indicator(indicator: &Indicator) -> String {
    let mut values: Vec<_> = indicator.values.iter().take(VALUES).map(value).collect();
    let rest = indicator.values.len() - values.len();
    if rest > 0 {
        values.push(more(rest));
    }
    let key = value(&indicator.key);
    if values.is_empty() {
        return key;
    }
    format!("{key} {}", values.join(", "))
}

/// The facts about a part, with commas between.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn add(&mut self, before: &str, what: &Option<impl Display>) {
        if let Some(what) = what {
            self.0
                .push(format!("{before}{}", cut(what.to_string(), VALUE)));
        }
    }

    fn or(self, id: &Option<String>) -> String {
        if self.0.is_empty() {
            return id.as_ref().map_or_else(|| "unnamed".to_owned(), value);
        }
        cut(self.0.join(", "), LINE)
    }
}

fn listed<T, U>(
    longest: usize,
    parts: impl ExactSizeIterator<Item = T>,
    show: impl FnMut(T) -> U,
    more: impl Fn(usize) -> U,
) -> Vec<U> {
    let rest = parts.len().saturating_sub(longest);
    let mut shown: Vec<_> = parts.take(longest).map(show).collect();
    if rest > 0 {
        shown.push(more(rest));
    }
    shown
}

fn more(count: usize) -> String {
    format!("and {count} more")
}

#[expect(clippy::ptr_arg, reason = "passed to iterators over strings")]
fn value(text: &String) -> String {
    cut(text.clone(), VALUE)
}

fn cut(mut text: String, longest: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.push('…');
    }
    text
}
