use super::*;
use crate::finding::Principal;
use crate::fixtures::event;
use serde_json::json;

/// A detail that has every part that is read.
fn detail() -> Value {
    let changes = json!({
        "type": "UnauthorizedAccess:S3/TorIPCaller",
        "resource": {
            "resourceType": "S3Bucket",
            "accessKeyDetails": {
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "principalId": "AIDAEXAMPLEUSERID",
                "userName": "alice", "userType": "IAMUser",
            },
            "s3BucketDetails": [
                { "name": "payroll", "type": "Destination",
                  "tags": [{ "key": "Team", "value": "Blue Whales" }] },
            ],
            "instanceDetails": { "instanceId": "i-0abc1234def567890" },
        },
        "service": {
            "archived": true,
            "additionalInfo": { "value": "{\"sample\":true}", "type": "default" },
            "action": {
                "actionType": "AWS_API_CALL",
                "awsApiCallAction": {
                    "api": "GetObject",
                    "remoteIpDetails": { "ipAddressV4": "198.51.100.1" },
                    "affectedResources": { "AWS::S3::Bucket": "payroll" },
                },
            },
        },
    });
    event(changes)["detail"].take()
}

/// As the API names its members, but for the keys of a map.
fn capitals(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| {
                    let mut name = name.clone();
                    name[..1].make_ascii_uppercase();
                    (name, capitals(value))
                })
                .collect(),
        ),
        Value::Array(members) => members.iter().map(capitals).collect(),
        plain => plain.clone(),
    }
}

fn problem<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    outcome.expect_err("not a finding").to_string()
}

#[test]
fn every_form_of_a_finding_reads_the_same() {
    let mut whole = event(json!({}));
    whole["detail"] = detail();
    let mut of_api = whole.clone();
    of_api["detail"] = capitals(&detail());
    for (form, parsed_too) in [
        (whole, true),
        (detail(), true),
        (capitals(&detail()), false),
        (of_api, false),
        (json!({ "detail": detail() }), false),
        (json!({ "detail": capitals(&detail()) }), false),
        (json!({ "region": "us-east-1", "detail": detail() }), false),
        (
            json!({ "detail-type": "GuardDuty Finding", "detail": detail() }),
            false,
        ),
    ] {
        let finding = Finding::read(&form).expect("a finding");
        assert_eq!(finding.id, "16afba5c5c43e07c9e3e5e2e544e95df");
        assert_eq!(finding.finding_type.name(), "TorIPCaller");
        assert_eq!(finding.account_id, "111122223333");
        assert_eq!(finding.region, "us-east-1");
        assert_eq!(finding.severity.value(), 8.0);
        assert!(finding.arn().starts_with("arn:aws:guardduty:"));
        assert_eq!(finding.resource_type(), "S3Bucket");
        assert_eq!(finding.buckets().unwrap(), ["payroll"]);
        assert_eq!(
            finding.bucket_tags("payroll"),
            Some(vec![("Team", "Blue Whales")])
        );
        assert_eq!(finding.instance_id().unwrap(), "i-0abc1234def567890");
        assert!(matches!(finding.principal(), Ok(Principal::User { name, .. }) if name == "alice"));
        assert_eq!(finding.api(), Some("GetObject"));
        assert_eq!(finding.remote_address().as_deref(), Some("198.51.100.1"));
        assert!(finding.first_seen() < finding.last_seen());
        assert!(finding.created_at() < finding.updated_at());
        assert_eq!(finding.count(), Some(1));
        assert!(finding.is_sample() && finding.is_archived());
        let text = serde_json::to_vec(&form).unwrap();
        let from_text = Finding::read_slice(&text).expect("a finding");
        assert_eq!(format!("{from_text:?}"), format!("{finding:?}"));
        assert_eq!(Finding::parse(&form).is_ok(), parsed_too, "{form}");
    }
}

