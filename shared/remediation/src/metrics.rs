//! Metrics in the line of the report. CloudWatch Logs takes them from there, so that they cost no call:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//!
//! The times of a dry run are those to a plan; nothing counts as contained.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::finding::Finding;
use crate::report::{Outcome, Report, Status};
use aws::Sent;

/// The measures of a response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// The decision. `None`: the event is no finding.
    pub(crate) decision: Option<&'static str>,
    /// When it was known what to do.
    pub(crate) decided: Option<Timestamp>,
    /// When what was done had been read back.
    pub(crate) contained: Option<Timestamp>,
    /// The requests sent to AWS.
    pub(crate) sent: Sent,
    /// The breaker let nothing through, since a window had no room.
    pub(crate) refused: bool,
    /// A part of an attack sequence was refused by its function for good.
    pub(crate) not_handed_over: bool,
    /// How many notices could not be sent.
    pub(crate) unsent: usize,
}

/// A metric, and under which sets of dimensions CloudWatch keeps it.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, which is the member of the line that has its value.
    pub name: &'static str,
    /// One of CloudWatch's units.
    pub unit: &'static str,
    /// Each set is of members of the line. An empty one: those of all functions together.
    pub dimensions: &'static [&'static [&'static str]],
}

const TOTAL: &[&[&str]] = &[&[]];
const BY_CATEGORY: &[&[&str]] = &[&["category"]];

/// Every metric that the functions write.
#[rustfmt::skip]
pub const METRICS: [Metric; 21] = [
    Metric {
        name: FINDINGS,
        unit: "Count",
        dimensions: &[&[], &["category", "decision"], &["finding_type", "decision"]],
    },
    Metric { name: CONTAINMENTS, unit: "Count", dimensions: &[&["status"], &["category", "status"]] },
    Metric { name: NOT_CONTAINED, unit: "Count", dimensions: TOTAL },
    Metric { name: CONTAINMENT_UNDONE, unit: "Count", dimensions: TOTAL },
    Metric { name: BREAKER_OPEN, unit: "Count", dimensions: TOTAL },
    Metric { name: NOTICES_FAILED, unit: "Count", dimensions: TOTAL },
    Metric { name: "StepsPlanned", unit: "Count", dimensions: BY_CATEGORY },
    Metric { name: "StepsApplied", unit: "Count", dimensions: BY_CATEGORY },
    Metric { name: "StepsAlready", unit: "Count", dimensions: BY_CATEGORY },
    Metric { name: "StepsSkipped", unit: "Count", dimensions: BY_CATEGORY },
    Metric { name: "StepsWithheld", unit: "Count", dimensions: BY_CATEGORY },
    Metric { name: "StepsFailed", unit: "Count", dimensions: BY_CATEGORY },
    Metric { name: "LastSeenToDecided", unit: "Seconds", dimensions: BY_CATEGORY },
    Metric { name: "CreatedToDecided", unit: "Seconds", dimensions: BY_CATEGORY },
    Metric { name: "EventToDecided", unit: "Seconds", dimensions: BY_CATEGORY },
    Metric { name: "LastSeenToContained", unit: "Seconds", dimensions: BY_CATEGORY },
    Metric { name: "CreatedToContained", unit: "Seconds", dimensions: BY_CATEGORY },
    Metric { name: "EventToContained", unit: "Seconds", dimensions: BY_CATEGORY },
    Metric { name: "Requests", unit: "Count", dimensions: BY_CATEGORY },
    Metric { name: "RoundTrips", unit: "Count", dimensions: BY_CATEGORY },
    // By a filter of the functions' logs, since it is not about one finding.
    Metric { name: POLICY_UNUSABLE, unit: "None", dimensions: TOTAL },
];

/// The metric of findings, and of events that were to be some.
pub const FINDINGS: &str = "Findings";

/// The metric of what came of findings that were to be contained.
pub const CONTAINMENTS: &str = "Containments";

/// The metric of findings that were not contained, or only in part.
pub const NOT_CONTAINED: &str = "NotContained";

/// The metric of containments that someone undid.
pub const CONTAINMENT_UNDONE: &str = "ContainmentUndone";

/// The metric of findings that the breaker withheld.
pub const BREAKER_OPEN: &str = "BreakerOpen";

/// The metric of notices that could not be sent.
pub const NOTICES_FAILED: &str = "NoticesFailed";

/// The metric of policies that cannot be used.
pub const POLICY_UNUSABLE: &str = "PolicyUnusable";

