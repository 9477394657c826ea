//! EventBridge delivers at least once, and may do so at the same moment.

use aws_sdk_ec2::types::Filter;
use futures::future::try_join_all;
use integration_tests::scenario::{InfectedInstance, StolenKey};
use integration_tests::{Result, Scenario};

use crate::e2e::notice::{notices_until_quiet, subscribe};
use crate::e2e::world::{expect_stopped_attack, expect_working_attack, on_aws};

#[test]
fn ten_deliveries_at_once_isolate_the_instance_once() -> Result {
    on_aws(async |world| {
        let inbox = subscribe(world, "NotificationTopic").await?;
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

/// IAM is global: GuardDuty finds the same credential in every Region in which it is used.
#[test]
fn a_credential_that_is_found_in_two_regions_at_once_is_contained_once() -> Result {
    on_aws(async |world| {
        let key = StolenKey::create(world.aws).await?;
        let (here, there) = (key.finding()?, key.finding()?.with("/region", "eu-west-1"));
        assert_ne!(here.id(), there.id());
        let function = world.enforcing.function("Iam")?;
        let reports = try_join_all([
            world.enforcing.invoke(function, &here.0),
            world.enforcing.invoke(function, &there.0),
        ])
        .await?;
        let mut statuses: Vec<_> = reports.iter().map(|report| &report["status"]).collect();
        statuses.sort_unstable_by_key(|status| status.to_string());
        assert_eq!(statuses, ["already_contained", "contained"], "{reports:#?}");
        expect_stopped_attack(&key).await
    })
}
