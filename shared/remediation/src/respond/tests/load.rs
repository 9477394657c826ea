//! What becomes of deliveries while other invocations are at work on their targets.

use std::cell::RefCell;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::SignedDuration;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::*;
use crate::fixtures::looks::{Sent, next, queue};
use crate::fixtures::table::{Items, table, table_that_takes};
use crate::verify::tests::guardduty;

/// How many executions there are at the same time.
const EXECUTIONS: usize = 10;

fn about(buckets: &[&str], id: usize) -> Value {
    let buckets = buckets.iter().map(|name| json!({ "name": name }));
    event(json!({
        "id": format!("{id:032x}"),
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": buckets.collect::<Vec<_>>() },
    }))
}

fn key(bucket: &str) -> (String, String) {
    let pk = format!("TARGET#s3#111122223333#{bucket}");
    (pk, "state".to_owned())
}

/// Another invocation is at work on `bucket`, for so many seconds at most.
fn occupy(items: &Items, bucket: &str, seconds: i64) {
    let ends = now().as_millisecond() + seconds * 1_000;
    let item = [
        ("lease_owner", AttributeValue::S("another".to_owned())),
        ("lease_ends", AttributeValue::N(ends.to_string())),
    ];
    let item = item.map(|(name, value)| (name.to_owned(), value));
    items.lock().unwrap().insert(key(bucket), item.into());
}

fn statuses(items: &Items) -> Vec<String> {
    let items = items.lock().unwrap();
    let incidents = items
        .iter()
        .filter(|((pk, _), _)| pk.starts_with("INCIDENT#"));
    let statuses = incidents.map(|(_, item)| item["status"].as_s().unwrap().clone());
    statuses.collect()
}

/// Lambda with a few executions, and SQS: what a function puts off comes again.
struct Cloud {
    responders: HashMap<String, Responder<Fake>>,
    executions: Semaphore,
    sent: Sent,
    start: Instant,
    /// When something was contained first, by bucket.
    contained: RefCell<HashMap<String, Duration>>,
}

/// A delivery: the event, how it comes, and the invocation.
type Delivery = (Value, Option<Recheck>, String);

impl Cloud {
    async fn deliver(&self, wait: Duration, delivery: Delivery) {
        let (event, look, id) = delivery;
        sleep(wait).await;
        let _execution = self.executions.acquire().await.unwrap();
        let bucket = event["detail"]["resource"]["s3BucketDetails"][0]["name"].clone();
        let bucket = bucket.as_str().unwrap().to_owned();
        let passed = SignedDuration::try_from(self.start.elapsed()).unwrap();
        let invocation = Invocation {
            id,
            now: now() + passed,
            time_left: Duration::from_secs(120),
            look,
            trace: None,
        };
        let answer = self.responders[&bucket].respond(event, &invocation).await;
        let report = answer.expect("nothing that Lambda would have to try again");
        if report.status() == Status::Contained {
            let mut contained = self.contained.borrow_mut();
            contained.entry(bucket).or_insert(self.start.elapsed());
        }
    }

