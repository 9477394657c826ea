//! The events that mutations begin with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::fixtures::{event, user_detail};

/// The repository's own events, and those of the folder that `FINDINGS_CORPUS` names.
#[expect(clippy::disallowed_methods, reason = "the folder is the tester's")]
pub(super) fn seeds() -> &'static [Value] {
    static SEEDS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let mut seeds = own();
        match std::env::var_os("FINDINGS_CORPUS") {
            Some(folder) => {
                let mut files = Vec::new();
                list(Path::new(&folder), &mut files);
                files.sort();
                let before = seeds.len();
                seeds.extend(files.iter().flat_map(|file| read(file)));
                assert!(seeds.len() > before, "no JSON in {}", folder.display());
            }
            None => eprintln!(
                "FINDINGS_CORPUS is not set: only the repository's own events are mutated"
            ),
        }
        seeds
    });
    &SEEDS
}

/// One event for each way that a finding can take, and those that the end-to-end tests send.
pub(super) fn own() -> Vec<Value> {
    let bucket = |kind: &str, details: Value| {
        event(json!({
            "type": kind,
            "resource": {
                "resourceType": "S3Bucket",
                "accessKeyDetails": details,
                "s3BucketDetails": [{ "name": "exposed", "arn": "arn:aws:s3:::exposed",
                    "tags": [{ "key": "gdr:public-ok", "value": "yes" }] }],
            },
            "service": { "action": { "actionType": "AWS_API_CALL", "awsApiCallAction": {
                "api": "GetObject", "remoteIpDetails": { "ipAddressV4": "198.51.100.7" },
                "remoteAccountDetails": { "accountId": "999988887777" },
            } } },
        }))
    };
    let by = |kind: &str, principal_id: &str| {
        event(json!({
            "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
            "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
                "accessKeyId": "ASIASESSION000000000", "principalId": principal_id,
                "userName": "payroll", "userType": kind,
            } },
        }))
    };
    let instance = json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance",
            "instanceDetails": { "instanceId": "i-0abc1234def567890" } },
        "service": { "resourceRole": "ACTOR", "action": { "actionType": "NETWORK_CONNECTION",
            "networkConnectionAction": { "connectionDirection": "OUTBOUND",
                "remoteIpDetails": { "ipAddressV4": "198.51.100.7" } } } },
    });
    let anonymous = json!({ "userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL",
        "principalId": "ANONYMOUS_PRINCIPAL" });
    let partner = json!({ "userType": "AWSAccount", "userName": "other",
        "principalId": "AROAPARTNER:session" });
    let cluster = json!({ "type": "Execution:Kubernetes/ExecInKubeSystemPod",
        "resource": { "resourceType": "EKSCluster" } });
    let mut own = vec![
        bucket("UnauthorizedAccess:S3/MaliciousIPCaller.Custom", anonymous),
        bucket("UnauthorizedAccess:S3/MaliciousIPCaller.Custom", partner),
        bucket("Policy:S3/BucketAnonymousAccessGranted", json!(null)),
        event(user_detail("mallory")),
        by("AssumedRole", "AROAPAYROLL:build-42"),
        by("FederatedUser", "111122223333:guest"),
        event(instance.clone()),
        event(cluster),
        // Without its envelope.
        event(instance)["detail"].take(),
    ];
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
    let mut files = Vec::new();
    list(Path::new(fixtures), &mut files);
    files.sort();
    let sent: Vec<_> = files.iter().flat_map(|file| read(file)).collect();
    assert!(!sent.is_empty(), "no events in {fixtures}");
    own.extend(sent);
    own
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The events of a file: one, or a list of them. What is no JSON is no seed.
fn read(file: &Path) -> Vec<Value> {
    let text = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let listed = |value: &mut Value| match value.take() {
        Value::Array(events) => events,
        one => vec![one],
    };
    match serde_json::from_slice::<Value>(&text) {
        Ok(mut value) => match ["Findings", "findings"]
            .into_iter()
            .find(|name| value[*name].is_array())
        {
            Some(name) => listed(&mut value[name]),
            None => listed(&mut value),
        },
        Err(error) => {
            eprintln!("{} is no seed: {error}", file.display());
            Vec::new()
        }
    }
}
