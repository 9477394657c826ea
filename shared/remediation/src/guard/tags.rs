//! Whether tags are older than the activity.
//!
//! GuardDuty reads the tags of a resource when it makes the finding, some minutes after the activity
//! began. So CloudTrail is asked, but only where the policies answer otherwise without a tag, whether it spares
//! the resource or permits the step: the answer holds up nothing else. Where it cannot tell, the approver
//! decides.

use jiff::Timestamp;
use tokio::time::Instant;

use super::history::PATIENCE;
use super::{Authorized, EventHistory, Gate, Resource, Verdict};
use crate::catalogue::Category;
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::investigate::setters::{TAG_BUCKETS, on_bucket, on_instance};
use crate::investigate::trail::{LAG, REACH};
use crate::plan::{StepKey, Withheld};

/// Who tagged the resource of this name since the activity began; `None`: nobody.
///
/// # Errors
/// If CloudTrail cannot tell, or cannot yet at `now`.
async fn tagged(
    history: &EventHistory,
    category: Category,
    finding: &Finding,
    (name, region): &(String, String),
    now: Timestamp,
) -> Result<Option<String>> {
    let began = finding.first_seen().ok_or_else(|| {
        Error::Refused("the finding does not say when the activity began".to_owned())
    })?;
    let there = history.trail().in_region(region);
    let events = match category {
        Category::S3 => on_bucket(&there, TAG_BUCKETS, name, began).await?,
        _ => on_instance(&there, name, began).await?,
    };
    if let Some(record) = events.records.first() {
        return Ok(Some(format!(
            "{} called {} after the activity began",
            record.caller_name(),
            record.name(),
        )));
    }
    if events.cut {
        return Err(Error::Refused(format!(
            "CloudTrail has more calls that may have tagged {name} since the activity began than were read"
        )));
    }
    match now.duration_since(began) {
        age if age < LAG => Err(Error::Refused(
            "the activity began less than 15 minutes ago, and CloudTrail may not show yet who has tagged it \
             since"
                .to_owned(),
        )),
        age if age > REACH => Err(Error::Refused(
            "the activity began before CloudTrail's event history".to_owned(),
        )),
        _ => Ok(None),
    }
}

/// What CloudTrail tells of the tags of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Nobody has set them since the activity began.
    Older,
    /// Somebody has, so that they do not count.
    SetSince,
    /// It cannot tell, for this reason.
    NotKnown(String),
}

/// An answer of the policies, as far as it decides what is done: whether a step may run, and whether it may if
/// it is approved.
pub(super) fn answer(verdict: &Verdict) -> (bool, bool) {
    match verdict {
        Verdict::Permitted(_) => (true, false),
        Verdict::Withheld(why) => (false, why.awaits_approval),
    }
}

/// What the policies say of a step, with what its tags are worth.
pub(super) struct Weighed {
    pub(super) verdict: Verdict,
    /// Name and Region of the resource, if its tags decide and CloudTrail tells how old they are.
    pub(super) rests_on_tags_of: Option<(String, String)>,
    /// That a tag would withhold the step and does not count.
    pub(super) doubted: Option<String>,
}

impl Gate<'_> {
    /// Judges a step. Where its tags decide, for sparing it or for permitting it, they count only if CloudTrail
    /// shows that nobody has set them since the activity began. Where that is not known, the approver decides.
    pub(super) fn weigh(&self, step: &StepKey, resource: &Resource) -> Weighed {
        let verdict = self.judge(step, resource);
        let said = answer(&verdict);
        let mut others = self
            .tag_worlds(resource)
            .into_iter()
            .map(|world| self.judge(step, &world));
        let other = others.find(|other| answer(other) != said);
        let unweighed = |verdict, resource: &Resource| {
            let permitted = matches!(verdict, Verdict::Permitted(_));
            let doubted = permitted.then(|| self.doubted(step, resource));
            (verdict, doubted.flatten())
        };
        let of = (resource.name.clone(), resource.region.clone());
        let age = self.known.borrow().tags.get(&of).cloned();
        let without = resource.without_set_tags();
        let ((verdict, doubted), asks) = match (other, age, &without) {
            // Tags that somebody has tampered with count for nothing, whatever they decide.
            (_, Some(Age::SetSince), Some(without)) => {
                (unweighed(self.judge(step, without), without), true)
            }
            (None, _, _) => (unweighed(verdict, resource), false),
            (Some(_), Some(Age::Older), _) => (unweighed(verdict, resource), true),
            (Some(other), age, _) => {
                let unread = resource.tags_are_unread();
                let doubt = match age {
                    _ if unread => "its tags could not be read".to_owned(),
                    Some(Age::NotKnown(why)) => not_known_to_be_older(&why),
                    _ => not_known_to_be_older("CloudTrail was not asked"),
                };
                let left = self.left_to_the_approver(step, verdict, other, &doubt);
                ((left, None), !unread)
            }
        };
        Weighed {
            verdict,
            rests_on_tags_of: asks.then_some(of),
            doubted,
        }
    }

    /// Whoever has broken in may have set the tags, and whoever wrote the policy may have meant them.
    fn left_to_the_approver(
        &self,
        step: &StepKey,
        verdict: Verdict,
        other: Verdict,
        doubt: &str,
    ) -> Verdict {
        if self.approved.contains(step) {
            return Verdict::Permitted(Vec::new());
        }
        match (verdict, other) {
            (Verdict::Withheld(why), _) | (_, Verdict::Withheld(why)) => {
                Verdict::Withheld(Withheld {
                    reason: format!("{}; the approver decides, since {doubt}", why.reason),
                    awaits_approval: true,
                    ..why
                })
            }
            (permitted, _) => permitted,
        }
    }

    /// Asks CloudTrail who has tagged that of which the tags decide. True: something was asked. A resource that
    /// somebody has tagged since the activity began has no tags that count; if CloudTrail cannot tell, the approver decides.
    pub(super) async fn weigh_tags<A>(
        &self,
        plan: &Authorized<A>,
        history: Option<&EventHistory>,
        until: Instant,
    ) -> bool {
        let until = until.min(Instant::now() + PATIENCE);
        let (now, category) = (self.situation.now, self.situation.category);
        let mut any = false;
        for of in &plan.rests_on_tags_of {
            if self.known.borrow().tags.contains_key(of) {
                continue;
            }
            any = true;
            let name = &of.0;
            let asked = async {
                match history {
                    Some(history) => tagged(history, category, self.finding(), of, now).await,
                    None => Err(Error::Refused("CloudTrail is not asked here".to_owned())),
                }
            };
            let asked = within(until, "cloudtrail:LookupEvents", asked).await;
            let mut known = self.known.borrow_mut();
            let age = match asked {
                Ok(None) => Age::Older,
                Ok(Some(who)) => {
                    let told = format!("the tags of {name} did not count: {who}");
                    known.told.push(told);
                    Age::SetSince
                }
                Err(error) => {
                    known.told.push(format!(
                        "find out whether the tags of {name} are older than the activity, since steps \
                         wait for that: {error}"
                    ));
                    Age::NotKnown(error.to_string())
                }
            };
            known.tags.insert(of.clone(), age);
        }
        any
    }
}

fn not_known_to_be_older(why: &str) -> String {
    format!("it is not known whether its tags are older than the activity: {why}")
}
