//! Findings and policies from hands that mean harm.

use std::cell::Cell;

use proptest::prelude::*;

use super::super::bucket_policy::{holds, statements, with, without};
use super::deny::on;
use super::*;
use fixtures::hostile::grammar::{assert_is_deny, denies};
use fixtures::hostile::rendering::assert_fit_to_send;
use fixtures::hostile::{block_on, event_of, hold, mutation};
use fixtures::{event, run_with};
use model::finding::Finding;
use model::report::Report;

fn data_event(details: Value) -> Value {
    event(json!({
        "type": "UnauthorizedAccess:S3/MaliciousIPCaller.Custom",
        "resource": {
            "resourceType": "S3Bucket",
            "accessKeyDetails": details,
            "s3BucketDetails": [{ "name": "exposed" }],
        },
        "service": { "action": { "awsApiCallAction": {
            "api": "GetObject", "remoteIpDetails": { "ipAddressV4": "198.51.100.7" },
            "remoteAccountDetails": { "accountId": "999988887777" },
        } } },
    }))
}

/// Callers of whom at most one may be denied.
fn callers(finding: &Finding) -> Vec<Vec<(&'static str, String)>> {
    let by = |key, value: &str| vec![(key, value.to_owned())];
    let mut callers = vec![
        by("aws:SourceIp", "203.0.113.9"),
        by("aws:SourceIp", "2001:db8::1"),
        by("aws:SourceIp", "2001:db8:ffff::1"),
        by("aws:PrincipalAccount", "444455556666"),
        by("aws:PrincipalAccount", &finding.account_id),
        by("aws:userid", "AIDASOMEONEELSE"),
        by("aws:userid", "AROASOMEONEELSE:session"),
    ];
    for caller in &mut callers {
        caller.push(("aws:ViaAWSService", "false".to_owned()));
    }
    callers
}

#[test]
fn whatever_a_finding_says_the_statement_denies_its_caller_and_nobody_else() {
    let seeds = vec![
        data_event(anonymous()),
        data_event(partner()),
        data_event(json!({ "userType": "AWSAccount", "userName": "other", "principalId": "none" })),
    ];
    let denied = Cell::new(0);
    hold(2, event_of(seeds), |event| {
        let Ok(finding) = Finding::parse(&event) else {
            return;
        };
        let world = world(Bucket {
            tag: Some("yes"),
            ..shared()
        });
        block_on(async {
            let Ok(state) = world.playbook.observe(&finding).await else {
                return;
            };
            for step in S3::plan(&finding, &state, &on(), now()).steps {
                let Step::Do(Action::DenyInPolicy(action)) = step else {
                    continue;
                };
                denied.set(denied.get() + 1);
                let statement = &action.statement;
                assert_is_deny(statement);
                let arn = format!("arn:{}:s3:::{}", finding.partition(), action.bucket.name);
                assert_eq!(statement["Resource"], json!([arn, format!("{arn}/*")]));
                for caller in callers(&finding) {
                    let request: Vec<_> = caller
                        .iter()
                        .map(|(key, value)| (*key, value.as_str()))
                        .collect();
                    let all = std::slice::from_ref(statement);
                    assert!(!denies(all, &request), "{request:?} too: {statement}");
                }
            }
        });
    });
    assert!(
        denied.get() > 100,
        "only {} statements were made",
        denied.get()
    );
}

#[test]
fn whatever_a_finding_says_the_answer_can_be_sent() {
    let seeds = vec![data_event(anonymous()), data_event(partner())];
    hold(1, event_of(seeds), |event| {
        let Ok(finding) = Finding::parse(&event) else {
            return;
        };
        let world = world(public());
        let report = block_on(async {
            if let Err(error) = world.playbook.observe(&finding).await {
                return Report::prevented(
                    S3::CATEGORY,
                    &finding,
                    model::report::Obstacle::Target,
                    &error,
                    false,
                );
            }
            let done = run_with(&world.playbook, &finding, &on()).await;
            let mut report =
                Report::concluded(S3::CATEGORY, &finding, "why".to_owned(), false, done.steps);
            report.residual_risks = done.residual_risks;
            report.next_steps = done.next_steps;
            report
        });
        assert_fit_to_send(&report);
    });
}

