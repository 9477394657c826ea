//! Plans that await approval: stored with the incident, approved or rejected once.

use jiff::Timestamp;
use serde_json::Value;

use super::incident::{EVENT_LIMIT, PLAN, PLAN_NOTIFIED, cut};
use super::write::if_met;
use super::{Awaiting, Incident, IncidentStore, number, text};
use crate::category::Category;
use crate::error::{Error, Result};
use crate::finding::{Finding, abridged};

/// The plan that an approver approved.
#[derive(Debug)]
pub struct Approved {
    /// When it was planned, which tells it from one that replaced it.
    pub planned_at: Timestamp,
    /// The person's ARN.
    pub by: String,
}

impl IncidentStore {
    /// Stores a plan in place of one that the incident may have. `false`: it is not stored, since an approver rejected
    /// the incident and there was no activity since.
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
            .described(finding, category, now)
            .set_once("received_at", now)
            .set("event", abridged(event, EVENT_LIMIT))
            .set_once("evidence", cut(evidence))
            .set("awaiting", plan)
            .set("planned_at", awaiting.planned_at)
            .remove(["rejected", "rejected_at"])
            .when("attribute_not_exists(rejected_at) OR rejected_at < :seen")
            .value(":seen", number(seen))
            .send();
        Ok(if_met(done.await)?.is_some())
    }

    /// Writes down that the operator rejected the plan that `incident` has. The next plan causes a notice, whichever it
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
            .incident(incident)
            .set("rejected", format!("by {by} at {now}: {reason}"))
            .set_value("rejected_at", number(now.as_millisecond()))
            .set("updated_at", now)
            .remove(PLAN)
            .remove(PLAN_NOTIFIED)
            .when("planned_at = :planned")
            .value(":planned", text(planned_at))
            .send();
        if_met(done.await)?.ok_or_else(|| {
            Error::Refused(
                "nothing was rejected: the plan was replaced, approved or rejected since it was read. Look \
                 at it again"
                    .to_owned(),
            )
        })
    }
}
