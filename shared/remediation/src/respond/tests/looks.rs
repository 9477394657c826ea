//! Looks whether a containment stands, 10 and 60 seconds after it.

use super::*;
use crate::fixtures::hostile::recording::incidents;
use crate::fixtures::looks::{Sent, at_look, delays, next, queue};
use crate::fixtures::table::table;
use policy::DEFAULT;

/// What a function answers to the one message that was sent.
async fn look(responder: &Responder<Fake>, sent: &Sent) -> Report {
    let (event, look) = next(sent);
    let invocation = Invocation {
        id: format!("look {}", look.number),
        look: Some(look),
        ..invocation(LONG)
    };
    responder.respond(event, &invocation).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_revert_between_the_rechecks_is_found_by_the_second_contained_again_and_notified() {
    let (_, notices, sns) = topic();
    let (sent, recheck) = queue();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.rechecking(recheck);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained);
    assert_eq!(delays(&sent), [10]);

    let first = look(&responder, &sent).await;
    assert_eq!(first.status(), Status::AlreadyContained);
    // 60 seconds after the containment.
    assert_eq!(delays(&sent), [50]);

    responder.playbook.undo("exposed");
    let told = notices.lock().unwrap().len();
    let second = look(&responder, &sent).await;
    assert!(second.undone(), "{}", second.to_line());
    assert_eq!(second.status(), Status::Contained);
    assert!(second.next_steps()[0].contains("it was done again"));
    assert_eq!(responder.playbook.applied(), ["exposed", "exposed"]);
    assert_eq!(notices.lock().unwrap().len(), told + 1);
    assert!(delays(&sent).is_empty());
}

/// Otherwise every sender to the queue could have anything contained.
#[tokio::test(start_paused = true)]
async fn a_recheck_of_a_target_that_is_not_recorded_as_contained_is_refused() {
    let (_, notices, sns) = topic();
    let (sent, recheck) = queue();
    let (items, record) = table();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.rechecking(recheck).recording(record);
    let look_of = |number: usize, put_off: u64| Recheck {
        number,
        put_off,
        marks_seen_at: (number == 3).then(now),
        ..Recheck::default()
    };
    // The first time must not leave anything by which it is believed the second time.
    for (number, put_off) in [(1, 0), (1, 0), (2, 1), (3, 0), (3, 0), (0, 1), (0, 1)] {
        let invented = at_look(look_of(number, put_off), 1);
        let report = responder.respond(made_public(), &invented).await.unwrap();
        assert_eq!(report.status(), Status::Ignored, "{}", report.to_line());
        let reason = report.reason();
        assert!(
            reason.contains("exposed again, and the record shows neither"),
            "{reason}"
        );
        assert_eq!(responder.playbook.applied(), [""; 0]);
        assert!(incidents(&items).is_empty());
    }
    assert!(notices.lock().unwrap().is_empty());
    assert_eq!(delays(&sent), [0; 0]);

    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained);
    responder.playbook.undo("exposed");
    let look = look(&responder, &sent).await;
    assert!(look.undone(), "{}", look.to_line());
    assert_eq!(responder.playbook.applied(), ["exposed", "exposed"]);
}

#[tokio::test(start_paused = true)]
async fn a_partial_containment_is_rechecked_and_a_step_never_in_effect_is_not_reverted() {
    let (_, _, sns) = topic();
    let (sent, recheck) = queue();
    let refused = Act {
        fails: Some(error(CallFailure::Denied)),
        ..act("another")
    };
    let fake = Fake::new([act("exposed"), refused]);
    let responder = Responder::new(fake, enforcing(), sns).rechecking(recheck);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let first = look(&responder, &sent).await;
    assert_eq!(first.status(), Status::Partial);
    assert!(!first.undone(), "{}", first.to_line());

    responder.playbook.undo("exposed");
    let second = look(&responder, &sent).await;
    assert!(second.undone(), "{}", second.to_line());
}

#[tokio::test(start_paused = true)]
async fn only_the_incident_that_contained_a_target_rechecks_the_containment() {
    let (_, _, sns) = topic();
    let (sent, recheck) = queue();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.rechecking(recheck);
    answer(&responder, made_public()).await.unwrap();
    sent.lock().unwrap().clear();
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::AlreadyContained);
    assert!(delays(&sent).is_empty());
}

