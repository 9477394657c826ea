//! The writes: makes each change, and puts back what it found.

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::StatusType;
use jiff::Timestamp;
use serde_json::Value;

use super::action::{Action, Issued, ROLE_POLICY, USER_POLICY, session_policy};
use super::clients::Clients;
use super::deny_all::{DenyAll, deny_all_arn, is_deny_all};
use super::policy_document::{
    Deny, deny_sessions_before, deny_sessions_issued, deny_user_sessions_before,
};
use super::{entity, mark, user};
use aws::conflict;
use aws::error::{CallContext, Error, Result};
use aws::iam_policy::Entity;
use model::finding::RoleSession;
use model::plan::Action as _;

/// IAM refuses a change while another one to the same entity is under way, and the SDK does not
/// retry that.
const CONFLICTS: [&str; 2] = ["ConcurrentModification", "EntityTemporarilyUnmodifiable"];
const CONFLICT_PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// IAM's code for a quota that is used up. It is not about the rate of calls.
const QUOTA_USED_UP: &str = "LimitExceeded";

/// Makes one change.
pub(super) async fn apply(clients: &Clients, action: &Action) -> Result<()> {
    let client = &clients.iam;
    match action {
        Action::RevokeUserSessions {
            user,
            arn,
            from,
            cut_off,
            ..
        } => {
            let entity = Entity::User(user);
            revoke(client, entity, arn, USER_POLICY, from, *cut_off).await
        }
        Action::DeactivateAccessKey { user, key, .. } => {
            set_key(client, user, key, &StatusType::Inactive).await
        }
        Action::DeactivateServiceSpecificCredential {
            user, credential, ..
        } => set_credential(client, user, credential, &StatusType::Inactive).await,
        Action::DenyRoleSession {
            role,
            arn,
            session,
            role_wide,
            ..
        } => {
            let (policy, document) = (session_policy(session), action.to().to_string());
            deny(
                client,
                Entity::Role(role),
                arn,
                &policy,
                &document,
                *role_wide,
            )
            .await
        }
        Action::RevokeRoleSessions {
            role,
            arn,
            from,
            cut_off,
            ..
        } => {
            let entity = Entity::Role(role);
            revoke(client, entity, arn, ROLE_POLICY, from, *cut_off).await
        }
        Action::MarkContained { arn, policy } => {
            patiently(async || mark::set(client, arn, policy).await).await
        }
    }
}

/// Denies the sessions from before `cut_off`, or from before the later time of the present policy: another invocation
/// may have moved it, and it only moves forward. If there was no policy, containing does not wait for that reading.
async fn revoke(
    client: &Client,
    entity: Entity<'_>,
    arn: &str,
    policy: &str,
    from: &Deny,
    cut_off: Timestamp,
) -> Result<()> {
    let later = async || {
        let standing = entity::policy(entity, client, policy)
            .await
            .ok()?
            .cut_off()?;
        (standing > cut_off).then_some(standing)
    };
    let deny = async |cut_off| {
        let document = match entity {
            Entity::User(_) => deny_user_sessions_before(cut_off).to_string(),
            Entity::Role(_) => deny_sessions_before(cut_off).to_string(),
        };
        deny(client, entity, arn, policy, &document, true).await
    };
    if *from != Deny::Absent {
        let cut_off = later().await.unwrap_or(cut_off);
        return deny(cut_off).await;
    }
    let (later, done) = futures::join!(later(), deny(cut_off));
    match later {
        Some(later) => deny(later).await,
        None => done,
    }
}

/// Puts the narrow inline policy. If there is no room for it, and only if `wider` means are allowed, attaches
/// `AWSDenyAll`; if nothing more can be attached, makes it the boundary.
async fn deny(
    client: &Client,
    entity: Entity<'_>,
    arn: &str,
    policy: &str,
    document: &str,
    wider: bool,
) -> Result<()> {
    let inline = patiently(async || entity.put_policy(client, policy, document).await).await;
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
    let attached = patiently(async || entity::attach(entity, client, &deny_all).await).await;
    if !quota_used_up(&attached) {
        attached?;
        // Observing goes on without this answer, so that it stops no containment. Here the
        // containment stands and falls with it, so its failure is told.
        return entity::has_deny_all(entity, client).await.map(drop);
    }
    patiently(async || entity::put_boundary(entity, client, &deny_all).await).await
}

/// It asks for the present owner of the key: a user that is renamed keeps its keys.
async fn set_key(client: &Client, user: &str, key: &str, status: &StatusType) -> Result<()> {
    let done = set_key_of(client, user, key, status).await;
    if done.as_ref().is_err_and(Error::is_gone)
        && let Ok(owner) = user::owner(client, key).await
        && owner != user
    {
        return set_key_of(client, &owner, key, status).await;
    }
    done
}

