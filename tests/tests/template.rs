//! What the template promises, held against the code: the rules deliver each finding to exactly the
//! functions that expect it, and each role allows exactly what its function's code declares.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::LocalAws;
use remediation::catalogue::{Category, routes};
use remediation::finding::Finding;
use remediation::notify;
use remediation::playbook::{ec2::Ec2, iam::Iam, s3::S3, triage::Triage};
use remediation::{recheck, record};
use serde_json::{Value, json};

use common::{declared, granted, yaml};

const FUNCTIONS: [(&str, Category); 4] = [
    ("S3", Category::S3),
    ("Iam", Category::Iam),
    ("Ec2", Category::Ec2),
    ("Triage", Category::Triage),
];

fn template() -> Value {
    yaml("template.yaml")
}

fn functions(template: &Value) -> BTreeMap<&'static str, &Value> {
    FUNCTIONS
        .into_iter()
        .map(|(name, _)| {
            let logical_id = format!("{name}ResponderFunction");
            (name, &template["Resources"][&logical_id]["Properties"])
        })
        .collect()
}

fn rules(function: &Value) -> impl Iterator<Item = &Value> {
    let events = function["Events"].as_object().expect("events").values();
    events
        .filter(|event| event["Type"] == "EventBridgeRule")
        .map(|event| &event["Properties"])
}

fn event(kind: &str, resource_type: &str, user_type: Option<&str>) -> Value {
    let mut resource = json!({ "resourceType": resource_type });
    if let Some(user_type) = user_type {
        resource["accessKeyDetails"] = json!({ "userType": user_type, "userName": "someone" });
    }
    json!({
        "version": "0", "id": "1", "account": "111122223333", "region": "us-east-1",
        "time": "2026-03-04T05:06:07Z", "resources": [],
        "source": "aws.guardduty", "detail-type": "GuardDuty Finding",
        "detail": {
            "schemaVersion": "2.0", "id": "16afba5c5c43e07c9e3e5e2e544e95df", "type": kind,
            "accountId": "111122223333", "region": "us-east-1", "severity": 1.0,
            "resource": resource, "service": { "archived": false },
        },
    })
}

/// Kinds of findings, by what the rules look at.
fn kinds() -> Vec<Value> {
    let principals = [
        None,
        Some("IAMUser"),
        Some("AssumedRole"),
        Some("Root"),
        Some("FederatedUser"),
    ];
    let strangers = [Some("AWSAccount"), Some("AWSService"), Some("Directory")];
    let mut kinds = Vec::new();
    for user_type in principals.into_iter().chain(strangers) {
        for (kind, resource_type) in [
            ("Policy:S3/BucketBlockPublicAccessDisabled", "AccessKey"),
            ("Policy:S3/AccountBlockPublicAccessDisabled", "AccessKey"),
            ("Stealth:S3/ServerAccessLoggingDisabled", "AccessKey"),
            ("Exfiltration:S3/AnomalousBehavior", "S3Bucket"),
            ("UnauthorizedAccess:S3/TorIPCaller", "S3Bucket"),
            ("PenTest:S3/KaliLinux", "S3Bucket"),
            ("Recon:IAMUser/MaliciousIPCaller.Custom", "AccessKey"),
            (
                "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
                "AccessKey",
            ),
            (
                "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS",
                "AccessKey",
            ),
            (
                "UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.OutsideAWS",
                "AccessKey",
            ),
            ("Persistence:IAM/AccountManipulation", "AccessKey"),
            ("Impact:SES/ResourceHijacking", "AccessKey"),
        ] {
            kinds.push(event(kind, resource_type, user_type));
        }
    }
    for (kind, resource_type) in [
        ("Object:S3/MaliciousFile", "S3Object"),
        ("Execution:S3/MaliciousFile!RecoveryPoint", "RecoveryPoint"),
        ("Backdoor:EC2/C&CActivity.B!DNS", "Instance"),
        ("Recon:EC2/PortProbeUnprotectedPort", "Instance"),
        ("Execution:EC2/MaliciousFile!Snapshot", "EBSSnapshot"),
        ("Exfiltration:EC2/TransferDataToCloudAccount", "AccessKey"),
        ("Execution:Runtime/ReverseShell", "Instance"),
        ("Execution:Runtime/ReverseShell", "EKSCluster"),
        ("Execution:Runtime/ReverseShell", "ECSCluster"),
        ("Execution:Container/MaliciousFile", "Container"),
        (
            "CredentialAccess:Kubernetes/MaliciousIPCaller",
            "EKSCluster",
        ),
        ("Discovery:RDS/TorIPCaller", "RDSDBInstance"),
        ("Backdoor:Lambda/C&CActivity.B", "Lambda"),
        ("AttackSequence:S3/CompromisedData", "AttackSequence"),
        (
            "AttackSequence:IAM/CompromisedCredentials",
            "AttackSequence",
        ),
        (
            "AttackSequence:EC2/CompromisedInstanceGroup",
            "AttackSequence",
        ),
        ("AttackSequence:EKS/CompromisedCluster", "AttackSequence"),
        ("Brand:New/Kind", "SomethingNew"),
    ] {
        kinds.push(event(kind, resource_type, None));
    }
    kinds
}