/// Hours later GuardDuty updates the finding, and the function contains it again.
#[tokio::test(start_paused = true)]
async fn a_reverted_containment_is_notified_again_but_not_by_a_retry() {
    for (id, told) in [("request", false), ("later", true)] {
        let (_, notices, sns) = topic();
        let (items, record) = table();
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
        let responder = responder.recording(record);
        answer(&responder, made_public()).await.unwrap();
        responder.playbook.undo("exposed");
        let again = Invocation {
            id: id.to_owned(),
            ..invocation(LONG)
        };
        let report = responder.respond(made_public(), &again).await.unwrap();
        assert_eq!(report.status(), Status::Contained);
        assert_eq!(report.undone(), told, "{}", report.to_line());
        assert_eq!(notices.lock().unwrap().len(), 1 + usize::from(told));
        assert_eq!(incidents(&items)[0]["status"], "contained");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_cannot_observe_keeps_the_record_of_the_containment() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns.clone());
    answer(&responder.recording(record.clone()), made_public())
        .await
        .unwrap();
    let mut fake = Fake::new([act("exposed")]);
    fake.unreadable = Some((0, error(CallFailure::Denied)));
    let responder = Responder::new(fake, enforcing(), sns).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Failed);
    let reason = report.reason();
    assert!(
        reason.starts_with("this attempt changed nothing, since the target could not be read"),
        "{reason}"
    );
    assert_eq!(incidents(&items)[0]["status"], "contained");
    assert!(notices.lock().unwrap()[1].1.contains(reason));
}

/// A finding of another id and this severity, of later activity, that the flags of a bucket were taken off.
fn opened(bucket: &str, id: char, severity: f64) -> Value {
    event(json!({
        "id": id.to_string().repeat(32), "severity": severity,
        "type": "Policy:S3/BucketBlockPublicAccessDisabled",
        "resource": { "s3BucketDetails": [{ "name": bucket }] },
        "service": { "eventLastSeen": "2026-03-04T05:06:00Z" },
    }))
}

/// Under the default policies, which leave what is below severity 4 to a person.
#[tokio::test(start_paused = true)]
async fn a_reverted_containment_is_contained_again_at_any_severity_and_notified_as_reverted() {
    let (_, notices, sns) = topic();
    let (_, record) = table();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.recording(record);
    let report = answer(&responder, opened("exposed", 'a', 2.0))
        .await
        .unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(!report.undone());

    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(!report.undone());
    responder.playbook.undo("exposed");
    let told = notices.lock().unwrap().len();
    let report = answer(&responder, opened("exposed", 'b', 2.0))
        .await
        .unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(report.undone());
    assert!(
        report.next_steps()[0].contains("someone undid this containment and it was done again")
    );
    assert_eq!(responder.playbook.applied(), ["exposed", "exposed"]);
    assert_eq!(notices.lock().unwrap().len(), told + 1);
    // What was contained again on account of it stands as before.
    responder.playbook.undo("exposed");
    let report = answer(&responder, opened("exposed", 'c', 2.0))
        .await
        .unwrap();
    assert!(report.undone(), "{}", report.to_line());
}

#[tokio::test(start_paused = true)]
async fn a_released_or_never_contained_target_is_judged_by_the_severity_of_the_finding() {
    let (_, _, sns) = topic();
    let (_, record) = table();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.recording(record.clone());
    let event = made_public();
    answer(&responder, event.clone()).await.unwrap();
    responder.playbook.undo("exposed");
    let finding = Finding::parse(&event).unwrap();
    let lease = crate::record::Lease {
        owner: "ann",
        now: now(),
        lasts: LONG,
        until: Instant::now() + LONG,
    };
    let claim = record.claim(Category::S3, &finding, "exposed", &lease);
    let claim = claim.await.unwrap();
    let before: Timestamp = "2026-03-04T05:05:00Z".parse().unwrap();
    record.mark_released(&claim, "ann", before).await.unwrap();
    record.end_claim(&claim, None, false, before).await.unwrap();
    let report = answer(&responder, opened("exposed", 'b', 2.0))
        .await
        .unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(!report.undone());
    assert_eq!(responder.playbook.applied(), ["exposed"]);
    // A severe one is contained, and undoes nothing that stood.
    let report = answer(&responder, opened("exposed", 'c', 8.0))
        .await
        .unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(!report.undone());
}

#[tokio::test(start_paused = true)]
async fn policies_beyond_severity_still_forbid_a_reverted_step() {
    let (_, _, sns) = topic();
    let (_, record) = table();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns.clone());
    answer(&responder.recording(record.clone()), made_public())
        .await
        .unwrap();
    let policies = format!(
        "{DEFAULT} @id(\"hands-off\") forbid (principal, action, resource)
         when {{ resource.name == \"exposed\" }};"
    );
    let guards = AuthorizationSources {
        policies: PolicyParameter::fixed(LoadedPolicies::new(&policies)),
        history: None,
    };
    let fake = Fake::new([act("exposed")]);
    let responder = Responder::new(fake, enforcing(), sns).recording(record);
    let responder = responder.guarded(guards);
    let report = answer(&responder, opened("exposed", 'b', 2.0))
        .await
        .unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(report.reason().contains("hands-off"), "{}", report.reason());
    assert!(responder.playbook.applied().is_empty());
}
