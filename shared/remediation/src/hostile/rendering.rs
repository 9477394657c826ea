//! What must hold of every report and notice, and that it does.

use serde_json::{Value, json};

use super::{event, hold, mutation, shows_as_it_is};
use crate::category::Category;
use crate::error::Error;
use crate::finding::Finding;
use crate::fixtures::finding;
use crate::guidance;
use crate::notify::render;
use crate::planner::Planner;
use crate::playbook::s3::S3;
use crate::report::{Report, StepReport};

/// An event of CloudWatch Logs, where it has the least.
const LOG_EVENT: usize = 256 * 1024;
/// A message of SNS, with its attributes.
const MESSAGE: usize = 256 * 1024;

/// The lines that a notice may have at the margin.
const AT_THE_MARGIN: &[&str] = &[
    "",
    "Nothing was done.",
    "This function contained nothing. A person must decide.",
    "This is a dry run: the plan below was NOT carried out.",
    "The threat was contained, and reading back confirms it.",
    "Someone undid this containment. It was done again, and reading back confirms it.",
    "Everything was found contained. Nothing was changed.",
    "Only a part was contained. What was not is listed below.",
    "NOTHING WAS CONTAINED. The threat is still live.",
    "WHAT HAPPENED",
    "THE SEQUENCE",
    "WOULD BE DONE (set DRY_RUN to false to enforce)",
    "WHAT WAS DONE",
    "WAS ALREADY SO",
    "WHAT WAS NOT DONE",
    "WHAT REMAINS AT RISK",
    "WHAT WOULD REMAIN AT RISK",
    "WHAT TO DO NEXT",
    "WHAT IS KNOWN",
    "ASK THE OWNER",
    "This notice is too long: see the report in the function's log",
];

/// Holds a report's line and its notice against what takes them.
pub(crate) fn assert_fit_to_send(report: &Report) {
    let line = report.to_line();
    assert!(line.len() < LOG_EVENT, "{} bytes", line.len());
    assert!(!line.contains(['\n', '\r']), "{line}");
    let read: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(read["status"], report.status().as_str(), "{line}");

    assert_obeyed_by_no_chat(report);
    let notice = render(report);
    let subject = &notice.subject;
    assert!((1..=100).contains(&subject.len()), "{subject:?}");
    assert!(
        subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{subject:?}"
    );
    assert!(
        notice.body.len() + subject.len() < MESSAGE,
        "{} bytes",
        notice.body.len()
    );
    let mut headings = Vec::new();
    for line in notice.body.split('\n') {
        assert!(shows_as_it_is(line), "{line:?}");
        if !line.starts_with("  ") {
            assert!(
                AT_THE_MARGIN.contains(&line),
                "{line:?} looks like a heading"
            );
            assert!(line.is_empty() || !headings.contains(&line), "{line} twice");
            headings.push(line);
        }
    }
}

/// The lines in bold that a chat may show.
const IN_BOLD: &[&str] = &[
    "*WOULD BE DONE*",
    "*WHAT WAS DONE*",
    "*WAS ALREADY SO*",
    "*WHAT WAS NOT DONE*",
    "*WHAT REMAINS AT RISK*",
    "*WHAT WOULD REMAIN AT RISK*",
];

/// Holds a report's notification against what a chat would obey.
fn assert_obeyed_by_no_chat(report: &Report) {
    let text = render::chat::render(report);
    assert!(text.len() < MESSAGE, "{} bytes", text.len());
    let notification: Value = serde_json::from_str(&text).expect("JSON");
    let content = &notification["content"];
    let description = content["description"].as_str().expect("a description");
    let title = content["title"].as_str().expect("a title");
    assert!((1..=250).contains(&title.chars().count()), "{title}");
    let mut headings = Vec::new();
    let steps = content["nextSteps"].as_array().into_iter().flatten();
    let steps = steps.map(|step| step.as_str().expect("a step"));
    for line in description.lines().chain([title]).chain(steps) {
        assert!(shows_as_it_is(line), "{line:?}");
        if IN_BOLD.contains(&line) {
            assert!(!headings.contains(&line), "{line} twice");
            headings.push(line);
            continue;
        }
        let obeyed = line.contains(['<', '>', '&', '@', '#', '*', '~', '`', '|', '[', ']', '\\']);
        assert!(!obeyed && !line.contains("://"), "{line:?}");
    }
}

/// Every kind of report that can be made about `finding` without a playbook.
fn reports(category: Category, finding: &Finding, why: &str) -> Vec<Report> {
    let why = || why.to_owned();
    let error = Error::Refused(why());
    let mut reports = vec![
        Report::ignored(category, finding, why(), true),
        Report::notified(category, finding, why(), false),
        Report::prevented(
            category,
            finding,
            crate::report::Obstacle::Target,
            &error,
            false,
        ),
        Report::concluded(category, finding, why(), false, vec![]),
    ];
    for report in &mut reports {
        report.next_steps = guidance::next_steps(category, finding);
        report.residual_risks = vec![why()];
    }
    reports
}

#[test]
fn whatever_a_finding_says_its_reports_are_one_line_and_its_notices_cannot_be_forged() {
    hold(3, (event(), mutation::text()), |(event, why)| {
        for category in [Category::S3, Category::Iam, Category::Ec2, Category::Triage] {
            match Finding::parse(&event) {
                Ok(finding) => {
                    let reports = reports(category, &finding, &why);
                    reports.iter().for_each(assert_fit_to_send);
                }
                Err(error) => {
                    assert_fit_to_send(&Report::malformed(category, &event, &error, true))
                }
            }
        }
    });
}

/// The change of a bucket's policy that had `standing`.
fn deny(standing: &str) -> <S3 as Planner>::Action {
    serde_json::from_value(json!({ "DenyInPolicy": {
        "bucket": { "name": "exposed", "arn": "arn:aws:s3:::exposed", "region": "us-east-1",
            "owner_account": "111122223333" },
        "statement": { "Effect": "Deny" },
        "from": standing,
    } }))
    .expect("an action")
}

#[test]
fn a_report_of_any_length_is_cut_to_fit_and_says_so() {
    let (short, long) = ("x".to_owned(), "\u{1f4a3}\n".repeat(5_000));
    let (short, long) = (short.as_str(), long.as_str());
    for (count, standing, told, cut) in [
        (1, short, short, false),
        (12, long, short, true),
        (2_000, short, short, true),
        (3, short, long, true),
        (20, long, long, true),
    ] {
        let action = deny(standing);
        let steps = vec![StepReport::failed(&action, told.to_owned()); count];
        let finding = finding(json!({ "title": long }));
        let mut report = Report::concluded(Category::S3, &finding, told.to_owned(), false, steps);
        report.residual_risks = vec![told.to_owned(); 20];
        report.next_steps = vec![told.to_owned(); 20];
        assert_fit_to_send(&report);
        let line = report.to_line();
        let next: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            next["next_steps"]
                .to_string()
                .contains("this report is cut"),
            cut,
            "{count}"
        );
        for limit in [32, 64, 255] {
            assert!(report.within(limit * 1024).len() <= limit * 1024);
        }
        let steps = report.left_out();
        assert_eq!(steps.len(), if cut { count } else { 0 });
        for step in &steps {
            let step: Value = serde_json::from_str(step).expect("JSON");
            assert_eq!(step["step"]["from"]["Policy"], standing);
        }
        // What matters most is at the top, so what is last is what is missing.
        let body = render(&report).body;
        assert!(
            body.contains("WHAT HAPPENED") && body.contains("s3:DenyInBucketPolicy on"),
            "{body}"
        );
    }
}
