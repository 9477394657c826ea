use super::*;
use crate::fixtures::{containing_but_for, finding, user_detail, user_finding};
use serde_json::json;

fn policy() -> ResponseSettings {
    containing_but_for("arn:aws:iam::111122223333:user/ops/break-glass")
}

fn reason(decision: Decision) -> String {
    match decision {
        Decision::Ignore(why) | Decision::Notify(why) | Decision::Contain(why) => why,
    }
}

#[test]
fn a_severe_finding_of_a_kind_to_contain_is_contained() {
    let decision = decide(Category::Iam, &user_finding("mallory"), &policy());
    assert!(matches!(decision, Decision::Contain(_)), "{decision:?}");
}

#[test]
fn a_finding_of_another_function_is_ignored() {
    let decision = decide(Category::Ec2, &user_finding("mallory"), &policy());
    assert!(matches!(decision, Decision::Ignore(_)), "{decision:?}");
    assert!(reason(decision).contains("for the iam function"));
}

#[test]
fn a_minimum_severity_that_cannot_be_read_notifies() {
    let policy = ResponseSettings {
        minimum_severity: None,
        ..policy()
    };
    let decision = decide(Category::Iam, &user_finding("mallory"), &policy);
    assert!(matches!(decision, Decision::Notify(_)), "{decision:?}");
}

#[test]
fn the_mode_notifies_or_ignores() {
    let with = |mode| {
        let policy = ResponseSettings { mode, ..policy() };
        decide(Category::Iam, &user_finding("mallory"), &policy)
    };
    assert!(matches!(with(ResponseMode::Notify), Decision::Notify(_)));
    assert!(matches!(with(ResponseMode::Approve), Decision::Contain(_)));
    assert!(matches!(with(ResponseMode::Off), Decision::Ignore(_)));
}

#[test]
fn samples_and_drills_are_dry_runs_and_findings_follow_the_settings() {
    let enforcing = policy();
    assert!(!enforcing.is_dry_run(&user_finding("mallory")));
    assert!(enforcing.is_dry_run(&user_finding("mallory").drilled()));
    let mut sample = user_detail("mallory");
    sample["service"] = json!({ "additionalInfo": { "sample": true } });
    assert!(enforcing.is_dry_run(&finding(sample)));
    let dry = ResponseSettings {
        dry_run: true,
        ..policy()
    };
    assert!(dry.is_dry_run(&user_finding("mallory")));
}

#[test]
fn a_finding_that_was_archived_is_ignored() {
    let mut detail = user_detail("mallory");
    detail["service"] = json!({ "archived": true });
    let decision = decide(Category::Iam, &finding(detail), &policy());
    assert!(matches!(decision, Decision::Ignore(_)), "{decision:?}");
    assert!(reason(decision).contains("archived"));
}

#[test]
fn a_decision_has_its_word() {
    for (decision, word) in [
        (Decision::Ignore(String::new()), "ignore"),
        (Decision::Notify(String::new()), "notify"),
        (Decision::Contain(String::new()), "contain"),
    ] {
        assert_eq!(decision.as_str(), word);
    }
}

/// A finding about a session of this role.
fn of_role(name: &str) -> Finding {
    finding(json!({
        "type": "PrivilegeEscalation:IAMUser/AnomalousBehavior",
        "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
            "userType": "AssumedRole", "userName": name, "principalId": "AROAEXAMPLE:gdr-iam" } },
    }))
}

#[test]
fn only_the_roles_of_the_responder_are_its_own() {
    for finding in [of_role("web"), user_finding("gdr-IamResponderRole-ABC")] {
        let decision = decide(Category::Iam, &finding, &policy());
        assert!(matches!(decision, Decision::Contain(_)), "{decision:?}");
    }
}

#[test]
fn protected_principals_are_refused() {
    let decision = decide(Category::Iam, &user_finding("break-glass"), &policy());
    assert!(matches!(decision, Decision::Notify(_)), "{decision:?}");
    assert!(reason(decision).contains("IAM user break-glass"));
    let own = of_role("gdr-IamResponderRole-ABC");
    let decision = decide(Category::Iam, &own, &policy());
    assert!(reason(decision).contains("responder's own role"));
}

#[test]
fn a_resource_of_another_account_is_notified() {
    let policy = ResponseSettings {
        own_account: Some("999988887777".to_owned()),
        ..policy()
    };
    let decision = decide(Category::Iam, &user_finding("mallory"), &policy);
    assert!(matches!(decision, Decision::Notify(_)), "{decision:?}");
}

