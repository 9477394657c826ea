//! `gdr` on local AWS: what the responder contained is looked at and released, as a person would.

use aws_sdk_ec2::types::Filter;
use integration_tests::scenario::{
    InfectedInstance, PublicBucket, StolenKey, StolenRoleSession, all_work, none_works,
};
use integration_tests::{LocalAws, Result, Scenario, unique};
use jiff::SignedDuration;
use playbooks::{Ec2, S3};
use remediation::report::Status;

use crate::common::{
    answer, expect, expect_exit, gdr, iam, json, on_aws, respond, responder, sdk, seen_again,
};

#[test]
fn a_released_user_gets_the_sessions_back_and_the_key_only_if_it_is_named() -> Result {
    on_aws(async |aws| {
        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        expect(&respond(iam(aws), aws, &finding).await?, Status::Contained);
        assert!(none_works(&theft.attack().await?));

        let listed = gdr(aws, &["incidents", "--output", "json"], "")?;
        let incidents = json(&listed)?;
        let incident = incidents
            .as_array()
            .into_iter()
            .flatten()
            .find(|i| i["id"] == finding.id());
        assert_eq!(incident.ok_or("not listed")?["status"], "contained");
        let shown = gdr(aws, &["incident", &finding.id()[..12]], "")?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            shown.contains("iam:DeactivateAccessKey") && shown.contains(theft.key_id()),
            "{shown}"
        );

        let declined = gdr(aws, &["release", finding.id()], "n\n")?;
        expect_exit(&declined, 3);
        assert!(none_works(&theft.attack().await?), "nothing was released");

        let released = gdr(
            aws,
            &["release", finding.id(), "--yes", "--output", "json"],
            "",
        )?;
        expect_exit(&released, 0);
        let (active, policies) = theft.state().await?;
        assert!(!active, "the key stays inactive");
        assert!(
            !policies.contains(&"gdr-revoke-sessions".to_owned()),
            "{policies:?}"
        );

        let again = gdr(aws, &["release", finding.id(), "--yes"], "")?;
        expect_exit(&again, 3);
        assert!(
            String::from_utf8_lossy(&again.stderr).contains("released by"),
            "{again:?}"
        );
        Ok(())
    })
}

#[test]
fn a_key_that_is_named_is_activated_again() -> Result {
    on_aws(async |aws| {
        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        expect(&respond(iam(aws), aws, &finding).await?, Status::Contained);
        let released = gdr(
            aws,
            &[
                "release",
                finding.id(),
                "--yes",
                "--reactivate-key",
                theft.key_id(),
            ],
            "",
        )?;
        expect_exit(&released, 0);
        assert!(all_work(&theft.attack().await?), "everything is as it was");
        Ok(())
    })
}

#[test]
fn a_released_target_is_contained_again_only_by_new_activity() -> Result {
    on_aws(async |aws| {
        let theft = StolenRoleSession::create(aws).await?;
        let finding = seen_again(&theft.finding()?, SignedDuration::from_secs(-5));
        expect(&respond(iam(aws), aws, &finding).await?, Status::Contained);
        expect_exit(&gdr(aws, &["release", finding.id(), "--yes"], "")?, 0);
        assert!(all_work(&theft.attack().await?));

        let redelivered = respond(iam(aws), aws, &finding).await?;
        expect(&redelivered, Status::Ignored);
        assert!(
            redelivered.reason().contains("released"),
            "{}",
            redelivered.reason()
        );
        assert!(
            all_work(&theft.attack().await?),
            "the person's decision stands"
        );

        let later = seen_again(&finding, SignedDuration::from_secs(5));
        expect(&respond(iam(aws), aws, &later).await?, Status::Contained);
        assert!(none_works(&theft.attack().await?));
        Ok(())
    })
}

#[test]
fn a_released_instance_gets_exactly_its_groups_back() -> Result {
    on_aws(async |aws| {
        let infection = InfectedInstance::create(aws).await?;
        let finding = infection.finding()?;
        let playbook = || Ec2::new(&sdk(aws, &aws.ec2_endpoint));
        expect(
            &respond(playbook(), aws, &finding).await?,
            Status::Contained,
        );
        // A repetition must not make the isolated state the one that is put back.
        expect(
            &respond(playbook(), aws, &finding).await?,
            Status::AlreadyContained,
        );
        assert!(!infection.is_untouched().await?);
        expect_exit(&gdr(aws, &["release", finding.id(), "--yes"], "")?, 0);
        assert!(infection.is_untouched().await?);
        Ok(())
    })
}

