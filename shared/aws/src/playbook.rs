//! The interface of a playbook to the flow: one for each kind of resource that can be contained.

use std::collections::BTreeSet;
use std::future::Future;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::cloudtrail::afterwards::Credential;
use crate::cloudtrail::event_history::EventHistory;
use crate::error::{Error, Result};
use crate::inquiry::Inquiry;
use model::finding::Finding;
use model::investigation::Investigation;
use model::planner::Planner;
use model::settings::Settings;

/// The fate of a change whose target is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetGone {
    /// The change went with its target, so that there is nothing to put back.
    ChangeGone,
    /// The change stays although its target is gone.
    ChangeStays,
    /// It is not known whether the target is gone.
    Unknown,
}

/// How one kind of resource is contained.
///
/// There is no separate `verify`: the flow observes again after acting and plans again.
/// A step that would be planned again is not in effect, whatever the calls answered.
pub trait Playbook: Planner {
    /// The IAM permissions that [`Playbook::observe`] needs. A test holds them against the
    /// function's role.
    const READS: &'static [&'static str];
    /// The IAM permissions that [`Playbook::investigate`] needs. Held against the role as well.
    const INVESTIGATES: &'static [&'static str] = &[];
    /// Takes the settings that decide what [`Playbook::observe`] reads. Called once, before the
    /// first finding.
    fn configure(&mut self, _settings: &Settings) {}

    /// Reads the target of `finding`. Reads only.
    ///
    /// # Errors
    /// If what the plan depends on could not be read at all. The failure of one of several targets is part of the
    /// state.
    fn observe(&self, finding: &Finding) -> impl Future<Output = Result<Self::State>>;

    /// Reads the part of [`Playbook::observe`] that decides how the target is contained, so that containing does not
    /// wait for the rest. Its plan is a part of the plan from the whole state.
    ///
    /// # Errors
    /// As [`Playbook::observe`].
    fn glance(&self, finding: &Finding) -> impl Future<Output = Result<Self::State>> {
        self.observe(finding)
    }

    /// Reads what is not in `part` yet, or the part of it that is needed next. `None`: nothing is missing.
    fn complete(
        &self,
        _finding: &Finding,
        _part: &Self::State,
    ) -> impl Future<Output = Option<Self::State>> {
        std::future::ready(None)
    }

    /// [`Playbook::observe`] when what was `planned` was done, or found as it should be: resources without a part in
    /// the plan are not read again, and the others are read where they were found.
    ///
    /// # Errors
    /// As [`Playbook::observe`].
    fn read_back(
        &self,
        finding: &Finding,
        _planned: &[&Self::Action],
    ) -> impl Future<Output = Result<Self::State>> {
        self.observe(finding)
    }

    /// The name under which the record keeps what was found elsewhere than the finding says. `None`: it is where
    /// the finding says, under the name that [`model::decision::targets`] gives. Pure.
    fn found_target(_finding: &Finding, _state: &Self::State) -> Option<String> {
        None
    }

    /// False for steps of this name that [`Playbook::read_back`] looks for only where they were seen before: their
    /// unknown values stay unknown. Pure.
    fn reads_all_again(_name: &str) -> bool {
        true
    }

    /// The described world before any change, for the incident record. Pure.
    fn evidence(_state: &Self::State) -> Value {
        Value::Null
    }

    /// Evidence that takes time, of what was observed as `state`. Read after containment, for the incident record.
    /// Reads only.
    ///
    /// # Errors
    /// If it could not be read.
    fn collect(
        &self,
        _finding: &Finding,
        _state: &Self::State,
    ) -> impl Future<Output = Result<Value>> {
        std::future::ready(Ok(Value::Null))
    }

    /// Makes one change. Idempotent. Only the flow calls it.
    ///
    /// # Errors
    /// If the change was refused or could not be asked for.
    fn apply(&self, action: &Self::Action) -> impl Future<Output = Result<()>>;

    /// The replacement that does the work of `action` in this state, if AWS refused it with `error` and it is not in
    /// effect: no harm comes of that then. Pure.
    fn dispensable(_state: &Self::State, _action: &Self::Action, _error: &Error) -> Option<String> {
        None
    }

    /// [`Playbook::apply`] after `preceding`, which is cut off at `until`. It is for actions that take time and must
    /// not be cut off. It is also for those that read once more before they change anything, which they can do beside
    /// `preceding`.
    ///
    /// # Errors
    /// As [`Playbook::apply`].
    fn apply_by(
        &self,
        action: &Self::Action,
        _until: Instant,
        preceding: impl Future<Output = ()>,
    ) -> impl Future<Output = Result<()>> {
        async {
            preceding.await;
            self.apply(action).await
        }
    }

    /// Puts back what `action` found, as far as [`Action::undo`] says that it can be. Idempotent.
    /// Runs with the credentials of the operator who releases, never with those of a function. Only
    /// a release calls it.
    ///
    /// # Errors
    /// If the change was refused or could not be asked for.
    fn restore(&self, action: &Self::Action) -> impl Future<Output = Result<()>>;

    /// Names what keeps a release from putting back what `action` found, although the target is as it was left:
    /// others may have got what would be taken from them. Asked before a release, with the credentials of the
    /// operator. Reads only.
    fn release_blocker(&self, _action: &Self::Action) -> impl Future<Output = Option<String>> {
        std::future::ready(None)
    }

    /// Tells what is left of the change of `action`, where the plan for this state says nothing of it. Pure.
    fn after_target_gone(_state: &Self::State, _action: &Self::Action) -> TargetGone {
        TargetGone::Unknown
    }

    /// CloudTrail's event history, as the playbook asks it: every other reader for the same finding uses it, so there
    /// is one pace and one set of answers. `None`: the playbook asks nothing.
    fn trail(&self) -> Option<&EventHistory> {
        None
    }

    /// True if a decision depends for the moment on events that CloudTrail shows late, and has to be made again later.
    /// Pure.
    fn is_provisional(_finding: &Finding, _state: &Self::State, _now: Timestamp) -> bool {
        false
    }

    /// The credential that the steps of these keys keep out while they are in effect, as CloudTrail knows it.
    /// `None`: they keep out none, or the finding does not name it. Pure.
    fn kept_out(_finding: &Finding, _in_effect: &BTreeSet<String>) -> Option<Credential> {
        None
    }

    /// Answers the questions of an investigation, from sources that are too slow before containing. `state` is what was
    /// observed before, if anything was. Reads only; called after the containment, whose outcome it cannot change, and
    /// for what is only notified. A source that cannot be read, or not by `inquiry.until`, is an open question among
    /// the answers.
    fn investigate(
        &self,
        _inquiry: &Inquiry<'_>,
        _state: Option<&Self::State>,
    ) -> impl Future<Output = Investigation> {
        std::future::ready(Investigation::default())
    }
}
