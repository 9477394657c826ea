//! Names of sessions that others have too.

use jiff::SignedDuration;
use model::planner::Planner as _;

use super::super::policy_document::deny_session;
use super::role::{acted_detail, wide};
use super::*;
use fixtures::hostile::recording::incidents;
use fixtures::table::table;
use fixtures::windows::{Windows, invocation};
use fixtures::{enforcing, recorded, release};
use policy::{DEFAULT, LoadedPolicies};
use remediation::approve::{Approver, approve};
use remediation::policy_parameter::PolicyParameter;
use remediation::record::Incident;
use remediation::release::{Allowance, Verdict};

const POOL: &str = "CognitoIdentityCredentials";
/// The session's key that the finding names.
const STOLEN: &str = "ASIASESSION000000000";
const OTHER: &str = "ASIAOTHER00000000000";
const ISSUED: &str = "2026-03-04T04:30:00Z";
const SEEN: &str = "2026-03-04T05:00:00Z";

/// A role that the users of an identity pool assume.
fn pool() -> Account {
    payroll(json!({ "Federated": "cognito-identity.amazonaws.com" }))
}

fn github() -> Account {
    let provider = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
    payroll(json!({ "Federated": provider }))
}

fn saml() -> Account {
    payroll(json!({ "Federated": "arn:aws:iam::111122223333:saml-provider/corp" }))
}

fn called(session: &str, key: &str, issued: &str, at: &str) -> Value {
    json!({
        "eventName": "ListBuckets", "eventTime": at,
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROAPAYROLL:{session}"),
            "accessKeyId": key, "userName": session,
            "sessionContext": { "attributes": { "creationDate": issued } },
        },
    })
}

/// `account`, in which CloudTrail shows a call of the stolen session.
fn shown(mut account: Account, session: &str) -> Account {
    account.events = vec![called(session, STOLEN, ISSUED, "2026-03-04T04:55:00Z")];
    account
}

fn by(session: &str) -> Finding {
    finding(detail(session, STOLEN))
}

fn detail(session: &str, key: &str) -> Value {
    let mut detail = acted_detail(&format!("AROAPAYROLL:{session}"), SEEN);
    detail["resource"]["accessKeyDetails"]["accessKeyId"] = json!(key);
    detail
}

/// Whether a session of that name that was issued then is refused.
fn refused(world: &World, session: &str, issued: &str) -> bool {
    let user_id = format!("AROAPAYROLL:{session}");
    world.role_refuses(&[("aws:userid", &user_id), ("aws:TokenIssueTime", issued)])
}

