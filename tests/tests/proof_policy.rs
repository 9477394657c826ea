//! The IAM policy for whoever runs `gdr prove`: all that the proof calls and nothing else, and what it removes is
//! held to the proof's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use integration_tests::checkout;
use playbooks::permissions;
use remediation::category::Category;
use remediation::config::Config;
use serde_json::Value;

/// Actions that the functions may do and a proof never does, each with the reason.
const NEVER: &[(&str, &str)] = &[
    ("autoscaling:DetachInstances", NO_GROUP),
    ("autoscaling:EnterStandby", NO_GROUP),
    (
        "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
        NO_BALANCER,
    ),
    ("elasticloadbalancing:DeregisterTargets", NO_BALANCER),
    ("ec2:AuthorizeSecurityGroupEgress", BY_SETTING),
    ("ec2:DisassociateAddress", BY_SETTING),
    ("ec2:ModifyInstanceMetadataOptions", BY_SETTING),
    ("iam:AttachRolePolicy", HAS_ROOM),
    ("iam:AttachUserPolicy", HAS_ROOM),
    ("iam:PutRolePermissionsBoundary", HAS_ROOM),
    ("iam:PutUserPermissionsBoundary", HAS_ROOM),
    ("iam:UpdateServiceSpecificCredential", "the user has none"),
    ("s3:PutAccountPublicAccessBlock", BY_SETTING),
];
const NO_GROUP: &str = "the instance is in no Auto Scaling group";
const NO_BALANCER: &str = "the instance is behind no load balancer";
const BY_SETTING: &str = "a setting does that, which is off by default";
const HAS_ROOM: &str = "the inline policies leave room";

/// Operations that need no permission, or is called with the credentials that were made for a victim; and the name under
/// which a tag is put together, without a call.
const NEEDS_NONE: &[&str] = &[
    "iam:TagResource",
    "sts:GetCallerIdentity",
    "sts:GetSessionToken",
];

/// What AWS asks for beside the operation that is called, with what asks for it.
const BESIDE: &[(&str, &str)] = &[
    ("dynamodb:Query", "the record, for the release"),
    ("dynamodb:TagResource", "dynamodb:CreateTable with tags"),
    ("dynamodb:UpdateItem", "the record"),
    ("iam:PassRole", "lambda:CreateFunction with a role"),
    ("iam:TagRole", "iam:CreateRole with tags"),
    ("iam:TagUser", "iam:CreateUser with tags"),
    (
        "lambda:DeleteFunctionConcurrency",
        "the release of a function that had none",
    ),
    ("lambda:TagResource", "lambda:CreateFunction with tags"),
    ("s3:TagResource", "s3:CreateBucket with tags"),
    (
        "ssm:GetParameters",
        "ec2:RunInstances with the image of a public parameter",
    ),
];

/// Only with `--stack`: docs/prove.md says so.
const WITH_A_STACK: &[&str] = &["cloudformation", "sns", "sqs", "ssm"];

/// Services whose resources the functions contain, or read about.
const CONTAINS: &[&str] = &[
    "autoscaling",
    "cloudtrail",
    "ec2",
    "elasticloadbalancing",
    "iam",
    "lambda",
    "s3",
];

fn policy() -> Value {
    let text = std::fs::read_to_string(checkout().join("infra/prove-policy.json"));
    serde_json::from_str(&text.expect("the policy")).expect("JSON")
}

fn several(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// The statements of each action.
fn statements(policy: &Value) -> BTreeMap<&str, Vec<&Value>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for statement in policy["Statement"].as_array().expect("statements") {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        for action in several(&statement["Action"]) {
            found.entry(action).or_default().push(statement);
        }
    }
    found
}

/// The operations that the proof's sources name where they call AWS, as IAM calls them.
fn called() -> BTreeSet<String> {
    fn collect(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source file");
            let text = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default();
            found.extend(text.split('"').skip(1).step_by(2).filter_map(operation));
        }
    }
    let mut found = BTreeSet::new();
    collect(&checkout().join("shared/proof/src"), &mut found);
    found
}

