//! Reads the principal of a finding, in one round trip; a federated session takes one more.

use aws_sdk_iam::Client;
use aws_sdk_iam::error::ProvideErrorMetadata as _;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::SummaryKeyType;
use futures::future::join_all;
use jiff::Timestamp;

use super::deny_all::DenyAll;
use super::entity::Entity;
use super::mark;
use super::trust::Trust;
use super::{
    AccessKey, CreatedKey, FederatedState, Found, ROLE_POLICY, RoleState, State, USER_POLICY,
    UserState, session_policy,
};
use crate::error::{CallContext, Error, Result};
use crate::finding::{Finding, Principal, RoleSession};
use crate::investigate::deeds::deeds_in_iam;
use crate::investigate::issuer::{Issuer, issuer};
use crate::investigate::record::Record;
use crate::investigate::trail::Trail;
use crate::settings::IamSettings;

pub(super) async fn glance(
    client: &Client,
    trail: &Trail,
    settings: &IamSettings,
    finding: &Finding,
) -> Result<State> {
    let principal = finding.principal()?;
    let users = async {
        let of_user = matches!(
            principal,
            Principal::User { .. } | Principal::FederatedUser { .. }
        );
        // Whoever else made keys made them of users.
        if of_user || (settings.created_keys && principal.is_own()) {
            Some(Box::pin(users(client)).await)
        } else {
            None
        }
    };
    let found = Box::pin(found(client, trail, finding, &principal));
    let (found, users) = futures::join!(found, users);
    Ok(State {
        found: found?,
        created_keys: None,
        users,
    })
}

/// How many users the account has.
async fn users(client: &Client) -> Result<usize> {
    let operation = "iam:GetAccountSummary";
    let answer = client.get_account_summary().send().await;
    let summary = answer.during(operation, "the account")?.summary_map;
    let users = summary.and_then(|summary| summary.get(&SummaryKeyType::Users).copied());
    let users = users.and_then(|users| usize::try_from(users).ok());
    users.ok_or_else(|| unanswered(operation, "the account"))
}

async fn found(
    client: &Client,
    trail: &Trail,
    finding: &Finding,
    principal: &Principal,
) -> Result<Found> {
    let read = match principal {
        Principal::User { name, .. } => user(client, name).await.map(Found::User),
        Principal::RoleSession {
            role: name,
            session,
        } => role(client, name, session.as_ref()).await.map(Found::Role),
        Principal::FederatedUser { .. } => federated(client, trail, finding)
            .await
            .map(Found::Federated),
        _ => return Ok(Found::NotRead),
    };
    match read {
        Err(error) if error.is_gone() => Ok(Found::Gone),
        read => read,
    }
}

async fn user(client: &Client, name: &str) -> Result<UserState> {
    let entity = Entity::User(name);
    let described = async {
        let described = client.get_user().user_name(name).send().await;
        described.during("iam:GetUser", name)
    };
    let (described, keys, deny, attached, console) = futures::join!(
        described,
        access_keys(client, name),
        entity.policy(client, USER_POLICY),
        entity.has_deny_all(client),
        console_password(client, name),
    );
    let user = described?
        .user
        .ok_or_else(|| unanswered("iam:GetUser", name))?;
    Ok(UserState {
        marked: mark::is_among(&user.tags),
        arn: user.arn,
        user_id: user.user_id,
        keys,
        deny,
        deny_all: DenyAll {
            attached: attached.ok(),
            boundary: user
                .permissions_boundary
                .and_then(|boundary| boundary.permissions_boundary_arn),
        },
        console,
    })
}

pub(super) async fn access_keys(client: &Client, name: &str) -> Result<Vec<AccessKey>> {
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
            keys.push(AccessKey {
                id,
                status,
                created: key.create_date.as_ref().and_then(timestamp),
            });
        }
    }
    Ok(keys)
}

/// Whether the user can sign in to the console.
async fn console_password(client: &Client, name: &str) -> Result<bool> {
    let profile = client.get_login_profile().user_name(name).send().await;
    if let Err(error) = &profile
        && error.code() == Some("NoSuchEntity")
    {
        return Ok(false);
    }
    profile.during("iam:GetLoginProfile", name).map(|_| true)
}

async fn role(client: &Client, name: &str, session: Option<&RoleSession>) -> Result<RoleState> {
    let entity = Entity::Role(name);
    let described = async {
        let described = client.get_role().role_name(name).send().await;
        described.during("iam:GetRole", name)
    };
    let deny = async {
        match session {
            Some(session) => entity.policy(client, &session_policy(session)).await,
            None => Ok(super::policy_document::Deny::Absent),
        }
    };
    let (described, deny, revocation, attached) = futures::join!(
        described,
        deny,
        entity.policy(client, ROLE_POLICY),
        entity.has_deny_all(client),
    );
    let role = described?
        .role
        .ok_or_else(|| unanswered("iam:GetRole", name))?;
    Ok(RoleState {
        marked: mark::is_among(&role.tags),
        arn: role.arn,
        role_id: role.role_id,
        path: role.path,
        created: timestamp(&role.create_date),
        trust: Trust::from_encoded(
            role.assume_role_policy_document
                .as_deref()
                .unwrap_or_default(),
        ),
        deny,
        revocation,
        deny_all: DenyAll {
            attached: attached.ok(),
            boundary: role
                .permissions_boundary
                .and_then(|boundary| boundary.permissions_boundary_arn),
        },
    })
}

/// The user who issued the session, if that is one of this account.
async fn federated(client: &Client, trail: &Trail, finding: &Finding) -> Result<FederatedState> {
    let key = finding.access_key_id();
    let issuer = issuer(trail, key.as_deref(), &finding.account_id).await;
    let user = match &issuer {
        Ok(Issuer::User { name, .. }) => Some(user(client, name).await?),
        _ => None,
    };
    Ok(FederatedState { issuer, user })
}

/// The keys that the principal made since the first event, as they are now.
pub(super) async fn created_keys(
    client: &Client,
    trail: &Trail,
    finding: &Finding,
) -> Result<Vec<CreatedKey>> {
    let deeds = deeds_in_iam(trail, finding).await?;
    let made: Vec<_> = deeds
        .records
        .iter()
        .filter_map(Record::created_key)
        .collect();
    let now = made.into_iter().map(async |(user, id)| {
        let status = match access_keys(client, &user).await {
            Ok(keys) => Ok(keys
                .into_iter()
                .find(|key| key.id == id)
                .map(|key| key.status)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        };
        CreatedKey { user, id, status }
    });
    Ok(join_all(now).await)
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}

fn unanswered(operation: &str, name: &str) -> Error {
    Error::Refused(format!(
        "{operation} on {name} answered without what was asked for"
    ))
}
