//! The residual risks when this instance is contained, and the steps for the on-call engineer.
//!
//! All of it is from what was read, never from what was set: a step that is planned may fail. A planned step that would
//! help is named.

mod connections;
mod credentials;
mod network;
mod planned;

pub(super) use self::credentials::credentials;
use self::network::network;
use self::planned::is_planned;
use super::action::Action;
use super::instance::Instance;
use super::state::State;
use model::actions::ec2 as name;
use model::finding::Finding;
use model::plan::Plan;
use model::settings::{AutoScaling, Ec2Settings};

pub(super) fn remaining(
    plan: &mut Plan<Action>,
    finding: &Finding,
    state: &State,
    instance: &Instance,
    settings: &Ec2Settings,
    exempt: bool,
) {
    let id = &instance.id;
    if exempt {
        plan.residual_risks
            .push(format!("{id} is not isolated, and its credentials work"));
    } else {
        network(plan, state, instance);
        metadata(plan, instance);
    }
    credentials(plan, finding, state, instance, exempt);
    losses(plan, state, instance, settings, exempt);
    if exempt {
        return;
    }
    plan.next_steps.push(format!(
        "to release {id}: gdr release restores the values that each step found"
    ));
}

fn metadata(plan: &mut Plan<Action>, instance: &Instance) {
    let id = &instance.id;
    let off = instance.metadata_endpoint.as_deref() == Some("disabled");
    if off && !instance.metadata_pending {
        return;
    }
    let until = if off {
        "until EC2 has turned it off (pending), ".to_owned()
    } else if is_planned(plan, name::METADATA, id) {
        format!("until {} is in effect, ", name::METADATA)
    } else {
        String::new()
    };
    plan.residual_risks.push(format!(
        "{until}{id} still gets credentials and user data from the metadata service, which security groups \
         do not filter"
    ));
}

fn losses(
    plan: &mut Plan<Action>,
    state: &State,
    instance: &Instance,
    settings: &Ec2Settings,
    exempt: bool,
) {
    let id = &instance.id;
    if let Some(Ok(hardware)) = state.rest.as_ref().map(|rest| &rest.hardware)
        && hardware.instance_store_gb > 0
    {
        plan.residual_risks.push(format!(
            "{id} has {} GB of instance-store volumes, of which there is no snapshot: stopping or \
             terminating it loses them",
            hardware.instance_store_gb,
        ));
    }
    if instance.spot {
        plan.residual_risks.push(format!(
            "{id} is a Spot Instance: EC2 may take it back at any time, and its memory with it"
        ));
    }
    match &state.scaling {
        Ok(Some(found))
            if !exempt
                && !matches!(
                    found.lifecycle.as_str(),
                    "Detaching" | "Detached" | "Standby" | "EnteringStandby"
                ) =>
        {
            let chosen = if settings.auto_scaling == AutoScaling::Keep {
                " (EC2_AUTO_SCALING is 'keep')"
            } else {
                ""
            };
            plan.residual_risks.push(format!(
                "{id} is {} in the Auto Scaling group {}{chosen}, which terminates it when it fails its \
                 health check",
                found.lifecycle, found.group,
            ));
        }
        Ok(_) => {}
        Err(_) => plan.next_steps.push(format!(
            "find out whether {id} is in an Auto Scaling group, and detach it: otherwise its failing health check \
             terminates it"
        )),
    }
    plan.next_steps.push(format!(
        "take a memory image of {id} before any stop, if needed: the responder takes none"
    ));
}
