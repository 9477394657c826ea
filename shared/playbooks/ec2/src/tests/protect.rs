use super::world::{Account, ID, World, infected, names};
use super::{detail, outcome};
use fixtures::{finding, run, run_with};
use model::report::Outcome::{Already, Applied, Failed, Skipped};
use model::settings::{AutoScaling, Ec2Settings, Settings};
use serde_json::json;

fn scaled(lifecycle: &'static str) -> Account {
    Account {
        scaling: Some(("web-asg".to_owned(), lifecycle)),
        ..Account::default()
    }
}

fn auto_scaling(auto_scaling: AutoScaling) -> Settings {
    Settings {
        ec2: Ec2Settings {
            auto_scaling,
            ..Ec2Settings::default()
        },
        ..Settings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_instance_can_be_neither_terminated_nor_stopped_and_its_volumes_stay() {
    let world = World::new(Account::default());
    let done = run(&world.playbook, &infected()).await;
    let account = world.now();
    assert!(account.termination && account.stop);
    assert_eq!(account.shutdown, "stop");
    assert!(account.volumes.values().all(|volume| !volume.1));
    assert_eq!(outcome(&done, "ec2:KeepVolume", "vol-root"), Some(Applied));
    assert_eq!(outcome(&done, "ec2:KeepVolume", "vol-data"), Some(Already));
}

#[tokio::test(start_paused = true)]
async fn a_spot_instance_is_protected_as_far_as_one_can_be() {
    let world = World::new(Account {
        spot: true,
        ..Account::default()
    });
    let done = run(&world.playbook, &infected()).await;
    assert_eq!(
        outcome(&done, "ec2:ProtectFromTermination", ID),
        Some(Skipped)
    );
    assert!(!world.now().termination && !world.now().stop);
    assert!(world.is_isolated("eni-1"));
    assert!(
        done.residual_risks
            .iter()
            .any(|risk| risk.contains("Spot Instance"))
    );
}

#[tokio::test(start_paused = true)]
async fn it_leaves_its_auto_scaling_group_before_it_is_isolated() {
    let world = World::new(scaled("InService"));
    let done = run(&world.playbook, &infected()).await;
    assert_eq!(
        outcome(&done, "autoscaling:DetachInstance", ID),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    let writes = world.wire.writes();
    let at = |call: &str| writes.iter().position(|write| *write == call).unwrap();
    assert!(at("autoscaling:DetachInstances") < at("ec2:ModifyNetworkInterfaceAttribute"));
    assert!(world.now().scaling.is_none());
}

#[tokio::test(start_paused = true)]
async fn standby_and_keep_are_settings_and_a_kept_member_is_a_risk() {
    let world = World::new(scaled("InService"));
    let done = run_with(
        &world.playbook,
        &infected(),
        &auto_scaling(AutoScaling::Standby),
    )
    .await;
    assert_eq!(
        outcome(&done, "autoscaling:EnterStandby", ID),
        Some(Applied)
    );
    assert_eq!(world.now().scaling.as_ref().unwrap().1, "Standby");
    let world = World::new(scaled("InService"));
    let done = run_with(
        &world.playbook,
        &infected(),
        &auto_scaling(AutoScaling::Keep),
    )
    .await;
    assert_eq!(outcome(&done, "autoscaling:DetachInstance", ID), None);
    assert!(
        done.residual_risks
            .iter()
            .any(|risk| risk.contains("web-asg (EC2_AUTO_SCALING is 'keep')"))
    );
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn it_is_never_detached_from_standby_nor_while_its_group_is_busy_with_it() {
    for (lifecycle, expected) in [
        ("Standby", Already),
        ("EnteringStandby", Already),
        ("Detaching", Already),
        ("Pending:Wait", Skipped),
        ("Terminating:Wait", Skipped),
    ] {
        let world = World::new(scaled(lifecycle));
        let done = run(&world.playbook, &infected()).await;
        assert_eq!(
            outcome(&done, "autoscaling:DetachInstance", ID),
            Some(expected),
            "{lifecycle}"
        );
        assert!(
            !world
                .wire
                .writes()
                .iter()
                .any(|call| call.starts_with("autoscaling:"))
        );
        assert!(world.is_isolated("eni-1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_busy_is_asked_again_and_then_given_up() {
    let world = World::new(scaled("InService"));
    world.wire.fail_once(
        "autoscaling:DetachInstances",
        400,
        "ScalingActivityInProgress",
    );
    let done = run(&world.playbook, &infected()).await;
    assert_eq!(
        outcome(&done, "autoscaling:DetachInstance", ID),
        Some(Applied)
    );
    let world = World::new(scaled("InService"));
    world.wire.fail(
        "autoscaling:DetachInstances",
        400,
        "ScalingActivityInProgress",
    );
    let done = run(&world.playbook, &infected()).await;
    assert_eq!(
        outcome(&done, "autoscaling:DetachInstance", ID),
        Some(Failed)
    );
    assert!(world.is_isolated("eni-1") && done.transient.is_some());
    assert!(
        done.residual_risks
            .iter()
            .any(|risk| risk.contains("which terminates it"))
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_deregistered_by_its_id_its_address_and_its_port() {
    let world = World::new(Account {
        targets: vec![
            ("tg-web".to_owned(), ID.to_owned(), 8443, false),
            (
                "tg-web".to_owned(),
                "i-0fff1234def567890".to_owned(),
                8443,
                false,
            ),
            ("tg-net".to_owned(), "10.0.0.5".to_owned(), 443, false),
            ("tg-net".to_owned(), "10.0.0.6".to_owned(), 443, false),
        ],
        balancers: names(["classic"]),
        ..Account::default()
    });
    let done = run(&world.playbook, &infected()).await;
    assert_eq!(
        outcome(&done, "elasticloadbalancing:DeregisterTarget", ID),
        Some(Applied)
    );
    assert_eq!(
        outcome(&done, "elasticloadbalancing:DeregisterInstance", ID),
        Some(Applied)
    );
    let account = world.now();
    let draining: Vec<_> = account.targets.iter().map(|target| target.3).collect();
    assert_eq!(draining, [true, false, true, false]);
    assert!(account.balancers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_host_of_another_vpc_that_has_the_same_address_stays_registered() {
    let at = |zone| Account {
        targets: vec![("tg-net".to_owned(), "10.0.0.5".to_owned(), 443, false)],
        foreign: Some(("tg-net", zone)),
        ..Account::default()
    };
    for (zone, told) in [("us-east-1a", false), ("all", true)] {
        let world = World::new(at(zone));
        let done = run(&world.playbook, &infected()).await;
        assert!(!world.now().targets[0].3, "{zone}");
        assert_eq!(
            outcome(&done, "elasticloadbalancing:DeregisterTarget", ID),
            Some(Already)
        );
        let shown = |next: &String| next.contains("10.0.0.5 in tg-net");
        assert_eq!(
            done.next_steps.iter().any(shown),
            told,
            "{:?}",
            done.next_steps
        );
    }
}

#[tokio::test(start_paused = true)]
async fn reading_back_asks_only_the_target_groups_that_had_it() {
    let health = "elasticloadbalancing:DescribeTargetHealth";
    for (targets, asked) in [
        (vec![], 2),
        (
            vec![("tg-web".to_owned(), ID.to_owned(), 443, false)],
            2 + 1,
        ),
    ] {
        let world = World::new(Account {
            targets,
            ..Account::default()
        });
        let done = run(&world.playbook, &infected()).await;
        let calls = world.wire.calls();
        assert_eq!(calls.iter().filter(|call| **call == health).count(), asked);
        let deregister = "elasticloadbalancing:DeregisterTarget";
        let expected = if asked == 2 { Already } else { Applied };
        assert_eq!(outcome(&done, deregister, ID), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_target_is_deregistered_however_it_is_spelt() {
    let mut account = Account {
        targets: vec![("tg-net".to_owned(), "2600:1F13:0::5".to_owned(), 443, false)],
        ..Account::default()
    };
    account.interfaces.get_mut("eni-1").unwrap().ipv6 = vec!["2600:1f13::5"];
    let world = World::new(account);
    run(&world.playbook, &infected()).await;
    assert!(world.now().targets[0].3);
}

#[tokio::test(start_paused = true)]
async fn one_set_of_snapshots_is_taken_for_a_finding_and_another_for_another() {
    let world = World::new(Account::default());
    run(&world.playbook, &infected()).await;
    run(&world.playbook, &infected()).await;
    assert_eq!(world.now().snapshots.len(), 2);
    let other = finding(json!({
        "id": "26afba5c5c43e07c9e3e5e2e544e95df",
        "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": ID } },
    }));
    run(&world.playbook, &other).await;
    assert_eq!(world.now().snapshots.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn only_the_volumes_without_a_snapshot_get_one() {
    for (covered, missing) in [("vol-root", "vol-data"), ("vol-data", "vol-root")] {
        let world = World::new(Account {
            snapshots: vec![(covered.to_owned(), infected().id)],
            ..Account::default()
        });
        run(&world.playbook, &infected()).await;
        let account = world.now();
        assert_eq!(account.snapshots.len(), 2);
        assert_eq!(account.snapshots[1].0, missing);
    }
}

#[tokio::test(start_paused = true)]
async fn without_knowing_of_earlier_snapshots_none_is_taken() {
    let world = World::new(Account::default());
    world
        .wire
        .fail("ec2:DescribeSnapshots", 403, "UnauthorizedOperation");
    let done = run(&world.playbook, &infected()).await;
    assert!(world.now().snapshots.is_empty());
    assert!(detail(&done, "ec2:SnapshotVolumes").contains("ec2:DescribeSnapshots"));
}

#[tokio::test(start_paused = true)]
async fn everything_is_marked_and_the_first_mark_stays() {
    let world = World::new(Account::default());
    run(&world.playbook, &infected()).await;
    let first = world.now().interfaces["eni-1"].tags.clone();
    assert_eq!(first["gdr:incident"], infected().id);
    assert_eq!(first["gdr:prior-groups"], "sg-admin sg-web");
    assert!(world.now().tags.contains_key("gdr:incident"));
    assert!(
        world
            .now()
            .volumes
            .values()
            .all(|volume| volume.2.contains_key("gdr:incident"))
    );
    let other = finding(json!({
        "id": "f".repeat(300),
        "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": ID } },
    }));
    run(&world.playbook, &other).await;
    assert_eq!(world.now().interfaces["eni-1"].tags, first);
}

#[tokio::test(start_paused = true)]
async fn more_groups_than_a_tag_holds_are_left_to_the_record() {
    let mut account = Account::default();
    let groups = (0..16).map(|n| format!("sg-0123456789abcd{n:03}"));
    account.interfaces.get_mut("eni-1").unwrap().groups = groups.collect();
    let world = World::new(account);
    run(&world.playbook, &infected()).await;
    assert_eq!(
        world.now().interfaces["eni-1"].tags["gdr:prior-groups"],
        "see the incident record"
    );
}
