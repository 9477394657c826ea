use std::sync::{Arc, Mutex};

use aws_sdk_securityhub::Client;
use aws_sdk_securityhub::config::http::HttpResponse;
use aws_sdk_securityhub::operation::batch_update_findings::BatchUpdateFindingsOutput;
use aws_sdk_securityhub::operation::get_findings::GetFindingsOutput;
use aws_sdk_securityhub::types::{
    AwsSecurityFinding, BatchUpdateFindingsUnprocessedFinding as Unprocessed, Note, Workflow,
};
use aws_smithy_types::body::SdkBody;
use testkit::{Rule, mock, mock_client};

use super::*;
use crate::category::Category;
use crate::fixtures::table::table;
use crate::fixtures::{Protocol, Wire, finding};

pub(super) const ARN: &str = "arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/16afba5c5c43e07c9e3e5e2e544e95df";

pub(super) fn update_of(reason: &str) -> Update {
    let finding = finding(json!({}));
    let report = Report::notified(Category::Ec2, &finding, reason.to_owned(), false);
    Update::new(&report, &finding).expect("an update")
}

/// What Security Hub has of the finding, as updates leave it: who wrote which note, and the workflow status.
#[derive(Clone, Debug, Default)]
struct Has {
    note: Option<(String, String)>,
    status: Option<WorkflowStatus>,
}

/// An answer that refuses a call.
pub(super) fn refusal(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = json!({ "__type": code, "Message": message, "message": message }).to_string();
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

/// There is no Security Hub beside CSPM, in AWS's words.
pub(crate) fn v2_is_off() -> Rule {
    mock!(Client::describe_security_hub_v2).then_http_response(|| {
        refusal(
            404,
            "ResourceNotFoundException",
            "You are not subscribed to HubV2",
        )
    })
}

/// The updates that it was sent.
type Requests = Arc<Mutex<Vec<Value>>>;

/// Security Hub that answers with `unprocessed`, what it was sent, and what it has.
fn hub(unprocessed: Option<&'static str>) -> (Arc<Mutex<Has>>, Requests, SecurityHub) {
    let (wire, sent) = (Wire::new(Protocol::Json), Arc::default());
    let has = Arc::<Mutex<Has>>::default();
    let (on, to, keeps) = (
        wire.clone(),
        Arc::<Mutex<Vec<_>>>::clone(&sent),
        Arc::clone(&has),
    );
    let update = mock!(Client::batch_update_findings).then_compute_response(move |request| {
        on.answer("securityhub:BatchUpdateFindings", || {
            let finding = &request.finding_identifiers()[0];
            let workflow = request.workflow().and_then(|workflow| workflow.status());
            let note = request.note();
            to.lock().unwrap().push(json!({
                "id": finding.id(), "product": finding.product_arn(),
                "note": note.map(NoteUpdate::text), "by": note.map(NoteUpdate::updated_by),
                "status": workflow.map(WorkflowStatus::as_str),
            }));
            if unprocessed.is_none() {
                let mut has = keeps.lock().unwrap();
                if let Some(note) = note {
                    let text = |text: Option<&str>| text.expect("a text").to_owned();
                    has.note = Some((text(note.updated_by()), text(note.text())));
                }
                if let Some(status) = workflow {
                    has.status = Some(status.clone());
                }
            }
            let refused = unprocessed.map(|code| {
                Unprocessed::builder()
                    .finding_identifier(finding.clone())
                    .error_code(code)
                    .error_message("as the test asked")
                    .build()
            });
            Ok(BatchUpdateFindingsOutput::builder()
                .set_unprocessed_findings(Some(refused.into_iter().collect()))
                .build())
        })
    });
    let keeps = Arc::clone(&has);
    let get = mock!(Client::get_findings).then_compute_output(move |request| {
        let filters = request.filters().expect("filters");
        assert_eq!(filters.id()[0].value(), Some(ARN));
        let has = keeps.lock().unwrap().clone();
        let note = has
            .note
            .map(|(by, text)| Note::builder().updated_by(by).text(text).build());
        let workflow = Workflow::builder().set_status(has.status).build();
        let finding = AwsSecurityFinding::builder()
            .set_note(note)
            .workflow(workflow)
            .build();
        GetFindingsOutput::builder().findings(finding).build()
    });
    let client = mock_client!(aws_sdk_securityhub, [&update, &get, &v2_is_off()]);
    (has, sent, SecurityHub::new(client))
}

/// What a function says that many minutes after the hour, as the queue hands it over.
fn said(category: Category, reason: &str, minutes: i64) -> Update {
    let finding = finding(json!({}));
    let report = Report::notified(category, &finding, reason.to_owned(), false);
    let update = Update::new(&report, &finding).expect("an update");
    let body = json!({ "security_hub": update }).to_string();
    let at = crate::fixtures::now().as_millisecond() + minutes * 60_000;
    let payload = json!({ "Records": [{
        "eventSource": "aws:sqs", "body": body,
        "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": at.to_string() },
    }] });
    received(&payload).expect("an update")
}

