//! EventBridge delivers at least once, and may do so at the same moment.

use futures::future::try_join_all;
use integration_tests::scenario::InfectedInstance;
use integration_tests::{Result, Scenario};

use crate::world::{expect_stopped_attack, expect_working_attack, on_aws};

#[test]
fn ten_deliveries_at_once_isolate_the_instance_once() -> Result {
    on_aws(async |world| {
        let infection = InfectedInstance::create(world.aws).await?;
        expect_working_attack(&infection).await?;
        let finding = infection.finding()?;
        let function = world.enforcing.function("Ec2")?;
        let deliveries = (0..10).map(|_| world.enforcing.invoke(function, &finding.0));
        let reports = try_join_all(deliveries).await?;
        for report in &reports {
            let status = report["status"].as_str().unwrap_or_default();
            assert!(
                ["contained", "already_contained"].contains(&status),
                "{report:#}"
            );
        }
        let isolation = infection.groups_named("gdr-isolation").await?;
        assert_eq!(isolation.len(), 1, "one group for the network");
        for (interface, groups) in infection.groups().await? {
            assert_eq!(groups, isolation, "{interface}");
        }
        expect_stopped_attack(&infection).await
    })
}
