use super::*;
use crate::fixtures::{attack, event, finding};
use serde_json::json;

fn sequence(changes: Value) -> Sequence {
    let finding = Finding::parse(&attack(changes)).expect("a finding");
    let sequence = finding.sequence().expect("a sequence that can be read");
    sequence.expect("a sequence")
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn actors_actions_resources_and_origins_of_a_sequence_are_read() {
    let sequence = sequence(json!({}));
    let [actor] = &sequence.actors[..] else {
        panic!("{sequence:?}")
    };
    assert_eq!(actor.user_name, some("alice"));
    assert_eq!(actor.user_uid, some("AIDAEXAMPLEUSERID"));
    assert_eq!(actor.credential, some("AKIAIOSFODNN7EXAMPLE"));
    assert_eq!(actor.account, some("111122223333"));
    assert_eq!(actor.mfa, some("DISABLED"));
    let kinds: Vec<_> = sequence.resources.iter().map(|one| &one.kind).collect();
    assert_eq!(kinds, ["S3_BUCKET", "ACCESS_KEY", "EC2_INSTANCE"]);
    assert_eq!(sequence.resources[0].effective_permission, some("PUBLIC"));
    assert_eq!(sequence.resources[1].user_name, some("alice"));
    assert_eq!(sequence.resources[2].interfaces, ["eni-1"]);
    let [endpoint] = &sequence.endpoints[..] else {
        panic!("{sequence:?}")
    };
    assert_eq!(endpoint.port, some("443"));
    assert_eq!(endpoint.country, some("Norway"));
    assert_eq!(endpoint.asn, some("64500"));
    assert_eq!(sequence.indicators[0].values, ["Exfiltration", "Impact"]);
    assert_eq!(
        sequence.additional_types,
        ["AttackSequence:IAM/CompromisedCredentials"]
    );
}

#[test]
fn parts_with_more_signals_and_higher_severity_come_first() {
    let sequence = sequence(json!({
        "actors": [{ "id": "quiet" }, { "id": "busy" }],
        "resources": [{ "uid": "rare" }, {}, { "uid": "often" }],
        "endpoints": [{ "id": "a" }, { "id": "b" }],
        "signals": [
            { "uid": "mild", "severity": "2.5", "count": 9, "resourceUids": ["often", "rare"] },
            { "uid": "severe", "severity": 8, "count": 1, "resourceUids": ["often"] },
            { "uid": "frequent", "severity": 8, "count": "7", "actorIds": ["busy"], "endpointIds": ["b"] },
        ],
    }));
    let ids = |ids: Vec<&Option<String>>| ids.into_iter().flatten().cloned().collect::<Vec<_>>();
    let signals = ids(sequence.signals.iter().map(|one| &one.uid).collect());
    assert_eq!(signals, ["frequent", "severe", "mild"]);
    let actors = ids(sequence.actors.iter().map(|one| &one.id).collect());
    assert_eq!(actors, ["busy", "quiet"]);
    let resources = ids(sequence.resources.iter().map(|one| &one.uid).collect());
    assert_eq!(resources, ["often", "rare"]);
    let endpoints = ids(sequence.endpoints.iter().map(|one| &one.id).collect());
    assert_eq!(endpoints, ["b", "a"]);
}

#[test]
fn a_time_is_read_as_text_and_as_a_number() {
    let seen = |time: Value| {
        let sequence = sequence(json!({ "signals": [{ "firstSeenAt": time }] }));
        sequence.signals[0].first_seen.map(|time| time.to_string())
    };
    let meant = some("2026-03-04T04:53:20Z");
    assert_eq!(seen(json!("2026-03-04T04:53:20Z")), meant);
    assert_eq!(seen(json!("2026-03-04T05:53:20+01:00")), meant);
    assert_eq!(seen(json!("2026-03-04 04:53:20.000")), meant);
    assert_eq!(seen(json!(1_772_600_000)), meant);
    assert_eq!(seen(json!(1_772_600_000.0)), meant);
    for wrong in [json!(null), json!("yesterday"), json!({}), json!(1e300)] {
        assert_eq!(seen(wrong.clone()), None, "{wrong}");
    }
}

#[test]
fn a_finding_without_the_section_has_no_sequence() {
    for detection in [
        json!(null),
        json!({}),
        json!({ "sequence": null }),
        json!([]),
    ] {
        let finding = finding(json!({
            "type": "AttackSequence:S3/CompromisedData",
            "service": { "detection": detection },
        }));
        assert_eq!(finding.sequence().unwrap(), None, "{detection}");
    }
}

#[test]
fn a_part_of_the_wrong_type_is_named_and_does_not_keep_the_finding_from_being_read() {
    for (changes, says) in [
        (
            json!({ "actors": "x" }),
            "sequence.actors`: expected an array, found a string",
        ),
        (
            json!({ "signals": [null, 5] }),
            "sequence.signals[1]`: expected an object",
        ),
        (
            json!({ "resources": {} }),
            "sequence.resources`: expected an array",
        ),
    ] {
        let finding = Finding::parse(&attack(changes)).expect("a finding");
        let problem = finding.sequence().unwrap_err().to_string();
        assert!(problem.contains(says), "{problem}");
    }
    let mut event = attack(json!({}));
    event["detail"]["service"]["detection"]["sequence"] = json!([]);
    let finding = Finding::parse(&event).expect("a finding");
    assert!(finding.sequence().is_err());
}

#[test]
fn members_that_are_absent_null_unknown_or_odd_do_no_harm() {
    let odd = json!({ "user": 5, "session": [], "process": null, "new": {} });
    let sequence = sequence(json!({
        "uid": null, "description": 5, "endpoints": null, "additionalSequenceTypes": "x",
        "actors": [null, {}, odd],
        "resources": [{ "resourceType": null, "data": "x", "tags": [5, { "key": "a" }] }],
        "signals": [{ "count": -1, "severity": "high", "signalIndicators": [7], "actorIds": "x" }],
        "somethingNew": [1],
    }));
    assert_eq!(sequence.actors, [Actor::default(), Actor::default()]);
    assert_eq!(sequence.resources[0].kind, "");
    assert_eq!(
        sequence.resources[0].tags,
        [("a".to_owned(), String::new())]
    );
    assert_eq!(sequence.signals[0].severity, None);
    assert!(sequence.endpoints.is_empty());
}

#[test]
fn a_resource_is_named_by_its_arn_or_id_in_the_grammar_of_aws() {
    let one = |kind: &str, uid: &str, name: &str| Resource {
        kind: kind.to_owned(),
        uid: some(uid),
        name: some(name),
        ..Resource::default()
    };
    let arn = "arn:aws:s3:::exposed";
    assert_eq!(one("S3_BUCKET", arn, "other").bucket(), some("exposed"));
    assert_eq!(one("S3_BUCKET", "u-1", "exposed").bucket(), some("exposed"));
    let object = one("S3_OBJECT", "arn:aws:s3:::exposed/a/b:c.csv", "b:c.csv");
    assert_eq!(object.bucket(), some("exposed"));
    assert_eq!(one("S3_OBJECT", "a/b", "a").bucket(), None);
    for hostile in ["arn:aws:s3:::*", "arn:aws:s3:::a\"b", "arn:aws:s3:::"] {
        assert_eq!(
            one("S3_BUCKET", hostile, "fine").bucket(),
            None,
            "{hostile}"
        );
    }
    let key = "AKIAIOSFODNN7EXAMPLE";
    assert_eq!(one("ACCESS_KEY", key, "x").access_key(), some(key));
    let arn = format!("arn:aws:iam::111122223333:access-key/{key}");
    assert_eq!(one("ACCESS_KEY", &arn, "x").access_key(), some(key));
    assert_eq!(one("ACCESS_KEY", "AKIA*", "\"").access_key(), None);
    let id = "i-0abc1234def567890";
    assert_eq!(instance(id), some(id));
    let arn = format!("arn:aws:ec2:us-east-1:111122223333:instance/{id}");
    assert_eq!(instance(&arn), some(id));
    assert_eq!(instance("i-*"), None);
}

#[test]
fn text_is_made_printable() {
    let sequence = sequence(json!({ "actors": [{ "user": { "name": "al\u{202e}ice\r\n" } }] }));
    let name = sequence.actors[0].user_name.clone().unwrap();
    assert!(name.is_ascii() && !name.contains('\n'), "{name:?}");
}

#[test]
fn only_a_part_of_an_attack_sequence_was_handed_over() {
    let to = |kind: &str, resource_type: &str, word: Value| {
        let detail = json!({
            "type": kind, "resource": { "resourceType": resource_type }, "handedOverTo": word,
        });
        Finding::parse(&event(detail)).unwrap().handed_over_to()
    };
    let kind = "AttackSequence:S3/CompromisedData";
    assert_eq!(to(kind, "S3Bucket", json!("s3")), Some(Category::S3));
    assert_eq!(to(kind, "AttackSequence", json!("s3")), None);
    for word in [
        json!("triage"),
        json!("S3"),
        json!(5),
        json!(null),
        json!(["s3"]),
    ] {
        assert_eq!(to(kind, "S3Bucket", word), None);
    }
    let other = "Policy:S3/BucketPublicAccessGranted";
    assert_eq!(to(other, "S3Bucket", json!("ec2")), None);
}