#[test]
fn a_hub_contains_in_every_account() {
    let policy = ResponseSettings {
        own_account: None,
        ..policy()
    };
    for account in ["111122223333", "444455556666"] {
        let mut detail = user_detail("mallory");
        detail["accountId"] = json!(account);
        let decision = decide(Category::Iam, &finding(detail), &policy);
        assert!(matches!(decision, Decision::Contain(_)), "{decision:?}");
    }
}

#[test]
fn an_arn_protects_in_its_account_and_a_name_in_every_account() {
    let policy = ResponseSettings {
        own_account: None,
        never_contain: vec![
            "arn:aws:iam::111122223333:user/ops/break-glass".to_owned(),
            "deployer".to_owned(),
        ],
        ..policy()
    };
    for (account, name, contained) in [
        ("111122223333", "break-glass", false),
        ("444455556666", "break-glass", true),
        ("444455556666", "deployer", false),
    ] {
        let mut detail = user_detail(name);
        detail["accountId"] = json!(account);
        let decision = decide(Category::Iam, &finding(detail), &policy);
        let contains = matches!(decision, Decision::Contain(_));
        assert_eq!(contains, contained, "{account} {decision:?}");
    }
}

#[test]
fn a_credential_is_one_target_in_all_regions_and_an_instance_is_not() {
    let in_region = |mut detail: serde_json::Value, region: &str| {
        detail["region"] = json!(region);
        finding(detail)
    };
    let of = |category, detail: &serde_json::Value, region| {
        targets(category, &in_region(detail.clone(), region)).unwrap()
    };
    let user = user_detail("mallory");
    let instance =
        json!({ "resource": { "instanceDetails": { "instanceId": "i-0abc1234def567890" } } });
    for (category, detail, one) in [
        (Category::Iam, user, true),
        (Category::Ec2, instance, false),
    ] {
        let [here, there] = ["us-east-1", "eu-west-1"].map(|region| of(category, &detail, region));
        assert_eq!(here == there, one, "{here:?} {there:?}");
    }
}

#[test]
fn the_block_of_an_account_is_one_target_in_all_regions_and_no_bucket() {
    let off = |region: &str| {
        finding(json!({ "type": "Policy:S3/AccountBlockPublicAccessDisabled", "region": region }))
    };
    let of = |region: &str| targets(Category::S3, &off(region)).unwrap();
    assert_eq!(of("us-east-1"), of("eu-west-1"));
    let [target] = of("us-east-1").try_into().unwrap();
    let bucket = finding(json!({
        "type": "Policy:S3/BucketPublicAccessGranted",
        "resource": { "s3BucketDetails": [{ "name": target }] },
    }));
    assert!(targets(Category::S3, &bucket).is_err(), "{target}");
}

#[test]
fn a_finding_with_too_many_or_no_targets_is_notified() {
    let buckets = |names: Vec<serde_json::Value>| {
        let buckets: Vec<_> = names
            .into_iter()
            .map(|name| json!({ "name": name }))
            .collect();
        json!({ "type": "UnauthorizedAccess:S3/TorIPCaller", "resource": {
            "resourceType": "S3Bucket", "s3BucketDetails": buckets,
            "accessKeyDetails": { "principalId": "ANONYMOUS_PRINCIPAL" } } })
    };
    let by = |details: serde_json::Value| {
        json!({ "type": "Recon:IAMUser/TorIPCaller", "resource": {
            "resourceType": "AccessKey", "accessKeyDetails": details } })
    };
    let on = |details: serde_json::Value| {
        json!({ "type": "Backdoor:EC2/Spambot", "resource": {
            "resourceType": "Instance", "instanceDetails": details } })
    };
    let many = |count| {
        (0..count)
            .map(|n| json!(format!("tenant-{n:03}")))
            .collect()
    };
    for (category, detail, told) in [
        (Category::S3, buckets(many(101)), "names 101 buckets"),
        (
            Category::S3,
            buckets(vec![json!(null)]),
            "s3BucketDetails[0].name",
        ),
        (
            Category::S3,
            buckets(vec![json!("ab*")]),
            "s3BucketDetails[0].name",
        ),
        (Category::S3, buckets(vec![]), "names no bucket"),
        (Category::Iam, by(json!(null)), "accessKeyDetails"),
        (Category::Iam, by(json!({})), "accessKeyDetails.userType"),
        (
            Category::Iam,
            by(json!({ "userType": "IAMUser", "principalId": "AIDAX" })),
            "accessKeyDetails.userName",
        ),
        (
            Category::Iam,
            by(json!({ "userType": "AssumedRole", "userName": "a b" })),
            "accessKeyDetails.userName",
        ),
        (Category::Ec2, on(json!(null)), "instanceDetails.instanceId"),
        (Category::Ec2, on(json!({})), "instanceDetails.instanceId"),
        (
            Category::Ec2,
            on(json!({ "instanceId": "mi-0abc" })),
            "instanceDetails.instanceId",
        ),
    ] {
        let decision = decide(category, &finding(detail.clone()), &policy());
        let Decision::Notify(why) = decision else {
            panic!("{detail}: {decision:?}");
        };
        assert!(why.contains(told), "{why}");
    }
    let hundred = decide(Category::S3, &finding(buckets(many(100))), &policy());
    assert!(matches!(hundred, Decision::Contain(_)), "{hundred:?}");
}

