//! What is to be done about a principal. Pure.

mod others;
mod role;
mod user;

use aws_sdk_iam::types::StatusType;
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use super::change::{Change, DEACTIVATE, DENY_SESSION};
use super::mark;
use super::policy_document::Deny;
use super::{Astray, CreatedKey, CreatedKeys, EVERYTHING_DENIED, Found, State, is_access_key};
use crate::error::{Error, Result};
use crate::finding::{Finding, Principal, printable};
use crate::guidance;
use crate::plan::{Plan, Step};
use crate::settings::{Entity, IamSettings, protects};

pub(super) fn plan(
    finding: &Finding,
    state: &State,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Change> {
    let principal = match finding.principal() {
        Ok(principal) => principal,
        Err(error) => return not_contained(finding, DEACTIVATE, error.to_string()),
    };
    let mut plan = match (&principal, &state.found) {
        (
            Principal::User {
                name,
                user_id,
                long_term_key,
            },
            Found::User(found),
        ) => {
            let suspect = user::Suspect {
                called: name,
                id: user_id.as_deref(),
                stolen: long_term_key.as_deref(),
            };
            user::plan(finding, &suspect, found, settings, now)
        }
        (Principal::RoleSession { role, session }, Found::Role(found)) => {
            role::plan(finding, role, session.as_ref(), found, settings, now)
        }
        (Principal::KeyOwner { key, user_id }, Found::User(found)) => {
            let suspect = user::Suspect {
                called: &found.name,
                id: user_id.as_deref(),
                stolen: Some(key),
            };
            user::plan(finding, &suspect, found, settings, now)
        }
        (
            Principal::User {
                name,
                user_id,
                long_term_key: Some(key),
            },
            Found::Astray(found),
        ) => {
            let missing = match &found.namesake {
                Some(namesake) => user::not_the_principal(name, namesake, user_id.as_deref()),
                None => no_such_user(name, user_id.as_deref()),
            };
            astray(finding, missing, key, found)
        }
        (Principal::KeyOwner { key, .. }, Found::Astray(found)) => {
            let missing = format!("the finding does not say whose the key {key} is");
            astray(finding, missing, key, found)
        }
        (Principal::FederatedUser { name }, Found::Federated(found)) => {
            user::plan_federated(finding, &printable(name), found, settings, now)
        }
        (Principal::User { name, user_id, .. }, _) => {
            let elsewhere = elsewhere(finding, &principal);
            let reason = elsewhere.unwrap_or_else(|| no_such_user(name, user_id.as_deref()));
            not_contained(finding, DEACTIVATE, reason)
        }
        (Principal::RoleSession { .. }, _) => {
            // A role cannot be renamed.
            let gone =
                || format!("there is no {principal} (any more), so its credentials are void");
            let reason = elsewhere(finding, &principal).unwrap_or_else(gone);
            not_contained(finding, DENY_SESSION, reason)
        }
        _ => not_contained(finding, DEACTIVATE, unsupported(&principal)),
    };
    if let Some(created) = &state.created_keys {
        add_created_keys(&mut plan, finding, &principal, created, settings);
    }
    if settings.mark_contained {
        mark::plan(&mut plan, &state.found);
    }
    plan
}

/// Why there is no such principal here, if it is one of another account.
fn elsewhere(finding: &Finding, principal: &Principal) -> Option<String> {
    let other = finding.credentials_account()?;
    Some(format!(
        "there is no {principal} in this account: it belongs to account {other}, which must contain it; \
         here, deny it in the policy of the resource that it used"
    ))
}

/// The credentials of a user that is deleted are void; those of one that is renamed go on working.
fn no_such_user(name: &str, id: Option<&str>) -> String {
    format!(
        "there is no user {name} (any more): it was deleted or renamed, and renamed it keeps its keys, its \
         password and its sessions; {}",
        look_for(id),
    )
}

/// How a person finds a user whose name is not known.
fn look_for(id: Option<&str>) -> String {
    let how = id.map_or_else(
        || "in CloudTrail (iam:UpdateUser, iam:DeleteUser)".to_owned(),
        |id| format!("by its id: aws iam list-users --query \"Users[?UserId=='{id}']\""),
    );
    format!("look for it {how}")
}

/// A user to whom neither the name nor the key led.
fn astray(finding: &Finding, missing: String, key: &str, found: &Astray) -> Plan<Change> {
    let owner = match &found.owner {
        Ok((owner, owner_id)) => format!(
            "the key {key} belongs to the user {owner} ({owner_id}), who is not the principal of the \
             finding either: deactivate it by hand if it should not be used: aws iam update-access-key \
             --user-name {owner} --access-key-id {key} --status Inactive"
        ),
        Err(error) if error.is_transient() => {
            return Plan {
                steps: vec![Step::Unknown {
                    action: DEACTIVATE,
                    target: key.to_owned(),
                    error: error.clone(),
                }],
                next_steps: vec![missing],
                ..Plan::default()
            };
        }
        Err(error) if error.is_gone() => format!(
            "the key {key} was deleted, which leaves the sessions that were made with it ({error})"
        ),
        Err(error) => format!("whose the key {key} is could not be read ({error})"),
    };
    not_contained(finding, DEACTIVATE, format!("{missing}; {owner}"))
}

/// The keys that the principal made are the attacker's way back.
fn add_created_keys(
    plan: &mut Plan<Change>,
    finding: &Finding,
    principal: &Principal,
    created: &Result<CreatedKeys>,
    settings: &IamSettings,
) {
    let who = printable(&principal.to_string());
    let unknown = |error| Step::Unknown {
        action: DEACTIVATE,
        target: format!("the access keys that {who} created"),
        error,
    };
    let created = match created {
        Ok(CreatedKeys { keys, cut }) => {
            if *cut {
                plan.steps.push(unknown(Error::Refused(format!(
                    "{who} did more in IAM since the first event than was read of CloudTrail, so that keys \
                     may be missing: look for them with aws cloudtrail lookup-events --lookup-attributes \
                     AttributeKey=EventName,AttributeValue=CreateAccessKey"
                ))));
            }
            keys
        }
        Err(error) => {
            plan.steps.push(unknown(error.clone()));
            return;
        }
    };
    for CreatedKey {
        user, id, status, ..
    } in created
    {
        if plan.steps.iter().any(|step| {
            let key = step.key();
            key.action == DEACTIVATE && key.target == *id
        }) {
            continue;
        }
        plan.steps.push(match status {
            _ if is_protected(settings, finding, user) => Step::Skipped {
                action: DEACTIVATE,
                target: id.clone(),
                reason: format!(
                    "the principal made this key of {user}, who is on the list of principals that are \
                     never contained: deactivate it by hand"
                ),
            },
            Ok(status) => key_step(user, id, status.as_ref()),
            Err(error) => Step::Unknown {
                action: DEACTIVATE,
                target: id.clone(),
                error: error.clone(),
            },
        });
    }
}

/// `None`: the key is not listed.
fn key_step(user: &str, key: &str, status: Option<&StatusType>) -> Step<Change> {
    let action = Change::DeactivateAccessKey {
        user: user.to_owned(),
        key: key.to_owned(),
        from: status.map_or("deleted", StatusType::as_str).to_owned(),
    };
    match status {
        Some(StatusType::Active) => Step::Do(action),
        Some(status) => Step::Already(action, format!("the key is {}", status.as_str())),
        None if is_access_key(key) => Step::Already(action, "the key no longer exists".to_owned()),
        None => Step::Skipped {
            action: DEACTIVATE,
            target: key.to_owned(),
            reason: format!(
                "{key} is no access key (AKIA…) but a service-specific credential, an API key or a bearer \
                 token, which IAM lists neither among the keys nor among the service-specific credentials \
                 of {user}: it is left working if it was not deleted. Look for it with aws iam list-service-specific-credentials --user-name {user}, and deactivate it: \
                 aws iam update-service-specific-credential --user-name {user} \
                 --service-specific-credential-id ID --status Inactive"
            ),
        },
    }
}

/// How far ahead sessions are cut off where long-term keys are deactivated. IAM takes its time to enforce that
/// everywhere, and a session that is made with a key meanwhile lasts up to 36 hours. It costs whoever signs in
/// within that time another sign-in.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// What becomes of the long-term keys that sessions may have been made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// They are not touched.
    Untouched,
    /// They are deactivated, or were. `usable`: until now, so that more sessions may have been made since the
    /// activity that the finding tells of.
    Deactivated { usable: bool },
}

