//! What stays dangerous when this instance is contained, and what a person should do about it.
//!
//! All of it is from what was read, never from what was set: a step that is planned may fail. Where one is
//! planned that would help, it is named.

use std::collections::BTreeSet;

use serde_json::Value;

use super::change::Change;
use super::conversion::CUT_TAG;
use super::routes::is_carrier_gateway;
use super::state::{Instance, Interface, Role, State, Timeouts};
use super::{ISOLATION_GROUP, name, role};
use crate::error::Result;
use crate::finding::Finding;
use crate::investigate::listed;
use crate::plan::{Action as _, Plan, Step};
use crate::settings::{AutoScaling, Ec2Settings};

/// Gateways and endpoints in a sentence.
const MOST: usize = 12;

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
        network(plan, state, instance);
        metadata(plan, instance);
    }
    credentials(plan, finding, state, instance, hands_off);
    losses(plan, state, instance, settings, hands_off);
    if hands_off {
        return;
    }
    plan.next_steps.push(format!(
        "to release {id}, use gdr release: it puts back what each step found"
    ));
}

/// Whether the step of this name on this target is planned, and so not in effect.
fn is_planned(plan: &Plan<Change>, action: &str, target: &str) -> bool {
    plan.steps.iter().any(|step| {
        matches!(step, Step::Do(change) if change.name() == action && change.target() == target)
    })
}

/// What a change of security groups does not cut,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>.
fn network(plan: &mut Plan<Change>, state: &State, instance: &Instance) {
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
fn admitted(plan: &mut Plan<Change>, state: &State) {
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
            "{until}{} stays reachable for forensics (EC2_FORENSICS_ACCESS): {}; whoever gets into these groups or \
             may change these prefix lists gets to it",
            interface.id,
            rules.join(", "),
        ));
    }
    let left_out = state.access.left_out.iter();
    plan.next_steps.extend(left_out.map(|rule| {
        format!("correct EC2_FORENSICS_ACCESS, of which this rule is not used: {rule}")
    }));
}

/// The groups that cut connections and still have rules, with nothing of this instance in them.
fn left_open(plan: &mut Plan<Change>, state: &State) {
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
            "{} lets everything through, for cutting connections: unless another instance is in it for these \
             seconds, take its rules away",
            left.join(", "),
        ));
    }
}

fn addresses(plan: &mut Plan<Change>, state: &State, id: &str) {
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

fn tracked(plan: &mut Plan<Change>, state: &State, instance: &Instance) {
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
            "{until}connections that were open keep working on {} until they end or time out after {} \
             (tracked connections): a network ACL on the subnet cuts them",
            ids(&open),
            idle(plan, &open),
        ));
    }
}

fn ids(interfaces: &[&Interface]) -> String {
    list(interfaces.iter().copied()).unwrap_or_default()
}

/// How long a connection may be silent before EC2 forgets it, in the longest case.
fn idle(plan: &Plan<Change>, interfaces: &[&Interface]) -> String {
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

/// Of the role that the instance has, and of that which it had by the finding. EC2 hands out credentials
/// that work for up to six hours, whatever becomes of the instance and of its profile.
pub(super) fn credentials(
    plan: &mut Plan<Change>,
    finding: &Finding,
    state: &State,
    instance: &Instance,
    hands_off: bool,
) {
    let (id, gone) = (&instance.id, state.gone().is_some());
    if gone && instance.profile.is_none() && state.earlier.is_none() {
        plan.residual_risks.push(format!(
            "if {id} had a role, credentials that were read on it work anywhere until they expire (up to six \
             hours): the finding names no instance profile"
        ));
    }
    let current = instance.profile.as_ref().map(|profile| Held {
        profile,
        role: &state.role,
        deny: state.deny.as_ref(),
        renewed: if gone { "" } else { ", and it gets new ones" },
    });
    let earlier = state.earlier.as_ref().map(|earlier| Held {
        profile: &earlier.profile,
        role: &earlier.role,
        deny: earlier.deny.as_ref(),
        renewed: "",
    });
    for held in current.into_iter().chain(earlier) {
        of_role(plan, finding, state, id, hands_off, &held);
    }
}

/// What is known of a profile.
struct Held<'a> {
    profile: &'a str,
    role: &'a Result<Option<Role>>,
    deny: Option<&'a Result<Option<Value>>>,
    renewed: &'static str,
}

fn of_role(
    plan: &mut Plan<Change>,
    finding: &Finding,
    state: &State,
    id: &str,
    hands_off: bool,
    held: &Held<'_>,
) {
    let Held {
        profile,
        role,
        deny,
        renewed,
    } = held;
    let works = "work anywhere until they expire (up to six hours)";
    let role = match role {
        Ok(Some(role)) if !hands_off => role,
        Ok(None) => {
            plan.residual_risks.push(format!(
                "{profile} has no role now: credentials of one that it had, read on {id}, {works}"
            ));
            return;
        }
        _ => {
            plan.residual_risks.push(format!(
                "credentials of {profile} that were read on {id} {works}{renewed}"
            ));
            return;
        }
    };
    let wanted = role::policy(finding, state.region_of_arn(), id, &role.id);
    let denied = matches!(deny, Some(Ok(Some(found))) if role::denies(found, &wanted));
    let planned = is_planned(plan, name::DENY, &role.arn);
    plan.residual_risks.push(if denied {
        format!("sessions of other roles that {id} assumed as {} outlive the deny (role chaining)", role.name)
    } else if planned {
        format!(
            "until {} is in effect on {}, credentials of it that were read on {id} {works}{renewed}; sessions \
             of other roles that {id} assumed as {} outlive that, too (role chaining)",
            name::DENY, role.name, role.name,
        )
    } else {
        format!("credentials of {} that were read on {id} {works}{renewed}", role.name)
    });
    let regions = BTreeSet::from([finding.region.as_str(), state.region.as_str()]);
    let regions: Vec<_> = regions.into_iter().collect();
    plan.next_steps.push(format!(
        "look in CloudTrail ({}) for AssumeRole by {}:{id}, contain the sessions it obtained, and review \
         what else it did",
        regions.join(", "),
        role.id,
    ));
}

fn metadata(plan: &mut Plan<Change>, instance: &Instance) {
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
