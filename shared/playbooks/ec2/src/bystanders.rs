//! The resources that an instance serves: hosts that it forwards for, and a cluster that replaces its nodes.
//!
//! An instance forwards traffic for others if EC2 does not check its source and destination addresses and a route table
//! sends traffic to its interface: a NAT instance, a firewall, a VPN gateway,
//! <https://docs.aws.amazon.com/vpc/latest/userguide/work-with-nat-instances.html>. Isolated, it takes the way out of
//! whole subnets with it. Flow logs also show the traffic of the hosts behind it on its own interface, so GuardDuty
//! names it for their activity.

use std::collections::BTreeSet;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Route, RouteTable};

use super::action::Action;
use super::instance::{Instance, Interface};
use super::mark::INCIDENT_TAG;
use super::routes;
use super::state::{ForwardingTable, State};
use aws::error::Result;
use model::finding::Finding;
use model::investigation::listed;
use model::plan::{Plan, Step, Withheld};

/// The reason id of withholding the isolation of an instance that forwards for others, if the policies permit it.
const FORWARDS: &str = "playbook:forwards-for-others";

/// Route tables, subnets and destinations in a sentence.
const MOST: usize = 12;

/// EMR's own tags, which nobody else can set,
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags.html>.
const EMR_CLUSTER: &str = "aws:elasticmapreduce:job-flow-id";
const EMR_ROLE: &str = "aws:elasticmapreduce:instance-group-role";

impl ForwardingTable {
    /// Who sends traffic by it.
    fn senders(&self) -> String {
        let subnets: Vec<_> = self.subnets.iter().cloned().collect();
        let main = self.main_of.as_ref();
        let main = main.map(|vpc| format!("each subnet of {vpc} without a route table of its own"));
        let gateways = self.gateways.iter();
        let gateways = gateways.map(|gateway| format!("the inbound traffic of {gateway}"));
        let all: Vec<_> = subnets.into_iter().chain(main).chain(gateways).collect();
        let destinations: Vec<_> = self.destinations.iter().cloned().collect();
        format!(
            "{} for {} ({})",
            listed(&all, MOST),
            listed(&destinations, MOST),
            self.id
        )
    }
}