/// The line of `report` with its metrics in `namespace`. A drill counts nowhere.
pub(crate) fn line(
    report: &Report,
    finding: Option<&Finding>,
    measured: &Measured,
    namespace: &str,
    now: Timestamp,
) -> String {
    let line = report.to_line();
    if report.drill() {
        return line;
    }
    let Ok(mut line) = serde_json::from_str::<Value>(&line) else {
        return line;
    };
    line["decision"] = json!(measured.decision.unwrap_or("unreadable"));
    let mut values = counts(report, measured);
    values.extend(seconds(finding, measured));
    written(line, values, namespace, now)
}

/// A line of its own that says that a notice could not be sent after all, where there is no report.
pub(crate) fn notice_failed(message: &str, namespace: &str, now: Timestamp) -> String {
    let values = vec![(NOTICES_FAILED, json!(1))];
    written(json!({ "message": message }), values, namespace, now)
}

/// `line` with these values, declared as the format asks for: metrics with the same dimensions are together.
fn written(
    mut line: Value,
    values: Vec<(&'static str, Value)>,
    namespace: &str,
    now: Timestamp,
) -> String {
    let mut declared: Vec<(Value, Vec<Value>)> = Vec::new();
    for (name, value) in values {
        let Some(metric) = METRICS.iter().find(|metric| metric.name == name) else {
            continue;
        };
        let sets = metric.dimensions.iter();
        let sets = sets.filter(|set| set.iter().all(|name| is_dimension(&line[*name])));
        let dimensions = sets.collect::<Vec<_>>();
        let dimensions = json!(dimensions);
        line[name] = value;
        let metric = json!({ "Name": name, "Unit": metric.unit });
        match declared.iter_mut().find(|(sets, _)| *sets == dimensions) {
            Some((_, metrics)) => metrics.push(metric),
            None => declared.push((dimensions, vec![metric])),
        }
    }
    let directives: Vec<_> = declared
        .into_iter()
        .map(|(sets, metrics)| {
            json!({ "Namespace": namespace, "Dimensions": sets, "Metrics": metrics })
        })
        .collect();
    line["_aws"] = json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": directives });
    line.to_string()
}

/// CloudWatch takes no dimension that is empty or not ASCII, as the type of what is no finding may be.
fn is_dimension(value: &Value) -> bool {
    let text = value.as_str();
    text.is_some_and(|text| text.is_ascii() && !text.trim().is_empty())
}

fn counts(report: &Report, measured: &Measured) -> Vec<(&'static str, Value)> {
    let open = matches!(report.status(), Status::Failed | Status::Partial);
    // Where the record shows a containment, and where another invocation has the target, nothing is known to be
    // open.
    let open = open && !report.stands && !report.is_busy() || measured.not_handed_over;
    let mut counts = vec![
        (FINDINGS, json!(1)),
        (NOT_CONTAINED, json!(u8::from(open))),
        (CONTAINMENT_UNDONE, json!(u8::from(report.undone()))),
        (BREAKER_OPEN, json!(u8::from(measured.refused))),
        (NOTICES_FAILED, json!(measured.unsent)),
    ];
    if measured.decision == Some("contain") {
        counts.push((CONTAINMENTS, json!(1)));
    }
    for (outcome, name) in [
        (Outcome::Planned, "StepsPlanned"),
        (Outcome::Applied, "StepsApplied"),
        (Outcome::Already, "StepsAlready"),
        (Outcome::Skipped, "StepsSkipped"),
        (Outcome::Withheld, "StepsWithheld"),
        (Outcome::Failed, "StepsFailed"),
    ] {
        let steps = report.steps().iter();
        let count = steps.filter(|step| step.outcome() == outcome).count();
        if count > 0 {
            counts.push((name, json!(count)));
        }
    }
    if measured.sent.requests > 0 {
        counts.push(("Requests", json!(measured.sent.requests)));
        counts.push(("RoundTrips", json!(measured.sent.round_trips)));
    }
    counts
}

fn seconds(finding: Option<&Finding>, measured: &Measured) -> Vec<(&'static str, Value)> {
    let Some(finding) = finding else {
        return Vec::new();
    };
    let (seen, created, event) = (
        finding.last_seen(),
        finding.created_at(),
        finding.event_time(),
    );
    let (decided, contained) = (measured.decided, measured.contained);
    let spans = [
        ("LastSeenToDecided", seen, decided),
        ("CreatedToDecided", created, decided),
        ("EventToDecided", event, decided),
        ("LastSeenToContained", seen, contained),
        ("CreatedToContained", created, contained),
        ("EventToContained", event, contained),
    ];
    spans
        .into_iter()
        .filter_map(|(name, start, end)| {
            let seconds = end?.duration_since(start?).as_secs_f64();
            // Clocks differ: what came from the future took no time.
            Some((name, json!(seconds.max(0.0))))
        })
        .collect()
}

#[cfg(test)]
mod tests;
