//! An attack sequence, handed over in parts.

use integration_tests::finding::Finding;
use integration_tests::scenario::{PublicBucket, StolenKey};
use integration_tests::{Result, Scenario};
use serde_json::{Value, json};

use crate::e2e::world::{expect_status, expect_stopped_attack, expect_working_attack, on_aws};

/// GuardDuty's word that the stolen key was used on the bucket.
fn sequence(theft: &StolenKey<'_>, bucket: &PublicBucket) -> Result<Finding> {
    let stolen = theft.finding()?.0["detail"].clone();
    let key = &stolen["resource"]["accessKeyDetails"];
    let arn = format!("arn:aws:s3:::{}", bucket.name);
    let sequence = json!({
        "uid": "one",
        "description": "Data of a bucket may be compromised by a stolen key",
        "actors": [{ "id": "thief", "user": {
            "name": key["userName"], "uid": key["principalId"], "type": key["userType"],
            "credentialUid": key["accessKeyId"],
        } }],
        "resources": [
            { "uid": arn, "name": bucket.name, "resourceType": "S3_BUCKET", "region": "us-east-1" },
            { "uid": key["accessKeyId"], "resourceType": "ACCESS_KEY" },
            { "uid": "cluster", "resourceType": "EKS_CLUSTER" },
        ],
        "signals": [{
            "uid": "signal", "type": "CLOUD_TRAIL", "name": "GetObject", "count": 2,
            "actorIds": ["thief"], "resourceUids": [arn],
        }],
    });
    Ok(bucket
        .finding()?
        .of_type("AttackSequence:S3/CompromisedData")
        .with("/severity", 9)
        .with("/resource", json!({ "resourceType": "AttackSequence" }))
        .with("/service/action", Value::Null)
        .with(
            "/service/eventFirstSeen",
            stolen["service"]["eventFirstSeen"].clone(),
        )
        .with(
            "/service/eventLastSeen",
            stolen["service"]["eventLastSeen"].clone(),
        )
        .with("/service/detection", json!({ "sequence": sequence })))
}

#[test]
fn the_bucket_and_the_key_of_a_sequence_are_each_contained_by_their_function() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        let theft = StolenKey::create(world.aws).await?;
        expect_working_attack(&bucket).await?;
        expect_working_attack(&theft).await?;
        let finding = sequence(&theft, &bucket)?;

        let reports = world.enforcing.respond(&finding).await?;
        assert_eq!(reports.keys().collect::<Vec<_>>(), [&"Triage"]);
        let report = &reports["Triage"];
        expect_status(report, "notified");
        let reason = report["reason"].as_str().unwrap_or_default();
        assert!(
            reason.contains("2 of its parts handed over (iam, s3)"),
            "{report:#}"
        );
        for responder in ["S3", "Iam"] {
            let parts = world
                .enforcing
                .await_reports(responder, finding.id(), 1)
                .await?;
            expect_status(&parts[0], "contained");
            assert_eq!(parts[0]["finding_type"], finding.finding_type());
        }
        expect_stopped_attack(&bucket).await?;
        expect_stopped_attack(&theft).await?;

        // GuardDuty tells it again.
        world.enforcing.respond(&finding).await?;
        for responder in ["S3", "Iam"] {
            let parts = world
                .enforcing
                .await_reports(responder, finding.id(), 2)
                .await?;
            assert!(
                parts
                    .iter()
                    .any(|part| part["status"] == "already_contained"),
                "{parts:#?}"
            );
        }
        Ok(())
    })
}

#[test]
fn without_the_setting_or_in_a_dry_run_a_sequence_is_listed_and_not_handed_over() -> Result {
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        let theft = StolenKey::create(world.aws).await?;
        let finding = sequence(&theft, &bucket)?;
        for (setting, word) in [("HAND_OVER_SEQUENCES", "false"), ("DRY_RUN", "true")] {
            let function = world
                .enforcing
                .variant("Triage", None, &[(setting, word)])
                .await?;
            let report = world.enforcing.invoke(&function, &finding.0).await?;
            expect_status(&report, "notified");
            let listed = report["sequence"]["resources"].as_array();
            assert_eq!(listed.map(Vec::len), Some(3), "{report:#}");
        }
        expect_working_attack(&bucket).await?;
        expect_working_attack(&theft).await?;
        for responder in ["S3", "Iam"] {
            let reports = world.enforcing.reports(responder, finding.id()).await?;
            assert!(reports.is_empty(), "{reports:#?}");
        }
        Ok(())
    })
}
