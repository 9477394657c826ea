//! Reads an instance and what belongs to it: first the values that decide how it is contained, then the rest, each part
//! at the same time.

mod essential;
mod rest;

use std::collections::BTreeSet;

use serde_json::Value;

use super::action::Action;
use super::clients::Clients;
use super::region::{Located, locate};
use super::state::{Role, State};
use super::target_groups;
use aws::error::Result;
use model::actions::ec2::TARGETS;
use model::finding::Finding;
use model::settings::ForensicsRule;

/// The IAM permissions that observing needs.
pub(super) const PERMISSIONS: &[&str] = &[
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRegions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:GetConsoleOutput",
    "ec2:GetManagedPrefixListEntries",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "iam:GetInstanceProfile",
    "iam:GetRolePolicy",
];

/// Reads all.
pub(super) async fn observe(
    clients: &Clients,
    access: &[ForensicsRule],
    finding: &Finding,
) -> Result<State> {
    let state = glance(clients, access, finding).await?;
    Ok(whole(clients, finding, state, None).await)
}

/// Reads what decides how the instance is contained, in the Region where it is.
pub(super) async fn glance(
    clients: &Clients,
    access: &[ForensicsRule],
    finding: &Finding,
) -> Result<State> {
    let id = finding.instance_id()?;
    let here = finding.instance_region();
    let state = in_region(clients, access, finding, &here, &id).await;
    let is_sought = finding.instance_may_be_elsewhere()
        && match &state {
            Ok(state) => state.instance.is_none(),
            // An organization may deny a Region as a whole.
            Err(error) => error.is_denied(),
        };
    if !is_sought {
        return state;
    }
    let elsewhere = match Box::pin(locate(clients, &here, &id)).await {
        Ok(Located::In(region)) => {
            return in_region(clients, access, finding, &region, &id).await;
        }
        Ok(Located::Nowhere(others)) => Ok(others),
        Err(error) => Err(error),
    };
    Ok(State {
        elsewhere: Some(elsewhere),
        ..state?
    })
}

/// Reads what is not in `part` yet: first what denying the credentials depends on, then the rest, if there is an
/// instance for it; and the target groups of an account that has many. `None`: nothing is missing.
pub(super) async fn complete(clients: &Clients, finding: &Finding, part: &State) -> Option<State> {
    completed(clients, finding, part, None).await
}

/// Reads all again. A Region may have hundreds of target groups: only those that had the instance are asked again.
/// So is only the Region in which it was found.
pub(super) async fn read_back(
    clients: &Clients,
    access: &[ForensicsRule],
    finding: &Finding,
    planned: &[&Action],
) -> Result<State> {
    let seen = planned.iter().find_map(|action| match action {
        Action::DeregisterTargets {
            seen: Some(seen), ..
        } => Some(seen.clone()),
        Action::DeregisterTargets { from, .. } => {
            Some(from.iter().map(|target| target.group.clone()).collect())
        }
        _ => None,
    });
    let state = match planned.iter().find_map(|action| action.region()) {
        Some(region) => {
            let id = finding.instance_id()?;
            in_region(clients, access, finding, region, &id).await?
        }
        None => glance(clients, access, finding).await?,
    };
    let seen = seen.unwrap_or_default();
    Ok(whole(clients, finding, state, Some(&seen)).await)
}

/// False for steps of this name that [`read_back`] looks for only where they were seen before.
pub(super) fn reads_all_again(name: &str) -> bool {
    name != TARGETS
}

async fn in_region(
    clients: &Clients,
    access: &[ForensicsRule],
    finding: &Finding,
    region: &str,
    id: &str,
) -> Result<State> {
    let services = clients.in_region(region);
    Box::pin(essential::read(&services, finding, region, id, access)).await
}

/// The whole, from what was read at a glance. `groups`: the only target groups to ask.
async fn whole(
    clients: &Clients,
    finding: &Finding,
    glanced: State,
    groups: Option<&BTreeSet<String>>,
) -> State {
    let mut state = glanced;
    while let Some(more) = completed(clients, finding, &state, groups).await {
        state = more;
    }
    state
}

async fn completed(
    clients: &Clients,
    finding: &Finding,
    part: &State,
    groups: Option<&BTreeSet<String>>,
) -> Option<State> {
    let services = clients.in_region(&part.region);
    let id = finding.instance_id().ok()?;
    let mut state = part.clone();
    let current = undenied(&part.role, part.deny.as_ref());
    let earlier = part.earlier.as_ref();
    let earlier = earlier.and_then(|found| undenied(&found.role, found.deny.as_ref()));
    if current.is_some() || earlier.is_some() {
        let read = async |role: Option<&Role>| match role {
            Some(role) => Some(Box::pin(rest::deny(&services, role, &id)).await),
            None => None,
        };
        let (of_current, of_earlier) = futures::join!(read(current), read(earlier));
        state.deny = of_current.or(state.deny);
        if let Some(found) = &mut state.earlier {
            found.deny = of_earlier.or(found.deny.take());
        }
    } else if part.rest.is_none() && part.gone().is_none() {
        let rest = Box::pin(rest::read(&services, finding, &id, part, groups));
        state.rest = Some(rest.await);
    } else {
        let rest = state.rest.as_mut()?;
        let found = rest.targets.as_ref().ok()?;
        if found.left.is_empty() {
            return None;
        }
        let looking = target_groups::rest(&services.elbv2, &id, &part.interfaces, found);
        rest.targets = Ok(Box::pin(looking).await);
    }
    Some(state)
}

/// The role, if what denies it the instance is not read yet.
fn undenied<'a>(
    role: &'a Result<Option<Role>>,
    deny: Option<&Result<Option<Value>>>,
) -> Option<&'a Role> {
    role.as_ref().ok()?.as_ref().filter(|_| deny.is_none())
}
