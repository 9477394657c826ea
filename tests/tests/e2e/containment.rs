//! Each kind of threat, through the deployed rules, to the end.

use aws_sdk_ec2::types::Region;
use integration_tests::finding::Finding;
use integration_tests::scenario::{
    HijackedFunction, InfectedInstance, PublicBucket, Reader, StolenKey, StolenRoleSession,
    Uploads, all_work, none_works,
};
use integration_tests::stack::{Reports, Responder};
use integration_tests::{Result, Scenario, s3, trail, unique};

use crate::e2e::operator::{expect_exit, gdr};
use crate::e2e::world::{
    World, expect_action, expect_outcomes, expect_status, expect_stopped_attack,
    expect_working_attack, on_aws,
};

async fn contain(world: &World, finding: &Finding, responder: Responder) -> Result<Reports> {
    let reports = world.enforcing.respond(finding).await?;
    let report = reports.get(responder).ok_or("the finding went elsewhere")?;
    expect_status(report, "contained");
    expect_outcomes(report, "applied");
    assert_eq!(report["dry_run"], false);
    assert_eq!(report["finding_type"], finding.finding_type());
    assert_eq!(report["account_id"], world.aws.account_id);
    Ok(reports)
}

/// The same finding comes again to a function that has its own line in the trail.
async fn expect_nothing_more_to_do(
    world: &World,
    finding: &Finding,
    responder: Responder,
) -> Result {
    let again = world.enforcing.variant(responder, None, &[]).await?;
    expect_status(
        &world.enforcing.invoke(&again, &finding.0).await?,
        "already_contained",
    );
    let mutating = trail::mutating_calls(world.aws, &again).await?;
    assert!(mutating.is_empty(), "{mutating:?}");
    // Its reads are there, so the trail does show this function's calls.
    assert!(!trail::calls(world.aws, &again).await?.is_empty());
    Ok(())
}

#[test]
fn a_bucket_made_public_is_closed_and_the_principal_is_only_named() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        expect_working_attack(&bucket).await?;
        let finding = bucket.finding()?;
        let reports = contain(world, &finding, "S3").await?;
        expect_stopped_attack(&bucket).await?;
        assert_eq!(bucket.public_access_block().await?, [true; 4]);
        expect_action(&reports["S3"], "s3:BlockBucketPublicAccess");
        expect_status(&reports["Iam"], "notified");
        assert_eq!(reports.len(), 2);
        expect_nothing_more_to_do(world, &finding, "S3").await
    })
}

#[test]
fn a_bucket_that_an_anonymous_caller_reads_is_closed() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        expect_working_attack(&bucket).await?;
        let reports = contain(world, &bucket.read_by_anyone()?, "S3").await?;
        assert_eq!(
            reports.len(),
            1,
            "no principal of this account acted: {reports:#?}"
        );
        expect_stopped_attack(&bucket).await
    })
}

#[test]
fn a_malicious_object_is_refused_to_its_readers_until_its_release_and_its_neighbours_are_not()
-> Result {
    on_aws(async |world| {
        let owner = s3::client(&world.aws.root());
        let uploads = Uploads::create(&owner, &unique("uploads"), true).await?;
        let reader = Reader::create(world.aws).await?;
        assert!(all_work(&uploads.bystanders(&reader).await?));
        let finding = uploads.finding()?;
        let told = world.dry.respond(&finding).await?;
        expect_status(&told["S3"], "notified");
        let reports = contain(world, &finding, "S3").await?;
        assert_eq!(reports.len(), 1, "no principal acted: {reports:#?}");
        for action in ["s3:DenyTaggedObjects", "s3:TagObjectVersion"] {
            expect_action(&reports["S3"], action);
        }
        let attack = uploads.attack(&reader).await?;
        assert!(none_works(&attack), "{attack:#?}");
        let bystanders = uploads.bystanders(&reader).await?;
        assert!(all_work(&bystanders), "{bystanders:#?}");
        expect_nothing_more_to_do(world, &finding, "S3").await?;

        let release = ["--stack", "gdr", "release", finding.id(), "--yes"];
        expect_exit(&gdr(world.aws, &release, "")?, 0);
        assert_eq!(uploads.tags().await?, ["team=billing"]);
        let attack = uploads.attack(&reader).await?;
        assert!(all_work(&attack), "{attack:#?}");
        Ok(())
    })
}

#[test]
fn a_stolen_key_and_the_sessions_made_with_it_stop_working() -> Result {
    on_aws(async |world| {
        let theft = StolenKey::create(world.aws).await?;
        expect_working_attack(&theft).await?;
        let finding = theft.finding()?;
        let reports = contain(world, &finding, "Iam").await?;
        expect_stopped_attack(&theft).await?;
        expect_action(&reports["Iam"], "iam:RevokeUserSessions");
        expect_action(&reports["Iam"], "iam:DeactivateAccessKey");
        expect_nothing_more_to_do(world, &finding, "Iam").await
    })
}

#[test]
fn a_stolen_session_of_a_role_stops_working_and_the_other_sessions_go_on() -> Result {
    on_aws(async |world| {
        let theft = StolenRoleSession::create(world.aws).await?;
        expect_working_attack(&theft).await?;
        let finding = theft.finding()?;
        let reports = contain(world, &finding, "Iam").await?;
        expect_stopped_attack(&theft).await?;
        expect_action(&reports["Iam"], "iam:DenyRoleSession");
        expect_nothing_more_to_do(world, &finding, "Iam").await
    })
}

