//! Reports and incidents, as the operator reads them.

use jiff::Timestamp;
use remediation::record::Incident;
use remediation::report::{Outcome, Proposed, Report, Status};
use serde_json::{Value, json};

use crate::output::Stream;

/// Prints a report: what became of it, each step, what is left.
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

/// What stays dangerous, and what a person should do.
pub(crate) fn left(report: &Report, to: Stream) {
    let at_risk = if report.status() == Status::DryRun {
        "would still be at risk"
    } else {
        "still at risk"
    };
    for (title, entries) in [
        (at_risk, report.residual_risks()),
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

/// The word of an outcome.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Planned => "planned",
        Outcome::Applied => "applied",
        Outcome::Already => "already",
        Outcome::Skipped => "skipped",
        Outcome::Withheld => "withheld",
        Outcome::Failed => "failed",
        Outcome::Restored => "restored",
    }
}

/// True for a report after which a person must act.
pub(crate) fn failed(report: &Report) -> bool {
    matches!(report.status(), Status::Failed | Status::Partial)
}

/// The steps of a report, with what each found and wants.
pub(crate) fn steps(report: &Report, to: Stream) {
    let rows: Vec<_> = report
        .steps()
        .iter()
        .map(|step| {
            [
                outcome(step.outcome()).to_owned(),
                step.action().to_owned(),
                step.target().to_owned(),
                step.from().to_string(),
                step.to().to_string(),
                step.detail().to_owned(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        to.table(
            ["OUTCOME", "ACTION", "TARGET", "FROM", "TO", "DETAIL"],
            &rows,
        );
    }
}

/// Prints a table of the proposed steps.
pub(crate) fn proposed_steps<'a>(to: Stream, steps: impl Iterator<Item = &'a Proposed>) {
    let rows: Vec<_> = steps
        .map(|step| {
            let (from, to) = (step.from.to_string(), step.to.to_string());
            [step.action.clone(), step.target.clone(), from, to]
        })
        .collect();
    to.table(["ACTION", "TARGET", "FROM", "TO"], &rows);
}

/// True while a person may approve what the incident has planned.
pub(crate) fn awaits_approval(incident: &Incident) -> bool {
    let awaiting = incident.awaiting().ok().flatten();
    awaiting.is_some_and(|awaiting| Timestamp::now() < awaiting.expires_at)
}

/// For programs: why nothing is done about an incident.
pub(crate) fn refused(incident: &Incident, why: &str) -> Value {
    json!({
        "incident": incident.id, "category": incident.category, "part": incident.part, "refused": why,
    })
}