#[test]
fn a_release_overwrites_drift_only_if_forced() -> Result {
    on_aws(async |aws| {
        let infection = InfectedInstance::create(aws).await?;
        let forensics = infection.leave_open_group("forensics").await?;
        let finding = infection.finding()?;
        let playbook = Ec2::new(&sdk(aws, &aws.ec2_endpoint));
        expect(&respond(playbook, aws, &finding).await?, Status::Contained);
        let (interface, _) = infection.groups().await?.swap_remove(0);
        let change = aws
            .ec2()
            .modify_network_interface_attribute()
            .network_interface_id(&interface);
        change.groups(&forensics).send().await?;

        let refused = gdr(aws, &["release", finding.id(), "--yes"], "")?;
        expect_exit(&refused, 3);
        let said = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert!(
            said.contains("DRIFTED") && said.contains(&interface),
            "{said}"
        );
        assert!(!infection.is_untouched().await?);

        expect_exit(
            &gdr(
                aws,
                &["release", finding.id(), "--yes", "--force-drift"],
                "",
            )?,
            0,
        );
        assert!(infection.is_untouched().await?);
        Ok(())
    })
}

#[test]
fn a_released_bucket_gets_its_flags_back() -> Result {
    on_aws(async |aws| {
        let bucket = PublicBucket::create(aws).await?;
        let finding = bucket.finding()?;
        let before = bucket.public_access_block().await?;
        let playbook = S3::new(&sdk(aws, &aws.endpoint));
        expect(&respond(playbook, aws, &finding).await?, Status::Contained);
        assert!(none_works(&bucket.attack().await?));
        expect_exit(&gdr(aws, &["release", finding.id(), "--yes"], "")?, 0);
        assert_eq!(bucket.public_access_block().await?, before);
        assert!(all_work(&bucket.attack().await?));
        Ok(())
    })
}

#[test]
fn of_ten_deliveries_at_once_one_acts_and_the_others_find_it_done() -> Result {
    on_aws(async |aws| {
        let infection = InfectedInstance::create(aws).await?;
        let finding = infection.finding()?;
        let deliveries =
            (0..10).map(|_| respond(Ec2::new(&sdk(aws, &aws.ec2_endpoint)), aws, &finding));
        let reports = futures::future::try_join_all(deliveries).await?;
        let count = |status| {
            reports
                .iter()
                .filter(|report| report.status() == status)
                .count()
        };
        assert_eq!(
            (count(Status::Contained), count(Status::AlreadyContained)),
            (1, 9)
        );
        assert_eq!(infection.groups_named("gdr-isolation").await?.len(), 1);
        assert_eq!(
            snapshots(aws, finding.id()).await?,
            1,
            "one for the one volume"
        );
        Ok(())
    })
}

#[test]
fn a_credential_that_is_found_in_two_regions_at_once_is_contained_once() -> Result {
    on_aws(async |aws| {
        let theft = StolenKey::create(aws).await?;
        let findings = [
            theft.finding()?,
            theft.finding()?.with("/region", "eu-west-1"),
        ];
        let reports = findings
            .iter()
            .map(|finding| respond(iam(aws), aws, finding));
        let reports = futures::future::try_join_all(reports).await?;
        let mut statuses: Vec<_> = reports
            .iter()
            .map(|report| report.status().as_str())
            .collect();
        statuses.sort_unstable();
        assert_eq!(statuses, ["already_contained", "contained"]);
        assert!(none_works(&theft.attack().await?));
        Ok(())
    })
}

#[test]
fn without_the_table_all_but_snapshots_is_done_and_a_storm_is_held_all_the_same() -> Result {
    on_aws(async |aws| {
        let infection = InfectedInstance::create(aws).await?;
        let finding = infection.finding()?;
        let playbook = Ec2::new(&sdk(aws, &aws.ec2_endpoint));
        let responder = responder(playbook, aws, "no-such-table");
        let report = answer(&responder, &finding, &unique("request")).await?;
        expect(&report, Status::Contained);
        assert!(none_works(&infection.attack().await?));
        let told = report.next_steps().join("; ");
        for part in [
            "was not recorded",
            "admitted this finding alone",
            "dynamodb:UpdateItem on no-such-table",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(snapshots(aws, finding.id()).await?, 0);

        let next = InfectedInstance::create(aws).await?;
        let report = answer(&responder, &next.finding()?, &unique("request")).await?;
        expect(&report, Status::Notified);
        assert!(next.is_untouched().await?);
        assert!(
            report.reason().contains("withheld by breaker"),
            "{}",
            report.to_line()
        );
        Ok(())
    })
}

/// How many snapshots there are for a finding.
async fn snapshots(aws: &LocalAws, finding_id: &str) -> Result<usize> {
    let of_finding = Filter::builder()
        .name("tag:gdr:finding")
        .values(finding_id)
        .build();
    let found = aws
        .ec2()
        .describe_snapshots()
        .filters(of_finding)
        .send()
        .await?;
    Ok(found.snapshots().len())
}

#[test]
fn an_incident_that_is_not_there_is_said_to_be_so() -> Result {
    on_aws(async |aws| {
        let output = gdr(aws, &["incident", "ffffffff"], "")?;
        expect_exit(&output, 1);
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("no incident ffffffff"),
            "{output:?}"
        );
        Ok(())
    })
}
