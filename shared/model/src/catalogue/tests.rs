use super::*;
use crate::fixtures::finding;
use serde_json::json;

fn routed(kind: &str, resource_type: &str, user_type: Option<&str>) -> Vec<Category> {
    let mut resource = json!({ "resourceType": resource_type });
    if let Some(user_type) = user_type {
        resource["accessKeyDetails"] = json!({ "userType": user_type });
    }
    routes(&finding(json!({ "type": kind, "resource": resource })))
}

#[test]
fn a_finding_goes_to_the_functions_of_the_resources_it_concerns() {
    use Category::{Ec2, Iam, S3, Triage};
    for (kind, resource_type, user_type, expected) in [
        (
            "Policy:S3/BucketBlockPublicAccessDisabled",
            "AccessKey",
            Some("AssumedRole"),
            vec![S3, Iam],
        ),
        (
            "Exfiltration:S3/AnomalousBehavior",
            "S3Bucket",
            Some("IAMUser"),
            vec![S3, Iam],
        ),
        (
            "UnauthorizedAccess:S3/TorIPCaller",
            "S3Bucket",
            Some("AWSAccount"),
            vec![S3],
        ),
        ("Object:S3/MaliciousFile", "S3Object", None, vec![S3]),
        (
            "Recon:IAMUser/TorIPCaller",
            "AccessKey",
            Some("IAMUser"),
            vec![Iam],
        ),
        (
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            "AccessKey",
            Some("AssumedRole"),
            vec![Iam, Ec2],
        ),
        (
            "UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.OutsideAWS",
            "AccessKey",
            Some("AssumedRole"),
            vec![Iam],
        ),
        (
            "Backdoor:EC2/C&CActivity.B!DNS",
            "Instance",
            None,
            vec![Ec2],
        ),
        (
            "Backdoor:Runtime/C&CActivity.B",
            "Instance",
            None,
            vec![Ec2],
        ),
        (
            "Backdoor:Runtime/C&CActivity.B",
            "EKSCluster",
            None,
            vec![Triage],
        ),
        (
            "AttackSequence:S3/CompromisedData",
            "AttackSequence",
            None,
            vec![Triage],
        ),
        (
            "AttackSequence:EC2/CompromisedInstanceGroup",
            "AttackSequence",
            None,
            vec![Triage],
        ),
        (
            "Persistence:IAM/AccountManipulation",
            "AccessKey",
            Some("IAMUser"),
            vec![Triage],
        ),
        (
            "Discovery:RDS/TorIPCaller",
            "RDSDBInstance",
            None,
            vec![Triage],
        ),
        ("Brand:New/Kind", "Whatever", None, vec![Triage]),
    ] {
        assert_eq!(
            routed(kind, resource_type, user_type),
            expected,
            "{kind} {resource_type}"
        );
    }
}

#[test]
fn the_victim_of_a_brute_force_or_a_port_probe_is_not_isolated() {
    let with = |kind: &str, service: serde_json::Value| {
        let finding = finding(json!({
            "type": kind,
            "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234" } },
            "service": service,
        }));
        matches!(disposition(Category::Ec2, &finding), Disposition::Contain)
    };
    assert!(!with(
        "UnauthorizedAccess:EC2/SSHBruteForce",
        json!({ "resourceRole": "TARGET" })
    ));
    assert!(!with("UnauthorizedAccess:EC2/RDPBruteForce", json!({})));
    assert!(with(
        "UnauthorizedAccess:EC2/SSHBruteForce",
        json!({ "resourceRole": "ACTOR" })
    ));
    assert!(!with(
        "Recon:EC2/PortProbeUnprotectedPort",
        json!({ "resourceRole": "TARGET" })
    ));
    assert!(!with(
        "UnauthorizedAccess:EC2/TorIPCaller",
        json!({ "resourceRole": "TARGET", "action": {
            "actionType": "NETWORK_CONNECTION",
            "networkConnectionAction": { "connectionDirection": "INBOUND" } } }),
    ));
    // GuardDuty sets TARGET on DNS findings although the instance asked.
    assert!(with(
        "Backdoor:EC2/C&CActivity.B!DNS",
        json!({ "resourceRole": "TARGET", "action": { "actionType": "DNS_REQUEST" } }),
    ));
    // Runtime Monitoring findings have no role at all.
    assert!(with("Execution:Runtime/ReverseShell", json!({})));
}

