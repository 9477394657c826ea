//! Removing users and roles with their keys and inline policies.

use remediation::error::{CallContext as _, Result};

use crate::context::Context;
use crate::own::Own;

pub(super) async fn user(context: &Context<'_>, own: &Own) -> Result<()> {
    let iam = &context.iam;
    let keys = iam.list_access_keys().user_name(own.id()).send().await;
    let keys = keys.during("iam:ListAccessKeys", own.id())?;
    for key in keys.access_key_metadata() {
        delete_key(context, own, key.access_key_id().unwrap_or_default()).await?;
    }
    let policies = iam.list_user_policies().user_name(own.id()).send().await;
    let policies = policies.during("iam:ListUserPolicies", own.id())?;
    for policy in policies.policy_names() {
        delete_user_policy(context, own, policy).await?;
    }
    delete_user(context, own).await
}

pub(super) async fn role(context: &Context<'_>, own: &Own) -> Result<()> {
    let policies = context.iam.list_role_policies().role_name(own.id());
    let policies = policies.send().await;
    let policies = policies.during("iam:ListRolePolicies", own.id())?;
    for policy in policies.policy_names() {
        delete_role_policy(context, own, policy).await?;
    }
    delete_role(context, own).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "a key of a user that the proof made: IAM deletes no user that has keys"
)]
async fn delete_key(context: &Context<'_>, user: &Own, key: &str) -> Result<()> {
    let call = context.iam.delete_access_key().user_name(user.id());
    let done = call.access_key_id(key).send().await;
    done.during("iam:DeleteAccessKey", user.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an inline policy of a user that the proof made: IAM deletes no user that has policies"
)]
async fn delete_user_policy(context: &Context<'_>, user: &Own, policy: &str) -> Result<()> {
    let call = context.iam.delete_user_policy().user_name(user.id());
    let done = call.policy_name(policy).send().await;
    done.during("iam:DeleteUserPolicy", user.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a user that the proof made, with its tag read"
)]
async fn delete_user(context: &Context<'_>, user: &Own) -> Result<()> {
    let done = context.iam.delete_user().user_name(user.id()).send().await;
    done.during("iam:DeleteUser", user.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an inline policy of a role that the proof made: IAM deletes no role that has policies"
)]
async fn delete_role_policy(context: &Context<'_>, role: &Own, policy: &str) -> Result<()> {
    let call = context.iam.delete_role_policy().role_name(role.id());
    let done = call.policy_name(policy).send().await;
    done.during("iam:DeleteRolePolicy", role.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a role that the proof made, with its tag read"
)]
async fn delete_role(context: &Context<'_>, role: &Own) -> Result<()> {
    let done = context.iam.delete_role().role_name(role.id()).send().await;
    done.during("iam:DeleteRole", role.id()).map(drop)
}