/// EventBridge's own language decides here, not a second reading of ours.
#[tokio::test]
async fn each_kind_of_finding_is_delivered_once_to_exactly_the_functions_it_is_for() {
    let template = template();
    let aws = LocalAws::start().expect("the emulators");
    let bus = aws_sdk_eventbridge::Client::new(&aws.root());
    for event in kinds() {
        let mut delivered = Vec::new();
        for (name, function) in functions(&template) {
            for rule in rules(function) {
                let matched = bus
                    .test_event_pattern()
                    .event_pattern(rule["Pattern"].to_string())
                    .event(event.to_string())
                    .send()
                    .await
                    .expect("a pattern that EventBridge takes");
                if matched.result() {
                    delivered.push(name.to_lowercase());
                }
            }
        }
        let finding = Finding::parse(&event).expect("a finding");
        let mut expected: Vec<_> = routes(&finding).iter().map(ToString::to_string).collect();
        delivered.sort_unstable();
        expected.sort_unstable();
        assert_eq!(delivered, expected, "{event}");
    }
    aws.stop().expect("the emulators stop");
}

#[test]
fn no_rule_takes_an_event_that_is_not_a_finding_of_guardduty() {
    for (name, function) in functions(&template()) {
        for rule in rules(function) {
            assert_eq!(
                rule["Pattern"]["source"],
                json!(["aws.guardduty"]),
                "{name}"
            );
            assert_eq!(
                rule["Pattern"]["detail-type"],
                json!(["GuardDuty Finding"]),
                "{name}"
            );
        }
    }
}

#[test]
fn what_cannot_be_delivered_or_handled_within_an_hour_is_kept_for_a_person() {
    let template = template();
    for (name, function) in functions(&template) {
        for rule in rules(function) {
            assert_eq!(
                rule["RetryPolicy"]["MaximumEventAgeInSeconds"], 3600,
                "{name}"
            );
            assert_eq!(
                rule["DeadLetterConfig"]["Arn"],
                json!({ "GetAtt": "EventDeadLetterQueue.Arn" }),
                "{name}"
            );
        }
    }
    let asynchronous = &template["Globals"]["Function"]["EventInvokeConfig"];
    assert_eq!(asynchronous["MaximumRetryAttempts"], 2);
    assert_eq!(asynchronous["MaximumEventAgeInSeconds"], 3600);
    assert_eq!(
        asynchronous["DestinationConfig"]["OnFailure"]["Type"],
        "SQS"
    );
    // EventBridge may send to the queue only if the queue's policy lets each rule.
    let policy =
        &template["Resources"]["EventDeadLetterQueuePolicy"]["Properties"]["PolicyDocument"];
    let allowed = &policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"];
    let allowed: BTreeSet<_> = allowed
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| rule["GetAtt"].as_str().expect("a rule's ARN").to_owned())
        .collect();
    let rules: BTreeSet<_> = functions(&template)
        .into_iter()
        .flat_map(|(name, function)| {
            let events = function["Events"].as_object().expect("events").iter();
            events
                .filter(|(_, event)| event["Type"] == "EventBridgeRule")
                .map(move |(event, _)| format!("{name}ResponderFunction{event}.Arn"))
        })
        .collect();
    assert_eq!(allowed, rules);
}

