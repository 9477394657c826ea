//! Calls that switch the responder off, rewrite it, speak in its name or rewrite its record.

use serde_json::{Value, json};

use super::scp::{ACCOUNT, REGION, Scp, of, physical};
use crate::common::yaml;
use integration_tests::stack::RESPONDERS;

/// Calls that do so: the resource, the action, and what else the call is about.
pub(crate) fn doors(scp: &Scp) -> Vec<(String, &'static str, Value)> {
    let mut doors = Vec::new();
    for (resource, actions) in of_resources(scp).into_iter().chain(of_records(scp)) {
        for action in actions {
            doors.push((resource.clone(), *action, json!({})));
        }
    }
    let mapping = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:0123abcd");
    for function in RESPONDERS {
        let function = of(scp.partition, &scp.function(function));
        let context = json!({ "lambda:FunctionArn": function });
        for (action, resource) in [
            ("lambda:CreateEventSourceMapping", "*"),
            ("lambda:DeleteEventSourceMapping", &mapping),
            ("lambda:UpdateEventSourceMapping", &mapping),
        ] {
            doors.push((resource.to_owned(), action, context.clone()));
        }
    }
    doors
}

/// On what makes the responder act.
fn of_resources(scp: &Scp) -> Vec<(String, &'static [&'static str])> {
    let here = |service: &str, rest: String| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
    let stack = &scp.stack;
    let policy = here(
        "ssm",
        format!("parameter/guardduty-responder/{stack}/policy"),
    );
    let nested = format!("{stack}-Operations-1GRP3N0TVA1LD");
    let alarm = format!("alarm:{nested}-NotContained-1GRP3N0TVA1LD");
    let mut all = vec![
        (
            format!("arn:aws:iam::{ACCOUNT}:role/gdr-member-iam"),
            OF_ROLES,
        ),
        (policy, OF_POLICIES),
        (
            here("cloudformation", format!("stack/{stack}/0123abcd")),
            OF_STACKS,
        ),
        (
            here("cloudformation", format!("stack/{nested}/0123abcd")),
            OF_STACKS,
        ),
        (here("cloudwatch", alarm), OF_ALARMS),
        ("*".to_owned(), OF_GUARDDUTY),
    ];
    for function in RESPONDERS {
        all.push((scp.function(function), OF_FUNCTIONS));
        all.push((format!("{}:live", scp.function(function)), OF_FUNCTIONS));
        all.push((scp.role(function), OF_ROLES));
    }
    let rules = rules().into_iter();
    all.extend(rules.map(|rule| (scp.resource("events", "rule/", &rule, 64), OF_RULES)));
    all.extend(QUEUES.iter().map(|queue| (scp.queue(queue), OF_QUEUES)));
    all
}

/// On what tells of it, and what is kept.
fn of_records(scp: &Scp) -> Vec<(String, &'static [&'static str])> {
    let topic = scp.resource("sns", "", "NotificationTopic", 256);
    let mut all = vec![
        // A subscription's ARN, should it be that.
        (format!("{topic}:0123abcd"), OF_TOPICS),
        (topic, OF_TOPICS),
        (scp.table(), OF_TABLE),
        (
            format!("{}/backup/01", scp.table()),
            &["dynamodb:DeleteBackup"],
        ),
    ];
    for function in RESPONDERS {
        let log = format!("{function}ResponderLog");
        let log = scp.resource("logs", "log-group:", &log, 512);
        all.push((
            format!("{log}:log-stream:2026"),
            &["logs:DeleteLogStream", "logs:PutLogEvents"],
        ));
        all.push((format!("{log}:*"), OF_LOGS));
    }
    // S3 has no capitals in names, so that of another stack the bucket is not known.
    if scp.stack == scp.stack.to_lowercase() {
        let bucket = physical(&scp.stack, "evidence", 63);
        all.push((format!("arn:aws:s3:::{bucket}/iam/page.html"), OF_PAGES));
        all.push((format!("arn:aws:s3:::{bucket}"), OF_EVIDENCE));
    }
    all
}

