mod prior_activity;
mod tags;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::finding::Finding;
use crate::fixtures::fake::Fake;
use crate::fixtures::{finding, now};
use crate::plan::{StepKey, Withheld};
use policy::{DEFAULT, LoadedPolicies};

const ALL: &str = "permit (principal, action, resource);";