#[test]
fn an_ec2_finding_without_an_instance_is_not_one_to_isolate() {
    for (kind, resource_type) in [
        ("Execution:EC2/MaliciousFile!Snapshot", "EBSSnapshot"),
        ("Execution:EC2/MaliciousFile!AMI", "EC2Image"),
        ("Exfiltration:EC2/TransferDataToCloudAccount", "AccessKey"),
    ] {
        let finding =
            finding(json!({ "type": kind, "resource": { "resourceType": resource_type } }));
        assert!(
            matches!(disposition(Category::Ec2, &finding), Disposition::Notify(_)),
            "{kind}"
        );
    }
}

#[test]
fn a_finding_without_evidence_of_a_compromise_is_only_notified() {
    let on_instance = json!({
        "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234" },
    });
    for (category, kind) in [
        (Category::Ec2, "Behavior:EC2/TrafficVolumeUnusual"),
        (Category::Ec2, "Execution:Runtime/NewBinaryExecuted"),
        (Category::Ec2, "Execution:EC2/SuspiciousFile"),
        (Category::Ec2, "LateralMovement:EC2/RemoteServices"),
        (Category::Ec2, "Backdoor:EC2/NotYetNamed"),
        (Category::Ec2, "NotYetNamed:EC2/Spambot"),
        (Category::Ec2, "Execution:EC2/MaliciousFile!NotYetNamed"),
        (Category::Iam, "Policy:IAMUser/RootCredentialUsage"),
        (Category::Iam, "Stealth:IAMUser/PasswordPolicyChange"),
        (Category::Iam, "Impact:IAMUser/PromptInjection.Direct"),
        (Category::Iam, "Impact:IAMUser/NotYetNamed"),
        (Category::Iam, "Impact:S3/DataDestruction"),
        (Category::S3, "Impact:S3/DataDestruction"),
        (Category::S3, "Object:S3/MaliciousFile"),
        (Category::S3, "Policy:S3/NotYetNamed"),
        (Category::S3, "Discovery:S3/NotYetNamed"),
    ] {
        let finding = finding(json!({ "type": kind, "resource": on_instance }));
        let answer = disposition(category, &finding);
        assert!(
            matches!(answer, Disposition::Notify(_)),
            "{category} {kind}"
        );
    }
}

#[test]
fn types_not_contained_have_the_reason_of_their_kind() {
    use Category::{Ec2, Iam, S3, Triage};
    let on_instance = json!({
        "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234" },
    });
    for (category, kind, expected) in [
        (Ec2, "Execution:EC2/MaliciousFile!Snapshot", "in a copy"),
        (Ec2, "Behavior:EC2/NetworkPortUnusual", "usual"),
        (Ec2, "Execution:Runtime/NewLibraryLoaded", "an update"),
        (Ec2, "Execution:EC2/SuspiciousFile", "may be unwanted"),
        (Ec2, "Recon:EC2/PortProbeUnprotectedPort", "the victim"),
        (Ec2, "Backdoor:EC2/NotYetNamed", UNKNOWN),
        (Ec2, "Backdoor:EC2/Spambot!NotYetNamed", UNKNOWN),
        (Ec2, "Policy:EC2/Spambot", UNKNOWN),
        (Iam, "Policy:IAMUser/RootCredentialUsage", "root user"),
        (
            Iam,
            "Policy:IAMUser/NotYetNamed",
            "rule of the account was broken",
        ),
        (Iam, "Stealth:IAMUser/NotYetNamed", "put it back"),
        (
            Iam,
            "DefenseEvasion:IAMUser/BedrockLoggingDisabled",
            "put it back",
        ),
        (
            Iam,
            "Behavior:IAMUser/TorIPCaller",
            "differs from the usual",
        ),
        (Iam, "Impact:IAMUser/PromptInjection.Direct", "prompts"),
        (Iam, "Impact:IAMUser/NotYetNamed", UNKNOWN),
        (Iam, "NotYetNamed:IAMUser/TorIPCaller", UNKNOWN),
        (Iam, "NotYetNamed:IAMUser/ConsoleLogin", UNKNOWN),
        (
            Iam,
            "Policy:S3/BucketPublicAccessGranted",
            "named for review",
        ),
        (
            Iam,
            "Object:S3/MaliciousFile",
            "a principal in such a finding",
        ),
        (Iam, "Impact:S3/NotYetNamed", UNKNOWN),
        (S3, "Object:S3/MaliciousFile", "make it harmless"),
        (
            S3,
            "Stealth:S3/ServerAccessLoggingDisabled",
            "configuration",
        ),
        (S3, "Discovery:S3/NotYetNamed", UNKNOWN),
        (S3, "NotYetNamed:S3/TorIPCaller", UNKNOWN),
        (S3, "NotYetNamed:S3/ObjectRead.Unusual", UNKNOWN),
        (
            S3,
            "Impact:S3/DataDestruction",
            "activity that administrators have",
        ),
        (
            Triage,
            "Impact:RDS/DataDestruction",
            "activity that administrators have",
        ),
        (Triage, "Discovery:RDS/TorIPCaller", "no playbook"),
    ] {
        let finding = finding(json!({ "type": kind, "resource": on_instance }));
        let Disposition::Notify(why) = disposition(category, &finding) else {
            panic!("{category} contains {kind}");
        };
        assert!(why.contains(expected), "{category} {kind}: {why}");
    }
}

