//! Instances: every network interface is moved into a security group that lets nothing in or out. The credentials of
//! this one instance are denied everything, and no evidence is lost.
//!
//! After step 2 of
//! <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-ec2.html>. Each interface is
//! changed by itself, since the call that changes "the instance's" groups covers only the primary
//! one; and each is read back.

mod action;
mod address;
mod apply;
mod attributes;
mod bystanders;
mod clients;
mod cut_connections;
mod describe;
mod forensics;
mod group_rules;
mod instance;
mod investigate;
mod isolation_group;
mod local_network;
mod mark;
mod membership;
mod observe;
mod plan;
mod preserve;
mod region;
mod risks;
mod role;
mod routes;
mod state;
mod target;
mod target_groups;
mod timeouts;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use self::action::{Action, Attribute};
use self::clients::Clients;
pub use self::instance::{Address, Instance, Interface};
pub use self::isolation_group::{IsolationGroup, NAME as ISOLATION_GROUP};
pub use self::state::{State, Target};
pub use self::timeouts::Timeouts;
use aws::cloudtrail::afterwards::Credential;
use aws::cloudtrail::event_history::EventHistory;
use aws::error::{Error, Result};
use aws::inquiry::Inquiry;
use aws::playbook::{Playbook, TargetGone};
use model::breaker::Member;
use model::category::Category;
use model::finding::Finding;
use model::investigation::Investigation;
use model::plan::Plan;
use model::planner::Planner;
use model::resource::Resource;
use model::settings::{ForensicsRule, Settings};

/// The playbook of the EC2 function.
#[derive(Debug)]
pub struct Ec2 {
    clients: Clients,
    /// `None`: CloudTrail is not asked.
    trail: Option<EventHistory>,
    /// The rules by which forensics get in, of which the peers are read with the instance.
    forensics_access: Vec<ForensicsRule>,
}

impl Ec2 {
    /// A playbook that calls with these settings, in the Region of each finding.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            clients: Clients::new(sdk),
            trail: Some(EventHistory::new(sdk)),
            forensics_access: Vec::new(),
        }
    }
}

impl Planner for Ec2 {
    const CATEGORY: Category = Category::Ec2;

    type State = State;

    type Action = Action;

    fn recorded_target(finding: &Finding, action: &Action) -> Option<String> {
        target::recorded_target(finding, action)
    }

    fn plan(finding: &Finding, state: &State, settings: &Settings, now: Timestamp) -> Plan<Action> {
        plan::plan(finding, state, &settings.ec2, now)
    }

    fn resource(finding: &Finding, state: &State, action: &Action) -> Resource {
        target::resource(finding, state, action)
    }

    fn blast_radius_groups(_finding: &Finding, state: &State, _action: &Action) -> Vec<Member> {
        target::blast_radius_groups(state)
    }
}

impl Playbook for Ec2 {
    const READS: &'static [&'static str] = observe::PERMISSIONS;
    const INVESTIGATES: &'static [&'static str] = observe::PERMISSIONS;

    fn configure(&mut self, settings: &Settings) {
        self.forensics_access
            .clone_from(&settings.ec2.forensics_access);
    }

    async fn observe(&self, finding: &Finding) -> Result<State> {
        observe::observe(&self.clients, &self.forensics_access, finding).await
    }

    async fn read_back(&self, finding: &Finding, planned: &[&Action]) -> Result<State> {
        observe::read_back(&self.clients, &self.forensics_access, finding, planned).await
    }

    fn reads_all_again(name: &str) -> bool {
        observe::reads_all_again(name)
    }

    async fn glance(&self, finding: &Finding) -> Result<State> {
        observe::glance(&self.clients, &self.forensics_access, finding).await
    }

    async fn complete(&self, finding: &Finding, part: &State) -> Option<State> {
        observe::complete(&self.clients, finding, part).await
    }

    fn found_target(finding: &Finding, state: &State) -> Option<String> {
        target::found_target(finding, state)
    }

    fn evidence(state: &State) -> Value {
        json!(state)
    }

    async fn collect(&self, finding: &Finding, state: &State) -> Result<Value> {
        let services = self.clients.in_region(&state.region);
        preserve::console(&services.ec2, &finding.instance_id()?).await
    }

    async fn apply(&self, action: &Action) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        self.apply_by(action, until, std::future::ready(())).await
    }

    async fn apply_by(
        &self,
        action: &Action,
        until: Instant,
        preceding: impl Future<Output = ()>,
    ) -> Result<()> {
        apply::apply_by(&self.clients, action, until, preceding).await
    }

    fn dispensable(state: &State, action: &Action, error: &Error) -> Option<String> {
        plan::dispensable(state, action, error)
    }

    fn after_target_gone(state: &State, action: &Action) -> TargetGone {
        target::after_target_gone(state, action)
    }

    async fn restore(&self, action: &Action) -> Result<()> {
        Box::pin(apply::restore(&self.clients, action)).await
    }

    async fn release_blocker(&self, action: &Action) -> Option<String> {
        apply::release_blocker(&self.clients, action).await
    }

    fn trail(&self) -> Option<&EventHistory> {
        self.trail.as_ref()
    }

    fn kept_out(finding: &Finding, in_effect: &BTreeSet<String>) -> Option<Credential> {
        investigate::kept_out(finding, in_effect)
    }

    async fn investigate(&self, inquiry: &Inquiry<'_>, state: Option<&State>) -> Investigation {
        let access = &self.forensics_access;
        investigate::investigate(&self.clients, access, inquiry, state).await
    }
}

#[cfg(test)]
mod tests;
