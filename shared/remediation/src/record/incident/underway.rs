//! The notes about an incident while an invocation is at work, in case it does not come to the end.

use jiff::Timestamp;
use serde_json::Value;

use super::EVENT_LIMIT;
use crate::category::Category;
use crate::error::Result;
use crate::finding::{Finding, abridged};
use crate::record::IncidentStore;

/// The attribute with the keys of the steps that an invocation found in effect, until its report says so.
pub(super) const RELIES_ON: &str = "relies_on";
/// The attribute with the time of a reversal of which no notice was sent yet.
pub(super) const UNDOING: &str = "undoing_found_at";

impl IncidentStore {
    /// Notes that the target is contained by these steps, which another incident may have taken: they are not put
    /// back then while the invocation is at work.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub(crate) async fn rely_on(
        &self,
        category: Category,
        finding: &Finding,
        event: &Value,
        steps: &[String],
        now: Timestamp,
    ) -> Result<()> {
        self.described(finding, category, now)
            .set_once("received_at", now)
            .set_once("event", abridged(event, EVENT_LIMIT))
            .set_once("#status", "containing")
            .set(RELIES_ON, Value::from(steps))
            .send()
            .await
    }

    /// Notes that somebody undid the containment, so that a retry tells it if this attempt does not.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub(crate) async fn find_undone(
        &self,
        category: Category,
        finding: &Finding,
        now: Timestamp,
    ) -> Result<()> {
        self.item(finding, category).set(UNDOING, now).send().await
    }
}