#[test]
fn types_that_show_a_compromise_are_contained() {
    use Category::{Ec2, Iam, S3};
    let instance = json!({ "instanceDetails": { "instanceId": "i-0abc1234" } });
    let on = |resource_type: &str| {
        let mut resource = instance.clone();
        resource["resourceType"] = json!(resource_type);
        resource
    };
    for (category, kind, resource) in [
        (Ec2, "Execution:EC2/MaliciousFile", on("Instance")),
        (Ec2, "Backdoor:EC2/C&CActivity.B!DNS", on("Instance")),
        // Without a resource type the finding names an instance all the same.
        (Ec2, "Backdoor:EC2/Spambot", instance.clone()),
        // The instance is the source, whatever resource the finding is about.
        (
            Ec2,
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            on("AccessKey"),
        ),
        (Iam, "Recon:IAMUser/TorIPCaller", on("AccessKey")),
        (Iam, "Persistence:IAMUser/UserPermissions", on("AccessKey")),
        (Iam, "Exfiltration:S3/TorIPCaller", on("S3Bucket")),
        (Iam, "Exfiltration:S3/ObjectRead.Unusual", on("S3Bucket")),
        (S3, "Exfiltration:S3/TorIPCaller", on("S3Bucket")),
        (S3, "Exfiltration:S3/ObjectRead.Unusual", on("S3Bucket")),
        (S3, "Policy:S3/BucketPublicAccessGranted", on("AccessKey")),
        (
            S3,
            "Policy:S3/AccountBlockPublicAccessDisabled",
            on("AccessKey"),
        ),
    ] {
        let finding = finding(json!({ "type": kind, "resource": resource }));
        let answer = disposition(category, &finding);
        assert_eq!(answer, Disposition::Contain, "{category} {kind}");
    }
    let unnamed = finding(json!({ "type": "Backdoor:EC2/Spambot" }));
    assert!(matches!(disposition(Ec2, &unnamed), Disposition::Notify(_)));
}

#[test]
fn the_part_of_a_sequence_that_was_handed_over_is_contained_by_that_function_alone() {
    let sequence = |to: &str| {
        finding(json!({
            "type": "AttackSequence:EC2/CompromisedInstanceGroup", "handedOverTo": to,
            "resource": { "resourceType": "Instance",
                "instanceDetails": { "instanceId": "i-0abc1234" } },
        }))
    };
    let part = sequence("ec2");
    assert_eq!(routes(&part), [Category::Ec2]);
    assert_eq!(disposition(Category::Ec2, &part), Disposition::Contain);
    let other = disposition(Category::Iam, &part);
    assert!(matches!(other, Disposition::Notify(_)), "{other:?}");
    let whole = finding(json!({
        "type": "AttackSequence:S3/CompromisedData",
        "resource": { "resourceType": "AttackSequence" },
    }));
    let Disposition::Notify(why) = disposition(Category::Triage, &whole) else {
        panic!("triage contains nothing");
    };
    assert!(why.contains("several resources"), "{why}");
}

