//! Which calls may have set something on a resource: they are asked for by the few kinds of calls that set it. So the
//! many calls that only read the resource never use up the pages.

use jiff::Timestamp;

use super::event::CloudTrailEvent;
use super::event_history::{EventHistory, Events, History, LAG, Lookup, MOST_PAGES, REACH};
use crate::error::{Error, Result};
use model::category::Category;
use model::finding::Finding;

/// The kinds of calls that tag a bucket, or make one with tags: S3's own, and those of the services that tag
/// for it, <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html>.
pub const TAG_BUCKETS: &[&str] = &[
    "PutBucketTagging",
    "TagResource",
    "TagResources",
    "CreateBucket",
];

/// The kinds of calls that tag an instance, or make one with tags.
const TAG_INSTANCES: &[&str] = &["CreateTags", "RunInstances", "TagResources"];

/// The kinds of calls that tag a Lambda function, or make one with tags. CloudTrail has Lambda's calls with the date
/// of their interface, <https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html>.
const TAG_FUNCTIONS: &[&str] = &[
    "TagResource20170331v2",
    "TagResource",
    "TagResources",
    "CreateFunction20150331",
];

/// The calls of these kinds, in the Region of the trail, that took effect on the bucket of this name since a time. The
/// newest of each kind is first.
pub async fn on_bucket(
    trail: &EventHistory,
    kinds: &[&'static str],
    bucket: &str,
    since: Timestamp,
) -> Result<Events> {
    on_resource(trail, kinds, "s3", bucket, since).await
}

async fn on_resource(
    trail: &EventHistory,
    kinds: &[&'static str],
    service: &str,
    name: &str,
    since: Timestamp,
) -> Result<Events> {
    let mut found = Events::default();
    for kind in kinds {
        let events = trail.events(asked("EventName", kind, since)).await?;
        let records = events.records.into_iter();
        found
            .records
            .extend(records.filter(|record| sets(record, service, name)));
        // Then it cannot be told any more that nobody did.
        if events.cut {
            found.cut = true;
            break;
        }
    }
    Ok(found)
}

/// The calls that tagged the instance of this id since a time. They are asked for by its id, since an account
/// starts and tags instances all day, and few calls name one instance.
async fn on_instance(trail: &EventHistory, id: &str, since: Timestamp) -> Result<Events> {
    let mut events = trail.events(asked("ResourceName", id, since)).await?;
    events
        .records
        .retain(|record| record.succeeded() && TAG_INSTANCES.contains(&record.name()));
    Ok(events)
}

/// Says who tagged the bucket, instance or function of this name since the activity began, by which call. `None`: nobody.
///
/// # Errors
/// If CloudTrail cannot tell, or cannot yet at `now`.
pub async fn tagged_since(
    there: &EventHistory,
    category: Category,
    finding: &Finding,
    name: &str,
    now: Timestamp,
) -> Result<Option<String>> {
    let began = began(finding)?;
    let events = match category {
        Category::S3 => on_bucket(there, TAG_BUCKETS, name, began).await?,
        Category::Lambda => on_resource(there, TAG_FUNCTIONS, "lambda", name, began).await?,
        _ => on_instance(there, name, began).await?,
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

/// When the activity began.
///
/// # Errors
/// If the finding does not say.
pub fn began(finding: &Finding) -> Result<Timestamp> {
    finding.first_seen().ok_or_else(|| {
        Error::Refused("the finding does not say when the activity began".to_owned())
    })
}

fn asked(attribute: &'static str, value: &str, since: Timestamp) -> Lookup {
    Lookup {
        history: History::Regional,
        attribute,
        value: value.to_owned(),
        since: Some(since),
        until: None,
        pages: MOST_PAGES,
    }
}

/// `TagResource` is a call of many services; a refused call has changed nothing.
fn sets(record: &CloudTrailEvent, service: &str, name: &str) -> bool {
    let by = record.service();
    let of_service = by.is_empty() || by.starts_with(service) || by == TAGGING;
    of_service && record.succeeded() && record.may_name(name)
}

/// The Resource Groups Tagging API, which tags for other services.
const TAGGING: &str = "tagging.amazonaws.com";
