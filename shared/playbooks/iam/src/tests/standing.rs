//! The cut-off that stands when it is written, and the minute for which it is ahead of the containment.

use jiff::ToSpan as _;

use super::super::action::{ROLE_POLICY, USER_POLICY};
use super::super::policy_document::{deny_sessions_before, deny_user_sessions_before};
use super::super::{Action, Iam};
use super::role::{own_account, payroll, session_finding, wide};
use super::world::{World, mallory, settings, world};
use super::{CUT_OFF, last_seen, stolen_key};
use aws::playbook::Playbook as _;
use fixtures::{now, run, run_at, run_with};
use model::finding::Finding;
use model::plan::{Action as _, Step};
use model::planner::Planner as _;
use model::settings::Settings;

/// What is planned about a finding.
async fn planned(world: &World, finding: &Finding, settings: &Settings) -> Vec<Action> {
    let state = world.iam.observe(finding).await.unwrap();
    let steps = Iam::plan(finding, &state, settings, now()).steps;
    let planned = steps.into_iter().filter_map(|step| match step {
        Step::Do(action) => Some(action),
        _ => None,
    });
    planned.collect()
}

#[tokio::test(start_paused = true)]
async fn a_cut_off_that_another_invocation_moved_meanwhile_is_not_moved_back() {
    let at = |hours: i64| {
        deny_user_sessions_before((now() + hours.hours()).round(jiff::Unit::Second).unwrap())
    };
    for before in [None, Some(at(-5))] {
        for (meanwhile, kept) in [(at(3), true), (at(-3), false)] {
            let world = world(mallory());
            let put = |document: &serde_json::Value| {
                let document = document.to_string();
                world.change_mallory(|user| {
                    drop(user.inline.insert(USER_POLICY.to_owned(), document))
                });
            };
            before.iter().for_each(put);
            let actions = planned(&world, &stolen_key(), &Settings::default()).await;
            put(&meanwhile);
            world.iam.apply(&actions[0]).await.unwrap();
            let stands = world.policy(USER_POLICY).unwrap();
            let wanted = if kept { meanwhile } else { actions[0].to() };
            assert_eq!(stands, wanted, "{before:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn that_of_a_role_is_not_moved_back_either() {
    let world = world(payroll(own_account()));
    let actions = planned(&world, &session_finding(), &wide()).await;
    let later = deny_sessions_before("2026-03-04T09:00:00Z".parse().unwrap());
    {
        let mut account = world.account.lock().unwrap();
        let role = account.roles.get_mut("payroll").unwrap();
        role.inline
            .insert(ROLE_POLICY.to_owned(), later.to_string());
    }
    let revoke = actions
        .iter()
        .find(|action| action.name() == "iam:RevokeRoleSessions");
    world
        .iam
        .apply(revoke.expect("a revocation"))
        .await
        .unwrap();
    assert_eq!(world.policy(ROLE_POLICY), Some(later));
}

#[tokio::test(start_paused = true)]
async fn sessions_are_cut_off_a_minute_ahead_where_a_key_is_deactivated_and_the_report_says_so() {
    let world = world(mallory());
    let done = run(&world.iam, &stolen_key()).await;
    assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
    let risks = done.residual_risks.join("\n");
    assert!(
        risks.contains(&format!("sessions from before {CUT_OFF} are cut off too")),
        "{risks}"
    );
    // The looks, and what was done until the cut-off.
    for (seconds, seen) in [(10, -360), (60, 5), (300, 50)] {
        world.wire.clear();
        let finding = last_seen(now() + seen.seconds());
        run_at(&world.iam, &finding, now() + seconds.seconds()).await;
        assert!(
            world.wire.writes().is_empty(),
            "after {seconds} s: {:?}",
            world.wire.writes()
        );
        assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
    }
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_a_stolen_session_count_too_and_a_release_takes_the_deny_off() {
    let session = super::by(serde_json::json!({ "accessKeyId": "ASIAIOSFODNN7EXAMPLE" }));
    let keys = settings(|iam| iam.user_session_keys = true);
    let world = world(mallory());
    let actions = planned(&world, &session, &keys).await;
    run_with(&world.iam, &session, &keys).await;
    assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
    world.iam.restore(&actions[0]).await.unwrap();
    assert_eq!(world.cut_off(), None);
}
