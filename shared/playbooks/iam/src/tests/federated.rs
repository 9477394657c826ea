//! Federated sessions, which IAM knows only by who issued them.

use serde_json::{Value, json};

use super::super::Iam;
use super::world::{Account, DENY_ALL, World, mallory, settings, world};
use aws::cloudtrail::event_history::EventHistory;
use aws::iam_principal::Principals;
use fixtures::{finding, investigate, run, run_with};
use model::finding::Finding;
use model::report::Outcome;

const SESSION: &str = "ASIAFEDERATED0000000";

pub(super) fn federated() -> Finding {
    finding(json!({
        "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
        "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
            "accessKeyId": SESSION, "principalId": "111122223333:guest",
            "userName": "guest", "userType": "FederatedUser",
        } },
    }))
}

pub(super) fn issued_by(issuer: Value) -> Account {
    Account {
        events: vec![json!({
            "eventName": "DescribeInstances",
            "userIdentity": {
                "type": "FederatedUser", "accessKeyId": SESSION,
                "sessionContext": { "sessionIssuer": issuer },
            },
        })],
        ..mallory()
    }
}

pub(super) fn by_mallory() -> Value {
    json!({ "type": "IAMUser", "userName": "mallory", "accountId": "111122223333",
            "principalId": "AIDAEXAMPLEUSERID" })
}

fn untouched(world: &World) -> bool {
    world.wire.writes().is_empty()
}

#[tokio::test(start_paused = true)]
async fn the_sessions_of_the_user_who_issued_it_are_revoked_and_the_keys_are_left() {
    let world = world(issued_by(by_mallory()));
    let done = run(&world.iam, &federated()).await;
    assert_eq!(done.steps.len(), 1, "{:?}", done.steps);
    assert_eq!(done.steps[0].outcome(), Outcome::Applied);
    assert_eq!(world.wire.writes(), ["iam:PutUserPolicy"]);
    let risks = done.residual_risks.join("\n");
    assert!(
        risks.contains("not only guest") && risks.contains("AKIASECOND"),
        "{risks}"
    );
    assert_eq!(
        world.asked.lock().unwrap().len(),
        1,
        "reading back asks CloudTrail nothing anew"
    );
    world.wire.clear();
    let again = run(&world.iam, &federated()).await;
    assert_eq!(again.steps[0].outcome(), Outcome::Already);
    assert!(untouched(&world));
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_listed_are_not_taken_for_none() {
    for deny_all in [false, true] {
        let world = world(issued_by(by_mallory()));
        if deny_all {
            world.change_mallory(|user| user.attached.extend([DENY_ALL.to_owned()]));
        }
        world.wire.fail("iam:ListAccessKeys", 403, "AccessDenied");
        let done = run(&world.iam, &federated()).await;
        let risks = done.residual_risks.join("\n");
        assert_eq!(risks.contains("iam:ListAccessKeys"), deny_all, "{risks}");
        let failed = done.steps.iter().any(|step| {
            step.outcome() == Outcome::Failed && step.detail().contains("iam:ListAccessKeys")
        });
        assert_eq!(failed, !deny_all, "{:?}", done.steps);
        assert!(!risks.contains("no active keys"), "{risks}");
        assert_eq!(risks.contains("whichever it has"), deny_all, "{risks}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_call_that_issued_the_session_tells_too() {
    let mut account = mallory();
    let mut caller = by_mallory();
    caller["accessKeyId"] = json!(super::world::KEY);
    account.events = vec![json!({
        "eventName": "GetFederationToken", "userIdentity": caller,
        "responseElements": { "credentials": { "accessKeyId": SESSION } },
    })];
    let world = world(account);
    let done = run(&world.iam, &federated()).await;
    assert_eq!(
        done.steps[0].outcome(),
        Outcome::Applied,
        "{:?}",
        done.steps
    );
}

#[tokio::test(start_paused = true)]
async fn the_call_that_issued_the_session_is_looked_for_in_the_region_of_iam_too() {
    let mut account = mallory();
    let mut caller = by_mallory();
    caller["accessKeyId"] = json!(super::world::KEY);
    account.events = vec![json!({
        "eventName": "GetFederationToken", "userIdentity": caller,
        "responseElements": { "credentials": { "accessKeyId": SESSION } },
    })];
    let world = world(account);
    // The function's own Region has no event of it, since the session came from the global endpoint.
    let elsewhere = super::world::world(mallory());
    let (regional, global) = (elsewhere.trail(), world.trail());
    let iam = Iam::over(
        world.iam.clients.iam.clone(),
        Principals {
            iam: world.iam.clients.iam.clone(),
            trail: EventHistory::with_clients(regional, Some(global)),
        },
    );
    let done = run(&iam, &federated()).await;
    assert_eq!(
        done.steps[0].outcome(),
        Outcome::Applied,
        "{:?}",
        done.steps
    );
    assert!(world.cut_off().is_some());
}

#[tokio::test(start_paused = true)]
async fn sessions_issued_by_root_another_account_or_an_unknown_issuer_are_notified() {
    let root = json!({ "type": "Root", "accountId": "111122223333" });
    let other = json!({ "type": "IAMUser", "userName": "mallory", "accountId": "444455556666" });
    let hostile = json!({ "type": "IAMUser", "userName": "a/../b", "accountId": "111122223333", "principalId": "x" });
    for (account, word) in [
        (issued_by(root), "page the holder of root's credentials"),
        (issued_by(other), "444455556666"),
        (issued_by(hostile), "it is not known who issued"),
        (mallory(), "it is not known who issued"),
    ] {
        let world = world(account);
        let done = run(&world.iam, &federated()).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
        assert!(done.steps[0].detail().contains(word), "{:?}", done.steps);
        assert!(untouched(&world));
        assert!(world.asked.lock().unwrap().len() <= 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloudtrail_that_does_not_answer_is_not_taken_for_no_issuer() {
    for (code, again) in [
        ("ThrottlingException", true),
        ("AccessDeniedException", false),
    ] {
        let world = world(issued_by(by_mallory()));
        world.wire.fail("cloudtrail:LookupEvents", 400, code);
        let done = run(&world.iam, &federated()).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Failed, "{:?}", done.steps);
        assert_eq!(done.transient.is_some(), again);
        assert!(done.next_steps[0].contains("GetFederationToken"));
        assert!(untouched(&world));
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_never_contained_or_that_was_created_anew_is_left_alone() {
    let protected = world(issued_by(by_mallory()));
    let listed = settings(|iam| {
        iam.never_contain = vec!["arn:aws:iam::111122223333:user/mallory".to_owned()]
    });
    let done = run_with(&protected.iam, &federated(), &listed).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    assert!(untouched(&protected));

    let mut former = by_mallory();
    former["principalId"] = json!("AIDAFORMER");
    let recreated = world(issued_by(former));
    let done = run(&recreated.iam, &federated()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    let detail = done.steps[0].detail();
    assert!(
        detail.contains("or renamed, and it still works"),
        "{detail}"
    );
    assert!(untouched(&recreated));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_gone_may_have_been_renamed() {
    let mut account = issued_by(by_mallory());
    account.users.clear();
    let world = world(account);
    let done = run(&world.iam, &federated()).await;
    assert!(
        done.steps[0].detail().contains("deleted or renamed"),
        "{:?}",
        done.steps
    );
    assert!(
        !investigate(&world.iam, &federated())
            .await
            .answers
            .is_empty()
    );
}
