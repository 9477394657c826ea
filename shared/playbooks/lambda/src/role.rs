//! The role of a function, and the policy that denies everything to the credentials of that one function.

use aws_sdk_iam::Client;
use serde_json::{Value, json};

use super::state::Role;
use aws::error::{CallContext, Error, Result};
use aws::iam_policy::{self, Entity, decoded};
use model::finding::Finding;

/// The policy's name: one for each function. Functions of one role may have one name in several Regions.
pub(super) fn policy_name(finding: &Finding, function: &str) -> String {
    format!("gdr-deny-function-{}-{function}", finding.region)
}

/// Denies everything to the credentials that Lambda hands out to one function, those that it has handed out and
/// those that it will. No other function with the role is touched.
///
/// Calls from the function's execution environment carry `lambda:SourceFunctionArn`, and so do Lambda's own calls for
/// its logs, its traces and its mount of EFS,
/// <https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html>. Stolen credentials are used
/// elsewhere: they are known by the name of their session, which is the function's. A function of that name in
/// another Region, with the same role, has its own ARN in its calls, and so is not meant.
pub(super) fn policy(finding: &Finding, function: &str, role_id: &str) -> Value {
    let arn = finding.function_arn(function);
    let by_function = json!({ "ArnEquals": { "lambda:SourceFunctionArn": arn } });
    let by_user = json!({
        "StringEquals": { "aws:userid": format!("{role_id}:{function}") },
        "Null": { "lambda:SourceFunctionArn": "true" },
    });
    iam_policy::document([
        iam_policy::deny("GdrByFunctionArn", by_function),
        iam_policy::deny("GdrByUserId", by_user),
    ])
}

/// Reads a role by its ARN, and our policy of it.
pub(super) async fn read(client: &Client, arn: &str, policy: &str) -> Role {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let id = async {
        let described = client.get_role().role_name(name).send().await;
        let role = described.during("iam:GetRole", name)?.role;
        let role = role.ok_or_else(|| Error::Refused(format!("IAM shows nothing of {name}")))?;
        Ok(role.role_id)
    };
    let deny = async {
        let document = Entity::Role(name).policy(client, policy).await?;
        Ok(document.map(|document| decoded(&document).unwrap_or_else(Value::String)))
    };
    let (id, deny) = futures::join!(Box::pin(id), Box::pin(deny));
    Role {
        name: name.to_owned(),
        arn: arn.to_owned(),
        id,
        deny,
    }
}

pub(super) async fn put(client: &Client, role: &str, policy: &str, document: &Value) -> Result<()> {
    let text = match document {
        Value::String(text) => text.clone(),
        document => document.to_string(),
    };
    match Entity::Role(role).put_policy(client, policy, &text).await {
        // A role has 10,240 characters for all of its inline policies, and managed policies beside them.
        Err(error) if error.has_code("LimitExceeded") => Err(Error::Refused(format!(
            "the credentials of the function still work, since the inline policies of the role {role} have no room \
             for the deny: make a managed policy of this document and attach it to the role, and take it off when \
             the function is released: {text} ({error})"
        ))),
        put => put,
    }
}
