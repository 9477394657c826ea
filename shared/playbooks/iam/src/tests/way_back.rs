//! The credentials of a user that were made since the first event: what whoever has one credential makes to come
//! back by.

use super::keys::created_keys;
use super::world::{Entity, settings};
use super::*;
use fixtures::table::table;
use fixtures::{recorded, release};
use model::plan::Undo;
use model::planner::Planner as _;
use remediation::release::{Allowance, Verdict};

/// A key of Amazon Bedrock.
pub(super) const BEDROCK: &str = "ACCAEXAMPLE000000000";
const GIT: &str = "ACCAEXAMPLE000000001";

/// A minute after the first event.
fn since() -> i64 {
    "2026-03-04T04:51:00Z"
        .parse::<Timestamp>()
        .unwrap()
        .as_second()
}

/// The second of the first event.
fn at_once() -> i64 {
    since() - 60
}

/// Mallory, with one credential of each service, from long ago.
pub(super) fn with_credentials() -> Account {
    mallory_with(|user| {
        user.credentials = vec![
            (BEDROCK, "bedrock.amazonaws.com", StatusType::Active, 0),
            (GIT, "codecommit.amazonaws.com", StatusType::Active, 0),
        ];
    })
}

fn a_credential_since(user: &mut Entity) {
    user.credentials = vec![(GIT, "codecommit.amazonaws.com", StatusType::Active, since())];
}

