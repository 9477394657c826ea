//! The notice for the person on call: rendered purely, published to SNS.

use std::fmt::Write as _;

use aws_sdk_sns::Client;

use crate::error::{CallContext, Result};
use crate::finding::Severity;
use crate::report::{Outcome, Report, Status, StepReport};

/// The IAM permissions that publishing needs.
pub const PERMISSIONS: &[&str] = &["sns:Publish"];

/// SNS allows a subject of at most 100 ASCII characters,
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.
const SUBJECT_LIMIT: usize = 100;
/// SNS allows a message of at most 256 KiB; a notice that long is no longer read.
const BODY_LIMIT: usize = 64 * 1024;

/// What a person is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// At most 100 printable ASCII characters.
    pub subject: String,
    /// What happened, what was done, what was not, what to do next.
    pub body: String,
}

/// Renders the notice for a report.
pub fn render(report: &Report) -> Notice {
    let mut subject = format!(
        "[{}] {} {} in {}",
        headline(report.status()),
        report.category(),
        report.finding_type(),
        report.account_id(),
    );
    subject.retain(|character| (' '..='~').contains(&character));
    subject.truncate(SUBJECT_LIMIT);
    Notice {
        subject,
        body: body(report),
    }
}

/// Publishes a notice.
///
/// # Errors
/// If SNS refused it or could not be reached.
pub async fn publish(client: &Client, topic_arn: &str, notice: &Notice) -> Result<()> {
    client
        .publish()
        .topic_arn(topic_arn)
        .subject(&notice.subject)
        .message(&notice.body)
        .send()
        .await
        .during("sns:Publish", topic_arn)?;
    Ok(())
}

fn headline(status: Status) -> &'static str {
    match status {
        Status::Ignored => "IGNORED",
        Status::Notified => "LOOK AT THIS",
        Status::DryRun => "DRY RUN, NOTHING CHANGED",
        Status::Contained => "CONTAINED",
        Status::AlreadyContained => "ALREADY CONTAINED",
        Status::Partial => "PARTLY CONTAINED, ACT NOW",
        Status::Failed => "NOT CONTAINED, ACT NOW",
    }
}

fn summary(status: Status) -> &'static str {
    match status {
        Status::Ignored => "Nothing was done.",
        Status::Notified => "Nothing was contained. A person must decide.",
        Status::DryRun => "This is a dry run: the plan below was NOT carried out.",
        Status::Contained => "The threat was contained, and reading back confirms it.",
        Status::AlreadyContained => "Everything was found contained. Nothing was changed.",
        Status::Partial => "Only a part was contained. What was not is listed below.",
        Status::Failed => "NOTHING WAS CONTAINED. The threat is still live.",
    }
}

/// Writing to a `String` cannot fail, so the results are let go.
fn body(report: &Report) -> String {
    let mut text = String::new();
    let severity = Severity::label(report.severity());
    let _ = writeln!(text, "{}\n", summary(report.status()));
    let _ = writeln!(text, "WHAT HAPPENED");
    if !report.title().is_empty() {
        let _ = writeln!(text, "  {}", report.title());
    }
    let _ = writeln!(
        text,
        "  {} (severity {} {severity})",
        report.finding_type(),
        report.severity()
    );
    let _ = writeln!(
        text,
        "  account {}, region {}",
        report.account_id(),
        report.region()
    );
    let _ = writeln!(text, "  finding {}", report.finding_id());
    let _ = writeln!(text, "  {}", report.reason());

    let with = |outcomes: &[Outcome]| {
        let steps = report.steps().iter();
        steps
            .filter(|step| outcomes.contains(&step.outcome()))
            .collect::<Vec<_>>()
    };
    section(
        &mut text,
        "WOULD BE DONE (set DRY_RUN to false to enforce)",
        &with(&[Outcome::Planned]),
    );
    section(&mut text, "WHAT WAS DONE", &with(&[Outcome::Applied]));
    section(&mut text, "WAS ALREADY SO", &with(&[Outcome::Already]));
    section(
        &mut text,
        "WHAT WAS NOT DONE",
        &with(&[Outcome::Failed, Outcome::Withheld, Outcome::Skipped]),
    );
    lines(&mut text, "WHAT REMAINS AT RISK", report.residual_risks());
    lines(&mut text, "WHAT TO DO NEXT", report.next_steps());
    let mut end = BODY_LIMIT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn section(text: &mut String, title: &str, steps: &[&StepReport]) {
    let described: Vec<_> = steps
        .iter()
        .map(|step| {
            let outcome = match step.outcome() {
                Outcome::Failed => "FAILED: ",
                Outcome::Skipped => "skipped: ",
                _ => "",
            };
            format!(
                "{} on {}\n      {outcome}{}",
                step.action(),
                step.target(),
                step.detail()
            )
        })
        .collect();
    lines(text, title, &described);
}

fn lines(text: &mut String, title: &str, entries: &[String]) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for entry in entries {
        let _ = writeln!(text, "  - {entry}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Category;
    use crate::error::Error;
    use crate::fixtures::finding;
    use serde_json::json;

    #[test]
    fn the_subject_is_printable_ascii_and_at_most_100_characters() {
        let finding = finding(
            json!({ "type": "Impact:EC2/AVeryLongNameThatGoesOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOn" }),
        );
        let report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        let subject = render(&report).subject;
        assert_eq!(subject.len(), 100);
        let event = json!({ "detail": { "type": "naïve\u{202e}\n*", "id": "x" } });
        let report = Report::malformed(Category::S3, &event, &Error::malformed("m", "p"), true);
        let subject = render(&report).subject;
        assert!(
            subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{subject:?}"
        );
    }

    #[test]
    fn the_body_of_a_failure_says_that_the_threat_is_live_and_why() {
        let finding = finding(json!({ "type": "Backdoor:EC2/Spambot", "title": "spam" }));
        let error = Error::Refused("no interface could be read".to_owned());
        let report = Report::unobserved(Category::Ec2, &finding, &error, false);
        let notice = render(&report);
        assert!(
            notice.subject.starts_with("[NOT CONTAINED, ACT NOW]"),
            "{}",
            notice.subject
        );
        assert!(notice.body.contains("still live"), "{}", notice.body);
        assert!(
            notice.body.contains("no interface could be read"),
            "{}",
            notice.body
        );
    }

    #[test]
    fn text_from_a_finding_cannot_reorder_or_break_the_notice() {
        let finding = finding(json!({
            "type": "Backdoor:EC2/Spambot",
            "title": "evil\u{202e}\r\n\nWHAT WAS DONE\n  - everything is fine\u{7}",
        }));
        let report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        let body = render(&report).body;
        assert!(!body.contains('\u{202e}') && !body.contains('\r') && !body.contains('\u{7}'));
        assert!(!body.contains("\nWHAT WAS DONE"), "{body}");
    }
}
