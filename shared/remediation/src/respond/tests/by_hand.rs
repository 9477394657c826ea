//! A person runs a playbook outside of Lambda.

use super::*;

const PERSON: &str = "arn:aws:iam::111122223333:user/ann";

fn by_hand(fake: Fake, config: Config, sns: Client) -> Responder<Fake> {
    Responder::new(fake, config, sns).run_by(PERSON.to_owned())
}

#[tokio::test(start_paused = true)]
async fn who_ran_it_is_in_the_report_and_in_the_notice() {
    let (_, notices, sns) = topic();
    let responder = by_hand(Fake::new([act("exposed")]), enforcing(), sns);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained);
    assert_eq!(report.run_by(), Some(PERSON));
    let body = notices.lock().unwrap()[0].1.clone();
    assert!(body.contains(&format!("run by hand by {PERSON}")), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_lambda_would_retry_is_reported_to_the_operator_with_that_advice() {
    let (_, _, sns) = topic();
    let throttled = Act {
        fails: Some(error(CallFailure::Transient)),
        ..act("exposed")
    };
    let fake = Fake::new([throttled, act("another")]);
    let report = answer(&by_hand(fake, enforcing(), sns), made_public()).await;
    let report = report.unwrap();
    assert_eq!(report.status(), Status::Partial);
    let told = report
        .next_steps()
        .iter()
        .any(|step| step.starts_with("run it again"));
    assert!(told, "{}", report.to_line());
}

#[tokio::test(start_paused = true)]
async fn a_run_by_hand_without_a_topic_sends_no_notice_and_reports_no_failure() {
    let mut config = dry_run();
    config.topic_arn = None;
    let responder = by_hand(Fake::new([act("exposed")]), config, silent());
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::DryRun);
    let told = report
        .next_steps()
        .iter()
        .any(|step| step.contains("not notified"));
    assert!(!told, "{}", report.to_line());
}
