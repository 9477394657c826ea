//! Credentials, as everybody is told of them.

use serde_json::Value;

use super::world::Entity;
use super::*;
use fixtures::golden::{Story, called};
use fixtures::{attack, enforcing};
use remediation::config::Config;
use remediation::release::Allowance;
use remediation::triage::Triage;

/// Another playbook for the same account.
fn playbook(world: &World) -> Iam {
    Iam::over(world.iam.clients.iam.clone(), world.principals())
}

/// A finding about credentials that called from an address on a threat list.
fn misused(details: Value) -> Value {
    json!({
        "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
        "severity": 5,
        "title": "The API ListBuckets was invoked from an IP address on the custom threat list known-bad.",
        "description": "The API ListBuckets was invoked from the IP address 198.51.100.7, which is on the \
                        custom threat list known-bad.",
        "resource": { "resourceType": "AccessKey", "accessKeyDetails": details },
        "service": {
            "count": 5, "resourceRole": "TARGET",
            "additionalInfo": { "threatListName": "known-bad" },
            "action": called("ListBuckets", "s3.amazonaws.com"),
        },
    })
}

fn of_mallory() -> Value {
    json!({ "accessKeyId": KEY, "principalId": "AIDAEXAMPLEUSERID", "userName": "mallory", "userType": "IAMUser" })
}

fn of_payroll() -> Value {
    json!({
        "accessKeyId": "ASIASESSION000000000", "principalId": "AROAPAYROLL:build-42",
        "userName": "payroll", "userType": "AssumedRole",
    })
}

/// What CloudTrail shows of a caller: a call a week ago from home, and two of today from the address of the finding.
fn history(identity: &Value) -> Vec<Value> {
    let call = |name: &str, service: &str, at: &str, from: &str| {
        json!({
            "eventID": format!("{name} {at}"), "eventName": name, "eventSource": service, "eventTime": at,
            "sourceIPAddress": from, "awsRegion": "us-east-1", "userIdentity": identity,
        })
    };
    vec![
        call(
            "ListBuckets",
            "s3.amazonaws.com",
            "2026-03-04T05:00:00Z",
            "198.51.100.7",
        ),
        call(
            "GetCallerIdentity",
            "sts.amazonaws.com",
            "2026-03-04T04:50:00Z",
            "198.51.100.7",
        ),
        call(
            "DescribeInstances",
            "ec2.amazonaws.com",
            "2026-02-25T09:00:00Z",
            "203.0.113.9",
        ),
    ]
}

fn stolen_from_mallory() -> World {
    let identity = json!({
        "type": "IAMUser", "accessKeyId": KEY, "userName": "mallory", "principalId": "AIDAEXAMPLEUSERID",
        "accountId": "111122223333",
    });
    world(Account {
        events: history(&identity),
        ..mallory()
    })
}

fn stolen_from_payroll() -> World {
    let identity = json!({
        "type": "AssumedRole", "accessKeyId": "ASIASESSION000000000", "principalId": "AROAPAYROLL:build-42",
        "accountId": "111122223333",
        "sessionContext": { "sessionIssuer": { "type": "Role", "userName": "payroll" } },
    });
    world(Account {
        events: history(&identity),
        ..payroll(own_account())
    })
}

async fn contained_in(world: &World, story: &mut Story) -> remediation::Responder<Iam> {
    let responder = story.function(playbook(world), enforcing());
    let report = story.delivered(&responder).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    story.hold("", &report);
    responder
}

#[tokio::test(start_paused = true)]
async fn a_stolen_key_that_is_contained() {
    let world = stolen_from_mallory();
    let mut story = Story::of("stolen-key", 3, misused(of_mallory()));
    contained_in(&world, &mut story).await;
    story.ends::<Iam>().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_of_a_role_whose_deny_is_taken_off_and_put_back() {
    let world = stolen_from_payroll();
    let mut story = Story::of("role-session-undone", 4, misused(of_payroll()));
    let responder = contained_in(&world, &mut story).await;
    {
        let mut account = world.account.lock().unwrap();
        account.roles.get_mut("payroll").unwrap().inline.clear();
    }
    let report = story.looked(&responder, 10).await;
    assert!(report.undone(), "{}", report.to_line());
    story.hold("look", &report);
    assert!(world.denies_session("build-42"));
    story.ends::<Iam>().await;
}

#[tokio::test(start_paused = true)]
async fn a_federated_session_of_which_the_issuer_is_contained() {
    let world = world(issued_by(by_mallory()));
    let mut story = Story::of(
        "federated-session",
        5,
        misused(json!({
            "accessKeyId": "ASIAFEDERATED0000000", "principalId": "111122223333:guest",
            "userName": "guest", "userType": "FederatedUser",
        })),
    );
    contained_in(&world, &mut story).await;
    story.ends::<Iam>().await;
}

#[tokio::test(start_paused = true)]
async fn the_root_user_which_nothing_contains() {
    let world = stolen_from_mallory();
    let details = json!({
        "accessKeyId": "ASIAROOT000000000000", "principalId": "111122223333", "userName": "Root", "userType": "Root",
    });
    let mut story = Story::of("root-user", 6, misused(details));
    let responder = story.function(playbook(&world), enforcing());
    let report = story.delivered(&responder).await;
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    story.hold("", &report);
    assert!(world.wire.writes().is_empty());
    story.ends::<Iam>().await;
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_that_changes_nothing() {
    let world = stolen_from_mallory();
    let mut story = Story::of("dry-run", 10, misused(of_mallory()));
    let mut config: Config = enforcing();
    config.policy.dry_run = true;
    let responder = story.function(playbook(&world), config);
    let report = story.delivered(&responder).await;
    story.hold("", &report);
    assert!(world.wire.writes().is_empty());
    story.ends::<Iam>().await;
}

#[tokio::test(start_paused = true)]
async fn a_stolen_key_that_a_person_releases() {
    let world = stolen_from_mallory();
    let mut story = Story::of("released", 11, misused(of_mallory()));
    contained_in(&world, &mut story).await;
    let allowance = Allowance {
        reactivate: vec![KEY.to_owned()],
        ..Allowance::default()
    };
    let at = now() + 20.minutes();
    let release = story.released(&playbook(&world), &allowance, at).await;
    assert!(release.succeeded(), "{release:?}");
    assert_eq!(world.key("mallory", KEY), StatusType::Active);
    story.hold("release", &release);
    story.ends::<Iam>().await;
}

#[tokio::test(start_paused = true)]
async fn an_attack_sequence_whose_parts_are_listed() {
    let mut detail = attack(json!({}))["detail"].take();
    detail["title"] = json!("Potential data compromise of one or more S3 buckets.");
    detail["description"] = json!(
        "A sequence of actions involving 2 signals indicating a potential data compromise of one or more S3 \
         buckets was observed."
    );
    let alice = Entity {
        id: "AIDAEXAMPLEUSERID",
        path: "/",
        keys: vec![(KEY, StatusType::Active, 0)],
        ..Entity::default()
    };
    let world = world(Account {
        users: [("alice".to_owned(), alice)].into(),
        ..Account::default()
    });
    let mut story = Story::of("attack-sequence", 9, detail);
    let responder = story.function(Triage::asking(world.principals()), enforcing());
    let report = story.delivered(&responder).await;
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    story.hold("", &report);
    story.ends::<Triage>().await;
}
