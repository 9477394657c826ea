//! The plan for an instance in the state that was read. Pure.

mod contain;
mod deregister;
mod harden;
mod mark;
mod planner;
mod preserve;
mod protect;
mod terminated;

use jiff::Timestamp;

use self::planner::Planner;
use super::action::Action;
use super::instance::Instance;
use super::preserve::{covered, is_too_often};
use super::state::State;
use super::{bystanders, risks};
use aws::error::Error;
use model::finding::Finding;
use model::plan::Plan;
use model::settings::Ec2Settings;

pub(super) fn plan(
    finding: &Finding,
    state: &State,
    settings: &Ec2Settings,
    now: Timestamp,
) -> Plan<Action> {
    let id = finding.instance_id().unwrap_or_default();
    let gone = state.gone();
    let nobody = Instance {
        id,
        ..Instance::default()
    };
    let instance = state.instance.as_ref().unwrap_or(&nobody);
    let mut planner = Planner {
        finding,
        state,
        instance,
        settings,
        exempt_reason: exempt_reason(instance, settings).filter(|_| gone.is_none()),
        plan: Plan::default(),
    };
    if let Some(why) = gone {
        return planner.plan_for_terminated(why);
    }
    if state.region != finding.region {
        planner.plan.next_steps.push(format!(
            "look for {} in {}: this is its Region, and not {}, which the finding names",
            instance.id, state.region, finding.region,
        ));
    }
    planner.protect();
    planner.deregister();
    planner.isolate();
    planner.deny();
    planner.harden();
    planner.preserve();
    planner.admit();
    planner.mark(now);
    let exempt = planner.exempt_reason.is_some();
    if let (false, false, Some(cluster)) = (
        exempt,
        settings.isolate_container_nodes,
        &instance.claimed_cluster,
    ) {
        planner.plan.next_steps.push(format!(
            "tags or the profile of {} claim that it is a node of {cluster}. The finding does not show \
             that, so they did not exempt it: find out who set them; if it is a node, cordon it, for its \
             containers are cut off",
            instance.id
        ));
    }
    let mut plan = planner.plan;
    risks::remaining(&mut plan, finding, state, instance, settings, exempt);
    if !exempt {
        bystanders::spare(&mut plan, finding, state, instance);
        bystanders::replaced_by_emr(&mut plan, instance);
    }
    plan
}

/// A volume that EC2 has snapshotted too often for another one has one of a moment ago.
pub(super) fn dispensable(state: &State, action: &Action, error: &Error) -> Option<String> {
    match action {
        Action::SnapshotVolumes { volumes, .. } if is_too_often(error) => {
            covered(volumes, state.rest.as_ref()?)
        }
        _ => None,
    }
}

/// Isolating a node cuts off every container on it, and its cluster replaces it; nobody else may change an instance
/// that an AWS service operates,
/// <https://docs.aws.amazon.com/eks/latest/best-practices/incident-response-and-forensics.html>.
fn exempt_reason(instance: &Instance, settings: &Ec2Settings) -> Option<String> {
    if settings.isolate_container_nodes {
        return None;
    }
    if let Some(operator) = &instance.operator {
        return Some(format!(
            "{operator} operates this instance and restricts what others may change: contain it through \
             that service"
        ));
    }
    instance.cluster.as_ref().map(|cluster| {
        format!(
            "it is a node of {cluster}: isolating it would cut off every container on it. Isolate the pod \
             or task and cordon the node, or set EC2_CONTAINER_NODES. If it is no node, someone tagged it \
             as one"
        )
    })
}
