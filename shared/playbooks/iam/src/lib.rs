//! Credentials: the one access key deactivated, the sessions cut off, nobody else touched.
//!
//! Temporary credentials cannot be withdrawn, but AWS authorizes every request with them, so a deny that matches only
//! them ends them:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html>. A deny on
//! `aws:TokenIssueTime` does not touch long-term keys. Deactivating a long-term key leaves the sessions alive that were
//! made with it (up to 36 hours). A stolen key takes both.

mod action;
mod apply;
mod clients;
mod deny_all;
mod entity;
mod investigate;
mod mark;
mod observe;
mod plan;
pub mod policy_document;
mod shared_name;
mod state;
mod target;
mod trust;
mod user;

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use jiff::Timestamp;

pub use self::action::{Action, Issued};
use self::clients::Clients;
pub use self::deny_all::DenyAll;
pub use self::state::State;
use aws::cloudtrail::afterwards::Credential;
use aws::cloudtrail::event_history::EventHistory;
use aws::error::Result;
use aws::inquiry::Inquiry;
use aws::playbook::{Playbook, TargetGone};
use model::breaker::Member;
use model::category::Category;
use model::finding::Finding;
use model::investigation::Investigation;
use model::plan::Plan;
use model::planner::Planner;
use model::resource::Resource;
use model::settings::{IamSettings, Settings};

/// The playbook of the IAM function.
#[derive(Debug)]
pub struct Iam {
    clients: Clients,
    /// The settings that decide how much is observed.
    settings: IamSettings,
}

impl Iam {
    /// A playbook that calls with these settings.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            clients: Clients::new(sdk),
            settings: IamSettings::default(),
        }
    }
}

impl Planner for Iam {
    const CATEGORY: Category = Category::Iam;

    type State = State;

    type Action = Action;

    fn plan(finding: &Finding, state: &State, settings: &Settings, now: Timestamp) -> Plan<Action> {
        plan::plan(finding, state, &settings.iam, now)
    }

    fn resource(finding: &Finding, state: &State, action: &Action) -> Resource {
        target::resource(finding, state, action)
    }

    fn blast_radius_groups(_finding: &Finding, state: &State, action: &Action) -> Vec<Member> {
        target::blast_radius_groups(state, action)
    }
}

impl Playbook for Iam {
    const READS: &'static [&'static str] = observe::PERMISSIONS;
    const INVESTIGATES: &'static [&'static str] = investigate::PERMISSIONS;

    fn configure(&mut self, settings: &Settings) {
        self.settings = settings.iam.clone();
    }

    async fn observe(&self, finding: &Finding) -> Result<State> {
        observe::observe(&self.clients, &self.settings, finding).await
    }

    async fn glance(&self, finding: &Finding) -> Result<State> {
        observe::glance(&self.clients, &self.settings, finding).await
    }

    async fn complete(&self, finding: &Finding, part: &State) -> Option<State> {
        observe::complete(&self.clients, &self.settings, finding, part).await
    }

    async fn apply(&self, action: &Action) -> Result<()> {
        apply::apply(&self.clients, action).await
    }

    async fn restore(&self, action: &Action) -> Result<()> {
        apply::restore(&self.clients, action).await
    }

    fn after_target_gone(state: &State, _action: &Action) -> TargetGone {
        target::after_target_gone(state)
    }

    fn trail(&self) -> Option<&EventHistory> {
        Some(self.clients.trail())
    }

    fn kept_out(finding: &Finding, in_effect: &BTreeSet<String>) -> Option<Credential> {
        investigate::kept_out(finding, in_effect)
    }

    async fn investigate(&self, inquiry: &Inquiry<'_>, state: Option<&State>) -> Investigation {
        investigate::investigate(&self.clients, inquiry, state).await
    }
}

#[cfg(test)]
mod tests;
