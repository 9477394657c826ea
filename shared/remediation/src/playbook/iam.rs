//! Credentials: the one access key deactivated, the sessions cut off, nobody else touched.
//!
//! Temporary credentials cannot be withdrawn, but every request with them is authorized anew, so a
//! deny that matches only them ends them:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html>.
//! A deny on `aws:TokenIssueTime` does not touch long-term keys, and deactivating a long-term key
//! leaves the sessions alive that were made with it (up to 36 hours). A stolen key takes both.

mod apply;
mod change;
mod deny_all;
mod entity;
mod kept_out;
mod mark;
mod observe;
mod plan;
pub mod policy_document;
mod shared_name;
mod trust;

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::StatusType;
use jiff::Timestamp;

pub use self::change::{Change, Issued};
pub use self::deny_all::DenyAll;
pub(crate) use self::plan::unsupported;
use self::policy_document::Deny;
use self::shared_name::Sharing;
use self::trust::Trust;
use super::{Playbook, Remains};
use crate::breaker::{Crowd, Member};
use crate::catalogue::Category;
use crate::error::Result;
use crate::finding::{Finding, RoleSession};
use crate::guard::Resource;
use crate::investigate::afterwards::Credential;
use crate::investigate::issuer::Issuer;
use crate::investigate::principal::{self, Principals};
use crate::investigate::trail::Trail;
use crate::investigate::{Inquiry, Investigation};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::settings::{IamSettings, Settings};

/// The name of our policy on a user. Not the console's `AWSRevokeOlderSessions`, so that neither
/// overwrites the other.
const USER_POLICY: &str = "gdr-revoke-sessions";

/// The name of our policy on a role that cuts off all its sessions.
const ROLE_POLICY: &str = "gdr-revoke-role-sessions";

/// How a step is described that is in effect since all of the user or role is denied.
pub(crate) const EVERYTHING_DENIED: &str = "everything is denied";

/// The name of our policy about one session of a role. A session's name has the grammar of a
/// policy's and at most 64 of its 128 characters.
fn session_policy(session: &RoleSession) -> String {
    format!("gdr-deny-session-{}", session.name)
}

/// The playbook of the IAM function.
#[derive(Debug)]
pub struct Iam {
    client: Client,
    principals: Principals,
    settings: IamSettings,
}

impl Iam {
    /// A playbook that calls with these settings.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
            principals: Principals::new(sdk),
            settings: IamSettings::default(),
        }
    }

    /// The keys that the principal made. `None`: the settings do not ask for them, or it can make none.
    async fn created_keys(&self, finding: &Finding) -> Option<Result<CreatedKeys>> {
        let own = finding
            .principal()
            .is_ok_and(|principal| principal.is_own());
        if !self.settings.created_keys || !own {
            return None;
        }
        let (client, trail) = (&self.client, &self.principals.trail);
        Some(observe::created_keys(client, trail, finding).await)
    }
}

/// What was read of the principal of a finding.
#[derive(Clone, Debug)]
pub struct State {
    found: Found,
    /// The keys that the principal made since the first event, where the settings ask for them.
    created_keys: Option<Result<CreatedKeys>>,
    /// How many users the account has, where the principal may be one.
    users: Option<Result<usize>>,
}

impl State {
    /// The ARN of a user, if that one was read.
    fn arn_of(&self, user: &str) -> Option<&str> {
        let found = match &self.found {
            Found::User(found) => Some(found),
            Found::Federated(FederatedState { user, .. }) => user.as_ref(),
            _ => None,
        };
        let of_made = || {
            let made = self.created_keys.as_ref()?.as_ref().ok()?;
            let mut made = made.keys.iter();
            made.find(|made| made.user == user)?.arn.as_deref()
        };
        let found = found.filter(|found| found.name == user);
        found.map(|found| found.arn.as_str()).or_else(of_made)
    }

