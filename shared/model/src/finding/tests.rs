use super::*;
use crate::fixtures::{event, finding, user_detail};
use serde_json::{Value, json};

fn problem(event: &Value) -> String {
    Finding::parse(event)
        .expect_err("not a finding")
        .to_string()
}

#[test]
fn input_without_a_finding_is_refused_with_its_member() {
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
        // Which may say it in the detail's place.
        event["account"] = json!(null);
        event["region"] = json!(null);
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
fn a_section_is_an_object_and_never_a_list_of_its_members() {
    for (changes, member) in [
        (json!({ "service": [true] }), "service"),
        (
            json!({ "resource": { "instanceDetails": ["i-99999999"] } }),
            "resource.instanceDetails",
        ),
        (
            json!({ "resource": { "s3BucketDetails": [["bucketName"]] } }),
            "resource.s3BucketDetails[0]",
        ),
        (
            json!({ "service": { "additionalInfo": [true] } }),
            "service.additionalInfo",
        ),
    ] {
        let problem = problem(&event(changes.clone()));
        assert!(
            problem.contains(&format!("`detail.{member}`: ")),
            "{problem}"
        );
        assert!(problem.contains("expected an object"), "{problem}");
    }
    let list =
        r#"["0a", "Backdoor:EC2/Spambot", "111122223333", "us-east-1", 8, "", "", "", 1, 1, {}]"#;
    assert!(Finding::read_slice(list.as_bytes()).is_err());
}

#[test]
fn ids_are_held_against_their_grammar() {
    for (change, member) in [
        (json!({ "accountId": "12345" }), "detail.accountId"),
        (json!({ "region": "us east" }), "detail.region"),
        (json!({ "region": "global" }), "detail.region"),
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
    let mut number = event(json!({}));
    number["detail"]["accountId"] = json!(111_122_223_333_u64);
    assert_eq!(Finding::parse(&number).unwrap().account_id, "111122223333");
    number["detail"]["accountId"] = json!(11_122_223_333_u64);
    assert!(problem(&number).contains("`detail.accountId`: '11122223333' is not"));
}

#[test]
fn the_principal_is_recognized_by_its_user_type() {
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
        principal(json!({ "userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL" })),
        Principal::Anonymous
    );
    assert!(matches!(
        principal(json!({ "userType": "AWSAccount" })),
        Principal::OtherAccount { .. }
    ));
    assert_eq!(
        principal(json!({ "userType": "Root", "userName": "Root" })),
        Principal::Root
    );
    assert!(matches!(
        principal(json!({
            "userType": "IAMUser", "userName": "ANONYMOUS_PRINCIPAL", "principalId": "AIDAEXAMPLE",
        })),
        Principal::User { .. }
    ));
    assert!(matches!(
        principal(json!({
            "userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL", "principalId": "AIDAEXAMPLE",
        })),
        Principal::OtherAccount { .. }
    ));
    assert!(matches!(
        principal(json!({ "userType": "AWSService", "userName": "ec2.amazonaws.com" })),
        Principal::Other { .. }
    ));
}

#[test]
fn without_a_user_type_the_ids_tell_the_kind_that_aws_gives_out() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let session = "ASIAIOSFODNN7EXAMPLE";
    let id = Some("AIDAEXAMPLEUSERID".to_owned());
    for (details, expected) in [
        (
            json!({ "accessKeyId": key, "userName": "alice" }),
            Principal::User {
                name: "alice".to_owned(),
                user_id: None,
                long_term_key: Some(key.to_owned()),
            },
        ),
        (
            json!({ "accessKeyId": session, "userName": "alice", "principalId": "AIDAEXAMPLEUSERID" }),
            Principal::User {
                name: "alice".to_owned(),
                user_id: id.clone(),
                long_term_key: None,
            },
        ),
        (
            json!({ "accessKeyId": key }),
            Principal::KeyOwner {
                key: key.to_owned(),
                user_id: None,
            },
        ),
        (
            json!({ "accessKeyId": key, "principalId": "AIDAEXAMPLEUSERID", "userName": "" }),
            Principal::KeyOwner {
                key: key.to_owned(),
                user_id: id.clone(),
            },
        ),
        (
            json!({ "accessKeyId": session, "principalId": "AROAX:build", "userName": "app" }),
            Principal::RoleSession {
                role: "app".to_owned(),
                session: Some(RoleSession {
                    role_id: "AROAX".to_owned(),
                    name: "build".to_owned(),
                }),
            },
        ),
        (
            json!({ "accessKeyId": key, "principalId": "111122223333" }),
            Principal::Root,
        ),
        (
            json!({ "accessKeyId": session, "principalId": "111122223333:guest", "userName": "guest" }),
            Principal::FederatedUser {
                name: "guest".to_owned(),
            },
        ),
        (
            json!({ "accessKeyId": null, "principalId": "ANONYMOUS_PRINCIPAL", "userName": null }),
            Principal::Anonymous,
        ),
        (
            json!({ "principalId": "111122223333:aws:ec2-instance:i-0abc1234def567890" }),
            Principal::InstanceIdentity {
                instance: Some("i-0abc1234def567890".to_owned()),
            },
        ),
    ] {
        for user_type in [
            None,
            Some(json!(null)),
            Some(json!("")),
            Some(json!("Unknown")),
        ] {
            let mut details = details.clone();
            if let Some(user_type) = user_type {
                details["userType"] = user_type;
            }
            let finding = finding(json!({ "resource": { "accessKeyDetails": details } }));
            assert_eq!(finding.principal().unwrap(), expected, "{details}");
        }
    }
    // A name that anybody may choose says nothing where there is a key.
    let named = finding(json!({ "resource": { "accessKeyDetails":
        { "accessKeyId": key, "userName": "ANONYMOUS_PRINCIPAL" } } }));
    assert!(matches!(named.principal(), Ok(Principal::User { .. })));
    // What another account's ids look like is no kind of this one.
    let other = finding(json!({ "resource": { "accessKeyDetails":
        { "userType": "AWSAccount", "accessKeyId": key, "principalId": "AIDAOTHER" } } }));
    assert!(matches!(
        other.principal(),
        Ok(Principal::OtherAccount { .. })
    ));
}

