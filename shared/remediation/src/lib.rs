//! Containment of what Amazon GuardDuty finds.
//!
//! [`respond`] is the flow: an event becomes a [`finding`], a [`decision`] is made about it, a
//! [`playbook`] observes the target and makes a [`plan`], a [`guard`] withholds what policies do not
//! permit, [`execute`] carries the rest out and reads back what came of it, and the [`report`] of that is logged and sent by [`notify`].
//! A dry run stops before [`execute`].

pub mod accounts;
pub mod actions;
pub mod approve;
pub mod aws;
pub mod blast_radius;
pub mod breaker;
pub mod cloudtrail;
pub mod config;
mod contain;
pub mod decision;
pub mod error;
pub mod evidence;
pub mod execute;
pub mod guard;
pub mod guidance;
pub mod hand_over;
pub mod history;
pub mod iam_principal;
pub mod inquiry;
pub mod investigate;
pub mod investigation;
pub mod metrics;
pub mod notify;
pub mod page;
pub mod permissions;
pub mod planner;
pub mod playbook;
pub mod policy_parameter;
mod queue_message;
pub mod recheck;
pub mod record;
pub mod rehearsal;
pub mod release;
pub mod report;
pub mod resource;
pub mod respond;
mod slots;
pub mod standing;
pub mod trace;
pub mod verify;

#[cfg(test)]
mod banned_calls;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod sequences;

pub use config::Config;
pub use decision as policy;
pub use error::{Error, Result};
pub use model::{VERSION, catalogue, category, finding, plan, settings};
pub use respond::Responder;
