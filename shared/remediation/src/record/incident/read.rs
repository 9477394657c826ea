//! Incidents as they are read from the table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::keys::{id_of, joined, key, sort_key};
use super::{ACTION, NOT_NOTIFIED, RELIES_ON, Times};
use crate::category::Category;
use crate::error::{CallContext, Error, Result};
use crate::evidence::Stored;
use crate::finding::Finding;
use crate::record::{Record, get, text};
use crate::report::Report;
use crate::settings::Settings;

/// An incident as it is in the table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Incident {
    /// The finding's id.
    pub id: String,
    /// It was a drill.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
    /// The function that dealt with it.
    pub category: String,
    /// The contained part, if the finding is an attack sequence that was handed over in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The finding's type.
    pub finding_type: String,
    /// The account of the resource.
    pub account_id: String,
    /// The Region of the resource.
    pub region: String,
    /// When the responder first saw it.
    pub received_at: String,
    /// When the first change was about to be made.
    pub intended_at: Option<String>,
    /// When it was known what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// When something contained the target first, as read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contained_at: Option<String>,
    /// When the first report was made.
    pub concluded_at: Option<String>,
    /// The time of the last notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notified_at: Option<String>,
    /// The time of the last recheck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<String>,
    /// CloudTrail's later evidence about the contained credential. Null: it was not asked.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub afterwards: Value,
    /// When anything last changed.
    pub updated_at: String,
    /// The status of the last report.
    pub status: String,
    /// The channels that could not send the last report, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_notified: Option<String>,
    /// Who released it, and when.
    pub released: Option<String>,
    /// The place where its page was last stored, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// The plan that awaits approval. Null: there is none. See [`Incident::awaiting`].
    #[serde(skip_serializing_if = "Value::is_null")]
    pub awaiting: Value,
    /// Who approved a plan, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
    /// Who rejected the plan, when, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The last report.
    pub report: Value,
    /// The event.
    pub event: Value,
    /// The described world before anything was changed, and what was collected afterwards.
    pub evidence: Value,
    /// The settings that it was contained with.
    pub settings: Settings,
    /// The actions that were begun, by their key, each with the value that it found first.
    pub actions: BTreeMap<String, Value>,
    /// The keys of the steps that an invocation at work has found in effect.
    #[serde(skip)]
    pub relies_on: BTreeSet<String>,
}

impl Record {
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
        Ok(items.iter().map(Incident::from_item).collect())
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
        let mut incidents: Vec<_> = items.iter().map(Incident::from_item).collect();
        incidents.sort_by(|a: &Incident, b| b.received_at.cmp(&a.received_at));
        Ok(incidents)
    }
}

/// The keys of the steps that a report shows in effect.
pub(super) fn in_effect(report: &Value) -> impl Iterator<Item = String> {
    keys_in_effect(report["steps"].as_array().into_iter().flatten())
}

fn keys_in_effect<'a>(steps: impl Iterator<Item = &'a Value>) -> impl Iterator<Item = String> {
    let stands = |step: &&Value| matches!(step["outcome"].as_str(), Some("applied" | "already"));
    let key = |step: &Value| {
        Some(format!(
            "{} {}",
            step["action"].as_str()?,
            step["target"].as_str()?
        ))
    };
    steps.filter(stands).filter_map(key)
}

impl Incident {
    /// The incident of `report`, where nothing of it could be recorded.
    pub(crate) fn unrecorded(
        finding: &Finding,
        event: &Value,
        report: &Report,
        collected: &Value,
        times: Times,
        now: Timestamp,
    ) -> Self {
        let at = |time: Timestamp| Some(time.to_string());
        let part = sort_key(report.category(), finding);
        Self {
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
            ..Self::default()
        }
    }

    pub(super) fn from_item(item: &HashMap<String, AttributeValue>) -> Self {
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
        Self {
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

    /// True if nothing of the plan was carried out: in a dry run, and while it awaits approval.
    #[must_use]
    pub fn is_only_planned(&self) -> bool {
        self.status == "dry_run" || (self.status == "notified" && !self.awaiting.is_null())
    }

    /// True if something is contained on account of it, by what was recorded, and it was not released.
    pub(crate) fn is_open(&self) -> bool {
        let standing = ["containing", "contained", "partial"];
        !self.actions.is_empty()
            || !self.relies_on.is_empty()
            || standing.contains(&self.status.as_str())
    }

    /// The names and targets of what was begun on account of it, and of what was found in effect.
    pub(crate) fn standing(&self) -> impl Iterator<Item = String> {
        let recorded = self.actions.keys().chain(&self.relies_on).cloned();
        recorded.chain(in_effect(&self.report))
    }

    /// The names and targets of what contains its target, by the last report.
    pub(crate) fn contained_by(&self) -> impl Iterator<Item = String> {
        let steps = self.report["steps"].as_array().into_iter().flatten();
        let contains = |step: &&Value| step["phase"] == "contain";
        keys_in_effect(steps.filter(contains))
    }

    /// The function, and the handed-over part of an attack sequence, in words.
    pub fn scope(&self) -> String {
        let part = self.part.as_ref();
        let part = part.map(|part| format!(", {part}")).unwrap_or_default();
        format!("{}{part}", self.category)
    }

    pub(in crate::record) fn sort_key(&self) -> String {
        match &self.part {
            Some(part) => joined(&self.category, part),
            None => self.category.clone(),
        }
    }

    /// The category, if this version knows it.
    ///
    /// # Errors
    /// If a newer version wrote the item.
    pub fn known_category(&self) -> Result<Category> {
        Category::from_word(&self.category).ok_or_else(|| {
            Error::Refused(format!(
                "this version knows no category '{}'",
                self.category
            ))
        })
    }
}
