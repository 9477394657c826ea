//! Credentials: the one access key deactivated, the sessions cut off, nobody else touched.
//!
//! Temporary credentials cannot be withdrawn, but every request with them is authorized anew, so a
//! deny that matches only them ends them:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html>.
//! A deny on `aws:TokenIssueTime` does not touch long-term keys, and deactivating a long-term key
//! leaves the sessions alive that were made with it (up to 36 hours). A stolen key takes both.

mod observe;
pub mod policy_document;

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::StatusType;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::policy_document::{Deny, deny_session, deny_sessions_before};
use super::Playbook;
use crate::catalogue::Category;
use crate::error::{CallContext, Result};
use crate::finding::{Finding, Principal, RoleSession};
use crate::plan::{Action, Phase, Plan, Step, Undo};
use crate::settings::Settings;

const REVOKE: &str = "iam:RevokeUserSessions";
const DEACTIVATE: &str = "iam:DeactivateAccessKey";
const DENY_SESSION: &str = "iam:DenyRoleSession";

/// The name of our policy on a user. Not the console's `AWSRevokeOlderSessions`, so that neither
/// overwrites the other.
const USER_POLICY: &str = "gdr-revoke-sessions";

/// The playbook of the IAM function.
#[derive(Debug)]
pub struct Iam {
    client: Client,
}

impl Iam {
    /// A playbook that calls with these settings.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }

    async fn put_user_policy(&self, user: &str, document: String) -> Result<()> {
        let call = self
            .client
            .put_user_policy()
            .user_name(user)
            .policy_name(USER_POLICY);
        let done = call.policy_document(document).send().await;
        done.during("iam:PutUserPolicy", user).map(drop)
    }

    async fn put_role_policy(
        &self,
        role: &str,
        session: &RoleSession,
        document: String,
    ) -> Result<()> {
        let call = self
            .client
            .put_role_policy()
            .role_name(role)
            .policy_name(role_policy(session));
        let done = call.policy_document(document).send().await;
        done.during("iam:PutRolePolicy", role).map(drop)
    }

    async fn set_key(&self, user: &str, key: &str, status: StatusType) -> Result<()> {
        // Without the user's name the call would be about the caller's own key.
        let call = self
            .client
            .update_access_key()
            .user_name(user)
            .access_key_id(key);
        let done = call.status(status).send().await;
        done.during("iam:UpdateAccessKey", key).map(drop)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "release takes away the responder's own policy"
    )]
    async fn delete_user_policy(&self, user: &str) -> Result<()> {
        let call = self
            .client
            .delete_user_policy()
            .user_name(user)
            .policy_name(USER_POLICY);
        gone_is_done(
            call.send()
                .await
                .during("iam:DeleteUserPolicy", user)
                .map(drop),
        )
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "release takes away the responder's own policy"
    )]
    async fn delete_role_policy(&self, role: &str, session: &RoleSession) -> Result<()> {
        let call = self.client.delete_role_policy().role_name(role);
        let done = call.policy_name(role_policy(session)).send().await;
        gone_is_done(done.during("iam:DeleteRolePolicy", role).map(drop))
    }
}

/// What was read of the principal of a finding.
#[derive(Debug)]
pub enum State {
    /// A user of this account.
    User(UserState),
    /// A role of this account.
    Role(RoleState),
    /// There is no user or role of that name (any more).
    Gone,
    /// Nothing was read: the principal is of a kind that is not contained.
    NotRead,
}

/// What was read of a user.
#[derive(Debug)]
pub struct UserState {
    arn: String,
    user_id: String,
    keys: Vec<AccessKey>,
    deny: Deny,
}

/// An access key of a user.
#[derive(Debug)]
pub struct AccessKey {
    id: String,
    status: StatusType,
    created: String,
}

/// What was read of a role.
#[derive(Debug)]
pub struct RoleState {
    arn: String,
    role_id: String,
    path: String,
    deny: Deny,
}

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
    },
}