/// The route tables that send traffic of others to these interfaces. Only an interface whose addresses are not
/// checked can forward, so that other instances cost no call.
pub(super) async fn forwarding(
    client: &Client,
    interfaces: &[Interface],
) -> Result<Vec<ForwardingTable>> {
    let unchecked = interfaces
        .iter()
        .filter(|found| found.source_dest_check == Some(false));
    let ids: BTreeSet<_> = unchecked.map(|found| found.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let tables = routes::tables(client, interfaces).await?;
    Ok(tables
        .iter()
        .filter_map(|table| through(table, &ids))
        .collect())
}

/// The destinations that a table routes to these interfaces. A table that nothing uses sends nothing.
fn through(table: &RouteTable, interfaces: &BTreeSet<&str>) -> Option<ForwardingTable> {
    let to_one = |route: &&Route| {
        let to = route.network_interface_id();
        to.is_some_and(|id| interfaces.contains(id))
    };
    let routes = table.routes().iter().filter(to_one);
    let destinations: BTreeSet<_> = routes.filter_map(destination).collect();
    let associations = table.associations().iter();
    let subnets = associations.clone().filter_map(|found| found.subnet_id());
    let gateways = associations.clone().filter_map(|found| found.gateway_id());
    let mut main = associations.filter(|found| found.main() == Some(true));
    let found = ForwardingTable {
        id: table.route_table_id().unwrap_or_default().to_owned(),
        destinations,
        subnets: subnets.map(ToOwned::to_owned).collect(),
        main_of: main.next().and(table.vpc_id()).map(ToOwned::to_owned),
        gateways: gateways.map(ToOwned::to_owned).collect(),
    };
    let used = !found.subnets.is_empty() || found.main_of.is_some() || !found.gateways.is_empty();
    (used && !found.destinations.is_empty()).then_some(found)
}

fn destination(route: &Route) -> Option<String> {
    let to = route
        .destination_cidr_block()
        .or(route.destination_ipv6_cidr_block())
        .or(route.destination_prefix_list_id());
    to.map(ToOwned::to_owned)
}

/// True where GuardDuty saw the activity from outside of the instance, so that it may be that of a host behind it.
/// A process, a file or stolen credentials are the instance's own.
fn may_be_behind(finding: &Finding) -> bool {
    let kind = &finding.finding_type;
    kind.resource() == "EC2" && !matches!(kind.family(), "MaliciousFile" | "SuspiciousFile")
}

/// Leaves to the approver what would cut off those behind the instance, and says who they are.
pub(super) fn spare(
    plan: &mut Plan<Action>,
    finding: &Finding,
    state: &State,
    instance: &Instance,
) {
    let id = &instance.id;
    let forwards = match &state.forwarding {
        Ok(tables) if tables.is_empty() => return,
        Ok(tables) => {
            let senders: Vec<_> = tables.iter().map(ForwardingTable::senders).collect();
            format!(
                "{id} forwards traffic for others, since route tables lead through it and its source and \
                 destination are not checked: {}",
                senders.join("; ")
            )
        }
        Err(error) => format!(
            "{id} may forward traffic for others, since its source and destination are not checked, and \
             whether route tables lead through it could not be read: {error}"
        ),
    };
    let why = Withheld {
        by: vec![FORWARDS.to_owned()],
        reason: format!(
            "{forwards}. Isolation takes away their way out, too. Approve it if they may lose that way, \
             or if nobody knows of these routes"
        ),
        awaits_approval: true,
    };
    let behind = may_be_behind(finding);
    let steps = std::mem::take(&mut plan.steps).into_iter();
    plan.steps = steps
        .map(|step| match step {
            Step::Do(change) if !was_isolated(state) && cuts_off(&change, state, behind) => {
                Step::Withheld(change, why.clone())
            }
            step => step,
        })
        .collect();
    plan.residual_risks.push(format!(
        "{forwards}. While it is isolated, they have lost that way out"
    ));
    if behind {
        plan.next_steps.push(format!(
            "check whether the attacker is behind {id}: flow logs show the traffic of the hosts behind \
             it as its own. The flow logs of their subnets show which host sent it: contain that host"
        ));
    }
}

/// True if an interface has the mark of a containment that nobody released. Somebody undid it, and must not keep it
/// from being done again by routes that lead through the instance since.
fn was_isolated(state: &State) -> bool {
    let mut interfaces = state.interfaces.iter();
    interfaces.any(|interface| interface.tags.contains_key(INCIDENT_TAG))
}

/// Whether a change keeps the instance from serving those behind it. `behind`: its own credentials are not known to
/// be misused.
fn cuts_off(change: &Action, state: &State, behind: bool) -> bool {
    match change {
        Action::ProtectAttribute { .. }
        | Action::KeepVolume { .. }
        | Action::SnapshotVolumes { .. }
        | Action::CloseIsolationGroup { .. } => false,
        Action::DenyCredentials { .. } => behind,
        // The mark of an interface tells its groups from before.
        Action::Mark { resource, .. } => {
            let mut interfaces = state.interfaces.iter();
            interfaces.any(|interface| interface.id == *resource)
        }
        Action::LeaveAutoScalingGroup { .. }
        | Action::DeregisterTargets { .. }
        | Action::DeregisterFromBalancers { .. }
        | Action::PrepareIsolationGroup { .. }
        | Action::IsolateInterface { .. }
        | Action::RemovePublicAddress { .. }
        | Action::DisableMetadata { .. }
        | Action::ShortenTimeouts { .. }
        | Action::CutConnections { .. }
        | Action::AdmitForensics { .. } => true,
    }
}

/// Adds the risk that EMR terminates the node, and when. Isolated, it does not answer its cluster.
///
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-node-replacement.html>
pub(super) fn replaced_by_emr(plan: &mut Plan<Action>, instance: &Instance) {
    let (id, tags) = (&instance.id, &instance.tags);
    let Some(cluster) = tags.get(EMR_CLUSTER) else {
        return;
    };
    let role = tags.get(EMR_ROLE);
    let role = role.map_or_else(|| "node".to_owned(), |role| format!("{role} node"));
    plan.residual_risks.push(format!(
        "{id} is a {role} of the EMR cluster {cluster}. Isolated, it becomes unhealthy. After 45 minutes \
         EMR replaces and terminates an unhealthy node, even one protected from termination, unless the \
         cluster's replacement of unhealthy nodes is off"
    ));
    plan.next_steps.push(format!(
        "keep {id} within 45 minutes from being replaced by EMR: turn UnhealthyNodeReplacement of {cluster} off \
         (elasticmapreduce:SetUnhealthyNodeReplacement), and see that its snapshots complete"
    ));
}