/// `service:Operation`, if a text is that.
fn operation(text: &str) -> Option<String> {
    let (service, operation) = text.split_once(':')?;
    let is_service = !service.is_empty()
        && service
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let is_operation = operation.starts_with(|it: char| it.is_ascii_uppercase())
        && operation.bytes().all(|it| it.is_ascii_alphanumeric());
    (is_service && is_operation).then(|| text.to_owned())
}

/// The actions of the functions that contain a proof's victims.
fn contained() -> BTreeSet<String> {
    let enforcing = [
        ("DRY_RUN", "false"),
        ("OWN_ACCOUNT_ID", "111122223333"),
        ("RESPONSE_MODE", "contain"),
    ];
    let enforcing = enforcing.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::from_variables(&BTreeMap::from(enforcing));
    let all = Category::CONTAINING.into_iter();
    let all = all.flat_map(|category| permissions::of(category, &config));
    let never = |action: &str| NEVER.iter().any(|(name, _)| *name == action);
    all.filter(|action| {
        let service = action.split(':').next().unwrap_or_default();
        CONTAINS.contains(&service) && !never(action)
    })
    .map(ToOwned::to_owned)
    .collect()
}

#[test]
fn the_policy_of_a_proof_grants_its_calls_and_nothing_else() {
    let policy = policy();
    let granted = statements(&policy);
    let with_a_stack = |action: &str| {
        let service = action.split(':').next().unwrap_or_default();
        WITH_A_STACK.contains(&service)
    };
    let needed = called().into_iter();
    let needed = needed.filter(|it| !NEEDS_NONE.contains(&it.as_str()) && !with_a_stack(it));
    let needed: BTreeSet<_> = needed.chain(contained()).collect();
    assert!(needed.len() > 60, "{needed:?}");
    let missing: Vec<_> = needed
        .iter()
        .filter(|action| !granted.contains_key(action.as_str()))
        .collect();
    assert!(missing.is_empty(), "not granted: {missing:#?}");
    let beside: BTreeSet<_> = BESIDE.iter().map(|(action, _)| *action).collect();
    let more: Vec<_> = granted
        .keys()
        .filter(|action| !needed.contains(**action) && !beside.contains(*action))
        .collect();
    assert!(more.is_empty(), "granted, and not needed: {more:#?}");
}

#[test]
fn removals_are_limited_to_the_tag_or_the_names_of_a_proof() {
    let removes = [
        "Delete",
        "Detach",
        "Disassociate",
        "Release",
        "Stop",
        "Terminate",
    ];
    let of_proofs = [
        "arn:aws:s3:::gdr-proof-*",
        "arn:aws:iam::*:user/gdr-proof/*",
        "arn:aws:iam::*:role/gdr-proof/*",
        "arn:aws:dynamodb:*:*:table/gdr-proof-*",
        "arn:aws:lambda:*:*:function:gdr-proof-*",
    ];
    let policy = policy();
    let mut held = 0;
    for (action, statements) in statements(&policy) {
        assert!(!action.contains('*'), "{action}");
        let operation = action.split(':').nth(1).unwrap_or_default();
        if !removes.iter().any(|verb| operation.starts_with(verb)) {
            continue;
        }
        for statement in statements {
            let tagged = statement["Condition"]["Null"]["aws:ResourceTag/gdr:proof"] == "false";
            let resources = several(&statement["Resource"]);
            let named = resources.iter().all(|it| of_proofs.contains(it));
            let id = statement["Sid"].as_str().unwrap_or_default();
            let says_so = if tagged {
                id.ends_with("HasTheTag")
            } else {
                id.ends_with("ByName") || id.ends_with("ByPath")
            };
            assert!(
                tagged || named,
                "{action} may remove what is no proof's: {statement}"
            );
            assert!(says_so, "{id} does not say by what it is held");
            held += 1;
        }
    }
    assert!(held > 15, "{held} of them");
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>: without white space.
#[test]
fn it_fits_into_a_managed_policy() {
    let length = policy().to_string().len();
    assert!(length <= 6_144, "{length} characters");
}
