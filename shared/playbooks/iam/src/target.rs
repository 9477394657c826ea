//! The user or role of an action, as policies, the breaker and a release see it. Pure.

use super::action::Action;
use super::mark;
use super::state::{ObservedPrincipal, State, UnresolvedUser};
use aws::playbook::TargetGone;
use model::breaker::{BlastRadiusGroup, Member};
use model::finding::Finding;
use model::resource::Resource;

pub(super) fn resource(finding: &Finding, state: &State, action: &Action) -> Resource {
    match action {
        Action::RevokeUserSessions { user, arn, .. } => Resource::user(finding, user, Some(arn)),
        Action::DeactivateAccessKey { user, .. }
        | Action::DeactivateServiceSpecificCredential { user, .. } => {
            let arn = state.arn_of(user);
            let resource = Resource::user(finding, user, arn);
            match arn {
                Some(_) => resource,
                // Its ARN has no path then, by which policies may spare it.
                None => resource.unread("path"),
            }
        }
        Action::DenyRoleSession { role, arn, .. }
        | Action::RevokeRoleSessions { role, arn, .. } => Resource::role(finding, role, Some(arn)),
        Action::MarkContained { arn, .. } => mark::resource(finding, arn),
    }
}

/// The users of the account, where the action is about one.
pub(super) fn blast_radius_groups(state: &State, action: &Action) -> Vec<Member> {
    let (Action::RevokeUserSessions { user, .. }
    | Action::DeactivateAccessKey { user, .. }
    | Action::DeactivateServiceSpecificCredential { user, .. }) = action
    else {
        return Vec::new();
    };
    let size = state.users.clone().into_iter();
    size.map(|size| Member {
        name: user.clone(),
        crowd: BlastRadiusGroup::Users,
        size,
    })
    .collect()
}

/// A user goes with its policies and keys, a role with its policies.
pub(super) fn after_target_gone(state: &State) -> TargetGone {
    match &state.found {
        ObservedPrincipal::Gone => TargetGone::ChangeGone,
        // A user that was renamed has its key still.
        ObservedPrincipal::Unresolved(UnresolvedUser {
            namesake: None,
            owner: Err(error),
        }) if error.is_gone() => TargetGone::ChangeGone,
        _ => TargetGone::Unknown,
    }
}