#[test]
fn a_principal_that_is_no_user_or_role_is_notified_with_the_steps_for_its_kind() {
    let by = |details: serde_json::Value| {
        let finding = finding(json!({ "type": "Recon:IAMUser/TorIPCaller", "resource": {
            "resourceType": "AccessKey", "accessKeyDetails": details } }));
        decide(Category::Iam, &finding, &policy())
    };
    for (details, told) in [
        (
            json!({ "userType": "IdentityCenterUser", "principalId": "94482488-3041-0001" }),
            &["IdentityCenterUser 94482488-3041-0001 is", "identity store"][..],
        ),
        (
            json!({ "userType": "WebIdentityUser", "userName": "repo:shop/app:ref",
                "principalId": "ci.example.com:sts:repo:shop/app:ref", "accessKeyId": null }),
            &[
                "WebIdentityUser repo:shop/app:ref",
                "ci.example.com:sts",
                "trust policy",
            ],
        ),
        (
            json!({ "userType": "SAMLUser", "userName": "bob@example.com" }),
            &["SAMLUser bob@example.com", "trust policy"],
        ),
        (json!({ "userType": "Unknown" }), &["Unknown is not a user"]),
        (
            json!({ "userType": "Directory", "userName": "" }),
            &["Directory is not a user", "in the directory"],
        ),
        (
            json!({ "userType": "AssumedRole", "userName": "aws:ec2-instance",
                "principalId": "111122223333:aws:ec2-instance:i-0abc1234def567890" }),
            &["is no role of IAM", "isolate i-0abc1234def567890"],
        ),
    ] {
        let decision = by(details.clone());
        let Decision::Notify(why) = decision else {
            panic!("{details}: {decision:?}");
        };
        for told in told {
            assert!(why.contains(told), "{why}");
        }
        assert!(!why.contains("  "), "{why}");
    }
}

#[test]
fn a_custom_rule_is_named_in_the_reason() {
    let mut detail = user_detail("mallory");
    detail["customDetectionRuleName"] = json!("root-from-abroad");
    let decision = decide(Category::Iam, &finding(detail), &policy());
    assert!(reason(decision).contains("(the rule root-from-abroad)"));
}

