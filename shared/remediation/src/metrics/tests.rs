use std::collections::BTreeSet;

use super::*;
use crate::category::Category;
use crate::error::CallError;
use crate::fixtures::fake::{Act, Fake, act};
use crate::fixtures::{event, run};
use crate::report::Obstacle;

const NOW: &str = "2026-03-04T05:10:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn measured() -> Measured {
    Measured {
        decision: Some("contain"),
        decided: Some(at("2026-03-04T05:06:08Z")),
        contained: Some(at("2026-03-04T05:06:09.5Z")),
        sent: Sent {
            requests: 12,
            round_trips: 5,
        },
        refused: false,
        not_handed_over: false,
        unsent: 0,
    }
}

fn finding() -> Finding {
    let event = event(json!({
        "createdAt": "2026-03-04T05:04:07Z",
        "service": { "eventLastSeen": "2026-03-04T05:00:07Z" },
    }));
    Finding::parse(&event).expect("a finding")
}

fn line_of(report: &Report) -> Value {
    let line = line(report, Some(&finding()), &measured(), "gdr", at(NOW));
    assert!(!line.contains('\n'));
    serde_json::from_str(&line).expect("JSON")
}

fn notified() -> Report {
    Report::notified(Category::S3, &finding(), "a reason".to_owned(), false)
}

/// What CloudWatch demands of a line, by the format's schema.
fn holds_to_the_format(line: &Value) {
    let aws = &line["_aws"];
    assert!(aws["Timestamp"].is_i64(), "{aws}");
    let directives = aws["CloudWatchMetrics"].as_array().expect("directives");
    assert!(!directives.is_empty());
    let mut names = BTreeSet::new();
    for directive in directives {
        assert!(
            directive["Namespace"]
                .as_str()
                .is_some_and(|n| !n.is_empty())
        );
        for set in directive["Dimensions"].as_array().expect("sets") {
            for dimension in set.as_array().expect("a set") {
                let dimension = dimension.as_str().expect("a name");
                let value = line[dimension].as_str().expect("a member with a text");
                assert!((1..=1024).contains(&value.len()), "{dimension}");
            }
        }
        let metrics = directive["Metrics"].as_array().expect("metrics");
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let name = metric["Name"].as_str().expect("a name");
            assert!(names.insert(name), "{name} twice");
            let unit = metric["Unit"].as_str().expect("a unit");
            let known = METRICS.iter().find(|known| known.name == name);
            let known = known.unwrap_or_else(|| panic!("{name} is not in the list"));
            assert_eq!(unit, known.unit, "{name}");
            for set in directive["Dimensions"].as_array().expect("sets") {
                let listed = known.dimensions.iter().any(|known| *set == json!(known));
                assert!(listed, "{name} by {set}");
            }
            assert!(line[name].is_number(), "{name}");
        }
    }
}

