//! Who may change the responder under `infra/scp-protect-responder.yaml`.

use std::collections::BTreeSet;

use integration_tests::Result;
use serde_json::json;

use super::doors::doors;
use super::scp::{ACCOUNT, LONGEST, REGION, Scp, of, physical};
use crate::common::yaml;
use integration_tests::stack::RESPONDERS;

const DEPLOYER: &str = "arn:aws:iam::*:role/deployer";
const ON_CALL: &str =
    "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_OnCall_*";

const THE_DEPLOYER: &str = "arn:aws:iam::111122223333:role/deployer";
const WHO_RELEASES: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_OnCall_0123456789abcdef";
const ADMINISTRATOR: &str = "arn:aws:iam::111122223333:role/Administrator";
/// Principals that are not exempt, however much they may: also those with a name of the responder's.
const OTHERS: [&str; 4] = [
    ADMINISTRATOR,
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:user/guardduty-responder/guardduty-responder/triage/mallory",
    "arn:aws:iam::111122223333:role/guardduty-responder-TriageResponderRole-1GRP3N0TVA1LD",
];

const MEMBER_ROLE: &str = "arn:aws:iam::444455556666:role/gdr-member-iam";

fn here(service: &str, rest: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}")
}

fn everywhere() -> Result<Vec<Scp>> {
    let lists: [(&str, &[&str]); 2] =
        [("ExemptPrincipals", &[DEPLOYER]), ("Releasers", &[ON_CALL])];
    Scp::everywhere("infra/scp-protect-responder.yaml", &lists)
}

#[test]
fn nobody_but_who_is_exempt_goes_through_any_door() -> Result {
    for scp in everywhere()? {
        let mut open = BTreeSet::new();
        for (resource, action, context) in doors(&scp) {
            for other in OTHERS {
                if scp.lets(other, action, &resource, &context)? {
                    open.insert(format!("{action} on {resource} by {other}"));
                }
            }
            let exempt = scp.lets(THE_DEPLOYER, action, &resource, &context)?;
            assert!(exempt, "{action} on {resource} by the deployment");
        }
        assert!(
            open.is_empty(),
            "{} {}: {open:#?}",
            scp.stack,
            scp.partition
        );
    }
    Ok(())
}

/// A write on a resource of the template, by its type.
fn write_on(scp: &Scp, kind: &str, logical: &str) -> Option<(&'static str, String)> {
    let named = |service, prefix, most| scp.resource(service, prefix, logical, most);
    Some(match kind {
        "AWS::Serverless::Function" => (
            "lambda:UpdateFunctionCode",
            named("lambda", "function:", 64),
        ),
        "AWS::IAM::Role" => {
            let function = logical.trim_end_matches("ResponderRole");
            ("iam:PutRolePolicy", scp.role(function))
        }
        "AWS::Logs::LogGroup" => ("logs:DeleteLogGroup", named("logs", "log-group:", 512)),
        "AWS::SQS::Queue" => ("sqs:PurgeQueue", named("sqs", "", 80)),
        "AWS::SNS::Topic" => ("sns:SetTopicAttributes", named("sns", "", 256)),
        "AWS::DynamoDB::Table" => ("dynamodb:DeleteItem", named("dynamodb", "table/", 255)),
        "AWS::Events::Rule" => ("events:DisableRule", named("events", "rule/", 64)),
        _ => return None,
    })
}

/// So that a resource that is added is not forgotten.
#[test]
fn each_resource_of_the_stack_is_protected() -> Result {
    for scp in everywhere()? {
        let template = yaml("template.yaml");
        let (mut otherwise, mut forgotten) = (BTreeSet::new(), BTreeSet::new());
        for (logical, resource) in template["Resources"].as_object().ok_or("no resources")? {
            let kind = resource["Type"].as_str().unwrap_or_default();
            let Some((write, arn)) = write_on(&scp, kind, logical) else {
                otherwise.insert(kind);
                continue;
            };
            if scp.lets(ADMINISTRATOR, write, &arn, &json!({}))? {
                forgotten.insert(logical.clone());
            }
        }
        assert!(forgotten.is_empty(), "{}: {forgotten:?}", scp.stack);
        // Some have doors of their own; the rest have no name, and are changed with what they belong to.
        let known = [
            "AWS::CloudFormation::Stack",
            "AWS::IAM::Policy",
            "AWS::Lambda::EventSourceMapping",
            "AWS::S3::Bucket",
            "AWS::S3::BucketPolicy",
            "AWS::SNS::Subscription",
            "AWS::SNS::TopicPolicy",
            "AWS::SQS::QueuePolicy",
            "AWS::SSM::Parameter",
        ];
        assert_eq!(otherwise, known.into(), "a kind without a door");
    }
    Ok(())
}