async fn set_key_of(client: &Client, user: &str, key: &str, status: &StatusType) -> Result<()> {
    patiently(async || {
        // Without the user's name the call would be about the caller's own key.
        let call = client
            .update_access_key()
            .user_name(user)
            .access_key_id(key);
        let done = call.status(status.clone()).send().await;
        done.during("iam:UpdateAccessKey", key).map(drop)
    })
    .await
}

async fn set_credential(
    client: &Client,
    user: &str,
    credential: &str,
    status: &StatusType,
) -> Result<()> {
    patiently(async || {
        // Without the user's name the call would be about the caller's own credential.
        let call = client.update_service_specific_credential();
        let call = call
            .user_name(user)
            .service_specific_credential_id(credential);
        let done = call.status(status.clone()).send().await;
        done.during("iam:UpdateServiceSpecificCredential", credential)
            .map(drop)
    })
    .await
}

/// Puts back what a change found.
pub(super) async fn restore(clients: &Clients, action: &Action) -> Result<()> {
    let (client, wanted) = (&clients.iam, action.to());
    match action {
        Action::RevokeUserSessions {
            user,
            arn,
            from,
            deny_all,
            ..
        } => {
            let entity = Entity::User(user);
            release(client, entity, arn, USER_POLICY, &wanted, from, deny_all).await
        }
        Action::DeactivateAccessKey { user, key, .. } => {
            set_key(client, user, key, &StatusType::Active).await
        }
        Action::DeactivateServiceSpecificCredential {
            user, credential, ..
        } => set_credential(client, user, credential, &StatusType::Active).await,
        Action::DenyRoleSession {
            role,
            arn,
            session,
            from,
            deny_all,
            issued,
            ..
        } => {
            let (entity, policy) = (Entity::Role(role), session_policy(session));
            if let Some(issued) = issued
                && release_one(client, entity, session, issued, from).await?
            {
                return Ok(());
            }
            release(client, entity, arn, &policy, &wanted, from, deny_all).await
        }
        Action::RevokeRoleSessions {
            role,
            arn,
            from,
            deny_all,
            ..
        } => {
            let entity = Entity::Role(role);
            release(client, entity, arn, ROLE_POLICY, &wanted, from, deny_all).await
        }
        Action::MarkContained { arn, .. } => mark::take_off(client, arn).await,
    }
}

/// Takes one session out of those that are denied each by itself, whichever the others are now. False: it is not among
/// them.
async fn release_one(
    client: &Client,
    entity: Entity<'_>,
    session: &RoleSession,
    one: &Issued,
    from: &Deny,
) -> Result<bool> {
    let policy = session_policy(session);
    let standing = entity::policy(entity, client, &policy).await?;
    let mut denied = standing.issued(session);
    if denied.remove(&one.key).is_none() {
        return Ok(false);
    }
    if !denied.is_empty() {
        let document = deny_sessions_issued(session, &denied).to_string();
        entity.put_policy(client, &policy, &document).await?;
    } else if *from == Deny::Absent || !from.issued(session).is_empty() {
        entity.delete_policy(client, &policy).await?;
    } else {
        let document = from.document();
        entity.put_policy(client, &policy, &document).await?;
    }
    Ok(true)
}

/// Puts back our inline policy as it was. If ours does not stand there, the containment fell back
/// to `AWSDenyAll`, and that is taken away where it was not before; else it is somebody else's.
async fn release(
    client: &Client,
    entity: Entity<'_>,
    arn: &str,
    policy: &str,
    wanted: &Value,
    from: &Deny,
    before: &DenyAll,
) -> Result<()> {
    let standing = entity::policy(entity, client, policy).await?;
    if standing.is(wanted) || standing.cut_off().is_some_and(|_| standing != *from) {
        return match from {
            Deny::Absent => entity.delete_policy(client, policy).await,
            from => {
                let document = from.document();
                entity.put_policy(client, policy, &document).await
            }
        };
    }
    let now = match entity::deny_all(entity, client).await {
        Err(error) if error.is_gone() => return Ok(()),
        now => now?,
    };
    let deny_all = deny_all_arn(arn);
    if now.boundary.as_deref().is_some_and(is_deny_all) && now.boundary != before.boundary {
        match &before.boundary {
            Some(boundary) => entity::put_boundary(entity, client, boundary).await?,
            None => entity::delete_boundary(entity, client).await?,
        }
    }
    match (now.attached, before.attached) {
        (Some(true), Some(false)) => entity::detach(entity, client, &deny_all).await,
        (Some(true), None) => Err(Error::Refused(format!(
            "AWSDenyAll is attached to {}, and it is not known whether it was before: detach it by \
             hand if it was not",
            entity.name(),
        ))),
        _ => Ok(()),
    }
}

fn quota_used_up(result: &Result<()>) -> bool {
    matches!(result, Err(error) if error.has_code(QUOTA_USED_UP))
}

async fn patiently(call: impl AsyncFn() -> Result<()>) -> Result<()> {
    conflict::despite_conflicts(&CONFLICTS, &CONFLICT_PAUSES, call).await
}
