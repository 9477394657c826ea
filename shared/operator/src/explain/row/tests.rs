mod cases;

use policy::DEFAULT;
use remediation::decision::ResponseMode;
use serde_json::{Value, json};

use super::*;

fn event(kind: &str, resource: Value, service: Value) -> Value {
    json!({
        "schemaVersion": "2.0",
        "accountId": "111122223333",
        "region": "us-east-1",
        "id": "16afba5c5c43e07c9e3e5e2e544e95df",
        "arn": "arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/16afba5c5c43e07c9e3e5e2e544e95df",
        "type": kind,
        "severity": 8,
        "resource": resource,
        "service": service,
    })
}

fn rules() -> Rules {
    let settings = ResponseSettings {
        dry_run: false,
        mode: ResponseMode::Contain,
        minimum_severity: Some(4.0),
        approval_not_needed_from: None,
        own_account: None,
        quarantine_objects: false,
        responder_roles: vec![],
        never_contain: vec![],
    };
    Rules {
        settings,
        guard: LoadedPolicies::new(DEFAULT),
        now: "2026-03-04T05:06:07Z".parse().expect("a time"),
    }
}

fn row_of(event: &Value) -> Row {
    let finding = Finding::read(event).expect("a finding");
    Row::new(&"f.json".into(), &finding, &rules())
}

fn row(kind: &str, resource: Value) -> Row {
    row_of(&event(kind, resource, json!({})))
}

fn key_of(user_type: &str, principal_id: &str, key: &str) -> Value {
    json!({ "userName": "mallory", "userType": user_type, "principalId": principal_id, "accessKeyId": key })
}

const LONG_TERM: &str = "AKIAIOSFODNN7EXAMPLE";
const TEMPORARY: &str = "ASIAIOSFODNN7EXAMPLE";

#[test]
fn a_row_has_the_documented_members_and_no_others() {
    let row = row(
        "Backdoor:EC2/C&CActivity.B",
        json!({
            "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234def567890" },
        }),
    );
    assert_eq!(
        serde_json::to_value(&row).expect("JSON"),
        json!({
            "file": "f.json",
            "finding_id": "16afba5c5c43e07c9e3e5e2e544e95df",
            "finding_type": "Backdoor:EC2/C&CActivity.B",
            "functions": ["ec2"],
            "decision": "contain",
            "decisions": { "ec2": "contain" },
            "reason": "Backdoor:EC2/C&CActivity.B by instance i-0abc1234def567890",
            "sample": false,
            "targets": ["i-0abc1234def567890"],
        })
    );
}

#[test]
fn the_decision_is_the_most_that_a_function_does_and_its_targets_are_named() {
    let row = row(
        "Policy:S3/BucketPublicAccessGranted",
        json!({
            "resourceType": "AccessKey",
            "accessKeyDetails": key_of("IAMUser", "AIDAEXAMPLE", LONG_TERM),
            "s3BucketDetails": [{ "name": "b-two" }, { "name": "b-one" }],
        }),
    );
    assert_eq!(row.functions, [Category::S3, Category::Iam]);
    assert_eq!(row.decision, Verdict::Contain);
    let decisions = [("iam", Verdict::Notify), ("s3", Verdict::Contain)];
    assert_eq!(row.decisions, decisions.into());
    assert_eq!(row.targets, ["arn:aws:s3:::b-one", "arn:aws:s3:::b-two"]);
    assert!(
        row.reason.contains("s3: contain, Policy:S3/"),
        "{}",
        row.reason
    );
    assert!(
        row.reason.contains("; iam: notify, the principal"),
        "{}",
        row.reason
    );
}

