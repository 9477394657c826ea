//! EventBridge delivers at least once, and may do so at the same moment.

use std::time::{Duration, Instant};

use aws_sdk_ec2::types::Filter;
use futures::future::try_join_all;
use integration_tests::scenario::{InfectedInstance, StolenKey};
use integration_tests::{Result, Scenario};
use serde_json::Value;

use crate::e2e::notice::{notices_until_quiet, subscribe};
use crate::e2e::world::{World, expect_stopped_attack, expect_working_attack, on_aws};

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
        let (put_off, done): (Vec<_>, Vec<_>) = reports.iter().partition(|it| is_put_off(it));
        let count = |status: &str| done.iter().filter(|it| it["status"] == status).count();
        assert_eq!(
            (count("contained"), count("already_contained")),
            (1, 9 - put_off.len()),
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
        if !put_off.is_empty() {
            wait_for_another(world, finding.id(), done.len()).await?;
        }
        Ok(())
    })
}

/// True for the report of a delivery that comes again, since another invocation is at work on its target.
fn is_put_off(report: &Value) -> bool {
    let reason = report["reason"].as_str().unwrap_or_default();
    report["status"] == "ignored" && reason.contains("it is handled again in")
}

/// Waits until one more than `done` deliveries of the finding were dealt with: a delivery that was put off has come
/// again, through the queue.
async fn wait_for_another(world: &World, finding: &str, done: usize) -> Result {
    let started = Instant::now();
    loop {
        let reports = world.enforcing.reports("Ec2", finding).await?;
        let found = reports
            .iter()
            .filter(|it| it["status"] == "already_contained");
        // One of those that are done is the one that contained it.
        if found.count() >= done {
            return Ok(());
        }
        assert!(
            started.elapsed() < Duration::from_secs(180),
            "no delivery that was put off came again"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
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
        let one = |is: fn(&Value) -> bool| reports.iter().filter(|it| is(it)).count() == 1;
        assert!(one(|it| it["status"] == "contained"), "{reports:#?}");
        let other = |it: &Value| it["status"] == "already_contained" || is_put_off(it);
        assert!(one(other), "{reports:#?}");
        expect_stopped_attack(&key).await
    })
}
