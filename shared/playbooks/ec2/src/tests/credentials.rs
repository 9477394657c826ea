//! The credentials that the instance was given, whatever became of it and of its profile.

use serde_json::json;

use super::world::{Account, ID, World, infected_by, profile};
use super::*;
use fixtures::{carry_out, run, run_with};
use model::settings::Ec2Settings;
use remediation::execute::Execution;

const DENY: &str = "iam:DenyInstanceCredentials";
const WEB: &str = "arn:aws:iam::111122223333:role/web";
const OLD: &str = "arn:aws:iam::111122223333:role/old";

fn with_profile(profile: Option<&'static str>) -> World {
    World::new(Account { profile, ..one() })
}

fn denied(world: &World, role: &str, id: &str) -> bool {
    let account = world.now();
    let policy = account.policies.get(&format!("{role}gdr-deny-{ID}"));
    policy.is_some_and(|policy| policy.contains(&format!("{id}:{ID}")))
}

fn risks(done: &Execution<Action>) -> String {
    done.residual_risks.join("\n")
}

#[tokio::test(start_paused = true)]
async fn of_a_profile_that_was_replaced_both_roles_are_denied() {
    let world = with_profile(Some("web-profile"));
    let done = run(&world.playbook, &infected_by("old-profile")).await;
    assert_eq!(outcome(&done, DENY, WEB), Some(Outcome::Applied));
    assert_eq!(outcome(&done, DENY, OLD), Some(Outcome::Applied));
    assert!(denied(&world, "", "AROAEXAMPLE") && denied(&world, "old/", "AROAOLD"));
    for role in ["as web outlive", "as old outlive"] {
        assert!(risks(&done).contains(role), "{}", risks(&done));
    }
    let again = run(&world.playbook, &infected_by("old-profile")).await;
    assert_eq!(outcome(&again, DENY, OLD), Some(Outcome::Already));
}

#[tokio::test(start_paused = true)]
async fn of_a_profile_that_was_taken_away_the_role_is_denied() {
    let world = with_profile(None);
    let done = run(&world.playbook, &infected_by("web-profile")).await;
    assert_eq!(outcome(&done, DENY, WEB), Some(Outcome::Applied));
    assert!(denied(&world, "", "AROAEXAMPLE"));
}

#[tokio::test(start_paused = true)]
async fn a_role_of_two_profiles_is_denied_once() {
    let world = with_profile(Some("web-profile"));
    let done = run(&world.playbook, &infected_by("same-profile")).await;
    let denies = done.steps.iter().filter(|step| step.action() == DENY);
    assert_eq!(denies.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_profile_without_a_role_or_that_is_gone_leaves_a_risk_with_its_time() {
    for (current, shown) in [
        (Some("empty-profile"), "empty-profile"),
        (None, "empty-profile"),
        (None, "deleted-profile"),
    ] {
        let world = with_profile(current);
        let done = run(&world.playbook, &infected_by(shown)).await;
        assert!(world.now().policies.is_empty() && world.is_isolated("eni-1"));
        let said = format!("{} has no role now", profile(shown));
        let risks = risks(&done);
        assert!(
            risks.contains(&said) && risks.contains("up to six hours"),
            "{risks}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_credentials_of_an_instance_that_is_terminated_are_denied() {
    for state in ["terminated", "shutting-down"] {
        let world = World::new(Account {
            state,
            profile: None,
            ..one()
        });
        let finding = infected_by("web-profile");
        let (report, _) = answer(&world.playbook, &finding).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert!(denied(&world, "", "AROAEXAMPLE"));
        assert_eq!(world.wire.writes(), ["iam:PutRolePolicy"]);
        let risks = report.residual_risks().join("\n");
        assert!(risks.contains("outlive the deny"), "{risks}");
        let (report, _) = answer(&world.playbook, &finding).await;
        assert_eq!(
            report.status(),
            Status::AlreadyContained,
            "{}",
            report.to_line()
        );
        let glanced = world.playbook.glance(&finding).await.unwrap();
        let part = Ec2::plan(&finding, &glanced, &Settings::default(), now());
        assert_eq!(part.steps.len(), 1, "what is told at a glance stays true");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_outlive_a_deny_that_there_is_not() {
    let world = with_profile(Some("web-profile"));
    world.wire.fail("iam:PutRolePolicy", 403, "AccessDenied");
    let done = run(&world.playbook, &infected_by("web-profile")).await;
    assert!(
        !risks(&done).contains("outlive the deny"),
        "{}",
        risks(&done)
    );
    assert!(risks(&done).contains("until iam:DenyInstanceCredentials is in effect on web"));
    let world = with_profile(Some("web-profile"));
    let settings = Settings {
        ec2: Ec2Settings {
            never_contain: vec!["web".to_owned()],
            ..Ec2Settings::default()
        },
        ..Settings::default()
    };
    let done = run_with(&world.playbook, &infected_by("web-profile"), &settings).await;
    let risks = risks(&done);
    assert!(!risks.contains("outlive"), "{risks}");
    assert!(
        risks.contains("credentials of web that were read on"),
        "{risks}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_policies_see_the_role_that_a_deny_changes() {
    let world = with_profile(Some("web-profile"));
    let finding = infected_by("old-profile");
    let state = world.playbook.observe(&finding).await.unwrap();
    for (name, arn) in [("web", WEB), ("old", OLD)] {
        let deny = Action::DenyCredentials(DenyCredentials {
            role: name.to_owned(),
            role_arn: arn.to_owned(),
            instance: ID.to_owned(),
            from: None,
            to: json!({}),
        });
        let seen = format!("{:?}", Ec2::resource(&finding, &state, &deny));
        assert!(seen.contains(arn), "{seen}");
        let other = if name == "web" { OLD } else { WEB };
        assert!(!seen.contains(other), "{seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_iam_that_answers_late_holds_no_interface_up() {
    use crate::clients::Services;
    use fixtures::waves::slow;
    let world = World::new(prepared(["0.0.0.0/0"], []));
    let state = world.playbook.observe(&infected()).await.unwrap();
    let late = std::time::Duration::from_secs(5);
    let Services { iam, .. } = &world.playbook.clients.own;
    let playbook = Ec2::over(Services {
        iam: slow!(aws_sdk_iam, iam, late),
        ..world.playbook.clients.own.clone()
    });
    let start = tokio::time::Instant::now();
    carry_out(&playbook, &infected(), &state, &Settings::default(), now()).await;
    assert!(world.wire.first(MODIFY, start).unwrap() < late);
    assert!(world.is_isolated("eni-1"));
}
