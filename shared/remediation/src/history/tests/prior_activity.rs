//! What the principal did before the activity, which CloudTrail is asked only where a policy decides by it.

use std::time::Duration;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::Event;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use testkit::{client_over, mock, mock_client};
use tokio::time::Instant;

use super::*;
use crate::fixtures::fake::act;
use crate::fixtures::{ENFORCING, Protocol, Wire};
use crate::plan::Step;

/// Where the call of the finding came from, and another address.
const THERE: &str = "198.51.100.7";
const HOME: &str = "192.0.2.1";

/// A call of an API at a time from an address, and whether it succeeded.
type Call = (&'static str, &'static str, &'static str, bool);

/// A day and a second before the first event, and a second less than a day.
const LONG_BEFORE: &str = "2026-03-03T04:49:59Z";
const SHORTLY_BEFORE: &str = "2026-03-03T04:50:01Z";

const MADE: Call = ("ListBuckets", LONG_BEFORE, THERE, true);
const REFUSED: Call = ("ListBuckets", LONG_BEFORE, THERE, false);
const RECENT: Call = ("ListBuckets", SHORTLY_BEFORE, THERE, true);
const FROM_HOME: Call = ("ListBuckets", LONG_BEFORE, HOME, true);
const OTHER: Call = ("ListUsers", LONG_BEFORE, THERE, true);
const AT_HOME: Call = ("ListUsers", LONG_BEFORE, HOME, true);

/// A history in which Mallory's key made these calls.
fn history(calls: &'static [Call], more: bool) -> (Wire, EventHistory) {
    let wire = Wire::new(Protocol::Json);
    let on = wire.clone();
    let rule = mock!(Client::lookup_events).then_compute_response(move |request| {
        let end = request.end_time().copied().expect("an end");
        assert!(end <= DateTime::from_secs(at(LONG_BEFORE).as_second()));
        on.answer("cloudtrail:LookupEvents", || {
            let events = calls.iter().map(|(name, at, from, succeeded)| {
                let mut call = json!({
                    "eventID": format!("{name} {at} {from}"), "eventName": name, "eventTime": at,
                    "eventSource": "s3.amazonaws.com", "sourceIPAddress": from,
                    "userIdentity": { "principalId": "AIDAEXAMPLEUSERID" },
                });
                if !succeeded {
                    call["errorCode"] = json!("AccessDenied");
                }
                Event::builder().cloud_trail_event(call.to_string()).build()
            });
            Ok(LookupEventsOutput::builder()
                .set_events(Some(events.collect()))
                .set_next_token(more.then(|| "more".to_owned()))
                .build())
        })
    });
    let client = mock_client!(aws_sdk_cloudtrail, [&rule]);
    (wire, EventHistory::with_clients(client, None))
}

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

/// Mallory's key called this API of S3 from [`THERE`], first at 04:50 on the 4th.
fn called(api: &str) -> Finding {
    let mut detail = crate::fixtures::user_detail("mallory");
    detail["service"] = json!({ "action": { "awsApiCallAction": {
        "api": api, "serviceName": "s3.amazonaws.com",
        "remoteIpDetails": { "ipAddressV4": THERE },
    } } });
    finding(detail)
}

/// Whether the step is withheld, and what a person is told of what is not known.
async fn planned(
    policies: &str,
    finding: &Finding,
    history: Option<&EventHistory>,
) -> (bool, Vec<String>) {
    let guard = LoadedPolicies::new(policies);
    assert_eq!(guard.problem(), None);
    let gate = Gate::new::<Fake>(&guard, finding, &ENFORCING, false, now());
    assert_eq!(gate.forbids_outright(), None, "{policies}");
    let state = vec![(act("exposed"), false)];
    let until = Instant::now() + Duration::from_secs(60);
    let settings = Settings::default();
    let plan = plan_by_history::<Fake>(&gate, &state, &settings, history, until).await;
    let withheld = matches!(plan.steps[0], Step::Withheld(..));
    // Reading back plans in the same way.
    let again = gate.plan::<Fake>(&state, &settings);
    assert_eq!(matches!(again.steps[0], Step::Withheld(..)), withheld);
    let mut told = plan.next_steps.clone();
    told.retain(|told| told.contains("made such calls before"));
    (withheld, told)
}

/// A service that takes a request and never answers.
#[derive(Debug)]
struct Silent;

impl HttpConnector for Silent {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(std::future::pending())
    }
}

/// A policy that forbids where a member of the history has a value.
fn forbids(member: &str, value: bool) -> String {
    let history = "context.history";
    format!(
        "{ALL} forbid (principal, action, resource)
        when {{ {history} has {member} && {history}.{member} == {value} }};"
    )
}

