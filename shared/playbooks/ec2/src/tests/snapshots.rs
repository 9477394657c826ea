//! Snapshots where EC2 limits how many are taken of a volume.

use super::world::SnapshotLimits;
use super::*;
use fixtures::finding;
use model::finding::Finding;
use serde_json::json;

const SNAPSHOT: &str = "ec2:SnapshotVolumes";

/// Another finding on the same instance.
fn another(id: &str) -> Finding {
    finding(json!({
        "id": id,
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": world::ID },
        },
    }))
}

fn limited(at_once: &[(&'static str, usize)]) -> Account {
    Account {
        snapshot_limits: Some(SnapshotLimits {
            at_once: at_once.iter().copied().collect(),
            ..SnapshotLimits::default()
        }),
        ..prepared([], [])
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_finding_seconds_later_waits_for_its_snapshots_and_ends_contained() {
    let world = World::new(limited(&[]));
    contained(&world).await;
    let (report, transient) = answer(&world.playbook, &another("second")).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(transient.is_none());
    assert_eq!(step(&report, SNAPSHOT, world::ID).0, Outcome::Applied);
    let account = world.now();
    let of = |finding: &str| {
        let taken = account.snapshots.iter();
        taken.filter(|(_, taken_for)| taken_for == finding).count()
    };
    assert_eq!((of(&infected().id), of("second")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_volume_of_which_as_many_snapshots_are_being_taken_as_ec2_takes_is_covered_by_them() {
    let world = World::new(limited(&[("vol-root", 1), ("vol-data", 1)]));
    contained(&world).await;
    let (report, transient) = answer(&world.playbook, &another("second")).await;
    assert_eq!(
        report.status(),
        Status::AlreadyContained,
        "{}",
        report.to_line()
    );
    assert!(transient.is_none());
    let (outcome, detail) = step(&report, SNAPSHOT, world::ID);
    assert_eq!(outcome, Outcome::Skipped);
    assert!(
        detail.contains("snap-0") && detail.contains("snap-1"),
        "{detail}"
    );
    assert_eq!(world.now().snapshots.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_full_does_not_keep_another_one_from_its_snapshot() {
    let world = World::new(limited(&[("vol-root", 1)]));
    contained(&world).await;
    // The small volume's is complete.
    let limits = |account: &mut Account| account.snapshot_limits.take().unwrap();
    let mut left = limits(&mut world.now());
    left.pending.retain(|(volume, _)| volume == "vol-root");
    world.now().snapshot_limits = Some(left);
    let (report, _) = answer(&world.playbook, &another("second")).await;
    let (outcome, detail) = step(&report, SNAPSHOT, world::ID);
    assert_eq!(outcome, Outcome::Skipped, "{detail}");
    assert!(
        report.status() == Status::AlreadyContained,
        "{}",
        report.to_line()
    );
    let second = ("vol-data".to_owned(), "second".to_owned());
    let account = world.now();
    assert!(
        account.snapshots.contains(&second),
        "{:?}",
        account.snapshots
    );
}

#[tokio::test(start_paused = true)]
async fn snapshots_refused_for_another_reason_are_a_reported_failure() {
    let world = World::new(limited(&[]));
    contained(&world).await;
    world
        .wire
        .fail("ec2:CreateSnapshots", 403, "UnauthorizedOperation");
    let (report, _) = answer(&world.playbook, &another("second")).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(step(&report, SNAPSHOT, world::ID).0, Outcome::Failed);
}
