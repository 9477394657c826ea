//! How the policies are read, and when an event waits for them.

use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::get_parameter::GetParameterOutput;
use aws_sdk_ssm::types::Parameter;
use jiff::SignedDuration;
use testkit::{mock, mock_client};
use tokio::time::{Instant, sleep};

use super::*;
use crate::fixtures::waves::slow;
use crate::fixtures::{Protocol, Wire, now};

const ALL: &str = "permit (principal, action, resource);";

struct Store {
    wire: Wire,
    text: std::sync::Arc<Mutex<String>>,
    policies: PolicyParameter,
}

fn store(text: &str) -> Store {
    store_that_takes(Duration::ZERO, text)
}

/// A store of which each answer takes so long.
fn store_that_takes(time: Duration, text: &str) -> Store {
    let wire = Wire::new(Protocol::Json);
    let text = std::sync::Arc::new(Mutex::new(text.to_owned()));
    let (on, value) = (wire.clone(), std::sync::Arc::clone(&text));
    let get = mock!(Client::get_parameter).then_compute_response(move |request| {
        assert_eq!(request.name(), Some("/gdr/policy"));
        on.answer("ssm:GetParameter", || {
            let parameter = Parameter::builder().value(value.lock().unwrap().clone());
            Ok(GetParameterOutput::builder()
                .parameter(parameter.build())
                .build())
        })
    });
    let client = mock_client!(aws_sdk_ssm, [&get]);
    Store {
        wire,
        text,
        policies: PolicyParameter::new(slow!(aws_sdk_ssm, client, time), "/gdr/policy".to_owned()),
    }
}

impl Store {
    /// The policies for an event `after` so many seconds, whose target takes a second to observe.
    async fn at(&self, after: i64) -> std::sync::Arc<LoadedPolicies> {
        let now = now() + SignedDuration::from_secs(after);
        let until = Instant::now() + Duration::from_secs(60);
        let work = sleep(Duration::from_secs(1));
        self.policies.during(now, until, work).await.1
    }

    fn set(&self, text: &str) {
        *self.text.lock().unwrap() = text.to_owned();
    }

    fn reads(&self) -> usize {
        self.wire.calls().len()
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_read_once_a_minute_while_the_target_is_observed() {
    let store = store(ALL);
    let first = store.at(0).await;
    assert_eq!((first.problem(), store.reads()), (None, 1));
    store.set("forbid");
    let again = store.at(59).await;
    assert_eq!((again.problem(), store.reads()), (None, 1));
    // A minute later the event has what was stored meanwhile, and has not waited for it.
    let start = Instant::now();
    let fresh = store.at(60).await;
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert!(fresh.problem().expect("invalid").contains("not valid"));
    assert_eq!(store.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_does_not_wait_for_policies_to_be_read_again() {
    let slow = async {
        sleep(Duration::from_secs(3)).await;
        "late"
    };
    let store = store(ALL);
    store.at(0).await;
    let (now, until) = (
        now() + SignedDuration::from_secs(61),
        Instant::now() + Duration::from_secs(60),
    );
    // Observing is done at once: the last policies decide.
    let start = Instant::now();
    let (_, guard) = store
        .policies
        .during(now, until, std::future::ready(()))
        .await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(guard.problem(), None);
    // And observing takes no longer for it.
    let (said, _) = store.policies.during(now, until, slow).await;
    assert_eq!(said, "late");
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn policies_read_too_late_count_for_the_next_event() {
    let slow = Duration::from_secs(10);
    let store = store_that_takes(slow, ALL);
    // Nothing was ever read: it waits, and not longer than its patience.
    assert!(store.at(0).await.problem().is_some());
    sleep(slow).await;
    assert_eq!(store.at(20).await.problem(), None);
    store.set("forbid");
    for after in [80, 85] {
        let start = Instant::now();
        assert_eq!(
            store.at(after).await.problem(),
            None,
            "the last ones decide"
        );
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }
    assert_eq!(store.reads(), 2, "one is under way already");
    sleep(slow).await;
    let start = Instant::now();
    let next = store.at(95).await;
    assert!(next.problem().expect("the new text").contains("not valid"));
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!(store.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_waits_for_policies_that_were_last_read_more_than_five_minutes_ago() {
    for (after, waited) in [(299, 1), (300, 3)] {
        let store = store_that_takes(Duration::from_secs(3), ALL);
        let seen = store.at(0).await;
        assert_eq!(seen.problem(), None);
        store.set("forbid");
        let start = Instant::now();
        let guard = store.at(after).await;
        assert_eq!(start.elapsed(), Duration::from_secs(waited), "{after}");
        assert_eq!(guard.problem().is_some(), waited == 3, "{after}");
    }
    // It does not wait for ever, and then the last ones stand.
    let store = store_that_takes(Duration::from_secs(4), ALL);
    store.at(0).await;
    store.wire.fail("ssm:GetParameter", 400, "Throttling");
    let start = Instant::now();
    assert_eq!(store.at(600).await.problem(), None);
    assert!(
        start.elapsed() <= Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn while_aws_does_not_answer_the_last_policies_stand_for_an_hour() {
    let store = store(ALL);
    store.at(0).await;
    store.wire.fail("ssm:GetParameter", 400, "Throttling");
    assert_eq!(store.at(3_599).await.problem(), None);
    let lapsed = store.at(3_600).await;
    let problem = lapsed.problem().expect("none");
    assert!(
        problem.contains("ssm:GetParameter on /gdr/policy"),
        "{problem}"
    );
    assert!(lapsed.transient().is_some());
    store.wire.heal();
    assert_eq!(store.at(3_601).await.problem(), None);
}

#[tokio::test(start_paused = true)]
async fn policies_that_are_gone_or_must_not_be_read_permit_nothing_at_once() {
    for (code, status) in [("ParameterNotFound", 400), ("AccessDeniedException", 400)] {
        for takes in [Duration::ZERO, Duration::from_secs(3)] {
            let store = store_that_takes(takes, ALL);
            assert_eq!(store.at(0).await.problem(), None);
            store.wire.fail("ssm:GetParameter", status, code);
            // What takes longer than observing is known to the next event.
            let known = store.at(60).await.problem().is_some();
            assert_eq!(known, takes.is_zero(), "{code}");
            sleep(takes).await;
            let next = store.at(65).await;
            assert!(next.problem().expect("none").contains(code), "{code}");
            assert!(next.transient().is_none(), "{code}");
            store.wire.heal();
            assert_eq!(store.at(130).await.problem(), None, "{code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn policies_that_were_never_read_permit_nothing() {
    let store = store(ALL);
    store
        .wire
        .fail("ssm:GetParameter", 400, "AccessDeniedException");
    let guard = store.at(0).await;
    let problem = guard.problem().expect("none");
    assert!(
        problem.contains("role allows ssm:GetParameter"),
        "{problem}"
    );
}
