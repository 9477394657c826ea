//! The changes to users and roles.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::deny_all::DenyAll;
use super::policy_document::{
    Deny, deny_session, deny_sessions_before, deny_sessions_issued, deny_user_sessions_before,
};
use model::actions::{
    self,
    iam::{DEACTIVATE, DEACTIVATE_CREDENTIAL, DENY_SESSION, MARK, REVOKE, REVOKE_ROLE},
};
use model::finding::RoleSession;
use model::plan::{self, Phase, Undo};

/// The name of our policy on a user. Not the console's `AWSRevokeOlderSessions`, so that neither
/// overwrites the other.
pub(super) const USER_POLICY: &str = "gdr-revoke-sessions";

/// The name of our policy on a role that cuts off all its sessions.
pub(super) const ROLE_POLICY: &str = "gdr-revoke-role-sessions";

/// The name of our policy about one session of a role. A session's name has the grammar of a
/// policy's and at most 64 of its 128 characters.
pub(super) fn session_policy(session: &RoleSession) -> String {
    format!("gdr-deny-session-{}", session.name)
}

/// The tag on a contained principal.
pub(super) const MARK_KEY: &str = "gdr:contained";
pub(super) const MARK_VALUE: &str = "true";

/// One session among those that share its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The session's access key (`ASIA…`).
    pub key: String,
    /// When it was issued, to the second: its `aws:TokenIssueTime`.
    pub at: Timestamp,
}

/// A change to a user or a role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Action {
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
    /// Makes one service-specific credential (CodeCommit, Amazon Keyspaces, Amazon Bedrock) unusable.
    DeactivateServiceSpecificCredential {
        /// The user's name.
        user: String,
        /// The credential's id.
        credential: String,
        /// The service that it is for.
        service: String,
        /// The credential's status as it was.
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
        /// Which of the sessions of that name, where others share it. `None`: whichever has the name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issued: Option<Issued>,
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

impl Action {
    /// The name of our policy that the change writes, if it is a deny.
    pub(super) fn policy(&self) -> Option<String> {
        match self {
            Self::RevokeUserSessions { .. } => Some(USER_POLICY.to_owned()),
            Self::DenyRoleSession { session, .. } => Some(session_policy(session)),
            Self::RevokeRoleSessions { .. } => Some(ROLE_POLICY.to_owned()),
            Self::DeactivateAccessKey { .. }
            | Self::DeactivateServiceSpecificCredential { .. }
            | Self::MarkContained { .. } => None,
        }
    }
}

impl plan::Action for Action {
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
        (
            DEACTIVATE_CREDENTIAL,
            &["iam:UpdateServiceSpecificCredential"],
        ),
        (DENY_SESSION, DENY_ROLE),
        (REVOKE_ROLE, DENY_ROLE),
        (MARK, &["iam:TagUser", "iam:TagRole"]),
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::RevokeUserSessions { .. } => REVOKE,
            Self::DeactivateAccessKey { .. } => DEACTIVATE,
            Self::DeactivateServiceSpecificCredential { .. } => DEACTIVATE_CREDENTIAL,
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
            Self::DeactivateServiceSpecificCredential { credential, .. } => credential.clone(),
        }
    }
    fn phase_of(name: &str) -> Phase {
        actions::phase(name)
    }
    /// The deny of a user or role contains each of its credentials.
    fn is_shared(_name: &str) -> bool {
        true
    }

    fn phase(&self) -> Phase {
        Self::phase_of(self.name())
    }
    /// The deny and the keys run at the same time: a session that was made with a key after the cut-off is not denied,
    /// so that every moment between the two is the attacker's. IAM refuses two simultaneous changes to one entity's
    /// policies, so the two denies of a role come one after the other.
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
            Self::DeactivateAccessKey { from, .. }
            | Self::DeactivateServiceSpecificCredential { from, .. } => json!({ "Status": from }),
            Self::MarkContained { .. } => json!({ MARK_KEY: null }),
        }
    }
    fn to(&self) -> Value {
        match self {
            Self::RevokeUserSessions { cut_off, .. } => deny_user_sessions_before(*cut_off),
            Self::RevokeRoleSessions { cut_off, .. } => deny_sessions_before(*cut_off),
            Self::DenyRoleSession {
                session,
                issued: Some(issued),
                from,
                ..
            } => {
                let mut denied = from.issued(session);
                denied.insert(issued.key.clone(), issued.at);
                deny_sessions_issued(session, &denied)
            }
            Self::DenyRoleSession { session, .. } => deny_session(session),
            Self::DeactivateAccessKey { .. } | Self::DeactivateServiceSpecificCredential { .. } => {
                json!({ "Status": "Inactive" })
            }
            Self::MarkContained { .. } => json!({ MARK_KEY: MARK_VALUE }),
        }
    }
    /// The cut-off moves forward with newer activity.
    fn continues_own_change(&self) -> bool {
        match self {
            Self::RevokeUserSessions { from, .. } | Self::RevokeRoleSessions { from, .. } => {
                from.cut_off().is_some()
            }
            _ => false,
        }
    }
    /// Others that share the name may be denied beside the one session, or no longer.
    fn is_restored(&self, found: &Self) -> bool {
        match (self, found) {
            (
                Self::DenyRoleSession {
                    session,
                    issued: Some(issued),
                    ..
                },
                Self::DenyRoleSession { from, .. },
            ) => {
                let denied = from.issued(session).contains_key(&issued.key);
                !denied && !from.is(&deny_session(session))
            }
            _ => self.from() == found.from(),
        }
    }
    /// The deny of a user as earlier versions wrote it.
    fn left(&self, found: &Self) -> bool {
        match (self, found) {
            (
                Self::RevokeUserSessions { from: before, .. },
                Self::RevokeUserSessions { from, .. },
            ) => from.lets_renew() && from != before,
            _ => false,
        }
    }
    /// One of the sessions of a name is less than all of them.
    fn is_within(&self, wider: &Self) -> bool {
        match (self, wider) {
            (
                Self::DenyRoleSession {
                    arn,
                    session,
                    from,
                    issued: Some(_),
                    ..
                },
                Self::DenyRoleSession {
                    arn: of,
                    session: named,
                    from: found,
                    issued: None,
                    ..
                },
            ) => (arn, session, from) == (of, named, found),
            _ => false,
        }
    }
    fn undo(&self) -> Undo {
        match self {
            Self::RevokeUserSessions { .. }
            | Self::DenyRoleSession { .. }
            | Self::RevokeRoleSessions { .. }
            | Self::MarkContained { .. } => Undo::Restore,
            Self::DeactivateAccessKey { from, .. }
            | Self::DeactivateServiceSpecificCredential { from, .. }
                if from == "Active" =>
            {
                Undo::RequiresExplicitTarget
            }
            Self::DeactivateAccessKey { .. } => Undo::Nothing("the key was not active before"),
            Self::DeactivateServiceSpecificCredential { .. } => {
                Undo::Nothing("the credential was not active before")
            }
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