/// The calls of a function in each of its runs.
fn work(scp: &Scp, function: &str) -> Vec<(&'static str, String)> {
    let log = format!("{function}ResponderLog");
    let log = scp.resource("logs", "log-group:", &log, 512);
    let queue = scp.queue(match function {
        "S3" => "BucketRecheckQueue",
        "Iam" => "RecheckQueue",
        "Ec2" => "InstanceRecheckQueue",
        "Lambda" => "FunctionRecheckQueue",
        _ => "SecurityHubQueue",
    });
    let evidence = physical(&scp.stack, "evidence", 63).to_lowercase();
    let policy = format!("parameter/guardduty-responder/{}/policy", scp.stack);
    let topic = scp.resource("sns", "", "NotificationTopic", 256);
    vec![
        ("dynamodb:UpdateItem", scp.table()),
        ("logs:PutLogEvents", format!("{log}:log-stream:2026")),
        ("logs:CreateLogStream", log),
        ("s3:PutObject", format!("arn:aws:s3:::{evidence}/page.html")),
        ("sqs:DeleteMessage", queue.clone()),
        ("sqs:GetQueueAttributes", queue.clone()),
        ("sqs:ReceiveMessage", queue.clone()),
        ("sqs:SendMessage", queue),
        ("sqs:SendMessage", scp.queue("OnFailureQueue")),
        ("sns:Publish", topic),
        ("ssm:GetParameter", here("ssm", &policy)),
        ("iam:GetRole", scp.role(function)),
        ("sts:AssumeRole", MEMBER_ROLE.to_owned()),
        ("sts:SetSourceIdentity", MEMBER_ROLE.to_owned()),
    ]
}

