//! Who acted, according to a finding.

use serde::{Deserialize, Serialize};

use super::wire::AccessKeyDetails;
use super::{ids, printable};
use crate::error::Result;

/// The name that GuardDuty gives to an unauthenticated caller,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-s3.html>.
const ANONYMOUS: &str = "ANONYMOUS_PRINCIPAL";

/// The principal that a finding names, by the kinds that call for different containments.
///
/// The kinds follow CloudTrail's `userIdentity` element,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// An IAM user, by a long-term key or by a session of the user's own.
    User {
        /// The user's name, without a path.
        name: String,
        /// The user's unique id (`AIDA…`), where the finding has it.
        user_id: Option<String>,
        /// The long-term credential that was used: a key (`AKIA…`), seldom another. `None`: a session (`ASIA…`) of the user, or
        /// no key id at all.
        long_term_key: Option<String>,
    },
    /// A session of a role.
    RoleSession {
        /// The role's name, without a path.
        role: String,
        /// The role's unique id (`AROA…`) and the session's name, where the finding has them.
        session: Option<RoleSession>,
    },
    /// A federated session; its name is not that of an IAM user.
    FederatedUser {
        /// The name that the federation gave.
        name: String,
    },
    /// The account's root user.
    Root,
    /// Nobody in particular: an unauthenticated caller.
    Anonymous,
    /// A principal of another account.
    OtherAccount {
        /// What the finding calls it.
        name: String,
    },
    /// An AWS service, a directory, or a kind this version does not know.
    Other {
        /// The finding's `userType`.
        user_type: String,
        /// What the finding calls it.
        name: String,
    },
}

/// The session of a role that `principalId` names: `AROA…:session`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSession {
    /// The role's unique id.
    pub role_id: String,
    /// The session's name.
    pub name: String,
}

impl Principal {
    /// `at` is the path of `details`.
    pub(super) fn parse(details: &AccessKeyDetails, at: &str) -> Result<Self> {
        let user_type = details.user_type.as_deref().unwrap_or_default();
        let name = details.user_name.as_deref().unwrap_or_default();
        let principal_id = details.principal_id.as_deref().unwrap_or_default();
        let key = details.access_key_id.as_deref().unwrap_or_default();
        // A user of that name can be made, but nobody chooses a principal id.
        if principal_id == ANONYMOUS
            || (user_type == "AWSAccount" && name == ANONYMOUS && principal_id.is_empty())
        {
            return Ok(Self::Anonymous);
        }
        Ok(match user_type {
            "IAMUser" => {
                // A session's principal id may carry the session's name behind a colon.
                let user_id = principal_id.split(':').next().unwrap_or_default();
                Self::User {
                    name: ids::name(format_args!("{at}.userName"), name)?,
                    user_id: present(user_id)
                        .map(|id| ids::unique_id(format_args!("{at}.principalId"), id))
                        .transpose()?,
                    long_term_key: present(key)
                        .map(|key| ids::access_key(format_args!("{at}.accessKeyId"), key))
                        .transpose()?
                        .filter(|key| !key.starts_with("ASIA")),
                }
            }
            "AssumedRole" => Self::RoleSession {
                role: ids::name(format_args!("{at}.userName"), name)?,
                session: principal_id
                    .split_once(':')
                    .map(|(role_id, session)| {
                        Ok::<_, crate::Error>(RoleSession {
                            role_id: ids::unique_id(format_args!("{at}.principalId"), role_id)?,
                            name: ids::name(format_args!("{at}.principalId"), session)?,
                        })
                    })
                    .transpose()?,
            },
            "FederatedUser" => Self::FederatedUser {
                name: printable(name),
            },
            "Root" => Self::Root,
            "AWSAccount" => Self::OtherAccount {
                name: printable(name),
            },
            other => Self::Other {
                user_type: printable(other),
                name: printable(name),
            },
        })
    }

    /// True for a kind that belongs to the finding's own account.
    pub fn is_own(&self) -> bool {
        matches!(
            self,
            Self::User { .. } | Self::RoleSession { .. } | Self::FederatedUser { .. } | Self::Root
        )
    }

    /// The name of the user or role, for the kinds that have one of this account.
    pub fn entity_name(&self) -> Option<&str> {
        match self {
            Self::User { name, .. } => Some(name),
            Self::RoleSession { role, .. } => Some(role),
            _ => None,
        }
    }
}

/// The names that are not held against a grammar are made printable here.
impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User {
                name,
                long_term_key: Some(key),
                ..
            } => {
                write!(f, "IAM user {name} (access key {key})")
            }
            Self::User { name, .. } => write!(f, "IAM user {name} (a session)"),
            Self::RoleSession {
                role,
                session: Some(session),
            } => {
                write!(f, "role {role} (session {})", session.name)
            }
            Self::RoleSession {
                role,
                session: None,
            } => write!(f, "role {role}"),
            Self::FederatedUser { name } => write!(f, "federated user {}", printable(name)),
            Self::Root => f.write_str("the root user"),
            Self::Anonymous => f.write_str("an anonymous caller"),
            Self::OtherAccount { name } => {
                write!(f, "a principal of another account ({})", printable(name))
            }
            Self::Other { user_type, name } => {
                write!(f, "{} {}", printable(user_type), printable(name))
            }
        }
    }
}

fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
