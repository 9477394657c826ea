//! Buckets that are public on purpose: marked by a tag, or serving a static website.
//!
//! A mark counts only if it is older than the activity, else whoever opens a bucket could mark it
//! along the way. S3 does not tell when a bucket was tagged, so CloudTrail must, and it is asked
//! every time: what GuardDuty says of the bucket's tags it read after the activity had begun. A
//! website says nothing of a bucket that was only now made public. When in doubt a bucket is not
//! exempt.

use std::time::Duration;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::timeout;

use super::observe::Bucket;
use crate::error::{CallContext, Error, Result};
use crate::finding::{Finding, Principal, printable};

/// The key of the tag by which a bucket is public on purpose. Any value but `false`.
pub(super) const TAG: &str = "gdr:public-ok";

/// How long the way to the containing write may be held up by CloudTrail, which allows an account
/// two look-ups a second, <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>.
const PATIENCE: Duration = Duration::from_secs(3);
/// Each has up to 50 events.
const PAGES: usize = 3;
/// By when CloudTrail's event history usually has an event,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html>.
const LAG: SignedDuration = SignedDuration::from_mins(15);
/// How far CloudTrail's event history goes back.
const REACH: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What says that a bucket is public on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Tag,
    Website,
}

impl Mark {
    fn describe(self) -> &'static str {
        match self {
            Self::Tag => "the tag gdr:public-ok",
            Self::Website => "a static-website configuration",
        }
    }

    fn is_set_by(self, call: &str) -> bool {
        // A bucket that was made since then was marked since then.
        call == "CreateBucket"
            || match self {
                Self::Tag => matches!(call, "PutBucketTagging" | "TagResource"),
                Self::Website => call == "PutBucketWebsite",
            }
    }
}

/// Whether a bucket is exempt, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Exemption {
    /// Nothing says that it is public on purpose.
    Unmarked,
    /// It is.
    Honoured(String),
    /// It is marked, and the mark does not count.
    NotHonoured(String),
}

/// The calls about a bucket since the activity began.
#[derive(Clone, Debug)]
pub struct History {
    calls: Vec<Call>,
    /// False if there were more than were read.
    complete: bool,
}

#[derive(Clone, Debug)]
struct Call {
    name: String,
    at: Timestamp,
    by: String,
}

/// Decides about `bucket`, of this `name`.
pub(super) fn exemption(
    finding: &Finding,
    name: &str,
    bucket: &Bucket,
    now: Timestamp,
) -> Exemption {
    let mut refusals = Vec::new();
    let tagged = matches!(bucket.tagged, Ok(true)).then_some(Mark::Tag);
    let website = matches!(bucket.website, Ok(true)).then_some(Mark::Website);
    for mark in tagged.into_iter().chain(website) {
        match doubt(mark, finding, name, bucket, now) {
            None => {
                return Exemption::Honoured(format!(
                    "the bucket has {}, which is older than the activity: it is public on purpose",
                    mark.describe()
                ));
            }
            Some(why) => {
                refusals.push(format!("{} does not exempt {name}: {why}", mark.describe()));
            }
        }
    }
    if refusals.is_empty() {
        Exemption::Unmarked
    } else {
        Exemption::NotHonoured(refusals.join("; "))
    }
}

/// What marks `bucket` as public on purpose, old enough or not.
pub(super) fn mark(bucket: &Bucket) -> Option<&'static str> {
    if matches!(bucket.tagged, Ok(true)) {
        Some(Mark::Tag.describe())
    } else if matches!(bucket.website, Ok(true)) {
        Some(Mark::Website.describe())
    } else {
        None
    }
}

