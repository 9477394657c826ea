//! A report, as it is told to a person.

use remediation::report::{Outcome, Report, Status};

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
