//! What the policies say of one step.

use crate::plan::Withheld;

/// What a step is withheld by, if there are no usable policies of the user's.
pub(super) const NO_POLICY: &str = "no-policy";

/// What a step is withheld by, if nothing forbids it and nothing permits it either.
pub(super) const NOT_PERMITTED: &str = "not-permitted";

/// What the policies say of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// It may run, by the policies of these ids.
    Permitted(Vec<String>),
    /// It may not.
    Withheld(Withheld),
}

impl Authorization {
    /// The part that decides what is done: whether the step may run, and whether it may if it is approved.
    pub(super) fn effect(&self) -> (bool, bool) {
        match self {
            Self::Permitted(_) => (true, false),
            Self::Withheld(why) => (false, why.awaits_approval),
        }
    }
}
