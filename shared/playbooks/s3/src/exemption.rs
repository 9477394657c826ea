//! Buckets that are public on purpose: marked by a tag, or serving a static website.
//!
//! A mark counts only if nobody set it later than a day before the activity. Otherwise an attacker who opens a bucket
//! could mark it, too: GuardDuty's first finding is seldom the first activity. S3 does not tell when a bucket was
//! tagged, so CloudTrail must, and it is asked every time: GuardDuty read the bucket's tags after the activity had
//! begun. CloudTrail shows the last 15 minutes late. A mark that could have been set in that time counts for the
//! moment, and is looked at again when it must be shown. A website says nothing of a bucket that was only now made
//! public. When in doubt a bucket is not exempt.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::state::{Bucket, Call, History};
use aws::cloudtrail::event_history::{EventHistory, LAG, REACH};
use aws::cloudtrail::tag_age::{TAG_BUCKETS, on_bucket};
use aws::error::{Error, Result};
use model::finding::Finding;
use model::not_contained::was_private;

/// The key of the tag by which a bucket is public on purpose. Any value but `false`.
pub(super) const TAG: &str = "gdr:public-ok";

/// How long the way to the containing write may be held up by CloudTrail, which allows an account
/// two look-ups a second, <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>.
/// A bucket with both marks takes five.
const PATIENCE: Duration = Duration::from_secs(4);
/// How much older than the activity a mark must be.
const APART: SignedDuration = SignedDuration::from_hours(24);

/// A mark that a bucket is public on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
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

    /// The kinds of calls that set it. A bucket that was made since then was marked since then.
    fn set_by(self) -> &'static [&'static str] {
        match self {
            Self::Tag => TAG_BUCKETS,
            Self::Website => &["PutBucketWebsite", "CreateBucket"],
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
    /// It is until CloudTrail must show whether the mark was set in the last minutes.
    HonouredForNow(String),
    /// It is marked, and the mark does not count.
    NotHonoured(String),
}

impl Exemption {
    /// True if the bucket is left public for it.
    pub(super) fn is_honoured(&self) -> bool {
        matches!(self, Self::Honoured(_) | Self::HonouredForNow(_))
    }
}

/// Decides about `bucket`, of this `name`.
pub(super) fn exemption(
    finding: &Finding,
    name: &str,
    bucket: &Bucket,
    now: Timestamp,
) -> Exemption {
    let mut refusals = Vec::new();
    for mark in marks_of(&bucket.tagged, &bucket.website) {
        let what = mark.describe();
        match doubt(mark, finding, name, bucket, now) {
            None if is_settled(mark, finding, name, now) => {
                return Exemption::Honoured(format!(
                    "the bucket has {what}, which is older than the activity: it is public on purpose"
                ));
            }
            None => {
                return Exemption::HonouredForNow(format!(
                    "the bucket has {what}, and for the moment it counts as public on purpose: \
                     CloudTrail shows nobody who set it since a day before the activity, but shows the \
                     last 15 minutes late; the function checks the mark again in 15 minutes, and blocks \
                     the bucket if the mark was set in that time"
                ));
            }
            Some(why) => refusals.push(format!("{what} does not exempt {name}: {why}")),
        }
    }
    if refusals.is_empty() {
        Exemption::Unmarked
    } else {
        Exemption::NotHonoured(refusals.join("; "))
    }
}

/// The marks of a bucket as public on purpose, old enough or not.
pub(super) fn marks_of(tagged: &Result<bool>, website: &Result<bool>) -> Vec<Mark> {
    let tagged = matches!(tagged, Ok(true)).then_some(Mark::Tag);
    let website = matches!(website, Ok(true)).then_some(Mark::Website);
    tagged.into_iter().chain(website).collect()
}

/// The first of [`marks_of`], in words.
pub(super) fn mark(bucket: &Bucket) -> Option<&'static str> {
    let marks = marks_of(&bucket.tagged, &bucket.website);
    marks.first().map(|mark| mark.describe())
}

/// True if the mark was set at a time whose earlier events CloudTrail shows by then. A caller that is anonymous in the
/// finding may have credentials too, so the caller proves nothing.
fn is_settled(mark: Mark, finding: &Finding, name: &str, now: Timestamp) -> bool {
    let listed = finding.bucket_tags(name);
    let listed = listed.is_some_and(|tags| marks(tags.into_iter()));
    // GuardDuty read the tags when it updated the finding at the latest.
    let read_at = finding.updated_at().filter(|_| mark == Mark::Tag && listed);
    let seen_at = [read_at, finding.marks_seen_at()].into_iter().flatten();
    seen_at
        .min()
        .is_some_and(|at| now.duration_since(at) >= LAG)
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
    if now.duration_since(began) > REACH - APART {
        return Some("the activity began before CloudTrail's event history".to_owned());
    }
    let history = match &bucket.history {
        Some(Ok(history)) => history,
        Some(Err(error)) => return Some(format!("CloudTrail could not tell its age: {error}")),
        None => return Some("CloudTrail was not asked for its age".to_owned()),
    };
    let mut calls = history.calls.iter();
    if let Some(call) = calls.find(|call| mark.set_by().contains(&call.name.as_str())) {
        return Some(format!(
            "{} called {} at {}, which is not a day before the activity began",
            call.by, call.name, call.at
        ));
    }
    if !history.complete {
        return Some(
            "CloudTrail has more calls of the kinds that set it, since a day before the activity began, \
             than were read"
                .to_owned(),
        );
    }
    let in_finding = finding
        .bucket_tags(name)
        .map(|tags| marks(tags.into_iter()));
    (mark == Mark::Tag && in_finding == Some(false))
        .then(|| "the finding lists the bucket's tags without it, so it was set later".to_owned())
}

/// True if one of the tags says that the bucket is public on purpose.
pub(super) fn marks<'a>(mut tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    tags.any(|(key, value)| key == TAG && !value.trim().eq_ignore_ascii_case("false"))
}

/// Reads who may have set these `marks` on `bucket` since a day before `began`, in the Region of the trail.
pub(super) async fn history(
    trail: &EventHistory,
    bucket: &str,
    marks: &[Mark],
    began: Option<Timestamp>,
) -> Result<History> {
    let since = began.and_then(|began| began.checked_sub(APART).ok());
    let Some(since) = since else {
        return Err(Error::Refused(
            "the finding does not say when the activity began".to_owned(),
        ));
    };
    let mut kinds: Vec<_> = marks
        .iter()
        .flat_map(|mark| mark.set_by())
        .copied()
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let asked = timeout(PATIENCE, on_bucket(trail, &kinds, bucket, since)).await;
    let asked = asked.unwrap_or_else(|_| {
        Err(Error::Refused(format!(
            "CloudTrail did not answer within {} seconds",
            PATIENCE.as_secs()
        )))
    });
    let events = asked?;
    let calls = events.records.iter().map(|record| Call {
        name: record.name().to_owned(),
        at: record.time(),
        by: record.caller_name(),
    });
    Ok(History {
        calls: calls.collect(),
        complete: !events.cut,
    })
}
