//! The connections that a change of security groups does not cut, and the peers that it lets in.

use std::collections::BTreeSet;

use super::super::action::Action;
use super::super::instance::{Instance, Interface};
use super::super::isolation_group::NAME as ISOLATION_GROUP;
use super::super::state::State;
use super::connections::tracked;
use super::planned::is_planned;
use model::actions::ec2 as name;
use model::plan::Plan;

/// The connections that a change of security groups does not cut,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>.
pub(super) fn network(plan: &mut Plan<Action>, state: &State, instance: &Instance) {
    if instance.state != "stopped" {
        tracked(plan, state, instance);
    }
    plan.residual_risks.push(
        "security groups do not filter DNS to the VPC's resolver: data can leave in DNS names unless \
         Route 53 Resolver DNS Firewall forbids it"
            .to_owned(),
    );
    addresses(plan, state, &instance.id);
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
        let groups = interface.groups.iter();
        let mut groups = groups.filter_map(|group| state.conversion_groups.get(group));
        if groups.any(|group| !group.is_empty()) {
            plan.residual_risks.push(format!(
                "{} is open to everything at present: a run was cut off while it cut connections",
                interface.id,
            ));
        }
    }
    left_open(plan, state);
    admitted(plan, state);
}

/// Who reaches what is isolated, because a setting says so.
fn admitted(plan: &mut Plan<Action>, state: &State) {
    for interface in state.manageable() {
        let rules = state.access.of(&interface.vpc);
        let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
        let until = if is_planned(plan, name::FORENSICS, &interface.id) {
            format!("when {} is in effect, ", name::FORENSICS)
        } else if state
            .isolates(interface)
            .is_some_and(|group| !group.is_empty())
        {
            String::new()
        } else {
            continue;
        };
        plan.residual_risks.push(format!(
            "{until}{} stays reachable for forensics (EC2_FORENSICS_ACCESS): {}; anybody in these \
             groups, or who may change these prefix lists, can reach it",
            interface.id,
            rules.join(", "),
        ));
    }
    let left_out = state.access.left_out.iter();
    plan.next_steps.extend(
        left_out
            .map(|rule| format!("correct EC2_FORENSICS_ACCESS, whose rule is not used: {rule}")),
    );
}

/// The groups that cut connections and still have rules, with nothing of this instance in them.
fn left_open(plan: &mut Plan<Action>, state: &State) {
    let here = |vpc: &str| state.interfaces.iter().any(|found| found.vpc == vpc);
    let in_it = |id: &str| {
        state
            .interfaces
            .iter()
            .any(|found| found.groups.contains(id))
    };
    let groups = state.conversion_groups.values();
    let left = groups.filter(|group| !group.is_empty() && here(&group.vpc) && !in_it(&group.id));
    let left: Vec<_> = left.map(|group| group.id.as_str()).collect();
    if !left.is_empty() {
        plan.residual_risks.push(format!(
            "{} lets everything through, to cut connections: remove its rules, unless another instance \
             is in it for these seconds",
            left.join(", "),
        ));
    }
}

fn addresses(plan: &mut Plan<Action>, state: &State, id: &str) {
    let (mut going, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for interface in &state.interfaces {
        let planned = is_planned(plan, name::ADDRESS, &interface.id);
        for address in &interface.public_addresses {
            let goes = planned && address.is_removable();
            if goes { &mut going } else { &mut kept }.insert(address.public.as_str());
        }
        kept.extend(interface.global_ipv6());
    }
    let shown = |addresses: BTreeSet<&str>| addresses.into_iter().collect::<Vec<_>>().join(", ");
    if !going.is_empty() {
        plan.residual_risks.push(format!(
            "until {} is in effect, {id} has its public address {}, and only {ISOLATION_GROUP} is between it \
             and the internet",
            name::ADDRESS,
            shown(going),
        ));
    }
    if !kept.is_empty() {
        plan.residual_risks.push(format!(
            "{id} keeps its public address {}: only {ISOLATION_GROUP} is between it and the internet",
            shown(kept),
        ));
    }
}

fn list<'a>(interfaces: impl Iterator<Item = &'a Interface>) -> Option<String> {
    let ids: Vec<_> = interfaces.map(|interface| interface.id.as_str()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}
