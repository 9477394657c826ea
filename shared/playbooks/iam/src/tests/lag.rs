//! IAM answers reads from copies that lag behind what was written.

use super::*;

fn lagging(reads: usize) -> World {
    world(Account {
        behind: reads,
        ..mallory()
    })
}

/// Each of the two that are read back asks once more, after a pause.
#[tokio::test(start_paused = true)]
async fn a_change_that_is_seen_a_little_later_is_read_back_again_and_written_once() {
    for reads in [1, 2, 3] {
        let world = lagging(reads);
        let (report, transient) = answer(&world.iam, &stolen_key()).await;
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        assert!(transient.is_none());
        assert_eq!(
            world.wire.writes(),
            ["iam:PutUserPolicy", "iam:UpdateAccessKey"]
        );
        assert_eq!(world.account.lock().unwrap().behind, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_not_seen_is_not_said_to_be_in_effect_and_the_next_look_sees_it() {
    let world = lagging(usize::MAX);
    let (report, _) = answer(&world.iam, &stolen_key()).await;
    assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
    for name in [REVOKE, DEACTIVATE] {
        let (outcome, detail) = step(&report, name);
        assert_eq!(outcome, Outcome::Failed, "{name}: {detail}");
    }
    // The copies have caught up.
    world.account.lock().unwrap().behind = 0;
    world.wire.clear();
    let (report, _) = answer(&world.iam, &stolen_key()).await;
    assert_eq!(
        report.status(),
        Status::AlreadyContained,
        "{}",
        report.to_line()
    );
    assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
}
