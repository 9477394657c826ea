//! Load balancers in accounts that have many of them.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::world::ID;
use super::*;
use fixtures::{event, run, waves};

const DEREGISTER: &str = "elasticloadbalancing:DeregisterTarget";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";
const GROUPS: &str = "elasticloadbalancing:DescribeTargetGroups";

fn with_many(groups: usize) -> Account {
    Account {
        more_target_groups: groups,
        targets: vec![
            ("tg-web".to_owned(), ID.to_owned(), 443, false),
            ("tg-497".to_owned(), ID.to_owned(), 8443, false),
        ],
        ..prepared([], [])
    }
}

/// 40 requests, and at most ten a second after them.
fn holds_the_pace(asked: &[Instant]) {
    for window in asked.windows(51) {
        let took = window[50].duration_since(window[0]);
        assert!(took >= Duration::from_secs(1), "51 requests in {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_leaves_its_groups_among_five_hundred_and_is_isolated_before_they_are_asked() {
    let world = World::new(Account {
        deleted_target_groups: ["tg-7", "tg-300"].into(),
        ..with_many(498)
    });
    let start = Instant::now();
    let playbook = Ec2::over(world.playbook.clients.own.clone());
    let shown = event(json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": ID } },
    }));
    let report = waves::contained(playbook, shown).await.report;
    assert_eq!(step(&report, DEREGISTER, ID).0, Outcome::Applied);
    assert!(world.is_contained());
    let isolated = world.wire.first(MODIFY, start).expect("isolated");
    assert!(isolated < Duration::from_secs(1), "{isolated:?}");
    let snapshot = world.wire.first("ec2:CreateSnapshots", start);
    assert!(snapshot.expect("taken") < Duration::from_secs(1));
    let account = world.now();
    assert!(account.targets.iter().all(|target| target.3));
    // All once, and those that have it once more to read back.
    assert_eq!(account.asked_target_groups.len(), 500 + 2);
    holds_the_pace(&account.asked_target_groups[..500]);
    let took = account.asked_target_groups[499].duration_since(start);
    assert!(took < Duration::from_secs(50), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_throttled_once_is_asked_again_and_costs_no_other_group() {
    let world = World::new(with_many(0));
    world.wire.fail_once(HEALTH, 400, "Throttling");
    let done = run(&world.playbook, &infected()).await;
    assert_eq!(outcome(&done, DEREGISTER, ID), Some(Outcome::Applied));
    assert!(world.now().targets[0].3 && done.transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn groups_that_are_throttled_for_long_spoil_neither_the_status_nor_the_invocation() {
    for operation in [HEALTH, GROUPS] {
        let world = World::new(with_many(498));
        world.wire.fail(operation, 400, "Throttling");
        let (report, transient) = contain(&world).await;
        assert!(transient.is_none(), "{transient:?}");
        assert!(world.is_isolated("eni-1"));
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        let (outcome, detail) = step(&report, DEREGISTER, ID);
        assert_eq!(outcome, Outcome::Skipped);
        assert!(
            detail.contains("by hand") && detail.contains(operation),
            "{detail}"
        );
        assert!(!detail.contains("will be retried"), "{detail}");
        world.wire.heal();
        let (report, _) = contain(&world).await;
        assert_eq!(step(&report, DEREGISTER, ID).0, Outcome::Applied);
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_target_groups_are_a_failure_and_the_known_targets_are_deregistered() {
    for operation in [HEALTH, GROUPS] {
        let world = World::new(with_many(0));
        world.wire.fail(operation, 403, "AccessDenied");
        let (report, _) = contain(&world).await;
        assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
        let (outcome, detail) = step(&report, DEREGISTER, ID);
        assert_eq!(outcome, Outcome::Failed);
        assert!(detail.contains("role allows"), "{detail}");
    }
    let world = World::new(with_many(0));
    world.wire.fail_once(HEALTH, 403, "AccessDenied");
    let (report, _) = contain(&world).await;
    let failed = report
        .steps()
        .iter()
        .filter(|step| step.outcome() == Outcome::Failed);
    assert_eq!(failed.count(), 1, "{}", report.to_line());
}