    /// What was sent, each with the time until it comes.
    fn messages(&self) -> Vec<(Duration, Delivery)> {
        let messages = std::mem::take(&mut *self.sent.lock().unwrap());
        let messages = messages.into_iter().enumerate();
        messages
            .map(|(index, (delay, message))| {
                let (_, payload) = recheck::handed_over(&message).expect("a message");
                let (event, look) = recheck::received(&payload).expect("a message");
                let id = format!("{index} at {:?}", self.start.elapsed());
                let wait = Duration::from_secs(delay.unsigned_abs().into());
                (wait, (event, Some(look), id))
            })
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn ten_executions_are_enough_for_a_storm_on_one_target_beside_findings_about_others() {
    const STORM: usize = 200;
    let names: Vec<&'static str> = (0..20)
        .map(|index| &*Box::leak(format!("other-{index}").into_boxed_str()))
        .chain(["stormy"])
        .collect();
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let (sent, recheck) = queue();
    let responder = |name: &'static str| {
        let mut fake = Fake::new([Act {
            takes: Duration::from_secs(5),
            ..act(name)
        }]);
        fake.observes = Duration::from_secs(1);
        fake.investigates = Duration::from_secs(10);
        let responder = Responder::new(fake, enforcing(), sns.clone());
        let responder = responder
            .recording(record.clone())
            .rechecking(recheck.clone());
        (name.to_owned(), responder)
    };
    let cloud = Cloud {
        responders: names.iter().copied().map(responder).collect(),
        executions: Semaphore::new(EXECUTIONS),
        sent,
        start: Instant::now(),
        contained: RefCell::default(),
    };
    // The others come last.
    let storm = (0..STORM).map(|index| about(&["stormy"], index));
    let others = names.iter().take(20).enumerate();
    let others = others.map(|(index, name)| about(&[name], STORM + index));
    let mut running: FuturesUnordered<_> = storm
        .chain(others)
        .enumerate()
        .map(|(index, event)| {
            let delivery = (event, None, format!("request {index}"));
            Box::pin(cloud.deliver(Duration::ZERO, delivery))
        })
        .collect();
    while running.next().await.is_some() {
        for (wait, delivery) in cloud.messages() {
            running.push(Box::pin(cloud.deliver(wait, delivery)));
        }
    }
    let contained = cloud.contained.borrow();
    assert_eq!(contained.len(), 21);
    let last = contained.values().max().unwrap();
    assert!(*last < Duration::from_secs(120), "{last:?}");
    assert_eq!(cloud.responders["stormy"].playbook.applied(), ["stormy"]);
    // Each finding has its incident and its notice in the end, and none says that nothing was contained.
    assert_eq!(statuses(&items), vec!["contained"; STORM + 20]);
    let notices = notices.lock().unwrap();
    assert_eq!(notices.len(), STORM + 20);
    let alarming = notices.iter().find(|(subject, _)| {
        !subject.starts_with("[CONTAINED]") && !subject.starts_with("[ALREADY CONTAINED]")
    });
    assert!(alarming.is_none(), "{alarming:?}");
    let took = cloud.start.elapsed();
    assert!(took < Duration::from_secs(3_600), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_finding_whose_target_is_claimed_is_delivered_again_and_not_notified_before() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    occupy(&items, "exposed", 60);
    let (sent, recheck) = queue();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.recording(record).rechecking(recheck);
    let start = Instant::now();
    let report = answer(&responder, made_public()).await.unwrap();
    assert!(
        start.elapsed() <= Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(report.status(), Status::Ignored, "{}", report.to_line());
    assert!(notices.lock().unwrap().is_empty());
    assert_eq!(statuses(&items), [""; 0]);
    // The other one is done, and the table knows who is to come.
    let mut free = items.lock().unwrap()[&key("exposed")].clone();
    free.retain(|name, _| !name.starts_with("lease_"));
    let awaited: Vec<_> = free
        .keys()
        .filter(|name| name.starts_with("awaited:"))
        .collect();
    assert_eq!(awaited.len(), 1, "{free:?}");
    items.lock().unwrap().insert(key("exposed"), free);
    let (event, look) = next(&sent);
    assert_eq!((look.number, look.put_off), (0, 1));
    let again = Invocation {
        id: "again".to_owned(),
        look: Some(look),
        ..invocation(LONG)
    };
    let report = responder.respond(event, &again).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(notices.lock().unwrap().len(), 1);
    let dealt_with = items.lock().unwrap()[&key("exposed")].clone();
    assert!(dealt_with.keys().all(|name| !name.starts_with("awaited:")));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_cannot_be_postponed_fails_and_is_notified() {
    for often in [true, false] {
        let (_, notices, sns) = topic();
        let (items, record) = table();
        occupy(&items, "exposed", 6_000);
        let (sent, recheck) = queue();
        let mut responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
        responder = responder.recording(record);
        if often {
            responder = responder.rechecking(recheck);
        }
        let look = Recheck {
            put_off: recheck::PUT_OFF_AT_MOST,
            ..Recheck::default()
        };
        let last = Invocation {
            look: Some(look),
            ..invocation(LONG)
        };
        let error = responder.respond(made_public(), &last).await.unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        assert_eq!(notices.lock().unwrap().len(), 1);
        assert!(sent.lock().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_recheck_whose_target_is_claimed_is_delivered_again_as_a_recheck() {
    let (_, _, sns) = topic();
    let (items, record) = table();
    let (sent, recheck) = queue();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.recording(record).rechecking(recheck);
    answer(&responder, made_public()).await.unwrap();
    let (event, first) = next(&sent);
    occupy(&items, "exposed", 600);
    let busy = Invocation {
        id: "look".to_owned(),
        look: Some(first.clone()),
        ..invocation(LONG)
    };
    let report = responder.respond(event, &busy).await.unwrap();
    assert_eq!(report.status(), Status::Ignored, "{}", report.to_line());
    let (_, again) = next(&sent);
    let expected = Recheck {
        put_off: 1,
        ..first
    };
    assert_eq!(again, expected);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_buckets_are_claimed_together_and_a_busy_one_keeps_none_of_the_others_waiting() {
    let names: Vec<&'static str> = (0..100)
        .map(|index| &*Box::leak(format!("bucket-{index}").into_boxed_str()))
        .collect();
    let (_, _, sns) = topic();
    let (items, record) = table_that_takes(Duration::from_secs(1));
    occupy(&items, "bucket-50", 600);
    let (sent, recheck) = queue();
    let fake = Fake::new(names.iter().copied().map(act));
    let mut config = enforcing();
    config.limits.containments = 500;
    let responder = Responder::new(fake, config, sns);
    let responder = responder.recording(record).rechecking(recheck);
    let invocation = invocation(Duration::from_secs(120));
    let report = responder.respond(about(&names, 1), &invocation).await;
    let report = report.unwrap();
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(responder.playbook.applied().len(), 99);
    let calls = responder.playbook.calls().into_iter();
    let first = calls
        .filter(|(what, ..)| *what == "begin")
        .map(|(.., at)| at);
    let first = first.min().unwrap();
    assert!(first <= Duration::from_secs(8), "{first:?}");
    let steps = report.steps().iter();
    let left: Vec<_> = steps
        .filter(|step| step.outcome() == Outcome::Skipped)
        .map(|step| (step.target(), step.detail()))
        .collect();
    assert_eq!(left, [("bucket-50", "another invocation is at work on it")]);
    let put_off = sent.lock().unwrap();
    let put_off = put_off
        .iter()
        .filter(|(_, message)| message.contains("put_off"));
    assert_eq!(put_off.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_guardduty_does_not_have_yet_is_delivered_again_once() {
    let (_, notices, sns) = topic();
    let (_, record) = table();
    let (sent, recheck) = queue();
    let (_, none) = guardduty(Vec::new());
    let (_, has) = guardduty(vec![made_public()["detail"].clone()]);
    let responder = |verifier| {
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns.clone());
        let responder = responder
            .recording(record.clone())
            .rechecking(recheck.clone());
        responder.verifying(verifier)
    };
    let early = responder(none);
    let report = answer(&early, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Ignored, "{}", report.to_line());
    assert!(notices.lock().unwrap().is_empty());
    let (event, look) = next(&sent);
    let again = Invocation {
        id: "again".to_owned(),
        look: Some(look),
        ..invocation(LONG)
    };
    // It never comes.
    let report = early.respond(event.clone(), &again).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(report.reason().contains("GuardDuty has no finding"));
    assert!(sent.lock().unwrap().is_empty());
    // Or it does.
    let report = responder(has).respond(event, &again).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
}

#[tokio::test(start_paused = true)]
async fn guarddutys_target_is_contained_and_the_notice_names_the_events() {
    let (_, notices, sns) = topic();
    let (_, record) = table();
    let (sent, recheck) = queue();
    let mut current = made_public();
    current["detail"]["resource"]["s3BucketDetails"] = json!([{ "name": "latest" }]);
    let (_, verifier) = guardduty(vec![current["detail"].clone()]);
    let responder = Responder::new(Fake::new([act("latest")]), enforcing(), sns);
    let responder = responder.recording(record).rechecking(recheck);
    let responder = responder.verifying(verifier);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(responder.playbook.applied().is_empty());
    assert_eq!(notices.lock().unwrap().len(), 1);
    let (event, look) = next(&sent);
    let again = Invocation {
        id: "again".to_owned(),
        look: Some(look),
        ..invocation(LONG)
    };
    let report = responder.respond(event, &again).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(responder.playbook.applied(), ["latest"]);
    assert_eq!(notices.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_look_goes_on_where_guardduty_shows_another_target() {
    let (_, _, sns) = topic();
    let (_, record) = table();
    let (sent, recheck) = queue();
    let responder = |name: &str| {
        let mut current = made_public();
        current["detail"]["resource"]["s3BucketDetails"] = json!([{ "name": name }]);
        let (_, verifier) = guardduty(vec![current["detail"].clone()]);
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns.clone());
        let responder = responder
            .recording(record.clone())
            .rechecking(recheck.clone());
        responder.verifying(verifier)
    };
    let report = answer(&responder("exposed"), made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    let (event, look) = next(&sent);
    let look = Invocation {
        id: "look".to_owned(),
        look: Some(look),
        ..invocation(LONG)
    };
    // Somebody has opened it again.
    let report = responder("latest").respond(event, &look).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(report.undone(), "{}", report.to_line());
}
