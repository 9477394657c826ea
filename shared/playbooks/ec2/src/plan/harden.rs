//! The steps that narrow remaining access further, and those that let forensics in, if a setting asks for them.

use std::collections::BTreeSet;

use super::super::action::Action;
use super::super::cut_connections::CUT_TAG;
use super::super::instance::{Address, Interface};
use super::super::state::{Hardware, Rest};
use super::super::timeouts::Timeouts;
use super::planner::Planner;
use aws::error::Result;
use model::actions::ec2 as name;
use model::investigation::listed;
use model::plan::Step;

/// Gateways, endpoints and target groups in a sentence.
const MOST: usize = 6;

impl Planner<'_> {
    /// Plans the steps that narrow remaining access further, if a setting asks for them.
    pub(super) fn harden(&mut self) {
        if self.exempt_reason.is_some() {
            return;
        }
        if self.settings.disable_metadata {
            let from = self.instance.metadata_endpoint.clone();
            let from = from.unwrap_or_else(|| "enabled".to_owned());
            let off = from == "disabled";
            let change = Action::DisableMetadata {
                region: self.region(),
                instance: self.id(),
                from,
            };
            let operated = self.operated().filter(|_| !off);
            self.push(if let Some(why) = operated {
                Step::skipped(name::METADATA, self.id(), why)
            } else if off && self.instance.metadata_pending {
                let detail = "EC2 is turning it off (pending)";
                Step::Already(change, detail.to_owned())
            } else if off {
                Step::Already(change, "it is off".to_owned())
            } else {
                Step::Do(change)
            });
        }
        let state = self.state;
        for interface in state.manageable() {
            if self.settings.remove_public_address {
                let step = self.remove_addresses(interface);
                self.push(step);
            }
            if self.settings.shorten_timeouts
                && let Some(rest) = &state.rest
            {
                let step = self.shorten(interface, &rest.hardware);
                self.push(step);
            }
            // A stopped instance has no connections. Cutting comes last, when the rest is known too.
            if self.settings.cut_connections_seconds > 0
                && self.instance.state != "stopped"
                && let Some(rest) = &state.rest
            {
                let step = self.cut(interface, rest);
                // What leaves a load balancer lets its connections end, which it no longer shows then.
                if matches!(step, Step::Skipped { .. }) {
                    self.plan.held_back.insert(step.key());
                }
                self.push(step);
            }
        }
    }

    fn remove_addresses(&self, interface: &Interface) -> Step<Action> {
        let addresses = interface.public_addresses.iter();
        let (going, staying): (Vec<Address>, Vec<Address>) =
            addresses.cloned().partition(Address::is_removable);
        let none = going.is_empty();
        let change = Action::RemovePublicAddress {
            region: self.region(),
            interface: interface.id.clone(),
            from: going,
        };
        if !none {
            return Step::Do(change);
        }
        let staying = staying.iter().map(|address| address.public.as_str());
        let staying: Vec<_> = staying.chain(interface.global_ipv6()).collect();
        Step::Already(
            change,
            match staying.as_slice() {
                [] => "it has no public IPv4 address".to_owned(),
                kept => format!(
                    "it has no public IPv4 address that can be taken away; IPv6 addresses, and those that a carrier \
                 gave it, stay: {}",
                    kept.join(", "),
                ),
            },
        )
    }

    fn shorten(&self, interface: &Interface, hardware: &Result<Hardware>) -> Step<Action> {
        // Where the instance type could not be read, EC2 itself says whether it can.
        if hardware.as_ref().is_ok_and(|found| !found.nitro) {
            return Step::skipped(
                name::TIMEOUTS,
                &interface.id,
                "only instances on the Nitro System have idle time-outs that can be set".to_owned(),
            );
        }
        let change = Action::ShortenTimeouts {
            region: self.region(),
            interface: interface.id.clone(),
            from: interface.timeouts,
        };
        if interface.timeouts == Timeouts::SHORTEST {
            Step::Already(change, "they are the shortest that EC2 allows".to_owned())
        } else {
            Step::Do(change)
        }
    }

    fn cut(&self, interface: &Interface, rest: &Rest) -> Step<Action> {
        let isolated = self.state.isolates(interface);
        let change = Action::CutConnections {
            region: self.region(),
            interface: interface.id.clone(),
            vpc: interface.vpc.clone(),
            account: self.finding.account_id.clone(),
            group: self.group_of(&interface.vpc),
            seconds: self.settings.cut_connections_seconds,
            finding: self.finding.id.clone(),
        };
        match (interface.tags.get(CUT_TAG), isolated) {
            // Isolated and cut: a later finding does not open it once more.
            (Some(by), Some(_)) => Step::Already(change, format!("they were cut for finding {by}")),
            (None, Some(group)) if group.forensics => Step::skipped(
                name::CUT,
                &interface.id,
                format!(
                    "it is in {}, by which forensics get in, and their connections would be cut too: cut the others \
                     at a network ACL",
                    group.id
                ),
            ),
            _ => match self
                .lets_in(interface)
                .or_else(|| tracked_anyway(interface, rest))
            {
                Some(why) => Step::skipped(name::CUT, &interface.id, why),
                None => Step::Do(change),
            },
        }
    }

    /// Why opening an interface would let the internet in.
    fn lets_in(&self, interface: &Interface) -> Option<String> {
        if interface.global_ipv6().next().is_some() {
            return Some(
                "it has an IPv6 address, by which opening it would let the internet in: cut its connections at a \
                 network ACL"
                    .to_owned(),
            );
        }
        let mut addresses = interface.public_addresses.iter();
        if self.settings.remove_public_address {
            let kept = addresses.find(|address| !address.is_removable())?;
            return Some(format!(
                "it keeps the carrier's address {}, by which opening it would let others in: cut its connections \
                 at a network ACL",
                kept.public
            ));
        }
        addresses.next().map(|_| {
            "it has a public address, and opening it would let the internet in: set EC2_REMOVE_PUBLIC_ADDRESS as \
             well, or cut its connections at a network ACL"
                .to_owned()
        })
    }

    /// Lets forensics into what is isolated, when all that contains is planned.
    pub(super) fn admit(&mut self) {
        let state = self.state;
        if self.exempt_reason.is_some() || state.rest.is_none() {
            return;
        }
        for (peer, unread) in &state.access.unread {
            self.push(Step::unknown(name::FORENSICS, peer, &unread.0));
        }
        for interface in state.manageable() {
            let rules = state.access.of(&interface.vpc);
            if rules.is_empty() {
                continue;
            }
            let group = state.forensics_groups(&interface.vpc).next();
            let change = Action::AdmitForensics {
                region: self.region(),
                interface: interface.id.clone(),
                vpc: interface.vpc.clone(),
                account: self.finding.account_id.clone(),
                rules: rules.to_vec(),
                from: interface.groups.clone(),
                to: group.map(|group| group.id.clone()),
            };
            let admitted = state.isolates(interface);
            let admitted = admitted.filter(|group| group.forensics && group.lets_exactly(rules));
            self.push(match admitted {
                Some(group) => Step::Already(
                    change,
                    format!("its only group is {}, which has the listed rules", group.id),
                ),
                None => Step::Do(change),
            });
        }
    }
}

