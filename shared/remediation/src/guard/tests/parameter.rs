//! How the policies are read, and when an event waits for them.

use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::operation::get_parameter::GetParameterOutput;
use aws_sdk_ssm::types::Parameter;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use super::*;
use crate::fixtures::{Protocol, Wire};

struct Store {
    wire: Wire,
    text: std::sync::Arc<Mutex<String>>,
    policies: PolicyParameter,
}

fn store(text: &str) -> Store {
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
    let client = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&get], |config| {
        config.retry_config(RetryConfig::disabled())
    });
    Store {
        wire,
        text,
        policies: PolicyParameter::new(client, "/gdr/policy".to_owned()),
    }
}

impl Store {
    /// The policies for an event `after` so many seconds, whose target takes a second to observe.
    async fn at(&self, after: i64) -> std::sync::Arc<Guard> {
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
async fn what_cannot_be_read_again_stands_for_an_hour_and_then_nothing_is_permitted() {
    for (code, status) in [("Throttling", 400), ("ParameterNotFound", 400)] {
        let store = store(ALL);
        store.at(0).await;
        store.wire.fail("ssm:GetParameter", status, code);
        assert_eq!(store.at(3_599).await.problem(), None, "{code}");
        let lapsed = store.at(3_600).await;
        let problem = lapsed.problem().expect("none");
        assert!(
            problem.contains("ssm:GetParameter on /gdr/policy"),
            "{problem}"
        );
        assert_eq!(lapsed.transient().is_some(), code == "Throttling");
        store.wire.heal();
        assert_eq!(store.at(3_601).await.problem(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_read_permits_nothing() {
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
