//! The plan for a principal. Pure.

mod created_keys;
mod cut_off;
mod federated;
mod others;
mod role;
mod steps;
mod user;

use jiff::Timestamp;

use self::steps::{no_such_user, not_contained};
use super::action::Action;
use super::mark;
use super::state::{ObservedPrincipal, State, UnresolvedUser};
use model::actions::iam::{DEACTIVATE, DENY_SESSION};
use model::finding::{Finding, Principal, printable};
use model::not_contained::unsupported;
use model::plan::{Plan, Step};
use model::settings::IamSettings;

pub(super) fn plan(
    finding: &Finding,
    state: &State,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Action> {
    let principal = match finding.principal() {
        Ok(principal) => principal,
        Err(error) => return not_contained(finding, DEACTIVATE, error.to_string()),
    };
    let mut plan = of_principal(finding, &principal, &state.found, settings, now);
    if let Some(created) = &state.created_keys {
        created_keys::add(&mut plan, finding, &principal, created, settings);
    }
    if settings.mark_contained {
        mark::plan(&mut plan, &state.found);
    }
    plan
}

fn of_principal(
    finding: &Finding,
    principal: &Principal,
    found: &ObservedPrincipal,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Action> {
    match (principal, found) {
        (
            Principal::User {
                name,
                user_id,
                long_term_key,
            },
            ObservedPrincipal::User(found),
        ) => {
            let suspect = user::Suspect {
                called: name,
                id: user_id.as_deref(),
                stolen: long_term_key.as_deref(),
            };
            user::plan(finding, &suspect, found, settings, now)
        }
        (Principal::RoleSession { role, session }, ObservedPrincipal::Role(found)) => {
            role::plan(finding, role, session.as_ref(), found, settings, now)
        }
        (Principal::KeyOwner { key, user_id }, ObservedPrincipal::User(found)) => {
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
            ObservedPrincipal::Unresolved(found),
        ) => {
            let missing = match &found.namesake {
                Some(namesake) => user::not_the_principal(name, namesake, user_id.as_deref()),
                None => no_such_user(name, user_id.as_deref()),
            };
            unresolved(finding, missing, key, found)
        }
        (Principal::KeyOwner { key, .. }, ObservedPrincipal::Unresolved(found)) => {
            let missing = format!("the finding does not say whose the key {key} is");
            unresolved(finding, missing, key, found)
        }
        (Principal::FederatedUser { name }, ObservedPrincipal::Federated(found)) => {
            federated::plan(finding, &printable(name), found, settings, now)
        }
        (Principal::User { name, user_id, .. }, _) => {
            let elsewhere = elsewhere(finding, principal);
            let reason = elsewhere.unwrap_or_else(|| no_such_user(name, user_id.as_deref()));
            not_contained(finding, DEACTIVATE, reason)
        }
        (Principal::RoleSession { .. }, _) => {
            // A role cannot be renamed.
            let gone = || format!("there is no {principal} now, so its credentials are void");
            let reason = elsewhere(finding, principal).unwrap_or_else(gone);
            not_contained(finding, DENY_SESSION, reason)
        }
        _ => not_contained(finding, DEACTIVATE, unsupported(principal)),
    }
}

/// Why there is no such principal here, if it is one of another account.
fn elsewhere(finding: &Finding, principal: &Principal) -> Option<String> {
    let other = finding.credentials_account()?;
    Some(format!(
        "there is no {principal} in this account: it belongs to account {other}, which must contain it; \
         here, deny it in the policy of the resource that it used"
    ))
}

/// A user to whom neither the name nor the key led.
fn unresolved(
    finding: &Finding,
    missing: String,
    key: &str,
    found: &UnresolvedUser,
) -> Plan<Action> {
    let owner = match &found.owner {
        Ok((owner, owner_id)) => format!(
            "the key {key} belongs to the user {owner} ({owner_id}), who is not the principal of the \
             finding either: deactivate it by hand if it should not be used: aws iam update-access-key \
             --user-name {owner} --access-key-id {key} --status Inactive"
        ),
        Err(error) if error.is_transient() => {
            return Plan {
                steps: vec![Step::unknown(DEACTIVATE, key, error)],
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
