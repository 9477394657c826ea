//! The credentials of a user beside the one that the finding names: the other keys, the service-specific
//! credentials, the console password.
//!
//! An attacker with one credential of a user often makes a second one immediately, which the deny of sessions does not
//! touch. So a credential that is younger than the first event counts as a way back. With `IAM_CREATED_KEYS` it is
//! deactivated, without it the containment is partial.

use aws_sdk_iam::types::StatusType;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::super::action::{Action, console_target};
use super::super::state::{AccessKey, Password, ServiceCredential, UserState};
use super::steps::key_step;
use model::actions::iam::{CONSOLE, DEACTIVATE, DEACTIVATE_CREDENTIAL};
use model::finding::Finding;
use model::plan::{Plan, Step};
use model::settings::IamSettings;

/// When a credential was made, beside the activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Before the first event.
    BeforeFirstEvent,
    /// With the first event or after it.
    SinceFirstEvent,
    /// IAM or the finding does not say.
    Unknown,
}

pub(super) fn age(finding: &Finding, created: Option<Timestamp>) -> Age {
    // IAM dates to the second.
    let down = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Floor);
    let first = finding.first_seen().or_else(|| finding.last_seen());
    match (created, first.and_then(|first| first.round(down).ok())) {
        (Some(created), Some(first)) if created >= first => Age::SinceFirstEvent,
        (Some(_), Some(_)) => Age::BeforeFirstEvent,
        _ => Age::Unknown,
    }
}

/// How a credential was made, for a sentence.
fn made(age: Age, created: Option<Timestamp>) -> String {
    let created = created.map_or_else(
        || "at an unknown time".to_owned(),
        |created| created.to_string(),
    );
    match age {
        Age::BeforeFirstEvent => format!("created {created}"),
        Age::SinceFirstEvent => {
            format!("created {created}, after the first event: it may be the attacker's")
        }
        Age::Unknown => {
            format!("created {created}: whether that was after the first event is not known")
        }
    }
}

/// Keys that the finding does not name.
pub(super) fn keys<'a>(
    plan: &mut Plan<Action>,
    finding: &Finding,
    user: &UserState,
    keys: impl Iterator<Item = &'a AccessKey>,
    settings: &IamSettings,
) {
    let name = &user.name;
    for key in keys {
        let age = age(finding, key.created);
        let active = key.status == StatusType::Active;
        if settings.created_keys && age == Age::SinceFirstEvent {
            plan.steps.push(key_step(name, &key.id, Some(&key.status)));
        } else if active && age != Age::BeforeFirstEvent && user.deny_all.in_effect().is_none() {
            plan.steps.push(Step::skipped(DEACTIVATE, &key.id, format!(
                    "{name} has another active key, {}, {}; it is left working (IAM_CREATED_KEYS is off, or \
                     its age is not known), unless somebody deactivates it: {}",
                    key.id,
                    made(age, key.created),
                    deactivate_key(name, &key.id),
                )));
        } else if active {
            plan.residual_risks.push(format!(
                "{name} has another active key, {} ({}): it still works, because the finding does not name it",
                key.id,
                made(age, key.created),
            ));
        }
    }
}

fn deactivate_key(name: &str, key: &str) -> String {
    format!("aws iam update-access-key --user-name {name} --access-key-id {key} --status Inactive")
}

/// An attacker with a session may have got it with a key, and gets the next one with it too.
pub(super) fn flag_remaining_keys(
    plan: &mut Plan<Action>,
    user: &UserState,
    settings: &IamSettings,
) {
    if settings.user_session_keys {
        return;
    }
    let Ok(keys) = &user.keys else { return };
    let name = &user.name;
    plan.next_steps.push(format!(
        "find out how the session of {name} was opened: by a key of the user, or by the password and MFA device \
         of a console sign-in; they leaked too"
    ));
    if user.deny_all.in_effect().is_some() {
        return;
    }
    // The deny alone would look like the whole of it.
    for key in keys {
        let told = plan.steps.iter().any(|step| {
            let step = step.key();
            step.action == DEACTIVATE && step.target == key.id
        });
        if told || key.status != StatusType::Active {
            continue;
        }
        plan.steps.push(Step::skipped(DEACTIVATE, &key.id, format!(
                "the session may have been made with this key of {name}, which can make new ones. The \
                 key is left to the operator (IAM_USER_SESSION_KEYS is off): {}",
                deactivate_key(name, &key.id),
            )));
    }
}

