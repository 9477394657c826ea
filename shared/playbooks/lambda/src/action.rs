//! The changes to a function and to its role.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use model::actions::{self, lambda as name};
use model::plan::{self, Phase, Undo};

/// A change to a function or to its role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Action {
    /// No concurrency is left to the function, so that Lambda starts no invocation.
    Throttle(Throttle),
    /// Denies the role everything to the credentials of this one function.
    DenyCredentials(DenyCredentials),
}

/// See [`Action::Throttle`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Throttle {
    pub(super) region: String,
    pub(super) function: String,
    pub(super) arn: String,
    /// The concurrency that was reserved. `None`: none was.
    pub(super) from: Option<i32>,
}

/// See [`Action::DenyCredentials`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DenyCredentials {
    pub(super) role: String,
    pub(super) role_arn: String,
    /// The name of our policy.
    pub(super) policy: String,
    /// The policy of this name that the role had.
    pub(super) from: Option<Value>,
    pub(super) to: Value,
}

impl plan::Action for Action {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[
        (name::THROTTLE, &["lambda:PutFunctionConcurrency"]),
        (name::DENY, &["iam:PutRolePolicy"]),
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::Throttle(_) => name::THROTTLE,
            Self::DenyCredentials(_) => name::DENY,
        }
    }

    fn target(&self) -> String {
        match self {
            Self::Throttle(action) => action.arn.clone(),
            Self::DenyCredentials(action) => action.role_arn.clone(),
        }
    }

    fn phase(&self) -> Phase {
        actions::phase(self.name())
    }

    /// The one is of Lambda and the other of IAM.
    fn independent(&self) -> bool {
        true
    }

    fn from(&self) -> Value {
        match self {
            Self::Throttle(action) => json!({ "ReservedConcurrentExecutions": action.from }),
            Self::DenyCredentials(action) => json!(action.from),
        }
    }

    fn to(&self) -> Value {
        match self {
            Self::Throttle(_) => json!({ "ReservedConcurrentExecutions": 0 }),
            Self::DenyCredentials(action) => action.to.clone(),
        }
    }

    fn undo(&self) -> Undo {
        Undo::Restore
    }
}
