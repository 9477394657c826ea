//! Plans that wait for a person: stored with the incident, approved or rejected once.

use jiff::Timestamp;
use serde_json::Value;

use super::incident::{EVENT_LIMIT, cut, key};
use super::{Awaiting, Incident, Record, number, text};
use crate::category::Category;
use crate::error::{CallContext, Error, Result};
use crate::finding::{Finding, abridged};

/// Which plan a person approved.
#[derive(Debug)]
pub struct Approved {
    /// When it was planned, which tells it from one that replaced it.
    pub planned_at: Timestamp,
    /// The person's ARN.
    pub by: String,
}

impl Record {
    /// Stores a plan in place of one that the incident may have. `false`: it is not stored, since a person
    /// rejected the incident and there was no activity since.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn hold(
        &self,
        category: Category,
        finding: &Finding,
        event: &Value,
        awaiting: &Awaiting,
        evidence: &Value,
        now: Timestamp,
    ) -> Result<bool> {
        let plan = serde_json::to_string(awaiting)
            .map_err(|error| Error::Refused(format!("the plan cannot be written: {error}")))?;
        let seen = finding.last_seen().map_or(0, Timestamp::as_millisecond);
        let done = self
            .item(finding, category)
            .update_expression(
                "SET kind = :kind, received_at = if_not_exists(received_at, :now), updated_at = :now, \
                 event = :event, evidence = if_not_exists(evidence, :evidence), finding_type = :type, \
                 account_id = :account, #region = :region, awaiting = :plan, planned_at = :planned \
                 REMOVE rejected, rejected_at",
            )
            .condition_expression("attribute_not_exists(rejected_at) OR rejected_at < :seen")
            .expression_attribute_names("#region", "region")
            .expression_attribute_values(":kind", text("incident"))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":event", text(abridged(event, EVENT_LIMIT).to_string()))
            .expression_attribute_values(":evidence", text(cut(evidence)))
            .expression_attribute_values(":type", text(finding.finding_type.as_str()))
            .expression_attribute_values(":account", text(&finding.account_id))
            .expression_attribute_values(":region", text(&finding.region))
            .expression_attribute_values(":plan", text(plan))
            .expression_attribute_values(":planned", text(awaiting.planned_at.to_string()))
            .expression_attribute_values(":seen", number(seen))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table);
        match done {
            Err(error) if error.has_code("ConditionalCheckFailedException") => Ok(false),
            done => done.map(|_| true),
        }
    }

    /// Writes down that the operator rejected the plan that `incident` has. The next plan is told, whichever it
    /// is.
    ///
    /// # Errors
    /// If it has none, or another one since `incident` was read; or if the table cannot be written.
    pub async fn reject(
        &self,
        incident: &Incident,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<()> {
        // Also where this version cannot read the whole of it.
        let planned_at = incident.awaiting["planned_at"].as_str();
        let planned_at = planned_at.ok_or_else(|| {
            Error::Refused("nothing awaits approval, or not since a time that is known".to_owned())
        })?;
        let done = self
            .update(key(&incident.id, incident.drill), &incident.sort_key())
            .update_expression(
                "SET rejected = :rejected, rejected_at = :ms, updated_at = :now \
                 REMOVE awaiting, planned_at, notified_plan, notified_until",
            )
            .condition_expression("planned_at = :planned")
            .expression_attribute_values(":planned", text(planned_at))
            .expression_attribute_values(":rejected", text(format!("by {by} at {now}: {reason}")))
            .expression_attribute_values(":ms", number(now.as_millisecond()))
            .expression_attribute_values(":now", text(now.to_string()))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table);
        match done {
            Err(error) if error.has_code("ConditionalCheckFailedException") => Err(Error::Refused(
                "nothing was rejected: the plan was replaced, approved or rejected since it was read. Look \
                 at it again"
                    .to_owned(),
            )),
            done => done.map(drop),
        }
    }
}