impl Action for Change {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[
        (REVOKE, &["iam:PutUserPolicy"]),
        (DEACTIVATE, &["iam:UpdateAccessKey"]),
        (DENY_SESSION, &["iam:PutRolePolicy"]),
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::RevokeUserSessions { .. } => REVOKE,
            Self::DeactivateAccessKey { .. } => DEACTIVATE,
            Self::DenyRoleSession { .. } => DENY_SESSION,
        }
    }
    fn target(&self) -> String {
        match self {
            Self::RevokeUserSessions { arn, .. } => arn.clone(),
            Self::DenyRoleSession { arn, session, .. } => session_target(arn, session),
            Self::DeactivateAccessKey { key, .. } => key.clone(),
        }
    }
    fn phase(&self) -> Phase {
        Phase::Contain
    }
    /// The deny first: whoever holds the key can make sessions until it is deactivated, and the deny
    /// already ends those that there are while that call is on its way.
    fn order(&self) -> u8 {
        match self {
            Self::RevokeUserSessions { .. } | Self::DenyRoleSession { .. } => 0,
            Self::DeactivateAccessKey { .. } => 1,
        }
    }
    fn from(&self) -> Value {
        match self {
            Self::RevokeUserSessions { from, .. } | Self::DenyRoleSession { from, .. } => {
                from.to_json()
            }
            Self::DeactivateAccessKey { from, .. } => json!({ "Status": from }),
        }
    }
    fn to(&self) -> Value {
        match self {
            Self::RevokeUserSessions { cut_off, .. } => deny_sessions_before(*cut_off),
            Self::DenyRoleSession { session, .. } => deny_session(session),
            Self::DeactivateAccessKey { .. } => json!({ "Status": "Inactive" }),
        }
    }
    fn undo(&self) -> Undo {
        match self {
            Self::RevokeUserSessions { .. } | Self::DenyRoleSession { .. } => Undo::Restore,
            Self::DeactivateAccessKey { from, .. } if from == "Active" => Undo::OnlyIfNamed,
            Self::DeactivateAccessKey { .. } => Undo::Nothing("the key was not active before"),
        }
    }
}

impl Playbook for Iam {
    const CATEGORY: Category = Category::Iam;
    const READS: &'static [&'static str] = &[
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:GetUser",
        "iam:GetUserPolicy",
        "iam:ListAccessKeys",
    ];
    type State = State;
    type Action = Change;

    async fn observe(&self, finding: &Finding) -> Result<State> {
        observe::observe(&self.client, &finding.principal()?).await
    }

    fn plan(
        finding: &Finding,
        state: &State,
        _settings: &Settings,
        now: Timestamp,
    ) -> Plan<Change> {
        let principal = match finding.principal() {
            Ok(principal) => principal,
            Err(error) => return not_contained(finding, DEACTIVATE, error.to_string()),
        };
        match (&principal, state) {
            (
                Principal::User {
                    name,
                    user_id,
                    long_term_key,
                },
                State::User(user),
            ) => plan_user(
                finding,
                name,
                user_id.as_deref(),
                long_term_key.as_deref(),
                user,
                now,
            ),
            (Principal::RoleSession { role, session }, State::Role(found)) => {
                plan_session(finding, role, session.as_ref(), found)
            }
            (Principal::User { .. } | Principal::RoleSession { .. }, _) => not_contained(
                finding,
                if matches!(principal, Principal::User { .. }) {
                    DEACTIVATE
                } else {
                    DENY_SESSION
                },
                match finding.remote_account() {
                    Some(other) => format!(
                        "there is no {principal} in this account: it belongs to account {other}, which \
                         must contain it; here, deny it in the policy of the resource that it used"
                    ),
                    None => {
                        format!("there is no {principal} (any more), so its credentials are void")
                    }
                },
            ),
            _ => not_contained(finding, DEACTIVATE, unsupported(&principal)),
        }
    }

    async fn apply(&self, action: &Change) -> Result<()> {
        let document = action.to().to_string();
        match action {
            Change::RevokeUserSessions { user, .. } => self.put_user_policy(user, document).await,
            Change::DeactivateAccessKey { user, key, .. } => {
                self.set_key(user, key, StatusType::Inactive).await
            }
            Change::DenyRoleSession { role, session, .. } => {
                self.put_role_policy(role, session, document).await
            }
        }
    }

    async fn restore(&self, action: &Change) -> Result<()> {
        let before = |from: &Deny| match from {
            Deny::Absent => None,
            standing => Some(standing.to_json().to_string()),
        };
        match action {
            Change::RevokeUserSessions { user, from, .. } => match before(from) {
                Some(document) => self.put_user_policy(user, document).await,
                None => self.delete_user_policy(user).await,
            },
            Change::DeactivateAccessKey { user, key, .. } => {
                self.set_key(user, key, StatusType::Active).await
            }
            Change::DenyRoleSession {
                role,
                session,
                from,
                ..
            } => match before(from) {
                Some(document) => self.put_role_policy(role, session, document).await,
                None => self.delete_role_policy(role, session).await,
            },
        }
    }
}

