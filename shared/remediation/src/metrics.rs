//! Metrics in the line of the report. CloudWatch Logs takes them from there, so that they cost no call:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//!
//! Of a dry run the times are those to a plan; nothing counts as contained.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::finding::Finding;
use crate::report::{Outcome, Report, Status};

/// What a response took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// When it was known what to do.
    pub(crate) decided: Option<Timestamp>,
    /// When what was done had been read back.
    pub(crate) contained: Option<Timestamp>,
    /// How many requests were sent to AWS.
    pub(crate) requests: u64,
}

/// The metric of findings that were not contained, or only in part.
pub const NOT_CONTAINED: &str = "NotContained";

/// The metric of containments that someone undid.
pub const CONTAINMENT_UNDONE: &str = "ContainmentUndone";

/// The outcomes of steps, and what their counts are called.
const STEPS: [(Outcome, &str); 6] = [
    (Outcome::Planned, "StepsPlanned"),
    (Outcome::Applied, "StepsApplied"),
    (Outcome::Already, "StepsAlready"),
    (Outcome::Skipped, "StepsSkipped"),
    (Outcome::Withheld, "StepsWithheld"),
    (Outcome::Failed, "StepsFailed"),
];

/// Values by name, and the dimensions under which CloudWatch keeps them.
struct Directive {
    dimensions: Value,
    unit: &'static str,
    values: Map<String, Value>,
}

impl Directive {
    fn new(dimensions: Value, unit: &'static str) -> Self {
        Self {
            dimensions,
            unit,
            values: Map::new(),
        }
    }

    fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.values.insert(name.to_owned(), value.into());
    }

    fn declared(&self, namespace: &str) -> Value {
        let metrics: Vec<_> = self
            .values
            .keys()
            .map(|name| json!({ "Name": name, "Unit": self.unit }))
            .collect();
        json!({ "Namespace": namespace, "Dimensions": self.dimensions, "Metrics": metrics })
    }
}

/// The line of `report` with its metrics in `namespace`. What is only drilled counts nowhere.
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
    let Ok(Value::Object(mut members)) = serde_json::from_str(&line) else {
        return line;
    };
    let directives = [
        findings(report),
        alarms(report),
        steps(report),
        seconds(finding, measured),
    ];
    let declared: Vec<_> = directives
        .iter()
        .filter(|directive| !directive.values.is_empty())
        .map(|directive| directive.declared(namespace))
        .collect();
    for directive in directives {
        members.extend(directive.values);
    }
    if measured.requests > 0 {
        members.insert("Requests".to_owned(), measured.requests.into());
    }
    members.insert(
        "_aws".to_owned(),
        json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": declared }),
    );
    Value::Object(members).to_string()
}

/// By function, type and what became of it. The dimensions are members of the report; CloudWatch takes
/// none that is empty or not ASCII, as the type of what is no finding may be.
fn findings(report: &Report) -> Directive {
    let mut dimensions = vec![["category", "status"]];
    let kind = report.finding_type();
    if kind.is_ascii() && !kind.trim().is_empty() {
        dimensions.push(["finding_type", "status"]);
    }
    let mut directive = Directive::new(json!(dimensions), "Count");
    directive.add("Findings", 1);
    directive
}

/// What the stack's alarms look at: of all functions together, so without dimensions.
fn alarms(report: &Report) -> Directive {
    let mut directive = Directive::new(json!([[]]), "Count");
    let open = matches!(report.status(), Status::Failed | Status::Partial);
    directive.add(NOT_CONTAINED, u8::from(open));
    directive.add(CONTAINMENT_UNDONE, u8::from(report.undone()));
    directive
}

fn steps(report: &Report) -> Directive {
    let mut directive = Directive::new(json!([["category"]]), "Count");
    for (outcome, name) in STEPS {
        let steps = report.steps().iter();
        let count = steps.filter(|step| step.outcome() == outcome).count();
        if count > 0 {
            directive.add(name, count);
        }
    }
    directive
}

fn seconds(finding: Option<&Finding>, measured: &Measured) -> Directive {
    let mut directive = Directive::new(json!([["category"]]), "Seconds");
    let Some(finding) = finding else {
        return directive;
    };
    let since = [
        ("LastSeen", finding.last_seen()),
        ("Created", finding.created_at()),
        ("Event", finding.event_time()),
    ];
    let until = [
        ("Decided", measured.decided),
        ("Contained", measured.contained),
    ];
    for (from, start) in since {
        for (to, end) in until {
            if let (Some(start), Some(end)) = (start, end) {
                let seconds = end.duration_since(start).as_secs_f64();
                // Clocks differ: what came from the future took no time.
                directive.add(&format!("{from}To{to}"), seconds.max(0.0));
            }
        }
    }
    directive
}

#[cfg(test)]
mod tests;
