use std::sync::{Arc, Mutex};

use aws_sdk_securityhub::Client;
use aws_sdk_securityhub::operation::batch_update_findings::BatchUpdateFindingsOutput;
use aws_sdk_securityhub::types::BatchUpdateFindingsUnprocessedFinding as Unprocessed;
use testkit::{mock, mock_client};

use super::*;
use crate::catalogue::Category;
use crate::fixtures::{Protocol, Wire, finding};

const ARN: &str = "arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/16afba5c5c43e07c9e3e5e2e544e95df";

fn update_of(reason: &str) -> Update {
    let finding = finding(json!({}));
    let report = Report::notified(Category::Ec2, &finding, reason.to_owned(), false);
    Update::new(&report, &finding).expect("an update")
}

/// Security Hub that answers with `unprocessed`, and what it was sent.
fn hub(unprocessed: Option<&'static str>) -> (Wire, Arc<Mutex<Vec<Value>>>, SecurityHub) {
    let (wire, sent) = (Wire::new(Protocol::Json), Arc::default());
    let (on, to) = (wire.clone(), Arc::<Mutex<Vec<_>>>::clone(&sent));
    let rule = mock!(Client::batch_update_findings).then_compute_response(move |request| {
        on.answer("securityhub:BatchUpdateFindings", || {
            let finding = &request.finding_identifiers()[0];
            let note = request.note().expect("a note");
            let workflow = request.workflow().and_then(|workflow| workflow.status());
            to.lock().unwrap().push(json!({
                "id": finding.id(), "product": finding.product_arn(),
                "note": note.text(), "by": note.updated_by(),
                "status": workflow.map(WorkflowStatus::as_str),
            }));
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
    let client = mock_client!(aws_sdk_securityhub, [&rule]);
    (wire, sent, SecurityHub::new(client))
}

#[tokio::test(start_paused = true)]
async fn the_finding_is_noted_and_set_to_notified_by_its_arn_and_guardduty_s() {
    let (_, sent, hub) = hub(None);
    hub.update(&update_of("it was left"))
        .await
        .expect("updated");
    let told = json!({
        "id": ARN,
        "product": "arn:aws:securityhub:us-east-1::product/aws/guardduty",
        "note": "guardduty-responder: notified: it was left",
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
        let error = hub.update(&update_of("why")).await.expect_err(code);
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
        let Update { note, .. } = update_of(&reason);
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
fn a_message_comes_back_as_what_was_to_be_said_with_how_often_it_came() {
    let update = update_of("why");
    let body = json!({ "security_hub": update }).to_string();
    let payload = |count: &str| {
        json!({ "Records": [{
            "eventSource": "aws:sqs", "body": body,
            "attributes": { "ApproximateReceiveCount": count },
        }] })
    };
    assert_eq!(received(&payload("1")), Some(update.clone()));
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
fn only_what_it_was_to_be_told_is_handed_over_as_that() {
    let update = update_of("a reason");
    let message = json!({ "security_hub": update }).to_string();
    let (finding, payload) = handed_over(&message).expect("an update");
    assert_eq!(finding, ARN);
    assert_eq!(received(&payload), Some(update));
    for other in ["", "\"text\"", "[]", "7", "{}", r#"{"security_hub":"x"}"#] {
        assert_eq!(handed_over(other), None, "{other}");
    }
}
