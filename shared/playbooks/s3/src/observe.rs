//! Reads the buckets of a finding, all at the same time.

use futures::future::join_all;
use tokio::time::Instant;

use super::bucket::{self, Extent, PATIENCE};
use super::clients::Clients;
use super::object::{self, Object, ObjectState};
use super::region;
use super::state::{BucketState, State};
use aws::deadline::within;
use aws::error::Result;
use model::catalogue;
use model::finding::Finding;

/// The IAM permissions that observing needs.
pub(super) const PERMISSIONS: &[&str] = &[
    "cloudtrail:LookupEvents",
    "s3:GetAccountPublicAccessBlock",
    "s3:GetBucketAcl",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketTagging",
    "s3:GetBucketWebsite",
    "s3:ListAccessPoints",
    "s3:ListAllMyBuckets",
];

/// Reads all.
pub(super) async fn observe(clients: &Clients, finding: &Finding) -> Result<State> {
    if catalogue::concerns_object(finding) {
        return with_objects(clients, finding).await;
    }
    read(clients, finding, Extent::Full).await
}

/// Reads what decides how a bucket or an object is contained.
pub(super) async fn glance(clients: &Clients, finding: &Finding) -> Result<State> {
    if catalogue::concerns_object(finding) {
        return with_objects(clients, finding).await;
    }
    buckets(clients, finding).await
}

/// Reads what decides how a bucket is contained.
pub(super) async fn buckets(clients: &Clients, finding: &Finding) -> Result<State> {
    read(clients, finding, Extent::Essential).await
}

/// Reads the objects, and of their buckets what decides. Malware Protection scans in the bucket's own Region.
async fn with_objects(clients: &Clients, finding: &Finding) -> Result<State> {
    let here = clients.in_region(&finding.region);
    let reading = finding.objects()?.into_iter().map(async |version| {
        let object = Object::of(finding, &version);
        let state = match other_kind(&version.bucket) {
            Some(_) => ObjectState::Unidentified(object),
            None => object::read(&here, &object, &finding.account_id).await,
        };
        (version, state)
    });
    let (state, objects) = futures::join!(buckets(clients, finding), join_all(reading));
    Ok(State { objects, ..state? })
}

/// Reads what [`glance`] has left out. `None`: nothing.
pub(super) async fn complete(clients: &Clients, finding: &Finding, part: &State) -> Option<State> {
    if catalogue::concerns_object(finding) {
        return None;
    }
    let mut whole = part.clone();
    let buckets = whole.buckets.iter_mut();
    let unasked = buckets.filter_map(|(name, state)| match state {
        BucketState::Live(bucket) if bucket.access_points.is_none() => Some((name, bucket)),
        _ => None,
    });
    let asked: Vec<_> = unasked
        .map(async |(name, bucket)| {
            let clients = clients.in_region(&bucket.region);
            let points = bucket::access_points_in_time(&clients, name, &finding.account_id);
            bucket.access_points = Some(points.await);
        })
        .collect();
    if asked.is_empty() {
        return None;
    }
    join_all(asked).await;
    Some(whole)
}

async fn read(clients: &Clients, finding: &Finding, extent: Extent) -> Result<State> {
    let here = clients.in_region(&finding.region);
    let names = if catalogue::concerns_account_block(finding) {
        Vec::new()
    } else {
        finding.buckets()?
    };
    let buckets = names.into_iter().map(async |bucket| {
        let state = match other_kind(&bucket) {
            Some(why) => BucketState::OtherKind(why),
            None => region::bucket_state(clients, &bucket, finding, extent).await,
        };
        (bucket, state)
    });
    let account = async {
        let read = bucket::account_block(&here, &finding.account_id);
        if catalogue::concerns_account_block(finding) {
            return read.await;
        }
        within(
            Instant::now() + PATIENCE,
            "s3:GetAccountPublicAccessBlock",
            read,
        )
        .await
    };
    let (buckets, account) = futures::join!(join_all(buckets), account);
    Ok(State {
        buckets,
        objects: Vec::new(),
        account,
    })
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>: these suffixes
/// are reserved.
fn other_kind(bucket: &str) -> Option<&'static str> {
    if bucket.ends_with("--x-s3") {
        Some(
            "a directory bucket has no Block Public Access to turn on and cannot be public; review \
             its policy",
        )
    } else if bucket.ends_with("--table-s3") {
        Some(
            "a table bucket has no Block Public Access to turn on and cannot be public; review its \
             policy and those of its tables",
        )
    } else {
        None
    }
}
