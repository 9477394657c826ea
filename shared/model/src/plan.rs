//! A plan is data: the steps, their targets, and the values found and wanted.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;

/// When a step runs. Phases run in this order, but containing does not wait for what only protects; a
/// failure in any of them stops none of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Cheap steps that keep evidence from being destroyed.
    Protect,
    /// The containment itself.
    Contain,
    /// Evidence that takes time.
    Preserve,
    /// Marks for people.
    Annotate,
}

impl Phase {
    /// Whether a step that may succeed later makes the invocation an error, which in the end calls people out. A
    /// mark is tried again by the next look, and counts for nothing until then.
    pub fn is_worth_a_retry(self) -> bool {
        self != Self::Annotate
    }
}

/// One change to one resource of the customer.
///
/// An action knows the value it found and the value it wants, so it can be printed, checked and undone. Planning it
/// again after it is in effect yields nothing to do. Applying it twice has the effect of applying it once.
pub trait Action: fmt::Debug + Clone + Serialize + DeserializeOwned {
    /// Each action's name and the IAM permissions that applying it needs. A test holds the union
    /// against the function's role.
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])];

    /// The action's name, as in reports: `s3:BlockBucketPublicAccess`.
    fn name(&self) -> &'static str;
    /// The ARN or id of the resource that it changes.
    fn target(&self) -> String;
    /// The phase it belongs to.
    fn phase(&self) -> Phase;
    /// The phase of the steps of this name. A step that was skipped or could not be planned holds no
    /// action that would tell.
    fn phase_of(_name: &str) -> Phase {
        Phase::Contain
    }
    /// True for the steps of phase Contain that only prepare a containment, or narrow what one leaves: by such a
    /// step alone nothing is contained.
    fn only_narrows(_name: &str) -> bool {
        false
    }
    /// True for the steps of which one may contain several targets. It is not put back while another open incident
    /// counts on it.
    fn is_shared(_name: &str) -> bool {
        false
    }
    /// True if it contains something by itself.
    fn contains(&self) -> bool {
        self.phase() == Phase::Contain && !Self::only_narrows(self.name())
    }
    /// Within a phase, what has a lower number is finished before the next is begun; actions with the same number run
    /// at the same time.
    fn order(&self) -> u8 {
        0
    }
    /// True for a protecting step that containing has to wait for, since evidence would be lost otherwise.
    /// Its [`Action::order`] is one among those of the containing steps.
    fn blocks_containment(&self) -> bool {
        false
    }
    /// True for a containing step that waits for none, and for which none waits.
    fn independent(&self) -> bool {
        false
    }
    /// The value that was found.
    fn from(&self) -> Value;
    /// The value that is wanted.
    fn to(&self) -> Value;
    /// How the operator undoes it.
    fn undo(&self) -> Undo;
    /// True if what it found is the responder's own work, which it goes on from.
    fn continues_own_change(&self) -> bool {
        false
    }
    /// True if what `found` found is what this one found: it was put back. If AWS cannot put back the value itself, an
    /// equivalent counts.
    fn is_restored(&self, found: &Self) -> bool {
        self.from() == found.from()
    }
    /// True if what `found` found is what this one left, although it would be changed today: an earlier
    /// version wanted less.
    fn left(&self, _found: &Self) -> bool {
        false
    }
    /// True if it changes less than `wider`, and nothing else: an approval of that one covers this one.
    fn is_within(&self, _wider: &Self) -> bool {
        false
    }
    /// True if `other` prepares what this one and steps about other targets use: an approval of this one covers that
    /// one, done already or planned later.
    fn builds_on(&self, _other: &Self) -> bool {
        false
    }
}

/// How a containment is undone. Always by the operator, never by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// The found value is put back.
    Restore,
    /// Put back only if the person names this target, since putting it back re-arms an attacker.
    RequiresExplicitTarget,
    /// There is nothing to undo, for this reason.
    Nothing(&'static str),
}

/// A step of a plan.
#[derive(Debug)]
pub enum Step<A> {
    /// To be done.
    Do(A),
    /// Found as it should be.
    Already(A, String),
    /// Cannot or should not be done, for a stated reason.
    Skipped {
        /// The action that is not taken.
        action: &'static str,
        /// The resource that it would have changed.
        target: String,
        /// Why, and the step for the on-call engineer instead.
        reason: String,
    },
    /// Forbidden by policy.
    Withheld(A, Withheld),
    /// Could not be planned, since the resource could not be read.
    Unknown {
        /// The action that would have been planned.
        action: &'static str,
        /// The resource.
        target: String,
        /// The failure.
        error: Error,
    },
}

/// Why a step may not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The ids of the policies that decided.
    pub by: Vec<String>,
    /// For people, in the policies' own words.
    pub reason: String,
    /// It may run when an approver approves it.
    pub awaits_approval: bool,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = if self.awaits_approval {
            " until it is approved"
        } else {
            ""
        };
        let by = self.by.join(", ");
        write!(f, "withheld by {by}{until}: {}", self.reason)
    }
}

impl<A> Step<A> {
    /// A step that cannot or should not be done, for this reason.
    pub fn skipped(
        action: &'static str,
        target: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Skipped {
            action,
            target: target.into(),
            reason: reason.into(),
        }
    }

    /// A step that could not be planned, since `error` kept the resource from being read.
    pub fn unknown(action: &'static str, target: impl Into<String>, error: &Error) -> Self {
        Self::Unknown {
            action,
            target: target.into(),
            error: error.clone(),
        }
    }
}

impl<A: Action> Step<A> {
    /// The identity of a step across two plans for the same finding.
    pub fn key(&self) -> StepKey {
        match self {
            Self::Do(action) | Self::Already(action, _) | Self::Withheld(action, _) => {
                StepKey::of(action)
            }
            Self::Skipped { action, target, .. } | Self::Unknown { action, target, .. } => {
                StepKey {
                    action,
                    target: target.clone(),
                }
            }
        }
    }
}

/// An action's name and its target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    /// The action's name.
    pub action: &'static str,
    /// The resource.
    pub target: String,
}

impl StepKey {
    /// The key of the steps that hold this action.
    pub fn of(action: &impl Action) -> Self {
        Self {
            action: action.name(),
            target: action.target(),
        }
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.target)
    }
}

/// A playbook's steps about a finding, in the state that it observed.
#[derive(Debug)]
pub struct Plan<A> {
    /// The steps, in the order of the report.
    pub steps: Vec<Step<A>>,
    /// The risks that remain when all steps are done.
    pub residual_risks: Vec<String>,
    /// The next steps for the on-call engineer.
    pub next_steps: Vec<String>,
    /// Steps that wait for another time: they are not executed now, even if reading back would plan
    /// them.
    pub held_back: HashSet<StepKey>,
}

impl<A> Default for Plan<A> {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            residual_risks: Vec::new(),
            next_steps: Vec::new(),
            held_back: HashSet::new(),
        }
    }
}

impl<A> Plan<A> {
    /// True if nothing is to be done.
    pub fn is_empty(&self) -> bool {
        !self.steps.iter().any(|step| matches!(step, Step::Do(_)))
    }
}

impl<A: Action> Plan<A> {
    /// The actions that the plan would do, as the record has them: by their keys, with the values that they found.
    pub fn recorded_actions(&self) -> Vec<(String, Value)> {
        let steps = self.steps.iter();
        steps
            .filter_map(|step| match step {
                Step::Do(action) => {
                    let recorded = serde_json::to_value(action).unwrap_or_default();
                    Some((StepKey::of(action).to_string(), recorded))
                }
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
