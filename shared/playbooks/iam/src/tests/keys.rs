//! Keys beside the one that the finding names, the console, and what is found out afterwards.

use aws_sdk_iam::types::StatusType;
use serde_json::{Value, json};

use super::super::Iam;
use super::role::{payroll, session_finding};
use super::world::{
    Account, DENY_ALL, Entity, KEY, SECOND, mallory, mallory_with, settings, world,
};
use aws::playbook::Playbook as _;
use fixtures::{
    ENFORCING, answer, finding, investigate, now, run, run_with, user_detail, user_finding,
};
use model::finding::Finding;
use model::plan::Step;
use model::report::{Outcome, Status, StepReport};
use model::settings::Settings;
use policy::{Gate, LoadedPolicies};

pub(super) const MADE: &str = "AKIAMADE000000000000";

/// A session of Mallory's was used.
fn user_session() -> Finding {
    let mut detail = user_detail("mallory");
    detail["resource"]["accessKeyDetails"]["accessKeyId"] = json!("ASIASESSION000000000");
    finding(detail)
}

fn by_key(key: &str, name: &str, parameters: Value, response: Value) -> Value {
    json!({
        "eventName": name, "eventTime": "2026-03-04T04:55:00Z",
        "userIdentity": { "accessKeyId": key, "type": "IAMUser", "userName": "mallory" },
        "requestParameters": parameters, "responseElements": response,
    })
}

/// Mallory's stolen key made a key for Bob.
pub(super) fn with_a_key_for_bob() -> Account {
    let mut account = mallory();
    let keys = vec![
        (MADE, StatusType::Active, 0),
        ("AKIABOBSOWN000000000", StatusType::Active, 0),
    ];
    let bob = Entity {
        id: "AIDABOB",
        path: "/",
        keys,
        ..Entity::default()
    };
    account.users.insert("bob".to_owned(), bob);
    let made = json!({ "accessKey": { "accessKeyId": MADE, "userName": "bob" } });
    account.events = vec![by_key(
        KEY,
        "CreateAccessKey",
        json!({ "userName": "bob" }),
        made,
    )];
    account
}

pub(super) fn created_keys() -> Settings {
    settings(|iam| iam.created_keys = true)
}

