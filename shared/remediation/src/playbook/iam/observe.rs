//! Reads the principal of a finding, in one round trip; a federated session takes one more, a user whom the
//! finding's name does not lead to two.

use aws_sdk_iam::Client;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::SummaryKeyType;
use futures::future::join_all;
use jiff::Timestamp;

use super::deny_all::DenyAll;
use super::entity::Entity;
use super::mark;
use super::trust::Trust;
use super::{
    AccessKey, Astray, CreatedKey, CreatedKeys, FederatedState, Found, Password, ROLE_POLICY,
    RoleState, ServiceCredential, State, USER_POLICY, UserState, is_access_key, session_policy,
};
use super::{Sharing, shared_name};
use crate::error::{CallContext, Error, Result};
use crate::finding::{Finding, Principal, RoleSession, printable};
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
            Principal::User { .. } | Principal::KeyOwner { .. } | Principal::FederatedUser { .. }
        );
        // Whoever else made keys made them of users.
        if of_user || (settings.created_keys && principal.is_own()) {
            Some(Box::pin(users(client)).await)
        } else {
            None
        }
    };
    let found = Box::pin(found(client, trail, settings, finding, &principal));
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
    settings: &IamSettings,
    finding: &Finding,
    principal: &Principal,
) -> Result<Found> {
    let read = match principal {
        Principal::User {
            name,
            user_id,
            long_term_key,
        } => {
            let (id, key) = (user_id.as_deref(), long_term_key.as_deref());
            // A key of another account has its owner there.
            let key = key.filter(|_| finding.credentials_account().is_none());
            Box::pin(suspect(client, name, id, key)).await
        }
        Principal::KeyOwner { key, user_id } => {
            Box::pin(by_key(client, key, user_id.as_deref(), None)).await
        }
        Principal::RoleSession {
            role: name,
            session,
        } => {
            let mut read = role(client, name, session.as_ref()).await;
            if let (Ok(role), Some(session)) = (&mut read, session) {
                let asking = shared_name::sharing(trail, settings, finding, session, role);
                let sharing = Box::pin(asking).await;
                role.sharing = sharing;
            }
            read.map(Found::Role)
        }
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

/// The user of a name, with this unique id or, where that is not known, this key. Users can be renamed, and
/// names are given out again: where the name leads to nobody or to somebody else, the key leads on.
async fn suspect(
    client: &Client,
    name: &str,
    id: Option<&str>,
    key: Option<&str>,
) -> Result<Found> {
    let namesake = match user(client, name).await {
        Ok(user) if user.is(id, key) => return Ok(Found::User(user)),
        Ok(user) => Some(user),
        Err(error) if error.is_gone() => None,
        Err(error) => return Err(error),
    };
    let Some(key) = key.filter(|key| is_access_key(key)) else {
        return Ok(namesake.map_or(Found::Gone, Found::User));
    };
    by_key(client, key, id, namesake).await
}

/// The user who has a key, if it is the one with this unique id, where that is known. `namesake`: the user
/// that was read under the finding's name and is another one.
async fn by_key(
    client: &Client,
    key: &str,
    id: Option<&str>,
    namesake: Option<UserState>,
) -> Result<Found> {
    let owner = match (owner(client, key).await, &namesake) {
        (Ok(owner), Some(namesake)) if owner == namesake.name => Ok(namesake.clone()),
        (Ok(owner), _) => match user(client, &owner).await {
            Err(error) if error.is_gone() => Err(Error::Refused(format!(
                "iam:GetAccessKeyLastUsed on {key} names {owner}, and there is no such user"
            ))),
            user => user,
        },
        (Err(error), _) => Err(error),
    };
    Ok(match owner {
        Ok(user) if id.is_none_or(|id| id == user.user_id) => Found::User(UserState {
            owns_key: true,
            ..user
        }),
        owner => Found::Astray(Astray {
            namesake: namesake.map(|user| user.user_id),
            owner: owner.map(|user| (user.name, user.user_id)),
        }),
    })
}

/// The name of the user who has an access key.
pub(super) async fn owner(client: &Client, key: &str) -> Result<String> {
    let operation = "iam:GetAccessKeyLastUsed";
    let answer = client.get_access_key_last_used().access_key_id(key);
    let owner = answer.send().await.during(operation, key)?.user_name;
    let owner = owner.filter(|owner| !owner.is_empty());
    owner.ok_or_else(|| unanswered(operation, key))
}

async fn user(client: &Client, name: &str) -> Result<UserState> {
    let entity = Entity::User(name);
    let described = async {
        let described = client.get_user().user_name(name).send().await;
        described.during("iam:GetUser", name)
    };
    let (described, keys, credentials, deny, attached, console) = futures::join!(
        Box::pin(described),
        Box::pin(access_keys(client, name)),
        Box::pin(service_credentials(client, name)),
        Box::pin(entity.policy(client, USER_POLICY)),
        Box::pin(entity.has_deny_all(client)),
        Box::pin(console_password(client, name)),
    );
    let user = described?
        .user
        .ok_or_else(|| unanswered("iam:GetUser", name))?;
    Ok(UserState {
        marked: mark::is_among(&user.tags),
        name: name.to_owned(),
        owns_key: false,
        arn: user.arn,
        user_id: user.user_id,
        keys,
        credentials,
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
    let operation = "iam:ListAccessKeys";
    let mut keys = Vec::new();
    let mut marker = None;
    loop {
        let call = client.list_access_keys().user_name(name);
        let page = call.set_marker(marker).send().await;
        let page = page.during(operation, name)?;
        for key in page.access_key_metadata {
            let (Some(id), Some(status)) = (key.access_key_id, key.status) else {
                return Err(unanswered(operation, name));
            };
            keys.push(AccessKey {
                id,
                status,
                created: key.create_date.as_ref().and_then(timestamp),
            });
        }
        marker = next(operation, name, page.is_truncated, page.marker)?;
        if marker.is_none() {
            return Ok(keys);
        }
    }
}

/// Where the next page of a list begins. `None`: that was the last. A list that is cut off is an error: what
/// it would have shown is not known.
fn next(
    operation: &'static str,
    name: &str,
    truncated: bool,
    marker: Option<String>,
) -> Result<Option<String>> {
    match marker.filter(|marker| !marker.is_empty()) {
        Some(marker) => Ok(Some(marker)),
        None if truncated => Err(Error::Refused(format!(
            "{operation} on {name} answered a list that is cut off, without saying where it goes on"
        ))),
        None => Ok(None),
    }
}

/// How an IAM answers that knows no service-specific credentials, so that there are none: the one of a partition
/// that does not have the operation, or none of the services.
const NO_SUCH_CREDENTIALS: [&str; 2] = ["InvalidAction", "NotSupportedService"];

/// The service-specific credentials of a user, of all services.
async fn service_credentials(client: &Client, name: &str) -> Result<Vec<ServiceCredential>> {
    let operation = "iam:ListServiceSpecificCredentials";
    let mut credentials = Vec::new();
    let mut marker = None;
    loop {
        // Without the user's name it would be the caller's own.
        let call = client.list_service_specific_credentials().user_name(name);
        let page = call.set_marker(marker).send().await.during(operation, name);
        let page = match page {
            Err(error) if NO_SUCH_CREDENTIALS.iter().any(|code| error.has_code(code)) => {
                return Ok(credentials);
            }
            page => page?,
        };
        let listed = page.service_specific_credentials.unwrap_or_default();
        credentials.extend(listed.into_iter().map(|listed| ServiceCredential {
            id: listed.service_specific_credential_id,
            service: printable(&listed.service_name),
            status: listed.status,
            created: timestamp(&listed.create_date),
        }));
        marker = next(operation, name, page.is_truncated, page.marker)?;
        if marker.is_none() {
            return Ok(credentials);
        }
    }
}

/// The password with which the user can sign in to the console.
async fn console_password(client: &Client, name: &str) -> Result<Option<Password>> {
    let operation = "iam:GetLoginProfile";
    let profile = client.get_login_profile().user_name(name).send().await;
    match profile.during(operation, name) {
        Ok(answer) => Ok(Some(Password {
            created: answer
                .login_profile
                .and_then(|profile| timestamp(&profile.create_date)),
        })),
        Err(error) if error.has_code("NoSuchEntity") => Ok(None),
        Err(error) => Err(error),
    }
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
        sharing: Sharing::Nobody,
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

/// The user who issued the session, if that is one of this account and still has that name.
async fn federated(client: &Client, trail: &Trail, finding: &Finding) -> Result<FederatedState> {
    let key = finding.access_key_id();
    let issuer = issuer(trail, key.as_deref(), &finding.account_id).await;
    let user = match &issuer {
        Ok(Issuer::User { name, .. }) => match user(client, name).await {
            Err(error) if error.is_gone() => None,
            user => Some(user?),
        },
        _ => None,
    };
    Ok(FederatedState { issuer, user })
}

/// The keys that the principal made since the first event, as they are now.
pub(super) async fn created_keys(
    client: &Client,
    trail: &Trail,
    finding: &Finding,
) -> Result<CreatedKeys> {
    let deeds = deeds_in_iam(trail, finding).await?;
    let made: Vec<_> = deeds
        .records
        .iter()
        .filter_map(Record::created_key)
        .collect();
    let now = made.into_iter().map(async |(user, id)| {
        let described = client.get_user().user_name(&user).send();
        let (keys, described) = futures::join!(access_keys(client, &user), described);
        let described = described.during("iam:GetUser", &user);
        let arn = described.ok().and_then(|it| it.user).map(|user| user.arn);
        let status = match keys {
            Ok(keys) => Ok(keys
                .into_iter()
                .find(|key| key.id == id)
                .map(|key| key.status)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        };
        CreatedKey {
            user,
            arn,
            id,
            status,
        }
    });
    Ok(CreatedKeys {
        keys: join_all(now).await,
        cut: deeds.cut,
    })
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}

fn unanswered(operation: &str, name: &str) -> Error {
    Error::Refused(format!(
        "{operation} on {name} answered without what was asked for"
    ))
}
