//! What becomes of a containment where the table of the breaker's windows refuses or fails.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use jiff::SignedDuration;
use testkit::MockResponse;

use super::*;
use crate::fixtures::expressions;

/// The updates of the table: the item's key, and what was to be written.
type Writes = Arc<Mutex<Vec<(String, String, HashMap<String, AttributeValue>)>>>;

/// A table in which everything is written, but into the windows what `windows` answers.
fn table<A>(windows: A) -> (Writes, IncidentStore)
where
    A: Fn(&str, &str) -> Option<MockResponse<UpdateItemOutput, UpdateItemError>>
        + Send
        + Sync
        + 'static,
{
    let writes = Writes::default();
    let kept = Arc::clone(&writes);
    let update =
        mock!(aws_sdk_dynamodb::Client::update_item).then_compute_response(move |request| {
            expressions::hold(request);
            let key = request.key().unwrap()["pk"].as_s().unwrap().clone();
            let expression = request.update_expression().unwrap().to_owned();
            let values = request.expression_attribute_values().cloned();
            let answer = key
                .starts_with("BREAKER#")
                .then(|| windows(&key, &expression));
            let write = (key, expression, values.unwrap_or_default());
            kept.lock().unwrap().push(write);
            let done = || MockResponse::Output(UpdateItemOutput::builder().build());
            answer.flatten().unwrap_or_else(done)
        });
    // As where a window has no room: each is then asked by itself.
    let transact = mock!(aws_sdk_dynamodb::Client::transact_write_items)
        .then_http_response(|| refusal(400, "TransactionCanceledException"));
    let rules = [&update, &transact];
    let client = mock_client!(aws_sdk_dynamodb, rules);
    (writes, IncidentStore::new(client, "incidents".to_owned()))
}

fn refusal(status: u16, code: &str) -> aws_sdk_s3::config::http::HttpResponse {
    let body = json!({ "__type": code, "message": "as the test asked" }).to_string();
    aws_sdk_s3::config::http::HttpResponse::new(
        status.try_into().unwrap(),
        aws_sdk_s3::primitives::SdkBody::from(body),
    )
}

/// What the targets' items were last said to be.
fn target_states(writes: &Writes) -> Vec<String> {
    let writes = writes.lock().unwrap();
    let targets = writes.iter().filter(|(key, ..)| key.starts_with("TARGET#"));
    let states = targets.filter_map(|(_, _, values)| values.get(":target_state"));
    states.map(|state| state.as_s().unwrap().clone()).collect()
}

/// A window in which `taken` have places that are not free for an hour.
fn full(
    taken: &[&str],
    opened_by: Option<&str>,
) -> MockResponse<UpdateItemOutput, UpdateItemError> {
    let later = now().as_millisecond() + 3_600_000;
    let number = |number: i64| AttributeValue::N(number.to_string());
    let places = taken.iter().map(|name| ((*name).to_owned(), number(later)));
    let mut refused = ConditionalCheckFailedException::builder()
        .item("taken", AttributeValue::M(places.collect()));
    if let Some(by) = opened_by {
        refused = refused
            .item("opened_by", AttributeValue::S(by.to_owned()))
            .item("opened_at", AttributeValue::S(now().to_string()))
            .item("open_until", number(later));
    }
    MockResponse::Error(UpdateItemError::ConditionalCheckFailedException(
        refused.build(),
    ))
}

fn failing(status: u16, code: &str) -> MockResponse<UpdateItemOutput, UpdateItemError> {
    MockResponse::Http(refusal(status, code))
}

fn two_at_most() -> Config {
    let mut config = enforcing();
    config.limits.containments = 2;
    config
}

