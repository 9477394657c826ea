//! Every kind of finding that is not contained: there is nothing to observe and nothing to do.

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::category::Category;
use crate::error::Result;
use crate::finding::Finding;
use crate::iam_principal::{self, Principals};
use crate::inquiry::Inquiry;
use crate::investigation::Investigation;
use crate::plan::{Action, Phase, Plan, Undo};
use crate::planner::Planner;
use crate::settings::Settings;
use aws::playbook::Playbook;
use policy::Resource;

/// The playbook of the triage function.
#[derive(Debug)]
pub struct Triage {
    principals: Principals,
}

impl Triage {
    /// A playbook that asks about principals with these settings.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self::asking(Principals::new(sdk))
    }

    pub fn asking(principals: Principals) -> Self {
        Self { principals }
    }
}

/// There is no such action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Nothing {}

impl Planner for Triage {
    const CATEGORY: Category = Category::Triage;

    type State = ();

    type Action = Nothing;

    fn plan(_finding: &Finding, (): &(), _settings: &Settings, _now: Timestamp) -> Plan<Nothing> {
        Plan::default()
    }

    fn resource(_finding: &Finding, (): &(), action: &Nothing) -> Resource {
        match *action {}
    }
}

impl Playbook for Triage {
    const READS: &'static [&'static str] = &[];
    const INVESTIGATES: &'static [&'static str] = iam_principal::READS;

    async fn observe(&self, _finding: &Finding) -> Result<()> {
        Ok(())
    }

    async fn apply(&self, action: &Nothing) -> Result<()> {
        match *action {}
    }

    async fn restore(&self, action: &Nothing) -> Result<()> {
        match *action {}
    }

    /// Findings of custom detection rules name the principal that acted.
    async fn investigate(&self, inquiry: &Inquiry<'_>, _state: Option<&()>) -> Investigation {
        self.principals.investigate(inquiry).await
    }
}

impl Action for Nothing {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[];

    fn name(&self) -> &'static str {
        match *self {}
    }
    fn target(&self) -> String {
        match *self {}
    }
    fn phase(&self) -> Phase {
        match *self {}
    }
    fn from(&self) -> Value {
        match *self {}
    }
    fn to(&self) -> Value {
        match *self {}
    }
    fn undo(&self) -> Undo {
        match *self {}
    }
}
