//! The policies' answer about one step.

use model::plan::Withheld;

/// The reason id of a withheld step, if the user has no usable policies.
pub const NO_POLICY: &str = "no-policy";

/// The reason id of a withheld step that no policy forbids or permits.
pub const NOT_PERMITTED: &str = "not-permitted";

/// The policies' answer about one step.
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
