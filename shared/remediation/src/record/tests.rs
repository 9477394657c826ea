//! Every write of the record, held against what DynamoDB takes.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::breaker::BlastRadiusGroup;
use crate::category::Category;
use crate::evidence::Stored;
use crate::finding::Finding;
use crate::fixtures::table::{Items, table};
use crate::fixtures::{self, ENFORCING, now};
use crate::notify::Channel;
use crate::report::{Approval, Obstacle, Report};
use crate::settings::Settings;
use crate::standing::Standing;

const TARGET: &str = "us-east-1/i-0abc1234def567890";

fn event() -> Value {
    fixtures::event(json!({
        "resource": { "instanceDetails": { "instanceId": "i-0abc1234def567890" } },
    }))
}

fn finding() -> Finding {
    Finding::parse(&event()).expect("a finding")
}

fn lease(owner: &str) -> Lease<'_> {
    Lease {
        owner,
        now: now(),
        lasts: Duration::from_secs(60),
        until: Instant::now(),
    }
}

fn intent(actions: usize, approved: Option<Approved>) -> Intent {
    Intent {
        received_at: now(),
        evidence: json!({}),
        settings: Settings::default(),
        actions: (0..actions)
            .map(|index| (format!("ec2:Act eni-{index}"), json!({ "from": "sg-1" })))
            .collect(),
        completes: false,
        approved,
        invocation: "request".to_owned(),
    }
}

fn notified(approval: Option<Approval>) -> Report {
    let mut report = Report::notified(Category::Ec2, &finding(), "why".to_owned(), false);
    report.approval = approval;
    report
}

async fn incident(record: &IncidentStore) -> Incident {
    let incidents = record.incidents_of(&finding().id).await.expect("read");
    let [incident] = <[_; 1]>::try_from(incidents).expect("one incident");
    incident
}

