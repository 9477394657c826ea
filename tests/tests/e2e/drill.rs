//! A drill goes over the real bus and the deployed rules to functions that enforce.

use std::process::Output;

use integration_tests::scenario::PublicBucket;
use integration_tests::{Result, Scenario, files};
use serde_json::Value;

use crate::e2e::operator::gdr;
use crate::e2e::world::{World, expect_outcomes, expect_status, expect_working_attack, on_aws};

#[test]
fn a_drill_of_a_public_bucket_comes_back_and_leaves_it_public_although_the_stack_enforces() -> Result
{
    on_aws(async |world| {
        let bucket = PublicBucket::create(world.aws).await?;
        expect_working_attack(&bucket).await?;
        let finding = bucket.finding()?;
        let file = files::file("drill.json", &finding.0.to_string())?;
        for what in [
            &[file.as_str()][..],
            &[finding.finding_type(), "--target", &bucket.name],
        ] {
            let output = drill(world, what)?;
            assert!(output.status.success(), "{output:?}");
            let incidents: Value = serde_json::from_slice(&output.stdout)?;
            let mut incidents_of_s3 = incidents
                .as_array()
                .into_iter()
                .flatten()
                .filter(|incident| incident["category"] == "s3");
            let report = &incidents_of_s3.next().ok_or("no report of s3")?["report"];
            assert_eq!(report["drill"], true, "{incidents:#}");
            assert_ne!(report["finding_id"], finding.id());
            expect_status(report, "dry_run");
            expect_outcomes(report, "planned");
            expect_working_attack(&bucket).await?;
            assert_eq!(bucket.public_access_block().await?, [false; 4]);
        }
        Ok(())
    })
}

fn drill(world: &World, what: &[&str]) -> Result<Output> {
    let table = world.enforcing.output("IncidentTable")?;
    let drill = ["--table", table, "--output", "json", "drill"];
    gdr(world.aws, &[&drill[..], what].concat(), "")
}
