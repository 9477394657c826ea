//! The writes after an incident was concluded: the channels that sent notices, the place of its page, and its release.

use jiff::Timestamp;

use super::{
    ACTION, Incident, NOT_NOTIFIED, PLAN, PLAN_NOTIFIED, RELIES_ON, UNDOING, json, notified,
};
use crate::category::Category;
use crate::error::{Error, Result};
use crate::evidence::Stored;
use crate::finding::Finding;
use crate::notify::Channel;
use crate::plan::StepKey;
use crate::record::write::if_met;
use crate::record::{IncidentStore, text};
use crate::report::{Report, Status};

/// The status of an incident that was released.
const RELEASED: &str = "released";

impl IncidentStore {
    /// Records the channels that sent this status, with the waiting plan, and the channels that failed, and why. These
    /// count as never sent, so that a retry sends them.
    ///
    /// # Errors
    /// If the table cannot be written; a notice may then be sent again.
    pub async fn mark_notified<T>(
        &self,
        finding: &Finding,
        report: &Report,
        sent: &[(Channel, Result<T>)],
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.item(finding, report.category());
        let mut failures = Vec::new();
        for (channel, sent) in sent {
            write = match sent {
                Ok(_) => write.set(notified(*channel), report.status().as_str()),
                Err(error) => {
                    failures.push(format!("{}: {error}", channel.as_str()));
                    write.remove([notified(*channel)])
                }
            };
        }
        if failures.len() < sent.len() {
            write = match report.approval() {
                Some(approval) => write
                    .set("notified_plan", approval.gist())
                    .set("notified_until", approval.expires_at),
                None => write.remove(PLAN_NOTIFIED),
            };
        }
        let for_people = sent.iter().filter(|(channel, _)| channel.is_for_people());
        let (told, untold): (Vec<_>, Vec<_>) = for_people.partition(|(_, sent)| sent.is_ok());
        if report.undone() && !told.is_empty() && untold.is_empty() {
            write = write.remove([UNDOING]);
        }
        if !told.is_empty() {
            write = write.set("notified_at", now);
        }
        write = if failures.is_empty() {
            write.remove([NOT_NOTIFIED])
        } else {
            write.set(NOT_NOTIFIED, failures.join("; "))
        };
        write.send().await
    }

    /// Writes down where the page of the incident is.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn mark_stored(
        &self,
        category: Category,
        finding: &Finding,
        stored: &Stored,
    ) -> Result<()> {
        let stored = serde_json::to_string(stored)
            .map_err(|error| Error::Refused(format!("the place cannot be written: {error}")))?;
        self.item(finding, category)
            .set("#stored", stored)
            .send()
            .await
    }

    /// Records that the operator released the incident. Its actions are kept under another name: if it is contained
    /// again, what is found then is what counts.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn close(&self, incident: &Incident, by: &str, now: Timestamp) -> Result<()> {
        let actions = serde_json::to_string(&incident.actions).unwrap_or_default();
        let kept_once = [
            "notified",
            "notified_chat",
            "notified_event",
            "notified_security_hub",
            "notified_at",
            "invocation",
            NOT_NOTIFIED,
            "decided_at",
            "contained_at",
            "looked_at",
            "evidence",
            "intended_at",
            "concluded_at",
            "approved",
            "rejected",
            "rejected_at",
            RELIES_ON,
            UNDOING,
        ];
        let mut write = self
            .incident(incident)
            .set("#status", RELEASED)
            .set("released", format!("by {by} at {now}"))
            .set("released_actions", actions)
            .set("updated_at", now)
            .remove(kept_once)
            .remove(PLAN)
            .remove(PLAN_NOTIFIED);
        for (index, key) in incident.actions.keys().enumerate() {
            let alias = format!("#a{index}");
            write = write.name(&alias, format!("{ACTION}{key}")).remove([alias]);
        }
        write.send().await
    }

    /// True if the incident of `finding` was released, by what the table says.
    ///
    /// # Errors
    /// If the table does not answer.
    pub(crate) async fn is_released(
        &self,
        category: Category,
        finding: &Finding,
        now: Timestamp,
    ) -> Result<bool> {
        // The functions' roles may update items and read none.
        let done = self
            .item(finding, category)
            .set("updated_at", now)
            .when("#status = :released")
            .name("#status", "status")
            .value(":released", text(RELEASED))
            .send();
        Ok(if_met(done.await)?.is_some())
    }

    /// Writes down that a part of what contains the target of `incident` was put back by the release of another
    /// incident.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub(crate) async fn put_back_in_part(&self, incident: &Incident, now: Timestamp) -> Result<()> {
        self.incident(incident)
            .set("#status", Status::Partial.as_str())
            .set("updated_at", now)
            .send()
            .await
    }

    /// Leaves what `incident` found, where it acted by `action`, to another one that is contained by that too: a
    /// release of that one puts it back.
    ///
    /// # Errors
    /// If the table cannot be written, or the other one was released since it was read.
    pub(crate) async fn leave_to(
        &self,
        heir: &Incident,
        incident: &Incident,
        action: &StepKey,
    ) -> Result<()> {
        let step = action.to_string();
        let Some(recorded) = incident.actions.get(&step) else {
            return Ok(());
        };
        let intended = incident.intended_at.as_deref().unwrap_or_default();
        let done = self
            .incident(heir)
            .name("#action", format!("{ACTION}{step}"))
            .set("#action", recorded)
            .set_once("settings", json(&incident.settings))
            .set_once("intended_at", intended)
            .when("#status <> :released")
            .name("#status", "status")
            .value(":released", text(RELEASED))
            .send();
        if_met(done.await)?.ok_or_else(|| {
            Error::Refused(format!(
                "incident {} was released since it was read: look at it again",
                heir.id
            ))
        })
    }
}
