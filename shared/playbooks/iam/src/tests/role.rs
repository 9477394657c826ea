//! Sessions of roles, and roles as a whole.

use model::planner::Planner as _;
use serde_json::{Value, json};

use super::super::Iam;
use super::world::{Account, Entity, settings, world};
use aws::playbook::Playbook as _;
use fixtures::{finding, now, run, run_with};
use model::finding::Finding;
use model::plan::{Action as _, Step};
use model::report::Outcome;
use model::settings::Settings;

/// A role that `principal` may assume.
pub(super) fn payroll(principal: Value) -> Account {
    let payroll = Entity {
        id: "AROAPAYROLL",
        path: "/",
        trust: json!({ "Statement": [{ "Effect": "Allow", "Principal": principal }] }),
        ..Entity::default()
    };
    Account {
        roles: [("payroll".to_owned(), payroll)].into(),
        ..Account::default()
    }
}

pub(super) fn acted(principal_id: &str, seen: &str) -> Finding {
    finding(acted_detail(principal_id, seen))
}

/// The detail of [`acted`].
pub(super) fn acted_detail(principal_id: &str, seen: &str) -> Value {
    json!({
        "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
        "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
            "accessKeyId": "ASIASESSION000000000", "principalId": principal_id,
            "userName": "payroll", "userType": "AssumedRole",
        } },
        "service": { "eventLastSeen": seen },
    })
}

pub(super) fn session_finding() -> Finding {
    acted("AROAPAYROLL:build-42", "2026-03-04T05:00:00Z")
}

pub(super) fn wide() -> Settings {
    settings(|iam| iam.role_wide = true)
}

pub(super) fn own_account() -> Value {
    json!({ "AWS": "arn:aws:iam::111122223333:root" })
}

#[tokio::test(start_paused = true)]
async fn by_default_only_the_session_is_denied() {
    let world = world(payroll(own_account()));
    let done = run(&world.iam, &session_finding()).await;
    assert_eq!(done.steps.len(), 1);
    let inline = world.role("payroll").inline;
    assert_eq!(
        inline.keys().collect::<Vec<_>>(),
        ["gdr-deny-session-build-42"]
    );
    let risks = done.residual_risks.join("\n");
    assert!(risks.contains("arn:aws:iam::111122223333:root"), "{risks}");
}

