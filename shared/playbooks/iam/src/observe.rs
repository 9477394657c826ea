//! Reads the principal of a finding, in one round trip; a federated session takes one more, a user whom the
//! finding's name does not lead to two.

use aws_sdk_iam::Client;
use futures::future::join_all;

use super::action::{ROLE_POLICY, session_policy};
use super::clients::Clients;
use super::deny_all::DenyAll;
use super::policy_document::Deny;
use super::state::{
    CreatedKey, CreatedKeys, FederatedState, ObservedPrincipal, RoleState, Sharing, State,
    UnresolvedUser, UserState, is_access_key,
};
use super::trust::Trust;
use super::user::{access_keys, owner, timestamp, unanswered, user, users};
use super::{entity, mark, shared_name};
use aws::cloudtrail::activity::iam_events;
use aws::cloudtrail::event::CloudTrailEvent;
use aws::cloudtrail::event_history::EventHistory;
use aws::error::{CallContext, Error, Result};
use aws::iam_policy::Entity;
use aws::iam_principal::issuer::{Issuer, issuer};
use model::finding::{Finding, Principal, RoleSession};
use model::settings::IamSettings;

/// The IAM permissions that observing needs.
pub(super) const PERMISSIONS: &[&str] = &[
    "cloudtrail:LookupEvents",
    "iam:GetAccessKeyLastUsed",
    "iam:GetAccountSummary",
    "iam:GetLoginProfile",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedRolePolicies",
    "iam:ListAttachedUserPolicies",
    "iam:ListServiceSpecificCredentials",
];

/// Reads all.
pub(super) async fn observe(
    clients: &Clients,
    settings: &IamSettings,
    finding: &Finding,
) -> Result<State> {
    let created_keys = Box::pin(created_keys_if_set(clients, settings, finding));
    let glancing = Box::pin(glance(clients, settings, finding));
    let (glanced, created_keys) = futures::join!(glancing, created_keys);
    Ok(State {
        created_keys,
        ..glanced?
    })
}

/// Reads all but the keys that the principal made, which CloudTrail takes its time to tell.
pub(super) async fn glance(
    clients: &Clients,
    settings: &IamSettings,
    finding: &Finding,
) -> Result<State> {
    let (client, trail) = (&clients.iam, clients.trail());
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

/// Reads what [`glance`] has left out. `None`: nothing.
pub(super) async fn complete(
    clients: &Clients,
    settings: &IamSettings,
    finding: &Finding,
    part: &State,
) -> Option<State> {
    if part.created_keys.is_some() {
        return None;
    }
    let created_keys = Box::pin(created_keys_if_set(clients, settings, finding)).await;
    created_keys.is_some().then(|| State {
        created_keys,
        ..part.clone()
    })
}

/// The keys that the principal made. `None`: the settings do not ask for them, or it can make none.
async fn created_keys_if_set(
    clients: &Clients,
    settings: &IamSettings,
    finding: &Finding,
) -> Option<Result<CreatedKeys>> {
    let principal = finding.principal();
    let own = principal.is_ok_and(|principal| principal.is_own());
    if !settings.created_keys || !own {
        return None;
    }
    Some(created_keys(&clients.iam, clients.trail(), finding).await)
}

async fn found(
    client: &Client,
    trail: &EventHistory,
    settings: &IamSettings,
    finding: &Finding,
    principal: &Principal,
) -> Result<ObservedPrincipal> {
    let read = match principal {
        Principal::User {
            name,
            user_id,
            long_term_key,
        } => {
            let (id, key) = (user_id.as_deref(), long_term_key.as_deref());
            // A key of another account has its owner there.
            let key = key.filter(|_| finding.credentials_account().is_none());
            Box::pin(resolve_user(client, name, id, key)).await
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
            read.map(ObservedPrincipal::Role)
        }
        Principal::FederatedUser { .. } => federated(client, trail, finding)
            .await
            .map(ObservedPrincipal::Federated),
        _ => return Ok(ObservedPrincipal::NotRead),
    };
    match read {
        Err(error) if error.is_gone() => Ok(ObservedPrincipal::Gone),
        read => read,
    }
}

/// The user of a name, with this unique id or, where that is not known, this key. Users can be renamed, and names are
/// given out again: if the name leads to nobody or to somebody else, the key leads on.
async fn resolve_user(
    client: &Client,
    name: &str,
    id: Option<&str>,
    key: Option<&str>,
) -> Result<ObservedPrincipal> {
    let namesake = match user(client, name).await {
        Ok(user) if user.is(id, key) => return Ok(ObservedPrincipal::User(user)),
        Ok(user) => Some(user),
        Err(error) if error.is_gone() => None,
        Err(error) => return Err(error),
    };
    let Some(key) = key.filter(|key| is_access_key(key)) else {
        return Ok(namesake.map_or(ObservedPrincipal::Gone, ObservedPrincipal::User));
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
) -> Result<ObservedPrincipal> {
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
        Ok(user) if id.is_none_or(|id| id == user.user_id) => ObservedPrincipal::User(UserState {
            owns_key: true,
            ..user
        }),
        owner => ObservedPrincipal::Unresolved(UnresolvedUser {
            namesake: namesake.map(|user| user.user_id),
            owner: owner.map(|user| (user.name, user.user_id)),
        }),
    })
}

async fn role(client: &Client, name: &str, session: Option<&RoleSession>) -> Result<RoleState> {
    let entity = Entity::Role(name);
    let described = async {
        let described = client.get_role().role_name(name).send().await;
        described.during("iam:GetRole", name)
    };
    let deny = async {
        match session {
            Some(session) => entity::policy(entity, client, &session_policy(session)).await,
            None => Ok(Deny::Absent),
        }
    };
    let (described, deny, revocation, attached) = futures::join!(
        described,
        deny,
        entity::policy(entity, client, ROLE_POLICY),
        entity::has_deny_all(entity, client),
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
async fn federated(
    client: &Client,
    trail: &EventHistory,
    finding: &Finding,
) -> Result<FederatedState> {
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
async fn created_keys(
    client: &Client,
    trail: &EventHistory,
    finding: &Finding,
) -> Result<CreatedKeys> {
    let deeds = iam_events(trail, finding).await?;
    let made: Vec<_> = deeds
        .records
        .iter()
        .filter_map(CloudTrailEvent::created_key)
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