#[test]
fn an_event_of_something_else_is_no_finding_however_it_is_read() {
    for (member, other) in [
        (
            "detail-type",
            "GuardDuty Malware Protection Object Scan Result",
        ),
        ("detail-type", "AWS API Call via CloudTrail"),
        ("source", "aws.securityhub"),
        ("source", "aws.guardduty\u{202e}"),
    ] {
        let mut event = event(json!({}));
        event[member] = json!(other);
        let text = serde_json::to_vec(&event).unwrap();
        for problem in [
            problem(Finding::parse(&event)),
            problem(Finding::read(&event)),
            problem(Finding::read_slice(&text)),
        ] {
            assert!(
                problem.contains(&format!("`{member}`: expected")),
                "{problem}"
            );
            assert!(problem.is_ascii(), "{problem}");
        }
        // Not even where its detail's members stand beside it.
        let mut both = event["detail"].clone();
        both["detail"] = event["detail"].take();
        both[member] = json!(other);
        let text = serde_json::to_vec(&both).unwrap();
        assert!(problem(Finding::read_slice(&text)).contains(member));
    }
}

#[test]
fn a_finding_of_security_hub_is_refused_by_its_name() {
    let asff = json!({
        "SchemaVersion": "2018-10-08",
        "Id": "arn:aws:guardduty:us-east-1:111122223333:detector/1/finding/2",
        "ProductArn": "arn:aws:securityhub:us-east-1::product/aws/guardduty",
        "AwsAccountId": "111122223333",
        "Region": "us-east-1",
        "Types": ["TTPs/Backdoor:EC2-Spambot"],
        "Severity": { "Product": 8 },
        "Resources": [],
    });
    for (document, member) in [
        (asff.clone(), "`AwsAccountId`"),
        (json!({ "detail": asff.clone() }), "`detail.AwsAccountId`"),
    ] {
        let problem = problem(Finding::read(&document));
        assert!(problem.contains(member), "{problem}");
        assert!(problem.contains("Security Hub (ASFF)"), "{problem}");
    }
    assert!(problem(Finding::parse(&asff)).contains("Security Hub (ASFF)"));
    for document in split(json!({ "Findings": [asff] })) {
        assert!(problem(Finding::read(&document)).contains("Security Hub (ASFF)"));
    }
    let ocsf = json!({
        "class_uid": 2004, "category_uid": 2, "severity_id": 4, "time": 1_764_494_310_000_u64,
        "metadata": { "version": "1.6.0", "product": { "name": "GuardDuty", "vendor_name": "AWS" } },
        "finding_info": { "uid": "arn:aws:guardduty:us-east-1:111122223333:detector/1/finding/2" },
    });
    for problem in [
        problem(Finding::read(&ocsf)),
        problem(Finding::parse(&ocsf)),
        problem(Finding::read(&json!({ "detail": ocsf.clone() }))),
    ] {
        assert!(problem.contains("Security Hub (OCSF)"), "{problem}");
    }
    for (detail_type, findings) in [
        ("Findings Imported V2", json!([ocsf])),
        ("Security Hub Findings - Imported", json!([{}])),
    ] {
        let event = json!({ "source": "aws.securityhub", "detail-type": detail_type,
            "detail": { "findings": findings } });
        for problem in [
            problem(Finding::read(&event)),
            problem(Finding::parse(&event)),
        ] {
            assert!(
                problem.contains("`source`: expected 'aws.guardduty'"),
                "{problem}"
            );
            assert!(
                problem.contains("an event of AWS Security Hub"),
                "{problem}"
            );
            assert!(problem.contains(detail_type), "{problem}");
        }
    }
}