fn state(items: &Items) -> String {
    let items = items.lock().unwrap();
    let mut targets = items
        .iter()
        .filter(|((pk, _), _)| pk.starts_with("TARGET#"));
    let (_, target) = targets.next().expect("a target");
    get(target, "target_state").unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn dynamodb_takes_every_write_about_a_target() {
    let (items, record) = table();
    let finding = finding();
    let stands = Standing {
        steps: ["ec2:IsolateInterface eni-1".to_owned()].into(),
        severity: 7.5,
        found_undone: ["ec2:IsolateInterface eni-1".to_owned()].into(),
    };
    let states = [Standing::default(), stands.clone()].map(|it| (TargetState::Contained, it));
    for given_back in [None].into_iter().chain(states.map(Some)) {
        let lease = lease("request");
        let claim = record.claim(Category::Ec2, &finding, TARGET, &lease).await;
        let claim = claim.expect("a claim");
        record.begin(&claim, &finding, now()).await.expect("begun");
        let given = record.end_claim(&claim, given_back, false, now()).await;
        given.expect("given back");
    }
    assert_eq!(state(&items), "contained");
    let lease = lease("somebody");
    let claim = record.claim(Category::Ec2, &finding, TARGET, &lease).await;
    let claim = claim.expect("a claim");
    let released = record.mark_released(&claim, "somebody", now()).await;
    released.expect("released");
    assert_eq!(state(&items), "released");
}

#[tokio::test(start_paused = true)]
async fn dynamodb_takes_every_write_about_an_incident_to_its_end() {
    let (items, record) = table();
    let (finding, event) = (finding(), event());
    let awaiting = |at| Awaiting {
        planned_at: at,
        expires_at: at,
        what: "what".to_owned(),
        policy: ENFORCING.clone(),
        settings: Settings::default(),
        steps: Vec::new(),
    };
    let hold = || async {
        let awaiting = awaiting(now());
        let held = record.hold(
            Category::Ec2,
            &finding,
            &event,
            &awaiting,
            &Value::Null,
            now(),
        );
        assert!(held.await.expect("held"));
    };
    hold().await;
    let waiting = incident(&record).await;
    let rejected = record.reject(&waiting, "somebody", "ours", now()).await;
    rejected.expect("rejected");
    // Newer activity is planned anew.
    items.lock().unwrap().values_mut().for_each(|item| {
        item.remove("rejected_at");
    });
    hold().await;

    let approved = Approved {
        planned_at: now(),
        by: "somebody".to_owned(),
    };
    let intend = async |actions, approved| {
        let intent = intent(actions, approved);
        let intended = record.intend(Category::Ec2, &finding, &event, &intent, now());
        intended.await.expect("intended")
    };
    let intended = intend(120, Some(approved)).await;
    let withdrawn = record.withdraw(Category::Ec2, &finding, &intended).await;
    withdrawn.expect("withdrawn");
    assert!(incident(&record).await.actions.is_empty());
    intend(120, None).await;

    let held = Approval {
        expires_at: now(),
        steps: Vec::new(),
    };
    let error = crate::error::Error::Refused("no".to_owned());
    let prevented = Report::prevented(Category::Ec2, &finding, Obstacle::Target, &error, false);
    for report in [notified(None), notified(Some(held)), prevented] {
        for (decided, look) in [(None, false), (Some(now()), true)] {
            let times = Times {
                received: None,
                decided,
                contained: decided,
                look,
            };
            let concluded = record.conclude(&finding, &event, &report, &Value::Null, times, now());
            concluded.await.expect("concluded");
        }
        let failed = || Err(crate::error::Error::Refused("no".to_owned()));
        let all = Channel::ALL.map(|channel| (channel, Ok(())));
        let none = Channel::ALL.map(|channel| (channel, failed()));
        let one = [(Channel::Event, Ok(())), (Channel::Text, failed())];
        for sent in [&all[..], &none, &one, &[]] {
            let marked = record.mark_notified(&finding, &report, sent, now()).await;
            marked.expect("marked");
        }
    }
    let stored = Stored {
        bucket: "bucket".to_owned(),
        key: "key".to_owned(),
        version: None,
    };
    let marked = record.mark_stored(Category::Ec2, &finding, &stored).await;
    marked.expect("marked");

    let open = incident(&record).await;
    assert_eq!(open.actions.len(), 120);
    record
        .close(&open, "somebody", now())
        .await
        .expect("closed");
    let closed = incident(&record).await;
    assert_eq!(closed.status, "released");
    assert!(closed.actions.is_empty() && closed.notified_at.is_none());
}

#[tokio::test(start_paused = true)]
async fn dynamodb_takes_every_write_about_a_window() {
    let (_, record) = table();
    let window = |crowd| Window {
        category: Category::Ec2,
        account_id: "111122223333".to_owned(),
        crowd,
    };
    let (all, users) = (window(None), window(Some(BlastRadiusGroup::Users)));
    let terms = Terms {
        places: 3,
        now: now(),
        lasts: SignedDuration::from_mins(60),
        until: Instant::now(),
    };
    for names in [&["a"][..], &["a", "b"]] {
        let names: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
        assert!(
            record
                .take_all(&[(&all, &names, terms), (&users, &names, terms)])
                .await
        );
        let taken = record.take(&all, &names, &terms).await.expect("taken");
        let Taken::Places(places) = taken else {
            panic!("{taken:?}");
        };
        record.give_places_back(&places).await.expect("given back");
    }
    let opened = record.mark_opened(&all, "request", now(), terms.lasts);
    opened.await.expect("opened");
    record.reset(&all).await.expect("reset");
}

#[tokio::test(start_paused = true)]
async fn only_the_plan_that_was_read_is_rejected() {
    let (_, record) = table();
    let (finding, event) = (finding(), event());
    let hold = async |at| {
        let awaiting = Awaiting {
            planned_at: at,
            expires_at: at,
            what: "what".to_owned(),
            policy: ENFORCING.clone(),
            settings: Settings::default(),
            steps: Vec::new(),
        };
        let none = json!({});
        let held = record.hold(Category::Ec2, &finding, &event, &awaiting, &none, at);
        assert!(held.await.expect("held"));
    };
    hold(now()).await;
    let shown = incident(&record).await;
    hold(now() + SignedDuration::from_secs(1)).await;
    let refused = record.reject(&shown, "somebody", "ours", now()).await;
    let refused = refused.expect_err("it is another plan").to_string();
    assert!(refused.contains("was replaced"), "{refused}");
    let shown = incident(&record).await;
    assert!(shown.awaiting().expect("read").is_some() && shown.rejected.is_none());
    let rejected = record.reject(&shown, "somebody", "ours", now()).await;
    rejected.expect("rejected");
    let after = incident(&record).await;
    assert!(after.awaiting.is_null() && after.rejected.is_some());
}

/// An operator who read a stale record would release what is no longer contained.
#[tokio::test(start_paused = true)]
async fn the_record_is_read_as_it_is_now_and_not_as_it_was_a_moment_ago() {
    let (items, record) = table();
    let (finding, event) = (finding(), event());
    let intent = intent(1, None);
    let intended = record.intend(Category::Ec2, &finding, &event, &intent, now());
    intended.await.expect("intended");
    assert_eq!(incident(&record).await.actions.len(), 1);
    assert_eq!(record.incidents().await.expect("read").len(), 1);

    let later = (now() + SignedDuration::from_mins(1)).as_millisecond();
    let window = HashMap::from([
        ("pk".to_owned(), text("BREAKER#ec2#111122223333")),
        ("kind".to_owned(), text("window")),
        ("places".to_owned(), number(20)),
        (
            "taken".to_owned(),
            AttributeValue::M([(TARGET.to_owned(), number(later))].into()),
        ),
    ]);
    let key = ("BREAKER#ec2#111122223333".to_owned(), "window".to_owned());
    items.lock().unwrap().insert(key, window);
    let windows = record.windows(now()).await.expect("read");
    assert_eq!(windows[0].taken.keys().collect::<Vec<_>>(), [TARGET]);
}
