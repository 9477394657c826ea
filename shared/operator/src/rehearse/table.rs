//! The report for people at a terminal.

use std::fmt::Write as _;

use jiff::Timestamp;
use remediation::finding::printable;
use remediation::rehearsal::{Entry, Exemption, Hit, LeftOut, Numbers, Opening, Outcome};

use super::document::Document;

/// How many rows are printed of a table. The JSON has all, the page more.
const ROWS: usize = 40;
/// How wide a cell is at most, in characters; the last one of a row is never cut.
const WIDEST: usize = 56;

/// The report.
pub(super) fn text(document: &Document) -> String {
    let report = &document.report;
    let mut text = String::new();
    summary(&mut text, &report.summary);
    for (what, from) in [
        ("settings", &document.settings_from),
        ("policies", &document.policies.from),
    ] {
        let _ = writeln!(text, "{what} from: {}", printable(from));
    }
    section(
        &mut text,
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
        &mut text,
        "who would have been hit",
        ["KIND", "NAME", "ACCOUNT", "FIRST", "TIMES", "FINDINGS"],
        report.hit.iter().map(hit),
    );
    section(
        &mut text,
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
        &mut text,
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
        &mut text,
        "which exemptions applied",
        ["BY", "FUNCTION", "FINDINGS", "TARGETS", "FIRST", "WHY"],
        report.exemptions.iter().map(exemption),
    );
    section(
        &mut text,
        "what is left to a person",
        ["FUNCTION", "FINDINGS", "FIRST", "WHY"],
        report.left_out.iter().map(left_out),
    );
    text.push_str("\nto know:\n");
    for remark in &report.remarks {
        let _ = writeln!(text, "  - {}", printable(remark));
    }
    text
}

fn summary(text: &mut String, numbers: &Numbers) {
    let time = |time: Option<Timestamp>| time.map_or("-".to_owned(), minute);
    let _ = writeln!(
        text,
        "{} findings in {} events, {} to {}\n",
        numbers.findings,
        numbers.events,
        time(numbers.from),
        time(numbers.to),
    );
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
            format!("it would have opened {} times", numbers.openings),
        ),
    ];
    rows.push(("findings left to a person", numbers.left_out, String::new()));
    for (what, number, more) in rows {
        let line = format!("{what:27}{number:>7}  {more}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// What of the contained is not wholly or not surely so.
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
    text: &mut String,
    title: &str,
    headings: [&str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
) {
    let count = rows.len();
    if count == 0 {
        return;
    }
    let rows: Vec<_> = rows
        .take(ROWS)
        .map(|row| {
            let mut index = 0;
            row.map(|cell| {
                index += 1;
                let cell = printable(&cell);
                if index < N { cut(&cell) } else { cell }
            })
        })
        .collect();
    let mut widths = headings.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let _ = writeln!(text, "\n{title}:");
    let mut line = |cells: &[&str]| {
        let padded = cells.iter().zip(widths);
        let padded: Vec<_> = padded
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        let _ = writeln!(text, "{}", padded.join("  ").trim_end());
    };
    line(&headings);
    for row in &rows {
        line(&row.each_ref().map(String::as_str));
    }
    if count > ROWS {
        let _ = writeln!(
            text,
            "… and {} more: --output json has all, --html more",
            count - ROWS
        );
    }
}

fn cut(cell: &str) -> String {
    if cell.chars().count() <= WIDEST {
        return cell.to_owned();
    }
    let kept: String = cell.chars().take(WIDEST - 1).collect();
    format!("{kept}…")
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

/// The same, with what there is to add.
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
        minute(entry.at),
        qualified(entry),
        entry.function.to_string(),
        entry.account_id.clone(),
        entry.target.clone(),
        entry.by.join(", "),
        entry.events.to_string(),
        entry.finding_type.clone(),
    ]
}

fn hit(hit: &Hit) -> [String; 6] {
    [
        hit.kind.to_lowercase(),
        hit.name.clone(),
        hit.account_id.clone(),
        minute(hit.first),
        hit.containments.to_string(),
        hit.findings.to_string(),
    ]
}

fn opening(opening: &Opening) -> [String; 6] {
    [
        minute(opening.at),
        opening.function.to_string(),
        opening.account_id.clone(),
        opening.crowd.clone().unwrap_or_else(|| "all".to_owned()),
        opening.places.to_string(),
        opening.withheld.to_string(),
    ]
}

fn exemption(exemption: &Exemption) -> [String; 6] {
    let approval = if exemption.awaits_approval {
        " (until a person approves it)"
    } else {
        ""
    };
    [
        exemption.by.clone(),
        exemption.function.to_string(),
        exemption.findings.to_string(),
        exemption.targets.len().to_string(),
        minute(exemption.first),
        format!("{}{approval}", exemption.reason),
    ]
}

fn left_out(left: &LeftOut) -> [String; 4] {
    [
        left.function.to_string(),
        left.findings.to_string(),
        minute(left.first),
        left.reason.clone(),
    ]
}

/// A time to the minute, in UTC.
pub(super) fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%MZ").to_string()
}
