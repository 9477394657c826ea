//! The report for people at a terminal.

use jiff::Timestamp;
use simulation::{AffectedTarget, BreakerTrip, Entry, Exemption, NotContained, Numbers, Outcome};

use super::document::Document;
use crate::output::{self, counted, second};

/// How many rows are printed of a table. The JSON has all, the page more.
const ROWS: usize = 40;

/// Prints the report.
pub(super) fn show(document: &Document) {
    let report = &document.report;
    summary(&report.summary);
    for (what, from) in [
        ("settings", &document.settings_from),
        ("policies", &document.policies.from),
    ] {
        output::line(&format!("{what} from: {from}"));
    }
    section(
        "what would have happened",
        [
            "WHEN",
            "OUTCOME",
            "FUNCTION",
            "ACCOUNT",
            "TARGET",
            "BY",
            "EVENTS",
            "FINDING TYPE",
        ],
        report.entries.iter().map(entry),
    );
    section(
        "who would have been hit",
        ["KIND", "NAME", "ACCOUNT", "FIRST", "TIMES", "FINDINGS"],
        report.hit.iter().map(hit),
    );
    section(
        "when the breaker would have opened",
        [
            "WHEN",
            "FUNCTION",
            "ACCOUNT",
            "OF",
            "PLACES",
            "EVENTS WITHHELD",
        ],
        report.openings.iter().map(opening),
    );
    section(
        "how much was contained at most in the time of a window",
        [
            "FUNCTION",
            "ACCOUNT",
            "OF",
            "PLACES",
            "MOST",
            "WITHOUT BREAKER",
        ],
        report.windows.iter().map(|window| {
            [
                window.function.to_string(),
                window.account_id.clone(),
                window.crowd.clone().unwrap_or_else(|| "all".to_owned()),
                window
                    .places
                    .map_or("not held".to_owned(), |it| it.to_string()),
                window.most.to_string(),
                window.most_without_breaker.to_string(),
            ]
        }),
    );
    section(
        "which exemptions applied",
        ["BY", "FUNCTION", "FINDINGS", "TARGETS", "FIRST", "WHY"],
        report.exemptions.iter().map(exemption),
    );
    section(
        "findings not contained automatically",
        ["FUNCTION", "FINDINGS", "FIRST", "WHY"],
        report.left_out.iter().map(left_out),
    );
    output::line("");
    output::line("to know:");
    for remark in &report.remarks {
        output::line(&format!("  - {remark}"));
    }
}

fn summary(numbers: &Numbers) {
    let time = |time: Option<Timestamp>| time.map_or("-".to_owned(), second);
    output::line(&format!(
        "{} in {}, {} to {}",
        counted(numbers.findings as u64, "finding"),
        counted(numbers.events as u64, "event"),
        time(numbers.from),
        time(numbers.to),
    ));
    output::line("");
    let mut rows = vec![
        ("would be contained", numbers.contained, contained(numbers)),
        (
            "would wait for approval",
            numbers.awaits_approval,
            String::new(),
        ),
        ("withheld by policies", numbers.withheld, String::new()),
        (
            "withheld by the breaker",
            numbers.breaker,
            format!(
                "it would have opened {}",
                counted(numbers.openings as u64, "time")
            ),
        ),
    ];
    rows.push((
        "not contained automatically",
        numbers.left_out,
        String::new(),
    ));
    for (what, number, more) in rows {
        let line = format!("{what:27}{number:>7}  {more}");
        output::line(line.trim_end());
    }
}

/// The containments that are partial or uncertain.
pub(super) fn contained(numbers: &Numbers) -> String {
    let mut said = Vec::new();
    if numbers.partial > 0 {
        said.push(format!("{} in part", numbers.partial));
    }
    if numbers.uncertain > 0 {
        let depend = format!(
            "{} depending on what only observing would show",
            numbers.uncertain
        );
        said.push(depend);
    }
    said.join(", ")
}

fn section<const N: usize>(
    title: &str,
    headings: [&str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
) {
    let count = rows.len();
    if count == 0 {
        return;
    }
    output::line("");
    output::line(&format!("{title}:"));
    output::table(headings, &rows.take(ROWS).collect::<Vec<_>>());
    if count > ROWS {
        output::line(&format!(
            "… and {} more: --output json has all, --html more",
            count - ROWS
        ));
    }
}

/// The words for an outcome.
pub(super) fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Contained => "contained",
        Outcome::AwaitsApproval => "awaits approval",
        Outcome::Withheld => "withheld by policy",
        Outcome::Breaker => "withheld by the breaker",
    }
}

/// The same, with its qualifications.
pub(super) fn qualified(entry: &Entry) -> String {
    let mut words = words(entry.outcome).to_owned();
    for (is, word) in [
        (entry.again, ", again"),
        (entry.partial, ", in part"),
        (!entry.depends_on.is_empty(), ", depends"),
    ] {
        if is {
            words.push_str(word);
        }
    }
    words
}

fn entry(entry: &Entry) -> [String; 8] {
    [
        second(entry.at),
        qualified(entry),
        entry.function.to_string(),
        entry.account_id.clone(),
        entry.target.clone(),
        entry.by.join(", "),
        entry.events.to_string(),
        entry.finding_type.clone(),
    ]
}

fn hit(hit: &AffectedTarget) -> [String; 6] {
    [
        hit.kind.to_lowercase(),
        hit.name.clone(),
        hit.account_id.clone(),
        second(hit.first),
        hit.containments.to_string(),
        hit.findings.to_string(),
    ]
}

fn opening(opening: &BreakerTrip) -> [String; 6] {
    [
        second(opening.at),
        opening.function.to_string(),
        opening.account_id.clone(),
        opening.crowd.clone().unwrap_or_else(|| "all".to_owned()),
        opening.places.to_string(),
        opening.withheld.to_string(),
    ]
}

fn exemption(exemption: &Exemption) -> [String; 6] {
    let approval = if exemption.awaits_approval {
        " (until an approver runs the plan)"
    } else {
        ""
    };
    [
        exemption.by.clone(),
        exemption.function.to_string(),
        exemption.findings.to_string(),
        exemption.targets.len().to_string(),
        second(exemption.first),
        format!("{}{approval}", exemption.reason),
    ]
}

fn left_out(left: &NotContained) -> [String; 4] {
    [
        left.function.to_string(),
        left.findings.to_string(),
        second(left.first),
        left.reason.clone(),
    ]
}
