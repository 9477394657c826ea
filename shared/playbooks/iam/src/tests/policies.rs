//! What policies see of a user or role, what the breaker counts, and who is spared.

use jiff::SignedDuration;

use super::world::settings;
use super::*;
use aws::error::Error;
use fixtures::hostile::recording::incidents;
use fixtures::table::table;
use fixtures::windows::{Windows, invocation};
use fixtures::{ENFORCING, enforcing};
use model::decision::{ResponseMode, ResponseSettings};
use policy::{DEFAULT, Gate, LoadedPolicies};
use remediation::approve::{Approver, approve};
use remediation::policy_parameter::PolicyParameter;
use remediation::record::Incident;

fn again(world: &World) -> Iam {
    Iam::over(world.iam.clients.iam.clone(), world.principals())
}

/// Whether a policy with this condition withholds all steps, or none.
async fn withheld(account: Account, finding: &Finding, condition: &str) -> bool {
    let world = world(account);
    let state = world.iam.observe(finding).await.unwrap();
    let guard = LoadedPolicies::new(&format!(
        "permit (principal, action, resource);
         @id(\"it\") forbid (principal, action, resource) when {{ {condition} }};"
    ));
    assert_eq!(guard.problem(), None, "{condition}");
    let gate = Gate::new::<Iam>(&guard, finding, &ENFORCING, false, now());
    // With a mark, which names its user or role in another way.
    let settings = settings(|iam| iam.mark_contained = true);
    let plan = gate.plan::<Iam>(&state, &settings);
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| matches!(step, Step::Withheld(_, why) if why.by == ["it"]))
        .collect();
    assert!(steps.len() > 1, "{:?}", plan.steps);
    assert!(
        steps.iter().all(|step| *step == steps[0]),
        "{:?}",
        plan.steps
    );
    steps[0]
}

