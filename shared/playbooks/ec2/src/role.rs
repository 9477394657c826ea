//! The role of an instance, and the policy that denies everything to the credentials of that one
//! instance.

use aws_sdk_iam::Client;
use serde_json::{Value, json};

use super::state::Role;
use aws::error::{CallContext, Error, Result};
use aws::iam_policy::{self, Entity, decoded};
use model::finding::Finding;

/// The policy's name: one for each instance, so that it is put once and found again.
pub(super) fn policy_name(instance: &str) -> String {
    format!("gdr-deny-{instance}")
}

/// Denies everything to the credentials that EC2 hands out on one instance, those that it has handed
/// out and those that it will. No other instance with the role is touched.
///
/// `region` is that of the instance, or `*` where it is not known: the id is one in all Regions, and `ArnEquals`
/// takes the sign. `ec2:SourceInstanceARN` travels with the credentials,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>; the
/// session's name is the instance's id, <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>.
pub(super) fn policy(finding: &Finding, region: &str, instance: &str, role_id: &str) -> Value {
    let arn = format!(
        "arn:{}:ec2:{region}:{}:instance/{instance}",
        finding.partition(),
        finding.account_id,
    );
    let by_instance = json!({ "ArnEquals": { "ec2:SourceInstanceARN": arn } });
    let by_user = json!({ "StringEquals": { "aws:userid": format!("{role_id}:{instance}") } });
    iam_policy::document([
        iam_policy::deny("GdrByInstanceArn", by_instance),
        iam_policy::deny("GdrByUserId", by_user),
    ])
}

/// Whether `found` denies what `wanted` does. A policy that names the instance in any Region does so for each; and
/// where the Region of the instance is not known, one that names it in any does.
pub(super) fn denies(found: &Value, wanted: &Value) -> bool {
    let any = in_any_region(wanted);
    found == wanted || *found == any || (*wanted == any && differs_in_region(found, wanted))
}

/// True if the two policies deny the same instance the same, by its ARN in this Region or that.
pub(super) fn differs_in_region(one: &Value, other: &Value) -> bool {
    in_any_region(one) == in_any_region(other)
}

/// The policy with any Region in the ARN of the instance.
fn in_any_region(policy: &Value) -> Value {
    let mut policy = policy.clone();
    let arn = policy.pointer_mut("/Statement/0/Condition/ArnEquals/ec2:SourceInstanceARN");
    if let Some(arn) = arn
        && let Some(text) = arn.as_str()
    {
        let mut parts: Vec<_> = text.split(':').collect();
        if let Some(region) = parts.get_mut(3) {
            *region = "*";
        }
        *arn = json!(parts.join(":"));
    }
    policy
}

/// The role of an instance profile. A profile has a name of its own, the last part of its ARN.
pub(super) async fn read(client: &Client, profile: Option<&str>) -> Result<Option<Role>> {
    let Some(name) = profile.and_then(|arn| arn.rsplit('/').next()) else {
        return Ok(None);
    };
    let answer = client
        .get_instance_profile()
        .instance_profile_name(name)
        .send()
        .await
        .during("iam:GetInstanceProfile", name)?;
    let roles = answer.instance_profile.map(|profile| profile.roles);
    let role = roles.unwrap_or_default().into_iter().next();
    Ok(role.map(|role| Role {
        name: role.role_name,
        arn: role.arn,
        id: role.role_id,
        path: role.path,
    }))
}

/// The policy of the role that denies the instance everything, if it has one of its name. One that is no JSON is
/// kept as text.
pub(super) async fn deny(client: &Client, instance: &str, role: &str) -> Result<Option<Value>> {
    let name = policy_name(instance);
    let document = Entity::Role(role).policy(client, &name).await?;
    Ok(document.map(|document| decoded(&document).unwrap_or_else(Value::String)))
}

pub(super) async fn put(client: &Client, role: &str, instance: &str, policy: &Value) -> Result<()> {
    let document = match policy {
        Value::String(text) => text.clone(),
        document => document.to_string(),
    };
    let name = policy_name(instance);
    match Entity::Role(role)
        .put_policy(client, &name, &document)
        .await
    {
        // A role has 10,240 characters for all of its inline policies, and managed policies beside them.
        Err(error) if error.has_code("LimitExceeded") => Err(Error::Refused(format!(
            "the credentials of {instance} still work, since the inline policies of the role {role} have no room \
             for the deny: make a managed policy of this document and attach it to the role, and take it off when \
             the instance is released: {document} ({error})"
        ))),
        put => put,
    }
}

/// Takes the responder's own policy off the role again. The operator's doing.
pub(super) async fn take_off(client: &Client, role: &str, instance: &str) -> Result<()> {
    let name = policy_name(instance);
    Entity::Role(role).delete_policy(client, &name).await
}
