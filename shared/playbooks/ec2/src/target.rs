//! The instance of an action, as policies, the breaker, the record and a release see it. Pure.

use super::action::Action;
use super::instance::Interface;
use super::state::{Role, State};
use aws::error::Result;
use aws::playbook::TargetGone;
use model::breaker::{BlastRadiusGroup, Member};
use model::decision::instance_target;
use model::finding::Finding;
use model::resource::Resource;

pub(super) fn resource(finding: &Finding, state: &State, action: &Action) -> Resource {
    let role = match action {
        Action::DenyCredentials { role_arn, .. } => Some(role_arn.as_str()),
        _ => None,
    };
    as_seen(finding, state, role)
}

/// The instance as policies see it, whatever of it a step changes: who exempts an instance means
/// its interfaces, its volumes and its credentials too. `role`: the ARN of the one that the step changes.
fn as_seen(finding: &Finding, state: &State, role: Option<&str>) -> Resource {
    let changed = state.roles().find(|found| Some(found.arn.as_str()) == role);
    let of = |role: &Role| Resource::role(finding, &role.name, Some(&role.arn));
    let Some(instance) = &state.instance else {
        let id = finding.instance_id().unwrap_or_default();
        let resource = Resource::instance_in(finding, &state.region, &id);
        return match changed {
            Some(role) => resource.with_role(of(role)),
            None => resource,
        };
    };
    let public = |found: &Interface| found.internet_addresses().next().is_some();
    let tags = instance.tags.iter();
    let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
    let mut resource = Resource::instance_in(finding, &state.region, &instance.id)
        .flag("internetFacing", state.interfaces.iter().any(public))
        .tags(tags, finding.instance_tags().as_deref());
    for (name, value) in [
        ("cluster", &instance.cluster),
        ("operator", &instance.operator),
    ] {
        if let Some(value) = value {
            resource = resource.text(name, value);
        }
    }
    resource = match &state.scaling {
        Ok(Some(found)) => resource.text("autoScalingGroup", &found.group),
        Ok(None) => resource,
        Err(_) => resource.unread("autoScalingGroup"),
    };
    match (changed, &state.role) {
        (Some(role), _) | (None, Ok(Some(role))) => resource.with_role(of(role)),
        (None, Ok(None)) => resource,
        (None, Err(_)) => resource.unread("role"),
    }
}

/// The groups that the instance is a member of: its Auto Scaling group, and the instances with its role.
pub(super) fn blast_radius_groups(state: &State) -> Vec<Member> {
    let Some(instance) = &state.instance else {
        return Vec::new();
    };
    let region = state.region.clone();
    let mut members = Vec::new();
    let mut member = |crowd, size: &Result<usize>| {
        members.push(Member {
            name: instance.id.clone(),
            crowd,
            size: size.clone(),
        });
    };
    if let Ok(Some(found)) = &state.scaling {
        let name = found.group.clone();
        let region = region.clone();
        member(
            BlastRadiusGroup::AutoScalingGroup { region, name },
            &found.size,
        );
    }
    match &state.role {
        Ok(Some(role)) => {
            let name = role.name.clone();
            member(BlastRadiusGroup::Role { region, name }, &state.alike);
        }
        Ok(None) => {}
        Err(error) => {
            let profile = instance.profile.as_deref().unwrap_or_default();
            let name = format!("of the instance profile {profile}");
            member(BlastRadiusGroup::Role { region, name }, &Err(error.clone()));
        }
    }
    members
}

/// The deny of the role outlives its instance. A setting of an instance that a service operates was never
/// changed by anybody else.
pub(super) fn after_target_gone(state: &State, action: &Action) -> TargetGone {
    let there = state.instance.as_ref();
    let ended = |state: &str| matches!(state, "terminated" | "shutting-down");
    let operated = there.is_some_and(|instance| instance.operator.is_some());
    match action {
        Action::ProtectAttribute { .. }
        | Action::KeepVolume { .. }
        | Action::DisableMetadata { .. }
            if operated =>
        {
            TargetGone::ChangeGone
        }
        _ if there.is_some_and(|instance| !ended(&instance.state)) => TargetGone::Unknown,
        Action::DenyCredentials { .. } => TargetGone::ChangeStays,
        _ => TargetGone::ChangeGone,
    }
}

pub(super) fn found_target(finding: &Finding, state: &State) -> Option<String> {
    let region = state.instance.as_ref().map(|_| state.region.as_str());
    name_elsewhere(finding, region)
}

pub(super) fn recorded_target(finding: &Finding, action: &Action) -> Option<String> {
    name_elsewhere(finding, action.region())
}

/// The name under which the record keeps the instance, if it is in `region` and that is not where the finding
/// says.
fn name_elsewhere(finding: &Finding, region: Option<&str>) -> Option<String> {
    let region = region.filter(|region| **region != finding.instance_region())?;
    let id = finding.instance_id().ok()?;
    Some(instance_target(region, &id))
}
