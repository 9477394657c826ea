//! A table that hangs.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::*;
use crate::plan::Phase;

fn mute() -> IncidentStore {
    let client = client_over!(aws_sdk_dynamodb, traces::Capture::mute());
    IncidentStore::new(client, "incidents".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_table_that_hangs_delays_the_containment_by_seconds_and_costs_no_notice() {
    let (_, notices, sns) = topic();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.recording(mute());
    let started = Instant::now();
    let error = answer(&responder, made_public()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let calls = responder.playbook.calls().into_iter();
    let begun = calls
        .filter(|(what, ..)| *what == "begin")
        .map(|(.., at)| at);
    let begun: Vec<_> = begun.collect();
    let [begun] = begun[..] else {
        panic!("{begun:?}");
    };
    assert_eq!(begun, Duration::from_secs(3), "the table may take as long");
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let (subject, body) = notices.lock().unwrap()[0].clone();
    assert!(subject.starts_with("[CONTAINED]"), "{subject}");
    assert!(body.contains("was not recorded"), "{body}");
}

/// Nothing limits what is let through without the table but this.
#[tokio::test(start_paused = true)]
async fn a_table_that_hangs_lets_one_finding_through_and_no_other() {
    let (_, _, sns) = topic();
    let fake = Fake::new([act("exposed"), act("another")]);
    let responder = Responder::new(fake, enforcing(), sns).recording(mute());
    answer(&responder, made_public()).await.unwrap_err();
    responder.playbook.undo("exposed");
    let mut next = made_public();
    next["detail"]["id"] = json!("another");
    answer(&responder, next).await.unwrap_err();
    assert_eq!(responder.playbook.applied(), ["exposed", "another"]);
}

/// A connection that answers the first call, which claims the target, and no other.
#[derive(Clone, Debug, Default)]
struct HangsAfterClaim(Arc<AtomicUsize>);

impl HttpConnector for HangsAfterClaim {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        if self.0.fetch_add(1, Ordering::Relaxed) > 0 {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let body = aws_sdk_s3::primitives::SdkBody::from("{}");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}

impl HttpClient for HangsAfterClaim {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Without the record nothing says whether the incident has its snapshots already.
#[tokio::test(start_paused = true)]
async fn a_snapshot_that_comes_up_waits_where_the_table_hangs_after_the_claim() {
    let snapshot = Act {
        phase: Phase::Preserve,
        after: Some("exposed"),
        ..act("snapshot")
    };
    let (_, notices, sns) = topic();
    let responder = Responder::new(Fake::new([act("exposed"), snapshot]), enforcing(), sns);
    let client = client_over!(aws_sdk_dynamodb, HangsAfterClaim::default());
    let responder = responder.recording(IncidentStore::new(client, "incidents".to_owned()));
    answer(&responder, made_public()).await.unwrap_err();
    assert_eq!(responder.playbook.applied(), ["exposed"]);
    let (_, body) = notices.lock().unwrap()[0].clone();
    assert!(
        body.contains("waits until the incident can be recorded"),
        "{body}"
    );
}