/// What each kind of finding is about: the name under which the record keeps it, and the words of the decision.
#[test]
fn each_kind_of_target_has_its_name_in_the_record_and_its_words_in_the_decision() {
    let by = |details: serde_json::Value| {
        finding(json!({ "type": "Recon:IAMUser/TorIPCaller", "resource": {
            "resourceType": "AccessKey", "accessKeyDetails": details } }))
    };
    let on = |zone: &str| {
        finding(json!({ "type": "Backdoor:EC2/Spambot", "resource": {
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": "i-0abc1234", "availabilityZone": zone } } }))
    };
    for (category, finding, targets_of, words) in [
        (
            Category::S3,
            finding(
                json!({ "type": "UnauthorizedAccess:S3/TorIPCaller", "resource": {
                "resourceType": "S3Bucket",
                "s3BucketDetails": [{ "name": "second" }, { "name": "first" }] } }),
            ),
            &["first", "second"][..],
            "UnauthorizedAccess:S3/TorIPCaller on second, first",
        ),
        (
            Category::S3,
            finding(json!({ "type": "Policy:S3/AccountBlockPublicAccessDisabled" })),
            &["account/block-public-access"],
            "Policy:S3/AccountBlockPublicAccessDisabled in account 111122223333",
        ),
        (
            Category::Iam,
            user_finding("mallory"),
            &["user/mallory/AKIAIOSFODNN7EXAMPLE"],
            "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom by IAM user mallory (access key \
             AKIAIOSFODNN7EXAMPLE)",
        ),
        (
            Category::Iam,
            by(json!({ "userType": "IAMUser", "userName": "mallory",
                "accessKeyId": "ASIAIOSFODNN7EXAMPLE" })),
            &["user/mallory/sessions"],
            "Recon:IAMUser/TorIPCaller by IAM user mallory (a session)",
        ),
        (
            Category::Iam,
            by(json!({ "userType": "IAMUser", "accessKeyId": "AKIAIOSFODNN7EXAMPLE" })),
            &["key/AKIAIOSFODNN7EXAMPLE"],
            "Recon:IAMUser/TorIPCaller by the owner of access key AKIAIOSFODNN7EXAMPLE",
        ),
        (
            Category::Iam,
            by(json!({ "userType": "AssumedRole", "userName": "web",
                "principalId": "AROAEXAMPLE:deploy" })),
            &["role/web/deploy"],
            "Recon:IAMUser/TorIPCaller by role web (session deploy)",
        ),
        (
            Category::Iam,
            by(json!({ "userType": "AssumedRole", "userName": "web" })),
            &["role/web/"],
            "Recon:IAMUser/TorIPCaller by role web",
        ),
        (
            Category::Iam,
            by(json!({ "userType": "FederatedUser", "userName": "bob" })),
            &["federated user bob"],
            "Recon:IAMUser/TorIPCaller by federated user bob",
        ),
        (
            Category::Ec2,
            on("us-east-1a"),
            &["us-east-1/i-0abc1234"],
            "Backdoor:EC2/Spambot by instance i-0abc1234",
        ),
        (
            Category::Ec2,
            on("eu-west-1a"),
            &["eu-west-1/i-0abc1234"],
            "Backdoor:EC2/Spambot by instance i-0abc1234 in eu-west-1",
        ),
    ] {
        assert_eq!(targets(category, &finding).expect("targets"), targets_of);
        let decision = decide(category, &finding, &policy());
        assert_eq!(decision, Decision::Contain(words.to_owned()));
    }
    assert!(
        targets(Category::Triage, &on("us-east-1a"))
            .unwrap()
            .is_empty()
    );
}

fn malicious(objects: serde_json::Value) -> Finding {
    finding(json!({
        "type": "Object:S3/MaliciousFile",
        "resource": { "s3BucketDetails": [{ "name": "uploads", "s3ObjectDetails": objects }] },
    }))
}

#[test]
fn a_malicious_object_is_contained_with_its_setting_alone_each_version_as_a_target() {
    let on = ResponseSettings {
        quarantine_objects: true,
        ..policy()
    };
    let one = json!({ "key": "a b", "versionId": "v1" });
    let finding_of_one = malicious(json!([one]));
    let told = decide(Category::S3, &finding_of_one, &policy());
    assert!(matches!(&told, Decision::Notify(why) if why.contains("a malicious file was found")));
    let contained = decide(Category::S3, &finding_of_one, &on);
    let words = "Object:S3/MaliciousFile in uploads/a b?versionId=v1";
    assert_eq!(contained, Decision::Contain(words.to_owned()));
    let two = malicious(json!([one, { "key": "a", "eTag": "1" }]));
    let named = targets(Category::S3, &two).expect("targets");
    assert_eq!(named, ["uploads/a b?versionId=v1", "uploads/a?eTag=1"]);
    // The breaker counts them by their bucket, and other targets by themselves.
    assert_eq!(places(Category::S3, &two).expect("places"), ["uploads"]);
    let user = user_finding("mallory");
    let (named, counted) = (targets(Category::Iam, &user), places(Category::Iam, &user));
    assert_eq!(named.expect("targets"), counted.expect("places"));

    for (objects, told) in [
        (json!([]), "names no object"),
        (json!([{ "key": "" }]), "does not identify the objects"),
    ] {
        let decision = decide(Category::S3, &malicious(objects), &on);
        assert!(
            matches!(&decision, Decision::Notify(why) if why.contains(told)),
            "{decision:?}"
        );
    }
    // Neither the credentials nor what is no object of a bucket.
    let by_user = finding(json!({
        "type": "Object:S3/MaliciousFile",
        "resource": {
            "accessKeyDetails": { "userType": "IAMUser", "userName": "mallory", "principalId": "AIDAMALLORY" },
            "s3BucketDetails": [{ "name": "uploads", "s3ObjectDetails": [one] }],
        },
    }));
    let copy = finding(json!({ "type": "Execution:S3/MaliciousFile!RecoveryPoint" }));
    let custom = finding(json!({
        "type": "Object:S3/MaliciousFile", "customDetectionRuleName": "mine",
        "resource": { "s3BucketDetails": [{ "name": "uploads", "s3ObjectDetails": [one] }] },
    }));
    for (category, finding) in [
        (Category::Iam, &by_user),
        (Category::S3, &copy),
        (Category::S3, &custom),
    ] {
        let decision = decide(category, finding, &on);
        assert!(matches!(decision, Decision::Notify(_)), "{decision:?}");
    }
}
