//! What came in, what was decided, what was done, and what it found.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{Approved, DRILL_EXPIRES, Record, get, text};
use crate::catalogue::Category;
use crate::error::{CallContext, Error, Result};
use crate::evidence::Stored;
use crate::finding::{Finding, abridged};
use crate::notify::Channel;
use crate::policy;
use crate::report::{Approval, Report, Status};
use crate::settings::Settings;

/// DynamoDB takes items of at most 400 KB,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>. What an
/// event, a report and each of the two pieces of evidence may take leaves 112 KB for the actions,
/// which are kept in full: they are what is put back.
const PART_LIMIT: usize = 64 * 1024;
pub(super) const EVENT_LIMIT: usize = 96 * 1024;
/// An expression has at most 4 KB and 300 operators (ibid.): the actions of one update.
const ACTIONS: usize = 50;
/// The attribute that says by which channels an incident could not be told, and why.
const NOT_NOTIFIED: &str = "not_notified";

/// The attribute with the status that was last told by a channel.
fn notified(channel: Channel) -> &'static str {
    match channel {
        Channel::Text => "notified",
        Channel::Chat => "notified_chat",
        Channel::Event => "notified_event",
        Channel::SecurityHub => "notified_security_hub",
    }
}

/// Attributes of recorded actions: this and the action's key.
const ACTION: &str = "action:";

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
    /// What was contained, where the finding is an attack sequence that was handed over in parts.
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
    /// When people were last told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notified_at: Option<String>,
    /// When the responder last looked again whether the containment stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<String>,
    /// When anything last changed.
    pub updated_at: String,
    /// The status of the last report.
    pub status: String,
    /// By which channels the last report could not be told, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_notified: Option<String>,
    /// Who released it, and when.
    pub released: Option<String>,
    /// Where its page was stored last, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// The plan that waits for a person. Null: there is none. See [`Incident::awaiting`].
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
}

/// What is about to be done.
#[derive(Debug)]
pub struct Intent {
    /// When the event came in.
    pub received_at: Timestamp,
    /// The described world before anything is changed.
    pub evidence: Value,
    /// The settings that the plan was made with; undoing it needs the same.
    pub settings: Settings,
    /// The actions, by their key.
    pub actions: Vec<(String, Value)>,
    /// The evidence is that of what this invocation has intended before, and more.
    pub completes: bool,
    /// The plan that it carries out, where a person approved one.
    pub approved: Option<Approved>,
}

/// What was written down now and was not before.
#[derive(Debug)]
pub struct Intended {
    /// The keys of the actions.
    actions: Vec<String>,
    /// Nothing was intended before.
    first: bool,
}

impl Intended {
    /// True if nothing was intended before.
    pub(crate) fn is_first(&self) -> bool {
        self.first
    }
}

/// When what is concluded came about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// When it was known what to do.
    pub decided: Option<Timestamp>,
    /// When something contained the target, as read back.
    pub contained: Option<Timestamp>,
    /// It was a look whether the containment stands.
    pub look: bool,
}

/// What concluding an incident says about what was there before.
#[derive(Debug)]
pub struct Recorded {
    /// The incident as it is now.
    pub incident: Box<Incident>,
    /// The status that was last told, by each channel that told one.
    pub notified: BTreeMap<Channel, String>,
    /// The gist of the plan that they were told awaits approval, and until when.
    pub plan: Option<(String, Timestamp)>,
}

impl Recorded {
    /// True if people know of this plan, and were told that it can still be approved at `now`.
    pub(crate) fn told_of(&self, approval: &Approval, now: Timestamp) -> bool {
        let told = self.plan.as_ref();
        told.is_some_and(|(gist, until)| *gist == approval.gist() && now < *until)
    }
}

/// What the keys of incidents begin with, and those of drills.
const INCIDENT: &str = "INCIDENT#";
const DRILL: &str = "DRILL#";
/// How long the record of a drill is kept.
const DRILL_LASTS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// `INCIDENT#<finding id>`, or `DRILL#<finding id>`.
pub(super) fn key(id: &str, drill: bool) -> String {
    format!("{}{id}", if drill { DRILL } else { INCIDENT })
}

/// The function; for a part of an attack sequence also what is contained, since one function may get
/// several parts of the same sequence.
fn sort_key(category: Category, finding: &Finding) -> String {
    let part = finding
        .handed_over_to()
        .and_then(|_| policy::targets(category, finding).ok());
    match part {
        Some(targets) => joined(category.as_str(), &targets.join(",")),
        None => category.to_string(),
    }
}

fn joined(category: &str, part: &str) -> String {
    format!("{category}#{part}")
}

