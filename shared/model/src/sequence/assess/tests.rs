use super::*;
use crate::catalogue::routes;
use crate::decision;
use crate::fixtures::{attack, containing_but_for};

fn policy() -> ResponseSettings {
    containing_but_for("break-glass")
}

fn assess_event(event: &Value) -> Assessment {
    let finding = Finding::parse(event).expect("a finding");
    let sequence = finding.sequence().unwrap().expect("a sequence");
    assess(event, &finding, &sequence, &policy())
}

/// What comes of these actors and resources and nothing else.
fn of(actors: Value, resources: Value) -> Assessment {
    assess_event(&attack(json!({ "actors": actors, "resources": resources })))
}

fn targets(assessment: &Assessment) -> Vec<String> {
    let targets = assessment.targets.iter();
    targets
        .map(|target| format!("{} {}", target.function, target.names.join(",")))
        .collect()
}

/// Why the one resource is not contained.
fn why_not(resource: Value) -> String {
    let assessment = of(json!([]), json!([resource]));
    assert!(assessment.targets.is_empty(), "{assessment:?}");
    assessment.resources[0].notes.join("; ")
}

fn user(changes: &[(&str, &str)]) -> Value {
    let mut user = json!({
        "name": "alice", "uid": "AIDAEXAMPLEUSERID", "type": "IAMUser",
        "credentialUid": "AKIAIOSFODNN7EXAMPLE",
    });
    for (member, value) in changes {
        user[*member] = json!(value);
    }
    json!({ "id": "actor", "user": user })
}

fn instance_resource(id: &str) -> Value {
    json!({ "uid": id, "resourceType": "EC2_INSTANCE" })
}

#[test]
fn each_part_becomes_a_finding_that_its_function_contains_and_no_other_receives() {
    let event = attack(json!({}));
    let assessment = assess_event(&event);
    assert_eq!(
        targets(&assessment),
        [
            "iam user/alice/AKIAIOSFODNN7EXAMPLE",
            "s3 exposed",
            "ec2 eu-west-1/i-0abc1234def567890",
        ]
    );
    for target in &assessment.targets {
        let finding = Finding::parse(&target.event).expect("a finding");
        assert_eq!(routes(&finding), [target.function]);
        let decision = decision::decide(target.function, &finding, &policy());
        assert!(matches!(decision, Decision::Contain(_)), "{decision:?}");
        assert_eq!(
            decision::targets(target.function, &finding).unwrap(),
            target.names
        );
    }
    // The sequence itself goes to triage only, whose decision is to tell a person.
    let whole = Finding::parse(&event).unwrap();
    assert_eq!(routes(&whole), [Category::Triage]);
    let decision = decision::decide(Category::Triage, &whole, &policy());
    assert!(matches!(decision, Decision::Notify(_)), "{decision:?}");
}

#[test]
fn a_dispatched_part_keeps_identity_times_and_flags_of_the_sequence() {
    let mut event = attack(json!({}));
    event["detail"]["service"]["additionalInfo"] = json!({ "sample": true });
    let whole = Finding::parse(&event).unwrap();
    for target in assess_event(&event).targets {
        let part = Finding::parse(&target.event).unwrap();
        assert_eq!(part.id, whole.id);
        assert_eq!(part.finding_type, whole.finding_type);
        assert_eq!(part.severity, whole.severity);
        assert_eq!(part.account_id, "111122223333");
        assert_eq!(part.first_seen(), whole.first_seen());
        assert_eq!(part.last_seen(), whole.last_seen());
        assert!(part.is_sample());
        assert_eq!(part.sequence().unwrap(), None);
        assert!(target.event.to_string().len() < event.to_string().len());
    }
}

#[test]
fn the_region_is_the_resources_own() {
    let regions: Vec<_> = assess_event(&attack(json!({})))
        .targets
        .iter()
        .map(|target| Finding::parse(&target.event).unwrap().region)
        .collect();
    assert_eq!(regions, ["us-east-1", "us-west-2", "eu-west-1"]);
}