/// A policy that says anything: of the right form, nearly so, or not at all.
fn standing() -> impl Strategy<Value = Value> {
    let statement = (mutation::text(), mutation::value()).prop_map(|(text, value)| {
        json!({ "Sid": text, "Effect": "Allow", "Principal": { "AWS": text }, "Action": value,
                "Resource": [text, "arn:aws:s3:::exposed/${aws:username}/*"], "Condition": value })
    });
    let statement = prop_oneof![4 => statement, 1 => mutation::value()];
    let statements = prop_oneof![
        4 => prop::collection::vec(statement.clone(), 0..6).prop_map(Value::Array),
        1 => statement,
    ];
    (statements, mutation::value(), any::<bool>()).prop_map(|(statements, other, has)| {
        let mut policy = json!({ "Version": "2008-10-17", "Id": other });
        if has {
            policy["Statement"] = statements;
        }
        policy
    })
}

#[test]
fn statements_of_others_in_a_policy_stay_to_the_letter() {
    let ours = json!({ "Sid": "GuardDutyResponderDeny999988887777", "Effect": "Deny", "Principal": "*",
        "Action": "s3:*", "Resource": ["arn:aws:s3:::exposed", "arn:aws:s3:::exposed/*"],
        "Condition": { "StringEquals": { "aws:PrincipalAccount": "999988887777" } } });
    let ours = [ours];
    hold(4, standing(), |policy| {
        let before = statements(Some(&policy));
        let merged = with(Some(&policy), &ours);
        let read: Value = serde_json::from_str(&merged.to_string()).expect("JSON");
        assert_eq!(read, merged);
        let after = statements(Some(&merged));
        assert_eq!(after[..before.len()], before, "{merged}");
        assert_eq!(after[before.len()..], ours, "{merged}");
        assert!(holds(Some(&merged), &ours) && !holds(Some(&policy), &ours));
        for member in ["Version", "Id"] {
            assert_eq!(merged[member], policy[member]);
        }
        // Again changes nothing, and taking ours out leaves what was there.
        assert_eq!(with(Some(&merged), &ours), merged);
        let left = without(&merged, &ours);
        assert_eq!(
            left.map_or_else(Vec::new, |left| statements(Some(&left))),
            before
        );
    });
}

#[test]
fn a_finding_that_names_thousands_of_buckets_is_refused_before_anything_is_read() {
    let named = |count: usize| {
        let names: Vec<_> = (0..count)
            .map(|index| json!({ "name": format!("bucket-{index}") }))
            .collect();
        finding(json!({ "type": "Policy:S3/BucketAnonymousAccessGranted",
            "resource": { "s3BucketDetails": names } }))
    };
    let world = world(public());
    let error = block_on(world.playbook.observe(&named(8_000))).expect_err("a refusal");
    assert!(error.to_string().contains("s3BucketDetails"), "{error}");
    assert!(
        !world
            .wire
            .calls()
            .iter()
            .any(|call| call.contains("Bucket")),
        "{:?}",
        world.wire.calls()
    );
    let state = block_on(world.playbook.observe(&named(100))).expect("a state");
    assert_eq!(state.buckets.len(), 100);
    assert!(
        world.wire.calls().len() <= 100 * 10,
        "{}",
        world.wire.calls().len()
    );
}

#[test]
fn an_ipv4_address_in_the_dress_of_ipv6_is_the_address_that_is_denied() {
    let deny = |address: &str| {
        let mut event = data_event(anonymous());
        let details = "/detail/service/action/awsApiCallAction/remoteIpDetails";
        mutation::set(&mut event, details, json!({ "ipAddressV6": address }));
        let finding = Finding::parse(&event).expect("a finding");
        let world = world(Bucket {
            tag: Some("yes"),
            ..public()
        });
        block_on(async {
            let state = world.playbook.observe(&finding).await.expect("a state");
            let steps = S3::plan(&finding, &state, &on(), now()).steps;
            steps.into_iter().find_map(|step| match step {
                Step::Do(Action::DenyInPolicy(action)) => Some(action.statement),
                _ => None,
            })
        })
    };
    let statement = deny("::ffff:198.51.100.7").expect("a statement");
    assert_eq!(
        statement["Condition"]["IpAddress"]["aws:SourceIp"],
        "198.51.100.7/32"
    );
    assert_eq!(deny("::ffff:10.0.0.1"), None);
}