fn findings() -> [Finding; 2] {
    [
        stolen_key(),
        by(json!({ "accessKeyId": "ASIAIOSFODNN7EXAMPLE" })),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_key_made_since_the_first_event_makes_the_containment_partial_with_its_command() {
    for created in [at_once(), since()] {
        let world = world(mallory_with(|user| user.keys[1].2 = created));
        let (report, _) = answer(&world.iam, &stolen_key()).await;
        assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
        let left = report.steps().iter().find(|step| step.target() == SECOND);
        let left = left.expect("a step");
        assert_eq!(left.outcome(), Outcome::Skipped);
        let command = format!(
            "aws iam update-access-key --user-name mallory --access-key-id {SECOND} --status Inactive"
        );
        assert!(left.detail().contains(&command), "{}", left.detail());
        assert_eq!(world.key("mallory", SECOND), StatusType::Active);
    }
    let older = world(mallory_with(|user| user.keys[1].2 = at_once() - 1));
    let (report, _) = answer(&older.iam, &stolen_key()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
}

#[tokio::test(start_paused = true)]
async fn with_the_setting_a_key_from_since_the_first_event_is_deactivated_before_cloudtrail_tells()
{
    for finding in findings() {
        let world = world(mallory_with(|user| user.keys[1].2 = since()));
        let world = world.configured(&created_keys());
        let seen = world.iam.glance(&finding).await.unwrap();
        let plan = Iam::plan(&finding, &seen, &created_keys(), now());
        let at_a_glance = plan.steps.iter().any(|step| match step {
            Step::Do(action) => action.target() == SECOND,
            _ => false,
        });
        assert!(at_a_glance, "{:?}", plan.steps);
        let done = run_with(&world.iam, &finding, &created_keys()).await;
        assert_eq!(world.key("mallory", SECOND), StatusType::Inactive);
        let made = done.steps.iter().find(|step| step.target() == SECOND);
        assert_eq!(made.unwrap().outcome(), Outcome::Applied);
        // Sessions that are made with it meanwhile are cut off, too.
        assert_eq!(world.cut_off().as_deref(), Some(CUT_OFF));
        // The key that the finding does not name, from long ago, is left.
        let named = finding.access_key_id().as_deref() == Some(KEY);
        assert_eq!(world.key("mallory", KEY) == StatusType::Inactive, named);
        world.wire.clear();
        run_with(&world.iam, &finding, &created_keys()).await;
        assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_from_since_the_first_event_makes_the_containment_partial_with_any_setting() {
    for setting in [Settings::default(), created_keys()] {
        for (created, expected) in [(0, Outcome::Applied), (since(), Outcome::Skipped)] {
            let world = world(mallory_with(|user| {
                user.console = true;
                user.console_since = created;
            }));
            let done = run_with(&world.iam, &stolen_key(), &setting).await;
            let left = done.steps.iter().find(|step| step.action() == CONSOLE);
            let outcome = left.map_or(Outcome::Applied, |step| step.outcome());
            assert_eq!(outcome, expected, "{:?}", done.steps);
            let told = left.is_none_or(|step| {
                let detail = step.detail();
                detail.contains("after the first event")
                    && detail.contains("aws iam delete-login-profile --user-name mallory")
            });
            assert!(told, "{left:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_listing_does_not_count_as_an_empty_one() {
    for (read, action) in [
        ("iam:GetLoginProfile", CONSOLE),
        ("iam:ListServiceSpecificCredentials", DEACTIVATE_CREDENTIAL),
    ] {
        for finding in findings() {
            let world = world(mallory());
            world.wire.fail(read, 403, "AccessDenied");
            let setting = settings(|iam| iam.user_session_keys = true);
            let done = run_with(&world.iam, &finding, &setting).await;
            let step = done.steps.iter().find(|step| step.action() == action);
            let step = step.expect("a step");
            assert_eq!(step.outcome(), Outcome::Failed);
            assert!(step.detail().contains(read), "{}", step.detail());
            assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
        }
    }
    // Both lists end in the middle.
    let world = world(Account {
        cut: true,
        ..mallory()
    });
    let (report, _) = answer(&world.iam, &stolen_key()).await;
    assert_ne!(report.status(), Status::Contained, "{}", report.to_line());
    for action in [DEACTIVATE, DEACTIVATE_CREDENTIAL] {
        let (outcome, detail) = step(&report, action);
        assert_eq!(outcome, Outcome::Failed);
        assert!(detail.contains("cut off"), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_iam_that_knows_no_service_specific_credentials_has_none() {
    for code in ["InvalidAction", "NotSupportedService"] {
        let world = world(mallory());
        let read = "iam:ListServiceSpecificCredentials";
        world.wire.fail(read, 400, code);
        let (report, _) = answer(&world.iam, &stolen_key()).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_that_was_cut_off_is_not_taken_for_no_keys() {
    let mut account = keys::with_a_key_for_bob();
    account.endless = true;
    account.events.clear();
    let world = world(account).configured(&created_keys());
    let done = run_with(&world.iam, &stolen_key(), &created_keys()).await;
    let failed = done
        .steps
        .iter()
        .find(|step| step.outcome() == Outcome::Failed);
    let failed = failed.expect("a step that failed");
    assert_eq!(failed.action(), DEACTIVATE);
    assert!(
        failed.detail().contains("AttributeValue=CreateAccessKey"),
        "{}",
        failed.detail()
    );
    assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
}

#[tokio::test(start_paused = true)]
async fn the_service_specific_credential_that_the_finding_names_is_deactivated_and_no_other() {
    let world = world(with_credentials());
    let finding = by(json!({ "accessKeyId": BEDROCK }));
    let (report, _) = answer(&world.iam, &finding).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(world.credential(BEDROCK), StatusType::Inactive);
    assert_eq!(world.credential(GIT), StatusType::Active);
    assert_eq!(world.key("mallory", KEY), StatusType::Active);
    let done = run(&world.iam, &finding).await;
    let risks = done.residual_risks.join("\n");
    assert!(
        risks.contains(GIT) && risks.contains("codecommit.amazonaws.com"),
        "{risks}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_specific_credential_from_since_the_first_event_is_a_way_back() {
    let careful = world(mallory_with(a_credential_since));
    let (report, _) = answer(&careful.iam, &stolen_key()).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, DEACTIVATE_CREDENTIAL);
    assert_eq!(outcome, Outcome::Skipped);
    let command = format!("--service-specific-credential-id {GIT} --status Inactive");
    assert!(detail.contains(&command), "{detail}");
    assert_eq!(careful.credential(GIT), StatusType::Active);

    let bold = world(mallory_with(a_credential_since));
    run_with(&bold.iam, &stolen_key(), &created_keys()).await;
    assert_eq!(bold.credential(GIT), StatusType::Inactive);
    bold.wire.clear();
    let again = run_with(&bold.iam, &stolen_key(), &created_keys()).await;
    assert!(bold.wire.writes().is_empty(), "{:?}", bold.wire.writes());
    assert!(again.steps.iter().all(|s| s.outcome() == Outcome::Already));
}

#[tokio::test(start_paused = true)]
async fn a_service_specific_credential_is_reactivated_only_where_the_release_names_it() {
    for named in [false, true] {
        let (_, record) = table();
        let world = world(with_credentials());
        let mut detail = user_detail("mallory");
        detail["resource"]["accessKeyDetails"]["accessKeyId"] = json!(BEDROCK);
        let event = event(detail);
        let report = recorded(&world.iam, &record, &event, &Settings::default(), now()).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        let allowance = Allowance {
            reactivate: named.then(|| BEDROCK.to_owned()).into_iter().collect(),
            ..Allowance::default()
        };
        let later = now() + 1.hour();
        let (verdicts, released) = release(&world.iam, &record, &event, &allowance, later).await;
        let of_credential = verdicts
            .into_iter()
            .find(|(action, _)| *action == DEACTIVATE_CREDENTIAL);
        let verdict = of_credential.expect("it was recorded").1;
        assert_eq!(verdict == Verdict::Restore, named, "{verdict:?}");
        let released = released.expect("released");
        assert!(released.iter().all(|step| step.problem.is_none()));
        let active = world.credential(BEDROCK) == StatusType::Active;
        assert_eq!(active, named);
        assert_eq!(world.cut_off(), None);
    }
}

#[test]
fn a_credential_that_was_not_active_is_not_made_active() {
    let action = |from: &str| super::super::Action::DeactivateServiceSpecificCredential {
        user: "mallory".to_owned(),
        credential: BEDROCK.to_owned(),
        service: "bedrock.amazonaws.com".to_owned(),
        from: from.to_owned(),
    };
    assert_eq!(action("Active").undo(), Undo::RequiresExplicitTarget);
    assert!(matches!(action("Expired").undo(), Undo::Nothing(_)));
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_issuer_of_a_federated_session_from_since_the_first_event_is_a_way_back() {
    let issuer = || {
        let mut account = issued_by(by_mallory());
        account.users.get_mut("mallory").unwrap().keys[1].2 = since();
        account
    };
    let careful = world(issuer());
    let (report, _) = answer(&careful.iam, &federated()).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(careful.key("mallory", SECOND), StatusType::Active);

    let bold = world(issuer());
    run_with(&bold.iam, &federated(), &created_keys()).await;
    assert_eq!(bold.key("mallory", SECOND), StatusType::Inactive);
    assert_eq!(bold.key("mallory", KEY), StatusType::Active);
}

#[tokio::test(start_paused = true)]
async fn under_a_deny_of_everything_no_other_credential_is_deactivated() {
    let world = world(mallory_with(|user| {
        user.keys[1].2 = since();
        user.console = true;
        user.console_since = since();
        a_credential_since(user);
        user.attached.insert(DENY_ALL.to_owned());
    }));
    let (report, _) = answer(&world.iam, &stolen_key()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_session_of_the_user_is_not_renewed_and_a_bystander_s_request_is_not_refused() {
    let world = world(mallory());
    run(&world.iam, &stolen_key()).await;
    for action in ["signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token"] {
        // Whenever the session was begun.
        for issued in ["2026-03-04T05:00:00Z", "2026-03-05T05:00:00Z"] {
            let request = [("action", action), ("aws:TokenIssueTime", issued)];
            assert!(world.refuses(&request), "{action} {issued}");
        }
    }
    let later = [
        ("action", "s3:ListAllMyBuckets"),
        ("aws:TokenIssueTime", "2026-03-05T05:00:00Z"),
    ];
    assert!(!world.refuses(&later), "a new sign-in");
    assert!(
        !world.refuses(&[("action", "s3:ListAllMyBuckets")]),
        "another key"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deny_of_an_earlier_version_is_moved_forward_and_released() {
    use super::super::policy_document::deny_sessions_before;
    let earlier: Timestamp = "2026-03-04T05:10:00Z".parse().unwrap();
    let renewal = [("action", "signin:CreateOAuth2Token")];
    let put = |world: &World| {
        let document = deny_sessions_before(earlier).to_string();
        world.change_mallory(|user| drop(user.inline.insert(USER_POLICY.to_owned(), document)));
    };
    let world = world(mallory());
    run(&world.iam, &stolen_key()).await;
    put(&world);
    assert!(!world.refuses(&renewal));
    let (report, _) = answer(&world.iam, &stolen_key()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(world.refuses(&renewal));
    assert_eq!(
        world.cut_off().as_deref(),
        Some("2026-03-04T05:10:00Z"),
        "never back"
    );

    // An incident of the earlier version is released without force.
    let (_, record) = table();
    let world = world::world(mallory());
    let event = event(user_detail("mallory"));
    recorded(&world.iam, &record, &event, &Settings::default(), now()).await;
    put(&world);
    let allowance = Allowance::default();
    let later = now() + 1.hour();
    let (verdicts, released) = release(&world.iam, &record, &event, &allowance, later).await;
    assert!(
        verdicts.contains(&(REVOKE, Verdict::Restore)),
        "{verdicts:?}"
    );
    let released = released.expect("released");
    assert!(
        released.iter().all(|step| step.problem.is_none()),
        "{released:?}"
    );
    assert_eq!(world.policy(USER_POLICY), None);
}
