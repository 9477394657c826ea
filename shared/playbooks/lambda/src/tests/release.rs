//! What a function had is put back, and nothing else.

use super::world::{Account, World, detail};
use fixtures::table::table;
use fixtures::{event, now, recorded, release};
use model::actions::lambda::THROTTLE;
use model::report::Status;
use model::settings::Settings;
use remediation::record::IncidentStore;
use remediation::release::{Allowance, Verdict};

async fn contained(concurrency: Option<i32>) -> (World, IncidentStore) {
    let (_, record) = table();
    let world = World::new(Account {
        concurrency,
        ..Account::default()
    });
    let settings = Settings::default();
    let report = recorded(&world.playbook, &record, &event(detail()), &settings, now()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    (world, record)
}

async fn put_back(world: &World, record: &IncidentStore) -> Vec<(&'static str, Verdict)> {
    let allowance = Allowance::default();
    let (verdicts, released) =
        release(&world.playbook, record, &event(detail()), &allowance, now()).await;
    drop(released);
    verdicts
}

#[tokio::test(start_paused = true)]
async fn the_concurrency_that_was_reserved_is_put_back_or_none_is() {
    for before in [None, Some(1), Some(250)] {
        let (world, record) = contained(before).await;
        assert_eq!(world.now().concurrency, Some(0));
        let verdicts = put_back(&world, &record).await;
        assert!(
            verdicts.iter().all(|(_, it)| *it == Verdict::Restore),
            "{verdicts:?}"
        );
        assert_eq!(world.now().concurrency, before);
        assert_eq!(world.deny("worker"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_have_set_since_is_drift_and_stays() {
    let (world, record) = contained(Some(5)).await;
    world.now().concurrency = Some(9);
    let verdicts = put_back(&world, &record).await;
    let drifted = verdicts.iter().find(|(action, _)| *action == THROTTLE);
    let drifted = drifted.map(|(_, verdict)| verdict);
    assert!(matches!(drifted, Some(Verdict::Drifted(_))), "{verdicts:?}");
    assert_eq!(world.now().concurrency, Some(9));
}
