//! The state of a finding's principal that is read before anything is planned.

use aws_sdk_iam::types::StatusType;
use jiff::Timestamp;

use super::deny_all::DenyAll;
use super::policy_document::Deny;
use super::trust::Trust;
use aws::error::Result;
use aws::iam_principal::issuer::Issuer;

/// The state of a finding's principal, as it was read.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) found: ObservedPrincipal,
    /// The keys that the principal made since the first event, where the settings ask for them.
    pub(super) created_keys: Option<Result<CreatedKeys>>,
    /// How many users the account has, where the principal may be one.
    pub(super) users: Option<Result<usize>>,
}

impl State {
    /// The ARN of a user, if that one was read.
    pub(super) fn arn_of(&self, user: &str) -> Option<&str> {
        let found = match &self.found {
            ObservedPrincipal::User(found) => Some(found),
            ObservedPrincipal::Federated(FederatedState { user, .. }) => user.as_ref(),
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
    pub(super) fn user_name(&self) -> Option<&str> {
        match &self.found {
            ObservedPrincipal::User(found) => Some(&found.name),
            _ => None,
        }
    }
}

/// The principal, as IAM has it.
#[derive(Clone, Debug)]
pub(super) enum ObservedPrincipal {
    /// A user of this account.
    User(UserState),
    /// A role of this account.
    Role(RoleState),
    /// A federated session.
    Federated(FederatedState),
    /// Neither the name nor the key of the finding led to its user.
    Unresolved(UnresolvedUser),
    /// There is no user or role of that name, or no longer.
    Gone,
    /// Nothing was read: the principal is of a kind that is not contained.
    NotRead,
}

/// A user whom neither the name nor the key of the finding led to.
#[derive(Clone, Debug)]
pub(super) struct UnresolvedUser {
    /// The unique id of whoever has the name today. `None`: nobody has.
    pub(super) namesake: Option<String>,
    /// The name and unique id of whoever has the key.
    pub(super) owner: Result<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct UserState {
    /// The name that the user has now.
    pub(super) name: String,
    /// IAM names the user as the owner of the finding's key.
    pub(super) owns_key: bool,
    pub(super) arn: String,
    pub(super) user_id: String,
    pub(super) keys: Result<Vec<AccessKey>>,
    /// Its service-specific credentials.
    pub(super) credentials: Result<Vec<ServiceCredential>>,
    pub(super) deny: Result<Deny>,
    pub(super) deny_all: DenyAll,
    /// The user's console password, if it has one.
    pub(super) console: Result<Option<Password>>,
    /// Whether the user has our tag.
    pub(super) marked: bool,
}

impl UserState {
    /// Whether it is the user with this unique id or, where that is not known, this key. Names are given out
    /// again; ids and keys are not.
    pub(super) fn is(&self, id: Option<&str>, key: Option<&str>) -> bool {
        match id {
            Some(id) => id == self.user_id,
            None => {
                let has = |key| self.key(key).is_some() || self.credential(key).is_some();
                self.owns_key || key.is_some_and(has)
            }
        }
    }

    /// One of the service-specific credentials that were listed.
    pub(super) fn credential(&self, id: &str) -> Option<&ServiceCredential> {
        let mut credentials = self.credentials.iter().flatten();
        credentials.find(|credential| credential.id == id)
    }

    /// One of the keys that were listed.
    pub(super) fn key(&self, id: &str) -> Option<&AccessKey> {
        self.keys.iter().flatten().find(|key| key.id == id)
    }
}

/// True for the id of an access key. Service-specific credentials and bearer tokens have other prefixes,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>.
pub(super) fn is_access_key(id: &str) -> bool {
    id.starts_with("AKIA")
}

#[derive(Clone, Debug)]
pub(super) struct AccessKey {
    pub(super) id: String,
    pub(super) status: StatusType,
    pub(super) created: Option<Timestamp>,
}

/// A credential for one AWS service, beside the access keys.
#[derive(Clone, Debug)]
pub(super) struct ServiceCredential {
    pub(super) id: String,
    /// `codecommit.amazonaws.com`.
    pub(super) service: String,
    pub(super) status: StatusType,
    pub(super) created: Option<Timestamp>,
}

/// A console password.
#[derive(Clone, Debug)]
pub(super) struct Password {
    pub(super) created: Option<Timestamp>,
}

/// The keys that the principal made, as far as CloudTrail was read.
#[derive(Clone, Debug)]
pub(super) struct CreatedKeys {
    pub(super) keys: Vec<CreatedKey>,
    /// Whether the principal did more than was read.
    pub(super) cut: bool,
}

#[derive(Clone, Debug)]
pub(super) struct CreatedKey {
    pub(super) user: String,
    /// `None`: the user could not be read.
    pub(super) arn: Option<String>,
    pub(super) id: String,
    /// `None`: it was deleted.
    pub(super) status: Result<Option<StatusType>>,
}

#[derive(Clone, Debug)]
pub(super) struct RoleState {
    pub(super) arn: String,
    pub(super) role_id: String,
    pub(super) path: String,
    pub(super) created: Option<Timestamp>,
    pub(super) trust: Trust,
    /// Who else has the session's name.
    pub(super) sharing: Sharing,
    /// Our policy about the session.
    pub(super) deny: Result<Deny>,
    /// Our policy about all sessions.
    pub(super) revocation: Result<Deny>,
    pub(super) deny_all: DenyAll,
    /// Whether the role has our tag.
    pub(super) marked: bool,
}

#[derive(Clone, Debug)]
pub(super) struct FederatedState {
    pub(super) issuer: Result<Issuer>,
    /// The issuer, if that is a user of this account and still has that name.
    pub(super) user: Option<UserState>,
}

/// Who has the name of a session.
#[derive(Clone, Debug)]
pub(super) enum Sharing {
    /// Nobody else, as far as the role's trust and CloudTrail tell.
    Nobody,
    /// Perhaps others, who could not be looked for, for this reason.
    Unclear(String),
    /// Others too.
    Everybody {
        /// Who they are.
        who: String,
        /// When the session of the finding was issued, or why that is not known.
        issued: Result<Timestamp, String>,
    },
}
