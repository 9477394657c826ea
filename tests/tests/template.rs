//! What the template promises, held against the code: the rules deliver each finding to exactly the
//! functions that expect it, and each role allows exactly what its function's code declares.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use integration_tests::LocalAws;
use integration_tests::known_types::{self, event};
use remediation::breaker::{self, Limits};
use remediation::catalogue::{Category, routes};
use remediation::finding::{DETAIL_TYPE, DRILL_SOURCE, Finding};
use remediation::guard::{self, EventHistory};
use remediation::metrics;
use remediation::notify;
use remediation::playbook::{ec2::Ec2, iam::Iam, s3::S3, triage::Triage};
use remediation::{accounts, hand_over, recheck, record, verify};
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

/// Findings as AWS may send them one day: kinds that it has not named, and members that are missing.
fn unforeseen() -> Vec<Value> {
    let mut events = Vec::new();
    let resource_types = [
        json!({}),
        json!({ "resourceType": null }),
        json!({ "resourceType": "" }),
        json!({ "resourceType": "SomethingNew" }),
        json!({ "resourceType": "Instance" }),
        json!({ "resourceType": "AttackSequence" }),
    ];
    for resource in resource_types {
        for kind in [
            "Brand:New/Kind",
            "Brand:S3/New",
            "Brand:IAMUser/New",
            "Brand:EC2/New",
            "Brand:Runtime/New",
            "Policy:S3/BucketBlockPublicAccessDisabled",
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            "UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.OutsideAWS",
            "Execution:Runtime/ReverseShell",
            "AttackSequence:S3/CompromisedData",
            "AttackSequence:EKS/CompromisedCluster",
        ] {
            events.push(event(kind, &resource, &json!({})));
        }
    }
    let user_types = [
        "AssumedRole",
        "Root",
        "FederatedUser",
        "AWSService",
        "Directory",
        "New",
        "",
    ];
    for user_type in user_types.map(Value::from).into_iter().chain([Value::Null]) {
        for (kind, resource_type) in [
            ("Stealth:S3/ServerAccessLoggingDisabled", "AccessKey"),
            ("Exfiltration:S3/AnomalousBehavior", "S3Bucket"),
            ("Recon:IAMUser/TorIPCaller", "AccessKey"),
        ] {
            let resource = json!({
                "resourceType": resource_type, "accessKeyDetails": { "userType": user_type },
            });
            events.push(event(kind, &resource, &json!({})));
        }
    }
    for resource in [Value::Null, json!({ "accessKeyDetails": null })] {
        events.push(event(
            "Exfiltration:S3/AnomalousBehavior",
            &resource,
            &json!({}),
        ));
    }
    events
}

