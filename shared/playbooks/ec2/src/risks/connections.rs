//! Connections that were open before the isolation.

use std::collections::BTreeSet;

use super::super::action::Action;
use super::super::cut_connections::CUT_TAG;
use super::super::instance::{Instance, Interface};
use super::super::routes::is_carrier_gateway;
use super::super::state::State;
use super::super::timeouts::Timeouts;
use super::planned::is_planned;
use model::actions::ec2 as name;
use model::investigation::listed;
use model::plan::Plan;

/// Gateways and endpoints in a sentence.
const MOST: usize = 12;

pub(super) fn tracked(plan: &mut Plan<Action>, state: &State, instance: &Instance) {
    let mut always: BTreeSet<String> = BTreeSet::new();
    let rest = state.rest.as_ref();
    match rest.map(|rest| &rest.routes) {
        None => {}
        Some(Ok(routes)) => {
            let ways = routes.values().flatten();
            always.extend(ways.filter(|id| !is_carrier_gateway(id)).cloned());
        }
        Some(Err(error)) => {
            plan.residual_risks.push(format!(
                "whether its subnet routes through a NAT gateway, whose flows no change of groups cuts, \
                 could not be read: {error}"
            ));
        }
    }
    if let Some(Ok(targets)) = rest.map(|rest| &rest.targets) {
        let networks = targets.own.iter().filter(|target| target.network);
        always.extend(networks.map(|target| target.group.clone()));
    }
    match rest.map(|rest| &rest.endpoints) {
        None => {}
        Some(Ok(endpoints)) => always.extend(endpoints.iter().cloned()),
        Some(Err(error)) => plan.residual_risks.push(format!(
            "whether its VPC has interface endpoints (PrivateLink), to which no change of groups cuts a \
             flow, could not be read: {error}"
        )),
    }
    if !always.is_empty() {
        let always: Vec<_> = always.into_iter().collect();
        plan.residual_risks.push(format!(
            "open connections of {} through {} are tracked whatever the groups say and work until they end or \
             time out: a network ACL on the subnet cuts them",
            instance.id,
            listed(&always, MOST),
        ));
    }
    opened_before(plan, state);
}

/// The connections that a group's rules track, of what was cut and of what was not.
fn opened_before(plan: &mut Plan<Action>, state: &State) {
    let (cut, open): (Vec<_>, Vec<_>) = state.interfaces.iter().partition(|interface| {
        interface.tags.contains_key(CUT_TAG) && state.isolates(interface).is_some()
    });
    if !cut.is_empty() {
        plan.residual_risks.push(format!(
            "connections that carried no packet while {} was open were not cut and work until they end or \
             time out after {}; ICMP is always tracked",
            ids(&cut),
            idle(plan, &cut),
        ));
    }
    if !open.is_empty() {
        let planned = |interface: &&&Interface| is_planned(plan, name::CUT, &interface.id);
        let until = if open.iter().all(|interface| planned(&interface)) {
            format!("until {} is in effect, ", name::CUT)
        } else {
            String::new()
        };
        plan.residual_risks.push(format!(
            "{until}connections that were open keep working on {} until they end, or time out after {}: \
             a network ACL on the subnet cuts them",
            ids(&open),
            idle(plan, &open),
        ));
    }
}

fn ids(interfaces: &[&Interface]) -> String {
    let ids: Vec<_> = interfaces.iter().map(|found| found.id.as_str()).collect();
    ids.join(", ")
}

/// How long a connection may be silent before EC2 forgets it, in the longest case.
fn idle(plan: &Plan<Action>, interfaces: &[&Interface]) -> String {
    let timeouts = interfaces
        .iter()
        .map(|found| found.timeouts.tcp_established);
    let (default, _, _) = Timeouts::default().in_effect();
    let longest = timeouts.map(|seconds| seconds.unwrap_or(default)).max();
    let longest = match longest {
        Some(seconds) if seconds != default => format!("{seconds} seconds of silence"),
        _ => "silence of up to five days".to_owned(),
    };
    let mut planned = interfaces.iter();
    let shortest = Timeouts::SHORTEST.tcp_established.unwrap_or_default();
    if planned.all(|interface| is_planned(plan, name::TIMEOUTS, &interface.id)) {
        format!(
            "{longest} ({shortest} seconds when {} is in effect)",
            name::TIMEOUTS
        )
    } else {
        longest
    }
}
