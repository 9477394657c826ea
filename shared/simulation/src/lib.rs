//! The responder's answer to past findings, had it not been a dry run.
//!
//! Two halves, both pure. [`Rehearser::look`] judges one finding at the time at which its event came: the
//! decision, the steps that a plan could have, and what the policies say of each. [`rehearse`] goes
//! through all of that in the order of time, and knows what is contained already and whether the breaker has
//! places left.
//!
//! Nothing is observed, since AWS's state of that time is gone. A value that only observing shows is a condition (`if`)
//! of a step, or a dependence of the answer (`depends_on`); the rest is decided by the code that decides in the
//! functions.

mod breaker;
mod entry;
mod evaluation;
mod possible_steps;
mod rehearser;
mod remarks;
mod replay;
mod rules;
mod summary;

pub use self::breaker::{BreakerTrip, GroupSize, PeakDemand};
pub use self::entry::{Entry, Outcome};
pub use self::evaluation::{Evaluation, FindingSummary, Reason, Step, StepVerdict, Target};
pub use self::rehearser::Rehearser;
pub use self::replay::rehearse;
pub use self::rules::{Modes, Rules};
pub use self::summary::{AffectedTarget, Exemption, NotContained, Numbers, Report};

#[cfg(test)]
mod tests;
