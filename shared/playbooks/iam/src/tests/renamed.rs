//! A user who was renamed after the activity: its keys go on working, and lead to the new name.

use aws_sdk_iam::types::StatusType;
use serde_json::json;

use super::world::{Account, Entity, KEY, World, mallory, world};
use super::{Iam, answer, by, each_call_fails_in_turn, gone, left_alone, stolen_key};
use aws::playbook::Playbook as _;
use fixtures::waves::{contained, slow};
use fixtures::{ENFORCING, carry_out, event, now, user_detail};
use model::decision::ResponseSettings;
use model::plan::Step;
use model::report::{Outcome, Status};
use model::settings::Settings;
use policy::{DEFAULT, Gate, LoadedPolicies};

/// Mallory's account after Mallory was renamed.
fn renamed() -> Account {
    let mut account = mallory();
    let user = account.users.remove("mallory").unwrap();
    account.users.insert("eve".to_owned(), user);
    account
}

/// [`renamed`], and somebody else has the name now.
fn with_a_decoy() -> Account {
    let mut account = renamed();
    let decoy = Entity {
        id: "AIDADECOY",
        path: "/",
        ..Entity::default()
    };
    account.users.insert("mallory".to_owned(), decoy);
    account
}

fn is_contained(world: &World) -> bool {
    let user = world.user("eve");
    user.inline.contains_key("gdr-revoke-sessions") && world.key("eve", KEY) == StatusType::Inactive
}

#[tokio::test(start_paused = true)]
async fn a_renamed_user_is_contained_under_its_new_name_and_the_report_says_so() {
    for account in [renamed(), with_a_decoy()] {
        // By its id, and where the finding has none, by its key.
        for finding in [stolen_key(), by(json!({ "principalId": "" }))] {
            let world = world(account.clone());
            let (report, transient) = answer(&world.iam, &finding).await;
            assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
            assert!(is_contained(&world) && transient.is_none());
            let target = report.steps()[0].target();
            assert_eq!(target, "arn:aws:iam::111122223333:user/ops/eve");
            let told = report.next_steps().join("\n");
            assert!(told.contains("is called eve now"), "{told}");
            let decoy = world.account.lock().unwrap().users.get("mallory").cloned();
            assert!(decoy.is_none_or(|decoy| decoy.inline.is_empty()));
            world.wire.clear();
            let (again, _) = answer(&world.iam, &finding).await;
            assert_eq!(again.status(), Status::AlreadyContained);
            assert!(world.wire.writes().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_about_a_renamed_user_the_answer_is_true() {
    for account in [renamed, with_a_decoy] {
        let build = || world(account()).judged_by(is_contained);
        each_call_fails_in_turn(&stolen_key(), build, gone).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_new_name_takes_two_round_trips_more() {
    let world = world(renamed());
    let iam = Iam::over(
        slow!(aws_sdk_iam, world.iam.clients.iam),
        world.principals(),
    );
    let course = contained(iam, event(user_detail("mallory"))).await;
    for write in ["iam:PutUserPolicy", "iam:UpdateAccessKey"] {
        assert_eq!(course.before(&world.wire, write), 4, "{write}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_somebody_else_is_left_to_a_person() {
    let mut account = with_a_decoy();
    account.users.get_mut("eve").unwrap().id = "AIDAANOTHER";
    for gone in [false, true] {
        if gone {
            account.users.remove("mallory");
        }
        let world = world(account.clone());
        let why = format!("the key {KEY} belongs to the user eve (AIDAANOTHER)");
        left_alone(&world, &stolen_key(), &why).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_gone_too_does_not_make_the_sessions_void() {
    let mut account = renamed();
    account.users.get_mut("eve").unwrap().keys.clear();
    let world = world(account);
    let why = "was deleted, which leaves the sessions that were made with it";
    left_alone(&world, &stolen_key(), why).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_owner_cannot_be_read_is_not_taken_for_one_that_is_gone() {
    for (code, again) in [("AccessDenied", false), ("Throttling", true)] {
        let world = world(renamed());
        world.wire.fail("iam:GetAccessKeyLastUsed", 400, code);
        let (report, transient) = answer(&world.iam, &stolen_key()).await;
        let step = &report.steps()[0];
        assert!(step.detail().contains(code), "{}", step.detail());
        assert_eq!(transient.is_some(), again);
        let wanted = if again {
            Outcome::Failed
        } else {
            Outcome::Skipped
        };
        assert_eq!(step.outcome(), wanted);
        assert!(world.wire.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_renamed_while_it_is_contained_keeps_no_working_key() {
    let world = world(mallory());
    let state = world.iam.observe(&stolen_key()).await.unwrap();
    {
        let mut account = world.account.lock().unwrap();
        let user = account.users.remove("mallory").unwrap();
        account.users.insert("eve".to_owned(), user);
    }
    let done = carry_out(
        &world.iam,
        &stolen_key(),
        &state,
        &Settings::default(),
        now(),
    )
    .await;
    assert!(is_contained(&world), "{:?}", done.steps);
}

#[tokio::test(start_paused = true)]
async fn who_is_never_contained_is_not_by_way_of_a_key_either() {
    let spares = ResponseSettings {
        never_contain: vec!["eve".to_owned()],
        ..ENFORCING.clone()
    };
    let world = world(renamed());
    let finding = stolen_key();
    let state = world.iam.observe(&finding).await.unwrap();
    let guard = LoadedPolicies::new(DEFAULT);
    let gate = Gate::new::<Iam>(&guard, &finding, &spares, false, now());
    let plan = gate.plan::<Iam>(&state, &Settings::default());
    assert_eq!(plan.steps.len(), 2);
    for step in &plan.steps {
        assert!(matches!(step, Step::Withheld(..)), "{step:?}");
    }
}