const OF_FUNCTIONS: &[&str] = &[
    "lambda:AddPermission",
    "lambda:CreateFunctionUrlConfig",
    "lambda:DeleteFunction",
    "lambda:DeleteFunctionEventInvokeConfig",
    "lambda:DeleteResourcePolicy",
    "lambda:InvokeAsync",
    "lambda:InvokeFunction",
    "lambda:InvokeFunctionUrl",
    "lambda:PutFunctionConcurrency",
    "lambda:PutFunctionEventInvokeConfig",
    "lambda:PutResourcePolicy",
    "lambda:RemovePermission",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "lambda:UpdateFunctionEventInvokeConfig",
];
const OF_RULES: &[&str] = &[
    "events:DeleteRule",
    "events:DisableRule",
    "events:PutRule",
    "events:PutTargets",
    "events:RemoveTargets",
];
const OF_ROLES: &[&str] = &[
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PassRole",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
];
const OF_POLICIES: &[&str] = &[
    "ssm:DeleteParameter",
    "ssm:DeleteParameters",
    "ssm:PutParameter",
];
const QUEUES: &[&str] = &[
    "BucketRecheckQueue",
    "EventDeadLetterQueue",
    "InstanceRecheckQueue",
    "OnFailureQueue",
    "RecheckQueue",
    "SecurityHubQueue",
];
const OF_QUEUES: &[&str] = &[
    "sqs:AddPermission",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:DeleteQueue",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:RemovePermission",
    "sqs:SendMessage",
    "sqs:SetQueueAttributes",
    "sqs:StartMessageMoveTask",
];
const OF_TOPICS: &[&str] = &[
    "sns:AddPermission",
    "sns:DeleteTopic",
    "sns:PutDataProtectionPolicy",
    "sns:RemovePermission",
    "sns:SetSubscriptionAttributes",
    "sns:SetTopicAttributes",
    "sns:Unsubscribe",
];
const OF_LOGS: &[&str] = &[
    "logs:DeleteLogGroup",
    "logs:DeleteMetricFilter",
    "logs:DeleteRetentionPolicy",
    "logs:PutDataProtectionPolicy",
    "logs:PutMetricFilter",
    "logs:PutRetentionPolicy",
];
const OF_TABLE: &[&str] = &[
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:DeleteTable",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:PutResourcePolicy",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateItem",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
];
const OF_STACKS: &[&str] = &[
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:SetStackPolicy",
    "cloudformation:UpdateStack",
    "cloudformation:UpdateTerminationProtection",
];
const OF_ALARMS: &[&str] = &[
    "cloudwatch:DeleteAlarms",
    "cloudwatch:DisableAlarmActions",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:SetAlarmState",
];
const OF_EVIDENCE: &[&str] = &[
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
];
const OF_PAGES: &[&str] = &[
    "s3:BypassGovernanceRetention",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutObject",
    "s3:PutObjectRetention",
];
const OF_GUARDDUTY: &[&str] = &[
    "guardduty:ArchiveFindings",
    "guardduty:CreateFilter",
    "guardduty:CreateIPSet",
    "guardduty:CreateTrustedEntitySet",
    "guardduty:DeleteDetector",
    "guardduty:DeleteMembers",
    "guardduty:DisassociateFromAdministratorAccount",
    "guardduty:DisassociateFromMasterAccount",
    "guardduty:DisassociateMembers",
    "guardduty:StopMonitoringMembers",
    "guardduty:UpdateDetector",
    "guardduty:UpdateFilter",
    "guardduty:UpdateIPSet",
    "guardduty:UpdateMemberDetectors",
    "guardduty:UpdateOrganizationConfiguration",
    "guardduty:UpdateTrustedEntitySet",
];

/// The logical ids of the rules, as SAM makes them.
fn rules() -> Vec<String> {
    let template = yaml("template.yaml");
    let mut rules = Vec::new();
    for (name, resource) in template["Resources"].as_object().expect("resources") {
        let events = resource["Properties"]["Events"].as_object();
        let of_rules = events.into_iter().flatten();
        let of_rules = of_rules.filter(|(_, event)| event["Type"] == "EventBridgeRule");
        rules.extend(of_rules.map(|(event, _)| format!("{name}{event}")));
        if resource["Type"] == "AWS::Events::Rule" {
            rules.push(name.clone());
        }
    }
    assert!(rules.len() > 10, "{rules:?}");
    rules
}
