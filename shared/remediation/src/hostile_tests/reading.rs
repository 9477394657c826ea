//! What must hold of reading a finding and of what is decided about it.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::config::Config;
use crate::fixtures;
use crate::fixtures::hostile::mutation::{self, MATTERS, TEXTS, pointers, set};
use crate::fixtures::hostile::seeds::{own, seeds};
use crate::fixtures::hostile::{block_on, event, hold, shows_as_it_is};
use crate::respond::{Invocation, Responder};
use aws::error::Error;
use model::catalogue;
use model::category::Category;
use model::decision::{Decision, ResponseMode, ResponseSettings, decide, targets};
use model::finding::{Finding, abridged};
use model::guidance;
use model::report::Status;
use model::settings::Settings;

fn policy(mode: ResponseMode, never_contain: &[&str]) -> ResponseSettings {
    ResponseSettings {
        dry_run: false,
        mode,
        minimum_severity: Some(0.0),
        approval_not_needed_from: None,
        own_account: None,
        quarantine_objects: true,
        responder_roles: vec!["responder".to_owned()],
        never_contain: never_contain
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
    }
}

/// A refusal names a member, in words that a person can be shown.
fn assert_names_a_member(error: &Error) {
    let Error::Malformed { member, problem } = error else {
        panic!("not a refusal of the event: {error}");
    };
    let path = [
        "event", "detail", "id", "source", "resource", "service", "account", "region", "Records",
    ];
    let known = path.iter().any(|start| member.starts_with(start));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-[]_".contains(&byte);
    assert!(
        !member.is_empty() && member.bytes().all(plain),
        "{member:?}"
    );
    assert!(known || !member.contains('.'), "{member:?}");
    assert!(
        !problem.is_empty() && shows_as_it_is(problem),
        "{problem:?}"
    );
    assert!(error.to_string().len() < 4 * 1024, "{error}");
}

/// What is decided about a finding, in every function, whatever the settings.
fn assert_is_decided(finding: &Finding) {
    let routes = catalogue::routes(finding);
    assert!(!routes.is_empty(), "{}", finding.finding_type);
    for category in Category::ALL {
        catalogue::disposition(category, finding);
        for entry in guidance::next_steps(category, finding) {
            assert!(shows_as_it_is(&entry), "{entry:?}");
        }
        match targets(category, finding) {
            Ok(targets) => {
                assert!(targets.len() <= 100, "{} targets", targets.len());
                // `TARGET#<category>#<account>#` goes before it.
                let fits = |target: &String| (1..=1_900).contains(&target.len());
                assert!(targets.iter().all(fits), "{targets:?}");
                assert!(
                    targets.iter().all(|target| shows_as_it_is(target)),
                    "{targets:?}"
                );
            }
            Err(error) => assert_names_a_member(&error),
        }
        for (mode, never_contain) in [
            (ResponseMode::Contain, &[][..]),
            (ResponseMode::Contain, &["mallory", "payroll"]),
            (ResponseMode::Notify, &[]),
            (ResponseMode::Off, &[]),
        ] {
            let decision = decide(category, finding, &policy(mode, never_contain));
            let (Decision::Ignore(why) | Decision::Notify(why) | Decision::Contain(why)) =
                &decision;
            assert!(!why.is_empty() && shows_as_it_is(why), "{why:?}");
            let contains = matches!(decision, Decision::Contain(_));
            assert!(!contains || mode == ResponseMode::Contain, "{decision:?}");
            assert!(!contains || routes.contains(&category), "{decision:?}");
            // What is contained has a name under which it is claimed.
            assert!(
                !contains || targets(category, finding).is_ok(),
                "{decision:?}"
            );
        }
    }
    for text in [finding.title(), finding.description(), finding.arn()] {
        assert!(shows_as_it_is(&text) && text.len() < 2_100, "{text:?}");
    }
}

fn assert_is_answered(event: &Value) {
    match Finding::parse(event) {
        Ok(finding) => assert_is_decided(&finding),
        Err(error) => assert_names_a_member(&error),
    }
}

