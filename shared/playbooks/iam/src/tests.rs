mod afterwards;
mod cases;
mod fallback;
mod faults;
mod federated;
mod golden;
mod hostile;
mod investigation;
mod keys;
mod lag;
mod mark;
mod policies;
mod rails;
mod release;
mod renamed;
mod role;
mod sessions;
mod shared_name;
mod standing;
mod way_back;
mod world;

use model::planner::Planner as _;
use std::collections::BTreeSet;

use aws_sdk_iam::types::StatusType;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use self::federated::{by_mallory, federated, issued_by};
use self::role::{own_account, payroll, session_finding, wide};
use self::world::{Account, DENY_ALL, KEY, SECOND, World, mallory, mallory_with, world};
use super::Iam;
use super::action::USER_POLICY;
use aws::playbook::Playbook as _;
use fixtures::waves::{contained, contained_with, slow};
use fixtures::{
    answer, declared, each_call_fails_in_turn, event, finding, investigate, now, run, run_at,
    run_with, user_detail, user_finding,
};
use model::actions::iam::{CONSOLE, DEACTIVATE, DEACTIVATE_CREDENTIAL, DENY_SESSION, REVOKE};
use model::finding::Finding;
use model::plan::{Action as _, Step};
use model::report::{Outcome, Report, Status};
use model::settings::Settings;

/// A minute after [`now`], rounded up to the second: until then sessions are cut off where a key is
/// deactivated.
const CUT_OFF: &str = "2026-03-04T05:07:08Z";

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

/// The outcome and detail of the step of that name.
fn step<'a>(report: &'a Report, name: &str) -> (Outcome, &'a str) {
    let step = report.steps().iter().find(|step| step.action() == name);
    let step = step.unwrap_or_else(|| panic!("no {name}: {}", report.to_line()));
    (step.outcome(), step.detail())
}

/// Asserts that nothing is contained and nothing written, for a reason that contains `why`.
async fn left_alone(world: &World, finding: &Finding, why: &str) -> Report {
    let (report, transient) = answer(&world.iam, finding).await;
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert_eq!(report.steps()[0].outcome(), Outcome::Skipped);
    let detail = report.steps()[0].detail();
    assert!(detail.contains(why), "{detail}");
    assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
    assert!(transient.is_none());
    report
}