impl Record {
    /// Writes down what is about to be done, before it is. An action that was written down before
    /// keeps the value that it found first: what a retry finds is the work of the attempt before.
    /// Many actions take several writes, so some may be written down when the table fails.
    ///
    /// A plan that waited for a person waits no longer.
    ///
    /// # Errors
    /// If the table cannot be written, or the plan that a person approved is no longer the one that waits.
    pub async fn intend(
        &self,
        category: Category,
        finding: &Finding,
        event: &Value,
        intent: &Intent,
        now: Timestamp,
    ) -> Result<Intended> {
        let mut expression = vec![
            "kind = :kind".to_owned(),
            "received_at = if_not_exists(received_at, :received)".to_owned(),
            "intended_at = if_not_exists(intended_at, :now)".to_owned(),
            "updated_at = :now".to_owned(),
            "event = :event".to_owned(),
            if intent.completes {
                "evidence = :evidence".to_owned()
            } else {
                "evidence = if_not_exists(evidence, :evidence)".to_owned()
            },
            "settings = :settings".to_owned(),
            "finding_type = :type".to_owned(),
            "account_id = :account".to_owned(),
            "#region = :region".to_owned(),
            "#status = :status".to_owned(),
        ];
        let mut call = self
            .item(finding, category)
            .expression_attribute_names("#region", "region")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":kind", text("incident"))
            .expression_attribute_values(":received", text(intent.received_at.to_string()))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":event", text(abridged(event, EVENT_LIMIT).to_string()))
            .expression_attribute_values(":evidence", text(cut(&intent.evidence)))
            .expression_attribute_values(":settings", text(json(&intent.settings)))
            .expression_attribute_values(":type", text(finding.finding_type.as_str()))
            .expression_attribute_values(":account", text(&finding.account_id))
            .expression_attribute_values(":region", text(&finding.region))
            .expression_attribute_values(":status", text("containing"));
        if let Some(Approved { planned_at, by }) = &intent.approved {
            expression.push("approved = :approved".to_owned());
            call = call
                .condition_expression("planned_at = :planned")
                .expression_attribute_values(":approved", text(format!("by {by} at {now}")))
                .expression_attribute_values(":planned", text(planned_at.to_string()));
        }
        let mut removed = " REMOVE awaiting, planned_at";
        let mut parts = intent.actions.chunks(ACTIONS);
        let (mut written, mut first) = (Vec::new(), None);
        loop {
            let part = parts.next().unwrap_or_default();
            for (index, (key, action)) in part.iter().enumerate() {
                expression.push(format!("#a{index} = if_not_exists(#a{index}, :a{index})"));
                call = call
                    .expression_attribute_names(format!("#a{index}"), format!("{ACTION}{key}"))
                    .expression_attribute_values(format!(":a{index}"), text(action.to_string()));
            }
            let done = call
                .update_expression(format!("SET {}{removed}", expression.join(", ")))
                .return_values(ReturnValue::AllOld)
                .send()
                .await
                .during("dynamodb:UpdateItem", &self.table);
            let before = match done {
                Err(error) if error.has_code("ConditionalCheckFailedException") => {
                    return Err(Error::Refused(
                        "the plan was replaced, approved or rejected meanwhile: look at it again"
                            .to_owned(),
                    ));
                }
                done => done?.attributes.unwrap_or_default(),
            };
            first.get_or_insert(!before.contains_key("intended_at"));
            let new = part.iter().map(|(key, _)| key);
            let new = new.filter(|key| !before.contains_key(&format!("{ACTION}{key}")));
            written.extend(new.cloned());
            if parts.len() == 0 {
                return Ok(Intended {
                    actions: written,
                    first: first.unwrap_or_default(),
                });
            }
            expression.clear();
            removed = "";
            call = self.item(finding, category);
        }
    }

    /// Takes back what [`Record::intend`] wrote down, since nothing of it was begun: what is found when
    /// it is done one day is what counts.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn withdraw(
        &self,
        category: Category,
        finding: &Finding,
        intended: &Intended,
    ) -> Result<()> {
        let mut removed: Vec<_> = if intended.first {
            ["intended_at", "evidence"].map(ToOwned::to_owned).into()
        } else {
            Vec::new()
        };
        let mut parts = intended.actions.chunks(ACTIONS);
        loop {
            let mut call = self.item(finding, category);
            for (index, key) in parts.next().unwrap_or_default().iter().enumerate() {
                call =
                    call.expression_attribute_names(format!("#a{index}"), format!("{ACTION}{key}"));
                removed.push(format!("#a{index}"));
            }
            if removed.is_empty() {
                return Ok(());
            }
            call.update_expression(format!("REMOVE {}", removed.join(", ")))
                .send()
                .await
                .during("dynamodb:UpdateItem", &self.table)?;
            removed.clear();
        }
    }

    /// Writes down what came of it.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn conclude(
        &self,
        finding: &Finding,
        event: &Value,
        report: &Report,
        collected: &Value,
        times: Times,
        now: Timestamp,
    ) -> Result<Recorded> {
        // A delivery that found nothing to do says nothing new of what was done.
        let again = report.status() == Status::AlreadyContained && !finding.is_drill();
        let (status, first) = if again {
            (
                Status::Contained,
                [
                    "if_not_exists(report, :report)",
                    "if_not_exists(collected, :collected)",
                ],
            )
        } else {
            (report.status(), [":report", ":collected"])
        };
        // What is contained waits for nobody.
        let removed = match report.status() {
            Status::Contained | Status::AlreadyContained => " REMOVE awaiting, planned_at",
            _ => "",
        };
        let mut call = self.item(finding, report.category());
        let mut more = String::new();
        for (name, time) in [("decided", times.decided), ("contained", times.contained)] {
            if let Some(time) = time {
                let _ = write!(more, ", {name}_at = if_not_exists({name}_at, :{name})");
                call = call.expression_attribute_values(format!(":{name}"), text(time.to_string()));
            }
        }
        if times.look {
            more.push_str(", looked_at = :now");
        }
        if finding.is_drill() {
            let until = now.saturating_add(DRILL_LASTS).unwrap_or(now).as_second();
            let _ = write!(more, ", {DRILL_EXPIRES} = :until");
            call = call.expression_attribute_values(":until", AttributeValue::N(until.to_string()));
        }
        let written = call
            .update_expression(format!(
                "SET kind = :kind, received_at = if_not_exists(received_at, :now), updated_at = :now, \
                 concluded_at = if_not_exists(concluded_at, :now), \
                 event = if_not_exists(event, :event), finding_type = :type, account_id = :account, \
                 #region = :region, #status = :status, report = {}, collected = {}, version = :version{more}{removed}",
                first[0], first[1],
            ))
            .expression_attribute_names("#region", "region")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":kind", text("incident"))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":event", text(abridged(event, EVENT_LIMIT).to_string()))
            .expression_attribute_values(":type", text(finding.finding_type.as_str()))
            .expression_attribute_values(":account", text(&finding.account_id))
            .expression_attribute_values(":region", text(&finding.region))
            .expression_attribute_values(":status", text(status.as_str()))
            .expression_attribute_values(":report", text(report.within(PART_LIMIT)))
            .expression_attribute_values(":collected", text(cut(collected)))
            .expression_attribute_values(":version", text(crate::VERSION))
            // What people were told is not touched, so that it is as it was before.
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .during("dynamodb:UpdateItem", &self.table)?;
        let item = written.attributes.unwrap_or_default();
        Ok(Recorded {
            incident: Box::new(Incident::from_item(&item)),
            notified: Channel::ALL
                .into_iter()
                .filter_map(|channel| Some((channel, get(&item, notified(channel))?.to_owned())))
                .collect(),
            plan: get(&item, "notified_plan").and_then(|plan| {
                let until = get(&item, "notified_until")?.parse().ok()?;
                Some((plan.to_owned(), until))
            }),
        })
    }

    /// Writes down by which channels this status was told, with the plan that waits, and by which it
    /// could not be, and why. These count as never told, so that a retry tells them.
    ///
    /// # Errors
    /// If the table cannot be written; what was told may then be told again.
    pub async fn mark_notified(
        &self,
        finding: &Finding,
        report: &Report,
        sent: &[(Channel, Result<()>)],
        now: Timestamp,
    ) -> Result<()> {
        let mut call = self.item(finding, report.category());
        let (mut set, mut removed) = (Vec::new(), Vec::new());
        let mut failures = Vec::new();
        for (channel, sent) in sent {
            match sent {
                Ok(()) => set.push(format!("{} = :status", notified(*channel))),
                Err(error) => {
                    removed.push(notified(*channel));
                    failures.push(format!("{}: {error}", channel.as_str()));
                }
            }
        }
        let people =
            |(channel, sent): &(Channel, Result<()>)| channel.is_for_people() && sent.is_ok();
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
            .expression_attribute_values(":status", text("released"))
            .expression_attribute_values(":released", text(format!("by {by} at {now}")))
            .expression_attribute_values(":actions", text(actions))
            .expression_attribute_values(":now", text(now.to_string()));
        let kept_once = [
            "notified",
            "notified",
            "notified_chat",
            "notified_event",
            "notified_security_hub",
            "notified_at",
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

    /// The incidents of a finding, one per function that dealt with it.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn incidents_of(&self, id: &str) -> Result<Vec<Incident>> {
        self.under(key(id, false)).await
    }

    /// What the functions recorded of the drill with this id.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn drill(&self, id: &str) -> Result<Vec<Incident>> {
        self.under(key(id, true)).await
    }

    async fn under(&self, key: String) -> Result<Vec<Incident>> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(key))
            .consistent_read(true)
            .into_paginator()
            .send();
        let mut incidents = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.during("dynamodb:Query", &self.table)?;
            incidents.extend(
                page.items
                    .unwrap_or_default()
                    .iter()
                    .map(Incident::from_item),
            );
        }
        Ok(incidents)
    }

    /// Every incident, and every drill that is still kept, the newest first.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn incidents(&self) -> Result<Vec<Incident>> {
        let mut pages = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression("kind = :kind")
            .expression_attribute_values(":kind", text("incident"))
            .into_paginator()
            .send();
        let mut incidents = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.during("dynamodb:Scan", &self.table)?;
            incidents.extend(
                page.items
                    .unwrap_or_default()
                    .iter()
                    .map(Incident::from_item),
            );
        }
        incidents.sort_by(|a: &Incident, b| b.received_at.cmp(&a.received_at));
        Ok(incidents)
    }

    pub(super) fn item(&self, finding: &Finding, category: Category) -> UpdateItemFluentBuilder {
        self.update(
            key(&finding.id, finding.is_drill()),
            &sort_key(category, finding),
        )
    }

    pub(super) fn update(&self, key: String, sort_key: &str) -> UpdateItemFluentBuilder {
        let call = self.client.update_item().table_name(&self.table);
        call.key("pk", text(key)).key("sk", text(sort_key))
    }
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
            received_at: now.to_string(),
            decided_at: times.decided.and_then(at),
            contained_at: times.contained.and_then(at),
            concluded_at: at(now),
            updated_at: now.to_string(),
            status: report.status().as_str().to_owned(),
            report: serde_json::to_value(report).unwrap_or_default(),
            event: event.clone(),
            evidence: serde_json::json!({ "before": null, "after": collected }),
            ..Self::default()
        }
    }

    fn from_item(item: &HashMap<String, AttributeValue>) -> Self {
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
        let (drill, id) = match key.strip_prefix(DRILL) {
            Some(id) => (true, id),
            None => (false, key.strip_prefix(INCIDENT).unwrap_or(&key)),
        };
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
        }
    }

    /// The function, and the part of an attack sequence that it was handed, for a person.
    pub fn scope(&self) -> String {
        let part = self.part.as_ref();
        let part = part.map(|part| format!(", {part}")).unwrap_or_default();
        format!("{}{part}", self.category)
    }

    pub(super) fn sort_key(&self) -> String {
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

fn json(settings: &Settings) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}

