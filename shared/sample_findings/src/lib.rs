//! Findings of GuardDuty as JSON: the subjects of the unit tests of every crate.
//!
//! It knows no type of the project, so that each crate can use it in its own tests.

use serde_json::{Value, json};

/// An event with `changes` merged into its detail.
pub fn event(changes: Value) -> Value {
    let mut event = json!({
        "version": "0",
        "id": "cd2d702e-ab31-411b-9344-793ce56b1bc7",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": "111122223333",
        "time": "2026-03-04T05:06:07Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "schemaVersion": "2.0",
            "accountId": "111122223333",
            "region": "us-east-1",
            "id": "16afba5c5c43e07c9e3e5e2e544e95df",
            "arn": "arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/16afba5c5c43e07c9e3e5e2e544e95df",
            "type": "Backdoor:EC2/C&CActivity.B",
            "severity": 8,
            "title": "A title",
            "description": "A description",
            "createdAt": "2026-03-04T05:00:00Z",
            "updatedAt": "2026-03-04T05:05:00Z",
            "resource": {},
            "service": {
                "serviceName": "guardduty",
                "detectorId": "12abc",
                "archived": false,
                "count": 1,
                "eventFirstSeen": "2026-03-04T04:50:00Z",
                "eventLastSeen": "2026-03-04T05:00:00Z",
            },
        },
    });
    merge(&mut event["detail"], changes);
    event
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, changes) => *into = changes,
    }
}

/// The text of an input of `tests/fixtures/cases`, of which `answers.tsv` there says what is right.
pub fn case_text(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/cases");
    let path = format!("{folder}/{name}.json");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The detail of a finding that an access key of an IAM user was used from a malicious address.
pub fn user_detail(name: &str) -> Value {
    json!({
        "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": {
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
                "principalId": "AIDAEXAMPLEUSERID",
                "userName": name,
                "userType": "IAMUser",
            },
        },
    })
}

/// An attack sequence: with a key of alice's, from one address, a bucket was read and an instance
/// reached; `changes` are merged into the sequence.
pub fn attack(changes: Value) -> Value {
    let mut sequence = json!({
        "uid": "5c1f0a9e-one",
        "description": "A sequence of actions",
        "actors": [{
            "id": "actor-1",
            "user": {
                "name": "alice", "uid": "AIDAEXAMPLEUSERID", "type": "IAMUser",
                "credentialUid": "AKIAIOSFODNN7EXAMPLE", "account": { "uid": "111122223333" },
            },
            "session": { "mfaStatus": "DISABLED", "createdTime": "2026-03-04T04:00:00Z" },
        }],
        "resources": [
            {
                "uid": "arn:aws:s3:::exposed", "name": "exposed", "resourceType": "S3_BUCKET",
                "accountId": "111122223333", "region": "us-west-2",
                "data": { "s3Bucket": { "effectivePermission": "PUBLIC" } },
            },
            {
                "uid": "AKIAIOSFODNN7EXAMPLE", "resourceType": "ACCESS_KEY",
                "accountId": "111122223333", "region": "us-east-1",
                "data": { "accessKey": {
                    "principalId": "AIDAEXAMPLEUSERID", "userName": "alice", "userType": "IAMUser",
                } },
            },
            {
                "uid": "arn:aws:ec2:eu-west-1:111122223333:instance/i-0abc1234def567890",
                "name": "web", "resourceType": "EC2_INSTANCE", "accountId": "111122223333",
                "data": { "ec2Instance": { "ec2NetworkInterfaceUids": ["eni-1"] } },
            },
        ],
        "endpoints": [{
            "id": "endpoint-1", "ip": "198.51.100.7", "port": 443,
            "location": { "city": "Oslo", "country": "Norway", "lat": 1.0, "lon": 2.0 },
            "autonomousSystem": { "name": "Example Networks", "number": 64500 },
            "connection": { "direction": "INBOUND" },
        }],
        "signals": [
            {
                "uid": "signal-1", "type": "CLOUD_TRAIL", "name": "ListBuckets", "count": 3,
                "createdAt": 1772600000, "updatedAt": 1772600000,
                "firstSeenAt": 1772600000, "lastSeenAt": "2026-03-04T04:58:00Z",
                "actorIds": ["actor-1"], "endpointIds": ["endpoint-1"],
            },
            {
                "uid": "signal-2", "type": "FINDING", "name": "Exfiltration:S3/AnomalousBehavior",
                "severity": 8, "count": 1, "firstSeenAt": "2026-03-04 04:55:00.5",
                "resourceUids": ["arn:aws:s3:::exposed"], "actorIds": ["actor-1"],
                "signalIndicators": [{ "key": "TOR_IP", "values": ["198.51.100.7"] }],
            },
        ],
        "sequenceIndicators": [{ "key": "ATTACK_TACTIC", "values": ["Exfiltration", "Impact"] }],
        "additionalSequenceTypes": ["AttackSequence:IAM/CompromisedCredentials"],
    });
    merge(&mut sequence, changes);
    event(json!({
        "type": "AttackSequence:S3/CompromisedData",
        "severity": 9,
        "resource": { "resourceType": "AttackSequence" },
        "service": { "featureName": "Correlation", "detection": { "sequence": sequence } },
    }))
}

/// When the findings of the tests come in.
pub const NOW: &str = "2026-03-04T05:06:07.5Z";
