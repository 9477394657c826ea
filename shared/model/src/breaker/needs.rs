//! The places that a plan needs in the breaker's windows.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::Limits;
use super::window::Window;
use crate::blast_radius::BlastRadiusGroup;
use crate::decision;
use crate::finding::Finding;
use crate::plan::{Action as _, Phase, Plan, Step};
use crate::planner::Planner;

/// The places that a plan needs.
#[derive(Debug, PartialEq, Eq)]
pub struct SlotRequest {
    /// Each window with its number of places and the names to be in it, the one with the fewest places
    /// first. Empty: nothing is to be contained.
    pub windows: Vec<(usize, Window, BTreeSet<String>)>,
    /// The groups of unknown size, and why it is unknown. No share of them is limited.
    unsized_crowds: BTreeMap<BlastRadiusGroup, String>,
}

/// Counts the slots that `plan` needs. Pure.
pub fn needs<P: Planner>(
    limits: &Limits,
    finding: &Finding,
    state: &P::State,
    plan: &Plan<P::Action>,
) -> SlotRequest {
    let targets = decision::places(P::CATEGORY, finding).unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut crowds: BTreeMap<BlastRadiusGroup, (usize, BTreeSet<String>)> = BTreeMap::new();
    let mut unsized_crowds = BTreeMap::new();
    let containing = plan.steps.iter().filter_map(|step| match step {
        Step::Do(action) if matches!(action.phase(), Phase::Protect | Phase::Contain) => {
            Some(action)
        }
        _ => None,
    });
    for action in containing {
        names.insert(match targets.as_slice() {
            [target] => target.clone(),
            _ => P::resource(finding, state, action).name().to_owned(),
        });
        for member in P::blast_radius_groups(finding, state, action) {
            match member.size {
                Ok(size) => {
                    let entry = crowds.entry(member.crowd);
                    let (_, names) = entry.or_insert_with(|| (size, BTreeSet::new()));
                    names.insert(member.name);
                }
                Err(error) => {
                    unsized_crowds.insert(member.crowd, error.to_string());
                }
            }
        }
    }
    let window = |crowd| Window {
        category: P::CATEGORY,
        account_id: finding.account_id.clone(),
        crowd,
    };
    let mut windows: Vec<_> = crowds
        .into_iter()
        .map(|(crowd, (size, names))| (limits.share_of(&crowd, size), window(Some(crowd)), names))
        .collect();
    if !names.is_empty() {
        windows.push((limits.containments, window(None), names));
    }
    windows.sort();
    SlotRequest {
        windows,
        unsized_crowds,
    }
}

impl SlotRequest {
    /// Leaves out what was asked for already.
    pub fn leave_out(&mut self, asked: &Self) {
        self.windows.retain(|need| !asked.windows.contains(need));
        let known = &asked.unsized_crowds;
        self.unsized_crowds
            .retain(|crowd, _| !known.contains_key(crowd));
    }

    /// The remarks on limits that were not applied.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        self.unsized_crowds.iter().map(|(crowd, why)| {
            format!(
                "check how many of {crowd} are contained: the limit of a share was not applied, since \
                 their number is not known: {why}"
            )
        })
    }
}