#[test]
fn the_bare_detail_of_an_event_is_handed_over_as_such() {
    let detail = attack(json!({}))["detail"].clone();
    let assessment = assess_event(&detail);
    assert_eq!(assessment.targets.len(), 3);
    for target in assessment.targets {
        assert!(target.event.get("detail").is_none());
        assert!(Finding::parse(&target.event).is_ok());
    }
}

#[test]
fn a_session_of_a_role_is_denied_by_its_name() {
    let session = user(&[
        ("name", "web"),
        ("uid", "AROAEXAMPLEROLEID:i-0abc"),
        ("type", "AssumedRole"),
        ("credentialUid", "ASIAIOSFODNN7EXAMPLE"),
    ]);
    let assessment = of(json!([session]), json!([]));
    assert_eq!(targets(&assessment), ["iam role/web/i-0abc"]);
    assert!(
        assessment.targets[0]
            .what
            .contains("session i-0abc of role web")
    );
}

#[test]
fn a_key_without_its_principal_is_completed_by_the_actor_that_used_it() {
    let key = json!({ "uid": "AKIAIOSFODNN7EXAMPLE", "resourceType": "ACCESS_KEY" });
    let assessment = of(json!([user(&[])]), json!([key]));
    assert_eq!(
        targets(&assessment),
        ["iam user/alice/AKIAIOSFODNN7EXAMPLE"]
    );
    assert_eq!(assessment.actors[0].targets, [0]);
    assert_eq!(assessment.resources[0].targets, [0]);
}

#[test]
fn an_actor_without_its_key_is_contained_by_the_keys_that_the_sequence_has_of_it() {
    let mut actor = user(&[]);
    actor["user"]["credentialUid"] = json!(null);
    let key = |id: &str| {
        json!({ "uid": id, "resourceType": "ACCESS_KEY", "data": { "accessKey": {
            "principalId": "AIDAEXAMPLEUSERID", "userName": "alice", "userType": "IAMUser" } } })
    };
    let keys = json!([key("AKIAIOSFODNN7EXAMPLE"), key("AKIAIOSFODNN8EXAMPLE")]);
    let assessment = of(json!([actor.clone()]), keys);
    assert_eq!(assessment.actors[0].targets, [0, 1]);
    assert_eq!(assessment.targets.len(), 2);
    let alone = of(json!([actor]), json!([]));
    assert_eq!(targets(&alone), ["iam user/alice/sessions"]);
}

#[test]
fn a_credential_about_which_the_sequence_contradicts_itself_is_for_a_person() {
    let key = json!({
        "uid": "AKIAIOSFODNN7EXAMPLE", "resourceType": "ACCESS_KEY",
        "data": { "accessKey": { "principalId": "AIDASOMEBODYELSE", "userName": "bob" } },
    });
    let assessment = of(json!([user(&[])]), json!([key]));
    assert!(assessment.targets.is_empty());
    for verdict in assessment.actors.iter().chain(&assessment.resources) {
        assert!(verdict.notes[0].contains("contradicts"), "{verdict:?}");
    }
}