#[tokio::test(start_paused = true)]
async fn the_first_withheld_finding_pages_with_everything_the_on_call_engineer_needs() {
    let (_, notices, sns) = topic();
    let (writes, record) = table(|_, expression| {
        expression
            .contains("taken.#p0")
            .then(|| full(&["one", "two"], None))
    });
    let playbook = Fake::new([act("exposed")]);
    let responder = Responder::new(playbook, two_at_most(), sns).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(responder.playbook.applied().is_empty());
    let [step] = report.steps() else {
        panic!("{}", report.to_line())
    };
    assert_eq!(step.outcome(), Outcome::Withheld);
    assert!(
        step.detail().contains("withheld by breaker"),
        "{}",
        step.detail()
    );
    assert_eq!(target_states(&writes).last().unwrap(), "withheld");

    let notices = notices.lock().unwrap();
    let [(subject, body)] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert!(subject.starts_with("[BREAKER OPEN] s3"), "{subject}");
    for part in [
        "circuit breaker open for s3 in account 111122223333: 2 of 2 allowed containments in 60 minutes are used",
        "gdr incidents --status notified",
        "gdr breaker reset --category s3 --account 111122223333",
        "Contained in this window:\n  - one\n  - two\n",
    ] {
        assert!(body.contains(part), "no {part} in:\n{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_another_invocation_pages_about_is_recorded_without_a_notice() {
    let (_, notices, sns) = topic();
    let (writes, record) = table(|_, _| Some(full(&["one", "two"], Some("another"))));
    let playbook = Fake::new([act("exposed")]);
    let responder = Responder::new(playbook, two_at_most(), sns).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(notices.lock().unwrap().is_empty());
    let writes = writes.lock().unwrap();
    let mut concluded = writes.iter();
    assert!(concluded.any(|(key, expression, values)| {
        key.starts_with("INCIDENT#")
            && expression.contains("report = :report")
            && values[":status"] == AttributeValue::S("notified".to_owned())
    }));
    assert!(
        writes
            .iter()
            .all(|(_, expression, _)| !expression.contains("notified")),
        "nobody was notified"
    );
}

#[tokio::test(start_paused = true)]
async fn a_finding_beyond_the_limit_by_itself_has_its_own_notice() {
    let (_, notices, sns) = topic();
    let (_, record) = table(|_, _| Some(full(&[], Some("another"))));
    let three = event(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": [{ "name": "one" }, { "name": "two" }, { "name": "three" }] },
    }));
    let playbook = Fake::new(["one", "two", "three"].map(act));
    let responder = Responder::new(playbook, two_at_most(), sns).recording(record);
    let report = answer(&responder, three).await.unwrap();
    assert!(responder.playbook.applied().is_empty());
    assert!(
        report.reason().contains("this finding alone needs 3 slots"),
        "{}",
        report.to_line()
    );
    assert_eq!(notices.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_was_not_published_is_tried_again_by_the_same_invocation() {
    let (wire, notices, sns) = topic();
    let opened = Arc::new(Mutex::new(None));
    let by = Arc::clone(&opened);
    let (_, record) = table(move |_, expression| {
        if expression.contains("opened_by") {
            *by.lock().unwrap() = Some("request");
            return None;
        }
        Some(full(&["one", "two"], *by.lock().unwrap()))
    });
    let playbook = Fake::new([act("exposed")]);
    let responder = Responder::new(playbook, two_at_most(), sns).recording(record);
    wire.fail_once("sns:Publish", 400, "Throttling");
    let error = answer(&responder, made_public()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(notices.lock().unwrap().is_empty());
    answer(&responder, made_public()).await.unwrap();
    let notices = notices.lock().unwrap();
    assert!(notices[0].0.starts_with("[BREAKER OPEN]"), "{notices:?}");
}

#[tokio::test(start_paused = true)]
async fn withheld_steps_leave_no_recorded_values() {
    let (_, _, sns) = topic();
    let (writes, record) = table(|_, _| Some(full(&["one", "two"], Some("another"))));
    let playbook = Fake::new([act("exposed")]);
    let responder = Responder::new(playbook, two_at_most(), sns).recording(record);
    answer(&responder, made_public()).await.unwrap();
    let writes = writes.lock().unwrap();
    let mut incident = writes
        .iter()
        .filter(|(key, ..)| key.starts_with("INCIDENT#"));
    let withdrawn = incident.find(|(_, expression, _)| expression.starts_with("REMOVE"));
    let (_, expression, _) = withdrawn.expect("the intent is withdrawn");
    assert_eq!(expression, "REMOVE intended_at, evidence, #a0");
}

#[tokio::test(start_paused = true)]
async fn without_the_windows_one_finding_is_contained_and_the_report_says_why_no_other_is() {
    for (status, code, retried) in [
        (400, "AccessDeniedException", false),
        (400, "ResourceNotFoundException", false),
        (500, "InternalServerError", true),
        (400, "ThrottlingException", true),
    ] {
        let failing = || table(move |_, _| Some(failing(status, code)));
        let responder = |record, sns| {
            let fake = Fake::new([act("exposed")]);
            Responder::new(fake, two_at_most(), sns).recording(record)
        };
        let ((_, record), (_, _, sns)) = (failing(), topic());
        let first = responder(record, sns);
        let report = answer(&first, made_public()).await.unwrap();
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert_eq!(first.playbook.applied(), ["exposed"], "{code}");
        let told = report.next_steps().join("; ");
        for part in ["admitted this finding alone", code] {
            assert!(told.contains(part), "{told}");
        }

        let ((writes, record), (_, notices, sns)) = (failing(), topic());
        let (lines, later) = logged(responder(record, sns));
        let window = later.config.limits.window;
        assert!(later.alone.lets("another finding", now(), window));
        let report = answer(&later, made_public()).await;
        assert_eq!(report.is_err(), retried, "{code}");
        // Nobody knows whether much was contained lately.
        assert_eq!(lines.lock().unwrap()[0]["BreakerOpen"], 0, "{code}");
        assert!(later.playbook.applied().is_empty(), "{code}");
        assert_eq!(target_states(&writes).last().unwrap(), "withheld", "{code}");
        let notices = notices.lock().unwrap();
        let [(subject, body)] = notices.as_slice() else {
            panic!("{code}: {notices:?}")
        };
        assert!(subject.starts_with("[LOOK AT THIS]"), "{subject}");
        for part in [
            "dynamodb:UpdateItem on incidents",
            code,
            "contain it by hand",
        ] {
            assert!(body.contains(part), "no {part} in:\n{body}");
        }
    }
}

#[test]
fn alone_an_environment_lets_one_finding_through_until_the_window_has_passed() {
    let (alone, hour) = (
        crate::slots::FallbackQuota::default(),
        SignedDuration::from_hours(1),
    );
    let minutes = |minutes| now() + SignedDuration::from_mins(minutes);
    for (finding, minute, through) in [
        ("a", 0, true),
        ("b", 1, false),
        ("a", 2, true),
        ("b", 59, false),
        ("b", 60, true),
        ("a", 61, false),
    ] {
        let lets = alone.lets(finding, minutes(minute), hour);
        assert_eq!(lets, through, "{finding} at {minute}");
    }
}

#[tokio::test(start_paused = true)]
async fn places_are_given_back_where_a_later_window_has_no_room() {
    let (_, _, sns) = topic();
    let (writes, record) = table(|key, _| {
        let account = "BREAKER#s3#111122223333";
        (key == account).then(|| full(&["one", "two"], Some("another")))
    });
    let mut member = act("exposed");
    member.crowds = vec![("web", Ok(2))];
    let responder = Responder::new(Fake::new([member]), two_at_most(), sns).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    let writes = writes.lock().unwrap();
    let of_group = |(key, expression, _): &&(String, String, _)| {
        key == "BREAKER#s3#111122223333#group#us-east-1/web" && expression.contains("#p0")
    };
    let of_group: Vec<_> = writes.iter().filter(of_group).collect();
    let [(_, taken, _), (_, given_back, _)] = of_group.as_slice() else {
        panic!("{of_group:?}")
    };
    assert!(taken.ends_with("taken.#p0 = :until"), "{taken}");
    assert_eq!(given_back, "REMOVE taken.#p0");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_meets_the_transaction_of_another_is_made_again() {
    let (_, _, sns) = topic();
    let met = Arc::new(Mutex::new(0));
    let times = Arc::clone(&met);
    let (_, record) = table(move |_, _| {
        let mut times = times.lock().unwrap();
        *times += 1;
        (*times <= 2).then(|| failing(400, "TransactionConflictException"))
    });
    let playbook = Fake::new([act("exposed")]);
    let responder = Responder::new(playbook, two_at_most(), sns).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(*met.lock().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_and_a_target_that_is_contained_ask_for_no_place() {
    let (_, _, sns) = topic();
    let (writes, record) = table(|_, _| None);
    let playbook = Fake::new([act("exposed")]);
    let responder = Responder::new(playbook, dry_run(), sns.clone()).recording(record.clone());
    answer(&responder, made_public()).await.unwrap();
    let asked = || {
        let writes = writes.lock().unwrap();
        let windows = writes
            .iter()
            .filter(|(key, ..)| key.starts_with("BREAKER#"));
        windows.count()
    };
    assert_eq!(asked(), 0);
    let playbook = Fake::new([act("exposed")]);
    let responder = Responder::new(playbook, enforcing(), sns).recording(record);
    answer(&responder, made_public()).await.unwrap();
    assert_eq!(asked(), 1);
    let again = answer(&responder, made_public()).await.unwrap();
    assert_eq!(again.status(), Status::AlreadyContained);
    assert_eq!(asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_record_a_finding_is_contained_if_the_breaker_admits_it_and_only_snapshots_wait()
 {
    let (_, _, sns) = topic();
    let update =
        mock!(aws_sdk_dynamodb::Client::update_item).then_compute_response(|request| match request
            .key()
            .unwrap()["pk"]
            .as_s()
            .unwrap()
        {
            key if key.starts_with("BREAKER#") => {
                MockResponse::Output(UpdateItemOutput::builder().build())
            }
            _ => failing(400, "AccessDeniedException"),
        });
    let client = mock_client!(aws_sdk_dynamodb, [&update]);
    let preserved = Act {
        phase: crate::plan::Phase::Preserve,
        ..act("snapshots")
    };
    let playbook = Fake::new([act("exposed"), preserved]);
    let responder = Responder::new(playbook, enforcing(), sns);
    let responder = responder.recording(IncidentStore::new(client, "incidents".to_owned()));
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(responder.playbook.applied(), ["exposed"]);
    let mut steps = report.steps().iter();
    let held_back = steps.find(|step| step.target() == "snapshots");
    let held_back = held_back.expect("a step for the snapshots");
    assert_eq!(held_back.outcome(), Outcome::Skipped, "{held_back:?}");
    let told = report.next_steps().join("; ");
    assert!(told.contains("was not recorded"), "{told}");
}
