//! The steps and sentences that users, roles and created keys have in common.

use aws_sdk_iam::types::StatusType;

use super::super::action::Action;
use super::super::state::is_access_key;
use model::actions::iam::DEACTIVATE;
use model::finding::{Finding, printable};
use model::plan::{Plan, Step};
use model::settings::{Entity, IamSettings, protects};

/// True for the name of a user that is never contained.
pub(super) fn is_protected(settings: &IamSettings, finding: &Finding, user: &str) -> bool {
    let account = &finding.account_id;
    protects(&settings.never_contain, Entity::User, account, user)
}

pub(super) fn not_contained(
    finding: &Finding,
    action: &'static str,
    reason: String,
) -> Plan<Action> {
    let target = finding
        .principal()
        .map_or_else(|_| finding.arn(), |principal| principal.to_string());
    Plan {
        steps: vec![Step::skipped(action, printable(&target), reason)],
        ..Plan::default()
    }
}

/// The credentials of a user that is deleted are void; those of one that is renamed go on working.
pub(super) fn no_such_user(name: &str, id: Option<&str>) -> String {
    format!(
        "there is no user {name} now: it was deleted or renamed, and renamed it keeps its keys, its \
         password and its sessions; {}",
        lookup_hint(id),
    )
}

/// The way to find a user whose name is not known.
pub(super) fn lookup_hint(id: Option<&str>) -> String {
    let how = id.map_or_else(
        || "in CloudTrail (iam:UpdateUser, iam:DeleteUser)".to_owned(),
        |id| format!("by its id: aws iam list-users --query \"Users[?UserId=='{id}']\""),
    );
    format!("look for it {how}")
}

/// `None`: the key is not listed.
pub(super) fn key_step(user: &str, key: &str, status: Option<&StatusType>) -> Step<Action> {
    let action = Action::DeactivateAccessKey {
        user: user.to_owned(),
        key: key.to_owned(),
        from: status.map_or("deleted", StatusType::as_str).to_owned(),
    };
    match status {
        Some(StatusType::Active) => Step::Do(action),
        Some(status) => Step::Already(action, format!("the key is {}", status.as_str())),
        None if is_access_key(key) => Step::Already(action, "the key no longer exists".to_owned()),
        None => Step::skipped(
            DEACTIVATE,
            key,
            format!(
                "{key} is no access key (AKIA…) but a service-specific credential, an API key or a \
                 bearer token. IAM lists it neither among the keys nor among the service-specific \
                 credentials of {user}: it still works if it was not deleted. Look for it with aws iam \
                 list-service-specific-credentials --user-name {user}, and deactivate it: aws iam \
                 update-service-specific-credential --user-name {user} --service-specific-credential-id \
                 ID --status Inactive"
            ),
        ),
    }
}