#[test]
fn credentials_that_must_not_or_cannot_be_denied_have_a_reason() {
    let issued = |arn: &str| {
        let mut actor = user(&[("type", "AssumedRole"), ("uid", "AROAX:s"), ("name", "web")]);
        actor["session"] = json!({ "issuer": arn });
        actor
    };
    let without = |member: &str| {
        let mut actor = user(&[]);
        actor["user"][member] = json!(null);
        actor
    };
    for (actor, why) in [
        (user(&[("type", "Root")]), "root user"),
        (user(&[("type", "AWSService")]), "not a user or role"),
        (user(&[("name", "break-glass")]), "never contained"),
        (user(&[("name", "a/*")]), "is not an IAM name"),
        (
            user(&[("credentialUid", "AKIA*\"")]),
            "is not an access key id",
        ),
        (
            user(&[("type", "AssumedRole"), ("uid", "AROAX")]),
            "which session",
        ),
        (
            issued("arn:aws:iam::999988887777:role/web"),
            "account 999988887777",
        ),
        (without("uid"), "unique id"),
        (
            user(&[("type", ""), ("uid", "x"), ("credentialUid", "")]),
            "userType",
        ),
        (
            json!({ "id": "a", "process": { "name": "sh", "path": "/bin/sh" } }),
            "a process",
        ),
        (json!({ "id": "a" }), "no principal"),
    ] {
        let assessment = of(json!([actor.clone()]), json!([]));
        assert!(assessment.targets.is_empty(), "{actor}");
        let notes = &assessment.actors[0].notes;
        assert!(notes[0].contains(why), "{actor}: {notes:?}");
    }
    let own = user(&[
        ("type", "AssumedRole"),
        ("uid", "AROAX:s"),
        ("name", "gdr-IamResponderRole-ABC"),
    ]);
    let assessment = of(json!([own]), json!([]));
    assert!(assessment.actors[0].notes[0].contains("responder's own role"));
}

#[test]
fn a_resource_that_no_function_contains_has_a_reason() {
    for (resource, why) in [
        (
            json!({ "resourceType": "EKS_CLUSTER", "uid": "c", "data": { "eksCluster": {
            "ec2InstanceUids": ["i-0abc1234"] } } }),
            "network policy",
        ),
        (
            json!({ "resourceType": "CONTAINER", "uid": "c" }),
            "security group",
        ),
        (
            json!({ "resourceType": "SOMETHING_NEW", "uid": "x" }),
            "SOMETHING_NEW",
        ),
        (json!({}), "its kind"),
        (
            json!({ "resourceType": "S3_BUCKET", "uid": "arn:aws:s3:::*" }),
            "bucket's",
        ),
        (
            json!({ "resourceType": "EC2_INSTANCE", "uid": "i-*" }),
            "not the ARN or id",
        ),
        (
            json!({ "resourceType": "EC2_INSTANCE", "uid": "i-0abc1234", "region": "../1" }),
            "region",
        ),
        (
            json!({ "resourceType": "ACCESS_KEY", "uid": "x" }),
            "access key's",
        ),
        (
            json!({ "resourceType": "S3_BUCKET", "name": "exposed", "accountId": "999988887777" }),
            "account 999988887777",
        ),
        (
            json!({ "resourceType": "EC2_INSTANCE",
            "uid": "arn:aws:ec2:us-east-1:999988887777:instance/i-0abc1234" }),
            "account 999988887777",
        ),
        (
            json!({ "resourceType": "IAM_INSTANCE_PROFILE", "uid": "p" }),
            "lists none",
        ),
        (
            json!({ "resourceType": "EC2_NETWORK_INTERFACE", "uid": "eni-9" }),
            "find that",
        ),
    ] {
        let found = why_not(resource.clone());
        assert!(found.contains(why), "{resource}: {found}");
    }
}

#[test]
fn groups_of_instances_are_contained_through_their_compromised_instances() {
    for kind in [
        "IAM_INSTANCE_PROFILE",
        "AUTOSCALING_AUTO_SCALING_GROUP",
        "EC2_IMAGE",
    ] {
        let holder = json!({
            "uid": "holder", "resourceType": kind,
            "data": { "any": { "ec2InstanceUids": ["i-0abc1234", "i-0abc1235", "x"] } },
        });
        let assessment = of(json!([]), json!([holder, instance_resource("i-0abc1234")]));
        assert_eq!(
            targets(&assessment),
            ["ec2 us-east-1/i-0abc1234", "ec2 us-east-1/i-0abc1235"]
        );
        assert_eq!(assessment.resources[0].targets, [0, 1]);
        assert!(assessment.resources[0].notes[0].contains("'x'"));
        assert_eq!(assessment.resources[1].targets, [0]);
    }
}

