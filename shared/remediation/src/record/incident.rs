//! What came in, what was decided, what was done, and what it found: how it is written down.

mod after;
mod conclude;
mod keys;
mod read;
mod underway;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub(crate) use self::conclude::NOT_DONE_AGAIN;
pub(super) use self::keys::key;
pub(crate) use self::keys::sort_key as incident_key;
use self::keys::sort_key;
use self::read::from_item;
pub(crate) use self::read::unrecorded;
use self::underway::{RELIES_ON, UNDOING};
use super::{Approved, Incident, Record, get, text};
use crate::category::Category;
use crate::error::{CallContext, Error, Result};
use crate::finding::{Finding, abridged};
use crate::notify::Channel;
use crate::plan::StepKey;
use crate::report::{Approval, Status};
use crate::settings::Settings;

/// DynamoDB takes items of at most 400 KB,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>. What an
/// event, a report and each of the two pieces of evidence may take leaves 104 KB for the actions, beside what CloudTrail shows later,
/// which are kept in full: they are what is put back.
const PART_LIMIT: usize = 64 * 1024;
pub(super) const EVENT_LIMIT: usize = 96 * 1024;
/// What CloudTrail showed some time later.
const AFTERWARDS_LIMIT: usize = 8 * 1024;
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
    /// Who does it: the same when Lambda retries an invocation.
    pub invocation: String,
}

/// What was written down now and was not before.
#[derive(Debug)]
pub struct Intended {
    /// The keys of the actions.
    actions: Vec<String>,
    /// Nothing was intended before.
    first: bool,
    /// The same invocation intended something before.
    retried: bool,
    /// The status before, if that was a containment.
    stood: Option<Status>,
    /// The keys of the steps that the last report shows in effect.
    in_effect: BTreeSet<String>,
}

impl Intended {
    /// True if an earlier attempt of the same invocation intended something.
    pub(crate) fn is_retried(&self) -> bool {
        self.retried
    }

    /// The status that the record showed before, if that was a containment.
    pub(crate) fn stood(&self) -> Option<Status> {
        self.stood
    }

    /// True if an earlier attempt of the same invocation contained the target. Its retry may read what was so
    /// before.
    pub(crate) fn is_settled(&self) -> bool {
        self.retried && self.stood.is_some()
    }

    /// True if the last report shows this step in effect.
    pub(crate) fn was_in_effect(&self, key: &StepKey) -> bool {
        self.in_effect.contains(&key.to_string())
    }

    /// True if nothing was intended before.
    pub(crate) fn is_first(&self) -> bool {
        self.first
    }
}

/// When what is concluded came about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// When the event came in. `None`: what was intended says so.
    pub received: Option<Timestamp>,
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
    /// The record shows a containment, and this attempt says nothing of it.
    pub(crate) kept: bool,
    /// A dry run read that something is not in effect that the record showed in effect.
    pub(crate) undone: bool,
    /// An earlier attempt found that somebody undid the containment, and told nobody.
    pub(crate) undoing_untold: bool,
}

impl Recorded {
    fn of(item: &HashMap<String, AttributeValue>) -> Self {
        Self {
            incident: Box::new(from_item(item)),
            notified: Channel::ALL
                .into_iter()
                .filter_map(|channel| Some((channel, get(item, notified(channel))?.to_owned())))
                .collect(),
            plan: get(item, "notified_plan").and_then(|plan| {
                let until = get(item, "notified_until")?.parse().ok()?;
                Some((plan.to_owned(), until))
            }),
            kept: false,
            undone: false,
            undoing_untold: item.contains_key(UNDOING),
        }
    }

    /// True if people know of this plan, and were told that it can still be approved at `now`.
    pub(crate) fn told_of(&self, approval: &Approval, now: Timestamp) -> bool {
        let told = self.plan.as_ref();
        told.is_some_and(|(gist, until)| *gist == approval.gist() && now < *until)
    }
}

/// How long the record of a drill is kept.
const DRILL_LASTS: SignedDuration = SignedDuration::from_hours(7 * 24);

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
            "invocation = :invocation".to_owned(),
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
            .expression_attribute_values(":invocation", text(&intent.invocation))
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
        let mut removed = if intent.approved.is_some() {
            " REMOVE awaiting, planned_at, notified_plan, notified_until"
        } else {
            " REMOVE awaiting, planned_at"
        };
        let mut parts = intent.actions.chunks(ACTIONS);
        let (mut written, mut earlier) = (Vec::new(), None);
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
            let (first, retried, stood, in_effect) = earlier.take().unwrap_or_else(|| {
                let retried = get(&before, "invocation") == Some(&intent.invocation);
                let first = !before.contains_key("intended_at");
                (first, retried, stood(&before), in_effect(&before))
            });
            let new = part.iter().map(|(key, _)| key);
            let new = new.filter(|key| !before.contains_key(&format!("{ACTION}{key}")));
            written.extend(new.cloned());
            if parts.len() == 0 {
                return Ok(Intended {
                    actions: written,
                    first,
                    retried,
                    stood,
                    in_effect,
                });
            }
            earlier = Some((first, retried, stood, in_effect));
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

/// The status of an incident, if it is one of a containment.
fn stood(item: &HashMap<String, AttributeValue>) -> Option<Status> {
    let standing = [Status::Contained, Status::Partial].into_iter();
    let mut standing = standing.filter(|status| get(item, "status") == Some(status.as_str()));
    standing.next()
}

/// The keys of the steps that the report of an incident shows in effect, if it stands.
fn in_effect(item: &HashMap<String, AttributeValue>) -> BTreeSet<String> {
    let report = get(item, "report").filter(|_| stood(item).is_some());
    let report: Value = report
        .and_then(|report| serde_json::from_str(report).ok())
        .unwrap_or_default();
    model::incident::in_effect(&report).collect()
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
