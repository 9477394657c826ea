//! Sessions of roles, and principals that are left alone.

use super::role::{acted, acted_detail};
use super::*;
use crate::plan::StepKey;

const SEEN: &str = "2026-03-04T05:00:00Z";

#[tokio::test(start_paused = true)]
async fn a_stolen_role_session_is_denied_everything_by_its_exact_id_and_no_other() {
    let others = "gdr-deny-session-bob@corp";
    let kept = json!({ "kept": true });
    let mut account = payroll(own_account());
    let role = account.roles.get_mut("payroll").unwrap();
    role.inline.insert(others.to_owned(), kept.to_string());
    let world = world(account);
    let finding = acted("AROAPAYROLL:alice@corp", SEEN);
    let (report, _) = answer(&world.iam, &finding).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    let deny = world.policy("gdr-deny-session-alice@corp").expect("a deny");
    let statement = json!([{
        "Sid": "GuardDutyResponder", "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "StringEquals": { "aws:userid": "AROAPAYROLL:alice@corp" } },
    }]);
    assert_eq!(deny["Statement"], statement);
    assert_eq!(world.policy(others), Some(kept));
    assert_eq!(world.wire.writes(), ["iam:PutRolePolicy"]);
    let calls = world.wire.calls();
    assert_eq!(calls[4], "iam:PutRolePolicy", "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn two_sessions_of_a_role_are_two_steps() {
    let key = async |session: &str| -> StepKey {
        let world = world(payroll(own_account()));
        let finding = acted(&format!("AROAPAYROLL:{session}"), SEEN);
        let state = world.iam.observe(&finding).await.unwrap();
        Iam::plan(&finding, &state, &Settings::default(), now()).steps[0].key()
    };
    assert_ne!(key("alice").await, key("bob").await);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_not_the_one_of_the_finding_is_left_alone() {
    let service_linked = "/aws-service-role/x.amazonaws.com/";
    for (id, path, why) in [
        ("AROASOMEONEELSE", "/", "AROASOMEONEELSE"),
        ("AROAPAYROLL", service_linked, "service-linked"),
    ] {
        let mut account = payroll(own_account());
        let role = account.roles.get_mut("payroll").unwrap();
        (role.id, role.path) = (id, path);
        left_alone(&world(account), &session_finding(), why).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_gone_or_of_another_account_is_left_alone() {
    let world = world(Account::default());
    left_alone(&world, &session_finding(), "credentials are void").await;
    let remote = json!({ "accountId": "999988887777", "affiliated": false });
    let mut detail = acted_detail("AROAPAYROLL:build-42", SEEN);
    detail["service"]["action"]["awsApiCallAction"]["remoteAccountDetails"] = remote;
    left_alone(&world, &finding(detail), "account 999988887777").await;
}

#[tokio::test(start_paused = true)]
async fn principals_that_cannot_be_contained_are_named_without_a_call() {
    for (user_type, name, why) in [
        ("Root", "111122223333", "root user"),
        ("AWSAccount", "ANONYMOUS_PRINCIPAL", "anonymous"),
        ("AWSAccount", "999988887777", "another account"),
        (
            "AWSService",
            "ec2.amazonaws.com",
            "AWSService ec2.amazonaws.com",
        ),
        ("Directory", "corp", "look in the directory"),
        ("New", "corp", "on whose behalf"),
    ] {
        let world = world(mallory());
        let finding = by(json!({ "userType": user_type, "userName": name, "principalId": name }));
        left_alone(&world, &finding, why).await;
        assert!(world.wire.calls().is_empty(), "{user_type}");
    }
}
