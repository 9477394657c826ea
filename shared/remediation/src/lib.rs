//! Containment of what Amazon GuardDuty finds.
//!
//! [`respond`] is the flow: an event becomes a [`finding`], a [`decision`] is made about it, a
//! [`playbook`] observes the target and makes a [`plan`], a [`guard`] withholds what policies do not
//! permit, [`execute`] carries the rest out and reads back what came of it, and the [`report`] of that is logged and sent by [`notify`].
//! A dry run stops before [`execute`].

pub mod accounts;
mod admit;
mod announce;
pub mod approve;
mod authorize;
mod claims;
mod conclude;
pub mod config;
mod contain;
mod containment;
mod delivery;
mod dry_run;
pub mod evidence;
pub mod execute;
pub mod hand_over;
pub mod history;
pub mod metrics;
pub mod notify;
mod observe;
pub mod permissions;
pub mod playbook;
pub mod policy_parameter;
mod postpone;
mod prepare;
mod queue_message;
pub mod recheck;
pub mod record;
pub mod release;
pub mod respond;
mod responder;
mod session;
mod slots;
pub mod trace;
pub mod undo;
pub mod verify;

#[cfg(test)]
mod actions_tests;
#[cfg(test)]
mod banned_calls;
#[cfg(test)]
mod breaker_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod sequences;

pub use aws::{Error, Result, cloudtrail, deadline, error, iam_policy, iam_principal, inquiry};
pub use config::Config;
pub use model::{
    VERSION, actions, blast_radius, breaker, catalogue, category, decision, finding, guidance,
    incident, investigation, not_contained, plan, planner, report, resource, sequence, settings,
    standing,
};
pub use render::{page, report_view};
pub use respond::Responder;
