//! The notice for the person on call, as text. Pure.

use std::fmt::Write as _;

use crate::report_view::{StepGroup, at_risk, headline, step_groups, summary};
use model::breaker::OpenBreaker;
use model::finding::{Severity, printable};
use model::investigation::Question;
use model::report::{Approval, Outcome, Report, StepReport};
use model::sequence::Outline;

/// SNS allows a subject of at most 100 ASCII characters,
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.
const SUBJECT_LIMIT: usize = 100;
/// SNS allows a message of at most 256 KiB; a notice that long is no longer read.
const BODY_LIMIT: usize = 64 * 1024;
/// How many entries a section lists. The report in the log has them all.
const ENTRIES: usize = 50;

/// A notice by mail or chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// At most 100 printable ASCII characters.
    pub subject: String,
    /// The event, the steps done and not done, and the next steps.
    pub body: String,
}

/// Renders the notice for a report.
pub fn render(report: &Report) -> Notice {
    Notice {
        subject: subject(report),
        body: body(report),
    }
}

/// The subject in one line of printable ASCII.
pub(crate) fn subject(report: &Report) -> String {
    let headline = match report.breaker() {
        _ if report.drill() => format!("[DRILL] {}:", report.status().as_str()),
        Some(_) => "[BREAKER OPEN]".to_owned(),
        None => format!("[{}]", headline(report)),
    };
    let mut subject = format!(
        "{headline} {} {} in {}",
        report.category(),
        report.finding_type(),
        report.account_id(),
    );
    subject.retain(|character| (' '..='~').contains(&character));
    subject.truncate(SUBJECT_LIMIT);
    subject
}

/// Writing to a `String` cannot fail, so the results are let go.
///
/// Names, tags and messages come from outside, whatever they passed through on their way here. Each
/// is written on one line of its own and made printable, so that none can look like another part
/// of the notice.
fn body(report: &Report) -> String {
    let mut text = String::new();
    let severity = Severity::label(report.severity());
    if let Some(overload) = report.breaker() {
        breaker(&mut text, overload);
    }
    let _ = writeln!(text, "{}\n", summary(report));
    let _ = writeln!(text, "WHAT HAPPENED");
    if !report.title().is_empty() {
        line(&mut text, "  ", report.title());
    }
    let kind = report.finding_type();
    let kind = format!("{kind} (severity {} {severity})", report.severity());
    line(&mut text, "  ", &kind);
    let (account, region) = (report.account_id(), report.region());
    line(
        &mut text,
        "  ",
        &format!("account {account}, region {region}"),
    );
    line(&mut text, "  ", &format!("finding {}", report.finding_id()));
    line(&mut text, "  ", report.reason());
    if let Some(person) = report.run_by() {
        line(&mut text, "  ", &format!("run by hand by {person}"));
    }
    if let Some(stored) = report.stored() {
        line(&mut text, "  ", &format!("page {}", stored.place()));
    }

    let sequence = report.sequence().map(Outline::lines).unwrap_or_default();
    if !sequence.is_empty() {
        let _ = writeln!(text, "\nTHE SEQUENCE");
    }
    // Bounded already, and it says itself how many there are more.
    for told in &sequence {
        for (index, told) in told.split('\n').enumerate() {
            let indent = if index == 0 { "  - " } else { "      " };
            line(&mut text, indent, told.trim_start());
        }
    }

    if let Some(approval) = report.approval() {
        awaits(&mut text, approval, report.finding_id());
    }
    for (group, with) in step_groups(report) {
        let condition = match group {
            StepGroup::Planned if report.drill() => " (a drill never does it)",
            StepGroup::Planned => " (set DRY_RUN to false to enforce)",
            _ => "",
        };
        steps(&mut text, &format!("{}{condition}", group.title()), &with);
    }
    lines(
        &mut text,
        &at_risk(report).to_uppercase(),
        report.residual_risks(),
    );
    lines(&mut text, "WHAT TO DO NEXT", report.next_steps());
    let (to_send, known): (Vec<_>, Vec<_>) = report
        .investigation()
        .iter()
        .partition(|answer| answer.question() == Question::AskTheOwner);
    section(&mut text, "WHAT IS KNOWN", &known, |text, answer| {
        let open = if answer.is_known() { "" } else { "NOT KNOWN: " };
        let (question, said) = (answer.question(), answer.answer());
        line(text, "  - ", &format!("{question}: {open}{said}"));
        line(text, "      ", &format!("({})", answer.source()));
    });
    section(&mut text, "ASK THE OWNER", &to_send, |text, question| {
        line(text, "  ", question.answer());
    });
    if text.len() > BODY_LIMIT {
        let mut end = BODY_LIMIT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("…\n\nThis notice is too long: see the report in the function's log\n");
    }
    text
}