#[tokio::test(start_paused = true)]
async fn of_sessions_that_share_a_name_only_the_one_is_denied_where_cloudtrail_shows_which() {
    for (account, session) in [(pool(), POOL), (github(), "GitHubActions")] {
        let world = world(shown(account, session));
        let (report, _) = answer(&world.iam, &by(session)).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert!(refused(&world, session, ISSUED));
        for bystander in ["2026-03-04T04:29:59Z", "2026-03-04T04:30:01Z", SEEN] {
            assert!(!refused(&world, session, bystander), "{bystander}");
        }
        let told = run(&world.iam, &by(session))
            .await
            .residual_risks
            .join("\n");
        assert!(told.contains("others of this name still work"), "{told}");
        let asked = world.asked.lock().unwrap().len();
        assert_eq!(asked, 1, "what is denied is known by what stands");
        world.wire.clear();
        let again = run_at(&world.iam, &by(session), now() + 6.hours()).await;
        assert!(again.steps.iter().all(|s| s.outcome() == Outcome::Already));
        assert!(world.wire.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn where_cloudtrail_does_not_show_which_nobody_is_denied_until_a_person_approves() {
    for fault in [None, Some("ThrottlingException")] {
        for (account, session) in [(pool(), POOL), (github(), "GitHubActions")] {
            let world = world(account);
            if let Some(code) = fault {
                world.wire.fail("cloudtrail:LookupEvents", 400, code);
            }
            let (report, _) = answer(&world.iam, &by(session)).await;
            assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
            assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
            let (outcome, detail) = step(&report, DENY_SESSION);
            assert_eq!(outcome, Outcome::Withheld);
            for told in [
                "everybody who has that name",
                "until it is approved",
                session,
            ] {
                assert!(detail.contains(told), "{told}: {detail}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cloudtrail_is_waited_for_three_seconds() {
    for (account, session, denied) in [(pool(), POOL, false), (saml(), "ann@example.com", true)] {
        let world = world(shown(account, session));
        let late = std::time::Duration::from_secs(5);
        let trail = world.trail();
        let trail = fixtures::waves::slow!(aws_sdk_cloudtrail, trail, late);
        let iam = Iam::over(world.iam.clients.iam.clone(), world.principals_by(trail));
        let before = tokio::time::Instant::now();
        let state = iam.observe(&by(session)).await.unwrap();
        assert_eq!(before.elapsed().as_secs(), 3);
        let plan = Iam::plan(&by(session), &state, &Settings::default(), now());
        match &plan.steps[0] {
            Step::Do(_) => assert!(denied),
            Step::Withheld(_, why) => {
                assert!(!denied && why.reason.contains("within 3 seconds"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_of_a_provider_s_session_is_shared_if_cloudtrail_shows_it_with_several_keys_at_once()
{
    let name = "deploy";
    let events = |others: &[(&str, &str, &str)]| {
        let mut account = shown(saml(), name);
        let others = others.iter();
        account
            .events
            .extend(others.map(|(key, issued, at)| called(name, key, issued, at)));
        account
    };
    for (others, shared) in [
        (&[][..], false),
        // One after the other: the same person signed in again.
        (
            &[(OTHER, "2026-03-04T02:00:00Z", "2026-03-04T03:00:00Z")],
            false,
        ),
        (
            &[(OTHER, "2026-03-04T04:40:00Z", "2026-03-04T04:50:00Z")],
            true,
        ),
        (
            &[(OTHER, "2026-03-04T04:00:00Z", "2026-03-04T05:00:00Z")],
            true,
        ),
    ] {
        let world = world(events(others));
        let (report, _) = answer(&world.iam, &by(name)).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert!(refused(&world, name, ISSUED));
        assert_eq!(refused(&world, name, SEEN), !shared, "{others:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_could_not_be_looked_for_is_denied_and_the_report_says_so() {
    let name = "ann@example.com";
    let world = world(saml());
    world
        .wire
        .fail("cloudtrail:LookupEvents", 400, "ThrottlingException");
    let done = run(&world.iam, &by(name)).await;
    assert_eq!(done.steps[0].outcome(), Outcome::Applied);
    assert!(refused(&world, name, ISSUED) && refused(&world, name, SEEN));
    assert!(!refused(&world, "ann@example.co", SEEN));
    let risks = done.residual_risks.join("\n");
    assert!(
        risks.contains("saml-provider/corp may have that name too"),
        "{risks}"
    );
}

#[tokio::test(start_paused = true)]
async fn other_roles_are_denied_without_a_look_at_cloudtrail() {
    for principal in [
        own_account(),
        json!({ "Service": "lambda.amazonaws.com" }),
        json!({ "AWS": "arn:aws:iam::444455556666:role/GitHubActions" }),
    ] {
        let world = world(payroll(principal));
        let (report, _) = answer(&world.iam, &by("GitHubActions")).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert!(refused(&world, "GitHubActions", SEEN));
        assert!(world.asked.lock().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_wide_setting_the_sessions_so_far_are_cut_off_and_those_to_come_go_on() {
    let world = world(pool());
    let done = run_with(&world.iam, &by(POOL), &wide()).await;
    let steps: Vec<_> = done.steps.iter().map(|step| step.action()).collect();
    assert!(steps.contains(&"iam:RevokeRoleSessions"), "{steps:?}");
    assert!(refused(&world, POOL, ISSUED));
    assert!(!refused(&world, POOL, "2026-03-04T06:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn sessions_of_one_name_are_denied_and_released_each_by_itself() {
    let (_, record) = table();
    let mut account = shown(pool(), POOL);
    let other = "2026-03-04T04:40:00Z";
    account
        .events
        .push(called(POOL, OTHER, other, "2026-03-04T04:56:00Z"));
    let world = world(account);
    let contain = async |id: &str, key: &str| {
        let mut detail = detail(POOL, key);
        detail["id"] = json!(id);
        let event = event(detail);
        let report = recorded(&world.iam, &record, &event, &Settings::default(), now()).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        event
    };
    let first = contain("first", STOLEN).await;
    let second = contain("second", OTHER).await;
    assert!(refused(&world, POOL, ISSUED) && refused(&world, POOL, other));
    // Also long after CloudTrail has forgotten both.
    world.account.lock().unwrap().events.clear();
    for (event, left) in [(first, true), (second, false)] {
        let allowance = Allowance::default();
        let later = now() + 2.hours();
        let (verdicts, released) = release(&world.iam, &record, &event, &allowance, later).await;
        assert_eq!(verdicts, [(DENY_SESSION, Verdict::Restore)]);
        let released = released.expect("released");
        assert!(
            released.iter().all(|step| step.problem.is_none()),
            "{released:?}"
        );
        assert!(!refused(&world, POOL, ISSUED));
        assert_eq!(refused(&world, POOL, other), left);
    }
    assert!(world.role("payroll").inline.is_empty());
}

/// What comes of approving what waited, after this happened.
async fn approved(happens: impl FnOnce(&World)) -> World {
    let world = world(pool());
    let again = || Iam::over(world.iam.clients.iam.clone(), world.principals());
    let (items, record) = table();
    let windows = Windows::new();
    let responder = windows.responder(again(), enforcing());
    let responder = responder.recording(record.clone());
    let event = event(detail(POOL, STOLEN));
    let report = Box::pin(responder.respond(event.clone(), &invocation("request"))).await;
    let report = report.expect("an answer");
    assert!(report.approval().is_some(), "{}", report.to_line());
    assert!(world.wire.writes().is_empty());
    let stored = incidents(&items).remove(0);
    let incident = Incident {
        id: report.finding_id().to_owned(),
        category: "iam".to_owned(),
        account_id: "111122223333".to_owned(),
        status: "notified".to_owned(),
        awaiting: serde_json::from_str(&stored["awaiting"]).expect("JSON"),
        event,
        ..Incident::default()
    };
    happens(&world);
    let policies = PolicyParameter::fixed(LoadedPolicies::new(DEFAULT));
    let approver = Approver {
        by: "arn:aws:iam::111122223333:user/ann",
        record: &record,
        policies: &policies,
        current: None,
        notices: None,
    };
    let later = now() + SignedDuration::from_mins(5);
    let done = Box::pin(approve(again(), &approver, &incident, later)).await;
    let report = done.expect("it is done");
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    world
}

#[tokio::test(start_paused = true)]
async fn an_approved_deny_is_by_name_or_of_the_one_session_that_cloudtrail_shows() {
    let world = approved(|_| {}).await;
    assert!(refused(&world, POOL, ISSUED) && refused(&world, POOL, SEEN));
    let session = model::finding::RoleSession {
        role_id: "AROAPAYROLL".to_owned(),
        name: POOL.to_owned(),
    };
    let document = world.policy(&format!("gdr-deny-session-{POOL}"));
    assert_eq!(document, Some(deny_session(&session)));

    let world = approved(|world| {
        let call = called(POOL, STOLEN, ISSUED, "2026-03-04T04:55:00Z");
        world.account.lock().unwrap().events.push(call);
    })
    .await;
    assert!(refused(&world, POOL, ISSUED) && !refused(&world, POOL, SEEN));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_a_policy_forbids_awaits_no_approval_for_its_shared_name() {
    let world = world(pool());
    let finding = by(POOL);
    let state = world.iam.observe(&finding).await.unwrap();
    let forbids = "permit (principal, action, resource);
        @id(\"never\") forbid (principal, action, resource is Role) when { resource.name == \"payroll\" };";
    let guard = LoadedPolicies::new(forbids);
    let gate = policy::Gate::new::<Iam>(&guard, &finding, &fixtures::ENFORCING, false, now());
    let plan = gate.plan::<Iam>(&state, &Settings::default());
    let Step::Withheld(_, why) = &plan.steps[0] else {
        panic!("{:?}", plan.steps);
    };
    assert!(
        !why.awaits_approval && why.by.contains(&"never".to_owned()),
        "{why:?}"
    );
}
