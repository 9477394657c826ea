//! What is to be done about a principal. Pure.

mod role;
mod user;

use aws_sdk_iam::types::StatusType;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::change::{Change, DEACTIVATE, DENY_SESSION, REVOKE};
use super::mark;
use super::policy_document::Deny;
use super::{CreatedKey, EVERYTHING_DENIED, Found, State};
use crate::error::Result;
use crate::finding::{Finding, Principal, printable};
use crate::plan::{Plan, Step};
use crate::settings::{IamSettings, protects};

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
                name,
                id: user_id.as_deref(),
                stolen: long_term_key.as_deref(),
            };
            user::plan(finding, &suspect, found, settings, now)
        }
        (Principal::RoleSession { role, session }, Found::Role(found)) => {
            role::plan(finding, role, session.as_ref(), found, settings, now)
        }
        (Principal::FederatedUser { name }, Found::Federated(found)) => {
            user::plan_federated(finding, &printable(name), found, settings, now)
        }
        (Principal::User { .. } | Principal::RoleSession { .. }, _) => {
            let action = match principal {
                Principal::User { .. } => DEACTIVATE,
                _ => DENY_SESSION,
            };
            not_contained(finding, action, gone(finding, &principal))
        }
        (Principal::FederatedUser { .. }, _) => not_contained(
            finding,
            REVOKE,
            "the user who issued the session no longer exists, so its credentials are void"
                .to_owned(),
        ),
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

fn gone(finding: &Finding, principal: &Principal) -> String {
    match finding.remote_account() {
        Some(other) => format!(
            "there is no {principal} in this account: it belongs to account {other}, which must contain \
             it; here, deny it in the policy of the resource that it used"
        ),
        None => format!("there is no {principal} (any more), so its credentials are void"),
    }
}

/// The keys that the principal made are the attacker's way back.
fn add_created_keys(
    plan: &mut Plan<Change>,
    finding: &Finding,
    principal: &Principal,
    created: &Result<Vec<CreatedKey>>,
    settings: &IamSettings,
) {
    let created = match created {
        Ok(created) => created,
        Err(error) => {
            plan.steps.push(Step::Unknown {
                action: DEACTIVATE,
                target: format!(
                    "the access keys that {} created",
                    printable(&principal.to_string())
                ),
                error: error.clone(),
            });
            return;
        }
    };
    for CreatedKey { user, id, status } in created {
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

/// `None`: the key was deleted.
fn key_step(user: &str, key: &str, status: Option<&StatusType>) -> Step<Change> {
    let action = Change::DeactivateAccessKey {
        user: user.to_owned(),
        key: key.to_owned(),
        from: status.map_or("deleted", StatusType::as_str).to_owned(),
    };
    match status {
        Some(StatusType::Active) => Step::Do(action),
        Some(status) => Step::Already(action, format!("the key is {}", status.as_str())),
        None => Step::Already(action, "the key no longer exists".to_owned()),
    }
}

/// When to cut off, and whether that is in effect already. The cut-off only moves forward, and only
/// if there is something new to cut off: a finding that comes again about activity from before the
/// cut-off plans nothing.
enum CutOff {
    Standing(Timestamp),
    Needed(Timestamp),
}

impl CutOff {
    /// `renewable`: more sessions may have been made since the activity that the finding tells of.
    fn of(finding: &Finding, standing: &Deny, renewable: bool, now: Timestamp) -> Self {
        // IAM knows when a session was issued to the second, and "before" does not include it.
        let up = TimestampRound::new()
            .smallest(Unit::Second)
            .mode(RoundMode::Ceil);
        let cut_off = now.round(up).unwrap_or(now);
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

/// True for the name of a user or role that is never contained.
fn is_protected(settings: &IamSettings, finding: &Finding, name: &str) -> bool {
    protects(&settings.never_contain, &finding.account_id, name)
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
        _ => format!(
            "{principal} is not a user or role that can be contained: find out on whose behalf it acted"
        ),
    }
}
