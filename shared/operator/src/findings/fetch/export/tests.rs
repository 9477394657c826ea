use std::sync::{Arc, Mutex};

use aws_sdk_s3::error::ErrorMetadata;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::Object;
use testkit::{mock, mock_client};

use super::*;

const PREFIX: &str = "AWSLogs/111122223333/GuardDuty/us-east-1";

/// A bucket of these keys, listed by two on a page; each object has its key as its text. One whose key has
/// `secret` in it is denied.
fn bucket(keys: &[String]) -> (Client, Arc<Mutex<Vec<String>>>) {
    let (pages, asked) = (keys.to_vec(), Arc::new(Mutex::new(Vec::new())));
    let list = mock!(Client::list_objects_v2).then_compute_output(move |request| {
        let start: usize = request
            .continuation_token()
            .map_or(0, |it| it.parse().unwrap());
        let page = pages.iter().skip(start).take(2);
        let contents = page.map(|key| Object::builder().key(key).size(10).build());
        let next = start + 2;
        ListObjectsV2Output::builder()
            .set_contents(Some(contents.collect()))
            .set_next_continuation_token((next < pages.len()).then(|| next.to_string()))
            .build()
    });
    let log = Arc::clone(&asked);
    let get = mock!(Client::get_object)
        .match_requests(move |request| {
            let key = request.key().unwrap().to_owned();
            let secret = key.contains("secret");
            if !secret {
                log.lock().unwrap().push(key);
            }
            !secret
        })
        .then_compute_output(|request| {
            let text = request.key().unwrap().as_bytes().to_vec();
            GetObjectOutput::builder()
                .body(ByteStream::from(text))
                .build()
        });
    let denied = mock!(Client::get_object).then_error(|| {
        GetObjectError::generic(ErrorMetadata::builder().code("AccessDenied").build())
    });
    let client = mock_client!(aws_sdk_s3, [&list, &get, &denied]);
    (client, asked)
}

fn export() -> Export {
    Export::of("s3://exported/AWSLogs").unwrap()
}

fn key(day: &str, name: &str) -> String {
    format!("{PREFIX}/{day}/{name}.jsonl.gz")
}

fn period(since: Option<&str>, until: Option<&str>) -> Period {
    let time = |text: &str| text.parse().unwrap();
    Period {
        since: since.map(time),
        until: until.map(time),
    }
}

#[tokio::test]
async fn all_pages_are_read_in_the_order_of_the_keys() {
    let keys: Vec<_> = (0..5).map(|n| key("2026/03/04", &n.to_string())).collect();
    let (client, _) = bucket(&keys);
    let documents = documents(client, export(), Period::default());
    let documents: Vec<_> = documents.collect().await;
    let texts: Vec<_> = documents
        .iter()
        .map(|document| String::from_utf8(document.text.clone().unwrap()).unwrap())
        .collect();
    assert_eq!(texts, keys);
    assert_eq!(documents[0].name, format!("s3://exported/{}", keys[0]));
    assert!(documents.iter().all(|document| !document.last_known_only));
}

#[tokio::test]
async fn only_objects_of_the_period_with_findings_are_fetched() {
    let keys = [
        key("2026/02/28", "before"),
        key("2026/03/01", "first"),
        key("2026/03/03", "a-day-later"),
        key("2026/03/04", "after"),
        "AWSLogs/111122223333/GuardDuty/".to_owned(),
        "AWSLogs/notes.txt".to_owned(),
        "AWSLogs/of-no-day.json".to_owned(),
    ];
    let (client, asked) = bucket(&keys);
    let period = period(Some("2026-03-01T12:00:00Z"), Some("2026-03-02T12:00:00Z"));
    let documents: Vec<_> = documents(client, export(), period).collect().await;
    let wanted = [keys[1].clone(), keys[2].clone(), keys[6].clone()];
    let mut asked = asked.lock().unwrap().clone();
    asked.sort_unstable();
    assert_eq!(asked, wanted);
    assert_eq!(documents.len(), 3);
}

#[tokio::test]
async fn a_denied_object_is_an_error_with_its_permission_and_the_rest_is_read() {
    let keys = [key("2026/03/04", "secret"), key("2026/03/05", "open")];
    let (client, _) = bucket(&keys);
    let documents: Vec<_> = documents(client, export(), Period::default())
        .collect()
        .await;
    let problem = documents[0].text.as_ref().unwrap_err();
    assert!(problem.contains("s3:GetObject"), "{problem}");
    assert!(problem.contains("kms:Decrypt"), "{problem}");
    assert!(documents[1].text.is_ok());
}

#[test]
fn an_address_has_a_bucket_and_perhaps_a_prefix() {
    let parts = |text: &str| Export::of(text).map(|export| (export.bucket, export.prefix));
    let of = |bucket: &str, prefix: &str| Some((bucket.to_owned(), prefix.to_owned()));
    assert_eq!(
        parts("s3://exported/AWSLogs/1"),
        of("exported", "AWSLogs/1")
    );
    assert_eq!(parts("s3://exported"), of("exported", ""));
    assert_eq!(parts("s3:///x"), None);
    assert_eq!(parts("exported/x"), None);
}
