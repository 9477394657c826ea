//! The notice for the on-call engineer, as text. Pure.

use std::fmt::Write as _;

use crate::notice_view::{Entry, NoticeView};
use model::finding::printable;
use model::report::Report;

/// SNS allows a message of at most 256 KiB; a notice that long is no longer read.
const BODY_LIMIT: usize = 64 * 1024;

/// A notice as mail has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// At most 100 printable ASCII characters.
    pub subject: String,
    /// The status, what to do now, and the rest in the order in which it is needed.
    pub body: String,
}

/// Renders the notice for a report.
pub fn render(report: &Report) -> Notice {
    let view = NoticeView::of(report);
    let body = body(&view);
    let subject = view.subject;
    Notice { subject, body }
}

/// The outcome in a line: the note for other tools.
pub fn note(report: &Report) -> String {
    printable(&format!(
        "{}: {}",
        report.status().as_str(),
        report.reason()
    ))
}

/// Writing to a `String` cannot fail, so the results are let go.
///
/// Names, tags and messages come from outside, whatever they passed through on their way here. Each
/// is written on one line of its own and made printable, so that none can look like another part
/// of the notice.
fn body(view: &NoticeView) -> String {
    let mut text = String::new();
    for sentence in &view.status {
        let _ = writeln!(text, "{}", printable(sentence));
    }
    for section in &view.sections {
        let _ = writeln!(text, "\n{}", section.title);
        for entry in &section.entries {
            let (indent, said) = match entry {
                Entry::Item(said) => ("  - ", said),
                Entry::Line(said) | Entry::Command(said) => ("  ", said),
                Entry::Detail(said) => ("      ", said),
            };
            let _ = writeln!(text, "{indent}{}", printable(said));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use model::category::Category;
    use model::error::Error;
    use model::investigation::{Answer, Question};
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
    fn open_questions_are_marked_and_the_owner_question_is_a_section() {
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
                "WHAT IS KNOWN\n  - called before: NOT KNOWN: throttled (CloudTrail)\n  - who: \
                 mallory\n\nASK THE OWNER\n  Did you do it?\n"
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
