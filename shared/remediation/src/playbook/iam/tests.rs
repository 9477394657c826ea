mod sessions;
mod world;

use std::collections::BTreeSet;

use jiff::ToSpan as _;

use self::world::{Account, OTHER, ROLE_ID, Role, STOLEN, User, World, role, user};
use super::*;
use crate::fixtures::{
    answer, declared, each_call_fails_in_turn, finding, now, run, run_at, user_detail, user_finding,
};
use crate::plan::StepKey;
use crate::report::{Outcome, Report, Status};

/// [`now`], at which sessions are cut off: rounded up to the second.
const CUT_OFF: &str = "2026-03-04T05:06:08Z";

fn stolen_key() -> Finding {
    user_finding("mallory")
}

/// [`stolen_key`] with `changes` to its access key details.
fn by(changes: Value) -> Finding {
    let mut detail = user_detail("mallory");
    let details = detail["resource"]["accessKeyDetails"].as_object_mut();
    let details = details.expect("an object");
    for (member, value) in changes.as_object().expect("an object") {
        details.insert(member.clone(), value.clone());
    }
    finding(detail)
}

fn last_seen(at: Timestamp) -> Finding {
    let mut detail = user_detail("mallory");
    detail["service"] = json!({ "eventLastSeen": at.to_string() });
    finding(detail)
}

fn session_of(role: &str, principal_id: &str) -> Value {
    json!({
        "type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "principalId": principal_id,
            "userName": role,
            "userType": "AssumedRole",
        } },
    })
}

fn stolen_session() -> Finding {
    finding(session_of("deployer", &format!("{ROLE_ID}:alice@corp")))
}

/// The outcome and detail of the step of that name.
fn step<'a>(report: &'a Report, name: &str) -> (Outcome, &'a str) {
    let step = report.steps().iter().find(|step| step.action() == name);
    let step = step.unwrap_or_else(|| panic!("no {name}: {}", report.to_line()));
    (step.outcome(), step.detail())
}

/// Asserts that nothing is contained and nothing written, for a reason that contains `why`.
async fn left_alone(world: &World, finding: &Finding, why: &str) -> Report {
    let (report, transient) = answer(&world.playbook, finding).await;
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert_eq!(report.steps()[0].outcome(), Outcome::Skipped);
    let detail = report.steps()[0].detail();
    assert!(detail.contains(why), "{detail}");
    assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
    assert!(transient.is_none());
    report
}