#[tokio::test(start_paused = true)]
async fn the_note_has_the_last_status_of_each_function_in_any_order() {
    let (_, record) = table();
    let (has, _, hub) = hub(None);
    for update in [
        said(Category::S3, "the bucket was left", 2),
        said(Category::Iam, "the key was left", 5),
        // Twelve minutes late.
        said(Category::Iam, "the key could not be read", 1),
        said(Category::S3, "the bucket is left still", 9),
        said(Category::S3, "the bucket was left", 2),
    ] {
        hub.update(&update, Some(&record)).await.expect("updated");
    }
    let (by, note) = has.lock().unwrap().note.clone().expect("a note");
    assert_eq!(by, "guardduty-responder");
    assert_eq!(
        note,
        "guardduty-responder: iam: notified: the key was left | s3: notified: the bucket is left still"
    );
}

#[tokio::test(start_paused = true)]
async fn two_functions_at_once_leave_a_note_with_the_words_of_both() {
    let (_, record) = table();
    let (has, _, hub) = hub(None);
    let (s3, iam) = (
        said(Category::S3, "the bucket was left", 1),
        said(Category::Iam, "the key was left", 1),
    );
    let (one, other) = futures::join!(
        hub.update(&s3, Some(&record)),
        hub.update(&iam, Some(&record))
    );
    one.and(other).expect("updated");
    let (_, note) = has.lock().unwrap().note.clone().expect("a note");
    assert!(
        note.contains("the bucket was left") && note.contains("the key was left"),
        "{note}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_analyst_has_the_last_word() {
    for (status, set) in [
        (None, true),
        (Some(WorkflowStatus::New), true),
        (Some(WorkflowStatus::Resolved), false),
        (Some(WorkflowStatus::Suppressed), false),
    ] {
        for analysts in [false, true] {
            let (_, record) = table();
            let (has, sent, hub) = hub(None);
            has.lock().unwrap().status = status.clone();
            let by = if analysts {
                "ann"
            } else {
                "guardduty-responder"
            };
            let before = (by.to_owned(), "before".to_owned());
            has.lock().unwrap().note = Some(before.clone());
            hub.update(&said(Category::S3, "why", 1), Some(&record))
                .await
                .expect("updated");
            let has = has.lock().unwrap().clone();
            let expected = if set {
                Some(WorkflowStatus::Notified)
            } else {
                status.clone()
            };
            assert_eq!(has.status, expected);
            assert_eq!(has.note == Some(before), analysts, "{status:?}");
            assert_eq!(sent.lock().unwrap().is_empty(), analysts && !set);
        }
    }
}

#[test]
fn the_note_distinguishes_the_parts_of_a_sequence() {
    let said = ["ec2#us-east-1/i-0abc1234", "ec2#us-east-1/i-0abc1235"];
    let said = said.map(|from| (from.to_owned(), "contained: why".to_owned()));
    assert_eq!(
        note(&said.into()),
        "guardduty-responder: ec2 us-east-1/i-0abc1234: contained: why | \
         ec2 us-east-1/i-0abc1235: contained: why"
    );
}

#[test]
fn a_quoted_reason_counts_for_no_other_function() {
    let update = update_of("left | s3: contained");
    let said = BTreeMap::from([(update.from.clone(), update.words().to_owned())]);
    let note = note(&said);
    assert_eq!(note.matches('|').count(), 0, "{note}");
}

#[tokio::test(start_paused = true)]
async fn the_finding_is_noted_and_set_to_notified_by_its_arn_and_guardduty_s() {
    let (_, sent, hub) = hub(None);
    hub.update(&update_of("it was left"), None)
        .await
        .expect("updated");
    let told = json!({
        "id": ARN,
        "product": "arn:aws:securityhub:us-east-1::product/aws/guardduty",
        "note": "guardduty-responder: ec2: notified: it was left",
        "by": "guardduty-responder",
        "status": "NOTIFIED",
    });
    assert_eq!(*sent.lock().unwrap(), [told]);
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_was_not_updated_is_an_error_although_the_call_succeeded() {
    for (code, transient) in [
        ("FindingNotFound", true),
        ("ConcurrentUpdateError", true),
        ("InternalFailure", true),
        ("InvalidInput", false),
        ("FindingSizeExceeded", false),
    ] {
        let (_, _, hub) = hub(Some(code));
        let error = hub.update(&update_of("why"), None).await.expect_err(code);
        assert_eq!(error.is_transient(), transient, "{error}");
        let told = error.to_string();
        assert!(told.contains(code) && told.contains(ARN), "{told}");
    }
}

#[test]
fn a_note_is_printable_and_within_its_limit() {
    for (reason, cut) in [
        ("a\n\u{202e}b".to_owned(), false),
        ("\u{1f4a3}x".repeat(400), true),
    ] {
        let words = update_of(&reason).words().to_owned();
        let functions = ["ec2", "iam", "s3", "triage"];
        let said = functions.map(|from| (from.to_owned(), words.clone()));
        let note = note(&said.into());
        assert!(
            functions
                .iter()
                .all(|from| note.contains(&format!("{from}: notified")))
        );
        assert!(
            note.chars().count() <= NOTE_LIMIT,
            "{}",
            note.chars().count()
        );
        assert!(!note.contains(['\n', '\u{202e}']), "{note}");
        assert_eq!(note.ends_with('…'), cut, "{note}");
    }
}

#[test]
fn a_finding_without_an_arn_of_guardduty_is_refused_by_the_name_of_the_member() {
    for arn in [
        json!(null),
        json!("16af"),
        json!("arn:aws:guardduty:*:1:detector/x/finding/y"),
    ] {
        let finding = finding(json!({ "arn": arn }));
        let report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        let error = Update::new(&report, &finding).expect_err("no ARN");
        assert!(error.to_string().contains("detail.arn"), "{error}");
    }
}

#[test]
fn a_message_keeps_its_words_and_its_number_of_receives() {
    let update = update_of("why");
    let body = json!({ "security_hub": update }).to_string();
    let payload = |count: &str| {
        json!({ "Records": [{
            "eventSource": "aws:sqs", "body": body,
            "attributes": { "ApproximateReceiveCount": count },
        }] })
    };
    assert_eq!(received(&payload("1")), Some(update.clone()));
    // Earlier versions sent a whole note, and not who said it.
    let mut earlier = json!({ "security_hub": update });
    earlier["security_hub"]["from"].take();
    earlier["security_hub"]
        .as_object_mut()
        .unwrap()
        .remove("from");
    earlier["security_hub"]["note"] = json!("guardduty-responder: contained: why");
    let earlier = queue_message::handed_over(&earlier.to_string());
    assert_eq!(
        received(&earlier).expect("an update").words(),
        "contained: why"
    );
    for (count, last) in [("1", false), ("4", false), ("5", true), ("9", true)] {
        let update = received(&payload(count)).expect("an update");
        assert_eq!(update.is_last(), last, "{count}");
    }
    for other in [
        json!({}),
        json!({ "Records": [] }),
        json!({ "Records": [{ "eventSource": "aws:sqs", "body": "{\"recheck\":1}" }] }),
        json!({ "Records": [{ "eventSource": "aws:s3", "body": body }] }),
    ] {
        assert_eq!(received(&other), None, "{other}");
    }
}

#[test]
fn only_messages_for_security_hub_are_read_as_such() {
    let update = update_of("a reason");
    let message = json!({ "security_hub": update }).to_string();
    let (finding, payload) = handed_over(&message).expect("an update");
    assert_eq!(finding, ARN);
    assert_eq!(received(&payload), Some(update));
    for other in ["", "\"text\"", "[]", "7", "{}", r#"{"security_hub":"x"}"#] {
        assert_eq!(handed_over(other), None, "{other}");
    }
}
