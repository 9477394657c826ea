//! What stays dangerous when this instance is contained, and what a person should do about it.

use std::collections::BTreeSet;

use super::ISOLATION_GROUP;
use super::change::Change;
use super::state::{Instance, Interface, State};
use crate::finding::Finding;
use crate::plan::Plan;
use crate::settings::{AutoScaling, Ec2Settings};

pub(super) fn remaining(
    plan: &mut Plan<Change>,
    finding: &Finding,
    state: &State,
    instance: &Instance,
    settings: &Ec2Settings,
    hands_off: bool,
) {
    let id = &instance.id;
    if hands_off {
        plan.residual_risks
            .push(format!("{id} is not isolated, and its credentials work"));
    } else {
        network(plan, state, instance, settings);
    }
    credentials(plan, finding, state, instance, settings, hands_off);
    losses(plan, state, instance, settings, hands_off);
    if hands_off {
        return;
    }
    plan.next_steps.push(format!(
        "to release {id}, give back what is shown under `from` of each step, beginning with the groups"
    ));
}

/// What a change of security groups does not cut,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>.
fn network(plan: &mut Plan<Change>, state: &State, instance: &Instance, settings: &Ec2Settings) {
    let id = &instance.id;
    if instance.state != "stopped" {
        tracked(plan, state, instance, settings);
    }
    plan.residual_risks.push(
        "security groups do not filter DNS to the VPC's resolver: data can leave in DNS names unless \
         Route 53 Resolver DNS Firewall forbids it"
            .to_owned(),
    );
    let addresses: BTreeSet<_> = state
        .interfaces
        .iter()
        .flat_map(|interface| &interface.public_addresses)
        .map(|address| address.public.as_str())
        .collect();
    if !addresses.is_empty() && !settings.remove_public_address {
        let addresses: Vec<_> = addresses.into_iter().collect();
        plan.residual_risks.push(format!(
            "{id} keeps its public address {}: only {ISOLATION_GROUP} is between it and the internet",
            addresses.join(", "),
        ));
    }
    let kinds = |wanted: &[&str]| {
        let interfaces = state.interfaces.iter();
        list(interfaces.filter(|interface| wanted.contains(&interface.kind.as_str())))
    };
    if let Some(interfaces) = kinds(&["efa", "efa-only"]) {
        plan.residual_risks.push(format!(
            "{interfaces}: an Elastic Fabric Adapter's traffic bypasses the operating system; check that it \
             ended"
        ));
    }
    if let Some(interfaces) = kinds(&["trunk"]) {
        plan.residual_risks.push(format!(
            "{interfaces}: the branch interfaces of this trunk have groups of their own, which were not \
             changed: isolate the pods or tasks that use them"
        ));
    }
    for interface in state.manageable() {
        if !interface.groups.is_disjoint(&state.conversion_groups) {
            plan.residual_risks.push(format!(
                "{} is open to everything at present: a run was cut off while it cut connections",
                interface.id,
            ));
        }
    }
}

fn list<'a>(interfaces: impl Iterator<Item = &'a Interface>) -> Option<String> {
    let ids: Vec<_> = interfaces.map(|interface| interface.id.as_str()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

fn tracked(plan: &mut Plan<Change>, state: &State, instance: &Instance, settings: &Ec2Settings) {
    let mut always: BTreeSet<String> = BTreeSet::new();
    let rest = state.rest.as_ref();
    match rest.map(|rest| &rest.routes) {
        None => {}
        Some(Ok(routes)) => always.extend(routes.values().flatten().cloned()),
        Some(Err(error)) => {
            plan.residual_risks.push(format!(
                "whether its subnet routes through a NAT gateway, whose flows no change of groups cuts, \
                 could not be read: {error}"
            ));
        }
    }
    if let Some(Ok(targets)) = rest.map(|rest| &rest.targets) {
        let networks = targets.iter().filter(|target| target.network);
        always.extend(networks.map(|target| target.group.clone()));
    }
    if !always.is_empty() {
        let always: Vec<_> = always.into_iter().collect();
        plan.residual_risks.push(format!(
            "open connections of {} through {} are tracked whatever the groups say and work until they end or \
             time out: a network ACL on the subnet cuts them",
            instance.id,
            always.join(", "),
        ));
    }
    let idle = if settings.shorten_timeouts {
        "60 seconds of silence"
    } else {
        "silence of up to five days"
    };
    plan.residual_risks.push(if settings.cut_connections_seconds > 0 {
        format!(
            "connections that carried no packet while the interfaces were open were not cut and work until \
             they end or time out after {idle}; ICMP is always tracked"
        )
    } else {
        format!(
            "connections that were open keep working until they end or time out after {idle} (tracked \
             connections): a network ACL on the subnet cuts them"
        )
    });
}

fn credentials(
    plan: &mut Plan<Change>,
    finding: &Finding,
    state: &State,
    instance: &Instance,
    settings: &Ec2Settings,
    hands_off: bool,
) {
    let id = &instance.id;
    let Some(profile) = &instance.profile else {
        return;
    };
    match &state.role {
        Ok(Some(role)) if !hands_off => {
            plan.residual_risks.push(format!(
                "sessions of other roles that {id} assumed as {} outlive the deny (role chaining)",
                role.name,
            ));
            plan.next_steps.push(format!(
                "look in CloudTrail ({}) for AssumeRole by {}:{id}, contain the sessions it obtained, and \
                 review what else it did",
                finding.region, role.id,
            ));
        }
        Ok(None) => {}
        _ => plan.residual_risks.push(format!(
            "credentials of {profile} that were read on {id} work anywhere until they expire (up to six \
             hours), and it gets new ones"
        )),
    }
    if !hands_off
        && !settings.disable_metadata
        && instance.metadata_endpoint.as_deref() != Some("disabled")
    {
        plan.residual_risks.push(format!(
            "security groups do not filter the metadata service: {id} still gets credentials and user data \
             from it"
        ));
    }
}

fn losses(
    plan: &mut Plan<Change>,
    state: &State,
    instance: &Instance,
    settings: &Ec2Settings,
    hands_off: bool,
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
            if !hands_off
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
            "find out whether {id} is in an Auto Scaling group and detach it, or its failing health check \
             will terminate it"
        )),
    }
    plan.next_steps.push(format!(
        "take an image of the memory of {id} before it is stopped, if you need one: nothing here does"
    ));
}