#[tokio::test(start_paused = true)]
async fn a_stolen_key_is_deactivated_and_the_sessions_it_made_are_denied() {
    let world = world(mallory());
    let (report, _) = answer(&world.iam, &stolen_key()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(
        world.wire.writes(),
        ["iam:PutUserPolicy", "iam:UpdateAccessKey"]
    );
    assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
    assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
}

#[tokio::test(start_paused = true)]
async fn the_first_write_comes_after_one_round_trip_of_seven_reads() {
    let world = world(mallory());
    run(&world.iam, &stolen_key()).await;
    let calls = world.wire.calls();
    let reads: BTreeSet<_> = calls[..7].iter().copied().collect();
    let wanted = [
        "iam:GetAccountSummary",
        "iam:GetLoginProfile",
        "iam:GetUser",
        "iam:GetUserPolicy",
        "iam:ListAccessKeys",
        "iam:ListAttachedUserPolicies",
        "iam:ListServiceSpecificCredentials",
    ];
    assert_eq!(reads, BTreeSet::from(wanted));
    // What stands by now is looked at beside it.
    let beside = ["iam:GetUserPolicy", "iam:PutUserPolicy"];
    assert_eq!(calls[7..9], beside, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn two_round_trips_come_before_the_deny_and_the_deactivation_which_are_asked_for_at_once() {
    let world = world(mallory());
    let iam = Iam::over(
        slow!(aws_sdk_iam, world.iam.clients.iam),
        world.principals(),
    );
    let course = contained(iam, event(user_detail("mallory"))).await;
    for write in ["iam:PutUserPolicy", "iam:UpdateAccessKey"] {
        assert_eq!(course.before(&world.wire, write), 2, "{write}");
    }
    // The windows of the account and of its users.
    assert_eq!(course.before_own("dynamodb:TransactWriteItems"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_keys_that_the_principal_made_are_looked_for_beside_and_not_before_the_containment() {
    let world = world(keys::with_a_key_for_bob());
    let (trail, late) = (world.trail(), std::time::Duration::from_millis(1_500));
    let trail = slow!(aws_sdk_cloudtrail, trail, late);
    let iam = Iam::over(
        slow!(aws_sdk_iam, world.iam.clients.iam),
        world.principals_by(trail),
    );
    let course = contained_with(&keys::created_keys(), iam, event(user_detail("mallory"))).await;
    for write in ["iam:PutUserPolicy", "iam:UpdateAccessKey"] {
        assert_eq!(course.before(&world.wire, write), 2, "{write}");
    }
    assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
    assert_eq!(world.key("bob", keys::MADE), StatusType::Inactive);
}

#[tokio::test(start_paused = true)]
async fn the_other_key_is_left_working_and_named_as_a_risk() {
    let world = world(mallory());
    let done = run(&world.iam, &stolen_key()).await;
    assert_eq!(world.key("mallory", SECOND), StatusType::Active);
    let names_it = |risk: &String| risk.contains(SECOND) && !risk.contains(KEY);
    assert!(done.residual_risks.iter().any(names_it), "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn a_step_shows_the_found_and_the_wanted_value() {
    let world = world(mallory());
    let state = world.iam.observe(&stolen_key()).await.unwrap();
    let plan = Iam::plan(&stolen_key(), &state, &Settings::default(), now());
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
    assert_eq!(deactivate.target(), KEY);
    assert_eq!(deactivate.from(), json!({ "Status": "Active" }));
    assert_eq!(deactivate.to(), json!({ "Status": "Inactive" }));
}

#[tokio::test(start_paused = true)]
async fn a_second_run_plans_nothing_and_writes_nothing() {
    for (world, finding) in [
        (world(mallory()), stolen_key()),
        (world(payroll(own_account())), session_finding()),
    ] {
        run(&world.iam, &finding).await;
        world.wire.clear();
        let later = now() + 6.hours();
        let state = world.iam.observe(&finding).await.unwrap();
        assert!(Iam::plan(&finding, &state, &Settings::default(), later).is_empty());
        run_at(&world.iam, &finding, later).await;
        assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn activity_after_the_cut_off_moves_it_forward() {
    let world = world(mallory());
    run(&world.iam, &stolen_key()).await;
    for (hours, key) in [(2, StatusType::Active), (4, StatusType::Inactive)] {
        world.change_mallory(|user| user.keys[0].1 = key);
        let seen = now() + (hours - 1).hours();
        run_at(&world.iam, &last_seen(seen), now() + hours.hours()).await;
        let cut_off = format!("2026-03-04T{:02}:07:08Z", 5 + hours);
        assert_eq!(world.cut_off(), Some(cut_off));
        assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_usable_again_could_make_sessions_so_the_cut_off_moves_forward() {
    let world = world(mallory());
    run(&world.iam, &stolen_key()).await;
    world.change_mallory(|user| user.keys[0].1 = StatusType::Active);
    run_at(&world.iam, &stolen_key(), now() + 2.hours()).await;
    assert_eq!(world.cut_off().as_deref(), Some("2026-03-04T07:07:08Z"));
    assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
}

#[tokio::test(start_paused = true)]
async fn the_cut_off_never_moves_backward() {
    let world = world(mallory());
    run_at(&world.iam, &stolen_key(), now() + 2.hours()).await;
    world.change_mallory(|user| user.keys[0].1 = StatusType::Active);
    for seen in [now() - 5.hours(), now(), now() + 1.hour()] {
        run_at(&world.iam, &last_seen(seen), now()).await;
        assert_eq!(world.cut_off().as_deref(), Some("2026-03-04T07:07:08Z"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deny_that_someone_weakened_is_written_anew() {
    let weaker = |resource: &str, condition: &Value| {
        let statement = json!({
            "Sid": "GuardDutyResponder", "Effect": "Deny", "Action": "*", "Resource": resource,
            "Condition": condition,
        });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    let before = json!({ "DateLessThan": { "aws:TokenIssueTime": CUT_OFF } });
    let mut narrower = before.clone();
    narrower["StringEquals"] = json!({ "aws:SourceIp": "192.0.2.1" });
    for document in [
        weaker("*", &narrower),
        weaker("arn:aws:s3:::none", &before),
        "not json".to_owned(),
    ] {
        let world = world(mallory());
        run(&world.iam, &stolen_key()).await;
        world.change_mallory(|user| drop(user.inline.insert(USER_POLICY.to_owned(), document)));
        let (report, _) = answer(&world.iam, &stolen_key()).await;
        assert_eq!(step(&report, REVOKE).0, Outcome::Applied);
        assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_is_deactivated_even_if_the_deny_is_refused() {
    for (status, code) in [(403, "AccessDenied"), (400, "MalformedPolicyDocument")] {
        let world = world(mallory());
        world.wire.fail("iam:PutUserPolicy", status, code);
        let (report, transient) = answer(&world.iam, &stolen_key()).await;
        assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
        let (outcome, detail) = step(&report, REVOKE);
        assert_eq!(outcome, Outcome::Failed);
        assert!(detail.contains("iam:PutUserPolicy") && detail.contains(code));
        assert_eq!(step(&report, DEACTIVATE).0, Outcome::Applied);
        assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
        assert!(transient.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_deactivated_is_a_failure_that_names_the_permission() {
    let world = world(mallory());
    world.wire.fail("iam:UpdateAccessKey", 403, "AccessDenied");
    let (report, transient) = answer(&world.iam, &stolen_key()).await;
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
    for (account, finding, name) in [
        (mallory(), stolen_key(), REVOKE),
        (payroll(own_account()), session_finding(), DENY_SESSION),
    ] {
        let world = world(Account {
            forgets: true,
            ..account
        });
        let (report, _) = answer(&world.iam, &finding).await;
        let (outcome, detail) = step(&report, name);
        assert_eq!(outcome, Outcome::Failed);
        assert!(
            detail.contains("reading back does not show it in effect"),
            "{detail}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_inactive_or_deleted_still_has_sessions_to_cut_off() {
    let inactive = vec![(KEY, StatusType::Inactive, 0)];
    for (keys, detail) in [(inactive, "Inactive"), (vec![], "no longer exists")] {
        let world = world(mallory_with(|user| user.keys = keys));
        let (report, _) = answer(&world.iam, &stolen_key()).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert_eq!(world.wire.writes(), ["iam:PutUserPolicy"]);
        let (outcome, why) = step(&report, DEACTIVATE);
        assert_eq!(outcome, Outcome::Already);
        assert!(why.contains(detail), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_a_user_is_cut_off_and_as_long_as_its_keys_work_that_is_not_the_whole_of_it() {
    let world = world(mallory());
    let session = by(json!({ "accessKeyId": "ASIAIOSFODNN7EXAMPLE" }));
    let (report, _) = answer(&world.iam, &session).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert!(report.reason().contains("IAM_USER_SESSION_KEYS is off"));
    assert_eq!(world.wire.writes(), ["iam:PutUserPolicy"]);
    // No key is deactivated whose sessions were to be waited for.
    assert_eq!(world.cut_off().as_deref(), Some("2026-03-04T05:06:08Z"));
    let done = run(&world.iam, &session).await;
    assert!(done.next_steps[0].contains("how the session of mallory was opened"));
    let risks = done.residual_risks.join("\n");
    assert!(risks.contains(KEY) && risks.contains(SECOND), "{risks}");
}

#[tokio::test(start_paused = true)]
async fn the_credentials_of_a_missing_user_are_not_reported_as_void() {
    for finding in [
        stolen_key(),
        by(json!({ "accessKeyId": "ASIAIOSFODNN7EXAMPLE" })),
    ] {
        let world = world(Account::default());
        let report = left_alone(&world, &finding, "it was deleted or renamed").await;
        let detail = report.steps()[0].detail();
        assert!(!detail.contains("void"), "{detail}");
        assert!(detail.contains("UserId=='AIDAEXAMPLEUSERID'"), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_was_created_anew_under_the_same_name_is_left_alone() {
    let world = world(mallory_with(|user| user.id = "AIDASOMEONEELSE"));
    left_alone(&world, &stolen_key(), "AIDASOMEONEELSE").await;
}

#[tokio::test(start_paused = true)]
async fn without_a_principal_id_the_key_shows_whether_it_is_the_same_user() {
    for principal in [json!(null), json!("")] {
        let same = world(mallory());
        let finding = by(json!({ "principalId": principal }));
        let (report, _) = answer(&same.iam, &finding).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        let another = world(mallory_with(|user| drop(user.keys.remove(0))));
        left_alone(&another, &finding, "no id given").await;
    }
}

/// How every operation of IAM says that something does not exist.
fn gone(_operation: &str) -> &'static str {
    "NoSuchEntity"
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_the_answer_is_true_and_a_retry_completes_the_containment() {
    each_call_fails_in_turn(&stolen_key(), || world(mallory()), gone).await;
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_about_a_session_of_a_role_the_answer_is_true() {
    let role = || {
        let world = world(payroll(own_account()));
        world.judged_by(|world| world.denies_session("build-42"))
    };
    each_call_fails_in_turn(&session_finding(), role, gone).await;
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_about_a_federated_session_the_answer_is_true() {
    // No key is deactivated, so that the cut-off is not a minute ahead.
    let issuer = || {
        let world = world(issued_by(by_mallory()));
        world.judged_by(|world| world.cut_off().as_deref() == Some("2026-03-04T05:06:08Z"))
    };
    each_call_fails_in_turn(&federated(), issuer, gone).await;
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_while_falling_back_the_answer_is_true() {
    let full = || {
        let account = Account {
            full: true,
            ..mallory()
        };
        world(account).judged_by(|world| {
            let user = world.user("mallory");
            user.attached.contains(DENY_ALL) && world.key("mallory", KEY) == StatusType::Inactive
        })
    };
    each_call_fails_in_turn(&stolen_key(), full, gone).await;
}

#[tokio::test(start_paused = true)]
async fn the_calls_are_those_that_the_playbook_declares_permissions_for() {
    let mut called = BTreeSet::new();
    for (account, finding) in [
        (mallory as fn() -> Account, stolen_key()),
        (investigation::grouped, stolen_key()),
        (|| payroll(own_account()), session_finding()),
        (|| issued_by(by_mallory()), federated()),
        (Account::default, stolen_key()),
        (
            way_back::with_credentials,
            by(json!({ "accessKeyId": way_back::BEDROCK })),
        ),
    ] {
        for full in [
            &[][..],
            &["iam:PutUserPolicy", "iam:PutRolePolicy"],
            &[
                "iam:PutUserPolicy",
                "iam:PutRolePolicy",
                "iam:AttachUserPolicy",
                "iam:AttachRolePolicy",
            ],
        ] {
            let world = world(account());
            for operation in full {
                world.wire.fail(operation, 409, "LimitExceeded");
            }
            let mut all = wide();
            all.iam.mark_contained = true;
            run_with(&world.iam, &finding, &all).await;
            investigate(&world.iam, &finding).await;
            called.extend(world.wire.calls());
        }
    }
    assert_eq!(called, declared::<Iam>());
}
