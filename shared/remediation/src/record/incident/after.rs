//! What is written of an incident after it was concluded: who was told, where its page is, that it was released.

use jiff::Timestamp;

use super::keys::key;
use super::{ACTION, Incident, NOT_NOTIFIED, RELIES_ON, UNDOING, json, notified};
use crate::category::Category;
use crate::error::{CallContext, Error, Result};
use crate::evidence::Stored;
use crate::finding::Finding;
use crate::notify::Channel;
use crate::plan::StepKey;
use crate::record::{Record, text};
use crate::report::{Report, Status};

/// The status of an incident that was released.
const RELEASED: &str = "released";

impl Record {
    /// Writes down by which channels this status was told, with the plan that waits, and by which it
    /// could not be, and why. These count as never told, so that a retry tells them.
    ///
    /// # Errors
    /// If the table cannot be written; what was told may then be told again.
    pub async fn mark_notified<T>(
        &self,
        finding: &Finding,
        report: &Report,
        sent: &[(Channel, Result<T>)],
        now: Timestamp,
    ) -> Result<()> {
        let mut call = self.item(finding, report.category());
        let (mut set, mut removed) = (Vec::new(), Vec::new());
        let mut failures = Vec::new();
        for (channel, sent) in sent {
            match sent {
                Ok(_) => set.push(format!("{} = :status", notified(*channel))),
                Err(error) => {
                    removed.push(notified(*channel));
                    failures.push(format!("{}: {error}", channel.as_str()));
                }
            }
        }
        let people =
            |(channel, sent): &(Channel, Result<T>)| channel.is_for_people() && sent.is_ok();
        let told_people = sent.iter().any(people);
        if !set.is_empty() {
            call = call.expression_attribute_values(":status", text(report.status().as_str()));
            match report.approval() {
                Some(approval) => {
                    set.push("notified_plan = :plan".to_owned());
                    set.push("notified_until = :until".to_owned());
                    call = call
                        .expression_attribute_values(":plan", text(approval.gist()))
                        .expression_attribute_values(
                            ":until",
                            text(approval.expires_at.to_string()),
                        );
                }
                None => removed.extend(["notified_plan", "notified_until"]),
            }
        }
        let untold =
            |(channel, sent): &(Channel, Result<T>)| channel.is_for_people() && sent.is_err();
        if report.undone() && told_people && !sent.iter().any(untold) {
            removed.push(UNDOING);
        }
        if told_people {
            set.push("notified_at = :now".to_owned());
            call = call.expression_attribute_values(":now", text(now.to_string()));
        }
        if failures.is_empty() {
            removed.push(NOT_NOTIFIED);
        } else {
            set.push(format!("{NOT_NOTIFIED} = :failures"));
            call = call.expression_attribute_values(":failures", text(failures.join("; ")));
        }
        let set = Some(set.join(", ")).filter(|set| !set.is_empty());
        let set = set.map(|set| format!("SET {set} ")).unwrap_or_default();
        let removed = Some(removed.join(", ")).filter(|removed| !removed.is_empty());
        let removed = removed.map(|removed| format!("REMOVE {removed}"));
        call.update_expression(format!("{set}{}", removed.unwrap_or_default()))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table)
            .map(drop)
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
            // The name is a word of DynamoDB's,
            // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html.
            .update_expression("SET #stored = :stored")
            .expression_attribute_names("#stored", "stored")
            .expression_attribute_values(":stored", text(stored))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table)
            .map(drop)
    }

    /// Writes down that a person released the incident. Its actions are kept under another name: if
    /// it is contained again, what is found then is what counts.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn close(&self, incident: &Incident, by: &str, now: Timestamp) -> Result<()> {
        let actions = serde_json::to_string(&incident.actions).unwrap_or_default();
        let mut call = self
            .update(key(&incident.id, incident.drill), &incident.sort_key())
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(RELEASED))
            .expression_attribute_values(":released", text(format!("by {by} at {now}")))
            .expression_attribute_values(":actions", text(actions))
            .expression_attribute_values(":now", text(now.to_string()));
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
            "notified_plan",
            "notified_until",
            "evidence",
            "intended_at",
            "concluded_at",
            "awaiting",
            "planned_at",
            "approved",
            "rejected",
            "rejected_at",
            RELIES_ON,
            UNDOING,
        ];
        let mut removed: Vec<_> = kept_once.map(ToOwned::to_owned).into();
        for (index, key) in incident.actions.keys().enumerate() {
            call = call.expression_attribute_names(format!("#a{index}"), format!("{ACTION}{key}"));
            removed.push(format!("#a{index}"));
        }
        let call = call.update_expression(format!(
            "SET #status = :status, released = :released, released_actions = :actions, updated_at = :now \
             REMOVE {}",
            removed.join(", "),
        ));
        call.send()
            .await
            .during("dynamodb:UpdateItem", &self.table)
            .map(drop)
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
            .update_expression("SET updated_at = :now")
            .condition_expression("#status = :released")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":released", text(RELEASED))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table);
        match done {
            Err(error) if error.has_code("ConditionalCheckFailedException") => Ok(false),
            done => done.map(|_| true),
        }
    }

    /// Writes down that a part of what contains the target of `incident` was put back by the release of another
    /// incident.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub(crate) async fn put_back_in_part(&self, incident: &Incident, now: Timestamp) -> Result<()> {
        self.update(key(&incident.id, incident.drill), &incident.sort_key())
            .update_expression("SET #status = :partial, updated_at = :now")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":partial", text(Status::Partial.as_str()))
            .expression_attribute_values(":now", text(now.to_string()))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table)
            .map(drop)
    }

    /// Leaves what `incident` found, where it acted by `action`, to another one that is contained by that
    /// too: whoever releases that one puts it back.
    ///
    /// # Errors
    /// If the table cannot be written, or the other one was released meanwhile.
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
            .update(key(&heir.id, heir.drill), &heir.sort_key())
            .update_expression(
                "SET #action = :action, settings = if_not_exists(settings, :settings), \
                 intended_at = if_not_exists(intended_at, :intended)",
            )
            .condition_expression("#status <> :released")
            .expression_attribute_names("#action", format!("{ACTION}{step}"))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":action", text(recorded.to_string()))
            .expression_attribute_values(":settings", text(json(&incident.settings)))
            .expression_attribute_values(":intended", text(intended))
            .expression_attribute_values(":released", text(RELEASED))
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table);
        match done {
            Err(error) if error.has_code("ConditionalCheckFailedException") => {
                Err(Error::Refused(format!(
                    "incident {} was released meanwhile: look at it again",
                    heir.id
                )))
            }
            done => done.map(drop),
        }
    }
}
