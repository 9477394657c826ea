//! The containment itself: the interfaces, the credentials, and what settings narrow further.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::ISOLATION_GROUP;
use super::super::change::{Change, name};
use super::super::conversion::CUT_TAG;
use super::super::preserve::GROUPS_TAG;
use super::super::role;
use super::super::state::{Hardware, Interface, Role, State, Timeouts};
use super::{Planner, skipped};
use crate::error::Result;
use crate::plan::Step;
use crate::settings::{Entity, protects};

impl Planner<'_> {
    pub(super) fn isolate(&mut self) {
        let (id, state) = (self.id(), self.state);
        if let Some(why) = self.hands_off.clone() {
            self.push(skipped(name::ISOLATE, &id, why));
            return;
        }
        if state.interfaces.is_empty() {
            let none = "the instance has no network interface".to_owned();
            self.push(skipped(name::ISOLATE, &id, none));
        }
        let vpcs: BTreeSet<_> = state.manageable().map(|found| &found.vpc).collect();
        for vpc in vpcs {
            let group = state.groups.get(vpc);
            let change = Change::PrepareIsolationGroup {
                region: self.region(),
                vpc: vpc.clone(),
                from: group.cloned(),
            };
            self.push(match group {
                Some(group) if group.is_empty() => {
                    Step::Already(change, format!("{} has no rules", group.id))
                }
                _ => Step::Do(change),
            });
            if let Some(group) = group.filter(|group| !group.is_empty()) {
                self.plan.next_steps.push(format!(
                    "find out who gave rules to {} ({ISOLATION_GROUP}): it is to have none",
                    group.id,
                ));
            }
        }
        for interface in &state.interfaces {
            let step = self.isolate_interface(interface);
            self.push(step);
            if interface.kind == "trunk" {
                self.push(skipped(
                    name::ISOLATE,
                    &format!("the branch interfaces of {}", interface.id),
                    "each has groups of its own, which are its pod's or task's, and is no interface of the \
                     instance: isolate the pods and tasks that use them"
                        .to_owned(),
                ));
            }
        }
    }

    fn isolate_interface(&self, interface: &Interface) -> Step<Change> {
        if let Some(requester) = &interface.requester {
            return skipped(
                name::ISOLATE,
                &interface.id,
                format!(
                    "{requester} manages this interface and allows nobody else to change its groups: cut it \
                     off at its subnet's network ACL, or through that service"
                ),
            );
        }
        let change = Change::IsolateInterface {
            region: self.region(),
            interface: interface.id.clone(),
            vpc: interface.vpc.clone(),
            from: prior_groups(interface, self.state),
            to: self
                .state
                .groups
                .get(&interface.vpc)
                .map(|group| group.id.clone()),
        };
        match self.state.isolates(interface) {
            Some(group) => Step::Already(
                change,
                format!("its only group is {}, which has no rules", group.id),
            ),
            None => Step::Do(change),
        }
    }

    /// Of the role that the instance has, and of that which it had by the finding: credentials that it was
    /// given work for hours after the role left it.
    pub(super) fn deny(&mut self) {
        let state = self.state;
        if let Some(profile) = self.instance.profile.clone() {
            self.deny_role(&profile, &state.role, state.deny.as_ref());
        }
        if let Some(earlier) = &state.earlier {
            self.deny_role(&earlier.profile, &earlier.role, earlier.deny.as_ref());
        }
    }

    fn deny_role(
        &mut self,
        profile: &str,
        role: &Result<Option<Role>>,
        deny: Option<&Result<Option<Value>>>,
    ) {
        if let Some(why) = self.hands_off.clone() {
            self.push(skipped(name::DENY, profile, why));
            return;
        }
        let Some(Some(role)) = self.read(name::DENY, profile, role) else {
            return;
        };
        let Role { arn, path, .. } = &role;
        if path.starts_with("/aws-service-role/") || path.starts_with("/aws-reserved/") {
            self.push(skipped(
                name::DENY,
                arn,
                "only AWS may change this role: end its sessions through the service that owns it"
                    .to_owned(),
            ));
            return;
        }
        if protects(
            &self.settings.never_contain,
            Entity::Role,
            &self.finding.account_id,
            &role.name,
        ) {
            self.push(skipped(
                name::DENY,
                arn,
                "the role is on the list of principals that are never contained: find out what the \
                 instance did with it"
                    .to_owned(),
            ));
            return;
        }
        let Some(deny) = deny else {
            return;
        };
        let Some(from) = self.read(name::DENY, arn, deny) else {
            return;
        };
        let to = role::policy(self.finding, &self.instance.id, &role.id);
        let denied = from.as_ref() == Some(&to);
        let change = Change::DenyCredentials {
            role: role.name.clone(),
            role_arn: arn.clone(),
            instance: self.id(),
            from,
            to,
        };
        self.push(if denied {
            let name = role::policy_name(&self.instance.id);
            Step::Already(change, format!("{name} denies this instance everything"))
        } else {
            Step::Do(change)
        });
    }

    /// What narrows further what is left, where a setting asks for it.
    pub(super) fn narrow(&mut self) {
        if self.hands_off.is_some() {
            return;
        }
        if self.settings.disable_metadata {
            let from = self.instance.metadata_endpoint.clone();
            let from = from.unwrap_or_else(|| "enabled".to_owned());
            let off = from == "disabled";
            let change = Change::DisableMetadata {
                region: self.region(),
                instance: self.id(),
                from,
            };
            let operated = self.operated().filter(|_| !off);
            self.push(if let Some(why) = operated {
                skipped(name::METADATA, &self.id(), why)
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
                let change = Change::RemovePublicAddress {
                    region: self.region(),
                    interface: interface.id.clone(),
                    from: interface.public_addresses.clone(),
                };
                self.push(if interface.public_addresses.is_empty() {
                    let global: Vec<_> = interface.global_ipv6().collect();
                    Step::Already(change, match global.as_slice() {
                        [] => "it has no public IPv4 address".to_owned(),
                        kept => format!(
                            "it has no public IPv4 address; IPv6 addresses are not taken away: {}",
                            kept.join(", "),
                        ),
                    })
                } else {
                    Step::Do(change)
                });
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
                && state.rest.is_some()
            {
                let step = self.cut(interface);
                self.push(step);
            }
        }
    }

    fn shorten(&self, interface: &Interface, hardware: &Result<Hardware>) -> Step<Change> {
        // Where the instance type could not be read, EC2 itself says whether it can.
        if hardware.as_ref().is_ok_and(|found| !found.nitro) {
            return skipped(
                name::TIMEOUTS,
                &interface.id,
                "only instances on the Nitro System have idle time-outs that can be set".to_owned(),
            );
        }
        let change = Change::ShortenTimeouts {
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

    fn cut(&self, interface: &Interface) -> Step<Change> {
        let change = Change::CutConnections {
            region: self.region(),
            interface: interface.id.clone(),
            vpc: interface.vpc.clone(),
            seconds: self.settings.cut_connections_seconds,
            finding: self.finding.id.clone(),
        };
        match (interface.tags.get(CUT_TAG), self.state.isolates(interface)) {
            // Isolated and cut: a later finding does not open it once more.
            (Some(by), Some(_)) => Step::Already(change, format!("they were cut for finding {by}")),
            _ if interface.global_ipv6().next().is_some() => skipped(
                name::CUT,
                &interface.id,
                "it has an IPv6 address, by which opening it would let the internet in: cut its connections \
                 at a network ACL"
                    .to_owned(),
            ),
            _ if !self.settings.remove_public_address && !interface.public_addresses.is_empty() => {
                skipped(
                    name::CUT,
                    &interface.id,
                    "it has a public address, and opening it would let the internet in: set \
                     EC2_REMOVE_PUBLIC_ADDRESS as well, or cut its connections at a network ACL"
                        .to_owned(),
                )
            }
            _ => Step::Do(change),
        }
    }
}

/// The groups that an interface is given back by a release. An interface that was left in the group
/// which lets everything through is never given that one back, but those that its mark tells.
pub(super) fn prior_groups(interface: &Interface, state: &State) -> BTreeSet<String> {
    let groups = interface.groups.iter();
    let groups = groups.filter(|group| !state.conversion_groups.contains_key(*group));
    let groups: BTreeSet<_> = groups.cloned().collect();
    if !groups.is_empty() {
        return groups;
    }
    let told = interface.tags.get(GROUPS_TAG).map(String::as_str);
    let told = told.unwrap_or_default().split(' ');
    told.filter(|group| group.starts_with("sg-"))
        .map(ToOwned::to_owned)
        .collect()
}
