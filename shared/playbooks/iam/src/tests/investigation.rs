//! What is found out about a principal: each answer known or open, and never more than was read.

mod permissions;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::federated::{by_mallory, federated, issued_by};
use super::role::{acted_detail, own_account, payroll};
use super::world::{Account, Entity, KEY, World, mallory, mallory_with, world};
use aws::iam_principal::READS;
use aws::inquiry::Inquiry;
use aws::playbook::Playbook as _;
use fixtures::{answered, finding, investigate, now, user_detail};
use model::finding::Finding;
use model::investigation::{Answer, Investigation, Question};
use remediation::triage::Triage;

/// An account with permissions of every provenance: Mallory's own, her group's, a boundary.
pub(super) fn grouped() -> Account {
    let everything = json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    let mut account = mallory_with(|user| {
        user.groups = vec!["ops"];
        user.boundary = Some("arn:aws:iam::111122223333:policy/limits".to_owned());
        user.attached = ["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()].into();
        user.inline = [
            ("own".to_owned(), everything.to_string()),
            ("gdr-revoke-sessions".to_owned(), "{}".to_owned()),
        ]
        .into();
    });
    let ops = Entity {
        attached: ["arn:aws:iam::111122223333:policy/team/build".to_owned()].into(),
        inline: [("of-ops".to_owned(), "{}".to_owned())].into(),
        ..Entity::default()
    };
    account.groups.insert("ops".to_owned(), ops);
    let change_iam =
        json!({ "Statement": [{ "Effect": "Allow", "Action": "iam:*", "Resource": "*" }] });
    account.policies = [(
        "arn:aws:iam::111122223333:policy/team/build".to_owned(),
        change_iam,
    )]
    .into();
    account
}

/// A call by Mallory's key, at a time, from an address.
fn call(name: &str, at: &str, from: &str) -> Value {
    json!({
        "eventID": format!("{name} {at}"), "eventName": name, "eventTime": at,
        "sourceIPAddress": from,
        "userIdentity": { "accessKeyId": KEY, "userName": "mallory", "principalId": "AIDAEXAMPLEUSERID" },
    })
}

/// Mallory's key called `api` of `service` from 198.51.100.7.
fn called(service: &str, api: &str) -> Finding {
    let mut detail = user_detail("mallory");
    detail["service"] = json!({ "action": { "actionType": "AWS_API_CALL", "awsApiCallAction": {
        "api": api, "serviceName": service,
        "remoteIpDetails": { "ipAddressV4": "198.51.100.7" },
    } } });
    finding(detail)
}

fn listed_buckets() -> Finding {
    called("s3.amazonaws.com", "ListBuckets")
}

async fn asked(account: Account, finding: &Finding) -> (World, Investigation) {
    let world = world(account);
    let found = investigate(&world.iam, finding).await;
    (world, found)
}

/// The answer to one question about a call that the finding tells of, with these events.
async fn with_events(events: Vec<Value>, question: Question) -> Answer {
    let account = Account {
        events,
        ..mallory()
    };
    let (_, found) = asked(account, &listed_buckets()).await;
    answered(&found, question).clone()
}

#[tokio::test(start_paused = true)]
async fn only_a_call_strictly_before_the_first_event_is_a_history() {
    let first = "2026-03-04T04:50:00Z";
    for (at, before) in [
        ("2026-03-04T04:49:59Z", true),
        ("2026-01-04T00:00:00Z", true),
        (first, false),
        ("2026-03-04T04:55:00Z", false),
    ] {
        let event = call("ListBuckets", at, "192.0.2.1");
        let answer = with_events(vec![event], Question::History).await;
        assert!(answer.is_known(), "{answer:?}");
        let text = answer.answer();
        assert_eq!(
            text.starts_with("yes: 1 calls of ListBuckets"),
            before,
            "{text}"
        );
        assert_eq!(
            text.contains(at) && text.contains("192.0.2.1"),
            before,
            "{text}"
        );
        assert_eq!(
            answer.source(),
            "CloudTrail LookupEvents by AccessKeyId, then by Username in us-east-1"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_access_key_is_asked_for_first_and_the_name_only_if_that_tells_nothing() {
    let mut by_another_key = call("ListBuckets", "2026-02-01T00:00:00Z", "192.0.2.1");
    by_another_key["userIdentity"]["accessKeyId"] = json!("AKIAOTHER00000000000");
    let mut of_another = by_another_key.clone();
    of_another["userIdentity"]["principalId"] = json!("AIDASOMEONEELSE");
    let by_key = call("ListBuckets", "2026-02-02T00:00:00Z", "192.0.2.2");
    for (events, yes, names) in [
        (vec![by_key, by_another_key.clone()], true, 0),
        (vec![by_another_key], true, 1),
        (vec![of_another], false, 1),
    ] {
        let account = Account {
            events,
            ..mallory()
        };
        let (world, found) = asked(account, &listed_buckets()).await;
        let answer = answered(&found, Question::History);
        assert_eq!(answer.answer().starts_with("yes"), yes, "{answer:?}");
        let asked = world.asked.lock().unwrap();
        let by_name = asked
            .iter()
            .filter(|asked| *asked == "Username=mallory")
            .count();
        assert_eq!(by_name, names, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_or_denied_look_up_is_unknown_and_never_no_history() {
    for (code, told) in [
        ("ThrottlingException", "ThrottlingException"),
        (
            "AccessDeniedException",
            "role allows cloudtrail:LookupEvents",
        ),
    ] {
        let world = world(mallory());
        world.wire.fail("cloudtrail:LookupEvents", 400, code);
        let found = investigate(&world.iam, &listed_buckets()).await;
        for question in [Question::History, Question::WhereBefore] {
            let answer = answered(&found, question);
            assert!(!answer.is_known(), "{answer:?}");
            assert!(answer.answer().contains(told), "{answer:?}");
            assert!(
                answer.answer().contains("look in your own trail"),
                "{answer:?}"
            );
            assert!(!answer.answer().contains("retry may succeed"), "{answer:?}");
        }
    }
    // One of the two look-ups is not enough to say no.
    let world = world(mallory());
    world
        .wire
        .fail_once("cloudtrail:LookupEvents", 400, "ThrottlingException");
    let found = investigate(&world.iam, &listed_buckets()).await;
    assert!(!answered(&found, Question::History).is_known());
}

#[tokio::test(start_paused = true)]
async fn pages_that_were_not_read_are_unknown_and_at_most_three_are_asked_for_at_a_time() {
    let account = Account {
        events: vec![call("GetUser", "2026-03-01T00:00:00Z", "192.0.2.1")],
        endless: true,
        ..mallory()
    };
    let started = Instant::now();
    let (world, found) = asked(account, &listed_buckets()).await;
    for question in [Question::History, Question::WhereBefore] {
        let answer = answered(&found, question);
        assert!(!answer.is_known(), "{answer:?}");
        assert!(answer.answer().contains("newest 1 events"), "{answer:?}");
    }
    let asked = world.asked.lock().unwrap();
    // By key and by name for the history, and by key for what was done since.
    assert_eq!(asked.len(), 9, "{asked:?}");
    // Two requests a second at most.
    let paced = Duration::from_millis(500) * (asked.len() as u32 - 1);
    assert!(started.elapsed() >= paced, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_data_event_is_unknown_whatever_the_event_history_has() {
    let account = Account {
        events: vec![call("ListBuckets", "2026-03-01T00:00:00Z", "198.51.100.7")],
        ..mallory()
    };
    let (_, found) = asked(account, &called("s3.amazonaws.com", "GetObject")).await;
    let answer = answered(&found, Question::History);
    assert!(
        !answer.is_known() && answer.answer().contains("data event"),
        "{answer:?}"
    );
    let there = answered(&found, Question::WhereBefore);
    assert!(
        there.is_known() && there.answer().starts_with("yes: 1 of"),
        "{there:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_principals_earlier_addresses_tell_whether_it_was_there_before() {
    let there = call("GetUser", "2026-03-01T00:00:00Z", "198.51.100.7");
    let elsewhere = call("GetUser", "2026-03-01T00:00:00Z", "192.0.2.1");
    for (event, yes) in [(there, "yes: 1 of"), (elsewhere, "no: none of")] {
        let answer = with_events(vec![event], Question::WhereBefore).await;
        assert!(
            answer.is_known() && answer.answer().starts_with(yes),
            "{answer:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_does_not_say_when_it_began_has_no_before() {
    let mut detail = user_detail("mallory");
    detail["service"] =
        json!({ "eventFirstSeen": null, "action": { "awsApiCallAction": { "api": "x" } } });
    let (world, found) = asked(mallory(), &finding(detail)).await;
    assert!(!answered(&found, Question::History).is_known());
    let asked = world.asked.lock().unwrap();
    assert!(!asked.contains(&"Username=mallory".to_owned()), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn the_opener_of_a_session_is_named_or_unknown() {
    let caller = json!({ "arn": "arn:aws:iam::111122223333:user/ci\u{202e}" });
    let opening = json!({
        "eventName": "AssumeRole", "eventTime": "2026-03-04T04:00:00Z", "userIdentity": caller,
        "sourceIPAddress": "192.0.2.9",
        "responseElements": { "credentials": { "accessKeyId": "ASIASESSION000000000" } },
    });
    for (events, known) in [(vec![opening], true), (vec![], false)] {
        let account = Account {
            events,
            ..payroll(own_account())
        };
        let (_, found) = asked(account, &super::session_finding()).await;
        let answer = answered(&found, Question::Issuer);
        assert_eq!(answer.is_known(), known, "{answer:?}");
        let text = answer.answer();
        let told = ["user/ci", "AssumeRole", "192.0.2.9"].map(|part| text.contains(part));
        assert_eq!(told, [known; 3], "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_federated_session_is_asked_about_by_its_issuer() {
    let (_, found) = asked(issued_by(by_mallory()), &federated()).await;
    assert!(
        answered(&found, Question::Issuer)
            .answer()
            .contains("user mallory issued")
    );
    assert!(
        answered(&found, Question::Permissions)
            .answer()
            .starts_with("user mallory")
    );
    let (_, found) = asked(mallory(), &federated()).await;
    assert!(!answered(&found, Question::Issuer).is_known());
}

#[tokio::test(start_paused = true)]
async fn the_root_user_may_do_everything_without_a_question_to_iam() {
    let root = finding(
        json!({ "type": "Policy:IAMUser/RootCredentialUsage", "resource": {
        "accessKeyDetails": { "userType": "Root", "userName": "Root", "accessKeyId": "ASIAROOT000000000000" } } }),
    );
    let (world, found) = asked(mallory(), &root).await;
    assert!(answered(&found, Question::Permissions).is_known());
    assert!(
        world
            .wire
            .calls()
            .iter()
            .all(|call| *call == "cloudtrail:LookupEvents")
    );
}

#[tokio::test(start_paused = true)]
async fn triage_asks_about_the_principal_of_a_custom_detection_rule_too() {
    let world = world(grouped());
    let triage = Triage::asking(world.principals());
    let mut detail = user_detail("mallory");
    detail["type"] = json!("Persistence:IAM/AccountManipulation");
    let found = investigate(&triage, &finding(detail)).await;
    assert!(answered(&found, Question::Permissions).is_known());
    assert!(answered(&found, Question::LastUsed).is_known());
    let cluster = json!({ "type": "Discovery:Kubernetes/TorIPCaller", "resource": { "resourceType": "EKSCluster" } });
    world.wire.clear();
    investigate(&triage, &finding(cluster)).await;
    assert!(world.wire.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_of_another_account_is_asked_about() {
    let mut detail = acted_detail("AROAOTHER:x", "2026-03-04T05:00:00Z");
    detail["resource"]["accessKeyDetails"]["userType"] = json!("AWSAccount");
    let (world, found) = asked(mallory(), &finding(detail)).await;
    assert!(
        found.answers.is_empty() && found.leads.is_empty(),
        "{found:?}"
    );
    assert!(world.wire.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn investigating_only_reads_and_only_with_the_permissions_it_declares() {
    for (account, finding) in [
        (grouped(), listed_buckets()),
        (payroll(own_account()), super::session_finding()),
        (issued_by(by_mallory()), federated()),
    ] {
        let (world, _) = asked(account, &finding).await;
        assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
        let called: BTreeSet<_> = world.wire.calls().into_iter().collect();
        let declared: BTreeSet<_> = READS.iter().copied().collect();
        assert!(called.is_subset(&declared), "{called:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_time_open_questions_are_unknown_and_no_call_is_made() {
    for (patience, any_calls) in [(0, false), (1, true)] {
        let world = world(Account {
            endless: true,
            services: super::world::Services {
                working: usize::MAX,
                ..Default::default()
            },
            ..grouped()
        });
        let started = Instant::now();
        let finding = listed_buckets();
        let until = started + Duration::from_secs(patience);
        let inquiry = Inquiry::new(&finding, now(), until);
        let found = world.iam.investigate(&inquiry, None).await;
        assert_eq!(started.elapsed(), Duration::from_secs(patience));
        assert_eq!(!world.wire.calls().is_empty(), any_calls);
        for question in [Question::History, Question::LastUsed] {
            let answer = answered(&found, question);
            assert!(!answer.is_known(), "{answer:?}");
            let late = ["no answer came in the time allowed", "no time left"];
            assert!(
                late.iter().any(|late| answer.answer().contains(late)),
                "{answer:?}"
            );
        }
        let permissions = answered(&found, Question::Permissions);
        assert_eq!(
            permissions.is_known(),
            any_calls,
            "what is known is kept: {permissions:?}"
        );
        let leads = found.leads.join("\n");
        assert!(leads.contains("they could not be read"), "{leads}");
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_names_from_iam_and_cloudtrail_stay_printable() {
    let hostile = "x\u{202e}\n\nWHAT WAS DONE\u{7}";
    let mut account = mallory_with(|user| {
        user.attached = [format!("arn:aws:iam::aws:policy/{hostile}")].into();
    });
    account.events = vec![call("ListBuckets", "2026-03-01T00:00:00Z", hostile)];
    let (_, found) = asked(account, &listed_buckets()).await;
    let text = format!("{:?}", found.answers);
    assert!(
        answered(&found, Question::Permissions)
            .answer()
            .contains("WHAT WAS DONE"),
        "{text}"
    );
    for answer in &found.answers {
        let all = format!("{}{}", answer.answer(), answer.source());
        assert!(
            !all.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{all:?}"
        );
    }
}