#[test]
fn the_envelope_says_account_and_region_where_the_detail_does_not() {
    for absent in [None, Some(json!(null)), Some(json!(""))] {
        let mut event = event(json!({ "accountId": "444455556666", "region": "eu-central-1" }));
        for member in ["accountId", "region"] {
            match &absent {
                Some(value) => event["detail"][member] = value.clone(),
                None => drop(event["detail"].as_object_mut().unwrap().remove(member)),
            }
        }
        let finding = Finding::parse(&event).expect("a finding");
        assert_eq!(finding.account_id, "111122223333");
        assert_eq!(finding.region, "us-east-1");
        let detail = detail_of(&event).expect("a finding");
        assert_eq!(detail["accountId"], "111122223333");
        assert_eq!(detail["region"], "us-east-1");
        event["account"] = json!("12");
        assert!(problem(Finding::parse(&event)).contains("`account`: '12' is not"));
        event.as_object_mut().unwrap().remove("account");
        assert!(problem(Finding::parse(&event)).contains("`detail.accountId`: missing"));
    }
}

#[test]
fn input_without_a_finding_is_refused_with_its_member() {
    for (document, says) in [
        (
            json!([]),
            "`document`: expected a JSON object, found an array",
        ),
        (
            json!(null),
            "`document`: expected a JSON object, found null",
        ),
        (
            json!("x"),
            "`document`: expected a JSON object, found a string",
        ),
        (json!({}), "`id`: missing"),
        (json!({ "detail": {} }), "`detail.id`: missing"),
        (
            json!({ "detail": null }),
            "`detail`: expected a JSON object, found null",
        ),
        (
            json!({ "detail": [] }),
            "`detail`: expected a JSON object, found an array",
        ),
        (json!({ "Id": "x" }), "`type`: missing"),
    ] {
        let text = serde_json::to_vec(&document).unwrap();
        for problem in [
            problem(Finding::read(&document)),
            problem(Finding::read_slice(&text)),
        ] {
            assert!(problem.contains(says), "{document}: {problem}");
        }
    }
    for text in ["", "{", "nonsense", "{\"id\":", "{}{}", "\u{feff}{}"] {
        let problem = problem(Finding::read_slice(text.as_bytes()));
        assert!(problem.contains("`document`: not JSON: "), "{problem}");
    }
    let deep = "[".repeat(100_000);
    assert!(problem(Finding::read_slice(deep.as_bytes())).contains("not JSON"));
}

#[test]
fn a_member_is_named_by_its_path_in_the_document() {
    let mut bare = detail();
    bare["resource"]["instanceDetails"]["instanceId"] = json!("i-*");
    bare["resource"]["s3BucketDetails"][0]["name"] = json!("*");
    bare["resource"]["accessKeyDetails"]["userName"] = json!("*");
    for (document, root) in [
        (bare.clone(), "`resource."),
        (capitals(&bare), "`resource."),
        (json!({ "detail": bare }), "`detail.resource."),
        (json!({ "detail": capitals(&bare) }), "`detail.resource."),
    ] {
        let finding = Finding::read(&document).expect("a finding");
        for (problem, member) in [
            (
                problem(finding.instance_id()),
                "instanceDetails.instanceId`",
            ),
            (problem(finding.buckets()), "s3BucketDetails[0].name`"),
            (problem(finding.principal()), "accessKeyDetails.userName`"),
        ] {
            assert!(problem.contains(&format!("{root}{member}")), "{problem}");
        }
    }
    for (member, wrong) in [
        ("id", json!("/")),
        ("type", json!("foo")),
        ("accountId", json!("1")),
        ("region", json!("x")),
        ("severity", json!(11)),
        ("severity", json!([])),
        ("resource", json!(null)),
    ] {
        let mut bare = detail();
        bare[member] = wrong;
        let problems = [
            problem(Finding::read(&bare)),
            problem(Finding::read(&capitals(&bare))),
            problem(Finding::parse(&bare)),
        ];
        for problem in problems {
            assert!(problem.contains(&format!("`{member}`: ")), "{problem}");
        }
    }
}

