//! A user of this account.

use aws_sdk_iam::types::StatusType;
use jiff::Timestamp;

use super::super::action::Action;
use super::super::policy_document::Deny;
use super::super::state::{AccessKey, UserState, is_access_key};
use super::cut_off::{CutOff, Keys};
use super::others::{self, Age, age};
use super::steps::{key_step, lookup_hint, not_contained};
use model::actions::iam::{DEACTIVATE, REVOKE};
use model::finding::Finding;
use model::plan::{Plan, Step};
use model::settings::IamSettings;

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
) -> Plan<Action> {
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
        others::flag_remaining_keys(&mut plan, user, settings);
        others::flag_remaining_console(&mut plan, user);
    }
    others::service_credentials(&mut plan, finding, user, suspect.stolen, settings);
    whole_user(&mut plan, name, user);
    others::console(&mut plan, finding, user, cut_off);
    if deactivated != Keys::Untouched && user.deny_all.in_effect().is_none() {
        plan.residual_risks.push(format!(
            "IAM enforces the deactivation after seconds or more: sessions from before {cut_off} are cut off too, \
             later ones of the key may work"
        ));
    }
    if user.deny_all.in_effect().is_none() {
        plan.residual_risks.push(format!(
            "other credentials of {name} were neither read nor changed: SSH keys, signing certificates"
        ));
    }
    plan.residual_risks.push(format!(
        "sessions of roles that {name} assumed still work, and users, keys and functions that it made remain: \
         look in CloudTrail"
    ));
    plan.next_steps.push(format!(
        "find out how the credentials leaked before you give {name} new ones"
    ));
    plan
}

/// The response to the keys that sessions may have been made with.
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
    plan: &mut Plan<Action>,
    finding: &Finding,
    suspect: &Suspect<'_>,
    user: &UserState,
    settings: &IamSettings,
) {
    let name = user.name.as_str();
    match (suspect.stolen, &user.keys) {
        (stolen, Err(error)) => plan.steps.push(Step::unknown(
            DEACTIVATE,
            stolen.map_or_else(|| format!("the keys of {name}"), ToOwned::to_owned),
            error,
        )),
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
        lookup_hint(id),
    )
}

/// Plans the deny. Answers the cut-off.
pub(super) fn revoke(
    plan: &mut Plan<Action>,
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
            plan.steps.push(Step::unknown(REVOKE, &user.arn, error));
            return now;
        }
    };
    let cut_off = CutOff::of_user(finding, standing, keys, now);
    let action = Action::RevokeUserSessions {
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

/// The effects of `AWSDenyAll` beside the sessions.
pub(super) fn whole_user(plan: &mut Plan<Action>, name: &str, user: &UserState) {
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