#[tokio::test(start_paused = true)]
async fn with_the_setting_all_sessions_are_cut_off_and_the_report_says_whose() {
    let world = world(payroll(
        json!({ "Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"] }),
    ));
    let done = run_with(&world.iam, &session_finding(), &wide()).await;
    let steps: Vec<_> = done
        .steps
        .iter()
        .map(|s| (s.action(), s.outcome()))
        .collect();
    assert_eq!(
        steps,
        [
            ("iam:DenyRoleSession", Outcome::Applied),
            ("iam:RevokeRoleSessions", Outcome::Applied),
        ]
    );
    let inline = world.role("payroll").inline;
    assert!(
        inline["gdr-revoke-role-sessions"].contains("2026-03-04T05:06:08Z"),
        "{inline:?}"
    );
    let risks = done.residual_risks.join("\n");
    for word in [
        "lambda.amazonaws.com",
        "warm environments",
        "every EC2 instance",
        "service role",
    ] {
        assert!(risks.contains(word), "{word}: {risks}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_role_wide_cut_off_stands_for_old_activity_and_moves_forward_for_new() {
    let world = world(payroll(own_account()));
    run_with(&world.iam, &session_finding(), &wide()).await;
    world.wire.clear();
    let again = run_with(&world.iam, &session_finding(), &wide()).await;
    assert!(again.steps.iter().all(|s| s.outcome() == Outcome::Already));
    assert!(world.wire.writes().is_empty());

    let later = acted("AROAPAYROLL:build-42", "2026-03-04T07:00:00Z");
    let state = world.iam.observe(&later).await.unwrap();
    let plan = Iam::plan(
        &later,
        &state,
        &wide(),
        "2026-03-04T07:05:00Z".parse().unwrap(),
    );
    let moved: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Do(action) => Some(action.to()["Statement"][0]["Condition"].clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        moved,
        [json!({ "DateLessThan": { "aws:TokenIssueTime": "2026-03-04T07:05:00Z" } })]
    );
}

#[tokio::test(start_paused = true)]
async fn a_finding_without_the_session_revokes_the_role_only_with_the_setting() {
    let unnamed = acted("AROAPAYROLL", "2026-03-04T05:00:00Z");
    let careful = world(payroll(own_account()));
    let done = run(&careful.iam, &unnamed).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    let detail = done.steps[0].detail();
    assert!(
        detail.contains("would hit everybody") && detail.contains("arn:aws:iam::111122223333:root"),
        "{detail}"
    );
    assert!(careful.wire.writes().is_empty());

    let bold = world(payroll(own_account()));
    let done = run_with(&bold.iam, &unnamed, &wide()).await;
    assert_eq!(done.steps.len(), 1);
    assert_eq!(
        done.steps[0].outcome(),
        Outcome::Applied,
        "{:?}",
        done.steps
    );
}

#[tokio::test(start_paused = true)]
async fn releasing_a_role_restores_exactly_its_policies() {
    let mut account = payroll(own_account());
    let found = json!({ "Version": "2012-10-17", "Statement": [] });
    let role = account.roles.get_mut("payroll").unwrap();
    role.inline
        .insert("gdr-deny-session-build-42".to_owned(), found.to_string());
    let world = world(account);
    let state = world.iam.observe(&session_finding()).await.unwrap();
    let plan = Iam::plan(&session_finding(), &state, &wide(), now());
    run_with(&world.iam, &session_finding(), &wide()).await;
    for step in plan.steps {
        let Step::Do(action) = step else {
            panic!("{step:?}")
        };
        for _ in 0..2 {
            world.iam.restore(&action).await.unwrap();
        }
    }
    let inline = world.role("payroll").inline;
    assert_eq!(
        inline,
        [("gdr-deny-session-build-42".to_owned(), found.to_string())].into()
    );
}

#[tokio::test(start_paused = true)]
async fn the_sharers_of_a_session_name_depend_on_the_trust_of_the_role() {
    for (service, session, hit) in [
        (
            "lambda.amazonaws.com",
            "pay-out",
            "every execution environment",
        ),
        (
            "ecs-tasks.amazonaws.com",
            "0123abc",
            "other tasks keep them",
        ),
        (
            "ec2.amazonaws.com",
            "i-0abc1234def567890",
            "other instances keep them",
        ),
    ] {
        let world = world(payroll(json!({ "Service": service })));
        let finding = acted(&format!("AROAPAYROLL:{session}"), "2026-03-04T05:00:00Z");
        let done = run(&world.iam, &finding).await;
        let risks = done.residual_risks.join("\n");
        assert!(risks.contains(hit), "{service}: {risks}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_of_identity_center_is_left_alone_and_the_notice_has_the_policy_to_paste() {
    let mut account = payroll(own_account());
    account.roles.get_mut("payroll").unwrap().path = "/aws-reserved/sso.amazonaws.com/";
    let world = world(account);
    let done = run_with(&world.iam, &session_finding(), &wide()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Skipped);
    let detail = done.steps[0].detail();
    assert!(detail.contains("IAM Identity Center"), "{detail}");
    let policy: Value = serde_json::from_str(&detail[detail.find('{').unwrap()..]).unwrap();
    let conditions: Vec<_> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["Condition"])
        .collect();
    assert!(conditions[0]["StringEquals"]["identitystore:UserId"].is_string());
    assert_eq!(conditions[1]["StringLike"]["aws:userid"], "*:build-42");
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_policy_is_distinguished_from_none() {
    let world = world(payroll(own_account()));
    world.wire.fail("iam:GetRolePolicy", 500, "ServiceFailure");
    let done = run_with(&world.iam, &session_finding(), &wide()).await;
    assert!(
        done.steps.iter().all(|s| s.outcome() == Outcome::Failed),
        "{:?}",
        done.steps
    );
    assert!(done.transient.is_some());
    assert!(world.wire.writes().is_empty());
}
