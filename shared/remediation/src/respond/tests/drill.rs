//! Drills change nothing, whatever the settings say, and touch no real incident.

use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::finding::DRILL_SOURCE;
use crate::fixtures::attack;
use crate::hand_over::{Functions, HandOver};
use crate::recheck::RecheckQueue;
use crate::record::{DRILL_EXPIRES, IncidentStore};
use crate::triage::Triage;

fn drill(mut event: Value) -> Value {
    event["source"] = json!(DRILL_SOURCE);
    event
}

/// What was written, in order.
type Written = Arc<Mutex<Vec<UpdateItemInput>>>;

fn table() -> (Written, IncidentStore) {
    use aws_sdk_dynamodb::Client;
    let written = Written::default();
    let kept = Arc::clone(&written);
    let update = mock!(Client::update_item)
        .match_requests(move |request| {
            kept.lock().unwrap().push(request.clone());
            true
        })
        .then_output(|| UpdateItemOutput::builder().build());
    let client = mock_client!(aws_sdk_dynamodb, [&update]);
    (written, IncidentStore::new(client, "incidents".to_owned()))
}

/// A queue and functions of which every call is a panic.
fn nothing_leaves<P: Playbook>(responder: Responder<P>) -> Responder<P> {
    let sqs = mock_client!(aws_sdk_sqs, [] as [&Rule; 0]);
    let lambda = mock_client!(aws_sdk_lambda, [] as [&Rule; 0]);
    let functions = Functions {
        s3: "function-s3".to_owned(),
        iam: "function-iam".to_owned(),
        ec2: "function-ec2".to_owned(),
    };
    responder
        .rechecking(RecheckQueue::new(sqs, "queue".to_owned()))
        .handing_over(HandOver::new(lambda, functions))
}

fn keys_written(written: &Written) -> BTreeSet<(String, String)> {
    let written = written.lock().unwrap();
    let key = |request: &UpdateItemInput, name: &str| {
        request.key().expect("a key")[name].as_s().unwrap().clone()
    };
    written
        .iter()
        .map(|request| (key(request, "pk"), key(request, "sk")))
        .collect()
}

const ID: &str = "16afba5c5c43e07c9e3e5e2e544e95df";

#[tokio::test(start_paused = true)]
async fn a_drill_plans_and_changes_nothing_although_the_settings_enforce() {
    let (_, notices, sns) = topic();
    let (written, record) = table();
    let fake = Fake::new([act("exposed")]);
    let responder = nothing_leaves(Responder::new(fake, enforcing(), sns)).recording(record);
    let first = Recheck {
        number: 1,
        ..Recheck::default()
    };
    for look in [None, Some(first)] {
        let invocation = Invocation {
            look,
            ..invocation(LONG)
        };
        let responded = responder.respond(drill(made_public()), &invocation).await;
        let report = responded.unwrap();
        assert_eq!(report.status(), Status::DryRun, "{}", report.to_line());
        assert!(report.dry_run() && report.drill());
        assert_eq!(report.steps()[0].outcome(), Outcome::Planned);
    }
    assert!(responder.playbook.applied().is_empty());
    // Neither the claim on the target nor the incident of a real finding with the same id.
    let drill = (format!("DRILL#{ID}"), "s3".to_owned());
    assert_eq!(keys_written(&written), BTreeSet::from([drill]));
    let (subject, body) = &notices.lock().unwrap()[0];
    assert!(subject.starts_with("[DRILL] dry_run: s3 "), "{subject}");
    assert!(body.starts_with("This is a drill"), "{body}");
    assert!(
        body.contains("WOULD BE DONE (a drill never does it)"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_finding_without_the_drill_is_enforced_and_recorded_as_an_incident() {
    let (_, _, sns) = topic();
    let (written, record) = table();
    let fake = Fake::new([act("exposed")]);
    let responder = Responder::new(fake, enforcing(), sns).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(!report.drill());
    assert!(
        serde_json::to_value(&report)
            .unwrap()
            .get("drill")
            .is_none()
    );
    assert_eq!(responder.playbook.applied(), ["exposed"]);
    let keys = keys_written(&written);
    assert!(
        keys.contains(&(format!("INCIDENT#{ID}"), "s3".to_owned())),
        "{keys:?}"
    );
    assert!(
        keys.iter().all(|(pk, _)| !pk.starts_with("DRILL#")),
        "{keys:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_drill_goes_away_and_that_of_an_incident_stays() {
    for (event, expires) in [(drill(made_public()), true), (made_public(), false)] {
        let (_, _, sns) = topic();
        let (written, record) = table();
        let fake = Fake::new([act("exposed")]);
        let responder = Responder::new(fake, enforcing(), sns).recording(record);
        answer(&responder, event).await.unwrap();
        let written = written.lock().unwrap();
        let until: Vec<_> = written
            .iter()
            .filter(|request| request.update_expression().unwrap().contains(DRILL_EXPIRES))
            .map(|request| request.expression_attribute_values().unwrap()[":expires_at"].clone())
            .collect();
        let in_a_week = now().as_second() + 7 * 24 * 60 * 60;
        let expected = expires.then(|| AttributeValue::N(in_a_week.to_string()));
        assert_eq!(until, Vec::from_iter(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drill_of_a_sequence_hands_nothing_over() {
    let (_, notices, sns) = topic();
    let responder = nothing_leaves(Responder::new(triage(), enforcing(), sns));
    let report = answer(&responder, drill(attack(json!({})))).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(
        report
            .reason()
            .contains("3 of its parts would be handed over"),
        "{}",
        report.reason()
    );
    assert!(
        notices.lock().unwrap()[0]
            .0
            .starts_with("[DRILL] notified: triage ")
    );
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_calls_a_part_of_a_sequence_a_drill_contains_nothing() {
    let (_, _, sns) = topic();
    let mut part = attack(json!({}));
    part["detail"]["handedOverTo"] = json!("s3");
    part["detail"]["resource"] =
        json!({ "resourceType": "S3Bucket", "s3BucketDetails": [{ "name": "exposed" }] });
    for (event, applied) in [(drill(part.clone()), &[][..]), (part, &["exposed"])] {
        let fake = Fake::new([act("exposed")]);
        let responder = Responder::new(fake, enforcing(), sns.clone());
        answer(&responder, event).await.unwrap();
        assert_eq!(responder.playbook.applied(), applied);
    }
}

#[tokio::test(start_paused = true)]
async fn an_ignored_drill_is_recorded_without_a_notice() {
    let mut off = enforcing();
    off.policy.mode = ResponseMode::Off;
    for (event, recorded) in [(drill(made_public()), 1), (made_public(), 0)] {
        let (written, record) = table();
        let fake = Fake::new([act("exposed")]);
        let responder = Responder::new(fake, off.clone(), silent()).recording(record);
        let report = answer(&responder, event).await.unwrap();
        assert_eq!(report.status(), Status::Ignored, "{}", report.to_line());
        assert_eq!(written.lock().unwrap().len(), recorded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drill_that_cannot_be_read_says_so_and_makes_no_call() {
    let mut broken = drill(made_public());
    broken["detail"]["severity"] = json!("none");
    let (written, record) = table();
    let responder = Responder::new(triage(), enforcing(), silent()).recording(record);
    let responder: Responder<Triage> = nothing_leaves(responder);
    let report = answer(&responder, broken).await.unwrap();
    assert_eq!(report.status(), Status::Failed);
    assert!(report.drill() && report.dry_run());
    assert!(written.lock().unwrap().is_empty());
}