/// Each is let do its work, and whoever runs code in one of them gets at no other, nor at the record.
#[test]
fn a_function_does_its_work_and_triage_hands_over() -> Result {
    for scp in everywhere()? {
        for function in RESPONDERS {
            let role = scp.role(function);
            let may = |action: &str, resource: &str| scp.lets(&role, action, resource, &json!({}));
            for (action, resource) in work(&scp, function) {
                assert!(may(action, &resource)?, "{function} {action} {resource}");
            }
            for target in RESPONDERS.map(|target| scp.function(target)) {
                let invokes = may("lambda:InvokeFunction", &target)?;
                assert_eq!(invokes, function == "Triage", "{function} {target}");
                assert!(!may("lambda:UpdateFunctionCode", &target)?, "{function}");
            }
            assert!(!may("dynamodb:DeleteItem", &scp.table())?, "{function}");
            assert!(
                !may("sqs:PurgeQueue", &scp.queue("RecheckQueue"))?,
                "{function}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_releasers_write_the_record_and_archive_findings_and_no_more() -> Result {
    for scp in everywhere()? {
        let releasing = [
            "dynamodb:UpdateItem",
            "guardduty:ArchiveFindings",
            "guardduty:CreateFilter",
            "guardduty:UpdateFilter",
            "sqs:SendMessage",
        ];
        for (resource, action, context) in doors(&scp) {
            let may = scp.lets(WHO_RELEASES, action, &resource, &context)?;
            assert_eq!(may, releasing.contains(&action), "{action} on {resource}");
        }
    }
    Ok(())
}

/// Calls that the policy leaves to everybody: reading, and writing what others own, of however similar a name.
fn left_alone(scp: &Scp) -> Vec<(&'static str, String)> {
    let word = scp.stack.split('-').next().unwrap_or_default();
    let log = scp.resource("logs", "log-group:", "IamResponderLog", 512);
    let topic = scp.resource("sns", "", "NotificationTopic", 256);
    let stack = here("cloudformation", &format!("stack/{}/0123abcd", scp.stack));
    let policy = format!("parameter/guardduty-responder/{}/policy", scp.stack);
    let handler = format!("function:{word}-export-Handler-1GRP3N0TVA1LD");
    let nightly = format!("rule/{word}-export-Nightly-1GRP3N0TVA1LD");
    let orders = "function:orders-IamResponderFunction-1GRP3N0TVA1LD";
    let iam = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    vec![
        ("lambda:GetFunction", scp.function("Iam")),
        ("lambda:UpdateFunctionCode", here("lambda", &handler)),
        ("lambda:InvokeFunction", here("lambda", orders)),
        ("lambda:CreateFunction", here("lambda", "function:orders")),
        (
            "events:DescribeRule",
            scp.resource("events", "rule/", "PolicyChanged", 64),
        ),
        ("events:PutRule", here("events", &nightly)),
        ("iam:GetRolePolicy", scp.role("Iam")),
        ("iam:PassRole", iam("service-role/orders")),
        ("iam:CreateRole", iam(&format!("{}-reader", scp.stack))),
        ("ssm:GetParameterHistory", here("ssm", &policy)),
        ("ssm:PutParameter", here("ssm", "parameter/orders/policy")),
        ("sqs:GetQueueAttributes", scp.queue("RecheckQueue")),
        ("sqs:PurgeQueue", here("sqs", "orders")),
        ("sns:Publish", topic.clone()),
        ("sns:Subscribe", topic),
        ("dynamodb:Query", scp.table()),
        ("dynamodb:StartAwsBackupJob", scp.table()),
        ("dynamodb:DeleteItem", here("dynamodb", "table/orders")),
        ("logs:FilterLogEvents", log.clone()),
        ("logs:PutSubscriptionFilter", log.clone()),
        ("logs:StartQuery", log),
        (
            "logs:PutLogEvents",
            here("logs", "log-group:orders:log-stream:1"),
        ),
        ("cloudformation:DescribeStacks", stack.clone()),
        ("cloudformation:DetectStackResourceDrift", stack),
        (
            "cloudformation:UpdateStack",
            here("cloudformation", "stack/orders/0123abcd"),
        ),
        ("guardduty:GetFindings", "*".to_owned()),
        ("guardduty:UpdateFindingsFeedback", "*".to_owned()),
        ("s3:PutObject", "arn:aws:s3:::orders/1".to_owned()),
    ]
}

#[test]
fn the_scp_leaves_resources_of_others_untouched() -> Result {
    for scp in everywhere()? {
        for (action, resource) in left_alone(&scp) {
            let may = scp.lets(ADMINISTRATOR, action, &resource, &json!({}))?;
            assert!(may, "{action} on {resource}");
        }
        let another = of(scp.partition, &here("lambda", "function:orders"));
        let another = json!({ "lambda:FunctionArn": another });
        let mapping = "lambda:CreateEventSourceMapping";
        assert!(scp.lets(ADMINISTRATOR, mapping, "*", &another)?);
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html>
#[test]
fn the_policies_are_within_the_quota_with_five_principals_of_each_kind() -> Result {
    const PROTECT: &str = "infra/scp-protect-responder.yaml";
    let role =
        "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_IncidentRespo_*";
    let most = yaml(PROTECT)["Parameters"]["StackName"]["MaxLength"].clone();
    assert_eq!(most, json!(LONGEST.len()));
    for (path, lists) in [
        (PROTECT, &["ExemptPrincipals", "Releasers"][..]),
        ("infra/scp-keep-contained.yaml", &["Releasers"]),
    ] {
        let five = [role; 5];
        let lists: Vec<_> = lists.iter().map(|name| (*name, &five[..])).collect();
        let scp = Scp::of(path, LONGEST, "aws-us-gov", &lists)?;
        let size = scp.content.to_string().len();
        assert!(size <= 10_240, "{path}: {size}");
    }
    Ok(())
}
