//! The tag by which a service control policy knows a contained principal.

use serde_json::json;

use super::role::{payroll, session_finding};
use super::world::{Account, mallory, mallory_with, settings, world};
use crate::Action;
use aws::playbook::Playbook as _;
use fixtures::{run, run_with, user_finding};
use model::plan::Action as _;
use model::report::Outcome;
use model::settings::Settings;

fn marking() -> Settings {
    settings(|iam| iam.mark_contained = true)
}

fn tag(tags: &std::collections::BTreeMap<String, String>) -> Option<&str> {
    tags.get("gdr:contained").map(String::as_str)
}

#[tokio::test(start_paused = true)]
async fn with_the_setting_a_contained_user_or_role_is_tagged_after_all_else_and_once() {
    for (account, finding) in [
        (mallory(), user_finding("mallory")),
        (payroll(json!({ "AWS": "*" })), session_finding()),
    ] {
        let world = world(account);
        let done = run_with(&world.iam, &finding, &marking()).await;
        let step = done.steps.last().expect("a step");
        assert_eq!(
            (step.action(), step.outcome()),
            ("iam:MarkContained", Outcome::Applied)
        );
        let writes = world.wire.writes();
        assert!(
            writes
                .last()
                .is_some_and(|call| call.starts_with("iam:Tag")),
            "{writes:?}"
        );
        world.wire.clear();
        let again = run_with(&world.iam, &finding, &marking()).await;
        assert!(
            again
                .steps
                .iter()
                .all(|step| step.outcome() == Outcome::Already)
        );
        assert!(world.wire.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_tagged_without_the_setting_or_who_is_not_contained() {
    let world = world(mallory());
    run(&world.iam, &user_finding("mallory")).await;
    assert_eq!(tag(&world.user("mallory").tags), None);

    let anew = super::world::world(mallory_with(|mallory| mallory.id = "AIDACREATEDANEW"));
    run_with(&anew.iam, &user_finding("mallory"), &marking()).await;
    assert_eq!(tag(&anew.user("mallory").tags), None);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_tagged_whose_deny_is_not_in_effect() {
    for (account, finding, write) in [
        (mallory(), user_finding("mallory"), "iam:PutUserPolicy"),
        (
            payroll(json!({ "AWS": "*" })),
            session_finding(),
            "iam:PutRolePolicy",
        ),
    ] {
        let refused = world(account.clone());
        refused.wire.fail(write, 403, "AccessDenied");
        let forgotten = world(Account {
            forgets: true,
            ..account
        });
        for world in [refused, forgotten] {
            let done = run_with(&world.iam, &finding, &marking()).await;
            let writes = world.wire.writes();
            assert!(writes.contains(&write), "{writes:?}");
            assert!(
                !writes.iter().any(|call| call.starts_with("iam:Tag")),
                "{writes:?}"
            );
            let mark = done
                .steps
                .iter()
                .find(|step| step.action() == "iam:MarkContained");
            let mark = mark.expect("a step");
            assert_eq!(mark.outcome(), Outcome::Failed);
            assert!(mark.detail().contains("not tagged"), "{}", mark.detail());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_denied_everything_instead_is_tagged() {
    let world = world(Account {
        full: true,
        ..mallory()
    });
    run_with(&world.iam, &user_finding("mallory"), &marking()).await;
    assert_eq!(tag(&world.user("mallory").tags), Some("true"));
}

#[tokio::test(start_paused = true)]
async fn a_release_takes_the_tag_off() {
    let world = world(mallory());
    run_with(&world.iam, &user_finding("mallory"), &marking()).await;
    assert_eq!(tag(&world.user("mallory").tags), Some("true"));
    let arn = "arn:aws:iam::111122223333:user/ops/mallory".to_owned();
    let policy = "gdr-revoke-sessions".to_owned();
    let action = Action::MarkContained { arn, policy };
    assert_eq!(
        action.target(),
        "arn:aws:iam::111122223333:user/ops/mallory"
    );
    world.iam.restore(&action).await.unwrap();
    assert_eq!(tag(&world.user("mallory").tags), None);
}
