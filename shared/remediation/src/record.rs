//! The record: incidents and containment targets, in DynamoDB.
//!
//! It serves audit, release, one notice per change, mutual exclusion, and the limits. It is not what makes a
//! containment correct: if a write fails, its content goes to the log, and everything but snapshots goes on. Only the
//! breaker must be asked; see there.
//!
//! One item per finding and category (`INCIDENT#<finding id>` / `<category>`; for a part of an attack sequence
//! `<category>#<target>`): the event, the decision, the actions with the values they found, the report, and a plan that
//! awaits approval. A drill's item is `DRILL#<finding id>` and goes away by itself: the sender of a drill chooses the
//! id, and must not reach the incident of a real finding. One item per target (`TARGET#<category>#<account>#<target>` /
//! `state`): the invocation that acts on it, a release of it, and the findings that await a message. One item per
//! window of the [breaker](crate::breaker) (`BREAKER#<category>#<account>` / `window`): how many containments there
//! were lately. One item per finding in Security Hub (`SECURITYHUB#<finding ARN>` / `said`): the last words of each
//! function.

mod awaiting;
mod incident;
mod said;
mod target;
mod window;
mod write;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

pub use self::awaiting::Approved;
pub use self::incident::{Intended, Intent, Recorded, Times};
pub(crate) use self::incident::{NOT_DONE_AGAIN, incident_key, unrecorded};
pub use self::target::{Claim, Lease, TargetState};
pub use self::window::{Full, Opened, Places, Shown, Taken, Terms, Window};
use self::write::Write;
pub use model::incident::{Awaiting, Held, Incident};

/// The IAM permissions that a function's use of the table needs.
pub const PERMISSIONS: &[&str] = &["dynamodb:UpdateItem"];

/// When the record of a drill goes away, in seconds of the Unix epoch; no other item has it,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>.
pub const DRILL_EXPIRES: &str = "expires_at";

/// The table.
#[derive(Clone, Debug)]
pub struct IncidentStore {
    client: Client,
    table: String,
}

impl IncidentStore {
    /// The record in `table`.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    fn update(&self, key: String, sort_key: &str) -> Write<'_> {
        let call = self.client.update_item().table_name(&self.table);
        let call = call.key("pk", text(key)).key("sk", text(sort_key));
        Write::new(call, &self.table)
    }
}

type Item = HashMap<String, AttributeValue>;

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A text attribute of an item.
fn get<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

#[cfg(test)]
mod tests;
