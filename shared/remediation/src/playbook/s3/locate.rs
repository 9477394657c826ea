//! Finds the Region of a bucket that is not where its finding says.
//!
//! S3 answers a request in another Region with a redirect or an error, which the SDK does not
//! follow. It names the bucket's Region in a header of every answer to `HeadBucket`, a refusal
//! included, <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>. So that call
//! needs no permission here, and is given none: `s3:ListBucket` would let the responder list objects.

use aws_sdk_s3::Client;

use crate::error::Error;

const REGION_HEADER: &str = "x-amz-bucket-region";

/// True if S3 answered that the bucket is in another Region.
pub(super) fn is_elsewhere(error: &Error) -> bool {
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
pub(super) async fn region_of(client: &Client, bucket: &str, owner: &str) -> Option<String> {
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
