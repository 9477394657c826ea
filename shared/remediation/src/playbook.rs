//! The playbooks: one for each kind of resource that can be contained.

pub mod ec2;
pub mod iam;
pub mod s3;
pub mod triage;

use std::future::Future;

use jiff::Timestamp;
use serde_json::Value;

use crate::catalogue::Category;
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::{Action, Plan};
use crate::settings::Settings;

/// How one kind of resource is contained.
///
/// There is no separate `verify`: [`crate::execute`] observes again after acting and plans again.
/// A step that would be planned again is not in effect, whatever the calls answered.
pub trait Playbook {
    /// The function that runs it.
    const CATEGORY: Category;
    /// The IAM permissions that [`Playbook::observe`] needs. A test holds them against the
    /// function's role.
    const READS: &'static [&'static str];
    /// What is read before planning.
    type State;
    /// What may be done.
    type Action: Action;

    /// Reads the target of `finding`. Reads only.
    ///
    /// # Errors
    /// If what the plan depends on could not be read at all. What concerns only one of several
    /// targets is part of the state.
    fn observe(&self, finding: &Finding) -> impl Future<Output = Result<Self::State>>;

    /// What is to be done about `finding` in this state. Pure: it has no client to call with.
    fn plan(
        finding: &Finding,
        state: &Self::State,
        settings: &Settings,
        now: Timestamp,
    ) -> Plan<Self::Action>;

    /// The described world, for the incident's record: what it was before anything was changed.
    fn evidence(_state: &Self::State) -> Value {
        Value::Null
    }

    /// Evidence that takes time, read once the threat is contained.
    ///
    /// # Errors
    /// If it could not be read.
    fn collect(&self, _finding: &Finding) -> impl Future<Output = Result<Value>> {
        async { Ok(Value::Null) }
    }

    /// Makes one change. Idempotent. Only [`crate::execute`] calls it.
    ///
    /// # Errors
    /// If the change was refused or could not be asked for.
    fn apply(&self, action: &Self::Action) -> impl Future<Output = Result<()>>;

    /// Puts back what `action` found, as far as [`Action::undo`] says that it can be. Idempotent.
    /// Runs with the credentials of the person who releases, never with a function's; only
    /// [`crate::release`] calls it.
    ///
    /// # Errors
    /// If the change was refused or could not be asked for.
    fn restore(&self, action: &Self::Action) -> impl Future<Output = Result<()>>;
}
