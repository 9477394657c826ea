//! The changes that are made to users and roles.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::deny_all::DenyAll;
use super::mark;
use super::policy_document::{Deny, deny_session, deny_sessions_before};
use super::{ROLE_POLICY, USER_POLICY, session_policy};
use crate::finding::RoleSession;
use crate::plan::{Action, Phase, Undo};

pub(super) const REVOKE: &str = "iam:RevokeUserSessions";
pub(super) const DEACTIVATE: &str = "iam:DeactivateAccessKey";
pub(super) const DENY_SESSION: &str = "iam:DenyRoleSession";
pub(super) const MARK: &str = "iam:MarkContained";
pub(super) const REVOKE_ROLE: &str = "iam:RevokeRoleSessions";
/// Left to a person: a password that is taken away cannot be given back.
pub(super) const CONSOLE: &str = "iam:DisableConsoleAccess";

/// A change to a user or a role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// Denies everything to sessions of the user that were issued before a time.
    RevokeUserSessions {
        /// The user's name.
        user: String,
        /// The user's ARN.
        arn: String,
        /// Our policy as it was.
        from: Deny,
        /// `AWSDenyAll` and the boundary as they were.
        #[serde(default)]
        deny_all: DenyAll,
        /// Sessions issued before it are cut off.
        cut_off: Timestamp,
    },
    /// Makes one long-term key unusable.
    DeactivateAccessKey {
        /// The user's name.
        user: String,
        /// The key.
        key: String,
        /// The key's status as it was.
        from: String,
    },
    /// Denies everything to one session of a role, by its name.
    DenyRoleSession {
        /// The role's name.
        role: String,
        /// The role's ARN.
        arn: String,
        /// The session.
        session: RoleSession,
        /// Our policy as it was.
        from: Deny,
        /// `AWSDenyAll` and the boundary as they were.
        #[serde(default)]
        deny_all: DenyAll,
        /// Whether all of the role may be hit where there is no room for the narrow policy.
        #[serde(default)]
        role_wide: bool,
    },
    /// Denies everything to sessions of the role that were issued before a time, whosever they are.
    RevokeRoleSessions {
        /// The role's name.
        role: String,
        /// The role's ARN.
        arn: String,
        /// Our policy as it was.
        from: Deny,
        /// `AWSDenyAll` and the boundary as they were.
        deny_all: DenyAll,
        /// Sessions issued before it are cut off.
        cut_off: Timestamp,
    },
    /// Tags the contained user or role.
    MarkContained {
        /// Its ARN.
        arn: String,
        /// The name of our policy that contains it.
        #[serde(default)]
        policy: String,
    },
}

impl Change {
    /// The name of our policy that the change writes, if it is a deny.
    pub(super) fn policy(&self) -> Option<String> {
        match self {
            Self::RevokeUserSessions { .. } => Some(USER_POLICY.to_owned()),
            Self::DenyRoleSession { session, .. } => Some(session_policy(session)),
            Self::RevokeRoleSessions { .. } => Some(ROLE_POLICY.to_owned()),
            Self::DeactivateAccessKey { .. } | Self::MarkContained { .. } => None,
        }
    }
}

impl Action for Change {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[
        (
            REVOKE,
            &[
                "iam:PutUserPolicy",
                "iam:AttachUserPolicy",
                "iam:PutUserPermissionsBoundary",
            ],
        ),
        (DEACTIVATE, &["iam:UpdateAccessKey"]),
        (DENY_SESSION, DENY_ROLE),
        (REVOKE_ROLE, DENY_ROLE),
        (MARK, &["iam:TagUser", "iam:TagRole"]),
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::RevokeUserSessions { .. } => REVOKE,
            Self::DeactivateAccessKey { .. } => DEACTIVATE,
            Self::DenyRoleSession { .. } => DENY_SESSION,
            Self::RevokeRoleSessions { .. } => REVOKE_ROLE,
            Self::MarkContained { .. } => MARK,
        }
    }
    fn target(&self) -> String {
        match self {
            Self::RevokeUserSessions { arn, .. }
            | Self::RevokeRoleSessions { arn, .. }
            | Self::MarkContained { arn, .. } => arn.clone(),
            Self::DenyRoleSession { arn, session, .. } => session_target(arn, session),
            Self::DeactivateAccessKey { key, .. } => key.clone(),
        }
    }
    fn phase_of(name: &str) -> Phase {
        match name {
            MARK => Phase::Annotate,
            _ => Phase::Contain,
        }
    }
    fn phase(&self) -> Phase {
        Self::phase_of(self.name())
    }
    /// The deny and the keys at once: a session that was made with a key after the cut-off is not denied,
    /// so that every moment between the two is the attacker's. IAM refuses two changes to one entity's
    /// policies at once, so the two denies of a role come one after the other.
    fn order(&self) -> u8 {
        match self {
            Self::RevokeRoleSessions { .. } => 1,
            _ => 0,
        }
    }
    fn from(&self) -> Value {
        match self {
            Self::RevokeUserSessions { from, deny_all, .. }
            | Self::DenyRoleSession { from, deny_all, .. }
            | Self::RevokeRoleSessions { from, deny_all, .. } => deny_all.beside(from),
            Self::DeactivateAccessKey { from, .. } => json!({ "Status": from }),
            Self::MarkContained { .. } => json!({ mark::KEY: null }),
        }
    }
    fn to(&self) -> Value {
        match self {
            Self::RevokeUserSessions { cut_off, .. } | Self::RevokeRoleSessions { cut_off, .. } => {
                deny_sessions_before(*cut_off)
            }
            Self::DenyRoleSession { session, .. } => deny_session(session),
            Self::DeactivateAccessKey { .. } => json!({ "Status": "Inactive" }),
            Self::MarkContained { .. } => json!({ mark::KEY: mark::VALUE }),
        }
    }
    /// The cut-off moves forward with newer activity.
    fn found_ours(&self) -> bool {
        match self {
            Self::RevokeUserSessions { from, .. } | Self::RevokeRoleSessions { from, .. } => {
                from.cut_off().is_some()
            }
            _ => false,
        }
    }
    fn undo(&self) -> Undo {
        match self {
            Self::RevokeUserSessions { .. }
            | Self::DenyRoleSession { .. }
            | Self::RevokeRoleSessions { .. }
            | Self::MarkContained { .. } => Undo::Restore,
            Self::DeactivateAccessKey { from, .. } if from == "Active" => Undo::OnlyIfNamed,
            Self::DeactivateAccessKey { .. } => Undo::Nothing("the key was not active before"),
        }
    }
}

const DENY_ROLE: &[&str] = &[
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:PutRolePermissionsBoundary",
];

pub(super) fn console_target(user_arn: &str) -> String {
    format!("{user_arn} (console password)")
}

pub(super) fn session_target(role_arn: &str, session: &RoleSession) -> String {
    format!("{role_arn} (session {})", session.name)
}