#[tokio::test(start_paused = true)]
async fn a_stolen_key_is_deactivated_after_the_sessions_it_made_are_denied() {
    let world = World::of_user(user());
    let (report, _) = answer(&world.playbook, &stolen_key()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(
        world.wire.writes(),
        ["iam:PutUserPolicy", "iam:UpdateAccessKey"]
    );
    assert_eq!(world.status_of(STOLEN), StatusType::Inactive);
    assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
}

#[tokio::test(start_paused = true)]
async fn the_first_write_comes_after_one_round_trip_of_three_reads() {
    let world = World::of_user(user());
    run(&world.playbook, &stolen_key()).await;
    let calls = world.wire.calls();
    let reads: BTreeSet<_> = calls[..3].iter().copied().collect();
    let wanted = ["iam:GetUser", "iam:GetUserPolicy", "iam:ListAccessKeys"];
    assert_eq!(reads, BTreeSet::from(wanted));
    assert_eq!(calls[3], "iam:PutUserPolicy", "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn the_other_key_is_left_working_and_named_as_a_risk() {
    let world = World::of_user(user());
    let done = run(&world.playbook, &stolen_key()).await;
    assert_eq!(world.status_of(OTHER), StatusType::Active);
    let names_it = |risk: &String| risk.contains(OTHER) && !risk.contains(STOLEN);
    assert!(done.residual_risks.iter().any(names_it), "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn a_step_shows_what_was_found_and_what_is_wanted() {
    let world = World::of_user(user());
    let state = world.playbook.observe(&stolen_key()).await.unwrap();
    let plan = Iam::plan(
        &stolen_key(),
        &state,
        &crate::settings::Settings::default(),
        now(),
    );
    let [Step::Do(revoke), Step::Do(deactivate)] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(
        revoke.target(),
        "arn:aws:iam::111122223333:user/ops/mallory"
    );
    assert_eq!(revoke.from(), json!({}));
    let condition = &revoke.to()["Statement"][0]["Condition"];
    let before = json!({ "DateLessThan": { "aws:TokenIssueTime": CUT_OFF } });
    assert_eq!(*condition, before);
    assert_eq!(deactivate.target(), STOLEN);
    assert_eq!(deactivate.from(), json!({ "Status": "Active" }));
    assert_eq!(deactivate.to(), json!({ "Status": "Inactive" }));
}

#[tokio::test(start_paused = true)]
async fn a_second_run_plans_nothing_and_writes_nothing() {
    for (world, finding) in [
        (World::of_user(user()), stolen_key()),
        (World::of_role(role()), stolen_session()),
    ] {
        run(&world.playbook, &finding).await;
        world.wire.clear();
        let later = now() + 6.hours();
        let state = world.playbook.observe(&finding).await.unwrap();
        assert!(
            Iam::plan(
                &finding,
                &state,
                &crate::settings::Settings::default(),
                later
            )
            .is_empty()
        );
        run_at(&world.playbook, &finding, later).await;
        assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn activity_after_the_cut_off_moves_it_forward() {
    let world = World::of_user(user());
    run(&world.playbook, &stolen_key()).await;
    for (hours, key) in [(2, StatusType::Active), (4, StatusType::Inactive)] {
        world.user(|user| user.keys[0].1 = key);
        let seen = now() + (hours - 1).hours();
        run_at(&world.playbook, &last_seen(seen), now() + hours.hours()).await;
        let cut_off = format!("2026-03-04T{:02}:06:08Z", 5 + hours);
        assert_eq!(world.cut_off(), Some(cut_off));
        assert_eq!(world.status_of(STOLEN), StatusType::Inactive);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_usable_again_could_make_sessions_so_the_cut_off_moves_forward() {
    let world = World::of_user(user());
    run(&world.playbook, &stolen_key()).await;
    world.user(|user| user.keys[0].1 = StatusType::Active);
    run_at(&world.playbook, &stolen_key(), now() + 2.hours()).await;
    assert_eq!(world.cut_off().as_deref(), Some("2026-03-04T07:06:08Z"));
    assert_eq!(world.status_of(STOLEN), StatusType::Inactive);
}

#[tokio::test(start_paused = true)]
async fn the_cut_off_never_moves_backward() {
    let world = World::of_user(user());
    run_at(&world.playbook, &stolen_key(), now() + 2.hours()).await;
    world.user(|user| user.keys[0].1 = StatusType::Active);
    for seen in [now() - 5.hours(), now(), now() + 1.hour()] {
        run_at(&world.playbook, &last_seen(seen), now()).await;
        assert_eq!(world.cut_off().as_deref(), Some("2026-03-04T07:06:08Z"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deny_that_someone_weakened_is_written_anew() {
    let weaker = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "GuardDutyResponder", "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "DateLessThan": { "aws:TokenIssueTime": CUT_OFF },
                       "StringEquals": { "aws:SourceIp": "192.0.2.1" } },
    }] });
    for document in [weaker.to_string(), "not json".to_owned()] {
        let world = World::of_user(user());
        run(&world.playbook, &stolen_key()).await;
        world.user(|user| drop(user.policies.insert(USER_POLICY.to_owned(), document)));
        let (report, _) = answer(&world.playbook, &stolen_key()).await;
        assert_eq!(step(&report, REVOKE).0, Outcome::Applied);
        assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_is_deactivated_even_if_the_deny_is_refused() {
    for (status, code) in [(403, "AccessDenied"), (409, "LimitExceeded")] {
        let world = World::of_user(user());
        world.wire.fail("iam:PutUserPolicy", status, code);
        let (report, transient) = answer(&world.playbook, &stolen_key()).await;
        assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
        let (outcome, detail) = step(&report, REVOKE);
        assert_eq!(outcome, Outcome::Failed);
        assert!(detail.contains("iam:PutUserPolicy") && detail.contains(code));
        assert_eq!(step(&report, DEACTIVATE).0, Outcome::Applied);
        assert_eq!(world.status_of(STOLEN), StatusType::Inactive);
        assert!(transient.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_deactivated_is_a_failure_that_names_the_permission() {
    let world = World::of_user(user());
    world.wire.fail("iam:UpdateAccessKey", 403, "AccessDenied");
    let (report, transient) = answer(&world.playbook, &stolen_key()).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, DEACTIVATE);
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        detail.contains("role allows iam:UpdateAccessKey"),
        "{detail}"
    );
    assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
    assert!(transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn policies_that_are_accepted_and_not_kept_are_a_failure() {
    for (user, role, finding, name) in [
        (Some(user()), None, stolen_key(), REVOKE),
        (None, Some(role()), stolen_session(), DENY_SESSION),
    ] {
        let world = World::new(Account {
            user,
            role,
            forgets: true,
        });
        let (report, _) = answer(&world.playbook, &finding).await;
        let (outcome, detail) = step(&report, name);
        assert_eq!(outcome, Outcome::Failed);
        assert!(detail.contains("reading back does not show it"), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_inactive_or_deleted_still_has_sessions_to_cut_off() {
    let inactive = vec![(STOLEN, StatusType::Inactive)];
    for (keys, detail) in [(inactive, "Inactive"), (vec![], "no longer exists")] {
        let world = World::of_user(User { keys, ..user() });
        let (report, _) = answer(&world.playbook, &stolen_key()).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert_eq!(world.wire.writes(), ["iam:PutUserPolicy"]);
        let (outcome, why) = step(&report, DEACTIVATE);
        assert_eq!(outcome, Outcome::Already);
        assert!(why.contains(detail), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_a_user_is_cut_off_and_no_key_is_touched() {
    let world = World::of_user(user());
    let session = by(json!({ "accessKeyId": "ASIAIOSFODNN7EXAMPLE" }));
    let (report, _) = answer(&world.playbook, &session).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(world.wire.writes(), ["iam:PutUserPolicy"]);
    let done = run(&world.playbook, &session).await;
    assert!(done.next_steps[0].contains("how the session of mallory was made"));
    let risks = done.residual_risks.join("\n");
    assert!(risks.contains(STOLEN) && risks.contains(OTHER), "{risks}");
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_gone_is_left_alone() {
    let world = World::new(Account::default());
    left_alone(&world, &stolen_key(), "credentials are void").await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_was_created_anew_under_the_same_name_is_left_alone() {
    let world = World::of_user(User {
        id: "AIDASOMEONEELSE",
        ..user()
    });
    left_alone(&world, &stolen_key(), "AIDASOMEONEELSE").await;
}

#[tokio::test(start_paused = true)]
async fn without_a_principal_id_the_key_shows_whether_it_is_the_same_user() {
    for principal in [json!(null), json!("")] {
        let world = World::of_user(user());
        let finding = by(json!({ "principalId": principal }));
        let (report, _) = answer(&world.playbook, &finding).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        let world = World::of_user(User {
            keys: vec![(OTHER, StatusType::Active)],
            ..user()
        });
        left_alone(&world, &finding, "no id given").await;
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_the_answer_is_true_and_a_retry_completes_the_containment() {
    let gone = |_: &str| "NoSuchEntity";
    each_call_fails_in_turn(&stolen_key(), || World::of_user(user()), gone).await;
    each_call_fails_in_turn(&stolen_session(), || World::of_role(role()), gone).await;
}

#[tokio::test(start_paused = true)]
async fn the_calls_are_those_that_the_playbook_declares_permissions_for() {
    let mut called = BTreeSet::new();
    for (world, finding) in [
        (World::of_user(user()), stolen_key()),
        (World::of_role(role()), stolen_session()),
        (World::new(Account::default()), stolen_key()),
    ] {
        run(&world.playbook, &finding).await;
        called.extend(world.wire.calls());
    }
    assert_eq!(called, declared::<Iam>());
}
