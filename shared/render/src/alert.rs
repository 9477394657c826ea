//! The alert in the event: the values that a paging tool needs, ready for its request. Pure.
//!
//! An input transformer of EventBridge copies values and escapes none of them,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>. So no text here has a
//! character that ends a string of JSON, and none that a tool reads as a mark.

use serde_json::{Value, json};

use crate::chat::inert;
use crate::notice_view::subject;
use model::finding::{Severity, partition_of};
use model::report::{Report, Status};

/// How many next steps the alert has: it is read on a phone.
const NEXT_STEPS: usize = 3;

/// The alert of a report.
pub fn alert(report: &Report) -> Value {
    let (id, region) = (plain(report.finding_id()), plain(report.region()));
    let (severity, priority, impact, urgency) = scales(report);
    let next_steps = report.next_steps().iter().take(NEXT_STEPS);
    let next_steps: Vec<_> = next_steps.map(|step| inert_plain(step)).collect();
    let action = match report.status() {
        Status::Released | Status::Rejected => "resolve",
        _ => "trigger",
    };
    let command = match report.approval() {
        _ if report.drill() => format!("gdr notify-test --resolve {id}"),
        Some(_) => format!("gdr approve {id}, or gdr reject {id}"),
        None => format!("gdr incident {id}"),
    };
    json!({
        "action": action,
        "key": id,
        "finding_type": plain(report.finding_type()),
        "title": plain(&subject(report)),
        "text": inert_plain(report.reason()),
        "next_steps": next_steps.join("; "),
        "command": command,
        "console": console(&region, &id),
        "severity": severity,
        "priority": priority,
        "impact": impact,
        "urgency": urgency,
    })
}

/// The severity in the words of syslog, and as a priority from 1. It is also an impact and an urgency from 1 to 3, from
/// which ITIL takes the priority. A drill is the least of each.
fn scales(report: &Report) -> (&'static str, u8, u8, u8) {
    match Severity::label(report.severity()) {
        _ if report.drill() => ("info", 5, 3, 3),
        "Critical" => ("critical", 1, 1, 1),
        "High" => ("error", 2, 2, 1),
        "Medium" => ("warning", 3, 2, 2),
        _ => ("info", 4, 3, 2),
    }
}

/// The finding in GuardDuty's console.
fn console(region: &str, id: &str) -> String {
    let domain = match partition_of(region) {
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => "console.aws.amazon.com",
    };
    format!("https://{domain}/guardduty/home?region={region}#/findings?search=id%3D{id}")
}

/// Text from outside that no tool obeys.
fn inert_plain(text: &str) -> String {
    plain(&inert(text))
}

/// Text without the characters that JSON escapes, and without those that a template or Jira takes for its own.
fn plain(text: &str) -> String {
    let plain = text.chars().map(|character| match character {
        '"' => '\'',
        '\\' => '/',
        '{' => '(',
        '}' => ')',
        '<' => '‹',
        '>' => '›',
        character if character.is_control() => ' ',
        other => other,
    });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use model::category::Category;

    fn of(detail: Value, reason: &str) -> Report {
        let finding = finding(detail);
        Report::notified(Category::Ec2, &finding, reason.to_owned(), false)
    }

    #[test]
    fn the_severity_has_a_word_a_priority_an_impact_and_an_urgency() {
        for (severity, scales) in [
            (9.5, json!(["critical", 1, 1, 1])),
            (8.0, json!(["error", 2, 2, 1])),
            (5.0, json!(["warning", 3, 2, 2])),
            (2.0, json!(["info", 4, 3, 2])),
        ] {
            let alert = alert(&of(json!({ "severity": severity }), "why"));
            let members = ["severity", "priority", "impact", "urgency"];
            assert_eq!(json!(members.map(|member| &alert[member])), scales);
        }
    }

    #[test]
    fn the_text_of_an_alert_needs_no_escape_in_json_whatever_the_report_says() {
        let hostile = "a \"quote\", a \\, {code}, {{smart}}, <key>,\r\n\t\u{0}\u{7f} [link|https://evil.example] é 💣";
        let mut report = of(json!({}), hostile);
        report.next_steps = vec![hostile.to_owned(); 5];
        for (member, value) in alert(&report).as_object().expect("members") {
            let Some(text) = value.as_str() else {
                continue;
            };
            let quoted = Value::from(text).to_string();
            assert_eq!(quoted, format!("\"{text}\""), "{member}");
            assert!(!text.contains(['{', '}', '<', '>']), "{member}: {text}");
        }
        let long = alert(&of(json!({}), &"why ".repeat(10_000)));
        assert!(long.to_string().len() < 8_000);
    }

    #[test]
    fn a_rejection_or_a_release_resolves_the_alert() {
        let finding = finding(json!({}));
        let by = "arn:aws:iam::111122223333:user/ann";
        let rejected = Report::rejected(Category::Ec2, &finding, by, "our scanner");
        let released = Report::released(
            Category::Ec2,
            &finding,
            by,
            String::new(),
            Vec::new(),
            false,
        );
        for report in [rejected, released] {
            assert_eq!(alert(&report)["action"], "resolve");
        }
        assert_eq!(alert(&of(json!({}), "why"))["action"], "trigger");
    }
}
