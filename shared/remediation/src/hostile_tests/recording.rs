//! What must hold of every item that is written into the table.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::mock_client;

use crate::config::Config;
use crate::fixtures::fake::{Fake, act};
use crate::fixtures::hostile::recording::incidents;
use crate::fixtures::hostile::rendering::assert_fit_to_send;
use crate::fixtures::hostile::{block_on, event, hold, mutation};
use crate::fixtures::table::table;
use crate::fixtures::{self, now};
use crate::record::{Intent, Lease, Times};
use crate::respond::{Invocation, Responder};
use model::category::Category;
use model::decision::{self, ResponseMode, ResponseSettings};
use model::finding::Finding;
use model::report::{Report, Status};
use model::settings::Settings;

fn config() -> Config {
    Config {
        settings: Settings::default(),
        incident_table: None,
        evidence: None,
        recheck_queue_url: None,
        hand_over: None,
        limits: model::breaker::Limits::default(),
        policy_parameter: None,
        metrics_namespace: None,
        hub: None,
        verify_findings: false,
        approval_lasts: Config::APPROVAL_LASTS,
        policy: ResponseSettings {
            dry_run: false,
            mode: ResponseMode::Contain,
            minimum_severity: Some(0.0),
            approval_not_needed_from: None,
            own_account: None,
            quarantine_objects: true,
            responder_roles: Vec::new(),
            never_contain: Vec::new(),
        },
        topic_arn: None,
        notices: crate::notify::Settings::default(),
        problems: Vec::new(),
    }
}

#[test]
fn whatever_a_finding_says_what_comes_of_it_is_recorded() {
    let sns = mock_client!(aws_sdk_sns, [] as [&testkit::Rule; 0]);
    let seen = Mutex::new(BTreeSet::new());
    hold(1, event(), |event| {
        let (items, record) = table();
        let playbook = Fake::new([act("exposed")]);
        let responder = Responder::new(playbook, config(), sns.clone()).recording(record);
        let invocation = Invocation {
            id: "request".to_owned(),
            now: now(),
            time_left: Duration::from_secs(60),
            look: None,
            trace: None,
        };
        let report = block_on(responder.respond(event.clone(), &invocation)).expect("an answer");
        assert_fit_to_send(&report);
        assert!(
            !report.next_steps().join("").contains("was not recorded"),
            "{}",
            report.to_line()
        );
        seen.lock().unwrap().insert(report.status().as_str());
        for incident in incidents(&items) {
            for json in ["event", "report", "collected"] {
                let text = &incident[json];
                assert!(
                    serde_json::from_str::<Value>(text).is_ok(),
                    "{json}: {text}"
                );
            }
            assert_eq!(incident["status"], report.status().as_str());
        }
    });
    let seen = seen.into_inner().unwrap();
    for status in ["contained", "failed", "ignored"] {
        assert!(seen.contains(status), "no case was {status}: {seen:?}");
    }
}

#[test]
fn targets_of_every_function_can_be_claimed() {
    hold(2, event(), |event| {
        let Ok(finding) = Finding::parse(&event) else {
            return;
        };
        let (_, record) = table();
        for category in Category::ALL {
            for target in decision::targets(category, &finding).unwrap_or_default() {
                let lease = Lease {
                    owner: "request",
                    now: now(),
                    lasts: Duration::from_secs(60),
                    until: tokio::time::Instant::now() + Duration::from_secs(60),
                };
                block_on(record.claim(category, &finding, &target, &lease)).expect("a claim");
            }
        }
    });
}

/// As many values as one incident has at the very most, each with what it takes.
fn intent(actions: usize, found: &str) -> Intent {
    let found = json!({ "from": found });
    Intent {
        received_at: now(),
        evidence: Value::Array(vec![json!("\u{1f4a3}".repeat(100)); 500]),
        settings: Settings::default(),
        actions: (0..actions)
            .map(|index| (format!("ec2:Act eni-{index}"), found.clone()))
            .collect(),
        completes: false,
        approved: None,
        invocation: "request".to_owned(),
    }
}

#[test]
fn every_value_that_was_found_is_written_down_in_full_beside_an_event_of_256_kilobytes() {
    let event = fixtures::event(json!({
        "description": "\u{1f4a3}".repeat(64 * 1024),
        "resource": { "instanceDetails": { "instanceId": "i-0abc1234def567890" } },
    }));
    let finding = Finding::parse(&event).expect("a finding");
    let large = "x".repeat(20 * 1024);
    for (actions, found) in [
        (1, large.as_str()),
        (5, &large),
        (120, "x"),
        (600, "sg-0123456789abcdef0"),
    ] {
        let (items, record) = table();
        let intent = intent(actions, found);
        let told = vec!["\u{1f4a3}".repeat(500); 500];
        let mut report =
            Report::concluded(Category::Ec2, &finding, "why".to_owned(), false, Vec::new());
        report.residual_risks = told;
        block_on(async {
            let write = || record.intend(Category::Ec2, &finding, &event, &intent, now());
            write().await.expect("written");
            let (collected, times) = (&intent.evidence, Times::default());
            let concluded = record.conclude(&finding, &event, &report, collected, times, now());
            concluded.await.expect("written");
            // A retry finds what the attempt before left.
            let other = Intent {
                actions: intent
                    .actions
                    .iter()
                    .map(|(key, _)| (key.clone(), json!("other")))
                    .collect(),
                ..self::intent(0, "")
            };
            let again = record.intend(Category::Ec2, &finding, &event, &other, now());
            again.await.expect("written");
        });
        let [incident] = &incidents(&items)[..] else {
            panic!("one incident");
        };
        for (key, action) in &intent.actions {
            assert_eq!(incident[&format!("action:{key}")], action.to_string());
        }
        let kept: Value = serde_json::from_str(&incident["event"]).expect("JSON");
        let again = Finding::parse(&kept).expect("a finding, for its release");
        assert_eq!(again.instance_id().unwrap(), "i-0abc1234def567890");
        for (part, mark) in [
            ("event", "abridged"),
            ("evidence", "omitted"),
            ("collected", "omitted"),
            ("report", "this report is cut"),
        ] {
            assert!(incident[part].contains(mark), "{part}: {}", incident[part]);
        }
        assert_eq!(report.status(), Status::Notified);
    }
}

#[test]
fn the_names_of_the_table_are_no_place_for_text_from_outside() {
    hold(1, mutation::text(), |text| {
        let (items, record) = table();
        let finding = fixtures::finding(json!({ "title": text, "arn": text }));
        let report = Report::notified(Category::Triage, &finding, text, false);
        let event = json!({});
        let times = Times::default();
        let concluded = record.conclude(&finding, &event, &report, &Value::Null, times, now());
        block_on(concluded).expect("written");
        let items = items.lock().unwrap();
        let names: BTreeSet<_> = items
            .values()
            .flat_map(HashMap::keys)
            .map(String::as_str)
            .collect();
        let plain = |name: &&str| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        assert!(names.iter().all(plain), "{names:?}");
    });
}
