//! Containment of what Amazon GuardDuty finds.
//!
//! [`respond`] is the flow: an event becomes a [`finding`], a [`policy`] decides about it, a
//! [`playbook`] observes the target and makes a [`plan`], a [`guard`] withholds what policies do not
//! permit, [`execute`] carries the rest out and reads back what came of it, and the [`report`] of that is logged and sent by [`notify`].
//! A dry run stops before [`execute`].

pub mod accounts;
pub mod approve;
pub mod aws;
pub mod breaker;
pub mod catalogue;
pub mod config;
mod contain;
pub mod error;
pub mod evidence;
pub mod execute;
pub mod finding;
pub mod guard;
pub mod guidance;
pub mod hand_over;
pub mod investigate;
pub mod metrics;
pub mod notify;
pub mod page;
pub mod permissions;
pub mod plan;
pub mod playbook;
pub mod policy;
mod queue_message;
pub mod recheck;
pub mod record;
pub mod rehearsal;
pub mod release;
pub mod report;
pub mod report_view;
pub mod respond;
pub mod runtime;
pub mod settings;
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

/// The version, in every report and every record.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub use config::Config;
pub use error::{Error, Result};
pub use respond::Responder;