#[test]
fn every_event_is_decided_about_or_refused_by_the_name_of_a_member() {
    hold(8, event(), |event| assert_is_answered(&event));
}

#[test]
fn so_is_an_event_of_which_any_one_part_is_missing_or_something_else() {
    let others = [
        json!(null),
        json!(-1e300),
        json!("\u{202e}\n*"),
        json!([[]]),
        json!({ "": {} }),
    ];
    for seed in seeds() {
        for pointer in pointers(seed) {
            for other in &others {
                let mut event = seed.clone();
                *event.pointer_mut(&pointer).expect("a path of the event") = other.clone();
                assert_is_answered(&event);
            }
            let mut event = seed.clone();
            let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
            if let Some(Value::Object(members)) = event.pointer_mut(parent) {
                members.remove(name);
                assert_is_answered(&event);
            }
        }
    }
}

#[test]
fn the_seeds_are_findings_that_go_to_every_function() {
    let findings: Vec<_> = seeds()
        .iter()
        .filter_map(|seed| Finding::parse(seed).ok())
        .collect();
    for category in Category::ALL {
        let routed = |finding: &&Finding| catalogue::routes(finding).contains(&category);
        assert!(
            findings.iter().any(|finding| routed(&finding)),
            "none for {category}"
        );
    }
}

/// Whatever goes into a call or a policy document is of AWS's grammar for it.
fn assert_ids_are_of_their_grammar(finding: &Finding) {
    let of = |text: &str, also: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || also.as_bytes().contains(&byte))
    };
    assert!(of(&finding.id, "-_") && finding.id.len() <= 300);
    assert!(of(&finding.region, "-") && finding.account_id.len() == 12);
    assert!(of(finding.partition(), "-"));
    for bucket in finding.buckets().unwrap_or_default() {
        assert!(of(&bucket, ".-_") && bucket.len() <= 255, "{bucket:?}");
    }
    assert!(
        finding
            .instance_id()
            .is_ok_and(|id| of(&id, "-") && id.starts_with("i-"))
            || finding.instance_id().is_err()
    );
    assert!(finding.access_key_id().is_none_or(|key| of(&key, "_")));
    assert!(finding.foreign_principal_id().is_none_or(|id| of(id, "_")));
    let account = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
    assert!(
        finding.remote_account().is_none_or(account),
        "{:?}",
        finding.remote_account()
    );
    if let Ok(principal) = finding.principal() {
        assert!(
            principal
                .entity_name()
                .is_none_or(|name| of(name, "_+=,.@-") && name.len() <= 64)
        );
        assert!(shows_as_it_is(&principal.to_string()), "{principal}");
    }
}

#[test]
fn an_id_is_of_its_grammar_whatever_the_finding_says() {
    hold(8, event(), |event| {
        if let Ok(finding) = Finding::parse(&event) {
            assert_ids_are_of_their_grammar(&finding);
        }
    });
}

#[test]
fn no_text_passes_the_grammars_before_after_or_instead_of_an_id() {
    for seed in own() {
        for pointer in MATTERS {
            for text in TEXTS {
                let there = seed
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                for text in [
                    (*text).to_owned(),
                    format!("{there}{text}"),
                    format!("{text}{there}"),
                ] {
                    let mut event = seed.clone();
                    set(&mut event, pointer, text.into());
                    if let Ok(finding) = Finding::parse(&event) {
                        assert_ids_are_of_their_grammar(&finding);
                    }
                }
            }
        }
    }
}

