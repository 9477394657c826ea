//! What is done where the inline policies leave no room for the narrow one.

use serde_json::json;

use super::world::{DENY_ALL, KEY, World, mallory, settings, world};
use aws::playbook::Playbook as _;
use fixtures::{now, run, run_with, user_finding};
use model::plan::{Action as _, Step};
use model::planner::Planner as _;
use model::report::Outcome;
use model::settings::Settings;

use super::super::{Action, Iam};
use super::role::{payroll, session_finding};

/// What is planned about Mallory.
async fn planned(world: &World) -> Vec<Action> {
    let finding = user_finding("mallory");
    let state = world.iam.observe(&finding).await.unwrap();
    let plan = Iam::plan(&finding, &state, &Settings::default(), now());
    plan.steps
        .into_iter()
        .filter_map(|step| match step {
            Step::Do(action) => Some(action),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_user_without_room_for_the_deny_gets_aws_deny_all_and_the_report_says_who_is_hit() {
    let world = world(mallory());
    world.wire.fail("iam:PutUserPolicy", 409, "LimitExceeded");
    let done = run(&world.iam, &user_finding("mallory")).await;
    assert!(
        done.steps.iter().all(|s| s.outcome() == Outcome::Applied),
        "{:?}",
        done.steps
    );
    assert!(
        done.steps[0].detail().contains("AWSDenyAll is attached"),
        "{:?}",
        done.steps
    );
    assert!(world.user("mallory").attached.contains(DENY_ALL));
    let risks = done.residual_risks.join("\n");
    assert!(
        risks.contains("all of mallory is blocked") && risks.contains("AKIASECOND"),
        "{risks}"
    );
    world.wire.clear();
    run(&world.iam, &user_finding("mallory")).await;
    assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
}

#[tokio::test(start_paused = true)]
async fn a_user_to_whom_nothing_more_can_be_attached_gets_the_boundary() {
    let world = world(mallory());
    world.change_mallory(|user| {
        user.boundary = Some("arn:aws:iam::111122223333:policy/limits".to_owned())
    });
    world.wire.fail("iam:PutUserPolicy", 409, "LimitExceeded");
    world
        .wire
        .fail("iam:AttachUserPolicy", 409, "LimitExceeded");
    let actions = planned(&world).await;
    assert_eq!(
        actions[0].from()["PermissionsBoundary"],
        "arn:aws:iam::111122223333:policy/limits"
    );
    let done = run(&world.iam, &user_finding("mallory")).await;
    assert_eq!(
        done.steps[0].outcome(),
        Outcome::Applied,
        "{:?}",
        done.steps
    );
    assert!(
        done.steps[0].detail().contains("boundary"),
        "{:?}",
        done.steps
    );
    assert_eq!(world.user("mallory").boundary.as_deref(), Some(DENY_ALL));
    for _ in 0..2 {
        world.iam.restore(&actions[0]).await.unwrap();
        let user = world.user("mallory");
        assert_eq!(
            user.boundary.as_deref(),
            Some("arn:aws:iam::111122223333:policy/limits")
        );
        assert!(user.attached.is_empty() && user.inline.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_boundary_that_was_not_there_is_taken_away_on_release() {
    let world = world(mallory());
    world.wire.fail("iam:PutUserPolicy", 409, "LimitExceeded");
    world
        .wire
        .fail("iam:AttachUserPolicy", 409, "LimitExceeded");
    let actions = planned(&world).await;
    run(&world.iam, &user_finding("mallory")).await;
    world.iam.restore(&actions[0]).await.unwrap();
    assert_eq!(world.user("mallory").boundary, None);
}

#[tokio::test(start_paused = true)]
async fn release_detaches_only_policies_that_the_responder_attached() {
    let fallen_back = world(mallory());
    fallen_back
        .wire
        .fail("iam:PutUserPolicy", 409, "LimitExceeded");
    let actions = planned(&fallen_back).await;
    run(&fallen_back.iam, &user_finding("mallory")).await;
    fallen_back.iam.restore(&actions[0]).await.unwrap();
    assert!(fallen_back.user("mallory").attached.is_empty());

    // Here the narrow policy found room, and a person quarantined Mallory on top of it.
    let quarantined = world(mallory());
    let actions = planned(&quarantined).await;
    run(&quarantined.iam, &user_finding("mallory")).await;
    quarantined.change_mallory(|user| user.attached.extend([DENY_ALL.to_owned()]));
    quarantined.iam.restore(&actions[0]).await.unwrap();
    let user = quarantined.user("mallory");
    assert!(user.inline.is_empty() && user.attached.contains(DENY_ALL));
}

#[tokio::test(start_paused = true)]
async fn an_existing_deny_of_everything_is_enough() {
    let world = world(mallory());
    world.change_mallory(|user| user.attached.extend([DENY_ALL.to_owned()]));
    let done = run(&world.iam, &user_finding("mallory")).await;
    let outcomes: Vec<_> = done
        .steps
        .iter()
        .map(|s| (s.action(), s.outcome()))
        .collect();
    assert!(
        outcomes.contains(&("iam:RevokeUserSessions", Outcome::Already)),
        "{outcomes:?}"
    );
    assert!(
        outcomes.contains(&("iam:DeactivateAccessKey", Outcome::Applied)),
        "{outcomes:?}"
    );
    assert_eq!(world.wire.writes(), ["iam:UpdateAccessKey"]);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_is_refused_leaves_the_key_deactivated_and_the_deny_failed() {
    for (attach, boundary) in [
        ("AccessDenied", "AccessDenied"),
        ("LimitExceeded", "AccessDenied"),
    ] {
        let world = world(mallory());
        world.wire.fail("iam:PutUserPolicy", 409, "LimitExceeded");
        world.wire.fail("iam:AttachUserPolicy", 403, attach);
        world
            .wire
            .fail("iam:PutUserPermissionsBoundary", 403, boundary);
        let done = run(&world.iam, &user_finding("mallory")).await;
        assert_eq!(done.steps[0].outcome(), Outcome::Failed);
        assert!(
            done.steps[0].detail().contains("AccessDenied"),
            "{:?}",
            done.steps
        );
        assert_eq!(done.steps[1].outcome(), Outcome::Applied);
        assert_eq!(world.key("mallory", KEY).as_str(), "Inactive");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_without_room_is_not_hit_as_a_whole_unless_the_settings_allow_it() {
    let careful = world(payroll(json!({ "AWS": "arn:aws:iam::111122223333:root" })));
    careful.wire.fail("iam:PutRolePolicy", 409, "LimitExceeded");
    let done = run(&careful.iam, &session_finding()).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Failed);
    let detail = done.steps[0].detail();
    assert!(
        detail.contains("IAM_ROLE_WIDE") && detail.contains("AROAPAYROLL:build-42"),
        "{detail}"
    );
    assert!(done.transient.is_none());
    assert!(careful.role("payroll").attached.is_empty());

    let wide = settings(|iam| iam.role_wide = true);
    for full in [
        &["iam:PutRolePolicy"][..],
        &["iam:PutRolePolicy", "iam:AttachRolePolicy"],
    ] {
        let world = world(payroll(json!({ "AWS": "arn:aws:iam::111122223333:root" })));
        for operation in full {
            world.wire.fail(operation, 409, "LimitExceeded");
        }
        let state = world.iam.observe(&session_finding()).await.unwrap();
        let plan = Iam::plan(&session_finding(), &state, &wide, now());
        let done = run_with(&world.iam, &session_finding(), &wide).await;
        assert!(
            done.steps.iter().all(|s| s.outcome() == Outcome::Applied),
            "{:?}",
            done.steps
        );
        assert!(
            done.residual_risks
                .iter()
                .any(|r| r.contains("all of payroll is blocked")),
            "{:?}",
            done.residual_risks
        );
        for step in plan.steps {
            let Step::Do(action) = step else {
                panic!("{step:?}")
            };
            world.iam.restore(&action).await.unwrap();
        }
        let role = world.role("payroll");
        assert!(role.attached.is_empty() && role.boundary.is_none() && role.inline.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_meets_another_one_is_tried_again() {
    let world = world(mallory());
    world
        .wire
        .fail_once("iam:PutUserPolicy", 409, "ConcurrentModification");
    let done = run(&world.iam, &user_finding("mallory")).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Applied);
    assert_eq!(
        world
            .wire
            .writes()
            .iter()
            .filter(|call| **call == "iam:PutUserPolicy")
            .count(),
        2
    );
    assert!(done.transient.is_none());
}

#[test]
fn an_action_survives_the_way_through_the_record() {
    let action = json!({ "RevokeUserSessions": {
        "user": "mallory", "arn": "arn:aws:iam::111122223333:user/mallory",
        "from": "Absent", "cut_off": "2026-03-04T05:06:08Z",
        "deny_all": { "attached": false, "boundary": "arn:aws:iam::111122223333:policy/limits" },
    } });
    let read: Action = serde_json::from_value(action.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), action);
}
