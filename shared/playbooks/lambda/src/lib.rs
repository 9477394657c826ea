//! Lambda functions: throttled, and the credentials of this one function denied everything.
//!
//! After <https://docs.aws.amazon.com/guardduty/latest/ug/remediate-lambda-protection-finding-types.html>. Reserved
//! concurrency of 0 throttles every version and alias, and is put back by one call,
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html>. Event sources, the function's
//! URLs, its code and its configuration stay as they are.

mod action;
mod apply;
mod clients;
mod describe;
mod investigate;
mod observe;
mod plan;
mod residual_risks;
mod role;
mod state;
mod target;

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::action::{Action, DenyCredentials, Throttle};
use self::clients::Clients;
pub use self::state::{Configuration, Role, State, Surroundings};
use aws::cloudtrail::afterwards::Credential;
use aws::cloudtrail::event_history::EventHistory;
use aws::error::Result;
use aws::inquiry::Inquiry;
use aws::playbook::{Playbook, TargetGone};
use model::blast_radius::Member;
use model::category::Category;
use model::finding::Finding;
use model::investigation::Investigation;
use model::plan::Plan;
use model::planner::Planner;
use model::resource::Resource;
use model::settings::Settings;

/// The playbook of the function for Lambda functions.
#[derive(Debug)]
pub struct Lambda {
    clients: Clients,
}

impl Lambda {
    /// A playbook that calls with these settings, in the Region of each finding.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            clients: Clients::new(sdk),
        }
    }
}

impl Planner for Lambda {
    const CATEGORY: Category = Category::Lambda;

    type State = State;

    type Action = Action;

    fn plan(finding: &Finding, state: &State, _: &Settings, _: Timestamp) -> Plan<Action> {
        plan::plan(finding, state)
    }

    fn resource(finding: &Finding, state: &State, action: &Action) -> Resource {
        target::resource(finding, state, action)
    }

    fn blast_radius_groups(finding: &Finding, state: &State, _action: &Action) -> Vec<Member> {
        target::blast_radius_groups(finding, state)
    }
}

impl Playbook for Lambda {
    const READS: &'static [&'static str] = observe::PERMISSIONS;
    const INVESTIGATES: &'static [&'static str] = investigate::PERMISSIONS;

    async fn observe(&self, finding: &Finding) -> Result<State> {
        observe::observe(&self.clients, finding).await
    }

    async fn glance(&self, finding: &Finding) -> Result<State> {
        observe::glance(&self.clients, finding).await
    }

    async fn complete(&self, finding: &Finding, part: &State) -> Option<State> {
        observe::complete(&self.clients, finding, part).await
    }

    fn evidence(state: &State) -> Value {
        json!(state)
    }

    async fn apply(&self, action: &Action) -> Result<()> {
        apply::apply(&self.clients, action).await
    }

    async fn restore(&self, action: &Action) -> Result<()> {
        apply::restore(&self.clients, action).await
    }

    fn after_target_gone(state: &State, action: &Action) -> TargetGone {
        target::after_target_gone(state, action)
    }

    fn trail(&self) -> Option<&EventHistory> {
        Some(&self.clients.trail)
    }

    fn kept_out(finding: &Finding, in_effect: &BTreeSet<String>) -> Option<Credential> {
        investigate::kept_out(finding, in_effect)
    }

    async fn investigate(&self, inquiry: &Inquiry<'_>, state: Option<&State>) -> Investigation {
        Box::pin(investigate::investigate(&self.clients, inquiry, state)).await
    }
}

#[cfg(test)]
mod tests;