/// Why a mark does not count, if it does not.
fn doubt(
    mark: Mark,
    finding: &Finding,
    name: &str,
    bucket: &Bucket,
    now: Timestamp,
) -> Option<String> {
    if mark == Mark::Website && finding.finding_type.purpose() == "Impact" {
        return Some("a website is there to be read, and this is about changes".to_owned());
    }
    if mark == Mark::Website && was_private(finding) {
        return Some(
            "the finding says that the bucket was not public before, so its website did without"
                .to_owned(),
        );
    }
    let Some(began) = finding.first_seen() else {
        return Some("the finding does not say when the activity began".to_owned());
    };
    if now.duration_since(began) > REACH {
        return Some("the activity began before CloudTrail's event history".to_owned());
    }
    let history = match &bucket.history {
        Some(Ok(history)) => history,
        Some(Err(error)) => return Some(format!("CloudTrail could not tell its age: {error}")),
        None => return Some("CloudTrail was not asked for its age".to_owned()),
    };
    // CloudTrail's times are whole seconds.
    let changed = history
        .calls
        .iter()
        .find(|call| mark.is_set_by(&call.name) && call.at.as_second() >= began.as_second());
    if let Some(call) = changed {
        return Some(format!(
            "{} called {} at {}, after the activity began",
            call.by, call.name, call.at
        ));
    }
    if !history.complete {
        return Some(
            "CloudTrail has more calls since the activity began than were read".to_owned(),
        );
    }
    let in_finding = finding
        .bucket_tags(name)
        .map(|tags| marks(tags.into_iter()));
    if mark == Mark::Tag && in_finding == Some(false) {
        return Some(
            "the finding lists the bucket's tags without it, so it was set later".to_owned(),
        );
    }
    // An unauthenticated caller cannot mark a bucket; whoever has credentials could have done so
    // just now, and before GuardDuty read the tags.
    let could_mark = !matches!(finding.principal(), Ok(Principal::Anonymous));
    (could_mark && now.duration_since(began) < LAG).then(|| {
        "the activity began less than 15 minutes ago, and CloudTrail may not show yet what has \
         changed since"
            .to_owned()
    })
}

/// True if the finding says that the bucket was not public before: the bucket was granted public
/// access, <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-s3.html>.
pub(crate) fn was_private(finding: &Finding) -> bool {
    let kind = &finding.finding_type;
    kind.purpose() == "Policy" && kind.family().ends_with("Granted")
}

/// True if one of the tags says that the bucket is public on purpose.
pub(super) fn marks<'a>(mut tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    tags.any(|(key, value)| key == TAG && !value.trim().eq_ignore_ascii_case("false"))
}

/// Reads what was done to `bucket` since `began`, by those whose call succeeded.
pub(super) async fn history(
    client: &Client,
    bucket: &str,
    began: Option<Timestamp>,
) -> Result<History> {
    let Some(began) = began else {
        return Err(Error::Refused(
            "the finding does not say when the activity began".to_owned(),
        ));
    };
    timeout(PATIENCE, look_up(client, bucket, began))
        .await
        .unwrap_or_else(|_| {
            Err(Error::Refused(format!(
                "CloudTrail did not answer within {} seconds",
                PATIENCE.as_secs()
            )))
        })
}

async fn look_up(client: &Client, bucket: &str, began: Timestamp) -> Result<History> {
    let named = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::ResourceName)
        .attribute_value(bucket)
        .build();
    // Only a builder without its required members fails, and this one has them.
    let named = named.map_err(|error| Error::Refused(error.to_string()))?;
    let mut history = History {
        calls: Vec::new(),
        complete: false,
    };
    let mut next = None;
    for _ in 0..PAGES {
        let answer = client
            .lookup_events()
            .lookup_attributes(named.clone())
            .start_time(DateTime::from_secs(began.as_second()))
            .set_next_token(next)
            .send()
            .await
            .during("cloudtrail:LookupEvents", bucket)?;
        let events = answer.events.unwrap_or_default();
        history.calls.extend(events.iter().filter_map(call));
        next = answer.next_token;
        if next.is_none() {
            history.complete = true;
            break;
        }
    }
    Ok(history)
}

fn call(event: &Event) -> Option<Call> {
    let detail: Value = event
        .cloud_trail_event()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    // What was refused has changed nothing.
    if detail["errorCode"].is_string() {
        return None;
    }
    let at = event.event_time().map(DateTime::secs)?;
    Some(Call {
        name: event.event_name().unwrap_or_default().to_owned(),
        at: Timestamp::from_second(at).ok()?,
        by: printable(event.username().unwrap_or("someone")),
    })
}