#[test]
fn a_document_is_split_into_its_findings() {
    let (one, two) = (json!({ "Id": "1" }), json!({ "Id": "2" }));
    let both = vec![one.clone(), two.clone()];
    for (document, findings) in [
        (one.clone(), vec![one.clone()]),
        (json!([one, two]), both.clone()),
        (json!({ "Findings": [one, two] }), both.clone()),
        (json!({ "findings": [one, two], "nextToken": "" }), both),
        (json!([]), vec![]),
        (json!({ "Findings": [] }), vec![]),
        (json!({ "Findings": "x" }), vec![json!({ "Findings": "x" })]),
        (json!("x"), vec![json!("x")]),
    ] {
        assert_eq!(split(document.clone()), findings, "{document}");
    }
}

#[test]
fn members_of_the_api_get_their_names_on_the_wire() {
    let of_api = json!({
        "Id": "x", "SchemaVersion": "2.0", "AssociatedAttackSequenceArn": "A",
        "Resource": {
            "S3BucketDetails": [{ "S3ObjectDetails": [{ "ETag": "E" }],
                "PublicAccess": { "PermissionConfiguration": { "BucketLevelPermissions": {
                    "BlockPublicAccess": { "IgnorePublicAcls": true } } } } }],
            "InstanceDetails": {
                "IamInstanceProfile": { "Arn": "A", "Id": "I" },
                "NetworkInterfaces": [{ "Ipv6Addresses": ["F"], "PublicIp": "P" }],
                "ProductCodes": [{ "Code": "C", "ProductType": "T" }],
                "Tags": [{ "Key": "Name", "Value": "Web Server" }],
            },
            "EcsClusterDetails": { "TaskDetails": { "TaskCreatedAt": "t" } },
            "KubernetesDetails": { "KubernetesWorkloadDetails": { "HostIPC": true, "HostPID": true } },
            "EbsVolumeDetails": { "ScannedVolumeDetails": [{ "VolumeSizeInGB": 1 }] },
            "RdsDbInstanceDetails": { "DbiResourceId": "R" },
        },
        "Service": {
            "AdditionalInfo": { "Value": "{\"Sample\":true}", "Type": "default" },
            "Action": {
                "AwsApiCallAction": {
                    "RemoteIpDetails": { "IpAddressV4": "4", "IpAddressV6": "6" },
                    "AffectedResources": { "AWS::S3::Bucket": "Payroll" },
                },
                "KubernetesApiCallAction": { "SourceIps": ["S"] },
                "RdsLoginAttemptAction": { "LoginAttributes": [{ "FailedLoginAttempts": 1 }] },
            },
            "Detection": {
                "Anomaly": {
                    "Profiles": { "UserName": { "FullName": [
                        { "ProfileType": "FREQUENCY", "Observations": { "Text": ["Alice"] } }] } },
                    "Unusual": { "Behavior": { "Org": { "Name": { "ProfileSubtype": "RARE" } } } },
                },
                "Sequence": {
                    "Actors": [{ "User": { "CredentialUid": "C", "Account": { "Uid": "U", "Name": "N" } },
                        "Session": { "MfAStatus": "ENABLED" } },
                        { "Session": { "MfaStatus": "DISABLED" } }],
                    "Resources": [{ "Data": {
                        "Ec2Instance": { "IamInstanceProfile": { "Arn": "A" },
                            "ProductCodes": [{ "Code": "C" }] },
                        "KubernetesWorkload": { "KubernetesResourcesTypes": "PODS" },
                        "Ec2NetworkInterface": { "SubNetId": "S" },
                    } }],
                    "Endpoints": [{ "Location": { "Latitude": 1.0, "Longitude": 2.0 } }],
                },
            },
        },
    });
    let on_wire = json!({
        "id": "x", "schemaVersion": "2.0", "associatedAttackSequenceArn": "A",
        "resource": {
            "s3BucketDetails": [{ "s3ObjectDetails": [{ "eTag": "E" }],
                "publicAccess": { "permissionConfiguration": { "bucketLevelPermissions": {
                    "blockPublicAccess": { "ignorePublicAcls": true } } } } }],
            "instanceDetails": {
                "iamInstanceProfile": { "arn": "A", "id": "I" },
                "networkInterfaces": [{ "ipv6Addresses": ["F"], "publicIp": "P" }],
                "productCodes": [{ "productCodeId": "C", "productCodeType": "T" }],
                "tags": [{ "key": "Name", "value": "Web Server" }],
            },
            "ecsClusterDetails": { "taskDetails": { "createdAt": "t" } },
            "kubernetesDetails": { "kubernetesWorkloadDetails": { "hostIPC": true, "hostPID": true } },
            "ebsVolumeDetails": { "scannedVolumeDetails": [{ "volumeSizeInGB": 1 }] },
            "rdsDbInstanceDetails": { "dbiResourceId": "R" },
        },
        "service": {
            "additionalInfo": { "value": "{\"Sample\":true}", "type": "default" },
            "action": {
                "awsApiCallAction": {
                    "remoteIpDetails": { "ipAddressV4": "4", "ipAddressV6": "6" },
                    "affectedResources": { "AWS::S3::Bucket": "Payroll" },
                },
                "kubernetesApiCallAction": { "sourceIPs": ["S"] },
                "rdsLoginAttemptAction": { "LoginAttributes": [{ "failedLoginAttempts": 1 }] },
            },
            "detection": {
                "anomaly": {
                    "profiles": { "UserName": { "FullName": [
                        { "profileType": "FREQUENCY", "observations": { "text": ["Alice"] } }] } },
                    "unusual": { "behavior": { "Org": { "Name": { "profileSubtype": "RARE" } } } },
                },
                "sequence": {
                    "actors": [{ "user": { "credentialUid": "C", "account": { "uid": "U", "account": "N" } },
                        "session": { "mfaStatus": "ENABLED" } },
                        { "session": { "mfaStatus": "DISABLED" } }],
                    "resources": [{ "data": {
                        "ec2Instance": { "IamInstanceProfile": { "arn": "A" },
                            "productCodes": [{ "productCodeId": "C" }] },
                        "kubernetesWorkload": { "type": "PODS" },
                        "ec2NetworkInterface": { "subNetId": "S" },
                    } }],
                    "endpoints": [{ "location": { "lat": 1.0, "lon": 2.0 } }],
                },
            },
        },
    });
    assert_eq!(
        wire_names(of_api.as_object().unwrap()),
        Some(on_wire.clone())
    );
    assert_eq!(wire_names(on_wire.as_object().unwrap()), None);
    let mut twice = on_wire.clone();
    twice["Id"] = json!("y");
    assert_eq!(wire_names(twice.as_object().unwrap()), Some(on_wire));
}

#[test]
fn the_detail_of_every_form_is_the_same_and_reads_as_the_finding_that_it_is() {
    let of_event = event(json!({
        "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234" } },
    }));
    let bare = of_event["detail"].clone();
    let of_api = json!({
        "Id": bare["id"], "Type": bare["type"], "AccountId": bare["accountId"],
        "Region": bare["region"], "Severity": bare["severity"], "Title": bare["title"],
        "Resource": { "ResourceType": "Instance", "InstanceDetails": { "InstanceId": "i-0abc1234" } },
    });
    for document in [of_event, bare, of_api.clone(), json!({ "detail": of_api })] {
        let detail = detail_of(&document).unwrap();
        assert_eq!(detail["type"], "Backdoor:EC2/C&CActivity.B");
        assert_eq!(
            detail["resource"]["instanceDetails"]["instanceId"],
            "i-0abc1234"
        );
        assert!(
            Finding::parse(&json!({
                "source": "aws.guardduty", "detail-type": DETAIL_TYPE, "detail": detail,
            }))
            .is_ok()
        );
    }
    assert!(detail_of(&json!({ "detail": { "id": "x" } })).is_err());
}
