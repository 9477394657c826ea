//! Every kind of finding that is not contained: there is nothing to observe and nothing to do.

use std::convert::Infallible;

use jiff::Timestamp;
use serde_json::Value;

use super::Playbook;
use crate::catalogue::Category;
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::{Action, Phase, Plan};

/// The playbook of the triage function.
#[derive(Debug)]
pub struct Triage;

impl Playbook for Triage {
    const CATEGORY: Category = Category::Triage;
    const READS: &'static [&'static str] = &[];
    type State = ();
    type Action = Infallible;

    async fn observe(&self, _finding: &Finding) -> Result<()> {
        Ok(())
    }

    fn plan(_finding: &Finding, (): &(), _now: Timestamp) -> Plan<Infallible> {
        Plan::default()
    }

    async fn apply(&self, action: &Infallible) -> Result<()> {
        match *action {}
    }
}

impl Action for Infallible {
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
}
