//! Who is at work on a target, and what became of it.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::write::{Write, if_met};
use super::{IncidentStore, Item, get, number, text};
use crate::category::Category;
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::recheck;
use crate::report::StepReport;
use crate::standing::{RecordedTarget, Standing};

/// How often an invocation looks whether the one before it is done.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Attributes of a target that say of which findings a message is to come: this and the finding's id. A message
/// that the record knows nothing of is somebody else's.
const AWAITED: &str = "awaited:";

/// The attributes that say what contains the target.
const STANDING: [&str; 3] = ["in_effect", "contained_severity", "found_undone"];

/// How long the table may take to answer. Containing does not wait for one that hangs.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// The recorded state of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetState {
    /// An invocation is at work, or was when it ended.
    Containing,
    /// In effect, as read back.
    Contained,
    /// In effect in part.
    Partial,
    /// Not in effect.
    Failed,
    /// Not in effect: the breaker or the policies let nothing through, or containing was left to the on-call engineer.
    Withheld,
    /// Released by the operator.
    Released,
}

impl TargetState {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Containing => "containing",
            Self::Contained => "contained",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Withheld => "withheld",
            Self::Released => "released",
        }
    }
}

/// The right to act on a target, until it is given back or its time is over.
#[derive(Debug)]
pub struct Claim {
    key: String,
    owner: String,
    target: String,
    /// How long the table took to answer.
    pub took: Duration,
    /// True if another invocation had to be waited for, so that what was read before is stale.
    pub waited: bool,
    /// The time of the operator's release, if the target was not contained since.
    pub released_at: Option<Timestamp>,
    /// The operator's release still counts.
    left: bool,
    /// The containment of the target by its last observation, unless the operator released it since.
    stands: Option<Standing>,
    /// The attribute that says that a message of the finding is to come.
    awaited: String,
    is_awaited: bool,
}

impl<'a> From<&'a Claim> for RecordedTarget<'a> {
    fn from(claim: &'a Claim) -> Self {
        Self {
            name: &claim.target,
            standing: claim.stands.as_ref(),
        }
    }
}

impl Claim {
    /// Leaves the target alone if it was released and nothing was `seen` of it since.
    pub(crate) fn leave_unless(&mut self, seen: Option<Timestamp>) {
        let released = self.released_at;
        self.left = released.is_some_and(|released| seen.is_none_or(|seen| seen <= released));
    }

    /// The recorded containment of the target. `None`: nothing that it knows of.
    pub(crate) fn stands(&self) -> Option<&Standing> {
        self.stands.as_ref()
    }

    /// True if a message of the finding is to come, or came now.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// The target's name.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// True if this is the target of that name.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.target == name
    }

    /// The released target, and the time of its release. `None`: it is not left alone.
    pub(crate) fn left(&self) -> Option<(&str, Timestamp)> {
        let released = self.released_at.filter(|_| self.left)?;
        Some((&self.target, released))
    }
}

/// The terms of a claim.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    /// The invocation; the same when Lambda retries it, which then has its claim still.
    pub owner: &'a str,
    /// The time of day.
    pub now: Timestamp,
    /// How long the claim lasts if it is not given back.
    pub lasts: Duration,
    /// How long to wait for another invocation.
    pub until: Instant,
}

/// The recorded containment of a target, by its item.
fn standing(item: &Item) -> Option<Standing> {
    let steps = serde_json::from_str(get(item, "in_effect")?).ok()?;
    // Earlier versions do not write it.
    let found_undone = get(item, "found_undone").and_then(|keys| serde_json::from_str(keys).ok());
    let severity = item.get("contained_severity").and_then(|it| it.as_n().ok());
    let severity = severity.and_then(|it| it.parse().ok()).unwrap_or_default();
    Some(Standing {
        steps,
        severity,
        found_undone: found_undone.unwrap_or_default(),
    })
}

fn awaited(finding: &Finding) -> String {
    format!("{AWAITED}{}", finding.id)
}

/// The key of a target. IAM is global; buckets' names are too.
pub(super) fn key(category: Category, account_id: &str, target: &str) -> String {
    format!("TARGET#{category}#{account_id}#{target}")
}

impl Claim {
    /// The new content of the target's item: its state, and what contains it by these `steps`, also on account of
    /// findings before this one, of `severity`. A step that was found undone is still one to be done again
    /// whatever the severity of the next finding.
    pub(crate) fn conclude(
        &self,
        state: TargetState,
        steps: &[StepReport],
        severity: f64,
    ) -> (TargetState, Standing) {
        let before = self.stands.clone().unwrap_or_default();
        let in_effect = recheck::in_effect(steps);
        let open = steps.iter().filter(|step| step.is_still_open());
        let mut found_undone = before.found_undone;
        found_undone.extend(open.map(StepReport::key));
        found_undone.retain(|key| before.steps.contains(key) && !in_effect.contains(key));
        let mut standing = Standing {
            steps: in_effect,
            severity: severity.max(before.severity),
            found_undone,
        };
        standing.steps.extend(before.steps);
        (state, standing)
    }

    /// True if one of these steps contained the target by the record and was not done again.
    pub(crate) fn finds_undone(&self, steps: &[StepReport]) -> bool {
        let stood = |key: &str| self.stands.as_ref().is_some_and(|it| it.is_in_effect(key));
        let mut open = steps.iter().filter(|step| step.is_still_open());
        open.any(|step| stood(&step.key()))
    }
}

