//! What the template promises, held against the code: the rules deliver each finding to exactly the
//! functions that expect it, and each role allows exactly what its function's code declares.

mod delivery;
mod grants;
mod settings;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use remediation::breaker::Limits;
use remediation::category::Category;
use remediation::notify::{self, security_hub};
use remediation::{evidence, recheck, record};
use serde_json::{Value, json};

use crate::common::{granted, yaml};

const FUNCTIONS: [(&str, Category); 5] = [
    ("S3", Category::S3),
    ("Iam", Category::Iam),
    ("Ec2", Category::Ec2),
    ("Lambda", Category::Lambda),
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

/// How long Lambda asks a queue to keep a message from others while a function has it,
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>. The functions have one time-out.
fn six_time_outs(template: &Value) -> u64 {
    for function in functions(template).values() {
        assert!(function["Timeout"].is_null(), "{function}");
    }
    let seconds = template["Globals"]["Function"]["Timeout"].as_u64();
    6 * seconds.expect("a time-out")
}

fn rules(function: &Value) -> impl Iterator<Item = &Value> {
    let events = function["Events"].as_object().expect("events").values();
    events
        .filter(|event| event["Type"] == "EventBridgeRule")
        .map(|event| &event["Properties"])
}

/// The functions may put events of their own source only: a drill's would start them.
#[test]
fn a_function_may_put_no_event_that_a_rule_of_the_stack_takes() {
    let template = template();
    let policy = &template["Resources"]["ResponseEventsPolicy"]["Properties"]["PolicyDocument"];
    let [statement] = &policy["Statement"].as_array().expect("statements")[..] else {
        panic!("{policy}")
    };
    let condition = json!({ "ForAllValues:StringEquals": { "events:source": notify::SOURCE } });
    assert_eq!(statement["Condition"], condition);
}

/// The three channels beside the text are off or on by their parameters, and so is what they need.
#[test]
fn each_channel_has_a_setting_that_the_functions_get_and_that_its_permissions_depend_on() {
    let template = template();
    let settings = &template["Globals"]["Function"]["Environment"]["Variables"];
    let chosen =
        |condition: &str, resource: &str| json!({ "If": [condition, { "Ref": resource }, ""] });
    assert_eq!(
        settings["CHAT_TOPIC_ARN"],
        chosen("NotifiesChat", "ChatTopic")
    );
    assert_eq!(
        settings["RESPONSE_EVENTS"],
        json!({ "Ref": "ResponseEvents" })
    );
    assert_eq!(
        settings["SECURITY_HUB_QUEUE_URL"],
        chosen("UpdatesSecurityHub", "SecurityHubQueue")
    );
    for (parameter, default) in [
        ("ChatNotices", "false"),
        ("ResponseEvents", "true"),
        ("SecurityHub", "false"),
    ] {
        assert_eq!(template["Parameters"][parameter]["Default"], default);
    }
    for (policy, condition) in [
        ("ChatPolicy", "NotifiesChat"),
        ("ResponseEventsPolicy", "PutsEvents"),
        ("SecurityHubQueuePolicy", "UpdatesSecurityHub"),
        ("SecurityHubPolicy", "UpdatesSecurityHub"),
        ("SecurityHubUpdates", "UpdatesSecurityHub"),
    ] {
        assert_eq!(
            template["Resources"][policy]["Condition"], condition,
            "{policy}"
        );
    }
    // After a crash the message is kept for a person; before, the function gives up by itself.
    let queue = &template["Resources"]["SecurityHubQueue"]["Properties"];
    assert_eq!(queue["VisibilityTimeout"], six_time_outs(&template));
    let receives = queue["RedrivePolicy"]["maxReceiveCount"].as_u64();
    assert!(receives > Some(security_hub::ATTEMPTS.into()), "{queue}");
    // Only triage may update Security Hub, and it may not hide a finding there.
    let policy = &template["Resources"]["SecurityHubPolicy"]["Properties"];
    assert_eq!(policy["Roles"], json!([{ "Ref": "TriageResponderRole" }]));
    let statements = policy["PolicyDocument"]["Statement"].as_array();
    let denied = statements.expect("statements").iter();
    let denied = denied.filter(|it| it["Effect"] == "Deny");
    let denied: Vec<_> = denied.map(|it| &it["Condition"]["StringEquals"]).collect();
    let hidden = [
        json!({ "securityhub:ASFFSyntaxPath/Workflow.Status": ["RESOLVED", "SUPPRESSED"] }),
        json!({ "securityhub:OCSFSyntaxPath/StatusId": ["3", "4", "5"] }),
    ];
    assert_eq!(denied, hidden.each_ref());
}

#[test]
fn the_trace_of_an_invocation_is_kept() {
    assert_eq!(template()["Globals"]["Function"]["Tracing"], "Active");
}

#[test]
fn only_the_record_of_a_drill_goes_away() {
    let template = template();
    let table = &template["Resources"]["IncidentTable"]["Properties"];
    let expiry = json!({ "AttributeName": record::DRILL_EXPIRES, "Enabled": true });
    assert_eq!(table["TimeToLiveSpecification"], expiry);
}

#[test]
fn events_not_delivered_or_handled_within_an_hour_are_kept_in_queues() {
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
        .chain(["PolicyChanged.Arn".to_owned()])
        .collect();
    assert_eq!(allowed, rules);
}

/// EventBridge documents no Condition in the policy of a topic, and without one any rule could publish,
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html>.
#[test]
fn a_change_of_the_policies_is_notified_by_a_role_and_a_failed_notice_is_kept() {
    let template = template();
    let resources = &template["Resources"];
    let [target] = &resources["PolicyChanged"]["Properties"]["Targets"]
        .as_array()
        .expect("targets")[..]
    else {
        panic!("one target")
    };
    assert_eq!(target["Arn"], json!({ "Ref": "NotificationTopic" }));
    assert_eq!(
        target["RoleArn"],
        json!({ "GetAtt": "PolicyChangedRole.Arn" })
    );
    assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 3600);
    let kept = json!({ "GetAtt": "EventDeadLetterQueue.Arn" });
    assert_eq!(target["DeadLetterConfig"]["Arn"], kept);
    let role = &resources["PolicyChangedRole"]["Properties"];
    let publish = json!({ "Effect": "Allow", "Action": "sns:Publish", "Resource": { "Ref": "NotificationTopic" } });
    assert_eq!(role["Policies"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        role["Policies"][0]["PolicyDocument"]["Statement"],
        json!([publish])
    );
    let trusted = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trusted["Principal"]["Service"], "events.amazonaws.com");
    let own = json!({ "aws:SourceAccount": { "Ref": "AWS::AccountId" } });
    assert_eq!(trusted["Condition"]["StringEquals"], own);
    let topic = &resources["NotificationTopicPolicy"]["Properties"]["PolicyDocument"];
    assert!(
        !topic.to_string().contains("events.amazonaws.com"),
        "{topic}"
    );
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
fn a_function_may_add_to_its_own_evidence_and_only_where_evidence_is_kept() {
    let template = template();
    for (name, category) in FUNCTIONS {
        let logical_id = format!("{name}KeepsEvidence");
        let policy = &template["Resources"][&logical_id];
        assert_eq!(policy["Condition"], "KeepsEvidence");
        let [statement] = &policy["Properties"]["PolicyDocument"]["Statement"]
            .as_array()
            .expect("statements")[..]
        else {
            panic!("{policy}")
        };
        assert_eq!(statement["Action"], evidence::PERMISSIONS[0]);
        let own = format!("${{Evidence.Arn}}/{category}/*");
        assert_eq!(statement["Resource"], json!({ "Sub": own }));
        // No other policy of the role writes objects anywhere.
        let role = format!("{name}ResponderRole");
        let inline = template["Resources"][&role]["Properties"]["Policies"].as_array();
        let others = attached(&template, &role).filter(|&it| *it != policy["Properties"]);
        let others = granted(inline.expect("policies").iter().chain(others));
        assert!(!others.contains("s3:PutObject"), "{name}");
    }
    let settings = &template["Globals"]["Function"]["Environment"]["Variables"];
    let bucket = json!({ "If": ["KeepsEvidence", { "Ref": "Evidence" }, ""] });
    assert_eq!(settings["EVIDENCE_BUCKET"], bucket);
    assert_eq!(template["Parameters"]["EvidenceBucket"]["Default"], "none");
}

#[test]
fn evidence_is_versioned_encrypted_private_locked_if_asked_for_and_outlives_the_stack() {
    let template = template();
    let evidence = &template["Resources"]["Evidence"];
    assert_eq!(evidence["Condition"], "KeepsEvidence");
    assert_eq!(evidence["DeletionPolicy"], "RetainExceptOnCreate");
    assert_eq!(evidence["UpdateReplacePolicy"], "Retain");
    let bucket = &evidence["Properties"];
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    assert!(bucket["BucketEncryption"].is_object());
    let blocked = bucket["PublicAccessBlockConfiguration"]
        .as_object()
        .expect("flags");
    assert_eq!(blocked.len(), 4);
    assert!(blocked.values().all(|flag| *flag == true), "{blocked:?}");
    let days = json!({ "Ref": "EvidenceDays" });
    let lock = &bucket["ObjectLockConfiguration"]["If"];
    assert_eq!(lock[0], "LocksEvidence");
    let retention = &lock[1]["Rule"]["DefaultRetention"];
    assert_eq!(retention["Days"], days);
    let mode = json!({ "If": ["CannotBeUnlocked", "COMPLIANCE", "GOVERNANCE"] });
    assert_eq!(retention["Mode"], mode);
    assert_eq!(bucket["ObjectLockEnabled"]["If"][0], "LocksEvidence");
    let rule = &bucket["LifecycleConfiguration"]["Rules"][0];
    assert_eq!(rule["ExpirationInDays"], days);
    // A version that expires stays as a noncurrent one, so that its days count once.
    assert_eq!(rule["NoncurrentVersionExpiration"]["NoncurrentDays"], 1);
    let policy = &template["Resources"]["EvidenceOverTls"]["Properties"]["PolicyDocument"];
    let [statement] = &policy["Statement"].as_array().expect("statements")[..] else {
        panic!("{policy}")
    };
    assert_eq!(statement["Effect"], "Deny");
    let plain = json!({ "Bool": { "aws:SecureTransport": "false" } });
    assert_eq!(statement["Condition"], plain);
}

#[test]
fn the_stack_is_deployed_with_the_default_policies() {
    let template = template();
    let resources = &template["Resources"];
    let parameter = &resources["PolicyParameter"]["Properties"];
    assert_eq!(parameter["Value"], policy::DEFAULT);
    policy::Policies::parse(policy::DEFAULT).expect("the default policies are valid");
    let settings = &template["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(
        settings["POLICY_PARAMETER"],
        json!({ "Ref": "PolicyParameter" })
    );
}

#[test]
fn the_limits_of_the_breaker_are_parameters() {
    let template = template();
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
    for name in ["S3", "Iam", "Ec2", "Lambda"] {
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
        ("LambdaResponse", json!("contain")),
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
    for name in ["S3", "Iam", "Ec2", "Lambda"] {
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
        // It is the record: it outlives the stack, also where an update replaces it. A first deployment that fails
        // leaves none behind.
        let kept = &template["Resources"][&log];
        assert_eq!(kept["DeletionPolicy"], "RetainExceptOnCreate", "{log}");
        assert_eq!(kept["UpdateReplacePolicy"], "Retain", "{log}");
    }
}

/// Whoever holds the role of one function must not get to invent looks for the other, or to take its.
#[test]
fn each_containing_function_rechecks_by_a_queue_of_its_own() {
    let template = template();
    let resources = &template["Resources"];
    let queues = [
        ("S3", "BucketRecheckQueue"),
        ("Iam", "RecheckQueue"),
        ("Ec2", "InstanceRecheckQueue"),
    ];
    for (function, queue) in queues {
        let properties = &resources[format!("{function}ResponderFunction")]["Properties"];
        let url = &properties["Environment"]["Variables"]["RECHECK_QUEUE_URL"];
        assert_eq!(*url, json!({ "Ref": queue }), "{function}");
        let source = &properties["Events"]["Rechecks"];
        assert_eq!(source["Type"], "SQS");
        assert_eq!(
            source["Properties"]["Queue"],
            json!({ "GetAtt": format!("{queue}.Arn") })
        );
        assert_eq!(source["Properties"]["BatchSize"], 1);
        let [statement] =
            &resources[format!("{queue}Policy")]["Properties"]["PolicyDocument"]["Statement"]
                .as_array()
                .expect("statements")[..]
        else {
            panic!("{queue}: one statement")
        };
        assert_eq!(statement["Effect"], "Deny");
        assert_eq!(statement["Principal"], "*");
        assert_eq!(statement["Action"], recheck::PERMISSIONS[0]);
        assert_eq!(
            statement["Resource"],
            json!({ "GetAtt": format!("{queue}.Arn") })
        );
        let own = json!({ "GetAtt": format!("{function}ResponderRole.Arn") });
        let spared = &statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]["If"];
        assert_eq!(spared[0], "HasApprovers");
        assert_eq!(spared[2], own);
        let both = json!({ "Join": [",", [own, { "Ref": "Approvers" }]] });
        assert_eq!(spared[1], json!({ "Split": [",", both] }));
        let role = resources[format!("{function}ResponderRole")].to_string();
        let named = |queue: &str| role.contains(&format!("\"{queue}.Arn\""));
        for (_, other) in queues {
            assert_eq!(named(other), other == queue, "{function}: {role}");
        }
        let queue = &resources[queue]["Properties"];
        assert_eq!(queue["VisibilityTimeout"], six_time_outs(&template));
        assert_eq!(queue["SqsManagedSseEnabled"], true);
        let kept = json!({ "GetAtt": "OnFailureQueue.Arn" });
        assert_eq!(queue["RedrivePolicy"]["deadLetterTargetArn"], kept);
        // A message that finds no execution free counts as received, too. It is kept until it is given up.
        let receives = queue["RedrivePolicy"]["maxReceiveCount"].as_u64();
        let receives = receives.expect("a number");
        assert!(receives >= 10, "{queue}");
        let kept = queue["MessageRetentionPeriod"].as_u64();
        assert!(kept > Some(receives * six_time_outs(&template)), "{queue}");
    }
    let triage = &resources["TriageResponderFunction"]["Properties"];
    assert!(triage["Environment"]["Variables"]["RECHECK_QUEUE_URL"].is_null());
}
