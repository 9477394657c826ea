//! The finding on a victim, in the envelope in which EventBridge delivers GuardDuty's.

use std::collections::BTreeMap;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use remediation::error::{Error, Result};
use serde_json::{Value, json};

use crate::context::Context;

/// The subject of a finding.
#[derive(Clone, Debug)]
pub(crate) enum About {
    Bucket {
        name: String,
    },
    Key {
        key_id: String,
        user_id: String,
        user_name: String,
    },
    RoleSession {
        key_id: String,
        principal_id: String,
        role_name: String,
    },
    Instance {
        id: String,
        kind: String,
        interfaces: Vec<Interface>,
    },
    Function {
        name: String,
        role_arn: String,
    },
}

/// A network interface of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) id: String,
    pub(crate) private_address: String,
    pub(crate) public_address: Option<String>,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    /// Names by ids.
    pub(crate) groups: BTreeMap<String, String>,
}

/// A finding that was made up.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) id: String,
    pub(crate) finding_type: &'static str,
    pub(crate) event: Value,
}

/// The attacker's address: one that no one has, <https://www.rfc-editor.org/rfc/rfc5737>.
const ATTACKER: &str = "198.51.100.7";

/// A finding of a threat that is seen now.
///
/// # Errors
/// If the system has no randomness for its id.
pub(crate) fn finding(context: &Context<'_>, about: &About) -> Result<Finding> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        Error::Refused(format!(
            "the system gave no randomness for a finding's id: {error}"
        ))
    })?;
    let id = format!("{:032x}", u128::from_be_bytes(id));
    let seen = whole_second(context.now());
    let (finding_type, resource, action, role) = parts(context, about);
    let Context {
        account,
        region,
        partition,
        ..
    } = context;
    let detector = "0".repeat(32);
    let arn =
        format!("arn:{partition}:guardduty:{region}:{account}:detector/{detector}/finding/{id}");
    let told = format!(
        "Proof {} of the GuardDuty responder: a victim that it made itself",
        context.id
    );
    let event = json!({
        "version": "0",
        "id": format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]),
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": account,
        "time": seen,
        "region": region,
        "resources": [],
        "detail": {
            "schemaVersion": "2.0",
            "accountId": account,
            "region": region,
            "partition": partition,
            "id": id,
            "arn": arn,
            "type": finding_type,
            "resource": resource,
            "service": {
                "serviceName": "guardduty",
                "detectorId": detector,
                "action": action,
                "resourceRole": role,
                "additionalInfo": { "value": "{}", "type": "default" },
                "eventFirstSeen": seen,
                "eventLastSeen": seen,
                "archived": false,
                "count": 1,
            },
            "severity": 8,
            "createdAt": seen,
            "updatedAt": seen,
            "title": &told,
            "description": &told,
        },
    });
    Ok(Finding {
        id,
        finding_type,
        event,
    })
}

/// All that the proof made is older: a key younger than a finding counts as the thief's.
fn whole_second(now: Timestamp) -> String {
    let up = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Ceil);
    now.round(up).unwrap_or(now).to_string()
}

/// The type, the resource, the action and the resource's role.
fn parts(context: &Context<'_>, about: &About) -> (&'static str, Value, Value, &'static str) {
    let remote = json!({
        "ipAddressV4": ATTACKER,
        "organization": { "asn": "0", "asnOrg": "", "isp": "", "org": "" },
        "country": { "countryName": "" },
        "city": { "cityName": "" },
        "geoLocation": { "lat": 0.0, "lon": 0.0 },
    });
    let call = |api: &str, affected: Value| {
        json!({
            "actionType": "AWS_API_CALL",
            "awsApiCallAction": {
                "api": api,
                "serviceName": "s3.amazonaws.com",
                "callerType": "Remote IP",
                "remoteIpDetails": &remote,
                "affectedResources": affected,
            },
        })
    };
    let credentials = |key: &str, principal: &str, kind: &str, name: &str| {
        json!({
            "resourceType": "AccessKey",
            "accessKeyDetails": {
                "accessKeyId": key, "principalId": principal, "userType": kind, "userName": name,
            },
        })
    };
    let stolen = "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom";
    match about {
        About::Bucket { name } => (
            "Policy:S3/BucketAnonymousAccessGranted",
            bucket(context, name),
            call("PutBucketPolicy", json!({ "AWS::S3::Bucket": name })),
            "TARGET",
        ),
        About::Key {
            key_id,
            user_id,
            user_name,
        } => (
            stolen,
            credentials(key_id, user_id, "IAMUser", user_name),
            call("ListObjects", json!({})),
            "TARGET",
        ),
        About::RoleSession {
            key_id,
            principal_id,
            role_name,
        } => (
            stolen,
            credentials(key_id, principal_id, "AssumedRole", role_name),
            call("ListObjects", json!({})),
            "TARGET",
        ),
        About::Instance {
            id,
            kind,
            interfaces,
        } => (
            "Backdoor:EC2/C&CActivity.B",
            instance(id, kind, interfaces),
            connection(interfaces.first(), &remote),
            "ACTOR",
        ),
        About::Function { name, role_arn } => (
            "Backdoor:Lambda/C&CActivity.B",
            function(context, name, role_arn),
            connection(None, &remote),
            "ACTOR",
        ),
    }
}

