use super::*;
use crate::fixtures::{event, finding, user_detail};
use serde_json::json;

fn problem(event: &Value) -> String {
    Finding::parse(event)
        .expect_err("not a finding")
        .to_string()
}

#[test]
fn what_is_not_a_finding_is_refused_by_name() {
    for (event, says) in [
        (json!({}), "`detail-type`: missing"),
        (json!([]), "expected a JSON object, found an array"),
        (json!(null), "found null"),
        (json!("x"), "found a string"),
        (json!(5), "found a number"),
        (
            json!({ "source": "aws.guardduty", "detail-type": "GuardDuty Finding" }),
            "`detail`: missing",
        ),
        (
            json!({ "source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": [] }),
            "`detail`: expected a JSON object, found an array",
        ),
        (
            json!({ "source": "aws.guardduty", "detail-type": "AWS API Call via CloudTrail", "detail": {} }),
            "`detail-type`: expected 'GuardDuty Finding'",
        ),
        (
            json!({ "source": "aws.securityhub", "detail-type": "GuardDuty Finding", "detail": {} }),
            "`source`: expected 'aws.guardduty'",
        ),
    ] {
        let problem = problem(&event);
        assert!(problem.contains(says), "{event}: {problem}");
    }
}

#[test]
fn a_needed_member_that_is_missing_or_of_the_wrong_type_is_named() {
    for member in ["id", "type", "accountId", "region", "severity", "resource"] {
        let mut event = event(json!({}));
        event["detail"].as_object_mut().unwrap().remove(member);
        assert!(
            problem(&event).contains(&format!("`detail.{member}`: missing")),
            "{member}"
        );
        for wrong in [json!({}), json!([1]), json!(true), json!(null)] {
            let mut event = event.clone();
            event["detail"][member] = wrong.clone();
            if member == "resource" && wrong.is_object() {
                continue;
            }
            assert!(
                problem(&event).contains(&format!("detail.{member}")),
                "{member} {wrong}"
            );
        }
    }
}

#[test]
fn a_wrong_type_deep_inside_is_named_by_its_path() {
    let event = event(json!({
        "resource": { "s3BucketDetails": [{ "name": "fine" }, { "name": 7 }] },
    }));
    assert!(
        problem(&event).contains("detail.resource.s3BucketDetails[1].name"),
        "{}",
        problem(&event)
    );
}

#[test]
fn ids_are_held_against_their_grammar() {
    for (change, member) in [
        (json!({ "accountId": "12345" }), "detail.accountId"),
        (json!({ "region": "us east" }), "detail.region"),
        (json!({ "id": "../../etc" }), "detail.id"),
        (json!({ "type": "foo" }), "detail.type"),
        (json!({ "type": "Recon:EC2 PortProbe" }), "detail.type"),
        (json!({ "severity": 11 }), "detail.severity"),
        (json!({ "severity": "high" }), "detail.severity"),
    ] {
        assert!(problem(&event(change.clone())).contains(member), "{change}");
    }
}

#[test]
fn a_number_may_be_a_string_and_a_section_may_be_null() {
    let finding = finding(json!({
        "severity": "5.5",
        "resource": { "s3BucketDetails": null, "instanceDetails": null },
        "service": { "archived": "false", "additionalInfo": null, "action": null },
    }));
    assert_eq!(finding.severity.value(), 5.5);
    assert!(finding.buckets().unwrap().is_empty());
    assert!(!finding.is_archived() && !finding.is_sample());
    let mut without = event(json!({}));
    without["detail"]["service"] = json!(null);
    assert!(Finding::parse(&without).is_ok());
}

#[test]
fn the_bare_detail_is_accepted_too() {
    let detail = event(json!({}))["detail"].take();
    assert_eq!(
        Finding::parse(&detail).unwrap().finding_type.as_str(),
        "Backdoor:EC2/Spambot"
    );
}

