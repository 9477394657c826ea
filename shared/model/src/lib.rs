//! The terms of the responder as data, and the rules that need no call: the finding, the catalogue of types to contain,
//! the plan and the report.
//!
//! Nothing here calls AWS, waits, or reads a clock or the environment.

pub mod actions;
pub mod blast_radius;
pub mod breaker;
pub mod catalogue;
pub mod category;
pub mod decision;
pub mod error;
pub mod finding;
pub mod guidance;
pub mod incident;
pub mod investigation;
pub mod not_contained;
pub mod plan;
pub mod planner;
pub mod report;
pub mod resource;
pub mod sequence;
pub mod settings;
pub mod standing;

#[cfg(test)]
mod fixtures;

pub use error::{Error, Result};

/// The version, in every report and every record.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
