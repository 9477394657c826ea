//! The notes about an incident while an invocation is at work, in case it does not come to the end.

use jiff::Timestamp;
use serde_json::Value;

use super::EVENT_LIMIT;
use crate::category::Category;
use crate::error::{CallContext, Result};
use crate::finding::{Finding, abridged};
use crate::record::{Record, text};

/// The attribute with the keys of the steps that an invocation found in effect, until its report says so.
pub(super) const RELIES_ON: &str = "relies_on";
/// The attribute with the time of a reversal of which no notice was sent yet.
pub(super) const UNDOING: &str = "undoing_found_at";

impl Record {
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
        self.item(finding, category)
            .update_expression(format!(
                "SET kind = :kind, received_at = if_not_exists(received_at, :now), updated_at = :now, \
                 event = if_not_exists(event, :event), finding_type = :type, account_id = :account, \
                 #region = :region, #status = if_not_exists(#status, :status), {RELIES_ON} = :steps"
            ))
            .expression_attribute_names("#region", "region")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":kind", text("incident"))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":event", text(abridged(event, EVENT_LIMIT).to_string()))
            .expression_attribute_values(":type", text(finding.finding_type.as_str()))
            .expression_attribute_values(":account", text(&finding.account_id))
            .expression_attribute_values(":region", text(&finding.region))
            .expression_attribute_values(":status", text("containing"))
            .expression_attribute_values(":steps", text(Value::from(steps).to_string()))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table)
            .map(drop)
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
        self.item(finding, category)
            .update_expression(format!("SET {UNDOING} = :now"))
            .expression_attribute_values(":now", text(now.to_string()))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table)
            .map(drop)
    }
}
