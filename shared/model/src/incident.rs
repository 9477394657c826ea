//! Incidents as they are recorded, and plans that await approval.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::category::Category;
use crate::decision::ResponseSettings;
use crate::error::{Error, Result};
use crate::report::{Proposed, Stored};
use crate::settings::Settings;

/// An incident, as the table has it.
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

/// A plan that awaits approval, with all that making it again needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Awaiting {
    /// The time that it was planned for.
    pub planned_at: Timestamp,
    /// From then on it can no longer be approved.
    pub expires_at: Timestamp,
    /// The contained targets, and why.
    pub what: String,
    /// The settings of the decision: the policies are asked with it again.
    pub policy: ResponseSettings,
    /// The settings that it was planned with.
    pub settings: Settings,
    /// The steps.
    pub steps: Vec<Held>,
}

/// A step that awaits approval.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The step as the approver sees it.
    #[serde(flatten)]
    pub proposed: Proposed,
    /// The action in full.
    pub recorded: Value,
}

/// The keys of the steps that a report shows in effect.
pub fn in_effect(report: &Value) -> impl Iterator<Item = String> {
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
    /// The plan that awaits approval, whether or not its time is over.
    ///
    /// # Errors
    /// If another version wrote it, and this one cannot read it.
    pub fn awaiting(&self) -> Result<Option<Awaiting>> {
        if self.awaiting.is_null() {
            return Ok(None);
        }
        let read = serde_json::from_value(self.awaiting.clone());
        read.map(Some).map_err(|error| {
            Error::Refused(format!(
                "this version of gdr cannot read the plan that awaits approval: {error}"
            ))
        })
    }

    /// True if nothing of the plan was carried out: in a dry run, and while it awaits approval.
    #[must_use]
    pub fn is_only_planned(&self) -> bool {
        self.status == "dry_run" || (self.status == "notified" && !self.awaiting.is_null())
    }

    /// True if something is contained on account of it, by what was recorded, and it was not released.
    pub fn is_open(&self) -> bool {
        let standing = ["containing", "contained", "partial"];
        !self.actions.is_empty()
            || !self.relies_on.is_empty()
            || standing.contains(&self.status.as_str())
    }

    /// The names and targets of what was begun on account of it, and of what was found in effect.
    pub fn standing(&self) -> impl Iterator<Item = String> {
        let recorded = self.actions.keys().chain(&self.relies_on).cloned();
        recorded.chain(in_effect(&self.report))
    }

    /// The names and targets of what contains its target, by the last report.
    pub fn contained_by(&self) -> impl Iterator<Item = String> {
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

    /// The part of its key that tells it from the other incidents of the same finding: `<category>`, or
    /// `<category>#<part>`.
    pub fn sort_key(&self) -> String {
        match &self.part {
            Some(part) => format!("{}#{part}", self.category),
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
