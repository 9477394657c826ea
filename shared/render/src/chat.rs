//! The notice for a chat, as a custom notification of Amazon Q Developer in chat applications (AWS Chatbot), which
//! passes on nothing else: <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>. Pure.
//!
//! Slack and Teams each obey marks of their own. Text from outside has none of them: they are replaced by look-alikes
//! that no chat obeys, since there is no escape that all of them know.

use serde_json::{Value, json};

use crate::notice_view::{DO_NOW, Entry, NoticeView};
use model::finding::printable;
use model::report::Report;

/// The detail type of the event that says what came of a finding, and the type of the notification.
pub const DETAIL_TYPE: &str = "GuardDuty Response";
/// How many entries a section lists, and how long each may be: a chat is for a glance.
const ENTRIES: usize = 8;
const ENTRY_LIMIT: usize = 400;
/// Characters of the description. Slack shows 3,000 of a section,
/// <https://docs.slack.dev/reference/block-kit/blocks/section-block>.
const DESCRIPTION_LIMIT: usize = 2_900;

/// The notification of a report, as JSON.
pub fn render(report: &Report) -> String {
    let view = NoticeView::of(report);
    let next_steps: Vec<_> = report
        .next_steps()
        .iter()
        .take(ENTRIES)
        .map(|step| inert(step))
        .collect();
    let mut notification = json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": inert(&view.subject),
            "description": description(&view),
            "keywords": [report.category().as_str(), report.status().as_str()],
        },
        "metadata": {
            // The notices of one finding are one thread.
            "threadId": inert(report.finding_id()),
            "summary": inert(&view.subject),
            "eventType": DETAIL_TYPE,
        },
    });
    if !next_steps.is_empty() {
        notification["content"]["nextSteps"] = Value::from(next_steps);
    }
    notification.to_string()
}

fn description(view: &NoticeView) -> String {
    let mut text = Description::default();
    for sentence in &view.status {
        text.line(sentence);
    }
    for section in &view.sections {
        // A chat shows the next steps by themselves.
        let entries = section.entries.iter();
        let entries =
            entries.filter(|entry| section.title != DO_NOW || !matches!(entry, Entry::Item(_)));
        let entries: Vec<_> = entries.collect();
        // In bold, which both know; no text from outside can have the marks.
        if section.title != DO_NOW {
            text.push(&format!("*{}*", section.title));
        }
        for entry in entries {
            match entry {
                Entry::Item(said) => text.push(&format!("• {}", inert(said))),
                Entry::Detail(said) | Entry::Line(said) | Entry::Command(said) => text.line(said),
            }
        }
    }
    text.end()
}

/// Lines, until there is no more room.
#[derive(Default)]
struct Description {
    text: String,
    is_full: bool,
}

impl Description {
    fn line(&mut self, told: &str) {
        self.push(&inert(told));
    }

