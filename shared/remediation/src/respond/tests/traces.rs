//! The trace of an invocation is that of all that it sends.

use aws_sdk_sqs::operation::send_message::SendMessageOutput;
use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::collections::HashMap;

use super::notices::{Sent, bus, outbox};
use super::*;
use crate::fixtures::attack;
use crate::hand_over::Functions;
use crate::notify::{Channel, Notices};

const HEADER: &str =
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:5cd1:0";

/// The trace that a message carries on.
pub(super) fn header(
    attributes: Option<&HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>>,
) -> Option<String> {
    let trace = attributes?.get(&MessageSystemAttributeNameForSends::AwsTraceHeader)?;
    assert_eq!(trace.data_type(), "String");
    trace.string_value().map(ToOwned::to_owned)
}

/// A connection that keeps the headers that carry a trace, and answers 202, or never.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    headers: Arc<Mutex<Vec<Option<String>>>>,
    is_mute: bool,
}

impl Capture {
    pub(super) fn mute() -> Self {
        Self {
            is_mute: true,
            ..Self::default()
        }
    }
}

impl HttpConnector for Capture {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = request.headers().get("x-amzn-trace-id");
        self.headers
            .lock()
            .unwrap()
            .push(header.map(ToOwned::to_owned));
        if self.is_mute {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let status = 202.try_into().unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(
            status,
            aws_sdk_s3::primitives::SdkBody::empty(),
        )))
    }
}

impl HttpClient for Capture {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn traced(header: &str) -> Invocation {
    Invocation {
        trace: Trace::parse(header),
        ..invocation(LONG)
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_look_the_event_and_security_hub_s_message_are_of_the_same_trace() {
    for (given, carried) in [(HEADER, Some(HEADER)), ("Root=1-forged", None)] {
        let sent = Sent::default();
        let (_, _, sns) = topic();
        let ((_, events), (_, outbox)) = (bus(&sent, None), outbox(&sent));
        let notices = Notices::new(sns, enforcing().topic_arn)
            .by_event(events)
            .in_security_hub(outbox);
        let looks = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&looks);
        let send = mock!(aws_sdk_sqs::Client::send_message).then_compute_response(move |request| {
            kept.lock()
                .unwrap()
                .push(header(request.message_system_attributes()));
            testkit::MockResponse::Output(SendMessageOutput::builder().build())
        });
        let queue = mock_client!(aws_sdk_sqs, [&send]);
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent())
            .telling(notices)
            .rechecking(RecheckQueue::new(queue, "queue".to_owned()));
        let report = responder
            .respond(made_public(), &traced(given))
            .await
            .unwrap();
        let carried = carried.map(ToOwned::to_owned);
        assert_eq!(*looks.lock().unwrap(), vec![carried.clone()]);
        for (channel, what) in sent.lock().unwrap().iter() {
            assert_eq!(what["trace"], json!(carried), "{channel:?}");
        }
        let channels: Vec<Channel> = sent.lock().unwrap().iter().map(|(by, _)| *by).collect();
        assert_eq!(channels.len(), 2, "{channels:?}");
        let line: Value = serde_json::from_str(&report.to_line()).unwrap();
        let id = carried.map(|_| "1-5759e988-bd862e3fe1be46a994272793");
        assert_eq!(line["trace_id"], json!(id));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dispatched_part_has_the_same_trace() {
    let capture = Capture::default();
    let client = client_over!(aws_sdk_lambda, capture.clone());
    let functions = Functions {
        s3: "function-s3".to_owned(),
        iam: "function-iam".to_owned(),
        ec2: "function-ec2".to_owned(),
    };
    let hand_over = HandOver::new(client, functions);
    let (_, _, sns) = topic();
    let responder = Responder::new(triage(), enforcing(), sns).handing_over(hand_over);
    let report = responder
        .respond(attack(json!({})), &traced(HEADER))
        .await
        .unwrap();
    assert!(
        report.reason().contains("3 of its parts handed over"),
        "{}",
        report.reason()
    );
    assert_eq!(
        *capture.headers.lock().unwrap(),
        vec![Some(HEADER.to_owned()); 3]
    );
}