#[test]
fn a_hijacked_function_stands_still_and_another_function_of_the_role_goes_on() -> Result {
    on_aws(async |world| {
        let function = HijackedFunction::create(world.aws, None).await?;
        expect_working_attack(&function).await?;
        let finding = function.finding()?;
        let reports = contain(world, &finding, "Lambda").await?;
        expect_stopped_attack(&function).await?;
        assert_eq!(function.concurrency().await?, Some(0));
        expect_action(&reports["Lambda"], "lambda:ThrottleFunction");
        expect_action(&reports["Lambda"], "iam:DenyFunctionCredentials");
        assert_eq!(reports.len(), 1);
        expect_nothing_more_to_do(world, &finding, "Lambda").await
    })
}

#[test]
fn an_infected_instance_is_cut_off_on_every_interface() -> Result {
    on_aws(async |world| {
        let infection = InfectedInstance::create(world.aws).await?;
        expect_working_attack(&infection).await?;
        let finding = infection.finding()?;
        let reports = contain(world, &finding, "Ec2").await?;
        expect_stopped_attack(&infection).await?;
        expect_action(&reports["Ec2"], "ec2:PrepareIsolationGroup");
        expect_action(&reports["Ec2"], "ec2:IsolateInterface");
        let isolation = infection.groups_named("gdr-isolation").await?;
        assert_eq!(isolation.len(), 1);
        for (interface, groups) in infection.groups().await? {
            assert_eq!(groups, isolation, "{interface}");
        }
        expect_nothing_more_to_do(world, &finding, "Ec2").await
    })
}

#[test]
fn an_instance_in_another_region_than_its_finding_is_isolated_there() -> Result {
    on_aws(async |world| {
        let theft = InfectedInstance::create_in(world.aws, "eu-west-1").await?;
        expect_working_attack(&theft).await?;
        // The emulator makes a Region's networks when it is first asked, which takes longer than the function waits.
        let regions = world.aws.ec2().describe_regions().send().await?;
        for region in regions.regions().iter().filter_map(Region::region_name) {
            let there = world.aws.ec2_in(region);
            there.describe_instances().send().await?;
        }
        // The call was recorded in the Region of the stack, and nothing says where the instance is.
        let finding = theft.identity_stolen(&world.aws.account_id)?;
        let reports = contain(world, &finding, "Ec2").await?;
        expect_stopped_attack(&theft).await?;
        expect_status(&reports["Iam"], "notified");
        let isolation = theft.groups_named("gdr-isolation").await?;
        assert_eq!(isolation.len(), 1);
        for (interface, groups) in theft.groups().await? {
            assert_eq!(groups, isolation, "{interface}");
        }
        // Another finding names the Availability Zone.
        let details = serde_json::json!({
            "instanceId": theft.id, "availabilityZone": "eu-west-1a",
        });
        let described = theft
            .identity_stolen(&world.aws.account_id)?
            .with("/resource/instanceDetails", details);
        let reports = world.enforcing.respond(&described).await?;
        let again = &reports["Ec2"];
        assert!(
            again["steps"].as_array().into_iter().flatten().all(|step| {
                step["action"] != "ec2:IsolateInterface" || step["outcome"] == "already"
            }),
            "{again:#}"
        );
        Ok(())
    })
}

#[test]
fn a_second_instance_in_the_network_shares_the_isolation_group() -> Result {
    on_aws(async |world| {
        let infection = InfectedInstance::create(world.aws).await?;
        contain(world, &infection.finding()?, "Ec2").await?;
        let spread = infection
            .finding()?
            .with(
                "/resource/instanceDetails/instanceId",
                infection.neighbour_id.as_str(),
            )
            .with(
                "/resource/instanceDetails/networkInterfaces",
                serde_json::json!([]),
            );
        let reports = world.enforcing.respond(&spread).await?;
        expect_status(&reports["Ec2"], "contained");
        let neighbour = infection.bystanders().await?;
        assert!(none_works(&neighbour), "{neighbour:#?}");
        assert_eq!(infection.groups_named("gdr-isolation").await?.len(), 1);
        Ok(())
    })
}

#[test]
fn an_instance_in_two_networks_is_isolated_in_each_by_that_networks_group() -> Result {
    on_aws(async |world| {
        let mut infection = InfectedInstance::create(world.aws).await?;
        let (third_interface, second_vpc) = infection.join_second_network().await?;
        expect_working_attack(&infection).await?;
        contain(world, &infection.finding()?, "Ec2").await?;
        expect_stopped_attack(&infection).await?;
        let here = infection.groups_named("gdr-isolation").await?;
        infection.vpc_id = second_vpc;
        let there = infection.groups_named("gdr-isolation").await?;
        assert_eq!((here.len(), there.len()), (1, 1));
        for (interface, groups) in infection.groups().await? {
            let expected = if interface == third_interface {
                &there
            } else {
                &here
            };
            assert_eq!(&groups, expected, "{interface}");
        }
        Ok(())
    })
}

#[test]
fn an_isolation_group_that_someone_opened_is_emptied_before_it_is_used() -> Result {
    on_aws(async |world| {
        let infection = InfectedInstance::create(world.aws).await?;
        let opened = infection.leave_open_group("gdr-isolation").await?;
        contain(world, &infection.finding()?, "Ec2").await?;
        expect_stopped_attack(&infection).await?;
        assert_eq!(infection.groups_named("gdr-isolation").await?, [opened]);
        Ok(())
    })
}
