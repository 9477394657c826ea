//! The buckets and findings that the tests begin with.

use serde_json::{Value, json};

use super::world::Bucket;
use fixtures::finding;
use model::finding::Finding;

pub(super) const EVERYBODY_READS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"TheMistake","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::exposed/*"}]}"#;
pub(super) const PARTNER_READS: &str = r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::exposed/*", "arn:aws:s3:::exposed"]}, "Version": "2012-10-17"}"#;

pub(super) fn public() -> Bucket {
    Bucket {
        policy: Some(EVERYBODY_READS.to_owned()),
        policy_is_public: true,
        ..Bucket::default()
    }
}

pub(super) fn shared() -> Bucket {
    Bucket {
        policy: Some(PARTNER_READS.to_owned()),
        ..Bucket::default()
    }
}

pub(super) fn made_public() -> Finding {
    finding(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": { "userType": "IAMUser", "userName": "admin", "principalId": "AIDAX" },
            "s3BucketDetails": [{ "name": "exposed" }],
        },
    }))
}

pub(super) fn data_access(details: Value) -> Finding {
    finding(json!({
        "type": "UnauthorizedAccess:S3/MaliciousIPCaller.Custom",
        "resource": {
            "resourceType": "S3Bucket",
            "accessKeyDetails": details,
            "s3BucketDetails": [{ "name": "exposed" }],
        },
        "service": { "action": { "awsApiCallAction": {
            "api": "GetObject", "remoteIpDetails": { "ipAddressV4": "198.51.100.7" },
        } } },
    }))
}

/// An anonymous caller got this error, the last of so many calls.
pub(super) fn refused_with(code: &str, count: u64) -> Finding {
    finding(json!({
        "type": "UnauthorizedAccess:S3/TorIPCaller",
        "resource": {
            "resourceType": "S3Bucket",
            "accessKeyDetails": anonymous(),
            "s3BucketDetails": [{ "name": "exposed" }],
        },
        "service": { "count": count, "action": { "awsApiCallAction": {
            "api": "ListObjects", "errorCode": code,
            "remoteIpDetails": { "ipAddressV4": "198.51.100.7" },
        } } },
    }))
}

pub(super) fn anonymous() -> Value {
    json!({ "userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL", "principalId": "ANONYMOUS_PRINCIPAL" })
}

pub(super) fn partner() -> Value {
    json!({ "userType": "AWSAccount", "userName": "other", "principalId": "AROAPARTNER:session" })
}
