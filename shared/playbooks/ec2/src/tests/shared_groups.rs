//! The groups that all instances of a VPC share: whose they are, that they stay closed, and what was read of them.

use serde_json::json;

use super::world::Group;
use super::*;
use fixtures::run;
use model::plan::Step;
use model::report::Outcome::{Already, Applied, Skipped};

const TAG: &str = "ec2:MarkContained";
const CLOSE: &str = "ec2:CloseIsolationGroup";

/// A group of another account, which the owner of a shared VPC is shown.
fn foreign<const I: usize>(ingress: [&str; I]) -> Group {
    Group {
        owner: Some("444455556666"),
        ..group("vpc-a", ingress, [])
    }
}

fn with<const N: usize>(groups: [(&str, Group); N]) -> Account {
    let groups = groups.map(|(id, group)| (id.to_owned(), group));
    Account {
        groups: groups.into(),
        ..one()
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_of_another_account_in_a_shared_vpc_is_not_used() {
    let world = World::new(with([
        ("sg-0-isolation-theirs", foreign([])),
        ("sg-isolation", group("vpc-a", [], [])),
    ]));
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), ["sg-isolation"]);
    let (again, _) = contain(&world).await;
    assert_eq!(again.status(), Status::AlreadyContained);
}

#[tokio::test(start_paused = true)]
async fn where_only_another_account_has_the_group_an_own_one_is_made() {
    for ingress in [&[][..], &["0.0.0.0/0"]] {
        let mut theirs = foreign([]);
        theirs.ingress = ingress.iter().map(ToString::to_string).collect();
        let world = World::new(with([("sg-0-isolation-theirs", theirs)]));
        contained(&world).await;
        let own = world.groups_of("eni-1");
        assert_ne!(own, ["sg-0-isolation-theirs"]);
        assert_eq!(world.now().groups[&own[0]].owner, None);
        let kept = world.now().groups["sg-0-isolation-theirs"].ingress.len();
        assert_eq!(kept, ingress.len(), "it is not touched");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_somebody_else_made_gets_the_tag_that_keeps_it_closed() {
    let untagged = Group {
        role: None,
        ..group("vpc-a", [], [])
    };
    let world = World::new(with([("sg-isolation", untagged)]));
    let report = contained(&world).await;
    assert_eq!(step(&report, TAG, "sg-isolation").0, Applied);
    let role = world.now().groups["sg-isolation"].role.clone();
    assert_eq!(role.as_deref(), Some("isolation"));
    let (again, _) = contain(&world).await;
    assert_eq!(step(&again, TAG, "sg-isolation").0, Already);
}

#[tokio::test(start_paused = true)]
async fn the_tag_of_a_group_outlives_the_release() {
    use model::plan::{Action as _, Undo};
    let untagged = Group {
        role: None,
        ..group("vpc-a", [], [])
    };
    let world = World::new(with([("sg-isolation", untagged)]));
    let plan = planned(&world).await;
    let mark = plan.steps.iter().find_map(|step| match step {
        Step::Do(change) if change.target() == "sg-isolation" => Some(change),
        _ => None,
    });
    assert!(matches!(mark.unwrap().undo(), Undo::Nothing(_)));
}

/// Others are isolated in it, of before the group of the exact name was made.
#[tokio::test(start_paused = true)]
async fn another_opened_group_of_the_responder_is_closed_and_reported() {
    let other = Group {
        name: "gdr-isolation-00c0ffee".to_owned(),
        ..group("vpc-a", ["0.0.0.0/0"], ["::/0"])
    };
    let world = World::new(with([
        ("sg-isolation", group("vpc-a", [], [])),
        ("sg-isolation-other", other),
    ]));
    let report = contained(&world).await;
    assert_eq!(step(&report, CLOSE, "sg-isolation-other").0, Applied);
    let closed = world.now().groups["sg-isolation-other"].clone();
    assert!(closed.ingress.is_empty() && closed.egress.is_empty());
    let told = report.next_steps().join("\n");
    assert!(
        told.contains("who gave rules to sg-isolation-other"),
        "{told}"
    );
    let (again, _) = contain(&world).await;
    assert_eq!(again.status(), Status::AlreadyContained);
}

#[tokio::test(start_paused = true)]
async fn a_look_closes_the_group_again_that_somebody_opened() {
    let world = World::new(prepared([], []));
    contained(&world).await;
    world.open("sg-isolation");
    assert!(!world.is_isolated("eni-1"));
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), ["sg-isolation"]);
}

#[tokio::test(start_paused = true)]
async fn an_open_group_of_the_vpc_is_reported_for_an_exempt_instance() {
    let world = World::new(Account {
        operator: true,
        ..prepared(["198.51.100.7/32"], [])
    });
    let (report, _) = contain(&world).await;
    let told = report.next_steps().join("\n");
    assert!(
        told.contains("take away the rules of sg-isolation"),
        "{told}"
    );
    assert!(told.contains("198.51.100.7/32"), "{told}");
    assert_eq!(world.now().groups["sg-isolation"].ingress.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn values_shown_as_read_back_are_the_values_read() {
    let world = World::new(one());
    let done = run(&world.playbook, &infected()).await;
    let to = |action: &str, target: &str| {
        let mut steps = done.steps.iter();
        let step = steps.find(|step| step.action() == action && step.target() == target);
        let step = step.expect("the step");
        assert_eq!(step.outcome(), Applied);
        step.to().clone()
    };
    let made = json!({ "GroupName": "gdr-isolation", "GroupId": MADE, "Rules": [] });
    assert_eq!(to(PREPARE, "vpc-a"), made);
    assert_eq!(to(ISOLATE, "eni-1"), json!({ "Groups": [MADE] }));
    let volumes = json!({ "Snapshots": ["vol-data", "vol-root"] });
    assert_eq!(to("ec2:SnapshotVolumes", world::ID), volumes);
    let tags = to(TAG, "eni-1");
    assert_eq!(
        tags["Tags"]["gdr:prior-groups"], "sg-app sg-db sg-ssh",
        "{tags}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_not_in_effect_shows_the_wanted_value() {
    let world = World::new(prepared([], []));
    world.wire.fail(MODIFY, 403, "UnauthorizedOperation");
    let done = run(&world.playbook, &infected()).await;
    let mut steps = done.steps.iter();
    let isolate = steps.find(|step| step.action() == ISOLATE).unwrap();
    assert_eq!(isolate.to(), &json!({ "Groups": ["sg-isolation"] }));
    assert_ne!(isolate.outcome(), Applied);
    assert_ne!(isolate.outcome(), Skipped);
}
