//! The event, the decision, the steps, and the values they found: how it is written down.

mod after;
mod conclude;
mod keys;
mod read;
mod underway;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub(crate) use self::conclude::NOT_DONE_AGAIN;
use self::keys::key;
pub(crate) use self::keys::sort_key as incident_key;
use self::keys::sort_key;
use self::read::from_item;
pub(crate) use self::read::unrecorded;
use self::underway::{RELIES_ON, UNDOING};
use super::write::{Write, if_met};
use super::{Approved, Incident, IncidentStore, Item, get, text};
use crate::category::Category;
use crate::error::{Error, Result};
use crate::finding::{Finding, abridged};
use crate::notify::Channel;
use crate::plan::StepKey;
use crate::report::{Approval, Status};
use crate::settings::Settings;

/// DynamoDB takes items of at most 400 KB,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>. The most that an event, a
/// report and each of the two pieces of evidence may take. It leaves 104 KB for the actions, beside CloudTrail's later
/// evidence, which are kept in full: they are what is put back.
const PART_LIMIT: usize = 64 * 1024;
pub(super) const EVENT_LIMIT: usize = 96 * 1024;
/// The limit of CloudTrail's later evidence.
const AFTERWARDS_LIMIT: usize = 8 * 1024;
/// An expression has at most 4 KB and 300 operators (ibid.): the actions of one update.
const ACTIONS: usize = 50;
/// The attribute with the channels that could not send a notice of an incident, and why.
const NOT_NOTIFIED: &str = "not_notified";

/// The attribute with the status that a channel last sent.
fn notified(channel: Channel) -> &'static str {
    match channel {
        Channel::Text => "notified",
        Channel::Chat => "notified_chat",
        Channel::Event => "notified_event",
        Channel::SecurityHub => "notified_security_hub",
    }
}

/// The attributes of a plan that waits for an approval, and those that say that it was notified.
pub(super) const PLAN: [&str; 2] = ["awaiting", "planned_at"];
pub(super) const PLAN_NOTIFIED: [&str; 2] = ["notified_plan", "notified_until"];

/// Attributes of recorded actions: this and the action's key.
const ACTION: &str = "action:";

/// The steps that are about to run.
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
    /// The plan that it carries out, if an approver approved one.
    pub approved: Option<Approved>,
    /// Who does it: the same when Lambda retries an invocation.
    pub invocation: String,
}

/// The intents that were written now and not before.
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
    /// When the event came in. `None`: the intent says so.
    pub received: Option<Timestamp>,
    /// When it was known what to do.
    pub decided: Option<Timestamp>,
    /// When something contained the target, as read back.
    pub contained: Option<Timestamp>,
    /// It was a recheck.
    pub look: bool,
}

/// The state of an incident before its conclusion.
#[derive(Debug)]
pub struct Recorded {
    /// The incident as it is now.
    pub incident: Box<Incident>,
    /// The status that each channel last sent.
    pub notified: BTreeMap<Channel, String>,
    /// The gist of the plan in the last notice, and the end of its approval time.
    pub plan: Option<(String, Timestamp)>,
    /// The record shows a containment, and this attempt says nothing of it.
    pub(crate) kept: bool,
    /// A dry run read that something is not in effect that the record showed in effect.
    pub(crate) undone: bool,
    /// An earlier attempt found that somebody undid the containment, and sent no notice.
    pub(crate) undoing_untold: bool,
}

impl Recorded {
    fn of(item: &Item) -> Self {
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

    /// True if a notice was sent of this plan, and says that it can still be approved at `now`.
    pub(crate) fn told_of(&self, approval: &Approval, now: Timestamp) -> bool {
        let told = self.plan.as_ref();
        told.is_some_and(|(gist, until)| *gist == approval.gist() && now < *until)
    }
}

/// How long the record of a drill is kept.
const DRILL_LASTS: SignedDuration = SignedDuration::from_hours(7 * 24);

impl IncidentStore {
    /// Writes down what is about to be done, before it is. An action that was written down before keeps the value that
    /// it found first: a retry finds the work of the attempt before. Many actions take several writes, so some may be
    /// written down when the table fails.
    ///
    /// A plan that awaited approval awaits it no longer.
    ///
    /// # Errors
    /// If the table cannot be written, or the approved plan is no longer the waiting one.
    pub async fn intend(
        &self,
        category: Category,
        finding: &Finding,
        event: &Value,
        intent: &Intent,
        now: Timestamp,
    ) -> Result<Intended> {
        let mut parts = intent.actions.chunks(ACTIONS);
        let first_part = parts.next().unwrap_or_default();
        let write = self.intended(category, finding, event, intent, now);
        let before = if_met(recording(write, first_part).await)?.ok_or_else(|| {
            Error::Refused(
                "the plan was replaced, approved or rejected since it was read: look at it again"
                    .to_owned(),
            )
        })?;
        let mut actions = new_actions(first_part, &before);
        for part in parts {
            let before = recording(self.item(finding, category), part).await?;
            actions.extend(new_actions(part, &before));
        }
        Ok(Intended {
            actions,
            first: !before.contains_key("intended_at"),
            retried: get(&before, "invocation") == Some(&intent.invocation),
            stood: stood(&before),
            in_effect: in_effect(&before),
        })
    }

