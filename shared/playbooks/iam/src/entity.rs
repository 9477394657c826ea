//! The policies of a user or a role beside its inline policies: attached policies and the permissions boundary.
//!
//! IAM has each call in two spellings, one for users and one for roles.

use aws_sdk_iam::Client;

use super::deny_all::{DenyAll, is_deny_all};
use super::policy_document::Deny;
use aws::error::{CallContext, Result};
use aws::iam_policy::Entity;

/// Reads the policy under the name of one of ours.
pub(super) async fn policy(entity: Entity<'_>, client: &Client, policy: &str) -> Result<Deny> {
    let document = entity.policy(client, policy).await?;
    Ok(document.map_or(Deny::Absent, |document| Deny::from_encoded(&document)))
}

/// Whether `AWSDenyAll` is attached.
pub(super) async fn has_deny_all(entity: Entity<'_>, client: &Client) -> Result<bool> {
    let attached = match entity {
        Entity::User(name) => {
            let calls = client.list_attached_user_policies().user_name(name);
            let items = calls.into_paginator().items().send();
            let items = items.try_collect().await;
            items.during("iam:ListAttachedUserPolicies", name)?
        }
        Entity::Role(name) => {
            let calls = client.list_attached_role_policies().role_name(name);
            let items = calls.into_paginator().items().send();
            let items = items.try_collect().await;
            items.during("iam:ListAttachedRolePolicies", name)?
        }
    };
    Ok(attached
        .iter()
        .any(|policy| policy.policy_arn().is_some_and(is_deny_all)))
}

/// The policies beside our inline policy, as they are described now.
pub(super) async fn deny_all(entity: Entity<'_>, client: &Client) -> Result<DenyAll> {
    let boundary = match entity {
        Entity::User(name) => {
            let read = client.get_user().user_name(name).send().await;
            let user = read.during("iam:GetUser", name)?.user;
            user.and_then(|user| user.permissions_boundary)
        }
        Entity::Role(name) => {
            let read = client.get_role().role_name(name).send().await;
            let role = read.during("iam:GetRole", name)?.role;
            role.and_then(|role| role.permissions_boundary)
        }
    };
    Ok(DenyAll {
        attached: Some(has_deny_all(entity, client).await?),
        boundary: boundary.and_then(|boundary| boundary.permissions_boundary_arn),
    })
}

pub(super) async fn attach(entity: Entity<'_>, client: &Client, policy: &str) -> Result<()> {
    match entity {
        Entity::User(name) => {
            let call = client.attach_user_policy().user_name(name);
            let done = call.policy_arn(policy).send().await;
            done.during("iam:AttachUserPolicy", name).map(drop)
        }
        Entity::Role(name) => {
            let call = client.attach_role_policy().role_name(name);
            let done = call.policy_arn(policy).send().await;
            done.during("iam:AttachRolePolicy", name).map(drop)
        }
    }
}

pub(super) async fn put_boundary(entity: Entity<'_>, client: &Client, policy: &str) -> Result<()> {
    match entity {
        Entity::User(name) => {
            let call = client.put_user_permissions_boundary().user_name(name);
            let done = call.permissions_boundary(policy).send().await;
            done.during("iam:PutUserPermissionsBoundary", name)
                .map(drop)
        }
        Entity::Role(name) => {
            let call = client.put_role_permissions_boundary().role_name(name);
            let done = call.permissions_boundary(policy).send().await;
            done.during("iam:PutRolePermissionsBoundary", name)
                .map(drop)
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "release takes away what the responder attached"
)]
pub(super) async fn detach(entity: Entity<'_>, client: &Client, policy: &str) -> Result<()> {
    gone_is_done(match entity {
        Entity::User(name) => {
            let call = client.detach_user_policy().user_name(name);
            let done = call.policy_arn(policy).send().await;
            done.during("iam:DetachUserPolicy", name).map(drop)
        }
        Entity::Role(name) => {
            let call = client.detach_role_policy().role_name(name);
            let done = call.policy_arn(policy).send().await;
            done.during("iam:DetachRolePolicy", name).map(drop)
        }
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "release takes away the responder's own boundary"
)]
pub(super) async fn delete_boundary(entity: Entity<'_>, client: &Client) -> Result<()> {
    gone_is_done(match entity {
        Entity::User(name) => {
            let call = client.delete_user_permissions_boundary().user_name(name);
            let done = call.send().await;
            done.during("iam:DeleteUserPermissionsBoundary", name)
                .map(drop)
        }
        Entity::Role(name) => {
            let call = client.delete_role_permissions_boundary().role_name(name);
            let done = call.send().await;
            done.during("iam:DeleteRolePermissionsBoundary", name)
                .map(drop)
        }
    })
}

fn gone_is_done(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_gone() => Ok(()),
        result => result,
    }
}