#[tokio::test(start_paused = true)]
async fn when_a_session_of_a_user_is_stolen_all_keys_go_only_with_the_setting() {
    let careful = world(mallory());
    let done = run(&careful.iam, &user_session()).await;
    assert_eq!(done.steps.len(), 3, "{:?}", done.steps);
    for key in [KEY, SECOND] {
        let step = done.steps.iter().find(|step| step.target() == key);
        let step = step.expect("a step for each key");
        assert_eq!(step.outcome(), Outcome::Skipped);
        let how = format!("aws iam update-access-key --user-name mallory --access-key-id {key}");
        assert!(step.detail().contains(&how), "{}", step.detail());
        assert_eq!(careful.key("mallory", key), StatusType::Active);
    }
    assert!(done.residual_risks.join("\n").contains(KEY));

    let bold = world(mallory());
    let setting = settings(|iam| iam.user_session_keys = true);
    let done = run_with(&bold.iam, &user_session(), &setting).await;
    assert!(
        done.steps.iter().all(|s| s.outcome() == Outcome::Applied),
        "{:?}",
        done.steps
    );
    assert_eq!(
        bold.wire.writes(),
        [
            "iam:PutUserPolicy",
            "iam:UpdateAccessKey",
            "iam:UpdateAccessKey"
        ]
    );
    bold.wire.clear();
    run_with(&bold.iam, &user_session(), &setting).await;
    assert!(bold.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_contained_when_nothing_is_left_to_make_another_one_with() {
    let setting = settings(|iam| iam.user_session_keys = true);
    let contained = async |change: fn(&mut Entity), setting: &Settings| {
        let world = world(mallory_with(change));
        let done = run_with(&world.iam, &user_session(), setting).await;
        let mut outcomes = done.steps.iter().map(StepReport::outcome);
        let all = outcomes.all(|outcome| matches!(outcome, Outcome::Applied | Outcome::Already));
        (all, done)
    };
    let (all, done) = contained(|_| {}, &setting).await;
    assert!(all, "{:?}", done.steps);
    let inactive = |user: &mut Entity| {
        for key in &mut user.keys {
            key.1 = StatusType::Inactive;
        }
    };
    let (all, done) = contained(inactive, &Settings::default()).await;
    assert!(all, "{:?}", done.steps);
    let blocked = |user: &mut Entity| {
        user.console = true;
        user.attached.insert(DENY_ALL.to_owned());
    };
    let (all, done) = contained(blocked, &Settings::default()).await;
    assert!(all, "{:?}", done.steps);

    let (all, done) = contained(|user| user.console = true, &setting).await;
    assert!(!all);
    let mut open = done
        .steps
        .iter()
        .filter(|step| step.outcome() == Outcome::Skipped);
    let step = open.next().expect("a step");
    assert_eq!(step.action(), "iam:DisableConsoleAccess");
    assert!(open.next().is_none(), "{:?}", done.steps);
    assert!(step.detail().contains("aws iam update-login-profile"));
}

#[tokio::test(start_paused = true)]
async fn a_password_that_could_not_be_looked_for_is_not_taken_for_none() {
    let world = world(mallory());
    world.wire.fail("iam:GetLoginProfile", 403, "AccessDenied");
    let setting = settings(|iam| iam.user_session_keys = true);
    let done = run_with(&world.iam, &user_session(), &setting).await;
    let step = done
        .steps
        .iter()
        .find(|step| step.action() == "iam:DisableConsoleAccess");
    let step = step.expect("a step");
    assert_eq!(step.outcome(), Outcome::Failed);
    assert!(step.detail().contains("iam:GetLoginProfile"));
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_iam_does_not_list_is_not_taken_for_deleted() {
    for id in ["ACCAEXAMPLE000000000", "ABIAEXAMPLE000000000"] {
        let world = world(mallory());
        let mut detail = user_detail("mallory");
        detail["resource"]["accessKeyDetails"]["accessKeyId"] = json!(id);
        let (report, _) = answer(&world.iam, &finding(detail)).await;
        assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
        let step = report.steps().iter().find(|step| step.target() == id);
        let step = step.expect("a step");
        assert_eq!(step.outcome(), Outcome::Skipped);
        assert!(
            step.detail().contains("update-service-specific-credential"),
            "{}",
            step.detail()
        );
        let risks = report.residual_risks().join("\n");
        assert!(risks.contains("SSH keys"), "{risks}");
    }
}

#[tokio::test(start_paused = true)]
async fn policies_know_the_path_of_a_key_s_user_or_that_it_is_unread() {
    let by_path = r#"
        permit (principal, action, resource);
        @id("path") forbid (principal, action, resource)
        when { resource is User && resource.arn like "arn:aws:iam::111122223333:user/ci/*" };
        @id("unread") forbid (principal, action, resource)
        when { resource is User && resource.unread.contains("path") };
    "#;
    for (readable, by) in [(true, "path"), (false, "unread")] {
        let mut account = with_a_key_for_bob();
        account.users.get_mut("bob").unwrap().path = "/ci/";
        let world = world(account).configured(&created_keys());
        let finding = user_finding("mallory");
        let seen = world.iam.glance(&finding).await.unwrap();
        if !readable {
            world.wire.fail("iam:GetUser", 403, "AccessDenied");
        }
        let state = world.iam.complete(&finding, &seen).await.expect("the keys");
        let guard = LoadedPolicies::new(by_path);
        let gate = Gate::new::<Iam>(&guard, &finding, &ENFORCING, false, now());
        let plan = gate.plan::<Iam>(&state, &created_keys());
        let made = plan.steps.iter().find(|step| step.key().target == MADE);
        let Some(Step::Withheld(_, why)) = made else {
            panic!("{made:?}")
        };
        assert_eq!(why.by, [by]);
        let stolen = plan.steps.iter().find(|step| step.key().target == KEY);
        assert!(matches!(stolen, Some(Step::Do(_))), "{stolen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_setting_for_sessions_does_not_widen_the_answer_to_a_stolen_key() {
    let world = world(mallory());
    let setting = settings(|iam| iam.user_session_keys = true);
    run_with(&world.iam, &user_finding("mallory"), &setting).await;
    assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
    assert_eq!(world.key("mallory", SECOND), StatusType::Active);
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_principal_made_are_deactivated_only_with_the_setting() {
    let careful = world(with_a_key_for_bob()).configured(&Settings::default());
    run(&careful.iam, &user_finding("mallory")).await;
    assert_eq!(careful.key("bob", MADE), StatusType::Active);
    assert!(
        careful.asked.lock().unwrap().is_empty(),
        "containing does not wait for CloudTrail"
    );

    let bold = world(with_a_key_for_bob()).configured(&created_keys());
    let done = run_with(&bold.iam, &user_finding("mallory"), &created_keys()).await;
    assert!(
        done.steps.iter().all(|s| s.outcome() == Outcome::Applied),
        "{:?}",
        done.steps
    );
    assert_eq!(bold.key("bob", MADE), StatusType::Inactive);
    assert_eq!(bold.key("bob", "AKIABOBSOWN000000000"), StatusType::Active);
    assert!(
        bold.user("bob").inline.is_empty(),
        "Bob's sessions are left alone"
    );
    bold.wire.clear();
    run_with(&bold.iam, &user_finding("mallory"), &created_keys()).await;
    assert!(bold.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_made_key_of_a_protected_user_and_an_attempt_that_failed_are_left_alone() {
    let mut setting = created_keys();
    setting.iam.never_contain = vec!["bob".to_owned()];
    let protected = world(with_a_key_for_bob()).configured(&setting);
    let done = run_with(&protected.iam, &user_finding("mallory"), &setting).await;
    assert!(
        done.steps
            .iter()
            .any(|s| s.target() == MADE && s.outcome() == Outcome::Skipped)
    );
    assert_eq!(protected.key("bob", MADE), StatusType::Active);

    let mut account = with_a_key_for_bob();
    account.events[0]["errorCode"] = json!("AccessDenied");
    let refused = world(account).configured(&created_keys());
    run_with(&refused.iam, &user_finding("mallory"), &created_keys()).await;
    assert_eq!(refused.key("bob", MADE), StatusType::Active);
}

#[tokio::test(start_paused = true)]
async fn a_cloudtrail_that_does_not_answer_stops_no_containment() {
    let world = world(with_a_key_for_bob()).configured(&created_keys());
    world
        .wire
        .fail("cloudtrail:LookupEvents", 400, "ThrottlingException");
    let done = run_with(&world.iam, &user_finding("mallory"), &created_keys()).await;
    assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
    let outcomes: Vec<_> = done.steps.iter().map(StepReport::outcome).collect();
    assert_eq!(
        outcomes.iter().filter(|o| **o == Outcome::Failed).count(),
        1,
        "{:?}",
        done.steps
    );
    let told = investigate(&world.iam, &user_finding("mallory"))
        .await
        .leads;
    assert!(told[0].contains("they could not be read"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_reads_for_information_or_the_other_half_stop_no_containment() {
    for (read, denied) in [
        ("iam:GetLoginProfile", true),
        ("iam:ListServiceSpecificCredentials", true),
        ("iam:ListAttachedUserPolicies", false),
        ("iam:GetUserPolicy", true),
    ] {
        let world = world(mallory());
        world.wire.fail(read, 403, "AccessDenied");
        let done = run(&world.iam, &user_finding("mallory")).await;
        assert_eq!(world.key("mallory", KEY), StatusType::Inactive, "{read}");
        let failed = done.steps.iter().any(|s| s.outcome() == Outcome::Failed);
        assert_eq!(failed, denied, "{read}: {:?}", done.steps);
    }
    let world = world(mallory());
    world.wire.fail("iam:ListAccessKeys", 403, "AccessDenied");
    let done = run(&world.iam, &user_finding("mallory")).await;
    assert!(!world.user("mallory").inline.is_empty());
    assert!(
        done.steps
            .iter()
            .any(|s| s.target() == KEY && s.outcome() == Outcome::Failed)
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_console_password_and_an_old_key_are_pointed_out() {
    let mut account = mallory();
    let user = account.users.get_mut("mallory").unwrap();
    user.console = true;
    let world = world(account);
    let done = run(&world.iam, &user_finding("mallory")).await;
    let risks = done.residual_risks.join("\n");
    assert!(
        risks.contains("console password") && risks.contains("a new sign-in is not"),
        "{risks}"
    );
    assert!(
        risks.contains("another active key") && !risks.contains("after the first event"),
        "{risks}"
    );
    assert_eq!(world.key("mallory", SECOND), StatusType::Active);
}

#[tokio::test(start_paused = true)]
async fn leads_name_changes_by_the_principal_and_the_opener_of_its_session() {
    let mut account = with_a_key_for_bob();
    account.events.push(by_key(
        KEY,
        "CreateUser",
        json!({ "userName": "eve\u{202e}" }),
        Value::Null,
    ));
    account.events.push(by_key(
        KEY,
        "AssumeRole",
        json!({ "roleArn": "arn:aws:iam::111122223333:role/admin", "roleSessionName": "x" }),
        Value::Null,
    ));
    account
        .events
        .push(by_key(KEY, "ListBuckets", Value::Null, Value::Null));
    let user = world(account);
    let told = investigate(&user.iam, &user_finding("mallory")).await.leads;
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains(MADE) && told[0].contains("bob"));
    assert!(told[1].contains("eve") && !told[1].contains('\u{202e}'));
    assert!(told[2].contains("role/admin") && told[2].contains("outlives"));
    assert!(user.wire.writes().is_empty(), "it changes nothing");

    let mut account = payroll(json!({ "AWS": "arn:aws:iam::111122223333:root" }));
    let caller = json!({ "arn": "arn:aws:iam::111122223333:user/ci", "accessKeyId": "AKIACI00000000000000" });
    account.events = vec![json!({
        "eventName": "AssumeRole", "eventTime": "2026-03-04T04:00:00Z", "userIdentity": caller,
        "responseElements": { "credentials": { "accessKeyId": "ASIASESSION000000000" } },
    })];
    let role = world(account);
    let told = investigate(&role.iam, &session_finding()).await.leads;
    assert!(
        told[0].contains("arn:aws:iam::111122223333:user/ci"),
        "{told:?}"
    );
    assert!(told[1].contains("it shows no credential"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn leads_name_the_identity_center_user_of_a_session() {
    let mut account = payroll(json!({ "Federated": "identity-center" }));
    let caller = json!({
        "accessKeyId": "ASIASESSION000000000",
        "onBehalfOf": { "userId": "94482488-3041-7026-18f3-be45837cd0e4" },
    });
    account.events = vec![json!({ "eventName": "ListBuckets", "userIdentity": caller })];
    let world = world(account);
    let told = investigate(&world.iam, &session_finding())
        .await
        .leads
        .join("\n");
    assert!(
        told.contains("94482488-3041-7026-18f3-be45837cd0e4"),
        "{told}"
    );
}