    /// The write of an intent, but for its actions.
    fn intended(
        &self,
        category: Category,
        finding: &Finding,
        event: &Value,
        intent: &Intent,
        now: Timestamp,
    ) -> Write<'_> {
        let write = self
            .described(finding, category, now)
            .set_once("received_at", intent.received_at)
            .set_once("intended_at", now)
            .set("event", abridged(event, EVENT_LIMIT))
            .set("settings", json(&intent.settings))
            .set("invocation", &intent.invocation)
            .set("#status", "containing")
            .remove(PLAN);
        let evidence = cut(&intent.evidence);
        let write = if intent.completes {
            write.set("evidence", evidence)
        } else {
            write.set_once("evidence", evidence)
        };
        match &intent.approved {
            Some(Approved { planned_at, by }) => write
                .set("approved", format!("by {by} at {now}"))
                .remove(PLAN_NOTIFIED)
                .when("planned_at = :planned")
                .value(":planned", text(planned_at.to_string())),
            None => write,
        }
    }

    /// Takes back what [`IncidentStore::intend`] wrote down, since nothing of it was begun: the value found when it runs one
    /// day counts.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn withdraw(
        &self,
        category: Category,
        finding: &Finding,
        intended: &Intended,
    ) -> Result<()> {
        let mut write = self.item(finding, category);
        if intended.first {
            write = write.remove(["intended_at", "evidence"]);
        } else if intended.actions.is_empty() {
            return Ok(());
        }
        let mut parts = intended.actions.chunks(ACTIONS);
        loop {
            for (index, key) in parts.next().unwrap_or_default().iter().enumerate() {
                let alias = format!("#a{index}");
                write = write.name(&alias, format!("{ACTION}{key}")).remove([alias]);
            }
            write.send().await?;
            if parts.len() == 0 {
                return Ok(());
            }
            write = self.item(finding, category);
        }
    }

    /// A write to the incident of a finding.
    pub(super) fn item(&self, finding: &Finding, category: Category) -> Write<'_> {
        self.update(
            key(&finding.id, finding.is_drill()),
            &sort_key(category, finding),
        )
    }

    /// A write to the incident of a finding that says what the finding is about.
    pub(super) fn described(
        &self,
        finding: &Finding,
        category: Category,
        now: Timestamp,
    ) -> Write<'_> {
        self.item(finding, category)
            .set("kind", "incident")
            .set("updated_at", now)
            .set("finding_type", finding.finding_type.as_str())
            .set("account_id", &finding.account_id)
            .set("#region", &finding.region)
    }

    /// A write to an incident that was read.
    pub(super) fn incident(&self, incident: &Incident) -> Write<'_> {
        self.update(key(&incident.id, incident.drill), &incident.sort_key())
    }
}

/// Writes actions down, too, and answers the item as it was before.
async fn recording(mut write: Write<'_>, actions: &[(String, Value)]) -> Result<Item> {
    for (index, (key, action)) in actions.iter().enumerate() {
        let alias = format!("#a{index}");
        write = write
            .name(&alias, format!("{ACTION}{key}"))
            .set_once(&alias, action);
    }
    write.send_for(ReturnValue::AllOld).await
}

/// The keys of the actions that were not written down before.
fn new_actions(actions: &[(String, Value)], before: &Item) -> Vec<String> {
    let keys = actions.iter().map(|(key, _)| key);
    let new = keys.filter(|key| !before.contains_key(&format!("{ACTION}{key}")));
    new.cloned().collect()
}

/// The status of an incident, if it is one of a containment.
fn stood(item: &Item) -> Option<Status> {
    let standing = [Status::Contained, Status::Partial].into_iter();
    let mut standing = standing.filter(|status| get(item, "status") == Some(status.as_str()));
    standing.next()
}

/// The keys of the steps that the report of an incident shows in effect, if it is contained.
fn in_effect(item: &Item) -> BTreeSet<String> {
    let report = get(item, "report").filter(|_| stood(item).is_some());
    let report: Value = report
        .and_then(|report| serde_json::from_str(report).ok())
        .unwrap_or_default();
    model::incident::in_effect(&report).collect()
}

fn json(settings: &Settings) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}

/// JSON text, or a note of its size if it is too long for the table.
pub(super) fn cut(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= PART_LIMIT {
        return text;
    }
    serde_json::json!({ "omitted": format!("{} bytes; see the function's log", text.len()) })
        .to_string()
}
