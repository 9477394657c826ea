//! Containment of what Amazon GuardDuty finds.
//!
//! [`respond`] is the flow: an event becomes a [`finding`], and a [`decision`] is made about it. A [`playbook`]
//! observes the target and makes a [`plan`], and a [`guard`] withholds the steps that policies do not permit. Then
//! [`execute`] carries the rest out and reads the result back, and [`notify`] sends the [`report`]. A dry run stops
//! before [`execute`].

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
pub mod triage;
pub mod undo;
pub mod verify;

#[cfg(test)]
mod banned_calls;
// The fixtures of all tests, over this crate as it is when tested.
#[cfg(test)]
extern crate self as remediation;
#[cfg(test)]
#[path = "../../fixtures/src/lib.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)]
mod fixtures;
#[cfg(test)]
use fixtures::waves;
#[cfg(test)]
mod hostile_tests;
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