/// Events of some 256 KB, which is what EventBridge takes: each has its weight in another place.
fn heavy() -> Vec<Value> {
    const WEIGHT: usize = 250 * 1024;
    let text = |text: &str| Value::from(text.repeat(WEIGHT / text.len()));
    let list =
        |entry: Value| Value::Array(vec![entry.clone(); WEIGHT / (entry.to_string().len() + 1)]);
    let deep = (0..100).fold(text("x"), |inner, _| json!({ "a": [inner] }));
    let buckets: Vec<_> = (0..8_000)
        .map(|index| json!({ "name": format!("bucket-{index}") }))
        .collect();
    let members: serde_json::Map<_, _> = (0..12_000)
        .map(|index| (format!("member{index}"), json!(index)))
        .collect();
    let mut heavy = Vec::new();
    for seed in own().iter().step_by(3) {
        for (pointer, weight) in [
            ("/detail/title", text("\u{202e}")),
            ("/detail/title", text("\u{1f4a3}")),
            ("/detail/type", text("a:b/")),
            (
                "/detail/resource/accessKeyDetails/userName",
                text("\n\u{61c}"),
            ),
            ("/detail/resource/accessKeyDetails/principalId", text("A:")),
            ("/detail/resource/s3BucketDetails", json!(buckets)),
            (
                "/detail/resource/s3BucketDetails",
                list(json!({ "name": "exposed" })),
            ),
            (
                "/detail/resource/instanceDetails/tags",
                list(json!({ "key": "*", "value": "\u{0}" })),
            ),
            ("/detail/service/additionalInfo/value", text("[")),
            ("/detail/service/additionalInfo/value", text("{\"sample\":")),
            ("/detail/service/unknown", deep.clone()),
            ("/detail/service/unknown", list(json!(1e15))),
            ("/detail", json!(members)),
        ] {
            let mut event = seed.clone();
            set(&mut event, pointer, weight);
            heavy.push(event);
        }
    }
    heavy
}

#[test]
fn a_finding_of_256_kilobytes_is_read_and_decided_about_like_any_other() {
    let heavy = heavy();
    assert!(
        heavy
            .iter()
            .all(|event| event.to_string().len() > 100 * 1024)
    );
    let read = heavy
        .iter()
        .filter(|event| Finding::parse(event).is_ok())
        .count();
    assert!(read * 2 > heavy.len(), "only {read} of {}", heavy.len());
    heavy.iter().for_each(assert_is_answered);
}

#[test]
fn a_long_event_is_cut_and_names_the_same_targets() {
    for event in heavy() {
        let cut = abridged(&event, 96 * 1024);
        assert!(cut.to_string().len() <= 96 * 1024);
        let Ok(finding) = Finding::parse(&event) else {
            continue;
        };
        assert!(cut.to_string().contains("GuardDuty has all of it"), "{cut}");
        let again = Finding::parse(&cut);
        // What is not contained need not be read again.
        let readable = |category| targets(category, &finding).is_ok();
        if !Category::ALL.into_iter().all(readable) && again.is_err() {
            continue;
        }
        let again = again.expect("a finding");
        assert_eq!(
            (&again.id, &again.finding_type),
            (&finding.id, &finding.finding_type)
        );
        assert_eq!(again.remote_address(), finding.remote_address());
        assert_eq!(again.last_seen(), finding.last_seen());
        for category in Category::ALL {
            if let Ok(targets) = targets(category, &finding) {
                assert_eq!(
                    model::decision::targets(category, &again).ok(),
                    Some(targets)
                );
            }
        }
    }
}

/// A client of which every call is a panic.
fn silent() -> aws_sdk_sns::Client {
    let rules = [] as [&testkit::Rule; 0];
    testkit::mock_client!(aws_sdk_sns, rules)
}

#[test]
fn whatever_json_a_function_is_invoked_with_it_answers_and_calls_nobody() {
    let config = Config {
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
        policy: policy(ResponseMode::Contain, &[]),
        topic_arn: Some("arn:aws:sns:us-east-1:111122223333:notices".to_owned()),
        notices: crate::notify::Settings::default(),
        problems: Vec::new(),
    };
    let responder = Responder::new(fixtures::triage(), config, silent());
    let invocation = Invocation {
        id: "request".to_owned(),
        now: fixtures::now(),
        time_left: std::time::Duration::from_secs(60),
        look: None,
        trace: None,
    };
    let wrapped = mutation::value().prop_map(|value| json!({ "detail": value }));
    hold(1, prop_oneof![mutation::value(), wrapped], |event| {
        let report = block_on(responder.respond(event, &invocation)).expect("an answer");
        assert_eq!(report.status(), Status::Failed);
    });
}
