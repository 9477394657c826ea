//! Whether tags are older than the activity.
//!
//! GuardDuty reads the tags of a resource when it makes the finding, some minutes after the activity
//! began. So CloudTrail is asked, but only where a step would be withheld for the sake of a tag: the
//! answer holds up nothing else. Where it cannot tell, a person decides.

use aws_config::SdkConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::Region;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use super::history::PATIENCE;
use super::{Authorized, Gate};
use crate::error::{CallContext, Error, Result};
use crate::execute::within;
use crate::finding::{Finding, printable};

/// Each has up to 50 events.
const PAGES: usize = 3;

/// By when CloudTrail's event history usually has an event,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html>.
const LAG: SignedDuration = SignedDuration::from_mins(15);

/// How far CloudTrail's event history goes back.
const REACH: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The calls that tag a bucket or an instance, or make one with tags.
const TAGGING: &[&str] = &[
    "CreateBucket",
    "CreateTags",
    "PutBucketTagging",
    "RunInstances",
    "TagResource",
    "TagResources",
];

/// CloudTrail's event history, asked for the calls that tag.
#[derive(Clone, Debug)]
pub(super) struct TagHistory {
    client: Client,
}

impl TagHistory {
    /// A history that is read with these settings, in the Region of each resource.
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self::with_client(Client::new(sdk))
    }

    /// A history that is read through this client.
    pub(super) fn with_client(client: Client) -> Self {
        Self { client }
    }

    /// Who tagged the resource of this name since the activity began; `None`: nobody.
    ///
    /// # Errors
    /// If CloudTrail cannot tell, or cannot yet at `now`.
    async fn tagged(
        &self,
        finding: &Finding,
        name: &str,
        region: &str,
        now: Timestamp,
    ) -> Result<Option<String>> {
        let began = finding.first_seen().ok_or_else(|| {
            Error::Refused("the finding does not say when the activity began".to_owned())
        })?;
        let named = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::ResourceName)
            .attribute_value(name)
            .build();
        // Only a builder without its required members fails, and this one has them.
        let named = named.map_err(|error| Error::Refused(error.to_string()))?;
        let there = self.client.config().to_builder();
        let there = there.region(Region::new(region.to_owned())).build();
        let mut next = None;
        for _ in 0..PAGES {
            let answer = Client::from_conf(there.clone())
                .lookup_events()
                .lookup_attributes(named.clone())
                .start_time(DateTime::from_secs(began.as_second()))
                .set_next_token(next)
                .send()
                .await
                .during("cloudtrail:LookupEvents", name)?;
            if let Some(call) = answer.events().iter().find_map(tagging) {
                return Ok(Some(call));
            }
            next = answer.next_token;
            if next.is_none() {
                return match now.duration_since(began) {
                    age if age < LAG => Err(Error::Refused(
                        "the activity began less than 15 minutes ago, and CloudTrail may not show yet \
                         who has tagged it since"
                            .to_owned(),
                    )),
                    age if age > REACH => Err(Error::Refused(
                        "the activity began before CloudTrail's event history".to_owned(),
                    )),
                    _ => Ok(None),
                };
            }
        }
        Err(Error::Refused(format!(
            "CloudTrail has more calls about {name} since the activity began than were read"
        )))
    }
}

/// Who made the call, and which, if it tags and succeeded.
fn tagging(event: &Event) -> Option<String> {
    let name = event.event_name().filter(|name| TAGGING.contains(name))?;
    let detail: Value = event
        .cloud_trail_event()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    // What was refused has changed nothing.
    if detail["errorCode"].is_string() {
        return None;
    }
    let by = printable(event.username().unwrap_or("someone"));
    Some(format!("{by} called {name} after the activity began"))
}

impl Gate<'_> {
    /// Asks CloudTrail who has tagged what the plan leaves alone for the sake of tags. True: the answer
    /// changes the plan. If somebody has since the activity began, tags do not count; if CloudTrail cannot
    /// tell, a person decides.
    pub(super) async fn weigh_tags<A>(
        &self,
        plan: &Authorized<A>,
        history: Option<&TagHistory>,
        until: Instant,
    ) -> bool {
        let until = until.min(Instant::now() + PATIENCE);
        let now = self.situation.now;
        let mut changes = false;
        for of in &plan.rests_on_tags_of {
            if self.known.borrow().tags.contains_key(of) {
                continue;
            }
            let (name, region) = of;
            let asked = async {
                match history {
                    Some(history) => history.tagged(self.finding(), name, region, now).await,
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