    /// The name that the finding's user has now.
    fn user_name(&self) -> Option<&str> {
        match &self.found {
            Found::User(found) => Some(&found.name),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Found {
    /// A user of this account.
    User(UserState),
    /// A role of this account.
    Role(RoleState),
    /// A federated session.
    Federated(FederatedState),
    /// Neither the name nor the key of the finding led to its user.
    Astray(Astray),
    /// There is no user or role of that name (any more).
    Gone,
    /// Nothing was read: the principal is of a kind that is not contained.
    NotRead,
}

#[derive(Clone, Debug)]
struct Astray {
    /// The unique id of whoever has the name today. `None`: nobody has.
    namesake: Option<String>,
    /// The name and unique id of whoever has the key.
    owner: Result<(String, String)>,
}

#[derive(Clone, Debug)]
struct UserState {
    /// The name that the user has now.
    name: String,
    /// IAM names the user as the owner of the finding's key.
    owns_key: bool,
    arn: String,
    user_id: String,
    keys: Result<Vec<AccessKey>>,
    /// Its service-specific credentials.
    credentials: Result<Vec<ServiceCredential>>,
    deny: Result<Deny>,
    deny_all: DenyAll,
    /// The user's console password, if it has one.
    console: Result<Option<Password>>,
    /// Whether the user has our tag.
    marked: bool,
}

impl UserState {
    /// Whether it is the user with this unique id or, where that is not known, this key. Names are given out
    /// again; ids and keys are not.
    fn is(&self, id: Option<&str>, key: Option<&str>) -> bool {
        match id {
            Some(id) => id == self.user_id,
            None => {
                let has = |key| self.key(key).is_some() || self.credential(key).is_some();
                self.owns_key || key.is_some_and(has)
            }
        }
    }

    /// One of the service-specific credentials that were listed.
    fn credential(&self, id: &str) -> Option<&ServiceCredential> {
        let mut credentials = self.credentials.iter().flatten();
        credentials.find(|credential| credential.id == id)
    }

    /// One of the keys that were listed.
    fn key(&self, id: &str) -> Option<&AccessKey> {
        self.keys.iter().flatten().find(|key| key.id == id)
    }
}

/// True for the id of an access key. Service-specific credentials and bearer tokens have other prefixes,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>.
fn is_access_key(id: &str) -> bool {
    id.starts_with("AKIA")
}

#[derive(Clone, Debug)]
struct AccessKey {
    id: String,
    status: StatusType,
    created: Option<Timestamp>,
}

/// A credential for one AWS service, beside the access keys.
#[derive(Clone, Debug)]
struct ServiceCredential {
    id: String,
    /// `codecommit.amazonaws.com`.
    service: String,
    status: StatusType,
    created: Option<Timestamp>,
}

/// A console password.
#[derive(Clone, Debug)]
struct Password {
    created: Option<Timestamp>,
}

/// The keys that the principal made, as far as CloudTrail was read.
#[derive(Clone, Debug)]
struct CreatedKeys {
    keys: Vec<CreatedKey>,
    /// Whether the principal did more than was read.
    cut: bool,
}

#[derive(Clone, Debug)]
struct CreatedKey {
    user: String,
    /// `None`: the user could not be read.
    arn: Option<String>,
    id: String,
    /// `None`: it was deleted.
    status: Result<Option<StatusType>>,
}

#[derive(Clone, Debug)]
struct RoleState {
    arn: String,
    role_id: String,
    path: String,
    created: Option<Timestamp>,
    trust: Trust,
    /// Who else has the session's name.
    sharing: Sharing,
    /// Our policy about the session.
    deny: Result<Deny>,
    /// Our policy about all sessions.
    revocation: Result<Deny>,
    deny_all: DenyAll,
    /// Whether the role has our tag.
    marked: bool,
}

#[derive(Clone, Debug)]
struct FederatedState {
    issuer: Result<Issuer>,
    /// The issuer, if that is a user of this account and still has that name.
    user: Option<UserState>,
}

impl Planner for Iam {
    const CATEGORY: Category = Category::Iam;

    type State = State;

    type Action = Change;

    fn plan(finding: &Finding, state: &State, settings: &Settings, now: Timestamp) -> Plan<Change> {
        plan::plan(finding, state, &settings.iam, now)
    }

    fn resource(finding: &Finding, state: &State, action: &Change) -> Resource {
        match action {
            Change::RevokeUserSessions { user, arn, .. } => {
                Resource::user(finding, user, Some(arn))
            }
            Change::DeactivateAccessKey { user, .. }
            | Change::DeactivateServiceSpecificCredential { user, .. } => {
                let arn = state.arn_of(user);
                let resource = Resource::user(finding, user, arn);
                match arn {
                    Some(_) => resource,
                    // Its ARN has no path then, by which policies may spare it.
                    None => resource.unread("path"),
                }
            }
            Change::DenyRoleSession { role, arn, .. }
            | Change::RevokeRoleSessions { role, arn, .. } => {
                Resource::role(finding, role, Some(arn))
            }
            Change::MarkContained { arn, .. } => mark::resource(finding, arn),
        }
    }

    fn blast_radius_groups(_finding: &Finding, state: &State, action: &Change) -> Vec<Member> {
        let (Change::RevokeUserSessions { user, .. }
        | Change::DeactivateAccessKey { user, .. }
        | Change::DeactivateServiceSpecificCredential { user, .. }) = action
        else {
            return Vec::new();
        };
        let size = state.users.clone().into_iter();
        size.map(|size| Member {
            name: user.clone(),
            crowd: Crowd::Users,
            size,
        })
        .collect()
    }
}

impl Playbook for Iam {
    const READS: &'static [&'static str] = &[
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
    const INVESTIGATES: &'static [&'static str] = principal::READS;

    fn configure(&mut self, settings: &Settings) {
        self.settings = settings.iam.clone();
    }

    async fn observe(&self, finding: &Finding) -> Result<State> {
        let created_keys = Box::pin(self.created_keys(finding));
        let (glanced, created_keys) = futures::join!(self.glance(finding), created_keys);
        Ok(State {
            created_keys,
            ..glanced?
        })
    }

    /// Without the keys that the principal made, which CloudTrail takes its time to tell.
    async fn glance(&self, finding: &Finding) -> Result<State> {
        let (client, trail) = (&self.client, &self.principals.trail);
        Box::pin(observe::glance(client, trail, &self.settings, finding)).await
    }

    async fn complete(&self, finding: &Finding, part: &State) -> Option<State> {
        if part.created_keys.is_some() {
            return None;
        }
        let created_keys = Box::pin(self.created_keys(finding)).await;
        created_keys.is_some().then(|| State {
            created_keys,
            ..part.clone()
        })
    }

    async fn apply(&self, action: &Change) -> Result<()> {
        self.change(action).await
    }

    /// A user goes with its policies and keys, a role with its policies.
    fn remains(state: &State, _action: &Change) -> Remains {
        match &state.found {
            Found::Gone => Remains::Nothing,
            // A user that was renamed has its key still.
            Found::Astray(Astray {
                namesake: None,
                owner: Err(error),
            }) if error.is_gone() => Remains::Nothing,
            _ => Remains::Unknown,
        }
    }

    async fn restore(&self, action: &Change) -> Result<()> {
        self.put_back(action).await
    }

    fn trail(&self) -> Option<&Trail> {
        Some(&self.principals.trail)
    }

    fn kept_out(finding: &Finding, in_effect: &BTreeSet<String>) -> Option<Credential> {
        kept_out::kept_out(finding, in_effect)
    }

    async fn investigate(&self, inquiry: &Inquiry<'_>, state: Option<&State>) -> Investigation {
        let name = state.and_then(State::user_name);
        self.principals.investigate_as(inquiry, name).await
    }
}

#[cfg(test)]
mod tests;
