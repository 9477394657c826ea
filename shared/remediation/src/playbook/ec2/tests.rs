mod adversity;
mod cloud;
mod world;

use std::collections::BTreeSet;

use self::cloud::{Cloud, INSTANCE, Nic, cloud, group, nic};
use self::world::{MODIFY, World};
use super::*;
use crate::error::Error;
use crate::fixtures::{World as _, answer, declared, each_call_fails_in_turn, finding, now, run};
use crate::report::{Outcome, Report, Status};

fn spambot() -> Finding {
    finding(json!({
        "type": "Backdoor:EC2/Spambot",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": INSTANCE },
        },
    }))
}

/// One interface in one VPC.
fn one() -> Cloud {
    cloud([nic("eni-1", "vpc-a")])
}

/// [`one`], where the group exists already, with these rules.
fn prepared(rules: &[(bool, &'static str)]) -> Cloud {
    Cloud {
        groups: vec![group("sg-isolation", "vpc-a", rules)],
        ..one()
    }
}

/// An interface that belongs to a service.
fn managed() -> Nic {
    Nic {
        requester: Some("amazon-elb"),
        ..nic("eni-managed", "vpc-b")
    }
}

async fn contain(world: &World) -> (Report, Option<Error>) {
    answer(&world.playbook, &spambot()).await
}

/// Contains, and asserts that it is so.
async fn contained(world: &World) -> Report {
    let (report, transient) = contain(world).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(world.is_contained());
    assert!(transient.is_none());
    report
}

/// The outcome and detail of the step on `target`.
fn step<'a>(report: &'a Report, target: &str) -> (Outcome, &'a str) {
    let step = report.steps().iter().find(|step| step.target() == target);
    let step = step.unwrap_or_else(|| panic!("no step on {target}: {}", report.to_line()));
    (step.outcome(), step.detail())
}

#[tokio::test(start_paused = true)]
async fn every_interface_gets_the_isolation_group_in_place_of_all_its_groups() {
    let world = World::new(cloud([nic("eni-1", "vpc-a"), nic("eni-2", "vpc-a")]));
    contained(&world).await;
    for eni in ["eni-1", "eni-2"] {
        assert_eq!(world.groups_of(eni), ["sg-a"]);
    }
    let writes = world.wire.writes();
    let count = |call: &str| writes.iter().filter(|write| **write == call).count();
    assert_eq!(count("ec2:CreateSecurityGroup"), 1, "{writes:?}");
    assert_eq!(count(MODIFY), 2, "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn each_vpc_gets_an_isolation_group_of_its_own() {
    let world = World::new(cloud([nic("eni-1", "vpc-a"), nic("eni-2", "vpc-b")]));
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), ["sg-a"]);
    assert_eq!(world.groups_of("eni-2"), ["sg-b"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_of_another_name_or_vpc_is_not_used() {
    let mut elsewhere = group("sg-elsewhere", "vpc-b", &[]);
    let mut other = group("sg-other", "vpc-a", &[]);
    other.name = "default";
    elsewhere.rules.clear();
    let world = World::new(Cloud {
        groups: vec![other, elsewhere],
        ..one()
    });
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), ["sg-a"]);
}

#[tokio::test(start_paused = true)]
async fn interfaces_beyond_the_first_page_are_isolated_too() {
    let nics = ["eni-1", "eni-2", "eni-3"].map(|id| nic(id, "vpc-a"));
    let world = World::new(Cloud {
        page: 1,
        ..cloud(nics)
    });
    contained(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_group_is_stripped_and_verified_before_an_interface_is_attached() {
    let world = World::new(one());
    contained(&world).await;
    let calls = world.wire.calls();
    assert_eq!(
        calls[3..8],
        [
            "ec2:CreateSecurityGroup",
            "ec2:DescribeSecurityGroupRules",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:DescribeSecurityGroups",
            MODIFY,
        ]
    );
    assert!(
        world
            .cloud
            .lock()
            .unwrap()
            .isolation("vpc-a")
            .unwrap()
            .rules
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_group_that_exists_is_attached_after_four_reads() {
    let world = World::new(prepared(&[]));
    contained(&world).await;
    assert_eq!(
        world.wire.calls().iter().position(|call| *call == MODIFY),
        Some(4)
    );
    assert_eq!(world.wire.writes(), [MODIFY]);
    assert_eq!(world.groups_of("eni-1"), ["sg-isolation"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_someone_gave_rules_is_stripped_and_told_of() {
    let world = World::new(prepared(&[(false, "198.51.100.7/32"), (true, "::/0")]));
    let state = world.playbook.observe(&spambot()).await.unwrap();
    let plan = Ec2::plan(
        &spambot(),
        &state,
        &crate::settings::Settings::default(),
        now(),
    );
    assert!(plan.next_steps[0].contains("who gave rules to sg-isolation"));
    let Step::Do(prepare) = &plan.steps[0] else {
        panic!("{plan:?}")
    };
    let from = json!({ "GroupId": "sg-isolation",
        "Ingress": ["all traffic 198.51.100.7/32"], "Egress": ["all traffic ::/0"] });
    assert_eq!(prepare.from(), from);
    contained(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_squatted_group_is_told_of_after_it_was_stripped() {
    let world = World::new(prepared(&[(false, "0.0.0.0/0")]));
    let done = run(&world.playbook, &spambot()).await;
    let told = |next: &String| next.contains("who gave rules to sg-isolation");
    assert!(done.next_steps.iter().any(told), "{:?}", done.next_steps);
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_a_service_manages_is_skipped_and_makes_the_containment_partial() {
    let world = World::new(cloud([managed(), nic("eni-2", "vpc-a")]));
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, "eni-managed");
    assert_eq!(outcome, Outcome::Skipped);
    assert!(detail.contains("amazon-elb manages"), "{detail}");
    assert!(world.cloud.lock().unwrap().isolation("vpc-b").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_instance_with_nothing_to_isolate_is_left_alone() {
    let without = cloud([]);
    for (cloud, why) in [
        (
            Cloud {
                state: None,
                ..without.clone()
            },
            "no such instance",
        ),
        (
            Cloud {
                state: Some("terminated"),
                ..without.clone()
            },
            "terminated",
        ),
        (
            Cloud {
                state: Some("shutting-down"),
                ..one()
            },
            "shutting-down",
        ),
        (without, "no network interface"),
    ] {
        let world = World::new(cloud);
        let (report, transient) = contain(&world).await;
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        let (outcome, detail) = step(&report, INSTANCE);
        assert_eq!(outcome, Outcome::Skipped);
        assert!(detail.contains(why), "{detail}");
        assert!(world.wire.writes().is_empty());
        assert!(transient.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_instance_is_isolated_before_it_is_started_again() {
    let world = World::new(Cloud {
        state: Some("stopped"),
        ..one()
    });
    contained(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_run_plans_nothing_and_writes_nothing() {
    let world = World::new(cloud([nic("eni-1", "vpc-a"), nic("eni-2", "vpc-b")]));
    contained(&world).await;
    world.wire.clear();
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::AlreadyContained);
    assert!(world.wire.writes().is_empty());
    assert_eq!(world.wire.calls().len(), 3, "{:?}", world.wire.calls());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_opened_later_is_stripped_again_and_the_interface_stays_in_it() {
    let world = World::new(one());
    contained(&world).await;
    let opened = group("sg-a", "vpc-a", &[(false, "0.0.0.0/0")]);
    world.change(|cloud| cloud.groups = vec![opened]);
    assert!(!world.is_contained());
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), ["sg-a"]);
}

#[tokio::test(start_paused = true)]
async fn the_report_tells_what_isolation_leaves_open() {
    let world = World::new(one());
    let done = run(&world.playbook, &spambot()).await;
    let risks = done.residual_risks.join("\n");
    for risk in ["open keep working", "DNS", "instance-profile/web"] {
        assert!(risks.contains(risk), "{risk}: {risks}");
    }
}

fn scenarios() -> Vec<Cloud> {
    vec![
        cloud([nic("eni-1", "vpc-a"), nic("eni-2", "vpc-b")]),
        prepared(&[]),
        prepared(&[(true, "0.0.0.0/0"), (false, "::/0")]),
        Cloud {
            raced: true,
            ..one()
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn the_calls_are_those_that_the_playbook_declares_permissions_for() {
    let mut called = BTreeSet::from(["ec2:CreateTags"]); // By the tags of a new group.
    for cloud in scenarios() {
        let world = World::new(cloud);
        run(&world.playbook, &spambot()).await;
        called.extend(world.wire.calls());
    }
    assert_eq!(called, declared::<Ec2>());
}
