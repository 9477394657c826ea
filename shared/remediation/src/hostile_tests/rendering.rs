//! What must hold of every report and notice, and that it does.

use serde_json::{Value, json};

use crate::fixtures::finding;
use crate::fixtures::hostile::rendering::assert_fit_to_send;
use crate::fixtures::hostile::{event, hold, mutation};
use crate::notify::render;
use aws::error::Error;
use model::category::Category;
use model::finding::Finding;
use model::guidance;
use model::planner::Planner;
use model::report::{Report, StepReport};
use playbook_s3::S3;

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
            model::report::Obstacle::Target,
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
        for category in Category::ALL {
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
