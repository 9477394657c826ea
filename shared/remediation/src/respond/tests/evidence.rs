//! The page of an incident is kept, and nothing about keeping it keeps anything from being contained.

use aws_sdk_s3::operation::put_object::{PutObjectInput, PutObjectOutput};

use super::*;
use crate::evidence::{Bucket, Evidence};
use crate::finding::DRILL_SOURCE;
use crate::fixtures::table::table;

/// What was stored.
type Stored = Arc<Mutex<Vec<PutObjectInput>>>;

fn bucket() -> (Wire, Stored, Evidence) {
    use aws_sdk_s3::Client;
    let (wire, stored) = (Wire::new(Protocol::S3), Stored::default());
    let (on, kept) = (wire.clone(), Arc::clone(&stored));
    let put = mock!(Client::put_object).then_compute_response(move |request| {
        on.answer("s3:PutObject", || {
            let request = PutObjectInput::builder()
                .set_bucket(request.bucket.clone())
                .set_key(request.key.clone())
                .set_expected_bucket_owner(request.expected_bucket_owner.clone())
                .set_checksum_algorithm(request.checksum_algorithm.clone());
            kept.lock().unwrap().push(request.build().unwrap());
            Ok(PutObjectOutput::builder().version_id("v1").build())
        })
    });
    let client = mock_client!(aws_sdk_s3, [&put]);
    let bucket = Bucket {
        name: "evidence".to_owned(),
        owner: "111122223333".to_owned(),
    };
    (wire, stored, Evidence::new(client, bucket))
}

const FINDING: &str = "s3/111122223333/16afba5c5c43e07c9e3e5e2e544e95df/";

#[tokio::test(start_paused = true)]
async fn evidence_is_stored_under_the_function_and_named_in_notice_and_record() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let (_, stored, evidence) = bucket();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns)
        .recording(record)
        .keeping(evidence);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    {
        let stored = stored.lock().unwrap();
        let mut keys: Vec<_> = stored.iter().filter_map(PutObjectInput::key).collect();
        keys.sort_unstable();
        assert!(
            keys[0].starts_with(FINDING) && keys[0].ends_with(".html"),
            "{keys:?}"
        );
        assert_eq!(keys[1], keys[0].replace(".html", ".json"));
        for put in stored.iter() {
            assert_eq!(put.expected_bucket_owner(), Some("111122223333"));
            assert!(put.checksum_algorithm().is_some());
        }
        let place = format!("s3://evidence/{} (version v1)", keys[0]);
        assert_eq!(report.stored().unwrap().place(), place);
        let body = &notices.lock().unwrap()[0].1;
        assert!(body.contains(&format!("page {place}\n")), "{body}");
        let items = items.lock().unwrap();
        let mut places = items.values().filter_map(|item| item.get("stored"));
        assert!(places.next().unwrap().as_s().unwrap().contains(keys[0]));
    }
    // It comes again, and nothing new is to be said of it.
    let again = answer(&responder, made_public()).await.unwrap();
    assert_eq!(again.status(), Status::AlreadyContained);
    assert_eq!(stored.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_was_not_stored_is_reported_and_stored_by_the_next_attempt() {
    let (_, notices, sns) = topic();
    let (_, record) = table();
    let (wire, stored, evidence) = bucket();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns)
        .recording(record)
        .keeping(evidence);
    wire.fail("s3:PutObject", 503, "SlowDown");
    let error = answer(&responder, made_public()).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("s3:PutObject"),
        "{error}"
    );
    assert_eq!(responder.playbook.applied(), ["exposed"]);
    assert!(stored.lock().unwrap().is_empty());
    {
        let notices = notices.lock().unwrap();
        let (subject, body) = &notices[0];
        assert!(subject.starts_with("[CONTAINED]"), "{subject}");
        assert!(
            body.contains("gdr incident 16afba5c5c43e07c9e3e5e2e544e95df --html"),
            "{body}"
        );
    }
    wire.heal();
    let again = answer(&responder, made_public()).await.unwrap();
    assert_eq!(again.status(), Status::AlreadyContained);
    assert_eq!(stored.lock().unwrap().len(), 2);
    assert!(again.stored().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_refuses_is_named_and_is_no_reason_to_try_again() {
    let (_, _, sns) = topic();
    let (wire, _, evidence) = bucket();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns).keeping(evidence);
    wire.fail("s3:PutObject", 403, "AccessDenied");
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    let told = report.next_steps().join("\n");
    assert!(told.contains("s3:PutObject on evidence/s3/"), "{told}");
    assert!(told.contains("AccessDenied"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn it_is_kept_although_nothing_can_be_recorded() {
    let (_, _, sns) = topic();
    let (_, stored, evidence) = bucket();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns).keeping(evidence);
    answer(&responder, made_public()).await.unwrap();
    let stored = stored.lock().unwrap();
    assert_eq!(stored.len(), 2);
    assert!(stored[0].key().unwrap().starts_with(FINDING), "{stored:?}");
}

#[tokio::test(start_paused = true)]
async fn drills_and_events_without_a_finding_store_no_evidence() {
    let (_, _, sns) = topic();
    let (wire, _, evidence) = bucket();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns).keeping(evidence);
    let mut drill = made_public();
    drill["source"] = json!(DRILL_SOURCE);
    for event in [drill, json!({}), json!(null)] {
        answer(&responder, event).await.unwrap();
    }
    assert!(wire.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_kept_once() {
    let (_, _, sns) = topic();
    let (_, record) = table();
    let (_, stored, evidence) = bucket();
    let responder = Responder::new(Fake::new([act("exposed")]), dry_run(), sns)
        .recording(record)
        .keeping(evidence);
    for _ in 0..3 {
        answer(&responder, made_public()).await.unwrap();
    }
    assert_eq!(stored.lock().unwrap().len(), 2);
}
