//! Who acted, according to a finding.

use serde::{Deserialize, Serialize};

use super::wire::AccessKeyDetails;
use super::{ids, is_instance_id, needed, printable};
use crate::error::Result;

/// The name that GuardDuty gives to an unauthenticated caller,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-s3.html>.
const ANONYMOUS: &str = "ANONYMOUS_PRINCIPAL";

/// The name of the role, and the middle of the principal id, of the identity that EC2 gives to every
/// instance: `111122223333:aws:ec2-instance:i-0abc1234def567890`. There is no such role in IAM,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-identity-roles.html>.
const INSTANCE_IDENTITY: &str = "aws:ec2-instance";

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
    /// An IAM user of whom the finding gives only the long-term key. IAM knows whose it is.
    KeyOwner {
        /// The key (`AKIA…`).
        key: String,
        /// The user's unique id (`AIDA…`), where the finding has it.
        user_id: Option<String>,
    },
    /// The identity that EC2 gives to every instance. It is no role of IAM, and no policy binds it.
    InstanceIdentity {
        /// The id of the instance, where the finding has it.
        instance: Option<String>,
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
        /// Its name in the finding.
        name: String,
    },
    /// An AWS service, a user of an identity provider or of IAM Identity Center, a directory, or a kind
    /// this version does not know.
    Other {
        /// The finding's `userType`.
        user_type: String,
        /// Its name in the finding. Empty: it has no name for it.
        name: String,
        /// The finding's `principalId`, if it has one.
        id: Option<String>,
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
    /// `at` is the path of `details`, `account` that of the finding.
    pub(super) fn parse(details: &AccessKeyDetails, at: &str, account: &str) -> Result<Self> {
        let user_type = details.user_type.as_deref().unwrap_or_default();
        let name = details.user_name.as_deref().unwrap_or_default();
        let principal_id = details.principal_id.as_deref().unwrap_or_default();
        // A user of that name can be made, but nobody chooses a principal id.
        let key = details.access_key_id.as_deref().unwrap_or_default();
        let unkeyed = user_type.is_empty() && key.is_empty();
        if principal_id == ANONYMOUS
            || ((user_type == "AWSAccount" || unkeyed)
                && name == ANONYMOUS
                && principal_id.is_empty())
        {
            return Ok(Self::Anonymous);
        }
        let kind = match user_type {
            "" | UNKNOWN => implied(details, account).unwrap_or(user_type),
            said => said,
        };
        let of_account = principal_id.strip_prefix(account);
        let of_account = of_account.and_then(|rest| rest.strip_prefix(':'));
        let identity = of_account.is_some_and(|rest| rest.starts_with(INSTANCE_IDENTITY));
        if kind == "AssumedRole" && (name == INSTANCE_IDENTITY || identity) {
            let (_, instance) = principal_id.rsplit_once(':').unwrap_or_default();
            return Ok(Self::InstanceIdentity {
                instance: Some(instance.to_owned()).filter(|id| is_instance_id(id)),
            });
        }
        Ok(match kind {
            "IAMUser" => Self::user(details, at)?,
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
                user_type: printable(needed(format!("{at}.userType"), &Some(other.to_owned()))?),
                name: printable(name),
                id: present(principal_id).map(|id| short(&printable(id))),
            },
        })
    }

    fn user(details: &AccessKeyDetails, at: &str) -> Result<Self> {
        let principal_id = details.principal_id.as_deref().unwrap_or_default();
        // A session's principal id may carry the session's name behind a colon.
        let user_id = principal_id.split(':').next().unwrap_or_default();
        let user_id = present(user_id)
            .map(|id| ids::unique_id(format_args!("{at}.principalId"), id))
            .transpose()?;
        let key = details.access_key_id.as_deref().unwrap_or_default();
        let long_term_key = present(key)
            .map(|key| ids::access_key(format_args!("{at}.accessKeyId"), key))
            .transpose()?
            .filter(|key| !key.starts_with(TEMPORARY));
        let name = details.user_name.as_deref().unwrap_or_default();
        Ok(match long_term_key {
            Some(key) if name.is_empty() && key.starts_with(LONG_TERM) => {
                Self::KeyOwner { key, user_id }
            }
            long_term_key => Self::User {
                name: ids::name(format_args!("{at}.userName"), name)?,
                user_id,
                long_term_key,
            },
        })
    }

    /// True for a kind that belongs to the finding's own account.
    pub fn is_own(&self) -> bool {
        matches!(
            self,
            Self::User { .. }
                | Self::KeyOwner { .. }
                | Self::InstanceIdentity { .. }
                | Self::RoleSession { .. }
                | Self::FederatedUser { .. }
                | Self::Root
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
            Self::KeyOwner { key, .. } => write!(f, "the owner of access key {key}"),
            Self::InstanceIdentity { instance } => {
                let instance = instance.as_deref().unwrap_or("an instance");
                write!(
                    f,
                    "the identity that EC2 gives to {instance} ({INSTANCE_IDENTITY})"
                )
            }
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
            Self::Other {
                user_type,
                name,
                id,
            } => {
                let called = Some(name).filter(|name| !name.is_empty()).or(id.as_ref());
                f.write_str(&printable(user_type))?;
                called.map_or(Ok(()), |called| write!(f, " {}", printable(called)))
            }
        }
    }
}

/// The prefixes of long-term and temporary access key ids,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>.
const LONG_TERM: &str = "AKIA";
const TEMPORARY: &str = "ASIA";

/// The `userType` that says nothing.
const UNKNOWN: &str = "Unknown";

/// True if the finding does not say of which kind the principal is, and gives a key of AWS's grammar for
/// this kind: IAM knows whose it is, or the principal id does.
pub(super) fn is_told_by_key(details: &AccessKeyDetails) -> bool {
    let key = details.access_key_id.as_deref().unwrap_or_default();
    matches!(details.user_type.as_deref(), None | Some("" | UNKNOWN))
        && (key.starts_with(LONG_TERM) || key.starts_with(TEMPORARY))
}

/// The `userType` that the ids imply, which AWS gives out and nobody chooses. `None`: they do not tell.
fn implied(details: &AccessKeyDetails, account: &str) -> Option<&'static str> {
    let id = details.principal_id.as_deref().unwrap_or_default();
    let key = details.access_key_id.as_deref().unwrap_or_default();
    let of_account = id.strip_prefix(account);
    match of_account.map(|rest| rest.strip_prefix(':')) {
        _ if id.starts_with("AROA") && id.contains(':') => Some("AssumedRole"),
        _ if id.starts_with("AIDA") => Some("IAMUser"),
        Some(Some(name)) if name.starts_with(INSTANCE_IDENTITY) => Some("AssumedRole"),
        Some(Some(_)) => Some("FederatedUser"),
        Some(None) if id == account => Some("Root"),
        _ if id.is_empty() && key.starts_with(LONG_TERM) => Some("IAMUser"),
        _ => None,
    }
}

/// No id of AWS's is longer, and the reader need not see more of an invalid one.
fn short(text: &str) -> String {
    text.chars().take(256).collect()
}

fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
