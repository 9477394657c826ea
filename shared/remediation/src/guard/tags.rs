//! Whether tags are older than the activity.
//!
//! GuardDuty reads the tags of a resource when it makes the finding, some minutes after the activity
//! began. So CloudTrail is asked, but only where a step would be withheld for the sake of a tag: the
//! answer holds up nothing else. Where it cannot tell, a person decides.

use jiff::Timestamp;
use tokio::time::Instant;

use super::history::PATIENCE;
use super::{Authorized, EventHistory, Gate};
use crate::catalogue::Category;
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::investigate::setters::{TAG_BUCKETS, on_bucket, on_instance};
use crate::investigate::trail::{LAG, REACH};

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

impl Gate<'_> {
    /// Asks CloudTrail who has tagged what the plan leaves alone for the sake of tags. True: the answer
    /// changes the plan. If somebody has since the activity began, tags do not count; if CloudTrail cannot
    /// tell, a person decides.
    pub(super) async fn weigh_tags<A>(
        &self,
        plan: &Authorized<A>,
        history: Option<&EventHistory>,
        until: Instant,
    ) -> bool {
        let until = until.min(Instant::now() + PATIENCE);
        let (now, category) = (self.situation.now, self.situation.category);
        let mut changes = false;
        for of in &plan.rests_on_tags_of {
            if self.known.borrow().tags.contains_key(of) {
                continue;
            }
            let name = &of.0;
            let asked = async {
                match history {
                    Some(history) => tagged(history, category, self.finding(), of, now).await,
                    None => Err(Error::Refused("CloudTrail is not asked here".to_owned())),
                }
            };
            let asked = within(until, "cloudtrail:LookupEvents", asked).await;
            let mut known = self.known.borrow_mut();
            let doubt = match asked {
                Ok(None) => None,
                Ok(Some(who)) => {
                    let told = format!("the tags of {name} did not count: {who}");
                    known.told.push(told);
                    known.distrusts_tags = true;
                    return true;
                }
                Err(error) => {
                    known.told.push(format!(
                        "find out whether the tags of {name} are older than the activity, since steps \
                         wait for that: {error}"
                    ));
                    Some(error.to_string())
                }
            };
            changes |= doubt.is_some();
            known.tags.insert(of.clone(), doubt);
        }
        changes
    }
}
