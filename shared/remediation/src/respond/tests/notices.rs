//! Who is told by which channel, and what becomes of it where one fails.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_eventbridge::operation::put_events::PutEventsOutput;
use aws_sdk_eventbridge::types::PutEventsResultEntry;
use aws_sdk_sqs::operation::send_message::SendMessageOutput;

use super::*;
use crate::finding::DRILL_SOURCE;
use crate::fixtures::expressions;
use crate::notify::security_hub::{self, Outbox, SecurityHub, Update};
use crate::notify::{Channel, DETAIL_TYPE, DRILL_DETAIL_TYPE, Notices, SOURCE};

/// What was sent: by which channel, and what.
pub(super) type Sent = Arc<Mutex<Vec<(Channel, Value)>>>;

const CHAT: &str = "arn:aws:sns:us-east-1:111122223333:chat";

/// Every channel, each on a wire of its own.
struct Channels {
    sent: Sent,
    wires: Vec<(Channel, &'static str, Wire)>,
    notices: Notices,
}

fn channels() -> Channels {
    let sent = Sent::default();
    let (topics, chat) = (Wire::new(Protocol::Query), Wire::new(Protocol::Query));
    let to = Arc::clone(&sent);
    let (of_text, of_chat) = (topics.clone(), chat.clone());
    let publish = mock!(Client::publish).then_compute_response(move |request| {
        let for_chat = request.topic_arn() == Some(CHAT);
        let (channel, wire) = if for_chat {
            (Channel::Chat, &of_chat)
        } else {
            (Channel::Text, &of_text)
        };
        wire.answer("sns:Publish", || {
            let message = request.message().unwrap_or_default();
            let message = serde_json::from_str(message).unwrap_or_else(|_| json!(message));
            assert_eq!(message.is_object(), for_chat, "only a chat gets JSON");
            to.lock().unwrap().push((channel, message));
            Ok(PublishOutput::builder().build())
        })
    });
    let sns = mock_client!(aws_sdk_sns, [&publish]);
    let (bus, events) = bus(&sent, None);
    let (queue, outbox) = outbox(&sent);
    let text = enforcing().topic_arn;
    Channels {
        sent,
        wires: vec![
            (Channel::Text, "sns:Publish", topics),
            (Channel::Chat, "sns:Publish", chat),
            (Channel::Event, "events:PutEvents", bus),
            (Channel::SecurityHub, "sqs:SendMessage", queue),
        ],
        notices: Notices::new(sns, text)
            .in_chat(CHAT.to_owned())
            .by_event(events)
            .in_security_hub(outbox),
    }
}

/// A bus. `refused`: the error code of an entry that it does not take.
pub(super) fn bus(
    sent: &Sent,
    refused: Option<&'static str>,
) -> (Wire, aws_sdk_eventbridge::Client) {
    let (wire, to) = (Wire::new(Protocol::Json), Arc::clone(sent));
    let on = wire.clone();
    let put =
        mock!(aws_sdk_eventbridge::Client::put_events).then_compute_response(move |request| {
            on.answer("events:PutEvents", || {
                let entry = &request.entries()[0];
                let detail: Value = serde_json::from_str(entry.detail().unwrap()).expect("JSON");
                let event = json!({
                    "source": entry.source(), "detail-type": entry.detail_type(), "detail": detail,
                    "trace": entry.trace_header(), "bytes": entry.detail().map(str::len),
                });
                to.lock().unwrap().push((Channel::Event, event));
                let result = PutEventsResultEntry::builder()
                    .set_error_code(refused.map(ToOwned::to_owned))
                    .build();
                Ok(PutEventsOutput::builder()
                    .failed_entry_count(i32::from(refused.is_some()))
                    .entries(result)
                    .build())
            })
        });
    let client = mock_client!(aws_sdk_eventbridge, [&put]);
    (wire, client)
}

pub(super) fn outbox(sent: &Sent) -> (Wire, Outbox) {
    let (wire, to) = (Wire::new(Protocol::Json), Arc::clone(sent));
    let on = wire.clone();
    let send = mock!(aws_sdk_sqs::Client::send_message).then_compute_response(move |request| {
        on.answer("sqs:SendMessage", || {
            let body = request.message_body().unwrap();
            let mut message: Value = serde_json::from_str(body).expect("JSON");
            message["delay"] = json!(request.delay_seconds());
            message["trace"] = json!(traces::header(request.message_system_attributes()));
            to.lock().unwrap().push((Channel::SecurityHub, message));
            Ok(SendMessageOutput::builder().build())
        })
    });
    let client = mock_client!(aws_sdk_sqs, [&send]);
    (wire, Outbox::new(client, "queue".to_owned()))
}

/// A table that remembers of incidents what was told by which channel, and what could not be.
fn table() -> (Arc<Mutex<HashMap<String, AttributeValue>>>, IncidentStore) {
    const KEPT: [&str; 5] = [
        "notified",
        "notified_chat",
        "notified_event",
        "notified_security_hub",
        "not_notified",
    ];
    let item = Arc::new(Mutex::new(HashMap::new()));
    let kept = Arc::clone(&item);
    let update =
        mock!(aws_sdk_dynamodb::Client::update_item).then_compute_response(move |request| {
            expressions::hold(request);
            let key = request.key().unwrap()["pk"].as_s().unwrap();
            let mut item = kept.lock().unwrap();
            let before = item.clone();
            let expression = request.update_expression().unwrap();
            let (set, removed) = expression.split_once("REMOVE ").unwrap_or((expression, ""));
            let set = set.trim_start_matches("SET ").split(", ");
            let incident = key.starts_with("INCIDENT#");
            for (name, value) in set.filter_map(|set| set.trim().split_once(" = ")) {
                if incident && KEPT.contains(&name) {
                    let value = request.expression_attribute_values().unwrap()[value].clone();
                    item.insert(name.to_owned(), value);
                }
            }
            for name in removed.split(", ").filter(|_| incident) {
                item.remove(name);
            }
            let output = UpdateItemOutput::builder()
                .set_attributes(Some(before))
                .build();
            testkit::MockResponse::Output(output)
        });
    let client = mock_client!(aws_sdk_dynamodb, [&update]);
    (item, IncidentStore::new(client, "incidents".to_owned()))
}

fn taken(sent: &Sent) -> Vec<Channel> {
    let mut sent = std::mem::take(&mut *sent.lock().unwrap());
    sent.sort_by_key(|(channel, _)| *channel);
    sent.into_iter().map(|(channel, _)| channel).collect()
}

#[tokio::test(start_paused = true)]
async fn text_event_and_security_hub_carry_a_containment_each_in_its_form() {
    let Channels { sent, notices, .. } = channels();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent());
    let responder = responder.telling(notices);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    let told: HashMap<_, _> = sent
        .lock()
        .unwrap()
        .drain(..)
        .map(|(by, what)| (by.as_str(), what))
        .collect();
    assert_eq!(told.len(), 4);
    assert!(told["text"].as_str().unwrap().contains("WHAT WAS DONE"));
    assert_eq!(told["chat"]["source"], "custom");
    let event = &told["event"];
    assert_eq!(
        (&event["source"], &event["detail-type"]),
        (&json!(SOURCE), &json!(DETAIL_TYPE))
    );
    let mut detail = event["detail"].clone();
    let alert = detail.as_object_mut().unwrap().remove("alert");
    assert!(alert.is_some_and(|alert| alert["title"].is_string()));
    assert_eq!(detail, serde_json::to_value(&report).unwrap());
    let hub = &told["security_hub"];
    assert_eq!(
        hub["security_hub"]["finding"],
        made_public()["detail"]["arn"]
    );
    // GuardDuty takes up to five minutes.
    assert!(
        (300..=900).contains(&hub["delay"].as_i64().unwrap()),
        "{hub}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_fails_holds_no_other_back_and_a_retry_tells_by_it_alone() {
    for failing in Channel::ALL {
        let Channels {
            sent,
            wires,
            notices,
        } = channels();
        let (_, operation, wire) = wires.into_iter().find(|(by, ..)| *by == failing).unwrap();
        wire.fail_once(operation, 400, "Throttling");
        let (item, record) = table();
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent());
        let responder = responder.telling(notices).recording(record);
        let error = answer(&responder, made_public()).await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains(operation),
            "{error}"
        );
        assert_eq!(responder.playbook.applied(), ["exposed"]);
        let others: Vec<_> = Channel::ALL
            .into_iter()
            .filter(|by| *by != failing)
            .collect();
        assert_eq!(taken(&sent), others);
        let failure = item.lock().unwrap().get("not_notified").cloned();
        let failure = failure.expect("it is recorded");
        assert!(
            failure.as_s().unwrap().starts_with(failing.as_str()),
            "{failure:?}"
        );