/// JSON text, or what can be said of it where it is too long for the table.
pub(super) fn cut(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= PART_LIMIT {
        return text;
    }
    serde_json::json!({ "omitted": format!("{} bytes; see the function's log", text.len()) })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use serde_json::json;

    #[test]
    fn the_parts_of_a_sequence_that_one_function_gets_are_incidents_of_their_own() {
        let handed = |instance: &str| {
            finding(json!({
                "type": "AttackSequence:EC2/CompromisedInstanceGroup",
                "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": instance } },
                "handedOverTo": "ec2",
            }))
        };
        let whole = finding(json!({
            "type": "AttackSequence:EC2/CompromisedInstanceGroup",
            "resource": { "resourceType": "AttackSequence" },
        }));
        let keys = [
            sort_key(Category::Triage, &whole),
            sort_key(Category::Ec2, &handed("i-0abc1234")),
            sort_key(Category::Ec2, &handed("i-0abc1235")),
        ];
        assert_eq!(
            keys,
            [
                "triage",
                "ec2#us-east-1/i-0abc1234",
                "ec2#us-east-1/i-0abc1235"
            ]
        );
        for key in keys {
            let item = HashMap::from([("sk".to_owned(), text(&key))]);
            let incident = Incident::from_item(&item);
            assert!(incident.known_category().is_ok(), "{key}");
            assert_eq!(incident.sort_key(), key);
        }
    }

    #[test]
    fn a_finding_of_one_kind_is_one_incident_a_function() {
        let finding = crate::fixtures::user_finding("mallory");
        assert_eq!(sort_key(Category::Iam, &finding), "iam");
    }
}
