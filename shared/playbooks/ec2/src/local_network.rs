//! The interfaces that no change of security groups isolates: interfaces that others manage, branch interfaces, and the
//! local network interfaces of Outposts servers, which have no part in the VPC's security,
//! <https://docs.aws.amazon.com/outposts/latest/server-userguide/local-network-interface.html>.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Filter;

use super::action::Action;
use super::instance::Interface;
use super::state::{LocalNetworks, State};
use aws::error::{CallContext, Result};
use model::actions::ec2 as name;
use model::plan::Step;

/// Reads the subnets of the interfaces.
pub(super) async fn read(
    client: &Client,
    interfaces: &[Interface],
) -> Result<BTreeMap<String, Option<i32>>> {
    let subnets: BTreeSet<_> = interfaces.iter().map(|found| &found.subnet).collect();
    let mut networks = BTreeMap::new();
    if subnets.is_empty() {
        return Ok(networks);
    }
    let subnets = subnets.into_iter().cloned().collect();
    let these = Filter::builder().name("subnet-id");
    let mut pages = client
        .describe_subnets()
        .filters(these.set_values(Some(subnets)).build())
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.during("ec2:DescribeSubnets", "the instance's subnets")?;
        for subnet in page.subnets.unwrap_or_default() {
            let index = subnet.enable_lni_at_device_index;
            networks.extend(subnet.subnet_id.map(|id| (id, index)));
        }
    }
    Ok(networks)
}

/// Whether an interface is on the local network of an Outposts server.
enum Local {
    No,
    Yes,
    /// For this reason it is not known.
    Unknown(String),
}

impl State {
    fn local(&self, interface: &Interface) -> Local {
        // The primary interface is never one.
        let Some(LocalNetworks(read)) = &self.local_networks else {
            return Local::No;
        };
        if interface.device_index == Some(0) {
            return Local::No;
        }
        match read
            .as_ref()
            .map(|networks| networks.get(&interface.subnet))
        {
            Ok(Some(None)) => Local::No,
            Ok(Some(index)) if interface.device_index.is_none() => Local::Unknown(format!(
                "EC2 does not say whether its device index is {}",
                index.unwrap_or_default()
            )),
            Ok(Some(index)) if *index == interface.device_index => Local::Yes,
            Ok(Some(_)) => Local::No,
            Ok(None) => Local::Unknown(format!("EC2 does not show {}", interface.subnet)),
            Err(error) => Local::Unknown(error.to_string()),
        }
    }

    /// The interfaces that a group isolates.
    pub(super) fn manageable(&self) -> impl Iterator<Item = &Interface> {
        let interfaces = self.interfaces.iter();
        interfaces.filter(|interface| self.out_of_reach(interface).is_none())
    }

    /// Why a change of its groups does not isolate an interface, and to whom that is left. `None`: it does.
    pub(super) fn out_of_reach(&self, interface: &Interface) -> Option<String> {
        if let Some(requester) = &interface.requester {
            return Some(format!(
                "{requester} manages this interface and allows nobody else to change its groups: cut it off at \
                 its subnet's network ACL, or through that service"
            ));
        }
        if interface.kind == "branch" {
            return Some(
                "it is a branch interface, whose groups are those of a pod or task: isolate the pod or task that \
                 uses it"
                    .to_owned(),
            );
        }
        matches!(self.local(interface), Local::Yes).then(|| {
            "it is a local network interface of an Outposts server, which neither security groups nor network \
             ACLs filter: cut it off with the firewall of that local network"
                .to_owned()
        })
    }

    /// The step that is left out for an interface that is isolated within the VPC, and may be on a local network
    /// instead.
    pub(super) fn perhaps_local(&self, interface: &Interface) -> Option<Step<Action>> {
        let Local::Unknown(why) = self.local(interface) else {
            return None;
        };
        let target = format!("the local network of {}", interface.id);
        if let Some(LocalNetworks(Err(error))) = &self.local_networks
            && error.is_transient()
        {
            return Some(Step::unknown(name::ISOLATE, target, error));
        }
        let reason = format!(
            "{} may be a local network interface of an Outposts server, which security groups do not \
             filter; this could not be read: {why}. Look at its subnet, and cut it off with the firewall \
             of the local network",
            interface.id
        );
        Some(Step::skipped(name::ISOLATE, target, reason))
    }
}
