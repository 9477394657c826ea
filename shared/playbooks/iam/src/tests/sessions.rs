//! Sessions of roles, and principals that are left alone.

use super::role::{acted, acted_detail};
use super::world::settings;
use super::*;
use fixtures::hostile::grammar::denies;
use fixtures::windows::Windows;
use model::plan::StepKey;
use model::planner::Planner as _;

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
    detail["type"] = json!("UnauthorizedAccess:S3/TorIPCaller");
    detail["service"]["action"]["awsApiCallAction"]["remoteAccountDetails"] = remote.clone();
    left_alone(&world, &finding(detail), "account 999988887777").await;
    // A finding about credentials is of the account to which they belong.
    let mut detail = acted_detail("AROAPAYROLL:build-42", SEEN);
    detail["service"]["action"]["awsApiCallAction"]["remoteAccountDetails"] = remote;
    left_alone(&world, &finding(detail), "credentials are void").await;
}

/// Every sign that IAM allows in the name of a role and of a session.
const SIGNS: &str = "AZaz09_+=,.@-";

#[tokio::test(start_paused = true)]
async fn names_of_every_sign_and_64_characters_are_denied_to_the_letter_also_under_a_path() {
    let role = format!("ADFS+Admin=prod,eu.1@corp_x-y{}", "z".repeat(35));
    let session = format!("{SIGNS}{}", "n".repeat(64 - SIGNS.len()));
    assert_eq!((role.len(), session.len()), (64, 64));
    let mut account = payroll(own_account());
    let mut entity = account.roles.remove("payroll").unwrap();
    entity.path = "/saml/a:b/";
    account.roles.insert(role.clone(), entity);
    let world = world(account);
    let mut detail = acted_detail(&format!("AROAPAYROLL:{session}"), SEEN);
    detail["resource"]["accessKeyDetails"]["userName"] = json!(role);
    let finding = finding(detail);
    let settings = settings(|iam| iam.mark_contained = true);
    let done = run_with(&world.iam, &finding, &settings).await;
    let outcomes: Vec<_> = done.steps.iter().map(|step| step.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Applied, Outcome::Applied]);
    let entity = world.role(&role);
    assert_eq!(entity.tags["gdr:contained"], "true");
    let document: Value = serde_json::from_str(entity.inline.values().next().unwrap()).unwrap();
    let denied = |name: &str| {
        let user_id = format!("AROAPAYROLL:{name}");
        let statements = document["Statement"].as_array().unwrap();
        denies(statements, &[("aws:userid", &user_id)])
    };
    assert!(denied(&session));
    let near = format!("{}m", &session[..63]);
    assert!(!denied(&near) && !denied(&session[..63]));
    world.wire.clear();
    run_with(&world.iam, &finding, &settings).await;
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_role_that_the_organization_protects_is_left_as_it_is_and_its_refusal_named() {
    let world = world(payroll(own_account()));
    world.wire.refuse(
        "iam:PutRolePolicy",
        "is not authorized to perform: iam:PutRolePolicy on resource: role payroll with an explicit deny \
         in a service control policy",
    );
    let (report, transient) = answer(&world.iam, &session_finding()).await;
    assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
    assert!(transient.is_none(), "it is not tried again");
    let detail = step(&report, DENY_SESSION).1;
    assert!(
        detail.contains("a service control policy of the organization forbids"),
        "{detail}"
    );
    // Nobody else is hit.
    assert_eq!(world.wire.writes(), ["iam:PutRolePolicy"]);
    let role = world.role("payroll");
    assert!(role.inline.is_empty() && role.attached.is_empty() && role.boundary.is_none());
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

#[tokio::test(start_paused = true)]
async fn credentials_used_from_an_affiliated_network_are_notified_and_not_contained() {
    for (affiliated, left) in [(true, true), (false, false)] {
        let world = world(payroll(json!({ "Service": "ec2.amazonaws.com" })));
        let iam = Iam::over(world.iam.clients.iam.clone(), world.principals());
        let mut detail = acted_detail("AROAPAYROLL:i-0abc1234def567890", SEEN);
        detail["type"] =
            json!("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS");
        let remote = json!({ "accountId": "999988887777", "affiliated": affiliated });
        detail["service"]["action"]["awsApiCallAction"]["remoteAccountDetails"] = remote;
        let report = Windows::new().answered(iam, event(detail)).await;
        let wanted = if left {
            Status::Notified
        } else {
            Status::Contained
        };
        assert_eq!(report.status(), wanted, "{}", report.to_line());
        assert_eq!(world.role("payroll").inline.is_empty(), left);
        if left {
            let why = report.reason();
            assert!(why.contains("affiliated-network"), "{why}");
        }
    }
}