#[test]
fn each_role_allows_what_its_function_declares_and_nothing_else() {
    let template = template();
    let report: BTreeSet<_> = [
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:SendMessage",
    ]
    .into_iter()
    .chain(notify::PERMISSIONS.iter().copied())
    .chain(record::PERMISSIONS.iter().copied())
    .collect();
    // What the queue's events need of the role of the function that receives them.
    let mut credentials = declared::<Iam>();
    credentials.extend(recheck::PERMISSIONS);
    credentials.extend([
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
    ]);
    for (name, declared) in [
        ("S3", declared::<S3>()),
        ("Iam", credentials),
        ("Ec2", declared::<Ec2>()),
        ("Triage", declared::<Triage>()),
    ] {
        let role = &template["Resources"][format!("{name}ResponderRole")]["Properties"];
        assert!(role["ManagedPolicyArns"].is_null(), "{name}");
        let granted = granted(&role["Policies"]);
        let expected: BTreeSet<_> = report
            .union(&declared)
            .map(|&action| action.to_owned())
            .collect();
        assert_eq!(granted, expected, "{name}");
    }
}

#[test]
fn the_parameters_outputs_and_settings_are_those_of_the_contract() {
    let template = template();
    let default = |name: &str| &template["Parameters"][name]["Default"];
    for (name, value) in [
        ("DryRun", json!("true")),
        ("S3Response", json!("contain")),
        ("IamResponse", json!("contain")),
        ("Ec2Response", json!("contain")),
        ("MinimumSeverity", json!(4)),
        ("NotificationEmail", json!("")),
        ("Architecture", json!("arm64")),
    ] {
        assert_eq!(*default(name), value, "{name}");
    }
    let parameters = template["Parameters"].as_object().expect("parameters");
    for (name, parameter) in parameters {
        assert!(!parameter["Default"].is_null(), "{name} has a default");
    }
    for name in [
        "S3ResponderFunction",
        "IamResponderFunction",
        "Ec2ResponderFunction",
        "TriageResponderFunction",
        "IncidentTable",
        "NotificationTopic",
    ] {
        assert!(template["Outputs"][name].is_object(), "{name}");
    }
    let settings = &template["Globals"]["Function"]["Environment"]["Variables"];
    for name in [
        "DRY_RUN",
        "INCIDENT_TABLE",
        "MINIMUM_SEVERITY",
        "NOTIFICATION_TOPIC_ARN",
    ] {
        assert!(!settings[name].is_null(), "{name}");
    }
    for name in ["S3", "Iam", "Ec2"] {
        let function = &template["Resources"][format!("{name}ResponderFunction")]["Properties"];
        assert_eq!(
            function["Environment"]["Variables"]["RESPONSE_MODE"],
            json!({ "Ref": format!("{name}Response") })
        );
    }
}

#[test]
fn every_log_is_kept_for_a_set_time_and_written_as_json() {
    let template = template();
    assert_eq!(
        template["Globals"]["Function"]["LoggingConfig"]["LogFormat"],
        "JSON"
    );
    for (name, _) in FUNCTIONS {
        let function = &template["Resources"][format!("{name}ResponderFunction")]["Properties"];
        let log = format!("{name}ResponderLog");
        assert_eq!(
            function["LoggingConfig"]["LogGroup"],
            json!({ "Ref": log.clone() })
        );
        let retention = &template["Resources"][&log]["Properties"]["RetentionInDays"];
        assert_eq!(*retention, json!({ "Ref": "LogRetentionDays" }));
    }
}
