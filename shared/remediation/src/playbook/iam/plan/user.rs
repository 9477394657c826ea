//! A user of this account, and the user behind a federated session.

use aws_sdk_iam::types::StatusType;
use jiff::Timestamp;

use super::super::change::{Change, DEACTIVATE, REVOKE};
use super::super::policy_document::Deny;
use super::super::{AccessKey, FederatedState, UserState, is_access_key};
use super::others::{self, Age, age};
use super::{CutOff, Keys, is_protected, key_step, look_for, no_such_user, not_contained};
use crate::finding::{Finding, printable};
use crate::investigate::issuer::Issuer;
use crate::plan::{Plan, Step};
use crate::settings::IamSettings;

/// The user that the finding names.
pub(super) struct Suspect<'a> {
    /// The name that the finding gives.
    pub(super) called: &'a str,
    /// The user's unique id, where the finding has it.
    pub(super) id: Option<&'a str>,
    /// The long-term key that was used; `None`: a session was.
    pub(super) stolen: Option<&'a str>,
}

pub(super) fn plan(
    finding: &Finding,
    suspect: &Suspect<'_>,
    user: &UserState,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Change> {
    // The finding may have a former name.
    let name = user.name.as_str();
    if !user.is(suspect.id, suspect.stolen) {
        let reason = not_the_principal(name, &user.user_id, suspect.id);
        return not_contained(finding, DEACTIVATE, reason);
    }
    let mut plan = Plan::default();
    if name != suspect.called {
        plan.next_steps.push(format!(
            "the user {} of the finding is called {name} now, and was contained under that name: it was \
             renamed since. Find out in CloudTrail who called iam:UpdateUser, and contain that principal \
             too if it is another one",
            suspect.called,
        ));
    }
    let deactivated = deactivated(finding, suspect, user, settings);
    let cut_off = revoke(&mut plan, finding, name, user, deactivated, now);
    keys(&mut plan, finding, suspect, user, settings);
    if suspect.stolen.is_none() {
        others::way_back_by_keys(&mut plan, user, settings);
        others::way_back_by_console(&mut plan, user);
    }
    others::service_credentials(&mut plan, finding, user, suspect.stolen, settings);
    whole_user(&mut plan, name, user);
    others::console(&mut plan, finding, user, cut_off);
    if deactivated != Keys::Untouched && user.deny_all.in_effect().is_none() {
        plan.residual_risks.push(format!(
            "IAM takes seconds, sometimes longer, to enforce a change everywhere: what is signed in before \
             {cut_off} is cut off too and signs in again after it; a session that is made with the key \
             after it, where IAM does not enforce its deactivation yet, works"
        ));
    }
    if user.deny_all.in_effect().is_none() {
        plan.residual_risks.push(format!(
            "other credentials of {name} were not looked at and stay as they are: SSH keys, signing \
             certificates"
        ));
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

/// What becomes of the keys that sessions may have been made with.
fn deactivated(
    finding: &Finding,
    suspect: &Suspect<'_>,
    user: &UserState,
    settings: &IamSettings,
) -> Keys {
    let keys = user.keys.as_deref().unwrap_or_default();
    let listed = suspect.stolen.and_then(|stolen| user.key(stolen));
    let active = |key: &AccessKey| key.status == StatusType::Active;
    let made_since = |key: &AccessKey| {
        settings.created_keys && age(finding, key.created) == Age::SinceFirstEvent
    };
    let usable_since = keys.iter().any(|key| active(key) && made_since(key));
    match suspect.stolen {
        Some(_) => Keys::Deactivated {
            usable: listed.is_some_and(active) || usable_since,
        },
        None if settings.user_session_keys => Keys::Deactivated {
            usable: keys.iter().any(active),
        },
        None if keys.iter().any(made_since) => Keys::Deactivated {
            usable: usable_since,
        },
        None => Keys::Untouched,
    }
}

/// Plans the keys: the one that the finding names, and those that it does not.
fn keys(
    plan: &mut Plan<Change>,
    finding: &Finding,
    suspect: &Suspect<'_>,
    user: &UserState,
    settings: &IamSettings,
) {
    let name = user.name.as_str();
    match (suspect.stolen, &user.keys) {
        (stolen, Err(error)) => plan.steps.push(Step::Unknown {
            action: DEACTIVATE,
            target: stolen.map_or_else(|| format!("the keys of {name}"), ToOwned::to_owned),
            error: error.clone(),
        }),
        (Some(stolen), Ok(_)) if !is_access_key(stolen) && user.credential(stolen).is_some() => {}
        (Some(stolen), Ok(_)) => plan.steps.push(key_step(
            name,
            stolen,
            user.key(stolen).map(|key| &key.status),
        )),
        (None, Ok(keys)) if settings.user_session_keys => {
            let steps = keys
                .iter()
                .map(|key| key_step(name, &key.id, Some(&key.status)));
            plan.steps.extend(steps);
        }
        (None, Ok(_)) => {}
    }
    let listed = user.keys.as_deref().unwrap_or_default();
    let untold = |key: &&AccessKey| {
        Some(key.id.as_str()) != suspect.stolen
            && !(suspect.stolen.is_none() && settings.user_session_keys)
    };
    others::keys(plan, finding, user, listed.iter().filter(untold), settings);
}

pub(super) fn not_the_principal(name: &str, today: &str, id: Option<&str>) -> String {
    format!(
        "the user {name} of today ({today}) is not the principal of the finding ({}): the name was given \
         out again after that one was deleted or renamed, or the finding does not say enough; {}",
        id.unwrap_or("no id given"),
        look_for(id),
    )
}

/// Plans the deny. Answers the cut-off.
fn revoke(
    plan: &mut Plan<Change>,
    finding: &Finding,
    name: &str,
    user: &UserState,
    keys: Keys,
    now: Timestamp,
) -> Timestamp {
    let standing = match (&user.deny, user.deny_all.in_effect()) {
        (Ok(standing), _) => standing,
        // What denies everything makes the narrow policy superfluous.
        (Err(_), Some(_)) => &Deny::Absent,
        (Err(error), None) => {
            plan.steps.push(Step::Unknown {
                action: REVOKE,
                target: user.arn.clone(),
                error: error.clone(),
            });
            return now;
        }
    };
    let cut_off = CutOff::of_user(finding, standing, keys, now);
    let action = Change::RevokeUserSessions {
        user: name.to_owned(),
        arn: user.arn.clone(),
        from: standing.clone(),
        deny_all: user.deny_all.clone(),
        cut_off: cut_off.time(),
    };
    plan.steps
        .push(cut_off.step(action, user.deny_all.in_effect()));
    cut_off.time()
}

/// What `AWSDenyAll` hits beside the sessions.
fn whole_user(plan: &mut Plan<Change>, name: &str, user: &UserState) {
    let Some(how) = user.deny_all.in_effect() else {
        return;
    };
    let keys = match &user.keys {
        Ok(keys) => {
            let active = keys.iter().filter(|key| key.status == StatusType::Active);
            let active: Vec<_> = active.map(|key| key.id.as_str()).collect();
            if active.is_empty() {
                "it has no active keys".to_owned()
            } else {
                format!("also its active keys {}", active.join(", "))
            }
        }
        Err(_) => "also its keys, whichever it has".to_owned(),
    };
    plan.residual_risks.push(format!(
        "all of {name} is blocked, not only the sessions that were to be revoked, since {how}: every \
         session, old or new, and the console; {keys}"
    ));
    plan.next_steps.push(format!(
        "{name} stays blocked as a whole until that policy is taken off again: gdr release does so if the \
         responder put it there, as it does where the user's inline policies leave no room for the narrow \
         deny"
    ));
}

/// A federated session ends with the sessions of the user who issued it.
pub(super) fn plan_federated(
    finding: &Finding,
    session: &str,
    found: &FederatedState,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Change> {
    let skipped = |reason| not_contained(finding, REVOKE, reason);
    let (name, id) = match &found.issuer {
        Ok(Issuer::User { name, id }) => (name, id),
        Ok(Issuer::Root) => {
            return skipped(format!(
                "the root user issued the federated session {session}, and root cannot be denied anything: \
                 page whoever holds root's credentials, replace root's password and MFA device, delete \
                 root's access keys, and deny the session in the policies of the resources it uses until \
                 it expires (36 hours at most)"
            ));
        }
        Ok(Issuer::Elsewhere(account)) => {
            return skipped(format!(
                "a principal of account {account} issued the federated session {session}: that account \
                 must revoke its sessions; here, deny the session in the policies of the resources it uses"
            ));
        }
        Ok(Issuer::Unknown(why)) => {
            return skipped(format!(
                "it is not known who issued the federated session {session}: {why}; find the \
                 GetFederationToken call in CloudTrail and revoke the sessions of the user who made it"
            ));
        }
        Err(error) => {
            let mut plan = Plan::default();
            plan.steps.push(Step::Unknown {
                action: REVOKE,
                target: format!("the issuer of the federated session {session}"),
                error: error.clone(),
            });
            plan.next_steps.push(format!(
                "find the GetFederationToken call that issued the session {session} in CloudTrail, and \
                 revoke the sessions of the user who made it"
            ));
            return plan;
        }
    };
    let Some(user) = &found.user else {
        return skipped(format!(
            "{name} issued the federated session {session}, which goes on if it was renamed: {}",
            no_such_user(name, Some(&printable(id))),
        ));
    };
    if *id != user.user_id {
        return skipped(format!(
            "the user {name} of today ({}) is not the one who issued the session ({}): that one was deleted, \
             and the session with it, or renamed, and it goes on; {}",
            user.user_id,
            printable(id),
            look_for(Some(&printable(id))),
        ));
    }
    if is_protected(settings, finding, name) {
        return skipped(format!(
            "{name} issued the federated session {session}, and is on the list of principals that are \
             never contained: revoke its sessions by hand"
        ));
    }
    let mut plan = Plan::default();
    let keys = user.keys.as_deref().unwrap_or_default();
    let mut made_since = keys
        .iter()
        .filter(|key| age(finding, key.created) == Age::SinceFirstEvent)
        .peekable();
    let deactivated = match made_since.peek() {
        Some(_) if settings.created_keys => Keys::Deactivated {
            usable: made_since.any(|key| key.status == StatusType::Active),
        },
        _ => Keys::Untouched,
    };
    let cut_off = revoke(&mut plan, finding, name, user, deactivated, now);
    plan.residual_risks.push(format!(
        "every session that {name} issued before {cut_off} is cut off, not only {session}: whoever else \
         federates through {name} must ask for a new one"
    ));
    whole_user(&mut plan, name, user);
    match &user.keys {
        Ok(keys) => others::keys(&mut plan, finding, user, keys.iter(), settings),
        Err(error) if user.deny_all.in_effect().is_some() => plan.residual_risks.push(format!(
            "which active keys {name} has is not known ({error}): none was touched"
        )),
        Err(error) => plan.steps.push(Step::Unknown {
            action: DEACTIVATE,
            target: format!("the keys of {name}"),
            error: error.clone(),
        }),
    }
    others::service_credentials(&mut plan, finding, user, None, settings);
    others::console(&mut plan, finding, user, cut_off);
    plan.next_steps.push(format!(
        "find out how the session {session} got out, and whether the system that federates through {name} \
         would issue it again; rotate the keys of {name} if they may have got out too"
    ));
    plan
}
