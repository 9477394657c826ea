//! Incidents as they are read from the table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde_json::Value;

use super::keys::{id_of, key, sort_key};
use super::{ACTION, NOT_NOTIFIED, RELIES_ON, Times};
use crate::error::{CallContext, Error, Result};
use crate::finding::Finding;
use crate::record::{Incident, IncidentStore, get, text};
use crate::report::Report;

impl IncidentStore {
    /// The incidents of a finding, one per function that dealt with it.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn incidents_of(&self, id: &str) -> Result<Vec<Incident>> {
        self.under(key(id, false)).await
    }

    /// The functions' records of the drill with this id.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn drill(&self, id: &str) -> Result<Vec<Incident>> {
        self.under(key(id, true)).await
    }

    /// An incident as it is now.
    ///
    /// # Errors
    /// If the table cannot be read, or no longer has it.
    pub(crate) async fn again(&self, incident: &Incident) -> Result<Incident> {
        let found = self.under(key(&incident.id, incident.drill)).await?;
        let mut found = found.into_iter();
        let same = found.find(|found| found.sort_key() == incident.sort_key());
        same.ok_or_else(|| Error::Refused(format!("incident {} no longer exists", incident.id)))
    }

    async fn under(&self, key: String) -> Result<Vec<Incident>> {
        let items: Vec<_> = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(key))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .during("dynamodb:Query", &self.table)?;
        Ok(items.iter().map(from_item).collect())
    }

    /// Every incident, and every drill that is still kept, the newest first.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn incidents(&self) -> Result<Vec<Incident>> {
        let items: Vec<_> = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("kind = :kind")
            .expression_attribute_values(":kind", text("incident"))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .during("dynamodb:Scan", &self.table)?;
        let mut incidents: Vec<_> = items.iter().map(from_item).collect();
        incidents.sort_by(|a: &Incident, b| b.received_at.cmp(&a.received_at));
        Ok(incidents)
    }
}

/// The incident of `report`, where nothing of it could be recorded.
pub(crate) fn unrecorded(
    finding: &Finding,
    event: &Value,
    report: &Report,
    collected: &Value,
    times: Times,
    now: Timestamp,
) -> Incident {
    let at = |time: Timestamp| Some(time.to_string());
    let part = sort_key(report.category(), finding);
    Incident {
        id: finding.id.clone(),
        drill: finding.is_drill(),
        category: report.category().to_string(),
        part: part.split_once('#').map(|(_, part)| part.to_owned()),
        finding_type: finding.finding_type.to_string(),
        account_id: finding.account_id.clone(),
        region: finding.region.clone(),
        received_at: times.received.unwrap_or(now).to_string(),
        decided_at: times.decided.and_then(at),
        contained_at: times.contained.and_then(at),
        concluded_at: at(now),
        updated_at: now.to_string(),
        status: report.status().as_str().to_owned(),
        afterwards: serde_json::to_value(report.afterwards()).unwrap_or_default(),
        report: serde_json::to_value(report).unwrap_or_default(),
        event: event.clone(),
        evidence: serde_json::json!({ "before": null, "after": collected }),
        ..Incident::default()
    }
}

/// The incident that an item holds.
pub(super) fn from_item(item: &HashMap<String, AttributeValue>) -> Incident {
    let field = |name: &str| get(item, name).unwrap_or_default().to_owned();
    let json = |name: &str| {
        let value = get(item, name).map(serde_json::from_str::<Value>);
        value.and_then(|value| value.ok()).unwrap_or_default()
    };
    let actions = item
        .keys()
        .filter_map(|name| Some((name.strip_prefix(ACTION)?.to_owned(), json(name))))
        .collect();
    let key = field("pk");
    let (id, drill) = id_of(&key);
    let (category, part) = match field("sk").split_once('#') {
        Some((category, part)) => (category.to_owned(), Some(part.to_owned())),
        None => (field("sk"), None),
    };
    Incident {
        id: id.to_owned(),
        drill,
        category,
        part,
        finding_type: field("finding_type"),
        account_id: field("account_id"),
        region: field("region"),
        received_at: field("received_at"),
        intended_at: get(item, "intended_at").map(ToOwned::to_owned),
        decided_at: get(item, "decided_at").map(ToOwned::to_owned),
        contained_at: get(item, "contained_at").map(ToOwned::to_owned),
        concluded_at: get(item, "concluded_at").map(ToOwned::to_owned),
        notified_at: get(item, "notified_at").map(ToOwned::to_owned),
        looked_at: get(item, "looked_at").map(ToOwned::to_owned),
        afterwards: json("afterwards"),
        updated_at: field("updated_at"),
        status: field("status"),
        not_notified: get(item, NOT_NOTIFIED).map(ToOwned::to_owned),
        released: get(item, "released").map(ToOwned::to_owned),
        stored: serde_json::from_value(json("stored")).ok(),
        awaiting: json("awaiting"),
        approved: get(item, "approved").map(ToOwned::to_owned),
        rejected: get(item, "rejected").map(ToOwned::to_owned),
        report: json("report"),
        event: json("event"),
        evidence: serde_json::json!({ "before": json("evidence"), "after": json("collected") }),
        settings: serde_json::from_value(json("settings")).unwrap_or_default(),
        actions,
        relies_on: serde_json::from_value(json(RELIES_ON)).unwrap_or_default(),
    }
}
