//! Findings as people have reported them, carried out: the inputs of `tests/fixtures/cases`.

use std::time::Duration;

use tokio::time::Instant;

use super::hostile::statements;
use super::world::Entity;
use super::*;
use aws::inquiry::Inquiry;
use fixtures::hostile::grammar::denies;
use fixtures::{ENFORCING, case, case_text};
use model::decision::ResponseSettings;
use model::investigation::{Question, from_finding};
use policy::{DEFAULT, Gate, LoadedPolicies};

/// An account with one role, which principals of its own may assume.
fn role(name: &str, id: &'static str, path: &'static str) -> Account {
    let role = Entity {
        id,
        path,
        trust: json!({ "Statement": [{ "Effect": "Allow", "Principal": own_account() }] }),
        ..Entity::default()
    };
    Account {
        roles: [(name.to_owned(), role)].into(),
        ..Account::default()
    }
}

/// Whether a request of the session is denied by what is on the role now.
fn is_denied(world: &World, role: &str, user_id: &str) -> bool {
    is_denied_since(world, role, user_id, "2026-03-04T04:40:00Z")
}

/// The same of a session that was issued then.
fn is_denied_since(world: &World, role: &str, user_id: &str, issued: &str) -> bool {
    world.role(role).inline.values().any(|document| {
        let document: Value = serde_json::from_str(document).expect("JSON");
        let request = [("aws:userid", user_id), ("aws:TokenIssueTime", issued)];
        denies(statements(&document), &request)
    })
}