#[tokio::test(start_paused = true)]
async fn a_policy_sees_all_that_is_observed_of_a_user_and_of_a_role() {
    let of_path = |path| mallory_with(|mallory| mallory.path = path);
    let role_of_path = |path| {
        let mut account = payroll(own_account());
        account.roles.get_mut("payroll").expect("the role").path = path;
        account
    };
    let (user, role) = (stolen_key(), session_finding());
    let path = |kind: &str| {
        format!("resource is {kind} && resource has path && resource.path == \"/ci/\"")
    };
    for (account, finding, condition, expected) in [
        (of_path("/ci/"), &user, path("User"), true),
        (of_path("/ops/"), &user, path("User"), false),
        (of_path("/ci/"), &user, path("Role"), false),
        (role_of_path("/ci/"), &role, path("Role"), true),
        (role_of_path("/"), &role, path("Role"), false),
        (
            of_path("/ci/"),
            &user,
            "resource.arn == \"arn:aws:iam::111122223333:user/ci/mallory\"".to_owned(),
            true,
        ),
        (
            of_path("/ops/"),
            &user,
            "resource.name == \"mallory\"".to_owned(),
            true,
        ),
        (
            role_of_path("/"),
            &role,
            "resource.name == \"payroll\"".to_owned(),
            true,
        ),
        (
            role_of_path("/"),
            &role,
            "resource.name == \"mallory\"".to_owned(),
            false,
        ),
    ] {
        let found = withheld(account, finding, &condition).await;
        assert_eq!(found, expected, "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_share_of_ten_or_more_users_is_contained_and_every_stolen_one_of_fewer() {
    const WINDOW: &str = "BREAKER#iam#111122223333#users";
    // Beside mallory.
    let others = [
        "alice", "bob", "carol", "dave", "eve", "frank", "grace", "heidi", "ivan",
    ];
    for (others, before, contained) in [
        (&others[..], &others[..4], true),
        (&others[..], &others[..5], false),
        // Of a handful a share would be nobody.
        (&others[..8], &others[..8], true),
        (&others[..2], &others[..1], true),
        (&others[..2], &others[..2], true),
    ] {
        let mut account = mallory();
        for name in others {
            account
                .users
                .insert((*name).to_owned(), world::Entity::default());
        }
        let world = world::world(account);
        let windows = Windows::new();
        windows.take(WINDOW, before);
        let event = event(user_detail("mallory"));
        let report = windows.answered(again(&world), event).await;
        let inactive = world.key("mallory", KEY) == StatusType::Inactive;
        assert_eq!(inactive, contained, "{}", report.to_line());
        assert_eq!(world.wire.writes().is_empty(), !contained);
        let taken = windows.taken(WINDOW);
        assert_eq!(taken.contains("mallory"), contained, "{taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_administrator_is_contained_and_the_steps_for_the_whole_account_are_listed() {
    for (policy, told) in [("AdministratorAccess", true), ("ReadOnlyAccess", false)] {
        let world = world(mallory_with(|mallory| {
            let arn = format!("arn:aws:iam::aws:policy/{policy}");
            mallory.attached = [arn].into();
        }));
        let event = event(user_detail("mallory"));
        let report = Windows::new().answered(again(&world), event).await;
        assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
        let next = report.next_steps().join("\n");
        let suggested = next.contains("treat the whole account 111122223333 as compromised");
        assert_eq!(suggested, told, "{policy}: {next}");
    }
}

/// What comes of approving, if the settings are these by then, and the plan in the table is changed so.
async fn approved(
    current: Option<&ResponseSettings>,
    change: impl FnOnce(&mut Value),
) -> (World, Result<Report, Error>) {
    let world = world(mallory());
    let (items, record) = table();
    let mut config = enforcing();
    config.policy.mode = ResponseMode::Approve;
    config.policy.never_contain = vec!["somebody".to_owned()];
    let windows = Windows::new();
    let responder = windows.responder(again(&world), config);
    let responder = responder.recording(record.clone());
    let event = event(user_detail("mallory"));
    let report = Box::pin(responder.respond(event.clone(), &invocation("request"))).await;
    let report = report.expect("an answer");
    assert!(report.approval().is_some(), "{}", report.to_line());
    let stored = incidents(&items).remove(0);
    let mut awaiting = serde_json::from_str(&stored["awaiting"]).expect("JSON");
    change(&mut awaiting);
    let incident = Incident {
        id: report.finding_id().to_owned(),
        category: "iam".to_owned(),
        account_id: "111122223333".to_owned(),
        status: "notified".to_owned(),
        awaiting,
        event,
        ..Incident::default()
    };
    let policies = PolicyParameter::fixed(LoadedPolicies::new(DEFAULT));
    let approver = Approver {
        by: "arn:aws:iam::111122223333:user/ann",
        record: &record,
        policies: &policies,
        current,
        notices: None,
    };
    let later = now() + SignedDuration::from_mins(5);
    let done = Box::pin(approve(again(&world), &approver, &incident, later)).await;
    (world, done)
}

#[tokio::test(start_paused = true)]
async fn who_is_spared_by_the_settings_of_now_is_not_contained_for_being_approved() {
    let unchanged = |_: &mut Value| {};
    let sparing = |name: &str| ResponseSettings {
        never_contain: vec![name.to_owned()],
        ..ENFORCING.clone()
    };
    for current in [None, Some(sparing("somebody-else"))] {
        let (world, done) = approved(current.as_ref(), unchanged).await;
        let report = done.expect("it is done");
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert_eq!(world.key("mallory", KEY), StatusType::Inactive);
    }
    let (world, done) = approved(Some(&sparing("mallory")), unchanged).await;
    let refused = done.expect_err("it is refused").to_string();
    assert!(refused.contains("never"), "{refused}");
    assert!(world.wire.writes().is_empty());
    // Who was spared then is spared, too.
    let (world, done) = approved(Some(&sparing("somebody")), |plan| {
        plan["policy"]["never_contain"] = json!(["mallory"]);
    })
    .await;
    assert!(matches!(done, Err(Error::Refused(_))));
    assert!(world.wire.writes().is_empty());
}
