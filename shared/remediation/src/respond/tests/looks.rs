//! Looks whether a containment stands, 10 and 60 seconds after it.

use aws_sdk_sqs::operation::send_message::SendMessageOutput;

use super::*;
use crate::fixtures::table::table;
use crate::hostile::recording::incidents;
use crate::recheck;

/// The messages that were sent, each with the seconds that it is held back.
type Sent = Arc<Mutex<Vec<(i32, String)>>>;

fn queue() -> (Sent, Recheck) {
    let sent = Sent::default();
    let to = Arc::clone(&sent);
    let send = mock!(aws_sdk_sqs::Client::send_message).then_compute_output(move |request| {
        let message = request.message_body().unwrap().to_owned();
        let delay = request.delay_seconds().unwrap();
        to.lock().unwrap().push((delay, message));
        SendMessageOutput::builder().build()
    });
    let client = mock_client!(aws_sdk_sqs, [&send]);
    (sent, Recheck::new(client, "queue".to_owned()))
}

/// What a function answers to the one message that was sent.
async fn look(responder: &Responder<Fake>, sent: &Sent) -> Report {
    let messages = std::mem::take(&mut *sent.lock().unwrap());
    let [(_, message)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    let (_, payload) = recheck::handed_over(message).expect("a look");
    let (event, look) = recheck::received(&payload).expect("a look");
    let invocation = Invocation {
        id: format!("look {}", look.number),
        look: Some(look),
        ..invocation(LONG)
    };
    responder.respond(event, &invocation).await.unwrap()
}

fn delays(sent: &Sent) -> Vec<i32> {
    sent.lock()
        .unwrap()
        .iter()
        .map(|(delay, _)| *delay)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_someone_undoes_between_the_looks_is_found_by_the_second_done_again_and_told() {
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

#[tokio::test(start_paused = true)]
async fn a_partial_containment_is_looked_at_too_and_what_never_was_in_effect_was_not_undone() {
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
async fn what_is_only_found_contained_is_looked_at_again_by_those_who_contained_it() {
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
async fn a_containment_that_someone_undid_is_told_again_but_not_that_of_a_retry() {
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
async fn an_attempt_that_cannot_look_leaves_the_record_of_a_containment_and_says_what_it_did() {
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
