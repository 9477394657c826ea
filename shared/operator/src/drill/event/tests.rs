use super::*;
use remediation::catalogue::routes;
use remediation::category::Category;
use remediation::decision::{ResponseMode, ResponseSettings, decide};

const ID: &str = "0123456789abcdef0123456789abcdef";

fn now() -> Timestamp {
    "2026-05-06T07:08:09.5Z".parse().expect("a time")
}

const PLACE: Place<'static> = Place {
    account: "111122223333",
    region: "eu-west-1",
};

fn made(kind: &str, target: Option<&str>) -> std::result::Result<Finding, String> {
    let kind = finding_type(kind)?;
    let detail = of_type(&kind, target, &PLACE, ID, now())?;
    as_delivered(&detail).map_err(|error| error.to_string())
}

#[test]
fn a_finding_is_made_of_each_type_for_the_functions_that_get_such_findings() {
    for (kind, target, function, named) in [
        (
            "Policy:S3/BucketAnonymousAccessGranted",
            "payroll",
            Category::S3,
            "payroll",
        ),
        (
            "Exfiltration:S3/AnomalousBehavior",
            "payroll",
            Category::S3,
            "payroll",
        ),
        (
            "UnauthorizedAccess:IAMUser/TorIPCaller",
            "ops-bot",
            Category::Iam,
            "user ops-bot",
        ),
        (
            "UnauthorizedAccess:IAMUser/TorIPCaller",
            "ops-bot/AKIAIOSFODNN7EXAMPLE",
            Category::Iam,
            "access key AKIAIOSFODNN7EXAMPLE",
        ),
        (
            "Backdoor:EC2/C&CActivity.B!DNS",
            "i-0abc1234def567890",
            Category::Ec2,
            "i-0abc1234def567890",
        ),
        (
            "Execution:Runtime/ReverseShell",
            "i-0abc1234def567890",
            Category::Ec2,
            "i-0abc1234def567890",
        ),
    ] {
        for target in [Some(target), None] {
            let finding = made(kind, target).expect(kind);
            assert!(finding.is_drill());
            assert_eq!(routes(&finding), [function], "{kind}");
            assert_eq!(finding.id, ID);
            assert_eq!(
                (finding.account_id.as_str(), finding.region.as_str()),
                (PLACE.account, PLACE.region)
            );
            assert_eq!(
                finding.last_seen().map(|seen| seen.to_string()).as_deref(),
                Some("2026-05-06T07:08:10Z")
            );
            let settings = ResponseSettings {
                dry_run: true,
                mode: ResponseMode::Contain,
                minimum_severity: Some(4.0),
                approval_not_needed_from: None,
                own_account: None,
                quarantine_objects: false,
                responder_roles: Vec::new(),
                never_contain: Vec::new(),
            };
            let decision = decide(function, &finding, &settings);
            let remediation::decision::Decision::Contain(what) = decision else {
                panic!("{kind}: {decision:?}");
            };
            assert_eq!(what.contains(named), target.is_some(), "{what}");
        }
    }
    let triage = made("Discovery:RDS/TorIPCaller", None).expect("a finding");
    assert_eq!(routes(&triage), [Category::Triage]);
}

#[test]
fn a_drill_that_cannot_be_made_is_refused_with_the_next_action() {
    for (kind, target, why) in [
        ("AttackSequence:S3/CompromisedData", None, "give a file"),
        (
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            None,
            "give a file",
        ),
        (
            "Discovery:RDS/TorIPCaller",
            Some("database"),
            "--target names nothing",
        ),
        (
            "no-such-file.json",
            None,
            "neither a file nor a finding type",
        ),
        (
            "Backdoor:EC2/Spambot",
            Some("web-server"),
            "instanceDetails.instanceId",
        ),
        (
            "Policy:S3/BucketAnonymousAccessGranted",
            Some("arn:aws:s3:::x"),
            "is not a bucket name",
        ),
    ] {
        let error = made(kind, target).expect_err(kind);
        assert!(error.contains(why), "{error}");
    }
}

fn document() -> Value {
    json!({
        "source": "aws.guardduty", "detail-type": "GuardDuty Finding",
        "detail": {
            "schemaVersion": "2.0", "id": "16afba5c5c43e07c9e3e5e2e544e95df",
            "arn": "arn:aws:guardduty:us-east-1:444455556666:detector/12abc/finding/16afba5c5c43e07c9e3e5e2e544e95df",
            "accountId": "444455556666", "region": "us-east-1", "severity": 5, "title": "A title",
            "type": "Backdoor:EC2/Spambot", "handedOverTo": "ec2",
            "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": "i-0abc1234" } },
            "service": {
                "eventFirstSeen": "2026-03-04T04:50:00Z", "eventLastSeen": "2026-03-04T05:00:00Z",
                "resourceRole": "ACTOR",
            },
        },
    })
}

#[test]
fn a_finding_of_a_file_keeps_all_but_its_id_and_its_times() {
    let document = document();
    let bare = document["detail"].clone();
    for document in [document, bare] {
        let detail = from_document(&document, ID, now()).expect("a finding");
        let finding = as_delivered(&detail).expect("a finding");
        assert_eq!(finding.id, ID);
        assert_eq!(finding.account_id, "444455556666");
        assert_eq!(
            finding.arn(),
            format!("arn:aws:guardduty:us-east-1:444455556666:detector/12abc/finding/{ID}")
        );
        let seen = [finding.first_seen(), finding.last_seen()]
            .map(|seen| seen.map(|seen| seen.to_string()));
        assert_eq!(
            seen,
            ["2026-05-06T06:58:10Z", "2026-05-06T07:08:10Z"].map(|time| Some(time.to_owned()))
        );
        assert_eq!(detail["title"], "A title");
        assert!(detail.get("handedOverTo").is_none());
        assert_eq!(finding.instance_id().expect("an instance"), "i-0abc1234");
    }
}

#[test]
fn a_file_that_no_function_could_read_is_refused() {
    let detail = &document()["detail"];
    let mut without_target = detail.clone();
    without_target["resource"] = json!({ "resourceType": "Instance" });
    for (document, why) in [
        (json!({ "id": "x" }), "type"),
        (without_target, "instanceDetails.instanceId"),
    ] {
        let detail = from_document(&document, ID, now());
        let error = detail
            .and_then(|detail| as_delivered(&detail))
            .expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn each_drill_has_an_id_of_its_own() {
    let (one, other) = (fresh_id(), fresh_id());
    assert_ne!(one, other);
    for id in [one, other] {
        assert!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
    }
}
