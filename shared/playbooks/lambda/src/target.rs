//! The function of an action, as policies, the breaker and a release see it. Pure.

use super::action::Action;
use super::state::State;
use aws::playbook::TargetGone;
use model::blast_radius::{BlastRadiusGroup, Member};
use model::finding::Finding;
use model::resource::Resource;

/// The function, whatever of it a step changes: who exempts a function means its credentials too.
pub(super) fn resource(finding: &Finding, state: &State, action: &Action) -> Resource {
    let name = finding.function_name().unwrap_or_default();
    let resource = Resource::function(finding, &name);
    let shown = finding.function_tags();
    let resource = match &state.tags {
        Ok(tags) => {
            let tags = tags.iter();
            let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
            resource.tags(tags, shown.as_deref())
        }
        Err(_) => resource.unread_tags(shown.as_deref()),
    };
    let role = match (action, &state.configuration) {
        (Action::DenyCredentials(action), _) => Some(action.role_arn.as_str()),
        (Action::Throttle(_), Ok(found)) => Some(found.role.as_str()),
        (Action::Throttle(_), Err(_)) => finding.function_role(),
    };
    let Some(role) = role else {
        return resource.unread("role");
    };
    let name = role.rsplit('/').next().unwrap_or_default();
    resource.with_role(Resource::role(finding, name, Some(role)))
}

pub(super) fn blast_radius_groups(finding: &Finding, state: &State) -> Vec<Member> {
    let name = finding.function_name().unwrap_or_default();
    let region = finding.region.clone();
    vec![Member {
        name,
        crowd: BlastRadiusGroup::Functions { region },
        size: state.functions.clone(),
    }]
}

/// The deny of the role outlives its function, and ends with the role.
pub(super) fn after_target_gone(state: &State, action: &Action) -> TargetGone {
    match action {
        Action::Throttle(_) if state.is_gone() => TargetGone::ChangeGone,
        Action::DenyCredentials(action) if state.lost_role(&action.role_arn) => {
            TargetGone::ChangeGone
        }
        Action::DenyCredentials(_) if state.is_gone() => TargetGone::ChangeStays,
        _ => TargetGone::Unknown,
    }
}
