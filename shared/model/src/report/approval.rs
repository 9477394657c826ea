//! The part of a report that awaits approval.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::Action;

/// The steps that run after an approval, and the last time for it.
#[derive(Clone, Debug, Serialize)]
pub struct Approval {
    /// From then on they can no longer be approved.
    pub expires_at: Timestamp,
    /// The proposed steps.
    pub steps: Vec<Proposed>,
}

/// A step that is proposed to the approver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proposed {
    /// The action's name.
    pub action: String,
    /// The resource.
    pub target: String,
    /// The value that was found.
    pub from: Value,
    /// The value that is wanted.
    pub to: Value,
}

impl Proposed {
    pub fn new(action: &impl Action) -> Self {
        Self {
            action: action.name().to_owned(),
            target: action.target(),
            from: action.from(),
            to: action.to(),
        }
    }
}

impl Approval {
    /// Tells two plans apart by what they would change and what was found. A wanted value may be a time, which moves on
    /// with each delivery. Another version of Rust may hash otherwise, and one more notice is then sent.
    pub fn gist(&self) -> String {
        let mut hasher = DefaultHasher::new();
        for step in &self.steps {
            (&step.action, &step.target, step.from.to_string()).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}