/// When to cut off, and whether that is in effect already. The cut-off only moves forward, and only
/// if there is something new to cut off: a finding that comes again about activity from before the
/// cut-off plans nothing.
enum CutOff {
    Standing(Timestamp),
    Needed(Timestamp),
}

impl CutOff {
    /// Of a user: what an earlier version wrote lets sign-in sessions be renewed, and is written anew.
    fn of_user(finding: &Finding, standing: &Deny, keys: Keys, now: Timestamp) -> Self {
        match Self::of(finding, standing, keys, now) {
            Self::Standing(time) if standing.lets_renew() => {
                Self::Needed(time.max(Self::until(keys, now)))
            }
            cut_off => cut_off,
        }
    }

    fn until(keys: Keys, now: Timestamp) -> Timestamp {
        // IAM knows when a session was issued to the second, and "before" does not include it.
        let up = TimestampRound::new()
            .smallest(Unit::Second)
            .mode(RoundMode::Ceil);
        let until = match keys {
            Keys::Untouched => now,
            Keys::Deactivated { .. } => now.saturating_add(AHEAD).unwrap_or(now),
        };
        until.round(up).unwrap_or(until)
    }

    fn of(finding: &Finding, standing: &Deny, keys: Keys, now: Timestamp) -> Self {
        let renewable = keys == Keys::Deactivated { usable: true };
        let cut_off = Self::until(keys, now);
        let needed = finding.last_seen().map_or(now, |seen| seen.min(now));
        match standing.cut_off() {
            Some(standing) if standing >= cut_off || (standing >= needed && !renewable) => {
                Self::Standing(standing)
            }
            Some(standing) => Self::Needed(standing.max(cut_off)),
            None => Self::Needed(cut_off),
        }
    }

