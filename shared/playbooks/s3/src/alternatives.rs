//! How those who are shut out can be let in again without public access. Pure.

use super::state::Bucket;

/// The ways beside public access that the flags leave open, each for whom it is,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-s3.html>. `restricted`: a statement of the
/// policy is public, so that `RestrictPublicBuckets` shuts out the accounts that it names, too.
pub(super) fn alternatives(name: &str, bucket: &Bucket, restricted: bool) -> String {
    let everybody = if matches!(bucket.website, Ok(true)) {
        "Everybody, and the website: CloudFront with origin access control."
    } else {
        "Everybody: CloudFront with origin access control."
    };
    let account = if restricted {
        "A known account: a statement of the bucket's policy that names it, after the public one is taken out."
    } else {
        "A known account: a statement of the bucket's policy that names it."
    };
    format!(
        "give those who need {name} another way in, which the flags leave open. {everybody} Somebody for a \
         time: presigned URLs, which last 7 days at most and no longer than the credentials that sign them. \
         {account} Programs in a network: an access point that only their VPC may use, or a statement for \
         their VPC endpoint (aws:SourceVpce)"
    )
}

/// The same for the buckets of an account whose Block Public Access is on.
pub(super) fn alternatives_of_account(account: &str) -> String {
    format!(
        "give those who used public buckets of account {account} another way in, which the flags leave open: \
         CloudFront with origin access control, presigned URLs, access points of a VPC, or statements that \
         name an account"
    )
}
