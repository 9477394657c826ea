//! Makes the changes, and puts back what they found.

use std::time::Duration;

use aws_sdk_iam::types::StatusType;
use serde_json::Value;
use tokio::time::sleep;

use super::change::Change;
use super::deny_all::{DenyAll, deny_all_arn, is_deny_all};
use super::entity::Entity;
use super::mark;
use super::policy_document::Deny;
use super::{Iam, ROLE_POLICY, USER_POLICY, session_policy};
use crate::error::{CallContext, Error, Result};
use crate::plan::Action;

/// IAM refuses a change while another one to the same entity is under way, and the SDK does not
/// retry that.
const CONFLICTS: [&str; 2] = ["ConcurrentModification", "EntityTemporarilyUnmodifiable"];
const CONFLICT_PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// IAM's code for a quota that is used up. It is not about the rate of calls.
const QUOTA_USED_UP: &str = "LimitExceeded";

impl Iam {
    pub(super) async fn change(&self, action: &Change) -> Result<()> {
        let document = action.to().to_string();
        match action {
            Change::RevokeUserSessions { user, arn, .. } => {
                self.deny(Entity::User(user), arn, USER_POLICY, &document, true)
                    .await
            }
            Change::DeactivateAccessKey { user, key, .. } => {
                self.set_key(user, key, &StatusType::Inactive).await
            }
            Change::DenyRoleSession {
                role,
                arn,
                session,
                role_wide,
                ..
            } => {
                let policy = session_policy(session);
                self.deny(Entity::Role(role), arn, &policy, &document, *role_wide)
                    .await
            }
            Change::RevokeRoleSessions { role, arn, .. } => {
                self.deny(Entity::Role(role), arn, ROLE_POLICY, &document, true)
                    .await
            }
            Change::MarkContained { arn } => {
                patiently(async || mark::set(&self.client, arn).await).await
            }
        }
    }

    /// Puts the narrow inline policy. Where there is no room for it, and only if `wider` means are
    /// allowed, attaches `AWSDenyAll`; where nothing more can be attached, makes it the boundary.
    async fn deny(
        &self,
        entity: Entity<'_>,
        arn: &str,
        policy: &str,
        document: &str,
        wider: bool,
    ) -> Result<()> {
        let inline =
            patiently(async || entity.put_policy(&self.client, policy, document).await).await;
        if !quota_used_up(&inline) {
            return inline;
        }
        if !wider {
            return Err(Error::Refused(format!(
                "iam:PutRolePolicy on {name}: {QUOTA_USED_UP}: the inline policies of {name} leave no room \
                 for this one, and AWSDenyAll would hit every session of {name}. Make a managed policy \
                 of this document and attach it, or shorten an inline policy and let the function run \
                 again, or set IAM_ROLE_WIDE: {document}",
                name = entity.name(),
            )));
        }
        let deny_all = deny_all_arn(arn);
        let attached = patiently(async || entity.attach(&self.client, &deny_all).await).await;
        if !quota_used_up(&attached) {
            attached?;
            // Observing goes on without this answer, so that it stops no containment. Here the
            // containment stands and falls with it, so its failure is told.
            return entity.has_deny_all(&self.client).await.map(drop);
        }
        patiently(async || entity.put_boundary(&self.client, &deny_all).await).await
    }

    async fn set_key(&self, user: &str, key: &str, status: &StatusType) -> Result<()> {
        patiently(async || {
            // Without the user's name the call would be about the caller's own key.
            let call = self
                .client
                .update_access_key()
                .user_name(user)
                .access_key_id(key);
            let done = call.status(status.clone()).send().await;
            done.during("iam:UpdateAccessKey", key).map(drop)
        })
        .await
    }

    pub(super) async fn put_back(&self, action: &Change) -> Result<()> {
        let wanted = action.to();
        match action {
            Change::RevokeUserSessions {
                user,
                arn,
                from,
                deny_all,
                ..
            } => {
                let entity = Entity::User(user);
                self.release(entity, arn, USER_POLICY, &wanted, from, deny_all)
                    .await
            }
            Change::DeactivateAccessKey { user, key, .. } => {
                self.set_key(user, key, &StatusType::Active).await
            }
            Change::DenyRoleSession {
                role,
                arn,
                session,
                from,
                deny_all,
                ..
            } => {
                let (entity, policy) = (Entity::Role(role), session_policy(session));
                self.release(entity, arn, &policy, &wanted, from, deny_all)
                    .await
            }
            Change::RevokeRoleSessions {
                role,
                arn,
                from,
                deny_all,
                ..
            } => {
                let entity = Entity::Role(role);
                self.release(entity, arn, ROLE_POLICY, &wanted, from, deny_all)
                    .await
            }
            Change::MarkContained { arn } => mark::take_off(&self.client, arn).await,
        }
    }

    /// Puts back our inline policy as it was. If ours does not stand there, the containment fell back
    /// to `AWSDenyAll`, and that is taken away where it was not before; else it is somebody else's.
    async fn release(
        &self,
        entity: Entity<'_>,
        arn: &str,
        policy: &str,
        wanted: &Value,
        from: &Deny,
        before: &DenyAll,
    ) -> Result<()> {
        let standing = entity.policy(&self.client, policy).await?;
        if standing.is(wanted) || standing.cut_off().is_some_and(|_| standing != *from) {
            return match from {
                Deny::Absent => entity.delete_policy(&self.client, policy).await,
                from => {
                    let document = from.document();
                    entity.put_policy(&self.client, policy, &document).await
                }
            };
        }
        let now = match entity.deny_all(&self.client).await {
            Err(error) if error.is_gone() => return Ok(()),
            now => now?,
        };
        let deny_all = deny_all_arn(arn);
        if now.boundary.as_deref().is_some_and(is_deny_all) && now.boundary != before.boundary {
            match &before.boundary {
                Some(boundary) => entity.put_boundary(&self.client, boundary).await?,
                None => entity.delete_boundary(&self.client).await?,
            }
        }
        match (now.attached, before.attached) {
            (Some(true), Some(false)) => entity.detach(&self.client, &deny_all).await,
            (Some(true), None) => Err(Error::Refused(format!(
                "AWSDenyAll is attached to {}, and it is not known whether it was before: detach it by \
                 hand if it was not",
                entity.name(),
            ))),
            _ => Ok(()),
        }
    }
}

fn quota_used_up(result: &Result<()>) -> bool {
    matches!(result, Err(error) if error.has_code(QUOTA_USED_UP))
}

async fn patiently(call: impl AsyncFn() -> Result<()>) -> Result<()> {
    for pause in CONFLICT_PAUSES {
        match call().await {
            Err(error) if CONFLICTS.iter().any(|code| error.has_code(code)) => sleep(pause).await,
            result => return result,
        }
    }
    call().await
}
