//! The access that remains possible for the users of a blocked bucket. Pure.

use super::state::Bucket;

/// The step that replaces public access, by the ways that the flags leave open. `docs/playbooks/s3.md` says more,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-s3.html>. `restricted`: a statement of the
/// policy is public, so that `RestrictPublicBuckets` shuts out the accounts that it names, too.
pub(super) fn alternatives(name: &str, bucket: &Bucket, restricted: bool) -> String {
    let everybody = if matches!(bucket.website, Ok(true)) {
        "CloudFront (also for the website)"
    } else {
        "CloudFront"
    };
    let account = if restricted {
        "a policy statement that names them (remove the public one first)"
    } else {
        "a policy statement that names them"
    };
    format!(
        "give the users of {name} another way in: {everybody}, presigned URLs, VPC access points, or {account}"
    )
}

/// The same for the buckets of an account whose Block Public Access is on.
pub(super) fn alternatives_of_account(account: &str) -> String {
    format!(
        "give the users of public buckets of account {account} another way in: CloudFront, presigned URLs, VPC \
         access points, statements for their account"
    )
}
