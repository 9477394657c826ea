//! A containment that someone undoes before IAM enforces it everywhere.

use std::time::{Duration, Instant};

use integration_tests::scenario::StolenKey;
use integration_tests::{Result, Scenario};

use crate::e2e::world::{expect_status, expect_stopped_attack, on_aws};

#[test]
fn a_containment_that_someone_undoes_is_done_again_within_seconds_and_told() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let finding = theft.finding()?;
        let reports = world.enforcing.respond(&finding).await?;
        expect_status(&reports["Iam"], "contained");

        let undoing = world
            .aws
            .iam()
            .delete_user_policy()
            .user_name(theft.user_name());
        undoing.policy_name("gdr-revoke-sessions").send().await?;
        let started = Instant::now();
        let again = loop {
            let reports = world.enforcing.reports("Iam", finding.id()).await?;
            if let Some(report) = reports.into_iter().find(|report| report["undone"] == true) {
                break report;
            }
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "it was not looked at again"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        expect_status(&again, "contained");
        assert!(
            again["next_steps"][0]
                .as_str()
                .is_some_and(|step| step.contains("someone undid"))
        );
        let (active, policies) = theft.state().await?;
        assert!(
            !active && policies.contains(&"gdr-revoke-sessions".to_owned()),
            "{policies:?}"
        );
        expect_stopped_attack(&theft).await
    })
}
