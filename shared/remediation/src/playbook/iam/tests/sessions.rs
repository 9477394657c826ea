//! Sessions of roles, and principals that are left alone.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stolen_role_session_is_denied_everything_by_its_exact_id_and_no_other() {
    let mut role = role();
    let others = "gdr-deny-session-bob@corp";
    role.policies
        .insert(others.to_owned(), r#"{"kept":true}"#.to_owned());
    let world = World::of_role(role);
    let (report, _) = answer(&world.playbook, &stolen_session()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    let deny = world.policy("gdr-deny-session-alice@corp").expect("a deny");
    let statement = json!([{
        "Sid": "GuardDutyResponder", "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "StringEquals": { "aws:userid": "AROAEXAMPLEROLEID:alice@corp" } },
    }]);
    assert_eq!(deny["Statement"], statement);
    assert_eq!(world.policy(others), Some(json!({ "kept": true })));
    assert_eq!(world.wire.writes(), ["iam:PutRolePolicy"]);
    assert_eq!(world.wire.calls()[2], "iam:PutRolePolicy");
}

#[tokio::test(start_paused = true)]
async fn two_sessions_of_a_role_are_two_steps() {
    let key = async |session: &str| -> StepKey {
        let world = World::of_role(role());
        let finding = finding(session_of("deployer", &format!("{ROLE_ID}:{session}")));
        let state = world.playbook.observe(&finding).await.unwrap();
        Iam::plan(
            &finding,
            &state,
            &crate::settings::Settings::default(),
            now(),
        )
        .steps[0]
            .key()
    };
    assert_ne!(key("alice").await, key("bob").await);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_not_the_one_of_the_finding_is_left_alone() {
    for (id, path, why) in [
        ("AROASOMEONEELSE", "/", "AROASOMEONEELSE"),
        (
            ROLE_ID,
            "/aws-service-role/x.amazonaws.com/",
            "service-linked",
        ),
    ] {
        let world = World::of_role(Role { id, path, ..role() });
        left_alone(&world, &stolen_session(), why).await;
    }
}

#[tokio::test(start_paused = true)]
async fn for_a_role_of_identity_center_the_reason_holds_the_policy_to_put_there() {
    let world = World::of_role(Role {
        path: "/aws-reserved/sso.amazonaws.com/eu-central-1/",
        ..role()
    });
    let report = left_alone(&world, &stolen_session(), "Identity Center").await;
    let detail = report.steps()[0].detail();
    let policy = &detail[detail.find('{').expect("JSON")..];
    let policy: Value = serde_json::from_str(policy).expect("a policy to paste");
    let condition = &policy["Statement"][0]["Condition"];
    let session = json!({ "StringEquals": { "aws:userid": "AROAEXAMPLEROLEID:alice@corp" } });
    assert_eq!(*condition, session);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_gone_or_of_another_account_is_left_alone() {
    let world = World::new(Account::default());
    left_alone(&world, &stolen_session(), "credentials are void").await;
    let mut remote = session_of("deployer", &format!("{ROLE_ID}:alice@corp"));
    remote["service"] = json!({ "action": { "awsApiCallAction": {
        "remoteAccountDetails": { "accountId": "999988887777", "affiliated": false } } } });
    left_alone(&world, &finding(remote), "account 999988887777").await;
}

#[tokio::test(start_paused = true)]
async fn a_finding_that_does_not_name_the_session_does_not_hit_the_whole_role() {
    let world = World::of_role(role());
    let finding = finding(session_of("deployer", ROLE_ID));
    left_alone(&world, &finding, "would hit everybody").await;
}

#[tokio::test(start_paused = true)]
async fn principals_that_cannot_be_contained_are_named_without_a_call() {
    for (user_type, name, why) in [
        ("Root", "111122223333", "root user"),
        ("FederatedUser", "bob", "GetFederationToken"),
        ("AWSAccount", "ANONYMOUS_PRINCIPAL", "anonymous"),
        ("AWSAccount", "999988887777", "another account"),
        (
            "AWSService",
            "ec2.amazonaws.com",
            "AWSService ec2.amazonaws.com",
        ),
        ("Directory", "corp", "on whose behalf"),
    ] {
        let world = World::of_user(user());
        let finding = by(json!({ "userType": user_type, "userName": name }));
        left_alone(&world, &finding, why).await;
        assert!(world.wire.calls().is_empty(), "{user_type}");
    }
}