fn bucket(context: &Context<'_>, name: &str) -> Value {
    let permissions = |public: bool| {
        json!({
            "allowsPublicReadAccess": public, "allowsPublicWriteAccess": false,
        })
    };
    let off = json!({
        "ignorePublicAcls": false, "restrictPublicBuckets": false,
        "blockPublicAcls": false, "blockPublicPolicy": false,
    });
    json!({
        "resourceType": "AccessKey",
        // Who opened it to the world.
        "accessKeyDetails": {
            "accessKeyId": "AKIA0000000000000000",
            "principalId": "AIDA00000000000000000",
            "userType": "IAMUser",
            "userName": "nobody",
        },
        "s3BucketDetails": [{
            "arn": format!("arn:{}:s3:::{name}", context.partition),
            "name": name,
            "type": "Destination",
            "tags": [],
            "publicAccess": {
                "permissionConfiguration": {
                    "bucketLevelPermissions": {
                        "accessControlList": permissions(false),
                        "bucketPolicy": permissions(true),
                        "blockPublicAccess": &off,
                    },
                    "accountLevelPermissions": { "blockPublicAccess": &off },
                },
                "effectivePermission": "PUBLIC",
            },
        }],
    })
}

fn instance(id: &str, kind: &str, interfaces: &[Interface]) -> Value {
    let interfaces: Vec<_> = interfaces
        .iter()
        .map(|interface| {
            let groups = interface.groups.iter();
            let groups = groups.map(|(id, name)| json!({ "groupId": id, "groupName": name }));
            json!({
                "networkInterfaceId": interface.id,
                "privateIpAddress": interface.private_address,
                "privateDnsName": "",
                "publicIp": interface.public_address,
                "ipv6Addresses": [],
                "subnetId": interface.subnet,
                "vpcId": interface.vpc,
                "securityGroups": groups.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "resourceType": "Instance",
        "instanceDetails": {
            "instanceId": id,
            "instanceType": kind,
            "platform": null,
            "productCodes": [],
            "iamInstanceProfile": null,
            "networkInterfaces": interfaces,
            "tags": [],
            "instanceState": "running",
        },
    })
}

fn function(context: &Context<'_>, name: &str, role_arn: &str) -> Value {
    let Context {
        account,
        region,
        partition,
        ..
    } = context;
    json!({
        "resourceType": "Lambda",
        "lambdaDetails": {
            "functionArn": format!("arn:{partition}:lambda:{region}:{account}:function:{name}:$LATEST"),
            "functionName": name,
            "functionVersion": "$LATEST",
            "role": role_arn,
            "vpcConfig": null,
            "tags": [],
        },
    })
}

fn connection(local: Option<&Interface>, remote: &Value) -> Value {
    let local = local.map(|it| it.private_address.as_str());
    json!({
        "actionType": "NETWORK_CONNECTION",
        "networkConnectionAction": {
            "connectionDirection": "OUTBOUND",
            "protocol": "TCP",
            "blocked": false,
            "localPortDetails": { "port": 49152, "portName": "Unknown" },
            "remotePortDetails": { "port": 443, "portName": "HTTPS" },
            "localIpDetails": { "ipAddressV4": local.unwrap_or_default() },
            "remoteIpDetails": remote,
        },
    })
}