    fn time(&self) -> Timestamp {
        let (Self::Standing(time) | Self::Needed(time)) = self;
        *time
    }

    fn step(&self, action: Change, wider: Option<&str>) -> Step<Change> {
        match (wider, self) {
            (Some(wider), _) => Step::Already(action, format!("{EVERYTHING_DENIED}: {wider}")),
            (None, Self::Standing(time)) => Step::Already(
                action,
                format!("sessions issued before {time} are denied everything"),
            ),
            (None, Self::Needed(_)) => Step::Do(action),
        }
    }
}

/// True for the name of a user that is never contained.
fn is_protected(settings: &IamSettings, finding: &Finding, user: &str) -> bool {
    let account = &finding.account_id;
    protects(&settings.never_contain, Entity::User, account, user)
}

fn not_contained(finding: &Finding, action: &'static str, reason: String) -> Plan<Change> {
    let target = finding
        .principal()
        .map_or_else(|_| finding.arn(), |principal| principal.to_string());
    Plan {
        steps: vec![Step::Skipped {
            action,
            target: printable(&target),
            reason,
        }],
        ..Plan::default()
    }
}

pub(crate) fn unsupported(principal: &Principal) -> String {
    match principal {
        Principal::Root => {
            "the root user cannot be denied anything in its own account: sign in as root, change the \
             password, replace the MFA device, delete root's access keys"
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
        _ => guidance::uncontained(principal),
    }
}
