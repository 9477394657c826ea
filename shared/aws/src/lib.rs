//! How AWS is called, and what is read from it that belongs to no playbook.
//!
//! [`client`] has the settings that all clients share, and [`error`] names the operation and the target of each failed
//! call. [`deadline`] ends a call in time, and [`conflict`] repeats a
//! write that met another one. [`cloudtrail`] and [`iam_principal`] are read for investigations and for
//! policies. [`playbook::Playbook`] is the contract between the flow and each playbook.

pub mod client;
pub mod cloudtrail;
pub mod conflict;
pub mod deadline;
pub mod error;
pub mod iam_policy;
pub mod iam_principal;
pub mod inquiry;
pub mod playbook;

pub use client::{Sent, load, sent};
pub use error::{Error, Result};