/// The notice of a finding that found no room in a window is the only one about it.
fn breaker(text: &mut String, overload: &OpenBreaker) {
    line(text, "", &overload.reason());
    let _ = writeln!(
        text,
        "\nUntil then nothing more is contained there. Further findings are recorded and not told one by \
         one:\n  gdr incidents --status notified\nLook whether this is an attack or an error. To contain \
         more at once:\n  {}\nWhat was withheld is contained when its finding comes again, as GuardDuty \
         updates it.",
        overload.reset(),
    );
    let contained: Vec<_> = overload.contained().collect();
    section(text, "CONTAINED LATELY", &contained, |text, name| {
        line(text, "  - ", name);
    });
    let _ = writeln!(text, "\nTHE FIRST FINDING THAT WAS WITHHELD");
}

/// The commands are whole, so that they can be copied: a finding's id has no character that a shell would
/// read.
fn awaits(text: &mut String, approval: &Approval, id: &str) {
    let title = format!("AWAITS APPROVAL (until {})", approval.expires_at);
    section(text, &title, &approval.steps, |text, step| {
        line(text, "  - ", &format!("{} on {}", step.action, step.target));
        line(text, "      ", &format!("from {}", step.from));
        line(text, "      ", &format!("to {}", step.to));
    });
    line(
        text,
        "  to run exactly that: ",
        &format!("gdr approve {id}"),
    );
    let reject = format!("gdr reject {id} --reason \"why\"");
    line(text, "  to let it be: ", &reject);
}

fn steps(text: &mut String, title: &str, steps: &[&StepReport]) {
    section(text, title, steps, |text, step| {
        let outcome = match step.outcome() {
            Outcome::Failed => "FAILED: ",
            Outcome::Withheld => "withheld: ",
            Outcome::Skipped => "skipped: ",
            _ => "",
        };
        line(
            text,
            "  - ",
            &format!("{} on {}", step.action(), step.target()),
        );
        line(text, "      ", &format!("{outcome}{}", step.detail()));
    });
}

fn lines(text: &mut String, title: &str, entries: &[String]) {
    section(text, title, entries, |text, entry| {
        line(text, "  - ", entry);
    });
}

fn section<T>(text: &mut String, title: &str, entries: &[T], write: impl Fn(&mut String, &T)) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for entry in entries.iter().take(ENTRIES) {
        write(text, entry);
    }
    if let more @ 1.. = entries.len().saturating_sub(ENTRIES) {
        let _ = writeln!(
            text,
            "  - and {more} more: see the report in the function's log"
        );
    }
}

fn line(text: &mut String, indent: &str, told: &str) {
    let _ = writeln!(text, "{indent}{}", printable(told));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use model::category::Category;
    use model::error::Error;
    use model::investigation::Answer;
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
    fn a_drill_alarms_nobody_whatever_came_of_it() {
        let finding = finding(json!({ "type": "Backdoor:EC2/Spambot" })).drilled();
        let error = Error::Refused("no interface could be read".to_owned());
        let report = Report::prevented(
            Category::Ec2,
            &finding,
            model::report::Obstacle::Target,
            &error,
            true,
        );
        let Notice { subject, body } = render(&report);
        assert_eq!(
            subject,
            "[DRILL] failed: ec2 Backdoor:EC2/Spambot in 111122223333"
        );
        assert!(body.contains("no interface could be read"), "{body}");
        assert!(!body.contains("still live"), "{body}");
    }

    #[test]
    fn the_body_of_a_failure_says_that_the_threat_is_live_and_why() {
        let finding = finding(json!({ "type": "Backdoor:EC2/Spambot", "title": "spam" }));
        let error = Error::Refused("no interface could be read".to_owned());
        let report = Report::prevented(
            Category::Ec2,
            &finding,
            model::report::Obstacle::Target,
            &error,
            false,
        );
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
    fn open_questions_are_told_as_such_and_the_owners_question_stands_by_itself() {
        let finding = finding(crate::fixtures::user_detail("mallory"));
        let mut report = Report::notified(Category::Iam, &finding, "why".to_owned(), false);
        report.investigation = vec![
            Answer::known(Question::Who, "mallory", "the finding"),
            Answer::unknown(Question::History, "throttled", "CloudTrail"),
            Answer::known(Question::AskTheOwner, "Did you do it?", "the finding"),
        ];
        let body = render(&report).body;
        assert!(
            body.ends_with(
                "WHAT IS KNOWN\n  - who: mallory\n      (the finding)\n  - called before: NOT KNOWN: \
                 throttled\n      (CloudTrail)\n\nASK THE OWNER\n  Did you do it?\n"
            ),
            "{body}"
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
