//! The containment itself: the interfaces, the credentials, and what settings narrow further.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::action::Action;
use super::super::instance::Interface;
use super::super::isolation_group::NAME as ISOLATION_GROUP;
use super::super::mark::GROUPS_TAG;
use super::super::role;
use super::super::state::{Role, State};
use super::planner::Planner;
use aws::error::Result;
use model::actions::ec2 as name;
use model::plan::Step;
use model::settings::{Entity, protects};

impl Planner<'_> {
    pub(super) fn isolate(&mut self) {
        let (id, state) = (self.id(), self.state);
        if let Some(why) = self.exempt_reason.clone() {
            self.push(Step::skipped(name::ISOLATE, &id, why));
            self.tell_of_open_groups();
            return;
        }
        for secondary in &self.instance.secondary_interfaces {
            let network = secondary.network.as_deref().unwrap_or("its network");
            let why = format!(
                "it is a secondary interface, which is in no VPC and has no security groups: cut it off on {network}, \
                 the network for remote direct memory access (RDMA) that it is on"
            );
            self.push(Step::skipped(name::ISOLATE, &secondary.id, why));
        }
        if state.interfaces.is_empty() {
            let none = "the instance has no network interface".to_owned();
            self.push(Step::skipped(name::ISOLATE, &id, none));
        }
        let vpcs: BTreeSet<_> = state.manageable().map(|found| &found.vpc).collect();
        for vpc in vpcs {
            let group = state.groups.get(vpc);
            let change = Action::PrepareIsolationGroup {
                region: self.region(),
                vpc: vpc.clone(),
                account: self.finding.account_id.clone(),
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
        self.close_others();
        for interface in &state.interfaces {
            let step = self.isolate_interface(interface);
            self.push(step);
            if let Some(step) = state.perhaps_local(interface) {
                self.push(step);
            }
            if interface.kind == "trunk" {
                self.push(Step::skipped(
                    name::ISOLATE,
                    format!("the branch interfaces of {}", interface.id),
                    "each has groups of its own, which are its pod's or task's, and is no interface of the \
                     instance: isolate the pods and tasks that use them"
                        .to_owned(),
                ));
            }
        }
    }

    fn isolate_interface(&self, interface: &Interface) -> Step<Action> {
        if let Some(why) = self.state.out_of_reach(interface) {
            return Step::skipped(name::ISOLATE, &interface.id, why);
        }
        let isolated = self.state.isolates(interface);
        let change = Action::IsolateInterface {
            region: self.region(),
            interface: interface.id.clone(),
            vpc: interface.vpc.clone(),
            account: self.finding.account_id.clone(),
            from: prior_groups(interface, self.state),
            to: match isolated {
                Some(group) => Some(group.id.clone()),
                None => self.group_of(&interface.vpc),
            },
        };
        match isolated {
            Some(group) if group.is_empty() => Step::Already(
                change,
                format!("its only group is {}, which has no rules", group.id),
            ),
            Some(group) => Step::Already(
                change,
                format!(
                    "its only group is {}, which lets through what is listed for forensics, and nothing else",
                    group.id
                ),
            ),
            None => Step::Do(change),
        }
    }

    /// The id of the group that isolates in this VPC.
    pub(super) fn group_of(&self, vpc: &str) -> Option<String> {
        let group = self.state.groups.get(vpc);
        group.map(|group| group.id.clone())
    }

    /// Other instances may be isolated in the other groups of ours, and whoever opens one opens them all.
    fn close_others(&mut self) {
        let state = self.state;
        for group in &state.other_groups {
            let keep = state.may_let(group);
            let closed = group.lets_only(keep);
            let change = Action::CloseIsolationGroup {
                region: self.region(),
                from: group.clone(),
                keep: keep.to_vec(),
            };
            if closed {
                let detail = format!("{} lets through no more than it may", group.id);
                self.push(Step::Already(change, detail));
                continue;
            }
            self.push(Step::Do(change));
            self.plan.next_steps.push(format!(
                "find out who gave rules to {}: other instances may be isolated by it",
                group.id,
            ));
        }
    }

    /// Nothing is done about this instance, and so nothing about its VPC either.
    fn tell_of_open_groups(&mut self) {
        let state = self.state;
        let vpcs: BTreeSet<_> = state.interfaces.iter().map(|found| &found.vpc).collect();
        let groups = state
            .groups
            .values()
            .filter(|group| vpcs.contains(&group.vpc));
        for group in groups.chain(&state.other_groups) {
            if !group.lets_only(state.may_let(group)) {
                self.plan.next_steps.push(format!(
                    "take away the rules of {}, by which other instances may be isolated, and find out who gave \
                     them: {}",
                    group.id,
                    group.shown(),
                ));
            }
        }
    }

    /// It covers the instance's role and the one that it had by the finding: credentials that it was given work for
    /// hours after the role left it.
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
        if let Some(why) = self.exempt_reason.clone() {
            self.push(Step::skipped(name::DENY, profile, why));
            return;
        }
        let Some(Some(role)) = self.read(name::DENY, profile, role) else {
            return;
        };
        let Role { arn, path, .. } = &role;
        if path.starts_with("/aws-service-role/") || path.starts_with("/aws-reserved/") {
            self.push(Step::skipped(
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
            self.push(Step::skipped(
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
        let to = role::policy(
            self.finding,
            self.state.region_of_arn(),
            &self.instance.id,
            &role.id,
        );
        let found = from.clone().filter(|found| role::denies(found, &to));
        let denied = found.is_some();
        let to = found.unwrap_or(to);
        let change = Action::DenyCredentials {
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
}

/// The groups that an interface is given back by a release. An interface that was left in a group of ours
/// which has rules is never given that one back, but those that its mark tells.
pub(super) fn prior_groups(interface: &Interface, state: &State) -> BTreeSet<String> {
    let groups = interface.groups.iter();
    let opened = |group: &String| {
        let mut forensics = state.forensics_groups(&interface.vpc);
        state.conversion_groups.contains_key(group) || forensics.any(|found| found.id == *group)
    };
    let groups = groups.filter(|group| !opened(group));
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
