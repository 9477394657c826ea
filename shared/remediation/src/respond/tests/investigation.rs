//! What is found out beside the containment, and that it never gets in its way.

use super::*;
use crate::decision::ResponseMode;
use crate::investigation::Question;

fn what(playbook: &Fake) -> Vec<&'static str> {
    let calls = playbook.calls().into_iter();
    calls.map(|(what, ..)| what).collect()
}

fn knows(report: &Report, question: Question) -> bool {
    let mut answers = report.investigation().iter();
    answers.any(|answer| answer.question() == question)
}

#[tokio::test(start_paused = true)]
async fn the_containment_is_complete_and_read_back_before_anything_is_investigated() {
    let (_, notices, sns) = topic();
    let slow = Act {
        takes: Duration::from_secs(3),
        ..act("exposed")
    };
    let responder = Responder::new(Fake::new([slow, act("another")]), enforcing(), sns);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    let calls = what(&responder.playbook);
    let [before @ .., last] = calls.as_slice() else {
        panic!("no calls")
    };
    assert_eq!(*last, "investigate");
    assert_eq!(before.last(), Some(&"observe"), "{calls:?}");
    assert!(before.contains(&"end") && !before.contains(&"investigate"));
    assert!(knows(&report, Question::History) && knows(&report, Question::When));
    assert!(report.next_steps().contains(&"a lead".to_owned()));
    let body = notices.lock().unwrap()[0].1.clone();
    let known = body.split("WHAT IS KNOWN").nth(1).expect("the section");
    assert!(
        known.contains("called before: an answer (the fake)"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn notified_and_planned_findings_are_investigated_too() {
    let mut notify = enforcing();
    notify.policy.mode = ResponseMode::Notify;
    for (config, observed) in [(notify, ""), (dry_run(), "what was observed")] {
        let (_, _, sns) = topic();
        let responder = Responder::new(Fake::new([act("exposed")]), config, sns);
        let report = answer(&responder, made_public()).await.unwrap();
        assert!(knows(&report, Question::History), "{}", report.to_line());
        let calls = responder.playbook.calls();
        let (_, about, _) = calls
            .iter()
            .find(|(what, ..)| *what == "investigate")
            .unwrap();
        assert_eq!(*about, observed);
        assert!(responder.playbook.applied().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_investigation_that_hangs_is_given_up_and_the_notice_goes_out() {
    let (_, notices, sns) = topic();
    let mut fake = Fake::new([act("exposed")]);
    fake.investigates = Duration::from_secs(3_600);
    let responder = Responder::new(fake, enforcing(), sns);
    let start = Instant::now();
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained);
    assert_eq!(start.elapsed(), Duration::from_secs(15));
    let next = report.next_steps().join("\n");
    assert!(next.contains("did not end in the time"), "{next}");
    assert!(
        knows(&report, Question::When),
        "what the finding says is kept"
    );
    assert_eq!(notices.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_containment_that_uses_up_the_time_leaves_none_for_the_investigation() {
    let (_, _, sns) = topic();
    let mut fake = Fake::new([act("exposed")]);
    fake.investigates = Duration::from_secs(3_600);
    let responder = Responder::new(fake, enforcing(), sns);
    let left = RESERVE + Duration::from_secs(4);
    let start = Instant::now();
    let report = responder.respond(made_public(), &invocation(left)).await;
    assert_eq!(report.unwrap().status(), Status::Contained);
    assert_eq!(start.elapsed(), left - RESERVE);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_finds_the_containment_standing_asks_nothing_again() {
    let (_, _, sns) = topic();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    answer(&responder, made_public()).await.unwrap();
    let look = Invocation {
        look: Some(Recheck {
            number: 1,
            ..Recheck::default()
        }),
        trace: None,
        ..invocation(LONG)
    };
    let report = responder.respond(made_public(), &look).await.unwrap();
    assert_eq!(report.status(), Status::AlreadyContained);
    let investigated = what(&responder.playbook).into_iter();
    assert_eq!(
        investigated.filter(|what| *what == "investigate").count(),
        1
    );
    assert!(knows(&report, Question::When) && !knows(&report, Question::History));
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_target_still_has_the_answers_from_the_finding() {
    let (_, _, sns) = topic();
    let mut fake = Fake::new([act("exposed")]);
    fake.unreadable = Some((0, error(CallFailure::Denied)));
    let responder = Responder::new(fake, enforcing(), sns);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Failed);
    assert!(knows(&report, Question::When));
}

/// Whatever is known of the past is asked when the plan is made and carried out.
#[tokio::test(start_paused = true)]
async fn a_history_changes_neither_the_status_nor_the_steps() {
    let mut lines = Vec::new();
    for investigates in [Duration::ZERO, Duration::from_secs(3_600)] {
        let (_, _, sns) = topic();
        let mut fake = Fake::new([act("exposed"), act("another")]);
        fake.investigates = investigates;
        let responder = Responder::new(fake, enforcing(), sns);
        let report = answer(&responder, made_public()).await.unwrap();
        let value = serde_json::to_value(&report).unwrap();
        lines.push((
            value["status"].clone(),
            value["steps"].clone(),
            value["reason"].clone(),
        ));
    }
    assert_eq!(lines[0], lines[1]);
}