#[test]
fn the_line_is_the_report_with_metrics_that_cloudwatch_takes() {
    let report = notified();
    let mut line = line_of(&report);
    holds_to_the_format(&line);
    assert_eq!(line["Findings"], 1);
    assert_eq!(line["Requests"], 12);
    assert_eq!(line["RoundTrips"], 5);
    assert_eq!(line["decision"], "contain");
    let members = line.as_object_mut().expect("an object");
    members.retain(|name, _| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    members.remove("_aws");
    members.remove("decision");
    let report: Value = serde_json::to_value(&report).expect("JSON");
    assert_eq!(line, report);
}

#[test]
fn times_are_from_the_activity_the_finding_and_the_event_to_decision_and_containment() {
    let line = line_of(&notified());
    for (name, seconds) in [
        ("LastSeenToDecided", 361.0),
        ("CreatedToDecided", 121.0),
        ("EventToDecided", 1.0),
        ("LastSeenToContained", 362.5),
        ("CreatedToContained", 122.5),
        ("EventToContained", 2.5),
    ] {
        assert_eq!(line[name], seconds, "{name}");
    }
}

#[test]
fn the_time_to_containment_is_missing_without_a_containment_and_never_negative() {
    let measured = Measured {
        decided: Some(at("2026-03-04T05:00:00Z")),
        ..Measured::default()
    };
    let line = line(&notified(), Some(&finding()), &measured, "gdr", at(NOW));
    let line: Value = serde_json::from_str(&line).expect("JSON");
    holds_to_the_format(&line);
    assert_eq!(line["EventToDecided"], 0.0);
    assert_eq!(line["EventToContained"], Value::Null);
    assert_eq!(line["Requests"], Value::Null);
}

fn prevented() -> Report {
    let error = crate::Error::Refused("as the test asked".to_owned());
    Report::prevented(Category::S3, &finding(), Obstacle::Target, &error, false)
}

/// The report of a containment of two targets, of which the second one `fails`.
async fn concluded(fails: bool) -> Report {
    let refused =
        || CallError::within_answer("s3:PutBucketPublicAccessBlock", "b", "AccessDenied", "no");
    let second = Act {
        fails: fails.then(|| refused().into()),
        ..act("another")
    };
    let done = run(&Fake::new([act("exposed"), second]), &finding()).await;
    let decision = "a reason".to_owned();
    Report::concluded(Category::S3, &finding(), decision, false, done.steps)
}

#[tokio::test(start_paused = true)]
async fn metrics_count_open_and_reverted_containments() {
    for (report, status, open) in [
        (prevented(), "failed", 1),
        (concluded(true).await, "partial", 1),
        (concluded(false).await, "contained", 0),
        (notified(), "notified", 0),
    ] {
        for undone in [false, true] {
            let mut report = report.clone();
            report.undone = undone;
            let line = line_of(&report);
            assert_eq!(line["status"], status);
            assert_eq!(line["NotContained"], open, "{status}");
            assert_eq!(line["ContainmentUndone"], u8::from(undone), "{status}");
        }
    }
}

#[test]
fn a_drill_counts_nowhere() {
    let drill = finding().drilled();
    let report = Report::notified(Category::S3, &drill, "a reason".to_owned(), true);
    let line = line(&report, Some(&drill), &measured(), "gdr", at(NOW));
    assert_eq!(line, report.to_line());
}

#[test]
fn events_without_a_finding_are_counted_too() {
    let error = crate::Error::malformed("detail.id", "missing");
    let report = Report::malformed(Category::Iam, &json!({}), &error, true);
    let line = line(&report, None, &Measured::default(), "gdr", at(NOW));
    let line: Value = serde_json::from_str(&line).expect("JSON");
    holds_to_the_format(&line);
    assert_eq!(line["NotContained"], 1);
    assert_eq!(line["category"], "iam");
    assert_eq!(line["decision"], "unreadable");
    assert_eq!(line["Containments"], Value::Null);
}

#[test]
fn findings_are_counted_by_type_and_decision_and_containments_by_status() {
    let by = |line: &Value, metric: &str| {
        let directives = line["_aws"]["CloudWatchMetrics"].as_array();
        let mut directives = directives.expect("directives").iter();
        let has = |directive: &&Value| {
            let metrics = directive["Metrics"].as_array().expect("metrics");
            metrics.iter().any(|known| known["Name"] == metric)
        };
        let directive = directives.find(has);
        directive.map(|directive| directive["Dimensions"].clone())
    };
    let line = line_of(&notified());
    let findings = json!([[], ["category", "decision"], ["finding_type", "decision"]]);
    assert_eq!(by(&line, "Findings"), Some(findings));
    let containments = json!([["status"], ["category", "status"]]);
    assert_eq!(by(&line, "Containments"), Some(containments));
    let left = Measured {
        decision: Some("notify"),
        ..measured()
    };
    let line = super::line(&notified(), Some(&finding()), &left, "gdr", at(NOW));
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(by(&line, "Containments"), None);
    // A type that is none is no dimension.
    let event = json!({ "detail": { "type": "naïve" } });
    let report = Report::malformed(
        Category::S3,
        &event,
        &crate::Error::malformed("m", "p"),
        true,
    );
    let line = super::line(&report, None, &Measured::default(), "gdr", at(NOW));
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        by(&line, "Findings"),
        Some(json!([[], ["category", "decision"]]))
    );
}

#[test]
fn withheld_findings_and_failed_notices_count() {
    let line_of = |measured: &Measured| {
        let line = line(&notified(), Some(&finding()), measured, "gdr", at(NOW));
        serde_json::from_str::<Value>(&line).expect("JSON")
    };
    let line = line_of(&measured());
    assert_eq!(
        (&line["BreakerOpen"], &line["NoticesFailed"]),
        (&json!(0), &json!(0))
    );
    let line = line_of(&Measured {
        refused: true,
        unsent: 2,
        ..measured()
    });
    holds_to_the_format(&line);
    assert_eq!(
        (&line["BreakerOpen"], &line["NoticesFailed"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn a_notice_that_failed_after_the_report_has_a_line_of_its_own() {
    let line = notice_failed("not updated", "gdr", at(NOW));
    let line: Value = serde_json::from_str(&line).expect("JSON");
    holds_to_the_format(&line);
    assert_eq!(line["NoticesFailed"], 1);
    assert_eq!(line["message"], "not updated");
}