#[test]
fn a_principal_without_a_name_is_shown_by_its_id_or_its_kind_alone() {
    for (details, shown) in [
        (
            json!({ "userType": "IdentityCenterUser", "principalId": "94482488-3041" }),
            "IdentityCenterUser 94482488-3041",
        ),
        (
            json!({ "userType": "Directory", "userName": "" }),
            "Directory",
        ),
        (json!({ "userType": "Unknown" }), "Unknown"),
        (
            json!({ "userType": "AssumedRole", "userName": "aws:ec2-instance",
                "principalId": "999988887777:aws:ec2-instance:i-x" }),
            "the identity that EC2 gives to an instance (aws:ec2-instance)",
        ),
    ] {
        let finding = finding(json!({ "resource": { "accessKeyDetails": details } }));
        assert_eq!(finding.principal().unwrap().to_string(), shown);
    }
}

#[test]
fn an_id_of_digits_alone_may_be_a_number() {
    let finding = finding(json!({ "resource": { "accessKeyDetails":
        { "userType": "Root", "principalId": 111_122_223_333_u64, "userName": 7 } } }));
    assert_eq!(finding.principal().unwrap(), Principal::Root);
}

#[test]
fn a_principal_that_cannot_be_named_in_a_call_is_refused() {
    for (details, member) in [
        (json!({}), "userType"),
        (
            json!({ "userName": "alice", "principalId": "x" }),
            "userType",
        ),
        (json!({ "accessKeyId": "ASIAIOSFODNN7EXAMPLE" }), "userType"),
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
fn a_principal_that_is_only_shown_is_printable() {
    for user_type in ["FederatedUser", "AWSAccount", "Directory\u{202e}"] {
        let finding = finding(json!({ "resource": { "accessKeyDetails": {
            "userType": user_type, "userName": "a\u{202e}b\n" } } }));
        let shown = finding.principal().unwrap().to_string();
        assert!(shown.contains("a\\u{202e}b\\u{a}"), "{shown}");
        assert!(shown.is_ascii(), "{shown}");
    }
}

#[test]
fn the_account_of_another_caller_is_read_only_if_it_is_an_account_id() {
    let from = |account: &str| {
        let call = json!({ "remoteAccountDetails": { "accountId": account, "affiliated": false } });
        let finding = finding(json!({ "service": { "action": { "awsApiCallAction": call } } }));
        finding.remote_account().map(ToOwned::to_owned)
    };
    assert_eq!(from("999988887777").as_deref(), Some("999988887777"));
    for none in [
        "111122223333",
        "*",
        "",
        "99998888777",
        "arn:aws:iam::1:root",
    ] {
        assert_eq!(from(none), None, "{none}");
    }
}

#[test]
fn another_account_is_that_of_the_network_where_the_finding_is_about_credentials() {
    let of = |kind: &str| {
        let remote = json!({
            "accountId": "999988887777", "affiliated": true, "awsServiceName": "batch.amazonaws.com",
        });
        let call = json!({ "remoteAccountDetails": remote });
        finding(json!({
            "type": kind, "service": { "action": { "awsApiCallAction": call } },
        }))
    };
    let other = Some("999988887777");
    let stolen = of("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS");
    assert_eq!(stolen.network_account(), other);
    assert_eq!(stolen.credentials_account(), None);
    assert_eq!(stolen.remote_is_affiliated(), Some(true));
    assert_eq!(stolen.remote_service(), Some("batch.amazonaws.com"));
    let bucket = of("UnauthorizedAccess:S3/TorIPCaller");
    assert_eq!(bucket.network_account(), None);
    assert_eq!(bucket.credentials_account(), other);
    assert_eq!(finding(json!({})).remote_service(), None);
}

#[test]
fn the_detail_says_where_the_resource_is_and_the_envelope_where_the_detector_is() {
    let mut event = event(json!({ "accountId": "444455556666", "region": "eu-central-1" }));
    let told = Finding::parse(&event).unwrap();
    assert_eq!(told.account_id, "444455556666");
    assert_eq!(told.region, "eu-central-1");
    assert_eq!(told.detector_account().unwrap(), "111122223333");
    assert_eq!(told.detector_region().unwrap(), "us-east-1");
    let bare = Finding::parse(&event["detail"]).unwrap();
    assert_eq!(bare.detector_account().unwrap(), "444455556666");
    assert_eq!(bare.detector_region().unwrap(), "eu-central-1");
    event["account"] = json!("1");
    event["region"] = json!("nowhere");
    let told = Finding::parse(&event).expect("what only informs does not stop a containment");
    for (outcome, says) in [
        (told.detector_account(), "`account`: '1' is not"),
        (told.detector_region(), "`region`: 'nowhere' is not"),
    ] {
        let problem = outcome.expect_err("not an id").to_string();
        assert!(problem.contains(says), "{problem}");
    }
}

#[test]
fn the_partition_is_that_of_the_region_whatever_the_arn_says() {
    for (region, partition) in [
        ("eu-central-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-east-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eusc-de-east-1", "aws-eusc"),
    ] {
        let finding = finding(json!({ "region": region, "arn": "arn:aws-cn:*" }));
        assert_eq!(finding.partition(), partition, "{region}");
    }
}

/// Every file of a folder of findings is read, or refused with the member that is wrong. Files in
/// folders whose name begins with `neg-` are no findings of GuardDuty.
#[test]
fn collected_findings_are_read_or_refused_by_a_member() {
    #[expect(clippy::disallowed_methods, reason = "the folder is the tester's")]
    let Ok(folder) = std::env::var("FINDINGS_CORPUS") else {
        eprintln!("skipped: FINDINGS_CORPUS names no folder of findings");
        return;
    };
    let mut read = 0;
    let mut folders = vec![std::path::PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read(&path).expect("a file");
            let document: Value = serde_json::from_slice(&text).expect("JSON");
            let negative = folder
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("neg-"));
            for document in split(document) {
                let outcome = Finding::read(&document);
                let text = serde_json::to_vec(&document).expect("JSON");
                assert_eq!(
                    format!("{:?}", Finding::read_slice(&text)),
                    format!("{outcome:?}"),
                    "{}",
                    path.display()
                );
                match outcome {
                    Ok(finding) => {
                        assert!(!negative, "{}", path.display());
                        assert!(!finding.id.is_empty());
                        read += 1;
                    }
                    Err(Error::Malformed { member, problem }) => {
                        eprintln!("{}: {member}: {problem}", path.display());
                        assert!(!member.is_empty() && !problem.is_empty());
                        assert_ne!(member, "document", "{}", path.display());
                    }
                    Err(other) => panic!("{}: {other}", path.display()),
                }
            }
        }
    }
    assert!(read > 0);
}