/// Why opening an interface would let in connections that are tracked whatever the groups say, so that isolating it
/// again would not cut them,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>. A gateway that
/// could not be read may be on the way.
fn tracked_anyway(interface: &Interface, rest: &Rest) -> Option<String> {
    let unread = |what: &str, error: &dyn std::fmt::Display| {
        Some(format!(
            "{what} could not be read ({error}), and connections that opening it lets in may never be cut: cut those \
             that are open at a network ACL"
        ))
    };
    let routes = match &rest.routes {
        Ok(routes) => routes.get(&interface.id),
        Err(error) => return unread("its subnet's routes", error),
    };
    let Some(routes) = routes else {
        return unread("its subnet's routes", &"EC2 shows no route table of it");
    };
    let endpoints = match &rest.endpoints {
        Ok(endpoints) => endpoints,
        Err(error) => return unread("its VPC's endpoints", error),
    };
    let targets = match &rest.targets {
        Ok(targets) => targets.own.iter().chain(&targets.elsewhere),
        Err(error) => return unread("its target groups", error),
    };
    let balancers = match &rest.balancers {
        Ok(balancers) => balancers,
        Err(error) => return unread("its Classic Load Balancers", error),
    };
    let targets = targets.map(|target| &target.group);
    let on_the_way: BTreeSet<_> = routes
        .iter()
        .chain(endpoints)
        .chain(balancers)
        .chain(targets)
        .collect();
    let on_the_way: Vec<_> = on_the_way.into_iter().cloned().collect();
    (!on_the_way.is_empty()).then(|| {
        format!(
            "{} is on the way, and connections through it that opening the interface lets in would never be cut: \
             cut those that are open at a network ACL",
            listed(&on_the_way, MOST),
        )
    })
}
