//! Many findings at once, each at an execution environment of its own.

use futures::future::join_all;

use super::*;
use crate::fixtures::windows::{Windows, invocation};

#[tokio::test(start_paused = true)]
async fn of_a_storm_exactly_as_many_are_contained_as_there_are_places_and_one_page_goes_out() {
    const PLACES: usize = 7;
    let windows = Windows::new();
    let mut config = enforcing();
    config.limits.containments = PLACES;
    let names: Vec<&'static str> = (0..40)
        .map(|index| &*Box::leak(format!("bucket-{index}").into_boxed_str()))
        .collect();
    let storm = names.iter().enumerate().map(async |(index, name)| {
        let responder = windows.responder(Fake::new([act(name)]), config.clone());
        let event = event(json!({
            "id": format!("{index:032x}"),
            "type": "Policy:S3/BucketAnonymousAccessGranted",
            "resource": { "s3BucketDetails": [{ "name": name }] },
        }));
        let invocation = invocation(name);
        let answer = responder.respond(event, &invocation);
        let report = Box::pin(answer).await.expect("an answer");
        let applied = responder.playbook.applied();
        let contained = report.status() == Status::Contained;
        assert_eq!(applied.is_empty(), !contained, "{}", report.to_line());
        contained.then_some((*name).to_owned())
    });
    let contained = join_all(storm).await;
    let contained: BTreeSet<_> = contained.into_iter().flatten().collect();
    assert_eq!(contained.len(), PLACES);
    assert_eq!(windows.taken("BREAKER#s3#111122223333"), contained);
    let notices = windows.notices();
    let pages = notices
        .iter()
        .filter(|subject| subject.starts_with("[BREAKER OPEN]"));
    assert_eq!(pages.count(), 1, "{notices:?}");
    assert_eq!(notices.len(), PLACES + 1, "{notices:?}");
}

#[tokio::test(start_paused = true)]
async fn late_steps_take_a_slot_and_are_recorded_before_acting() {
    let unread = |target| Act {
        unread: Some(error(CallFailure::Transient)),
        unread_when: |observation| observation == 1,
        ..act(target)
    };
    for (places, contained) in [(1, &["read"][..]), (2, &["read", "late"])] {
        let windows = Windows::new();
        let mut config = enforcing();
        config.limits.containments = places;
        let fake = Fake::new([act("read"), unread("late")]);
        let responder = windows.responder(fake, config);
        let event = event(json!({
            "type": "Policy:S3/BucketAnonymousAccessGranted",
            "resource": { "s3BucketDetails": [{ "name": "read" }, { "name": "late" }] },
        }));
        let report = Box::pin(responder.respond(event, &invocation("request"))).await;
        let report = report.expect("an answer");
        assert_eq!(
            responder.playbook.applied(),
            contained,
            "{}",
            report.to_line()
        );
        let held: BTreeSet<_> = contained.iter().map(ToString::to_string).collect();
        assert_eq!(windows.taken("BREAKER#s3#111122223333"), held);
        let late = report.steps().iter().filter(|step| step.target() == "late");
        let outcomes: Vec<_> = late.map(|step| step.outcome()).collect();
        let expected = if places == 2 {
            Outcome::Applied
        } else {
            Outcome::Withheld
        };
        assert_eq!(outcomes, [expected], "{}", report.to_line());
    }
}
