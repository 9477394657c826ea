//! Whatever is not exactly an order to enforce changes nothing.

use integration_tests::scenario::{InfectedInstance, PublicBucket, StolenKey, StolenRoleSession};
use integration_tests::stack::Responder;
use integration_tests::{Result, Scenario, trail};
use jiff::Timestamp;

use crate::e2e::world::{
    World, expect_outcomes, expect_status, expect_stopped_attack, expect_working_attack, on_aws,
};

/// On the stack that was deployed with its defaults.
async fn expect_plan_only(world: &World, scenario: &impl Scenario, responder: Responder) -> Result {
    expect_working_attack(scenario).await?;
    let since = Timestamp::now();
    let reports = world.dry.respond(&scenario.finding()?).await?;
    let report = reports.get(responder).ok_or("the finding went elsewhere")?;
    expect_status(report, "dry_run");
    expect_outcomes(report, "planned");
    assert_eq!(report["dry_run"], true);
    expect_working_attack(scenario).await?;
    // The emulator of EC2 keeps its own record.
    let witness = match responder {
        "Ec2" => "ec2:DescribeInstances",
        _ => "dynamodb:UpdateItem",
    };
    let function = world.dry.function(responder)?;
    let mutating = trail::mutating_calls_since(world.aws, function, since, witness).await?;
    assert!(mutating.is_empty(), "{mutating:?}");
    Ok(())
}

#[test]
fn by_default_a_public_bucket_is_planned_for_and_left_open() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        expect_plan_only(world, &bucket, "S3").await?;
        assert_eq!(bucket.public_access_block().await?, [false; 4]);
        Ok(())
    })
}

#[test]
fn by_default_stolen_credentials_are_planned_for_and_left_working() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        let before = theft.state().await?;
        expect_plan_only(world, &theft, "Iam").await?;
        assert_eq!(theft.state().await?, before);
        expect_plan_only(world, &StolenRoleSession::create(world.aws).await?, "Iam").await
    })
}

#[test]
fn by_default_an_infected_instance_is_planned_for_and_left_connected() -> Result {
    on_aws(async |world| {
        let infection = InfectedInstance::create(world.aws).await?;
        expect_plan_only(world, &infection, "Ec2").await?;
        assert!(infection.is_untouched().await?);
        assert!(infection.groups_named("gdr-isolation").await?.is_empty());
        Ok(())
    })
}

#[test]
fn only_the_exact_word_false_enforces() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        let finding = bucket.finding()?;
        for word in ["TRUE", "False", "no", "0", " false", ""] {
            let function = world
                .enforcing
                .variant("S3", None, &[("DRY_RUN", word)])
                .await?;
            let report = world.enforcing.invoke(&function, &finding.0).await?;
            expect_status(&report, "dry_run");
            expect_working_attack(&bucket).await?;
        }
        let function = world
            .enforcing
            .variant("S3", None, &[("DRY_RUN", "false")])
            .await?;
        let report = world.enforcing.invoke(&function, &finding.0).await?;
        expect_status(&report, "contained");
        expect_stopped_attack(&bucket).await
    })
}

#[test]
fn the_role_of_a_dry_run_permits_no_change() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        let enforcing = [("DRY_RUN", "false")];
        let function = world.dry.variant("S3", None, &enforcing).await?;
        let report = world.dry.invoke(&function, &bucket.finding()?.0).await?;
        expect_status(&report, "failed");
        let steps = report["steps"].to_string();
        assert!(
            steps.contains("s3:PutBucketPublicAccessBlock"),
            "{report:#}"
        );
        expect_working_attack(&bucket).await
    })
}

#[test]
fn a_sample_finding_is_never_enforced() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        let theft = StolenKey::create(world.aws).await?;
        let infection = InfectedInstance::create(world.aws).await?;
        expect_sample_is_planned(world, &bucket, "S3").await?;
        expect_sample_is_planned(world, &theft, "Iam").await?;
        expect_sample_is_planned(world, &infection, "Ec2").await?;
        assert!(infection.is_untouched().await?);
        Ok(())
    })
}

async fn expect_sample_is_planned(
    world: &World,
    scenario: &impl Scenario,
    responder: Responder,
) -> Result {
    let reports = world
        .enforcing
        .respond(&scenario.finding()?.sample())
        .await?;
    let report = reports.get(responder).ok_or("the finding went elsewhere")?;
    expect_status(report, "dry_run");
    expect_outcomes(report, "planned");
    expect_working_attack(scenario).await
}
