//! The state of a function, as it is read before anything is planned.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use aws::error::Result;

/// The state of a function.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// The concurrency that is reserved for it, if any.
    #[serde(serialize_with = "as_read")]
    pub(super) concurrency: Result<Option<i32>>,
    #[serde(serialize_with = "as_read")]
    pub(super) configuration: Result<Configuration>,
    #[serde(serialize_with = "as_read")]
    pub(super) tags: Result<BTreeMap<String, String>>,
    /// How many functions there are in the Region.
    #[serde(serialize_with = "as_read")]
    pub(super) functions: Result<usize>,
    /// The role that it has, and that which it had by the finding. `None`: not read yet.
    pub(super) roles: Option<Vec<Role>>,
    /// `None`: not read yet.
    pub(super) surroundings: Option<Surroundings>,
}

/// The configuration of a function, of the version that is not published. The values of its environment are not
/// kept: they may be secrets.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Configuration {
    /// The ARN of its role.
    pub(super) role: String,
    pub(super) runtime: Option<String>,
    pub(super) code_sha256: Option<String>,
    pub(super) last_modified: Option<String>,
    /// How long an invocation may take, in seconds.
    pub(super) timeout: Option<i32>,
    /// The names of the variables of its environment.
    pub(super) variables: Vec<String>,
    /// The ARNs of its layers.
    pub(super) layers: Vec<String>,
    /// Its executions outlast an invocation.
    pub(super) durable: bool,
}

/// A role whose credentials a function gets, as far as it could be read.
#[derive(Clone, Debug, Serialize)]
pub struct Role {
    pub(super) name: String,
    pub(super) arn: String,
    /// Its unique id.
    #[serde(serialize_with = "as_read")]
    pub(super) id: Result<String>,
    /// The policy that denies this function everything, if the role has one of its name.
    #[serde(serialize_with = "as_read")]
    pub(super) deny: Result<Option<Value>>,
}

/// The ways to invoke a function, and the environments that are kept ready for it.
#[derive(Clone, Debug, Serialize)]
pub struct Surroundings {
    /// The ARNs of the event sources that are read for it.
    #[serde(serialize_with = "as_read")]
    pub(super) event_sources: Result<Vec<String>>,
    /// Its URLs, each with how it authenticates.
    #[serde(serialize_with = "as_read")]
    pub(super) urls: Result<Vec<String>>,
    /// The versions and aliases with provisioned concurrency.
    #[serde(serialize_with = "as_read")]
    pub(super) provisioned: Result<Vec<String>>,
}

impl State {
    /// True if there is no such function, or no longer.
    pub(super) fn is_gone(&self) -> bool {
        matches!(&self.concurrency, Err(error) if error.is_gone())
    }

    /// True if there is no role of this ARN any longer.
    pub(super) fn lost_role(&self, arn: &str) -> bool {
        let mut roles = self.roles.iter().flatten();
        roles.any(|role| role.arn == arn && matches!(&role.id, Err(error) if error.is_gone()))
    }
}

fn as_read<T: Serialize, S: Serializer>(
    read: &Result<T>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match read {
        Ok(value) => value.serialize(serializer),
        Err(error) => json!({ "unread": error.to_string() }).serialize(serializer),
    }
}
