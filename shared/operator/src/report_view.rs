//! Reports and incidents, as the operator reads them.

use jiff::Timestamp;
use remediation::record::Incident;
use remediation::report::{Proposed, Report, Status};
use remediation::report_view;
use serde_json::{Value, json};

use crate::output::{self, Stream};

/// Prints a report: its status, each step, and the residual risks and next steps.
pub(crate) fn tell(report: &Report, to: Stream) {
    to.line(&heading(report));
    steps(report, to);
    left(report, to);
}

/// The status, the function, and why.
pub(crate) fn heading(report: &Report) -> String {
    format!(
        "{} ({}): {}",
        report.status().as_str(),
        report.category(),
        report.reason()
    )
}

/// Prints the residual risks and the next steps.
pub(crate) fn left(report: &Report, to: Stream) {
    let at_risk = report_view::at_risk(report).to_lowercase();
    for (title, entries) in [
        (at_risk.as_str(), report.residual_risks()),
        ("to do", report.next_steps()),
    ] {
        if !entries.is_empty() {
            to.line("");
            to.line(&format!("{title}:"));
        }
        for entry in entries {
            to.line(&format!("  - {entry}"));
        }
    }
}

/// True for a report after which the operator must act.
pub(crate) fn failed(report: &Report) -> bool {
    matches!(report.status(), Status::Failed | Status::Partial)
}

/// A step, as the operator reads it.
pub(crate) struct StepView<'a> {
    /// Its outcome, or its intended outcome.
    pub(crate) word: &'a str,
    pub(crate) action: &'a str,
    pub(crate) target: &'a str,
    /// Why, if there is more to say.
    pub(crate) detail: &'a str,
    pub(crate) from: &'a Value,
    pub(crate) to: &'a Value,
}

/// How much is shown of the values that a step changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// Enough to know them by. `--output json` has all.
    Short,
    /// All of them: somebody decides by them.
    Whole,
}

/// How much of a value is enough to know it by, in characters.
const SHORT: usize = 60;

/// Prints steps, each with why and with what it changes in the lines below.
pub(crate) fn show_steps(to: Stream, steps: &[StepView<'_>], values: Values) {
    let words = steps.iter().map(|step| step.word.chars().count());
    let width = words.max().unwrap_or_default();
    for step in steps {
        let StepView { action, target, .. } = step;
        to.word_line(step.word, width, &format!("{action}  {target}"));
        let below = (!step.detail.is_empty()).then(|| step.detail.to_owned());
        for line in below.into_iter().chain(changes(step.from, step.to, values)) {
            to.line(&format!("{:width$}    {line}", ""));
        }
    }
}

/// The members that a step changes, each with what was found and what is wanted.
fn changes(from: &Value, to: &Value, values: Values) -> Vec<String> {
    let none = serde_json::Map::new();
    let from = from.as_object().unwrap_or(&none);
    let to = to.as_object().unwrap_or(&none);
    let shown = |value: Option<&Value>| {
        let text = match value {
            None | Some(Value::Null) => "none".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        match values {
            Values::Short => output::shortened(&text, SHORT),
            Values::Whole => text,
        }
    };
    let names = from
        .keys()
        .chain(to.keys().filter(|it| !from.contains_key(*it)));
    names
        .map(|name| (name, from.get(name), to.get(name)))
        .filter(|(_, from, to)| from != to)
        .map(|(name, from, to)| format!("{name}: {} → {}", shown(from), shown(to)))
        .collect()
}

/// Prints the steps of a report.
pub(crate) fn steps(report: &Report, to: Stream) {
    let steps: Vec<_> = report
        .steps()
        .iter()
        .map(|step| StepView {
            word: step.outcome().as_str(),
            action: step.action(),
            target: step.target(),
            detail: step.detail(),
            from: step.from(),
            to: step.to(),
        })
        .collect();
    show_steps(to, &steps, Values::Short);
}

/// Prints the steps that are proposed.
pub(crate) fn proposed_steps<'a>(to: Stream, steps: impl Iterator<Item = &'a Proposed>) {
    let steps: Vec<_> = steps
        .map(|step| StepView {
            word: "proposed",
            action: &step.action,
            target: &step.target,
            detail: "",
            from: &step.from,
            to: &step.to,
        })
        .collect();
    show_steps(to, &steps, Values::Whole);
}

/// True while an approver may run the plan of the incident.
pub(crate) fn awaits_approval(incident: &Incident) -> bool {
    let awaiting = incident.awaiting().ok().flatten();
    awaiting.is_some_and(|awaiting| Timestamp::now() < awaiting.expires_at)
}

/// For programs: why nothing is done about an incident.
pub(crate) fn refused(incident: &Incident, why: &str) -> Value {
    output::object(json!({
        "incident": incident.id, "category": incident.category, "part": incident.part, "refused": why,
    }))
}
