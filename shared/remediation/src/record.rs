//! The record: incidents and containment targets, in DynamoDB.
//!
//! It serves audit, release, one notice per change, and mutual exclusion. It is not what makes a
//! containment correct: without the table everything but snapshots goes on, and what would have
//! been recorded goes to the log.
//!
//! One item per finding and category (`INCIDENT#<finding id>` / `<category>`; for a part of an attack
//! sequence `<category>#<target>`): what came in, what was decided, the actions with the values they
//! found, the report, a plan that waits for a person. One item per target
//! (`TARGET#<category>#<account>#<target>` / `state`): who is at work on it, and whether a person
//! released it.

mod awaiting;
mod incident;
mod target;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

pub use self::awaiting::{Approved, Awaiting, Held};
pub use self::incident::{Incident, Intent, Recorded};
pub use self::target::{Claim, Lease, TargetState};

/// The IAM permissions that a function's use of the table needs.
pub const PERMISSIONS: &[&str] = &["dynamodb:UpdateItem"];

/// The table.
#[derive(Clone, Debug)]
pub struct Record {
    client: Client,
    table: String,
}

impl Record {
    /// The record in `table`.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A text attribute of an item.
fn get<'a>(
    item: &'a std::collections::HashMap<String, AttributeValue>,
    name: &str,
) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}
