//! Reads the principal of a finding, in one round trip.

use aws_sdk_iam::Client;

use super::policy_document::Deny;
use super::{AccessKey, RoleState, State, USER_POLICY, UserState, role_policy};
use crate::error::{CallContext, Error, Result};
use crate::finding::{Principal, RoleSession};

pub(super) async fn observe(client: &Client, principal: &Principal) -> Result<State> {
    let read = match principal {
        Principal::User { name, .. } => user(client, name).await.map(State::User),
        Principal::RoleSession {
            role: name,
            session,
        } => role(client, name, session.as_ref()).await.map(State::Role),
        _ => return Ok(State::NotRead),
    };
    match read {
        Err(error) if error.is_gone() => Ok(State::Gone),
        read => read,
    }
}

async fn user(client: &Client, name: &str) -> Result<UserState> {
    let described = async {
        client
            .get_user()
            .user_name(name)
            .send()
            .await
            .during("iam:GetUser", name)
    };
    let deny = async {
        let policy = client
            .get_user_policy()
            .user_name(name)
            .policy_name(USER_POLICY)
            .send()
            .await
            .during("iam:GetUserPolicy", name);
        absent_when_gone(policy.map(|policy| policy.policy_document))
    };
    let (described, keys, deny) = futures::try_join!(described, access_keys(client, name), deny)?;
    let user = described
        .user
        .ok_or_else(|| unanswered("iam:GetUser", name))?;
    Ok(UserState {
        arn: user.arn,
        user_id: user.user_id,
        keys,
        deny,
    })
}

async fn access_keys(client: &Client, name: &str) -> Result<Vec<AccessKey>> {
    let mut keys = Vec::new();
    let mut pages = client
        .list_access_keys()
        .user_name(name)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.during("iam:ListAccessKeys", name)?;
        for key in page.access_key_metadata {
            let (Some(id), Some(status)) = (key.access_key_id, key.status) else {
                return Err(unanswered("iam:ListAccessKeys", name));
            };
            let created = key
                .create_date
                .map(|date| date.to_string())
                .unwrap_or_default();
            keys.push(AccessKey {
                id,
                status,
                created,
            });
        }
    }
    Ok(keys)
}

async fn role(client: &Client, name: &str, session: Option<&RoleSession>) -> Result<RoleState> {
    let described = async {
        client
            .get_role()
            .role_name(name)
            .send()
            .await
            .during("iam:GetRole", name)
    };
    let deny = async {
        let Some(session) = session else {
            return Ok(Deny::Absent);
        };
        let policy = client
            .get_role_policy()
            .role_name(name)
            .policy_name(role_policy(session))
            .send()
            .await
            .during("iam:GetRolePolicy", name);
        absent_when_gone(policy.map(|policy| policy.policy_document))
    };
    let (described, deny) = futures::try_join!(described, deny)?;
    let role = described
        .role
        .ok_or_else(|| unanswered("iam:GetRole", name))?;
    Ok(RoleState {
        arn: role.arn,
        role_id: role.role_id,
        path: role.path,
        deny,
    })
}

/// A missing policy and a missing entity have the same code; the call that describes the entity
/// tells the two apart.
fn absent_when_gone(document: Result<String>) -> Result<Deny> {
    match document {
        Ok(document) => Ok(Deny::from_encoded(&document)),
        Err(error) if error.is_gone() => Ok(Deny::Absent),
        Err(error) => Err(error),
    }
}

fn unanswered(operation: &str, name: &str) -> Error {
    Error::Refused(format!(
        "{operation} on {name} answered without what was asked for"
    ))
}