#[tokio::test(start_paused = true)]
async fn a_stolen_session_is_denied_whatever_the_finding_says_of_the_instance() {
    for input in [
        "stolen-session-without-instance",
        "instance-of-another-region",
    ] {
        let world = world(role("worker", "AROAWORKER", "/"));
        let session = "AROAWORKER:i-0abc1234def567890";
        assert!(!is_denied(&world, "worker", session));
        let (report, _) = answer(&world.iam, &case(input)).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert!(is_denied(&world, "worker", session));
        assert!(!is_denied(
            &world,
            "worker",
            "AROAWORKER:i-0abc1234def567891"
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_with_every_sign_of_a_role_under_a_path_is_denied_and_its_neighbours_go_on() {
    let name = "Okta+Ops=prod,1@corp.example_x-y";
    let world = world(role(name, "AROASAML", "/saml/"));
    let finding = case("session-with-every-sign");
    let (report, _) = answer(&world.iam, &finding).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    let session = format!(
        "AROASAML:carol+night=7,ap.south@corp.example_com-{}",
        "z".repeat(24)
    );
    assert_eq!(session.len() - "AROASAML:".len(), 64);
    assert!(is_denied(&world, name, &session));
    let neighbour = format!("{}y", &session[..session.len() - 1]);
    for other in [
        neighbour.as_str(),
        "AROASAML:carol",
        &session[..session.len() - 1],
    ] {
        assert!(!is_denied(&world, name, other), "{other}");
    }
}

/// All users of an identity pool have the session's name.
#[tokio::test(start_paused = true)]
async fn a_session_with_everybody_s_name_is_denied_alone_or_not_at_all() {
    let finding = case("session-name-of-everybody");
    let (name, session) = ("app-guests", "AROAGUESTS:CognitoIdentityCredentials");
    let mut account = role(name, "AROAGUESTS", "/");
    let pool = json!({ "Federated": "cognito-identity.amazonaws.com" });
    let guests = account.roles.get_mut(name).expect("the role");
    guests.trust = json!({ "Statement": [{ "Effect": "Allow", "Principal": pool }] });
    let unseen = world(account.clone());
    let (report, _) = answer(&unseen.iam, &finding).await;
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(!is_denied(&unseen, name, session));

    // CloudTrail shows when the session of the finding was issued: as `is_denied` asks about it.
    account.events = vec![json!({
        "eventName": "ListBuckets", "eventTime": "2026-03-04T04:55:00Z",
        "userIdentity": {
            "type": "AssumedRole", "principalId": session, "accessKeyId": "ASIASESSION000000000",
            "sessionContext": { "attributes": { "creationDate": "2026-03-04T04:40:00Z" } },
        },
    })];
    let seen = world(account);
    let (report, _) = answer(&seen.iam, &finding).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(is_denied(&seen, name, session));
    assert!(!is_denied_since(
        &seen,
        name,
        session,
        "2026-03-04T04:45:00Z"
    ));
}

/// The organization lets nobody change the role.
#[tokio::test(start_paused = true)]
async fn a_role_that_the_organization_keeps_stays_as_it_is_and_the_refusal_is_named() {
    let name = "AWSControlTowerExecution";
    let world = world(role(name, "AROATOWER", "/"));
    world.wire.refuse(
        "iam:PutRolePolicy",
        "is not authorized to perform: iam:PutRolePolicy with an explicit deny in a service control policy",
    );
    let (report, transient) = answer(&world.iam, &case("role-kept-by-the-organization")).await;
    let line = report.to_line();
    assert_eq!(report.status(), Status::Failed, "{line}");
    assert!(transient.is_none(), "it is not tried again");
    assert!(
        line.contains("service control policy of the organization"),
        "{line}"
    );
    assert_eq!(world.wire.writes(), ["iam:PutRolePolicy"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_without_a_user_type_or_name_is_deactivated_as_its_owner_s() {
    let world = world(mallory());
    let finding = case("key-without-user-type");
    let (report, transient) = answer(&world.iam, &finding).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(transient.is_none());
    assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
    assert_eq!(world.key("mallory", SECOND), StatusType::Active);
    assert!(world.cut_off().is_some());
    assert_eq!(
        world
            .wire
            .calls()
            .iter()
            .filter(|call| **call == "iam:GetAccessKeyLastUsed")
            .count(),
        2
    );
    let (again, _) = answer(&world.iam, &finding).await;
    assert_eq!(again.status(), Status::AlreadyContained);
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_a_key_takes_one_round_trip_more() {
    let world = world(mallory());
    let iam = Iam::over(
        slow!(aws_sdk_iam, world.iam.clients.iam),
        world.principals(),
    );
    let event: Value = serde_json::from_str(&case_text("key-without-user-type")).expect("JSON");
    let course = contained(iam, event).await;
    assert_eq!(course.before(&world.wire, "iam:UpdateAccessKey"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_nobody_s_here_or_whose_owner_is_another_than_the_id_says_is_left_alone() {
    let gone = world(Account::default());
    let finding = case("key-without-user-type");
    left_alone(&gone, &finding, "does not say whose the key").await;
    let other = world(mallory());
    let finding = by(json!({ "userType": null, "userName": null, "principalId": "AIDAANOTHER" }));
    left_alone(&other, &finding, "AIDAEXAMPLEUSERID").await;
    assert_eq!(other.key("mallory", KEY), StatusType::Active);
}

/// Whose the key is, is known only once IAM was asked: the rails hold then.
#[tokio::test(start_paused = true)]
async fn the_owner_of_a_key_who_is_never_contained_is_spared() {
    let spares = ResponseSettings {
        never_contain: vec!["mallory".to_owned()],
        ..ENFORCING.clone()
    };
    let world = world(mallory());
    let finding = case("key-without-user-type");
    let state = world.iam.observe(&finding).await.unwrap();
    let guard = LoadedPolicies::new(DEFAULT);
    let gate = Gate::new::<Iam>(&guard, &finding, &spares, false, now());
    let plan = gate.plan::<Iam>(&state, &Settings::default());
    assert_eq!(plan.steps.len(), 2);
    for step in &plan.steps {
        assert!(matches!(step, Step::Withheld(..)), "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_amazon_knows_as_leaked_and_one_that_deletes_a_hundred_buckets_are_deactivated()
{
    for input in [
        "compromised-credentials",
        "hundred-and-one-buckets",
        "never-seen-of-this-user",
    ] {
        let world = world(mallory());
        let (report, _) = answer(&world.iam, &case(input)).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
        assert_eq!(world.key("mallory", SECOND), StatusType::Active);
    }
}

#[tokio::test(start_paused = true)]
async fn principals_other_than_users_and_roles_are_notified_without_a_call() {
    for (input, told) in [
        ("instance-identity", "is no role of IAM"),
        ("web-identity-user", "trust policy"),
        ("saml-user", "trust policy"),
        ("identity-center-user", "identity store"),
        ("directory-without-a-name", "in the directory"),
        ("unknown-user-type", "on whose behalf"),
    ] {
        let world = world(mallory());
        left_alone(&world, &case(input), told).await;
        assert!(world.wire.calls().is_empty(), "{input}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_anomaly_model_answers_for_data_events_missing_in_cloudtrail() {
    let world = world(mallory());
    let finding = case("never-seen-of-this-user");
    let until = Instant::now() + Duration::from_secs(60);
    let inquiry = Inquiry::new(&finding, now(), until);
    let mut found = from_finding(&finding);
    found.merge(&finding, world.iam.investigate(&inquiry, None).await);
    let history: Vec<_> = found
        .answers
        .iter()
        .filter(|answer| answer.question() == Question::History)
        .collect();
    assert_eq!(history.len(), 1, "{history:?}");
    assert!(history[0].is_known(), "{history:?}");
    assert!(
        history[0]
            .answer()
            .starts_with("no: GuardDuty has not seen GetObject")
    );
    assert!(history[0].answer().contains("does not tell"), "{history:?}");
}