/// The functions that `event` is delivered to by the rules of `template`, once for each rule that
/// takes it. EventBridge's own language decides here, not a second reading of ours.
async fn delivered(
    bus: &aws_sdk_eventbridge::Client,
    template: &Value,
    event: &Value,
) -> Vec<String> {
    let mut delivered = Vec::new();
    for (name, function) in functions(template) {
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
    delivered.sort_unstable();
    delivered
}

#[tokio::test]
async fn each_kind_of_finding_is_delivered_once_to_exactly_the_functions_it_is_for() {
    let template = &template();
    let aws = LocalAws::start().expect("the emulators");
    let bus = &aws_sdk_eventbridge::Client::new(&aws.root());
    let known = known_types::all();
    let known = known.iter().flat_map(|known| known.cases());
    let events: Vec<_> = known.map(|case| case.event).chain(unforeseen()).collect();
    assert!(events.len() > 400, "{} events", events.len());
    let mut outcomes = stream::iter(&events)
        .map(async |event| {
            let mut drill = event.clone();
            drill["source"] = json!(DRILL_SOURCE);
            let both = futures::join!(
                delivered(bus, template, event),
                delivered(bus, template, &drill),
            );
            (event, both)
        })
        .buffer_unordered(4);
    while let Some((event, (delivered, of_drill))) = outcomes.next().await {
        assert_eq!(
            of_drill, delivered,
            "a drill goes where its finding goes: {event}"
        );
        let expected: Vec<_> = match Finding::parse(event) {
            Ok(finding) => routes(&finding).iter().map(ToString::to_string).collect(),
            // Whoever receives it must say so.
            Err(_) => {
                assert_eq!(delivered.len(), 1, "{event}");
                continue;
            }
        };
        let expected: BTreeSet<_> = expected.into_iter().collect();
        assert_eq!(delivered, Vec::from_iter(expected), "{event}");
    }
    aws.stop().expect("the emulators stop");
}

#[tokio::test]
async fn a_finding_without_a_type_is_delivered_to_triage_which_says_that_it_has_none() {
    let template = template();
    let aws = LocalAws::start().expect("the emulators");
    let bus = aws_sdk_eventbridge::Client::new(&aws.root());
    let mut event = event("any", &json!({ "resourceType": "Instance" }), &json!({}));
    for without in [json!(null), json!(""), json!("no colon")] {
        event["detail"]["type"] = without;
        assert_eq!(
            delivered(&bus, &template, &event).await,
            ["triage"],
            "{event}"
        );
    }
    event["detail"]
        .as_object_mut()
        .expect("a finding")
        .remove("type");
    assert_eq!(
        delivered(&bus, &template, &event).await,
        ["triage"],
        "{event}"
    );
    aws.stop().expect("the emulators stop");
}

#[test]
fn no_rule_takes_an_event_that_is_neither_a_finding_of_guardduty_nor_a_drill() {
    for (name, function) in functions(&template()) {
        for rule in rules(function) {
            assert_eq!(
                rule["Pattern"]["source"],
                json!(["aws.guardduty", DRILL_SOURCE]),
                "{name}"
            );
            assert_eq!(
                rule["Pattern"]["detail-type"],
                json!([DETAIL_TYPE]),
                "{name}"
            );
        }
    }
}

#[test]
fn only_the_record_of_a_drill_goes_away() {
    let template = template();
    let table = &template["Resources"]["IncidentTable"]["Properties"];
    let expiry = json!({ "AttributeName": record::DRILL_EXPIRES, "Enabled": true });
    assert_eq!(table["TimeToLiveSpecification"], expiry);
}

#[test]
fn the_alarms_look_at_the_metrics_that_the_functions_write() {
    let template = template();
    let namespace = json!({ "Ref": "AWS::StackName" });
    let variables = &template["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(variables["METRICS_NAMESPACE"], namespace);
    for (alarm, metric) in [
        ("NotContainedAlarm", metrics::NOT_CONTAINED),
        ("UndoneAlarm", metrics::CONTAINMENT_UNDONE),
    ] {
        let alarm = &template["Resources"][alarm]["Properties"];
        assert_eq!(alarm["Namespace"], namespace);
        assert_eq!(alarm["MetricName"], metric);
        assert_eq!(alarm["Dimensions"], Value::Null);
        let told = json!([{ "Ref": "NotificationTopic" }]);
        assert_eq!(alarm["AlarmActions"], told);
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
    let guarded = |mut declared: BTreeSet<&'static str>| {
        declared.extend(guard::PERMISSIONS);
        declared.extend(EventHistory::PERMISSIONS);
        declared.extend(accounts::PERMISSIONS);
        declared.extend(verify::PERMISSIONS);
        declared
    };
    let mut triage = declared::<Triage>();
    triage.extend(hand_over::PERMISSIONS);
    for (name, declared) in [
        ("S3", guarded(declared::<S3>())),
        ("Iam", guarded(credentials)),
        ("Ec2", guarded(declared::<Ec2>())),
        ("Triage", triage),
    ] {
        let logical_id = format!("{name}ResponderRole");
        let role = &template["Resources"][&logical_id]["Properties"];
        assert!(role["ManagedPolicyArns"].is_null(), "{name}");
        let inline = role["Policies"].as_array().expect("policies").iter();
        let granted = granted(inline.chain(attached(&template, &logical_id)));
        let expected: BTreeSet<_> = report
            .union(&declared)
            .map(|&action| action.to_owned())
            .collect();
        assert_eq!(granted, expected, "{name}");
    }
}

/// The policies that stand beside a role and name it.
fn attached<'a>(template: &'a Value, role: &str) -> impl Iterator<Item = &'a Value> {
    let role = json!({ "Ref": role });
    let resources = template["Resources"].as_object().expect("resources");
    resources
        .values()
        .filter(|resource| resource["Type"] == "AWS::IAM::Policy")
        .map(|resource| &resource["Properties"])
        .filter(move |policy| {
            let roles = policy["Roles"].as_array();
            roles.is_some_and(|roles| roles.contains(&role))
        })
}

