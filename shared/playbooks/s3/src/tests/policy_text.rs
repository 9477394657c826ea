//! How the deny is written into a policy, and what S3 takes of one.

use super::cases::PARTNER_READS;
use super::deny::{marked, on, planned, respond, step};
use super::*;
use fixtures::run_with;

#[tokio::test(start_paused = true)]
async fn an_address_of_ipv6_is_denied_alone() {
    let finding = finding(json!({
        "type": "Exfiltration:S3/MaliciousIPCaller",
        "resource": { "accessKeyDetails": anonymous(), "s3BucketDetails": [{ "name": "exposed" }] },
        "service": { "action": { "awsApiCallAction": {
            "api": "GetObject", "remoteIpDetails": { "ipAddressV6": "2001:db8::7" } } } },
    }));
    let world = world(marked());
    let done = run_with(&world.playbook, &finding, &on()).await;
    let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
    assert_eq!(deny.outcome(), Outcome::Applied);
    let ours = world.policy()["Statement"][1].clone();
    assert_eq!(
        ours["Condition"]["IpAddress"]["aws:SourceIp"],
        "2001:db8::7/128"
    );
}

#[tokio::test(start_paused = true)]
async fn a_statement_of_an_earlier_version_without_a_prefix_is_in_effect_for_ipv4_only() {
    let address = |address: &str| {
        let details = match address.contains(':') {
            true => json!({ "ipAddressV6": address }),
            false => json!({ "ipAddressV4": address }),
        };
        finding(json!({
            "type": "Exfiltration:S3/MaliciousIPCaller",
            "resource": { "accessKeyDetails": anonymous(), "s3BucketDetails": [{ "name": "exposed" }] },
            "service": { "action": { "awsApiCallAction": {
                "api": "GetObject", "remoteIpDetails": details } } },
        }))
    };
    for (caller, bits, outcome) in [
        ("198.51.100.7", "/32", Outcome::Already),
        ("2001:db8::7", "/128", Outcome::Applied),
    ] {
        let finding = address(caller);
        let world = world(marked());
        run_with(&world.playbook, &finding, &on()).await;
        let mut earlier = world.policy();
        earlier["Statement"][1]["Condition"]["IpAddress"]["aws:SourceIp"] = json!(caller);
        world.now().policy = Some(earlier.to_string());
        let again = run_with(&world.playbook, &finding, &on()).await;
        let deny = step(&again, "s3:DenyInBucketPolicy").unwrap();
        assert_eq!(deny.outcome(), outcome, "{caller}");
        let stands = &world.policy()["Statement"][1]["Condition"]["IpAddress"]["aws:SourceIp"];
        let expected = match outcome {
            Outcome::Already => caller.to_owned(),
            _ => format!("{caller}{bits}"),
        };
        assert_eq!(*stands, json!(expected));
    }
}

/// A policy that lets in the partner, and a user by name.
fn with_a_user() -> Bucket {
    let mut policy: Value = serde_json::from_str(PARTNER_READS).unwrap();
    let partner = policy["Statement"].take();
    policy["Statement"] = json!([partner, { "Sid": "Reports", "Effect": "Allow",
        "Principal": { "AWS": "arn:aws:iam::111122223333:user/reports" },
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::exposed/*" }]);
    Bucket {
        policy: Some(policy.to_string()),
        ..Bucket::default()
    }
}

fn delete_the_user(world: &World) {
    let arn = "arn:aws:iam::111122223333:user/reports";
    let mut bucket = world.now();
    let policy = bucket.policy.take().unwrap();
    bucket.policy = Some(policy.replace(arn, "AIDAREPORTSUSERID0001"));
    bucket.deleted = Some(arn);
}

#[tokio::test(start_paused = true)]
async fn the_statement_that_names_a_deleted_user_is_named_where_s3_takes_no_policy_for_it() {
    let world = world(with_a_user());
    delete_the_user(&world);
    let done = respond(&world, partner()).await;
    let deny = step(&done, "s3:DenyInBucketPolicy").unwrap();
    assert_eq!(deny.outcome(), Outcome::Failed);
    for told in [
        "MalformedPolicy",
        "statement Reports: AIDAREPORTSUSERID0001",
        "Take those principals out",
    ] {
        assert!(deny.detail().contains(told), "{told}: {}", deny.detail());
    }
    assert!(done.transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_release_after_a_user_was_deleted_names_the_statement_and_succeeds_when_it_is_out() {
    let world = world(with_a_user());
    let action = planned(&world, partner()).await;
    world.playbook.apply(&action).await.unwrap();
    delete_the_user(&world);
    let error = world.playbook.restore(&action).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("statement Reports: AIDAREPORTSUSERID0001"),
        "{error}"
    );
    let mut left = world.policy();
    left["Statement"].as_array_mut().unwrap().remove(1);
    world.now().policy = Some(left.to_string());
    world.playbook.restore(&action).await.unwrap();
    assert_eq!(
        world.policy()["Statement"].as_array().map(Vec::len),
        Some(1)
    );
}