    fn push(&mut self, line: &str) {
        if line.is_empty() || self.is_full {
            return;
        }
        self.is_full = self.text.chars().count() + line.chars().count() > DESCRIPTION_LIMIT;
        if !self.is_full {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn end(mut self) -> String {
        if self.is_full {
            self.text
                .push_str("There is more in the report: gdr incident, or the function's log\n");
        }
        self.text
    }
}

/// Text from outside as a chat shows it and does not obey it: one line, without marks of formatting,
/// mentions, links or entities. An underscore within a word is none.
pub(crate) fn inert(text: &str) -> String {
    let text: Vec<_> = printable(text).chars().collect();
    let is_word = |index: Option<usize>| {
        let character = index.and_then(|index| text.get(index));
        character.is_some_and(|character| character.is_alphanumeric())
    };
    let shown = text
        .iter()
        .enumerate()
        .map(|(index, &character)| match character {
            '<' => '‹',
            '>' => '›',
            '&' => '＆',
            '@' => '＠',
            '#' => '＃',
            '*' => '∗',
            '~' => '∼',
            '`' => 'ˋ',
            '|' => '｜',
            '[' => '［',
            ']' => '］',
            '\\' => '＼',
            '_' if !(is_word(index.checked_sub(1)) && is_word(Some(index + 1))) => '＿',
            // What begins like an address of the web becomes none.
            ':' if text.get(index + 1..index + 3) == Some(&['/', '/']) => '：',
            other => other,
        });
    let mut shown: String = shown.take(ENTRY_LIMIT).collect();
    if text.len() > ENTRY_LIMIT {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use model::category::Category;
    use model::error::Error;
    use model::report::{Approval, Proposed};

    fn notification(report: &Report) -> Value {
        serde_json::from_str(&render(report)).expect("JSON")
    }

    #[test]
    fn the_notification_has_the_members_that_the_service_documents_and_no_others() {
        let finding = finding(json!({ "type": "Backdoor:EC2/Spambot", "title": "spam" }));
        let error = Error::Refused("no interface could be read".to_owned());
        let mut report = Report::prevented(
            Category::Ec2,
            &finding,
            model::report::Obstacle::Target,
            &error,
            false,
        );
        report.next_steps = vec!["isolate it by hand".to_owned()];
        let told = notification(&report);
        assert_eq!(told["version"], "1.0");
        assert_eq!(told["source"], "custom");
        assert_eq!(told["content"]["textType"], "client-markdown");
        let title = told["content"]["title"].as_str().expect("a title");
        assert!(
            title.starts_with("［NOT CONTAINED, ACT NOW］ ec2 Backdoor:EC2/Spambot"),
            "{title}"
        );
        assert_eq!(told["content"]["nextSteps"], json!(["isolate it by hand"]));
        assert_eq!(told["metadata"]["threadId"], report.finding_id());
        let description = told["content"]["description"]
            .as_str()
            .expect("a description");
        for part in [
            "still live",
            "spam\n",
            "no interface could be read",
            "severity 8 (High)",
        ] {
            assert!(description.contains(part), "no {part} in:\n{description}");
        }
        let known = json!({
            "": ["content", "metadata", "source", "version"],
            "content": ["description", "keywords", "nextSteps", "textType", "title"],
            "metadata": ["eventType", "summary", "threadId"],
        });
        for (part, members) in known.as_object().expect("parts") {
            let object = if part.is_empty() { &told } else { &told[part] };
            let object = object.as_object().expect("an object");
            let names: std::collections::BTreeSet<_> = object.keys().collect();
            assert_eq!(json!(names), *members);
        }
    }

    #[test]
    fn a_chat_obeys_nothing_that_comes_from_outside() {
        for (text, shown) in [
            (
                "<!channel> <@U123> @here #general",
                "‹!channel› ‹＠U123› ＠here ＃general",
            ),
            (
                "<https://evil.example|the console>",
                "‹https：//evil.example｜the console›",
            ),
            (
                "[the console](https://evil.example)",
                "［the console］(https：//evil.example)",
            ),
            (
                "*WHAT WAS DONE* ~no~ `x` _i_ __b__",
                "∗WHAT WAS DONE∗ ∼no∼ ˋxˋ ＿i＿ ＿＿b＿＿",
            ),
            ("&lt;!here&gt; \\*", "＆lt;!here＆gt; ＼∗"),
            ("a\n\n- b\u{202e}c", "a＼u{a}＼u{a}- b＼u{202e}c"),
            (
                "arn:aws:iam::111122223333:user/a_b",
                "arn:aws:iam::111122223333:user/a_b",
            ),
        ] {
            assert_eq!(inert(text), shown);
        }
    }

    #[test]
    fn a_long_report_is_cut_to_the_limit_of_a_chat_and_marked() {
        let finding = finding(json!({ "title": "<!channel>".repeat(1_000) }));
        let mut report = Report::notified(Category::S3, &finding, "why ".repeat(1_000), false);
        report.residual_risks = vec!["a risk\u{1f4a3}".repeat(100); 500];
        report.next_steps = vec!["x".repeat(5_000); 500];
        let step = Proposed {
            action: "x".repeat(5_000),
            target: "x".repeat(5_000),
            from: json!({}),
            to: json!({}),
        };
        report.approval = Some(Approval {
            expires_at: jiff::Timestamp::UNIX_EPOCH,
            steps: vec![step; 500],
        });
        let told = notification(&report);
        let description = told["content"]["description"]
            .as_str()
            .expect("a description");
        assert!(
            description.chars().count() <= 3_000,
            "{}",
            description.chars().count()
        );
        assert!(
            description.contains("There is more in the report"),
            "{description}"
        );
        assert!(!description.contains('<'), "{description}");
        assert_eq!(
            told["content"]["nextSteps"].as_array().map(Vec::len),
            Some(ENTRIES)
        );
    }
}
