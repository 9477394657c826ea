//! A stack whose name CloudFormation cuts in the names of what it makes.

use aws_sdk_cloudformation::Client;
use integration_tests::scenario::StolenKey;
use integration_tests::{Result, Scenario as _, Stack};
use serde_json::json;

use crate::e2e::world::{
    World, expect_outcomes, expect_status, expect_stopped_attack, expect_working_attack, on_aws,
};
use crate::multi_account::scp::{LONGEST, Scp};
use integration_tests::stack::RESPONDERS;

const ADMINISTRATOR: &str = "arn:aws:iam::111122223333:role/Administrator";
const EXEMPT: &[&str] = &["arn:aws:iam::*:role/deployer"];

/// The resources of a stack, nested stacks included: kind, logical id, name or ARN.
async fn made(world: &World, stack: &str) -> Result<Vec<(String, String, String)>> {
    let cloudformation = Client::new(&world.aws.root());
    let (mut stacks, mut made) = (vec![stack.to_owned()], Vec::new());
    while let Some(stack) = stacks.pop() {
        let call = cloudformation.list_stack_resources().stack_name(stack);
        for resource in call.send().await?.stack_resource_summaries() {
            let of = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let (kind, logical) = (
                of(resource.resource_type()),
                of(resource.logical_resource_id()),
            );
            let physical = of(resource.physical_resource_id());
            if kind == "AWS::CloudFormation::Stack" {
                stacks.push(physical.clone());
            }
            made.push((kind, logical, physical));
        }
    }
    Ok(made)
}

/// A write on a resource that the stack made, with the resource's ARN; none of what has no name.
async fn write_on(world: &World, kind: &str, name: &str) -> Result<Option<(&'static str, String)>> {
    let (region, account) = (&world.aws.region, &world.aws.account_id);
    let here = |service: &str, rest: String| format!("arn:aws:{service}:{region}:{account}:{rest}");
    Ok(Some(match kind {
        "AWS::Lambda::Function" => (
            "lambda:UpdateFunctionCode",
            here("lambda", format!("function:{name}")),
        ),
        "AWS::Events::Rule" => ("events:DisableRule", here("events", format!("rule/{name}"))),
        "AWS::IAM::Role" => {
            let role = world.aws.iam().get_role().role_name(name).send().await?;
            ("iam:PassRole", role.role.ok_or("no role")?.arn)
        }
        "AWS::SQS::Queue" => {
            let name = name.rsplit('/').next().unwrap_or_default();
            ("sqs:PurgeQueue", here("sqs", name.to_owned()))
        }
        "AWS::SNS::Topic" => ("sns:SetTopicAttributes", name.to_owned()),
        "AWS::DynamoDB::Table" => (
            "dynamodb:DeleteItem",
            here("dynamodb", format!("table/{name}")),
        ),
        "AWS::SSM::Parameter" => ("ssm:PutParameter", here("ssm", format!("parameter{name}"))),
        "AWS::S3::Bucket" => ("s3:PutBucketPolicy", format!("arn:aws:s3:::{name}")),
        "AWS::CloudFormation::Stack" => ("cloudformation:DeleteStack", name.to_owned()),
        "AWS::CloudWatch::Alarm" => (
            "cloudwatch:DeleteAlarms",
            here("cloudwatch", format!("alarm:{name}")),
        ),
        // The emulator names logs otherwise than AWS, which does it by the stack's name, too.
        _ => return Ok(None),
    }))
}

#[test]
fn a_stack_of_the_longest_name_contains_and_its_policies_know_all_that_it_made() -> Result {
    on_aws(async |world| {
        let settings = [
            ("DryRun", "false"),
            ("HandOverSequences", "true"),
            ("ChatNotices", "true"),
            ("SecurityHub", "true"),
            ("EvidenceBucket", "versioned"),
        ];
        let stack = Stack::deploy(world.aws, LONGEST, &settings).await?;
        let theft = StolenKey::create(world.aws).await?;
        expect_working_attack(&theft).await?;
        let reports = stack.respond(&theft.finding()?).await?;
        expect_status(&reports["Iam"], "contained");
        expect_outcomes(&reports["Iam"], "applied");
        expect_stopped_attack(&theft).await?;

        let lists = [("ExemptPrincipals", EXEMPT), ("Releasers", EXEMPT)];
        let protect = Scp::of("infra/scp-protect-responder.yaml", LONGEST, "aws", &lists)?;
        let made = made(world, LONGEST).await?;
        let mut known = 0;
        for (kind, logical, name) in &made {
            if let Some((write, arn)) = write_on(world, kind, name).await? {
                let open = protect.lets(ADMINISTRATOR, write, &arn, &json!({}))?;
                assert!(!open, "{write} on {logical}, {arn}");
                known += 1;
            }
        }
        assert!(known > 40, "{known} of {made:?}");

        let keep = Scp::of("infra/scp-keep-contained.yaml", LONGEST, "aws", &lists[1..])?;
        let contained = json!({ "aws:ResourceTag/gdr:contained": "true" });
        let user = "arn:aws:iam::111122223333:user/alice";
        for responder in RESPONDERS {
            let role = stack.role_arn(responder).await?;
            let hands_over = protect.lets(
                &role,
                "lambda:InvokeFunction",
                &format!(
                    "arn:aws:lambda:us-east-1:111122223333:function:{}",
                    stack.function("Iam")?
                ),
                &json!({}),
            )?;
            assert_eq!(hands_over, responder == "Triage", "{role}");
            let contains = keep.lets(&role, "iam:PutUserPolicy", user, &contained)?;
            assert_eq!(
                contains,
                ["Iam", "Ec2", "Lambda"].contains(&responder),
                "{role}"
            );
        }
        Ok(())
    })
}