#[tokio::test(start_paused = true)]
async fn the_principals_calls_of_at_least_a_day_before_are_known() {
    let cases: [(&'static [Call], [bool; 3]); 5] = [
        (&[MADE], [true, true, true]),
        (&[FROM_HOME], [true, false, false]),
        (&[FROM_HOME, OTHER], [true, true, false]),
        (&[OTHER], [false, true, false]),
        // What was refused, or may be the intruder's, tells nothing of the principal.
        (&[REFUSED, RECENT, AT_HOME], [false, false, false]),
    ];
    let finding = called("ListBuckets");
    for (calls, expected) in cases {
        for (member, expected) in ["called", "seenThere", "calledFromThere"]
            .into_iter()
            .zip(expected)
        {
            for value in [true, false] {
                let (_, history) = history(calls, false);
                let policies = forbids(member, value);
                let (withheld, told) = planned(&policies, &finding, Some(&history)).await;
                assert_eq!(withheld, value == expected, "{calls:?} {member} {value}");
                assert_eq!(told, Vec::<String>::new());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_answer_of_cloudtrail_is_absent_and_a_next_step() {
    let (wire, throttled) = history(&[MADE], false);
    wire.fail("cloudtrail:LookupEvents", 400, "ThrottlingException");
    let (_, empty) = history(&[], false);
    let (_, long) = history(&[AT_HOME], true);
    let (_, objects) = history(&[AT_HOME], false);
    let (buckets, object) = (called("ListBuckets"), called("GetObject"));
    for (finding, history, why) in [
        (&buckets, Some(&throttled), "ThrottlingException"),
        (&buckets, Some(&empty), "CloudTrail has no event of it"),
        (&buckets, Some(&long), "older events than were read"),
        (&object, Some(&objects), "GetObject is a data event"),
        (&buckets, None, "CloudTrail is not asked here"),
    ] {
        for value in [true, false] {
            let (withheld, told) = planned(&forbids("called", value), finding, history).await;
            assert!(!withheld, "{why}");
            assert!(
                told.iter().any(|told| told.contains(why)),
                "{why}: {told:?}"
            );
        }
    }
}

/// [`called`], of which GuardDuty's anomaly model has never seen these of the principal.
fn unseen(api: &str, members: &[(&str, &str)]) -> Finding {
    let mut detail = crate::fixtures::user_detail("mallory");
    let unusual: serde_json::Map<_, _> = members
        .iter()
        .map(|(member, values)| ((*member).to_owned(), json!(values)))
        .collect();
    detail["service"] = json!({
        "action": { "awsApiCallAction": { "api": api, "serviceName": "s3.amazonaws.com",
            "remoteIpDetails": { "ipAddressV4": THERE, "organization": { "asn": "64496" } } } },
        "additionalInfo": { "value": json!({ "unusualBehavior": unusual }).to_string() },
    });
    finding(detail)
}

#[tokio::test(start_paused = true)]
async fn the_anomaly_model_answers_for_data_events_too() {
    let api = ("unusualAPIsUserIdentityProfiling", "GetObject");
    let network = (
        "unusualASNsUserIdentityProfiling",
        "asnNumber: 64496 asnOrg: Example Org",
    );
    let of_account = ("unusualAPIsAccountProfiling", "GetObject");
    for (said, member, known) in [
        (&[api][..], "called", true),
        (&[api], "calledFromThere", true),
        (&[network], "seenThere", true),
        (&[network], "calledFromThere", true),
        (&[network], "called", false),
        (&[of_account], "called", false),
    ] {
        let finding = unseen("GetObject", said);
        // Neither where CloudTrail has nothing of the principal, nor where it is not asked.
        let (_, history) = history(&[], false);
        for history in [Some(&history), None] {
            let (withheld, _) = planned(&forbids(member, false), &finding, history).await;
            assert_eq!(withheld, known, "{said:?} {member}");
            let (withheld, _) = planned(&forbids(member, true), &finding, history).await;
            assert!(!withheld, "{said:?} {member}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cloudtrails_answer_counts_more_than_the_models() {
    let finding = unseen(
        "ListBuckets",
        &[("unusualAPIsUserIdentityProfiling", "ListBuckets")],
    );
    for member in ["called", "calledFromThere"] {
        let (_, history) = history(&[MADE], false);
        let (withheld, _) = planned(&forbids(member, true), &finding, Some(&history)).await;
        assert!(withheld, "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn cloudtrail_is_waited_for_three_seconds() {
    let silent = http_client_fn(|_, _| SharedHttpConnector::new(Silent));
    let slow = EventHistory::with_clients(client_over!(aws_sdk_cloudtrail, silent), None);
    let start = Instant::now();
    let (withheld, told) = planned(
        &forbids("called", true),
        &called("ListBuckets"),
        Some(&slow),
    )
    .await;
    assert!(!withheld && told.len() == 1, "{told:?}");
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn cloudtrail_is_not_asked_where_the_history_decides_nothing() {
    let forbidden_anyway = format!(
        "{} forbid (principal, action, resource) when {{ resource.name == \"exposed\" }};",
        forbids("called", true)
    );
    let of_others = format!(
        "{ALL} forbid (principal, action, resource)
        when {{ context.history has called && context.finding.severity.greaterThan(decimal(\"9.0\")) }};"
    );
    for (policies, asks) in [
        (DEFAULT, false),
        (&forbidden_anyway, false),
        (&of_others, false),
        (&forbids("called", true), true),
    ] {
        let (wire, history) = history(&[MADE], false);
        planned(policies, &called("ListBuckets"), Some(&history)).await;
        assert_eq!(!wire.calls().is_empty(), asks, "{policies}");
    }
}

/// Else the finding would be let go without asking.
#[tokio::test(start_paused = true)]
async fn a_policy_that_depends_on_the_history_has_cloudtrail_asked() {
    let policies = format!(
        "{ALL} forbid (principal, action, resource)
        unless {{ context.history has called && !context.history.called }};"
    );
    for (calls, withheld) in [(&[AT_HOME], false), (&[MADE], true)] {
        let (_, history) = history(calls, false);
        let (found, _) = planned(&policies, &called("ListBuckets"), Some(&history)).await;
        assert_eq!(found, withheld);
    }
}