#[test]
fn a_finding_of_the_account_s_own_rule_is_custom_whatever_its_type_is_called() {
    for (category, kind, resource_type) in [
        (Category::Ec2, "Execution:Runtime/ReverseShell", "Instance"),
        (Category::Ec2, "Backdoor:EC2/C&CActivity.B!DNS", "Instance"),
        (Category::Iam, "Recon:IAMUser/TorIPCaller", "AccessKey"),
        (
            Category::Iam,
            "Exfiltration:S3/MaliciousIPCaller",
            "S3Bucket",
        ),
        (
            Category::S3,
            "Exfiltration:S3/MaliciousIPCaller",
            "S3Bucket",
        ),
        (
            Category::Triage,
            "Discovery:RDS/TorIPCaller",
            "RDSDBInstance",
        ),
    ] {
        let of = |rule: Option<&str>| {
            let finding = finding(json!({
                "type": kind, "customDetectionRuleName": rule,
                "resource": { "resourceType": resource_type,
                    "instanceDetails": { "instanceId": "i-0abc1234" } },
            }));
            disposition(category, &finding)
        };
        assert_ne!(of(None), Disposition::Notify(custom::WHY), "{kind}");
        assert_ne!(of(Some("")), Disposition::Notify(custom::WHY), "{kind}");
        assert_eq!(
            of(Some("nightly-shells")),
            Disposition::Notify(custom::WHY),
            "{kind}"
        );
    }
}

#[test]
fn a_key_that_amazon_knows_as_leaked_is_contained() {
    let kind = "CredentialAccess:IAMUser/CompromisedCredentials";
    let finding = finding(json!({ "type": kind, "resource": { "resourceType": "AccessKey" } }));
    assert_eq!(disposition(Category::Iam, &finding), Disposition::Contain);
}

#[test]
fn a_modified_sensitive_file_is_contained_on_an_instance_and_notified_elsewhere() {
    for purpose in ["Persistence", "PrivilegeEscalation", "DefenseEvasion"] {
        let on = |category, resource_type: &str| {
            let finding = finding(json!({
                "type": format!("{purpose}:Runtime/SensitiveFileModified"),
                "resource": { "resourceType": resource_type,
                    "instanceDetails": { "instanceId": "i-0abc1234" } },
            }));
            assert_eq!(routes(&finding), [category]);
            disposition(category, &finding)
        };
        assert_eq!(on(Category::Ec2, "Instance"), Disposition::Contain);
        assert!(matches!(
            on(Category::Triage, "ECSCluster"),
            Disposition::Notify(_)
        ));
    }
}

#[test]
fn a_principal_known_only_by_its_key_is_routed_to_iam_too() {
    use Category::{Iam, S3};
    for (details, expected) in [
        (
            json!({ "accessKeyId": "AKIAIOSFODNN7EXAMPLE" }),
            vec![S3, Iam],
        ),
        (
            json!({ "accessKeyId": "ASIAIOSFODNN7EXAMPLE", "userType": null }),
            vec![S3, Iam],
        ),
        (
            json!({ "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userType": "Unknown" }),
            vec![S3, Iam],
        ),
        (
            json!({ "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userType": "AWSAccount" }),
            vec![S3],
        ),
        (json!({ "accessKeyId": "", "userType": "" }), vec![S3]),
        (json!({ "principalId": "ANONYMOUS_PRINCIPAL" }), vec![S3]),
        (json!({}), vec![S3]),
    ] {
        let finding = finding(json!({
            "type": "Exfiltration:S3/MaliciousIPCaller",
            "resource": { "resourceType": "S3Bucket", "accessKeyDetails": details },
        }));
        assert_eq!(routes(&finding), expected, "{details}");
    }
}

#[test]
fn an_attack_sequence_is_known_by_its_resource_type() {
    use Category::{S3, Triage};
    let sequence = "AttackSequence:S3/CompromisedData";
    assert_eq!(
        routed(sequence, "AttackSequence", Some("IAMUser")),
        [Triage]
    );
    assert_eq!(routed("Brand:S3/New", "AttackSequence", None), [Triage]);
    // The rules cannot tell it from a finding on a bucket, so the function that gets it answers.
    assert_eq!(routed(sequence, "", None), [S3]);
}