/// The name of our policy about one session of a role. A session's name has the grammar of a
/// policy's and at most 64 of its 128 characters.
fn role_policy(session: &RoleSession) -> String {
    format!("gdr-deny-session-{}", session.name)
}

fn gone_is_done(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_gone() => Ok(()),
        result => result,
    }
}

fn session_target(role_arn: &str, session: &RoleSession) -> String {
    format!("{role_arn} (session {})", session.name)
}

fn plan_user(
    finding: &Finding,
    name: &str,
    user_id: Option<&str>,
    stolen: Option<&str>,
    user: &UserState,
    now: Timestamp,
) -> Plan<Change> {
    let listed = stolen.and_then(|stolen| user.keys.iter().find(|key| key.id == stolen));
    // Names are given out again; ids and keys are not.
    if !user_id.map_or(listed.is_some(), |id| id == user.user_id) {
        return not_contained(
            finding,
            DEACTIVATE,
            format!(
                "the user {name} of today ({}) is not the principal of the finding ({}): the user was \
                 created anew under the same name, or the finding does not say enough",
                user.user_id,
                user_id.unwrap_or("no id given"),
            ),
        );
    }
    let mut plan = Plan::default();
    let key_is_usable = listed.is_some_and(|key| key.status == StatusType::Active);
    plan.steps
        .push(revocation(finding, name, user, key_is_usable, now));
    match (stolen, listed) {
        (Some(stolen), Some(key)) => {
            let action = Change::DeactivateAccessKey {
                user: name.to_owned(),
                key: stolen.to_owned(),
                from: key.status.as_str().to_owned(),
            };
            plan.steps.push(if key_is_usable {
                Step::Do(action)
            } else {
                Step::Already(action, format!("the key is {}", key.status.as_str()))
            });
        }
        (Some(stolen), None) => {
            let action = Change::DeactivateAccessKey {
                user: name.to_owned(),
                key: stolen.to_owned(),
                from: "deleted".to_owned(),
            };
            plan.steps.push(Step::Already(action, "the key no longer exists".to_owned()));
        }
        (None, _) => plan.next_steps.push(format!(
            "find out how the session of {name} was made: with one of the user's keys, which then is \
             stolen too, or by signing in to the console, whose password and MFA device then are"
        )),
    }
    for key in user
        .keys
        .iter()
        .filter(|key| key.status == StatusType::Active)
    {
        if Some(key.id.as_str()) != stolen {
            plan.residual_risks.push(format!(
                "{name} has another active key, {}, created {}: it was left working, since the finding \
                 does not name it",
                key.id, key.created,
            ));
        }
    }
    if stolen.is_some() {
        plan.residual_risks.push(
            "IAM takes seconds to enforce a change everywhere: a session that was made with the key in \
             those seconds, after the cut-off, still works"
                .to_owned(),
        );
    }
    plan.residual_risks.push(format!(
        "a role that was assumed with these credentials keeps its sessions, and whatever {name} created \
         (users, keys, functions) stays: look in CloudTrail"
    ));
    plan.next_steps.push(format!(
        "give {name} a new key only when it is known how the old one got out"
    ));
    plan
}

