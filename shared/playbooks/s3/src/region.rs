//! Finds the Region of a bucket that is not where its finding says, and whether it is the account's at all.
//!
//! S3 answers a request in another Region with a redirect or an error, which the SDK does not
//! follow. It names the bucket's Region in a header of every answer to `HeadBucket`, a refusal
//! included, <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>. So that call
//! needs no permission here, and is given none: `s3:ListBucket` would let the responder list objects.

use aws_sdk_s3::Client;
use tokio::time::Instant;

use super::bucket::{self, Extent, PATIENCE};
use super::clients::Clients;
use super::state::BucketState;
use aws::deadline::within;
use aws::error::{CallContext, Error, Result};
use model::finding::Finding;

const REGION_HEADER: &str = "x-amz-bucket-region";
/// The number of buckets in a listing, and of listings: names that begin with that of one bucket.
const BUCKETS: i32 = 1000;
const PAGES: usize = 3;

/// The state of `bucket`, wherever it is.
pub(super) async fn bucket_state(
    clients: &Clients,
    bucket: &str,
    finding: &Finding,
    extent: Extent,
) -> BucketState {
    let here = clients.in_region(&finding.region);
    let state = Box::pin(located(&here, bucket, finding, extent)).await;
    let BucketState::Unreadable(error) = state else {
        return state;
    };
    if !error.is_denied() {
        return BucketState::Unreadable(error);
    }
    let listing = is_another_accounts(&here.s3, bucket);
    let until = Instant::now() + PATIENCE;
    match within(until, "s3:ListAllMyBuckets", Box::pin(listing)).await {
        Ok(true) => BucketState::AnotherAccounts,
        Ok(false) => BucketState::Unreadable(error),
        Err(unlisted) => BucketState::Unreadable(with_doubt(error, &unlisted)),
    }
}

/// The refusal, with why it is not known whether the bucket is the account's.
fn with_doubt(refusal: Error, unlisted: &Error) -> Error {
    match refusal {
        Error::Call(mut call) => {
            let doubt = format!("; nor is it known whether it is another account's: {unlisted}");
            call.message.push_str(&doubt);
            Error::Call(call)
        }
        other => other,
    }
}

/// The bucket in its own Region.
async fn located(here: &Clients, bucket: &str, finding: &Finding, extent: Extent) -> BucketState {
    let state = Box::pin(bucket::read(here, bucket, finding, extent)).await;
    let BucketState::Unreadable(error) = &state else {
        return state;
    };
    if !is_elsewhere(error) {
        return state;
    }
    match region_of(&here.s3, bucket, &finding.account_id).await {
        Some(region) if region != here.region() => {
            let there = here.in_region(&region);
            Box::pin(bucket::read(&there, bucket, finding, extent)).await
        }
        _ => state,
    }
}

/// True if S3 answered that the bucket is in another Region.
fn is_elsewhere(error: &Error) -> bool {
    [
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "HTTP 301",
        "HTTP 307",
    ]
    .iter()
    .any(|code| error.has_code(code))
}

/// The Region of `bucket`, if S3 says.
async fn region_of(client: &Client, bucket: &str, owner: &str) -> Option<String> {
    let call = client.head_bucket().bucket(bucket);
    let region = match call.expected_bucket_owner(owner).send().await {
        Ok(answer) => answer.bucket_region,
        Err(error) => {
            let headers = error.raw_response().map(|response| response.headers());
            headers.and_then(|headers| Some(headers.get(REGION_HEADER)?.to_owned()))
        }
    };
    // It becomes part of a host's name.
    region.filter(|region| {
        (1..=32).contains(&region.len())
            && region
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    })
}

/// Whether `bucket`, which S3 refuses to show, is one of another account. S3 refuses in the same words where
/// the role may not read the bucket, so the account's own buckets are asked for,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>.
///
/// # Errors
/// If they could not be listed, or not to the end.
async fn is_another_accounts(client: &Client, bucket: &str) -> Result<bool> {
    let mut next = None;
    for _ in 0..PAGES {
        let call = client.list_buckets().prefix(bucket).max_buckets(BUCKETS);
        let call = call.set_continuation_token(next);
        let answer = call.send().await.during("s3:ListAllMyBuckets", bucket)?;
        let mut names = answer.buckets().iter().filter_map(|own| own.name());
        if names.any(|name| name == bucket) {
            return Ok(false);
        }
        next = answer.continuation_token;
        if next.is_none() {
            return Ok(true);
        }
    }
    Err(Error::Refused(format!(
        "more buckets than were listed have names that begin with {bucket}"
    )))
}