/// Triage may invoke the functions that contain only where it hands sequences over, and no other
/// function.
#[test]
fn only_triage_may_invoke_and_only_the_three_functions_and_only_if_the_setting_says_so() {
    let template = template();
    let arn = |name: &str| json!({ "GetAtt": format!("{name}ResponderFunction.Arn") });
    for (name, category) in FUNCTIONS {
        let logical_id = format!("{name}ResponderRole");
        let policies: Vec<_> = attached(&template, &logical_id)
            .filter(|&policy| granted([policy]).contains("lambda:InvokeFunction"))
            .collect();
        if category != Category::Triage {
            assert!(policies.is_empty(), "{name}");
            continue;
        }
        let [policy] = policies[..] else {
            panic!("{policies:?}")
        };
        let [statement] = &policy["PolicyDocument"]["Statement"]
            .as_array()
            .expect("statements")[..]
        else {
            panic!("{policy}")
        };
        assert_eq!(statement["Resource"], json!(["S3", "Iam", "Ec2"].map(arn)));
    }
    let condition = &template["Resources"]["HandOverPolicy"]["Condition"];
    assert_eq!(*condition, "HandsSequencesOver");
    assert_eq!(
        template["Parameters"]["HandOverSequences"]["Default"],
        "false"
    );
}

#[test]
fn the_stack_is_deployed_with_the_default_policies_and_tells_when_they_cannot_be_used() {
    let template = template();
    let resources = &template["Resources"];
    let parameter = &resources["PolicyParameter"]["Properties"];
    assert_eq!(parameter["Value"], guard::DEFAULT);
    guard::Policies::parse(guard::DEFAULT).expect("the default policies are valid");
    let settings = &template["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(
        settings["POLICY_PARAMETER"],
        json!({ "Ref": "PolicyParameter" })
    );
    for name in ["S3", "Iam", "Ec2"] {
        let metric = &resources[format!("{name}PolicyUnusableMetric")]["Properties"];
        let pattern = format!("{{ $.fields.message = \"{}*\" }}", guard::UNUSABLE);
        assert_eq!(metric["FilterPattern"], pattern);
    }
}

#[test]
fn a_person_is_told_when_the_breaker_opens_and_its_limits_are_parameters() {
    let template = template();
    let resources = &template["Resources"];
    for name in ["S3", "Iam", "Ec2"] {
        let metric = &resources[format!("{name}BreakerOpenMetric")]["Properties"];
        let pattern = format!("{{ $.fields.message = \"{}*\" }}", breaker::OPEN);
        assert_eq!(metric["FilterPattern"], pattern);
    }
    let default = Limits::default();
    let settings = &template["Globals"]["Function"]["Environment"]["Variables"];
    for (setting, name, value) in [
        (
            "MAX_CONTAINMENTS",
            "MaxContainments",
            json!(default.containments),
        ),
        (
            "LIMIT_WINDOW_MINUTES",
            "LimitWindowMinutes",
            json!(default.window.as_mins()),
        ),
        (
            "MAX_SHARE_PERCENT",
            "MaxSharePercent",
            json!(default.share_percent),
        ),
    ] {
        assert_eq!(settings[setting], json!({ "Ref": name }));
        assert_eq!(template["Parameters"][name]["Default"], value, "{name}");
    }
    let most = &template["Parameters"]["MaxContainments"]["MaxValue"];
    assert_eq!(*most, json!(Limits::MOST));
}

#[test]
fn a_role_reads_the_parameter_of_the_policies_and_no_other() {
    let template = template();
    for name in ["S3", "Iam", "Ec2"] {
        let role = &template["Resources"][format!("{name}ResponderRole")]["Properties"];
        let policies = role["Policies"].as_array().expect("policies").iter();
        let statements = policies.flat_map(|policy| {
            let statements = &policy["PolicyDocument"]["Statement"];
            statements.as_array().expect("statements")
        });
        let reading: Vec<_> = statements
            .filter(|statement| statement["Action"] == "ssm:GetParameter")
            .map(|statement| statement["Resource"]["Sub"].as_str().expect("an ARN"))
            .collect();
        assert_eq!(reading.len(), 1, "{name}");
        assert!(
            reading[0].ends_with(":parameter${PolicyParameter}"),
            "{name}: {}",
            reading[0]
        );
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
        ("ApprovalNotNeededFrom", json!("")),
        ("ApprovalMinutes", json!(240)),
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
        "PolicyParameter",
    ] {
        assert!(template["Outputs"][name].is_object(), "{name}");
    }
    let settings = &template["Globals"]["Function"]["Environment"]["Variables"];
    for name in [
        "APPROVAL_MINUTES",
        "APPROVAL_NOT_NEEDED_FROM",
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
            template["Parameters"][format!("{name}Response")]["AllowedValues"],
            json!(["contain", "approve", "notify", "off"])
        );
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