/// Or by signing in.
pub(super) fn flag_remaining_console(plan: &mut Plan<Action>, user: &UserState) {
    if user.deny_all.in_effect().is_none() && matches!(user.console, Ok(Some(_))) {
        plan.steps.push(console_left(
            user,
            "the session may have been made by signing in to the console, which is still possible",
        ));
    }
}

fn console_left(user: &UserState, why: &str) -> Step<Action> {
    let name = &user.name;
    Step::skipped(
        CONSOLE,
        console_target(&user.arn),
        format!(
            "{why}, since a password that is taken away cannot be given back: aws iam update-login-profile \
             --user-name {name} --password NEW --password-reset-required, or aws iam \
             delete-login-profile --user-name {name}"
        ),
    )
}

/// A password is never taken away: it could not be given back.
pub(super) fn console(
    plan: &mut Plan<Action>,
    finding: &Finding,
    user: &UserState,
    cut_off: Timestamp,
) {
    let name = &user.name;
    let blocked = user.deny_all.in_effect().is_some();
    match &user.console {
        Ok(None) => {}
        Ok(Some(_)) if blocked => plan.next_steps.push(format!(
            "reset the console password of {name} and review its MFA devices before it is released"
        )),
        Ok(Some(Password { created })) => {
            let age = age(finding, *created);
            let told = plan.steps.iter().any(|step| step.key().action == CONSOLE);
            if age != Age::BeforeFirstEvent && !told {
                let why = format!(
                    "{name} has a console password, {}; signing in with it is still possible",
                    made(age, *created)
                );
                plan.steps.push(console_left(user, &why));
            }
            plan.residual_risks.push(format!(
                "{name} has a console password: console sessions from before {cut_off} are cut off, a new \
                 sign-in is not; reset the password and review the MFA devices"
            ));
        }
        Err(error) if blocked => plan.next_steps.push(format!(
            "whether {name} has a console password is not known ({error}): look before it is released"
        )),
        Err(error) => plan.steps.push(Step::unknown(CONSOLE, console_target(&user.arn), error)),
    }
}

/// Service-specific credentials: the one that the finding names, and the others.
pub(super) fn service_credentials(
    plan: &mut Plan<Action>,
    finding: &Finding,
    user: &UserState,
    stolen: Option<&str>,
    settings: &IamSettings,
) {
    let name = &user.name;
    let blocked = user.deny_all.in_effect().is_some();
    let credentials = match &user.credentials {
        Ok(credentials) => credentials,
        Err(error) if blocked => {
            plan.residual_risks.push(format!(
                "which service-specific credentials {name} has is not known ({error}): none was touched"
            ));
            return;
        }
        Err(error) => {
            plan.steps.push(Step::unknown(
                DEACTIVATE_CREDENTIAL,
                format!("the service-specific credentials of {name}"),
                error,
            ));
            return;
        }
    };
    for credential in credentials {
        let age = age(finding, credential.created);
        let is_named = stolen == Some(credential.id.as_str());
        let active = credential.status == StatusType::Active;
        if is_named || (settings.created_keys && age == Age::SinceFirstEvent) {
            plan.steps.push(credential_step(name, credential));
        } else if active && age != Age::BeforeFirstEvent && !blocked {
            plan.steps.push(Step::skipped(DEACTIVATE_CREDENTIAL, &credential.id, format!(
                    "{name} has a credential for {}, {}, {}; it is left working (IAM_CREATED_KEYS is off, or \
                     its age is not known), unless somebody deactivates it: aws iam \
                     update-service-specific-credential --user-name {name} \
                     --service-specific-credential-id {} --status Inactive",
                    credential.service,
                    credential.id,
                    made(age, credential.created),
                    credential.id,
                )));
        } else if active {
            plan.residual_risks.push(format!(
                "{name} has a credential for {}, {} ({}): it still works, because the finding does not name it",
                credential.service,
                credential.id,
                made(age, credential.created),
            ));
        }
    }
}

fn credential_step(user: &str, credential: &ServiceCredential) -> Step<Action> {
    let status = credential.status.as_str();
    let action = Action::DeactivateServiceSpecificCredential {
        user: user.to_owned(),
        credential: credential.id.clone(),
        service: credential.service.clone(),
        from: status.to_owned(),
    };
    match credential.status {
        StatusType::Active => Step::Do(action),
        _ => Step::Already(action, format!("the credential is {status}")),
    }
}
