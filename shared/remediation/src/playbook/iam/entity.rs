//! The calls that IAM has in two spellings, one for users and one for roles.

use aws_sdk_iam::Client;

use super::deny_all::{DenyAll, is_deny_all};
use super::policy_document::Deny;
use crate::error::{CallContext, Result};

/// A user or a role of this account, by name. Every call names it: without a name, IAM takes the
/// caller's own.
#[derive(Clone, Copy)]
pub(super) enum Entity<'a> {
    User(&'a str),
    Role(&'a str),
}

impl<'a> Entity<'a> {
    pub(super) fn name(self) -> &'a str {
        let (Self::User(name) | Self::Role(name)) = self;
        name
    }

    pub(super) async fn put_policy(
        self,
        client: &Client,
        policy: &str,
        document: &str,
    ) -> Result<()> {
        match self {
            Self::User(name) => {
                let call = client.put_user_policy().user_name(name).policy_name(policy);
                let done = call.policy_document(document).send().await;
                done.during("iam:PutUserPolicy", name).map(drop)
            }
            Self::Role(name) => {
                let call = client.put_role_policy().role_name(name).policy_name(policy);
                let done = call.policy_document(document).send().await;
                done.during("iam:PutRolePolicy", name).map(drop)
            }
        }
    }

    /// A missing policy and a missing entity have the same code; the call that describes the entity
    /// tells the two apart.
    pub(super) async fn policy(self, client: &Client, policy: &str) -> Result<Deny> {
        let document = match self {
            Self::User(name) => {
                let call = client.get_user_policy().user_name(name).policy_name(policy);
                let read = call.send().await.during("iam:GetUserPolicy", name);
                read.map(|policy| policy.policy_document)
            }
            Self::Role(name) => {
                let call = client.get_role_policy().role_name(name).policy_name(policy);
                let read = call.send().await.during("iam:GetRolePolicy", name);
                read.map(|policy| policy.policy_document)
            }
        };
        match document {
            Ok(document) => Ok(Deny::from_encoded(&document)),
            Err(error) if error.is_gone() => Ok(Deny::Absent),
            Err(error) => Err(error),
        }
    }

    /// Whether `AWSDenyAll` is attached.
    pub(super) async fn has_deny_all(self, client: &Client) -> Result<bool> {
        let attached = match self {
            Self::User(name) => {
                let calls = client.list_attached_user_policies().user_name(name);
                let items = calls.into_paginator().items().send();
                let items = items.try_collect().await;
                items.during("iam:ListAttachedUserPolicies", name)?
            }
            Self::Role(name) => {
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

    /// What stands beside our inline policy, described anew.
    pub(super) async fn deny_all(self, client: &Client) -> Result<DenyAll> {
        let boundary = match self {
            Self::User(name) => {
                let read = client.get_user().user_name(name).send().await;
                let user = read.during("iam:GetUser", name)?.user;
                user.and_then(|user| user.permissions_boundary)
            }
            Self::Role(name) => {
                let read = client.get_role().role_name(name).send().await;
                let role = read.during("iam:GetRole", name)?.role;
                role.and_then(|role| role.permissions_boundary)
            }
        };
        Ok(DenyAll {
            attached: Some(self.has_deny_all(client).await?),
            boundary: boundary.and_then(|boundary| boundary.permissions_boundary_arn),
        })
    }

    pub(super) async fn attach(self, client: &Client, policy: &str) -> Result<()> {
        match self {
            Self::User(name) => {
                let call = client.attach_user_policy().user_name(name);
                let done = call.policy_arn(policy).send().await;
                done.during("iam:AttachUserPolicy", name).map(drop)
            }
            Self::Role(name) => {
                let call = client.attach_role_policy().role_name(name);
                let done = call.policy_arn(policy).send().await;
                done.during("iam:AttachRolePolicy", name).map(drop)
            }
        }
    }

    pub(super) async fn put_boundary(self, client: &Client, policy: &str) -> Result<()> {
        match self {
            Self::User(name) => {
                let call = client.put_user_permissions_boundary().user_name(name);
                let done = call.permissions_boundary(policy).send().await;
                done.during("iam:PutUserPermissionsBoundary", name)
                    .map(drop)
            }
            Self::Role(name) => {
                let call = client.put_role_permissions_boundary().role_name(name);
                let done = call.permissions_boundary(policy).send().await;
                done.during("iam:PutRolePermissionsBoundary", name)
                    .map(drop)
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "release takes away the responder's own policy"
    )]
    pub(super) async fn delete_policy(self, client: &Client, policy: &str) -> Result<()> {
        gone_is_done(match self {
            Self::User(name) => {
                let call = client.delete_user_policy().user_name(name);
                let done = call.policy_name(policy).send().await;
                done.during("iam:DeleteUserPolicy", name).map(drop)
            }
            Self::Role(name) => {
                let call = client.delete_role_policy().role_name(name);
                let done = call.policy_name(policy).send().await;
                done.during("iam:DeleteRolePolicy", name).map(drop)
            }
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "release takes away what the responder attached"
    )]
    pub(super) async fn detach(self, client: &Client, policy: &str) -> Result<()> {
        gone_is_done(match self {
            Self::User(name) => {
                let call = client.detach_user_policy().user_name(name);
                let done = call.policy_arn(policy).send().await;
                done.during("iam:DetachUserPolicy", name).map(drop)
            }
            Self::Role(name) => {
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
    pub(super) async fn delete_boundary(self, client: &Client) -> Result<()> {
        gone_is_done(match self {
            Self::User(name) => {
                let call = client.delete_user_permissions_boundary().user_name(name);
                let done = call.send().await;
                done.during("iam:DeleteUserPermissionsBoundary", name)
                    .map(drop)
            }
            Self::Role(name) => {
                let call = client.delete_role_permissions_boundary().role_name(name);
                let done = call.send().await;
                done.during("iam:DeleteRolePermissionsBoundary", name)
                    .map(drop)
            }
        })
    }
}

fn gone_is_done(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_gone() => Ok(()),
        result => result,
    }
}
