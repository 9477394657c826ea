use std::sync::{Arc, Mutex};

use aws_sdk_guardduty::config::http::HttpResponse;
use aws_sdk_guardduty::error::ErrorMetadata;
use aws_sdk_guardduty::operation::list_detectors::ListDetectorsOutput;
use aws_sdk_guardduty::operation::list_findings::{ListFindingsError, ListFindingsOutput};
use aws_sdk_s3::primitives::SdkBody;
use serde_json::{Value, json};
use testkit::{MockResponse, Rule, mock, mock_client};

use super::*;

/// Whatever the rules answer.
fn client(rules: &[&Rule]) -> Client {
    mock_client!(aws_sdk_guardduty, rules.iter().copied())
}

fn detectors(ids: &'static [&str]) -> Rule {
    mock!(Client::list_detectors).then_output(move || {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        ListDetectorsOutput::builder()
            .set_detector_ids(Some(ids))
            .build()
    })
}

/// So many findings, listed by 50 on a page, each got as `{"id": …}`.
fn findings(count: usize) -> (Rule, Rule, Arc<Mutex<Vec<Period>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let list = mock!(Client::list_findings).then_compute_output(move |request| {
        assert_eq!(request.detector_id(), Some("d1"));
        let criteria = request.finding_criteria().and_then(|it| it.criterion());
        let of = |name: &str| criteria.and_then(|criteria| criteria.get(name));
        let time =
            |millis: Option<i64>| millis.map(|it| jiff::Timestamp::from_millisecond(it).unwrap());
        log.lock().unwrap().push(Period {
            since: time(of("updatedAt").and_then(|it| it.greater_than_or_equal)),
            until: time(of("createdAt").and_then(|it| it.less_than)),
        });
        let start: usize = request
            .next_token()
            .map_or(0, |token| token.parse().unwrap());
        let end = count.min(start + request.max_results().unwrap() as usize);
        let ids = (start..end).map(|id| id.to_string()).collect();
        ListFindingsOutput::builder()
            .set_finding_ids(Some(ids))
            .next_token(if end < count {
                end.to_string()
            } else {
                String::new()
            })
            .build()
    });
    let get = mock!(Client::get_findings).then_compute_response(|request| {
        assert!(request.finding_ids().len() <= 50);
        let found: Vec<_> = request
            .finding_ids()
            .iter()
            .map(|id| json!({ "id": id }))
            .collect();
        let body = SdkBody::from(json!({ "findings": found }).to_string());
        MockResponse::Http(HttpResponse::new(200.try_into().unwrap(), body))
    });
    (list, get, asked)
}

fn ids(documents: &[Fetched]) -> Vec<usize> {
    let mut ids = Vec::new();
    for document in documents {
        let text = document.text.as_ref().unwrap();
        let answer: Value = serde_json::from_slice(text).unwrap();
        let found = answer["findings"].as_array().unwrap().iter();
        ids.extend(found.map(|it| it["id"].as_str().unwrap().parse::<usize>().unwrap()));
    }
    ids
}

#[tokio::test]
async fn all_pages_are_got_in_the_order_of_the_list_as_guardduty_writes_them() {
    let (list, get, _) = findings(120);
    let client = client(&[&detectors(&["d1"]), &list, &get]);
    let documents = documents(client, Detector::of("auto"), Period::default());
    let documents: Vec<_> = documents.collect().await;
    assert_eq!(documents.len(), 3);
    assert_eq!(ids(&documents), (0..120).collect::<Vec<_>>());
    assert!(documents.iter().all(|document| document.last_known_only));
}

#[tokio::test]
async fn a_period_selects_findings_with_an_event_in_it() {
    let (list, get, asked) = findings(1);
    let client = client(&[&list, &get]);
    let period = Period {
        since: Some("2026-03-01T00:00:00Z".parse().unwrap()),
        until: Some("2026-04-01T00:00:00Z".parse().unwrap()),
    };
    let documents = documents(client, Detector::of("d1"), period);
    assert_eq!(documents.collect::<Vec<_>>().await.len(), 1);
    let asked = asked.lock().unwrap();
    assert_eq!(
        (asked[0].since, asked[0].until),
        (period.since, period.until)
    );
}

#[tokio::test]
async fn a_region_without_a_detector_is_an_error_with_the_next_action() {
    let client = client(&[&detectors(&[])]);
    let documents = documents(client, Detector::of("auto"), Period::default());
    let documents: Vec<_> = documents.collect().await;
    let problem = documents[0].text.as_ref().unwrap_err();
    assert!(problem.contains("GuardDuty is not on in"), "{problem}");
    assert_eq!(documents.len(), 1);
}

#[tokio::test]
async fn a_denied_list_is_an_error_with_its_permission() {
    let denied = mock!(Client::list_findings).then_error(|| {
        ListFindingsError::generic(ErrorMetadata::builder().code("AccessDenied").build())
    });
    let client = client(&[&denied]);
    let documents = documents(client, Detector::of("d1"), Period::default());
    let documents: Vec<_> = documents.collect().await;
    let problem = documents[0].text.as_ref().unwrap_err();
    assert!(
        problem.contains("guardduty:ListFindings on d1"),
        "{problem}"
    );
}