#[test]
fn a_sample_is_known_by_its_flag_wherever_it_stands_and_by_its_placeholders() {
    for change in [
        json!({ "service": { "additionalInfo": { "sample": true } } }),
        json!({ "service": { "additionalInfo": { "sample": "true" } } }),
        json!({ "service": { "additionalInfo": { "value": "{\"sample\":true}", "type": "default" } } }),
        json!({ "title": "[SAMPLE] something" }),
        json!({ "resource": { "instanceDetails": { "instanceId": "i-99999999" } } }),
        json!({ "resource": { "s3BucketDetails": [{ "name": "bucketName" }] } }),
        json!({ "resource": { "accessKeyDetails": { "userName": "GeneratedFindingUserName" } } }),
    ] {
        assert!(finding(change.clone()).is_sample(), "{change}");
    }
    for change in [
        json!({}),
        json!({ "service": { "additionalInfo": { "sample": false } } }),
        json!({ "service": { "additionalInfo": { "value": "not json", "type": "default" } } }),
        json!({ "service": { "additionalInfo": { "value": "{}" } } }),
    ] {
        assert!(!finding(change.clone()).is_sample(), "{change}");
    }
}

#[test]
fn the_principal_is_told_by_its_user_type() {
    let principal = |details: Value| {
        finding(json!({ "resource": { "accessKeyDetails": details } }))
            .principal()
            .unwrap()
    };
    assert_eq!(
        finding(user_detail("alice")).principal().unwrap(),
        Principal::User {
            name: "alice".to_owned(),
            user_id: Some("AIDAEXAMPLEUSERID".to_owned()),
            long_term_key: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
        }
    );
    assert_eq!(
        principal(
            json!({ "userType": "IAMUser", "userName": "alice", "accessKeyId": "ASIAIOSFODNN7EXAMPLE" })
        ),
        Principal::User {
            name: "alice".to_owned(),
            user_id: None,
            long_term_key: None
        }
    );
    assert_eq!(
        principal(
            json!({ "userType": "AssumedRole", "userName": "app", "principalId": "AROAX:i-0abc" })
        ),
        Principal::RoleSession {
            role: "app".to_owned(),
            session: Some(RoleSession {
                role_id: "AROAX".to_owned(),
                name: "i-0abc".to_owned()
            }),
        }
    );
    assert_eq!(
        principal(json!({
            "userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL",
            "principalId": "ANONYMOUS_PRINCIPAL", "accessKeyId": "",
        })),
        Principal::Anonymous
    );
    assert_eq!(
        principal(json!({ "userType": "Root", "userName": "Root" })),
        Principal::Root
    );
    assert!(matches!(
        principal(json!({ "userType": "AWSService", "userName": "ec2.amazonaws.com" })),
        Principal::Other { .. }
    ));
}

#[test]
fn a_principal_that_cannot_be_named_in_a_call_is_refused() {
    for (details, member) in [
        (json!({}), "userType"),
        (json!({ "userType": "IAMUser", "userName": "" }), "userName"),
        (
            json!({ "userType": "IAMUser", "userName": "a*" }),
            "userName",
        ),
        (
            json!({ "userType": "IAMUser", "userName": "a", "accessKeyId": "AKIA\"*" }),
            "accessKeyId",
        ),
        (
            json!({ "userType": "AssumedRole", "userName": "a", "principalId": "AROA:x*" }),
            "principalId",
        ),
    ] {
        let finding = finding(json!({ "resource": { "accessKeyDetails": details } }));
        let error = finding
            .principal()
            .expect_err("not a principal")
            .to_string();
        assert!(error.contains(member), "{error}");
    }
}

#[test]
fn a_bucket_that_is_both_source_and_destination_is_named_once() {
    let finding = finding(json!({ "resource": { "s3BucketDetails": [
        { "name": "one", "type": "Source", "createdAt": 1513612691.551 },
        { "name": "two", "type": "Destination", "createdAt": 1620934206 },
        { "name": "one", "type": "Destination" },
    ] } }));
    assert_eq!(finding.buckets().unwrap(), ["one", "two"]);
}

#[test]
fn what_a_terminal_or_a_mail_reader_would_obey_is_made_visible() {
    assert_eq!(
        printable("a\u{202e}b\u{1b}[31m\n"),
        "a\\u{202e}b\\u{1b}[31m\\u{a}"
    );
    assert_eq!(printable("größe 文字"), "größe 文字");
    assert!(printable(&"x".repeat(10_000)).chars().count() <= 2_001);
}