impl IncidentStore {
    /// Claims `target` on these terms. Waits for another invocation that has it.
    ///
    /// # Errors
    /// If the table cannot be written, or the other invocation is not done in time.
    pub async fn claim(
        &self,
        category: Category,
        finding: &Finding,
        target: &str,
        lease: &Lease<'_>,
    ) -> Result<Claim> {
        let Lease {
            owner,
            now,
            lasts,
            until,
        } = *lease;
        let key = key(category, &finding.account_id, target);
        let started = Instant::now();
        let mut waited = false;
        loop {
            // The clock of this invocation, moved on by what it has waited.
            let at = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
            let at = now.as_millisecond().saturating_add(at);
            let lease_ends =
                at.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
            let asked = Instant::now();
            let claiming = self
                .update(key.clone(), "state")
                .set("lease_owner", owner)
                .set_value("lease_ends", number(lease_ends))
                .set("target", target)
                .when("attribute_not_exists(lease_ends) OR lease_ends < :now OR lease_owner = :lease_owner")
                .value(":now", number(at))
                .send_for(ReturnValue::AllOld);
            let claiming = Box::pin(claiming);
            match within(asked + ANSWERS_WITHIN, "dynamodb:UpdateItem", claiming).await {
                Ok(before) => {
                    let released =
                        get(&before, "target_state") == Some(TargetState::Released.as_str());
                    let released_at =
                        get(&before, "released_at").and_then(|time| time.parse().ok());
                    let awaited = awaited(finding);
                    return Ok(Claim {
                        key,
                        is_awaited: before.contains_key(&awaited),
                        awaited,
                        owner: owner.to_owned(),
                        target: target.to_owned(),
                        took: asked.elapsed(),
                        waited,
                        released_at: released_at.filter(|_| released),
                        left: false,
                        stands: standing(&before).filter(|_| !released),
                    });
                }
                Err(error) if error.has_code("ConditionalCheckFailedException") => {
                    waited = true;
                    if Instant::now() + LOOK_AGAIN >= until {
                        return Err(Error::Busy {
                            target: target.to_owned(),
                        });
                    }
                    sleep(LOOK_AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes down that a message of `finding` about `target` is to come again, which is believed only then. It is
    /// crossed out when the message is dealt with.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub(crate) async fn await_again(
        &self,
        category: Category,
        finding: &Finding,
        target: &str,
        now: Timestamp,
    ) -> Result<()> {
        self.update(key(category, &finding.account_id, target), "state")
            .name("#awaited", awaited(finding))
            .set("#awaited", now)
            .send()
            .await
    }

    /// Writes down that `finding` is the reason for which a claimed target is being contained. Its
    /// incident holds what was found.
    ///
    /// # Errors
    /// If the table cannot be written, or the claim's time is over.
    pub async fn begin(&self, claim: &Claim, finding: &Finding, now: Timestamp) -> Result<()> {
        self.claimed(claim, now)
            .set("target_state", TargetState::Containing.as_str())
            .set("finding_id", &finding.id)
            .send()
            .await
    }

    /// Ends a claim, with what became of the target and what contains it now. `None`: nothing was done to it.
    /// `again`: a message of the finding is to come, although nothing contains the target.
    ///
    /// # Errors
    /// If the table cannot be written. The claim then ends by its time.
    pub(crate) async fn end_claim(
        &self,
        claim: &Claim,
        state: Option<(TargetState, Standing)>,
        again: bool,
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self
            .claimed(claim, now)
            .remove(["lease_owner", "lease_ends"]);
        if again || claim.is_awaited {
            write = write.name("#awaited", &claim.awaited);
        }
        write = match (again, claim.is_awaited) {
            (true, _) => write.set("#awaited", now),
            (false, true) => write.remove(["#awaited"]),
            (false, false) => write,
        };
        if let Some((state, standing)) = state {
            write = write.set("target_state", state.as_str());
            let json = |keys| serde_json::to_string(keys).unwrap_or_default();
            write = if standing.steps.is_empty() {
                write.remove(STANDING)
            } else {
                let severity = AttributeValue::N(standing.severity.to_string());
                write
                    .set("in_effect", json(&standing.steps))
                    .set_value("contained_severity", severity)
                    .set("found_undone", json(&standing.found_undone))
            };
        }
        // Where the claim's time was over, another invocation has it; what it finds out counts.
        if_met(write.send().await).map(drop)
    }

    /// A write to a claimed target, which succeeds only while the claim lasts.
    fn claimed(&self, claim: &Claim, now: Timestamp) -> Write<'_> {
        self.update(claim.key.clone(), "state")
            .set("updated_at", now)
            .when("lease_owner = :owner")
            .value(":owner", text(&claim.owner))
    }

    /// Marks a target as released by the operator, so that the same activity does not contain it again.
    ///
    /// # Errors
    /// If the table cannot be written, or the claim's time is over and another has it.
    pub async fn mark_released(&self, claim: &Claim, by: &str, now: Timestamp) -> Result<()> {
        let done = self
            .claimed(claim, now)
            .set("target_state", TargetState::Released.as_str())
            .set("released_at", now)
            .set("released_by", by)
            .remove(STANDING)
            .send();
        if_met(done.await)?.ok_or_else(|| Error::Busy {
            target: claim.target.clone(),
        })
    }
}
