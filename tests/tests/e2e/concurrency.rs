//! EventBridge delivers at least once, and may do so at the same moment.

use aws_sdk_ec2::types::Filter;
use futures::future::try_join_all;
use integration_tests::scenario::InfectedInstance;
use integration_tests::{Result, Scenario};

use crate::notice::{notices_until_quiet, subscribe};
use crate::world::{expect_stopped_attack, expect_working_attack, on_aws};

#[test]
fn ten_deliveries_at_once_isolate_the_instance_once() -> Result {
    on_aws(async |world| {
        let inbox = subscribe(world).await?;
        let infection = InfectedInstance::create(world.aws).await?;
        expect_working_attack(&infection).await?;
        let finding = infection.finding()?;
        let function = world.enforcing.function("Ec2")?;
        let deliveries = (0..10).map(|_| world.enforcing.invoke(function, &finding.0));
        let reports = try_join_all(deliveries).await?;
        let count = |status: &str| {
            reports
                .iter()
                .filter(|report| report["status"] == status)
                .count()
        };
        assert_eq!(
            (count("contained"), count("already_contained")),
            (1, 9),
            "{reports:#?}"
        );
        let isolation = infection.groups_named("gdr-isolation").await?;
        assert_eq!(isolation.len(), 1, "one group for the network");
        for (interface, groups) in infection.groups().await? {
            assert_eq!(groups, isolation, "{interface}");
        }
        expect_stopped_attack(&infection).await?;
        let of_finding = Filter::builder()
            .name("tag:gdr:finding")
            .values(finding.id())
            .build();
        let snapshots = world
            .aws
            .ec2()
            .describe_snapshots()
            .filters(of_finding)
            .send()
            .await?;
        assert_eq!(snapshots.snapshots().len(), 1, "one for the one volume");
        assert_eq!(notices_until_quiet(world, &inbox, finding.id()).await?, 1);
        Ok(())
    })
}
