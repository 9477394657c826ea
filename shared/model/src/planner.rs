//! The pure half of a playbook: its steps about a finding, and their targets.

use jiff::Timestamp;

use crate::blast_radius::Member;
use crate::category::Category;
use crate::decision::targets;
use crate::error::Result;
use crate::finding::Finding;
use crate::plan::{Action, Plan};
use crate::resource::Resource;
use crate::settings::Settings;

/// A planner of steps from an observed state. It has no client to call with.
pub trait Planner {
    /// The function that runs it.
    const CATEGORY: Category;
    /// The state that is read before planning.
    type State;
    /// The actions of the playbook.
    type Action: Action;

    /// Plans what is to be done about `finding` in this state.
    fn plan(
        finding: &Finding,
        state: &Self::State,
        settings: &Settings,
        now: Timestamp,
    ) -> Plan<Self::Action>;

    /// Describes what `action` would contain, for the policies.
    fn resource(finding: &Finding, state: &Self::State, action: &Self::Action) -> Resource;

    /// Lists the groups of which what `action` would contain is a member.
    fn blast_radius_groups(
        _finding: &Finding,
        _state: &Self::State,
        _action: &Self::Action,
    ) -> Vec<Member> {
        Vec::new()
    }

    /// Names what `action` changed elsewhere than the finding says, as the record has it.
    fn recorded_target(_finding: &Finding, _action: &Self::Action) -> Option<String> {
        None
    }
}

/// Names the targets of `finding`, and those that these actions of the record changed elsewhere than it says.
///
/// # Errors
/// As [`targets`].
pub fn recorded_targets<P: Planner>(
    finding: &Finding,
    actions: &[P::Action],
) -> Result<Vec<String>> {
    let mut targets = targets(P::CATEGORY, finding)?;
    for target in actions
        .iter()
        .filter_map(|action| P::recorded_target(finding, action))
    {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}