        answer(&responder, made_public()).await.unwrap();
        assert_eq!(taken(&sent), [failing]);
        assert_eq!(item.lock().unwrap().get("not_notified"), None);
        answer(&responder, made_public()).await.unwrap();
        assert_eq!(taken(&sent), []);
        assert_eq!(responder.playbook.applied(), ["exposed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_channel_is_reported_with_the_manual_fallback() {
    for failing in Channel::ALL {
        let Channels {
            sent,
            wires,
            notices,
        } = channels();
        let (_, operation, wire) = wires.into_iter().find(|(by, ..)| *by == failing).unwrap();
        wire.fail(operation, 403, "AccessDenied");
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent());
        let responder = responder.telling(notices);
        let report = answer(&responder, made_public()).await.unwrap();
        assert_eq!(report.status(), Status::Contained);
        let told = report.next_steps().last().unwrap();
        assert!(
            told.starts_with(failing.instead()) && told.contains(operation),
            "{told}"
        );
        assert_eq!(taken(&sent).len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_does_not_answer_delays_no_other_and_not_the_report() {
    let sent = Sent::default();
    let (_, events) = bus(&sent, None);
    let mute = client_over!(aws_sdk_sns, traces::Capture::mute());
    let notices = Notices::new(mute, enforcing().topic_arn).by_event(events);
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent());
    let responder = responder.telling(notices);
    let started = Instant::now();
    let error = answer(&responder, made_public()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    // On a clock that only the waiting moves.
    assert!(started.elapsed() < LONG, "{:?}", started.elapsed());
    assert_eq!(taken(&sent), [Channel::Event]);
    assert_eq!(responder.playbook.applied(), ["exposed"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_bus_does_not_take_is_a_failure_although_the_call_succeeds() {
    for (code, transient) in [("ThrottlingException", true), ("MalformedDetail", false)] {
        let sent = Sent::default();
        let (_, _, sns) = topic();
        let (_, events) = bus(&sent, Some(code));
        let notices = Notices::new(sns, enforcing().topic_arn).by_event(events);
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent());
        let responder = responder.telling(notices);
        match answer(&responder, made_public()).await {
            Err(error) => assert!(transient && error.to_string().contains(code), "{error}"),
            Ok(report) => {
                let told = report.next_steps().last().unwrap();
                assert!(!transient && told.contains(code), "{told}");
            }
        }
    }
}

/// What Security Hub is to be told, received for the `attempt`th time.
fn update(attempt: u32) -> Update {
    let arn = made_public()["detail"]["arn"].clone();
    let body = json!({ "security_hub": {
        "finding": arn, "product": "arn:aws:securityhub:us-east-1::product/aws/guardduty",
        "region": "us-east-1", "note": "a note",
    } });
    let payload = json!({ "Records": [{
        "eventSource": "aws:sqs", "body": body.to_string(),
        "attributes": { "ApproximateReceiveCount": attempt.to_string() },
    }] });
    security_hub::received(&payload).expect("an update")
}

/// Security Hub that does not have the finding before the `comes`th call.
fn late(comes: usize) -> SecurityHub {
    use aws_sdk_securityhub::operation::batch_update_findings::BatchUpdateFindingsOutput;
    use aws_sdk_securityhub::operation::get_findings::GetFindingsOutput;
    use aws_sdk_securityhub::types::AwsSecurityFinding;
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let get = mock!(aws_sdk_securityhub::Client::get_findings).then_compute_output(move |_| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let found = (call >= comes).then(|| AwsSecurityFinding::builder().build());
        GetFindingsOutput::builder()
            .set_findings(Some(found.into_iter().collect()))
            .build()
    });
    let update = mock!(aws_sdk_securityhub::Client::batch_update_findings)
        .then_compute_output(|_| BatchUpdateFindingsOutput::builder().build());
    let off = security_hub::tests::v2_is_off();
    SecurityHub::new(mock_client!(aws_sdk_securityhub, [&get, &update, &off]))
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_security_hub_gets_later_is_noted_then_and_one_that_never_comes_is_given_up()
{
    let triage_with = |hub| Responder::new(triage(), enforcing(), silent()).updating(hub);
    let responder = triage_with(late(3));
    for (attempt, updated) in [(1, false), (2, false), (3, true)] {
        match responder.update(&update(attempt), now()).await {
            Ok(answer) => assert_eq!(json!(answer)["updated"], updated, "{attempt}"),
            Err(error) => assert!(!updated && error.is_transient(), "{error}"),
        }
    }
    let responder = triage_with(late(usize::MAX));
    responder.update(&update(4), now()).await.unwrap_err();
    let answer = json!(responder.update(&update(5), now()).await.unwrap());
    assert_eq!(answer["updated"], false);
    let told = answer["next_step"].as_str().unwrap();
    assert!(
        told.contains("FindingNotFound") && told.contains("NOTIFIED"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn only_triage_updates_security_hub() {
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent());
    let responder = responder.updating(late(1));
    let answer = json!(responder.update(&update(1), now()).await.unwrap());
    assert_eq!(answer["updated"], false, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn the_report_of_a_drill_is_no_response_event_and_not_for_security_hub() {
    let Channels { sent, notices, .. } = channels();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent());
    let responder = responder.telling(notices);
    let mut drill = made_public();
    drill["source"] = json!(DRILL_SOURCE);
    answer(&responder, drill).await.unwrap();
    let sent = sent.lock().unwrap();
    let by: BTreeSet<_> = sent.iter().map(|(by, _)| *by).collect();
    assert_eq!(
        by,
        BTreeSet::from([Channel::Text, Channel::Chat, Channel::Event])
    );
    let (_, event) = sent.iter().find(|(by, _)| *by == Channel::Event).unwrap();
    assert_eq!(event["detail-type"], DRILL_DETAIL_TYPE);
    assert_eq!(event["detail"]["drill"], true);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_cut_to_the_limit_of_the_bus_and_marked() {
    let Channels { sent, notices, .. } = channels();
    let acts: Vec<_> = (0..1_200)
        .map(|n| act(format!("bucket-{n:0>60}").leak()))
        .collect();
    let responder = Responder::new(Fake::new(acts), dry_run(), silent()).telling(notices);
    answer(&responder, made_public()).await.unwrap();
    let sent = sent.lock().unwrap();
    let (_, event) = sent.iter().find(|(by, _)| *by == Channel::Event).unwrap();
    let bytes = event["bytes"].as_u64().unwrap();
    assert!(bytes < 255 * 1024, "{bytes}");
    let next = event["detail"]["next_steps"].to_string();
    assert!(next.contains("this report is cut"), "{next}");
}