/// The part of a sequence that is handed over for the one instance in it.
fn part(resources: Value) -> Finding {
    let assessment = of(json!([]), resources);
    assert_eq!(assessment.targets.len(), 1, "{assessment:?}");
    Finding::parse(&assessment.targets[0].event).expect("a finding")
}

#[test]
fn the_arn_of_an_instance_decides_its_region_and_account_before_its_group() {
    let arn = "arn:aws:ec2:eu-west-1:111122223333:instance/i-0abc1234";
    let holder = |uid: &str| {
        json!({
            "uid": "holder", "resourceType": "EC2_VPC", "region": "us-east-1",
            "accountId": "999988887777", "data": { "ec2Vpc": { "ec2InstanceUids": [uid] } },
        })
    };
    // The same instance is one part, by whatever it is named.
    for resources in [
        json!([holder(arn)]),
        json!([holder("i-0abc1234"), instance_resource(arn)]),
        json!([instance_resource(arn), holder("i-0abc1234")]),
    ] {
        let part = part(resources);
        assert_eq!(part.instance_region(), "eu-west-1");
        assert_eq!(part.account_id, "111122223333");
    }
    let mut described = instance_resource("i-0abc1234");
    described["accountId"] = json!("111122223333");
    described["data"] = json!({ "ec2Instance": { "availabilityZone": "eu-west-1b" } });
    let part = part(json!([described, holder("i-0abc1234")]));
    assert_eq!(part.instance_region(), "eu-west-1");
}

#[test]
fn the_instance_profile_of_an_instance_is_handed_over_with_it() {
    for member in ["IamInstanceProfile", "iamInstanceProfile"] {
        let arn = "arn:aws:iam::111122223333:instance-profile/web";
        let mut described = instance_resource("i-0abc1234");
        described["data"] =
            json!({ "ec2Instance": { member: { "arn": arn, "id": "AIPAEXAMPLE" } } });
        let holder = json!({
            "uid": "holder", "resourceType": "EC2_IMAGE",
            "data": { "ec2Image": { "ec2InstanceUids": ["i-0abc1234"] } },
        });
        for resources in [json!([described]), json!([holder, described])] {
            assert_eq!(part(resources).instance_profile_arn(), Some(arn));
        }
    }
}

#[test]
fn an_interface_is_contained_with_its_instance_and_one_that_holds_itself_ends() {
    let mut instance = instance_resource("i-0abc1234");
    instance["data"] = json!({ "ec2Instance": { "ec2NetworkInterfaceUids": ["eni-1"] } });
    let mut interface = json!({ "uid": "eni-1", "resourceType": "EC2_NETWORK_INTERFACE" });
    interface["data"] = instance["data"].clone();
    let assessment = of(json!([]), json!([interface, instance]));
    assert_eq!(targets(&assessment), ["ec2 us-east-1/i-0abc1234"]);
    assert_eq!(assessment.resources[0].targets, [0]);
}

#[test]
fn one_sequence_cannot_have_everything_contained() {
    let buckets: Vec<_> = (0..=LIMIT)
        .map(|index| json!({ "uid": format!("arn:aws:s3:::bucket-{index}"), "resourceType": "S3_BUCKET" }))
        .collect();
    let assessment = of(json!([]), json!(buckets));
    assert_eq!(assessment.targets.len(), LIMIT);
    let last = &assessment.resources[LIMIT];
    assert!(last.notes[0].contains("bucket-20"), "{last:?}");
}

#[test]
fn where_the_own_account_is_not_known_it_is_that_of_the_finding() {
    let event = attack(json!({}));
    let finding = Finding::parse(&event).unwrap();
    let mut sequence = finding.sequence().unwrap().unwrap();
    sequence.resources[0].account = Some("999988887777".to_owned());
    let policy = ResponseSettings {
        own_account: None,
        ..policy()
    };
    let assessment = assess(&event, &finding, &sequence, &policy);
    assert!(assessment.resources[0].targets.is_empty());
    assert_eq!(assessment.targets.len(), 2);
}
