//! The user behind a federated session, which ends with the sessions of whoever issued it.

use aws_sdk_iam::types::StatusType;
use jiff::Timestamp;

use super::super::action::Action;
use super::super::state::{FederatedState, UserState};
use super::cut_off::Keys;
use super::others::{self, Age, age};
use super::steps::{is_protected, lookup_hint, no_such_user, not_contained};
use super::user::{revoke, whole_user};
use aws::iam_principal::issuer::Issuer;
use model::actions::iam::{DEACTIVATE, REVOKE};
use model::finding::{Finding, printable};
use model::plan::{Plan, Step};
use model::settings::IamSettings;

pub(super) fn plan(
    finding: &Finding,
    session: &str,
    found: &FederatedState,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Action> {
    match issuing_user(finding, session, found, settings) {
        Ok(user) => contain(finding, session, user, settings, now),
        Err(not_contained) => not_contained,
    }
}

/// The user who issued the session.
///
/// # Errors
/// The plan, if that user is not to be contained or not known.
fn issuing_user<'a>(
    finding: &Finding,
    session: &str,
    found: &'a FederatedState,
    settings: &IamSettings,
) -> Result<&'a UserState, Plan<Action>> {
    let skipped = |reason| not_contained(finding, REVOKE, reason);
    let (name, id) = issuer(finding, session, found)?;
    let Some(user) = &found.user else {
        return Err(skipped(format!(
            "{name} issued the federated session {session}, which still works if the user was renamed: {}",
            no_such_user(name, Some(&printable(id))),
        )));
    };
    if *id != user.user_id {
        return Err(skipped(format!(
            "the user {name} of today ({}) is not the one who issued the session ({}): the issuer was \
             deleted, and the session with it, or renamed, and it still works; {}",
            user.user_id,
            printable(id),
            lookup_hint(Some(&printable(id))),
        )));
    }
    if is_protected(settings, finding, name) {
        return Err(skipped(format!(
            "{name} issued the federated session {session}, and is on the list of principals that are \
             never contained: revoke its sessions by hand"
        )));
    }
    Ok(user)
}

/// The name and the unique id of the user who issued the session.
///
/// # Errors
/// The plan, if no user of this account did, or none is known.
fn issuer<'a>(
    finding: &Finding,
    session: &str,
    found: &'a FederatedState,
) -> Result<(&'a String, &'a String), Plan<Action>> {
    let skipped = |reason| not_contained(finding, REVOKE, reason);
    match &found.issuer {
        Ok(Issuer::User { name, id }) => Ok((name, id)),
        Ok(Issuer::Root) => Err(skipped(format!(
            "the root user issued the federated session {session}, and root cannot be denied \
             anything: page the holder of root's credentials; replace root's password and MFA \
             device, and delete root's access keys; deny the session in the policies of the \
             resources it uses until it expires (36 hours at most)"
        ))),
        Ok(Issuer::Elsewhere(account)) => Err(skipped(format!(
            "a principal of account {account} issued the federated session {session}: its account \
             must revoke its sessions; here, deny the session in the policies of the resources it \
             uses"
        ))),
        Ok(Issuer::Unknown(why)) => Err(skipped(format!(
            "it is not known who issued the federated session {session}: {why}; find the \
             GetFederationToken call in CloudTrail and revoke the sessions of the user who made it"
        ))),
        Err(error) => {
            let mut plan = Plan::default();
            plan.steps.push(Step::unknown(
                REVOKE,
                format!("the issuer of the federated session {session}"),
                error,
            ));
            plan.next_steps.push(format!(
                "find the GetFederationToken call that issued the session {session} in CloudTrail, and \
                 revoke the sessions of the user who made it"
            ));
            Err(plan)
        }
    }
}

fn contain(
    finding: &Finding,
    session: &str,
    user: &UserState,
    settings: &IamSettings,
    now: Timestamp,
) -> Plan<Action> {
    let name = &user.name;
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
        "all sessions that {name} issued before {cut_off} are cut off, not only {session}: the others who \
         federate through {name} need new ones"
    ));
    whole_user(&mut plan, name, user);
    match &user.keys {
        Ok(keys) => others::keys(&mut plan, finding, user, keys.iter(), settings),
        Err(error) if user.deny_all.in_effect().is_some() => plan.residual_risks.push(format!(
            "which active keys {name} has is not known ({error}): none was touched"
        )),
        Err(error) => plan.steps.push(Step::unknown(
            DEACTIVATE,
            format!("the keys of {name}"),
            error,
        )),
    }
    others::service_credentials(&mut plan, finding, user, None, settings);
    others::console(&mut plan, finding, user, cut_off);
    plan.next_steps.push(format!(
        "find out how the session {session} leaked, and whether the system that federates through {name} would \
         reissue it; rotate its keys if they may have leaked"
    ));
    plan
}
