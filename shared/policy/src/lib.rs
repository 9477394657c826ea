//! The layer between a plan and its execution: policies say which of its steps may run.
//!
//! Two layers of [Cedar](https://docs.cedarpolicy.com) policies. The built-in rails only forbid, and no policy of the
//! user's lifts them, since in Cedar a `forbid` that holds outweighs every `permit`. The user's policies come from a
//! parameter of AWS Systems Manager. If they are missing, do not fit the schema, or cannot be evaluated, every step
//! that they decide about is withheld: never a guess.
//!
//! `execute` takes only an [`Authorized`] plan, and only a [`Gate`] makes one, also for the plan of a reading back.

mod authorization;
mod authorized;
mod explain;
mod gate;
mod loaded_policies;
mod policies;
mod prior_activity;
mod questions;
mod request_context;
mod unobserved;
mod unread;
mod variants;

pub use self::authorization::{Authorization, NO_POLICY, NOT_PERMITTED};
pub use self::authorized::Authorized;
pub use self::explain::{Explained, Explanation, explain};
pub use self::gate::Gate;
pub use self::loaded_policies::LoadedPolicies;
pub use self::policies::{Policies, Problem, schema};
pub use self::questions::{HistoryAnswer, OpenQuestion, PriorActivity, TagAge, TaggedResource};
pub use self::request_context::RequestContext;
pub use self::unobserved::{Forecast, Forecaster};
pub use model::resource::{Kind, Resource};

/// The policies that the stack is deployed with.
pub const DEFAULT: &str = include_str!("../../../infra/policies/default.cedar");

/// How the line in the log begins that says that the user's policies cannot be used or read. The stack has
/// an alarm on it.
pub const UNUSABLE: &str = "policy unusable";

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