/// The cut-off only moves forward, and only if there is something new to cut off: a finding that
/// comes again about activity from before the cut-off plans nothing.
fn revocation(
    finding: &Finding,
    name: &str,
    user: &UserState,
    key_is_usable: bool,
    now: Timestamp,
) -> Step<Change> {
    // IAM knows when a session was issued to the second, and "before" does not include it.
    let cut_off = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Ceil);
    let cut_off = now.round(cut_off).unwrap_or(now);
    let standing = user.deny.cut_off();
    let needed = finding.last_seen().map_or(now, |seen| seen.min(now));
    let action = |cut_off| Change::RevokeUserSessions {
        user: name.to_owned(),
        arn: user.arn.clone(),
        from: user.deny.clone(),
        cut_off,
    };
    match standing {
        Some(standing) if standing >= cut_off || (standing >= needed && !key_is_usable) => {
            Step::Already(
                action(standing),
                format!("sessions issued before {standing} are denied everything"),
            )
        }
        Some(standing) => Step::Do(action(standing.max(cut_off))),
        None => Step::Do(action(cut_off)),
    }
}

fn plan_session(
    finding: &Finding,
    role: &str,
    session: Option<&RoleSession>,
    found: &RoleState,
) -> Plan<Change> {
    let Some(session) = session else {
        return not_contained(
            finding,
            DENY_SESSION,
            format!(
                "the finding does not name the session of {role}, and revoking the whole role would hit \
                 everybody who uses it"
            ),
        );
    };
    if session.role_id != found.role_id {
        return not_contained(
            finding,
            DENY_SESSION,
            format!(
                "the role {role} of today ({}) is not the principal of the finding ({}): the role was \
                 created anew under the same name, or belongs to another account",
                found.role_id, session.role_id,
            ),
        );
    }
    if found.path.starts_with("/aws-service-role/") {
        return not_contained(
            finding,
            DENY_SESSION,
            format!(
                "{role} is a service-linked role, which only its AWS service may change: find out who \
                 controls the resource that the service acts for"
            ),
        );
    }
    if found.path.starts_with("/aws-reserved/sso.amazonaws.com/") {
        return not_contained(
            finding,
            DENY_SESSION,
            format!(
                "{role} belongs to IAM Identity Center, and only there can it be changed: disable the \
                 user, delete its sessions, and put this into the permission set's inline policy: {}",
                deny_session(session),
            ),
        );
    }
    let mut plan = Plan::default();
    let action = Change::DenyRoleSession {
        role: role.to_owned(),
        arn: found.arn.clone(),
        session: session.clone(),
        from: found.deny.clone(),
    };
    plan.steps.push(if found.deny.is(&deny_session(session)) {
        Step::Already(
            action,
            format!("the session {} is denied everything", session.name),
        )
    } else {
        Step::Do(action)
    });
    plan.residual_risks.push(format!(
        "whoever could assume {role} still can, under another session name, and roles that this session \
         assumed keep their sessions: look for AssumeRole in CloudTrail and contain its source"
    ));
    plan.residual_risks.push(format!(
        "every session of {role} that is named {} is cut off, whoever made it",
        session.name
    ));
    plan
}

fn not_contained(finding: &Finding, action: &'static str, reason: String) -> Plan<Change> {
    let target = finding
        .principal()
        .map_or_else(|_| finding.arn(), |principal| principal.to_string());
    Plan {
        steps: vec![Step::Skipped {
            action,
            target: crate::finding::printable(&target),
            reason,
        }],
        ..Plan::default()
    }
}

fn unsupported(principal: &Principal) -> String {
    match principal {
        Principal::Root => {
            "the root user cannot be denied anything in its own account: sign in as root, change the \
             password, replace the MFA device, delete root's access keys"
                .to_owned()
        }
        Principal::FederatedUser { .. } => {
            "a federated session is cut off at the user who made it (GetFederationToken): find that user \
             in CloudTrail under sessionIssuer and revoke its sessions"
                .to_owned()
        }
        Principal::Anonymous => {
            "an anonymous caller has no credentials: the s3 function deals with the bucket".to_owned()
        }
        Principal::OtherAccount { .. } => {
            "the principal belongs to another account, which must contain it: deny it in the policy of \
             the resource that it used"
                .to_owned()
        }
        Principal::Other { .. } | Principal::User { .. } | Principal::RoleSession { .. } => format!(
            "{principal} is not a user or role that can be contained: find out on whose behalf it acted"
        ),
    }
}

#[cfg(test)]
mod tests;
