//! Buckets, as everybody is told of them.

use super::*;
use fixtures::enforcing;
use fixtures::golden::{Story, called};
use model::decision::ResponseMode;
use model::report::Status;

/// What GuardDuty says of a bucket whose policy was opened to everybody.
fn opened() -> Value {
    json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "severity": 8,
        "title": "Amazon S3 Public Anonymous Access was granted for the S3 bucket exposed.",
        "description": "Amazon S3 Public Anonymous Access was granted for the S3 bucket exposed by admin \
                        calling PutBucketPolicy. This could lead to unauthorized data access.",
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": {
                "accessKeyId": "AKIAIOSFODNN7EXAMPL1", "principalId": "AIDAEXAMPLEADMIN00001",
                "userName": "admin", "userType": "IAMUser",
            },
            "s3BucketDetails": [{
                "arn": "arn:aws:s3:::exposed", "name": "exposed", "type": "Destination",
                "tags": [{ "key": "Owner", "value": "team-data" }],
                "publicAccess": { "effectivePermission": "PUBLIC" },
            }],
        },
        "service": { "action": called("PutBucketPolicy", "s3.amazonaws.com") },
    })
}

/// The policy was put at 04:50, as CloudTrail shows.
fn exposed() -> World {
    world(Bucket {
        calls: vec![("PutBucketPolicy", 1_772_599_800, false)],
        access_points: vec!["analytics"],
        ..public()
    })
}

fn playbook(world: &World) -> S3 {
    let clients = world.playbook.clients.clone();
    S3 { clients }
}

#[tokio::test(start_paused = true)]
async fn a_public_bucket_that_is_contained() {
    let world = exposed();
    let mut story = Story::of("bucket-contained", 1, opened());
    let responder = story.function(playbook(&world), enforcing());
    let report = story.delivered(&responder).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(world.flags(), [true; 4]);
    story.hold("", &report);
    story.ends::<S3>().await;
}

#[tokio::test(start_paused = true)]
async fn a_public_bucket_that_waits_for_a_person() {
    let world = exposed();
    let mut story = Story::of("bucket-awaits-approval", 2, opened());
    let mut config = enforcing();
    config.policy.mode = ResponseMode::Approve;
    let responder = story.function(playbook(&world), config);
    let report = story.delivered(&responder).await;
    assert!(report.approval().is_some(), "{}", report.to_line());
    assert_eq!(world.flags(), [false; 4]);
    story.hold("", &report);
    story.ends::<S3>().await;
}

/// What GuardDuty says of an object in which its scan found malware.
fn malicious() -> Value {
    json!({
        "type": "Object:S3/MaliciousFile",
        "severity": 8,
        "title": "A malicious file has been detected in your S3 object in/tool.exe.",
        "description": "A malware scan on your S3 object arn:aws:s3:::exposed/in/tool.exe has detected a security \
                        risk EICAR-Test-File.",
        "resource": {
            "resourceType": "S3Object",
            "s3BucketDetails": [{
                "arn": "arn:aws:s3:::exposed", "name": "exposed",
                "tags": [{ "key": "Owner", "value": "team-data" }],
                "s3ObjectDetails": [{
                    "objectArn": "arn:aws:s3:::exposed/in/tool.exe", "key": "in/tool.exe",
                    "eTag": "22", "hash": "275a021bbfb6489e54d471899f7db9d1", "versionId": "v2",
                }],
            }],
        },
        "service": { "featureName": "MalwareProtectionForS3" },
    })
}

#[tokio::test(start_paused = true)]
async fn a_malicious_object_that_is_quarantined() {
    let world = world(super::quarantine::uploads());
    let mut story = Story::of("object-quarantined", 13, malicious());
    let mut config = enforcing();
    config.policy.quarantine_objects = true;
    let responder = story.function(playbook(&world), config);
    let report = story.delivered(&responder).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(!world.reader_gets("in/tool.exe", Some("v2")));
    story.hold("", &report);
    story.ends::<S3>().await;
}
