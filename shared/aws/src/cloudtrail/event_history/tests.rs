use std::sync::Arc;

use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use testkit::{mock, mock_client};

use super::*;

/// What was asked, and when.
type Asked = Arc<Mutex<Vec<(String, Instant)>>>;

fn trail() -> (Asked, EventHistory) {
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    let lookup = mock!(Client::lookup_events).then_compute_output(move |request| {
        let value = request.lookup_attributes()[0].attribute_value().to_owned();
        kept.lock().unwrap().push((value, Instant::now()));
        LookupEventsOutput::builder().build()
    });
    let client = mock_client!(aws_sdk_cloudtrail, [&lookup]);
    (asked, EventHistory::with_clients(client, None))
}

async fn ask(trail: &EventHistory, value: &str) {
    let lookup = Lookup::one_page(History::Regional, "EventName", value);
    trail.events(lookup).await.expect("an answer");
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_a_region_keep_one_pace_of_two_requests_a_second() {
    let (asked, trail) = trail();
    let (guard, there) = (trail.clone(), trail.in_region("eu-west-1"));
    let back = there.in_region(trail.region(History::Regional));
    let start = Instant::now();
    futures::join!(
        ask(&trail, "a"),
        ask(&guard, "b"),
        ask(&back, "c"),
        ask(&there, "d"),
    );
    let asked = asked.lock().unwrap();
    let at = |value: &str| {
        let (_, at) = asked
            .iter()
            .find(|(asked, _)| asked == value)
            .expect("asked");
        at.duration_since(start)
    };
    let mut here = [at("a"), at("b"), at("c")];
    here.sort_unstable();
    let apart = here.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(
        apart
            .clone()
            .all(|apart| apart >= Duration::from_millis(500)),
        "{here:?}"
    );
    assert_eq!(at("d"), Duration::ZERO, "another Region has its own quota");
}

#[tokio::test(start_paused = true)]
async fn the_same_lookup_is_sent_once_a_minute_for_all_callers() {
    let (asked, trail) = trail();
    let (guard, there) = (trail.clone(), trail.in_region("eu-west-1"));
    futures::join!(ask(&trail, "a"), ask(&guard, "a"));
    ask(&guard, "a").await;
    assert_eq!(asked.lock().unwrap().len(), 1);
    // Another Region has other events.
    ask(&there, "a").await;
    assert_eq!(asked.lock().unwrap().len(), 2);
    tokio::time::advance(FRESH).await;
    ask(&trail, "a").await;
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[test]
fn the_events_of_iam_are_in_one_region_of_each_partition() {
    for (region, global) in [
        ("eu-central-1", "us-east-1"),
        ("us-east-1", "us-east-1"),
        ("cn-northwest-1", "cn-north-1"),
        ("us-gov-east-1", "us-gov-west-1"),
        ("us-iso-west-1", "us-iso-east-1"),
        ("us-isob-east-1", "us-isob-east-1"),
        ("eu-isoe-west-1", "eu-isoe-west-1"),
        ("us-isof-east-1", "us-isof-south-1"),
        ("eusc-de-east-1", "eusc-de-east-1"),
    ] {
        assert_eq!(global_region(region), global);
    }
}