#[test]
fn credentials_are_named_by_key_session_and_arn() {
    for (user_type, principal_id, key, expected) in [
        (
            "IAMUser",
            "AIDAEXAMPLE",
            LONG_TERM,
            vec![LONG_TERM, "arn:aws:iam::111122223333:user/mallory"],
        ),
        (
            "IAMUser",
            "AIDAEXAMPLE",
            TEMPORARY,
            vec!["arn:aws:iam::111122223333:user/mallory"],
        ),
        (
            "AssumedRole",
            "AROAEXAMPLE:session",
            TEMPORARY,
            vec!["arn:aws:sts::111122223333:assumed-role/mallory/session"],
        ),
        (
            "AssumedRole",
            "AROAEXAMPLE",
            TEMPORARY,
            vec!["arn:aws:iam::111122223333:role/mallory"],
        ),
        (
            "FederatedUser",
            "111122223333:mallory",
            TEMPORARY,
            vec![TEMPORARY],
        ),
        (
            "Root",
            "111122223333",
            LONG_TERM,
            vec!["arn:aws:iam::111122223333:root"],
        ),
    ] {
        let details = key_of(user_type, principal_id, key);
        let row = row(
            "UnauthorizedAccess:IAMUser/TorIPCaller",
            json!({
                "resourceType": "AccessKey", "accessKeyDetails": details,
            }),
        );
        assert_eq!(row.targets, expected, "{user_type}");
    }
}

#[test]
fn targets_for_the_on_call_engineer_are_named_too() {
    let finding = event(
        "Recon:EC2/PortProbeUnprotectedPort",
        json!({ "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234def567890" } }),
        json!({ "resourceRole": "TARGET" }),
    );
    let row = row_of(&finding);
    assert_eq!(row.decision, Verdict::Notify);
    assert_eq!(row.targets, ["i-0abc1234def567890"]);
}

#[test]
fn an_archived_finding_is_ignored_and_names_no_target() {
    let finding = event(
        "Backdoor:EC2/C&CActivity.B",
        json!({ "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234def567890" } }),
        json!({ "archived": true }),
    );
    let row = row_of(&finding);
    assert_eq!(row.decision, Verdict::Ignore);
    assert!(
        row.targets.is_empty() && row.reason.contains("archived"),
        "{row:?}"
    );
}

#[test]
fn a_sample_keeps_its_decision_and_says_that_it_would_be_a_dry_run() {
    let row = row(
        "Backdoor:EC2/C&CActivity.B",
        json!({
            "resourceType": "Instance", "instanceDetails": { "instanceId": "i-99999999" },
        }),
    );
    assert!(row.sample && row.decision == Verdict::Contain, "{row:?}");
    assert!(
        row.reason.ends_with("a dry run, whatever the settings say"),
        "{}",
        row.reason
    );
}

#[test]
fn a_finding_without_its_target_is_to_investigate_and_names_the_member() {
    let row = row(
        "Backdoor:EC2/C&CActivity.B",
        json!({ "resourceType": "Instance" }),
    );
    assert_eq!(row.decision, Verdict::Notify);
    assert!(
        row.reason.contains("instanceDetails.instanceId"),
        "{}",
        row.reason
    );
}

#[test]
fn a_row_shows_the_decisions_of_both_functions() {
    let row = row(
        "Exfiltration:S3/AnomalousBehavior",
        json!({
            "resourceType": "S3Bucket",
            "accessKeyDetails": key_of("IAMUser", "AIDAEXAMPLE", "AKIA*"),
            "s3BucketDetails": [{ "name": "b-one" }],
        }),
    );
    assert_eq!(row.decision, Verdict::Contain);
    assert_eq!(row.targets, ["arn:aws:s3:::b-one"]);
    assert!(
        row.reason
            .contains("iam: notify, the finding does not identify the principal")
            && row.reason.contains("accessKeyId"),
        "{}",
        row.reason
    );
}

#[test]
fn an_id_of_no_such_grammar_is_never_a_target() {
    let row = row(
        "Discovery:RDS/TorIPCaller",
        json!({
            "resourceType": "RDSDBInstance",
            "accessKeyDetails": key_of("FederatedUser", "x", "*"),
            "s3BucketDetails": [{ "name": "*" }],
            "instanceDetails": { "instanceId": "i-*" },
        }),
    );
    assert!(row.targets.is_empty(), "{row:?}");
}
