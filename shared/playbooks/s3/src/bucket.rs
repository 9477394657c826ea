//! The calls that read one bucket, each guarded by the account that must own it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::types::ObjectOwnership;
use aws_sdk_s3control::types::NetworkOrigin;
use tokio::time::Instant;

use super::block::{Acl, BlockPublicAccess, Grant};
use super::bucket_policy::BucketPolicy;
use super::clients::Clients;
use super::exemption;
use super::state::{AccessPoints, Bucket, BucketState};
use aws::deadline::within;
use aws::error::{CallContext, Result};
use model::finding::{Finding, printable};

/// How long the reads may take that only inform. The flags are set without their answers.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How many access points are listed.
const ACCESS_POINTS: i32 = 100;

/// How much is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The values that decide how a bucket is contained.
    Essential,
    /// All.
    Full,
}

/// Reads a bucket that is where the clients are.
pub(super) async fn read(
    clients: &Clients,
    bucket: &str,
    finding: &Finding,
    extent: Extent,
) -> BucketState {
    let owner = &finding.account_id;
    let until = Instant::now() + PATIENCE;
    let access_points = async {
        match extent {
            Extent::Essential => None,
            Extent::Full => Some(access_points_in_time(clients, bucket, owner).await),
        }
    };
    let (block, policy_is_public, policy, acl, acls_enabled, tags, website, access_points) = futures::join!(
        block_public_access(clients, bucket, owner),
        within(
            until,
            "s3:GetBucketPolicyStatus",
            policy_is_public(clients, bucket, owner)
        ),
        within(until, "s3:GetBucketPolicy", policy(clients, bucket, owner)),
        within(until, "s3:GetBucketAcl", acl(clients, bucket, owner)),
        within(
            until,
            "s3:GetBucketOwnershipControls",
            acls_enabled(clients, bucket, owner)
        ),
        within(until, "s3:GetBucketTagging", tags(clients, bucket, owner)),
        within(
            until,
            "s3:GetBucketWebsite",
            website(clients, bucket, owner)
        ),
        access_points,
    );
    let block = match block {
        Ok(block) => block,
        Err(error) if error.has_code("NoSuchBucket") => return BucketState::Gone,
        Err(error) => return BucketState::Unreadable(error),
    };
    let tagged = tags.as_ref().map_err(Clone::clone).map(|tags| {
        let tags = tags.iter();
        exemption::marks(tags.map(|(key, value)| (key.as_str(), value.as_str())))
    });
    let marks = exemption::marks_of(&tagged, &website);
    let history = match marks.as_slice() {
        // The trail is the slowest of all, so it is asked only where the answer decides.
        marks @ [_, ..] if block != BlockPublicAccess::ALL => {
            Some(exemption::history(&clients.trail, bucket, marks, finding.first_seen()).await)
        }
        _ => None,
    };
    BucketState::Live(Box::new(Bucket {
        region: clients.region().to_owned(),
        block,
        policy_is_public,
        policy,
        acl,
        acls_enabled,
        tags: tags.unwrap_or_default(),
        tagged,
        website,
        history,
        access_points,
    }))
}

/// `absent` is the code by which the service says that there is nothing of the kind.
fn unless_absent<T>(answer: Result<T>, absent: &str) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.has_code(absent) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) async fn account_block(clients: &Clients, account: &str) -> Result<BlockPublicAccess> {
    let call = clients.control.get_public_access_block();
    let answer = call
        .account_id(account)
        .send()
        .await
        .during("s3:GetAccountPublicAccessBlock", account);
    let answer = unless_absent(answer, "NoSuchPublicAccessBlockConfiguration")?;
    let flags = answer.and_then(|answer| answer.public_access_block_configuration);
    Ok(flags.map(BlockPublicAccess::from).unwrap_or_default())
}

async fn block_public_access(
    clients: &Clients,
    bucket: &str,
    owner: &str,
) -> Result<BlockPublicAccess> {
    let call = clients.s3.get_public_access_block().bucket(bucket);
    let answer = call
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketPublicAccessBlock", bucket);
    let answer = unless_absent(answer, "NoSuchPublicAccessBlockConfiguration")?;
    let flags = answer.and_then(|answer| answer.public_access_block_configuration);
    Ok(flags.map(BlockPublicAccess::from).unwrap_or_default())
}

async fn policy_is_public(clients: &Clients, bucket: &str, owner: &str) -> Result<bool> {
    let call = clients.s3.get_bucket_policy_status().bucket(bucket);
    let answer = call
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketPolicyStatus", bucket);
    let answer = unless_absent(answer, "NoSuchBucketPolicy")?;
    let status = answer.and_then(|answer| answer.policy_status);
    Ok(status
        .and_then(|status| status.is_public)
        .unwrap_or_default())
}

pub(super) async fn policy(
    clients: &Clients,
    bucket: &str,
    owner: &str,
) -> Result<Option<BucketPolicy>> {
    let call = clients.s3.get_bucket_policy().bucket(bucket);
    let answer = call
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketPolicy", bucket);
    let answer = unless_absent(answer, "NoSuchBucketPolicy")?;
    answer
        .and_then(|answer| answer.policy)
        .map(|text| BucketPolicy::parse(text, bucket))
        .transpose()
}

async fn acl(clients: &Clients, bucket: &str, owner: &str) -> Result<Acl> {
    let call = clients.s3.get_bucket_acl().bucket(bucket);
    let answer = call
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketAcl", bucket)?;
    let grants = answer.grants().iter().map(|grant| {
        let grantee = grant.grantee();
        let known = grantee.and_then(|grantee| grantee.uri().or(grantee.id()));
        Grant {
            grantee: printable(known.unwrap_or("someone")),
            permission: grant
                .permission()
                .map(|permission| printable(permission.as_str()))
                .unwrap_or_default(),
        }
    });
    Ok(Acl {
        grants: grants.collect(),
        owner: answer
            .owner
            .and_then(|owner| owner.id)
            .map(|id| printable(&id)),
    })
}

/// By Object Ownership: ACLs have an effect unless it is `BucketOwnerEnforced`, as it is not where
/// nothing is set, <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>.
async fn acls_enabled(clients: &Clients, bucket: &str, owner: &str) -> Result<bool> {
    let call = clients.s3.get_bucket_ownership_controls().bucket(bucket);
    let answer = call
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketOwnershipControls", bucket);
    let answer = unless_absent(answer, "OwnershipControlsNotFoundError")?;
    let controls = answer.and_then(|answer| answer.ownership_controls);
    let rules = controls.map(|controls| controls.rules).unwrap_or_default();
    let enforced = ObjectOwnership::BucketOwnerEnforced;
    Ok(!rules.iter().any(|rule| rule.object_ownership == enforced))
}

async fn tags(clients: &Clients, bucket: &str, owner: &str) -> Result<BTreeMap<String, String>> {
    let call = clients.s3.get_bucket_tagging().bucket(bucket);
    let answer = call
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketTagging", bucket);
    let answer = unless_absent(answer, "NoSuchTagSet")?;
    let tags = answer.map(|answer| answer.tag_set).unwrap_or_default();
    let tags = tags.into_iter();
    Ok(tags.map(|tag| (tag.key, tag.value)).collect())
}

async fn website(clients: &Clients, bucket: &str, owner: &str) -> Result<bool> {
    let call = clients.s3.get_bucket_website().bucket(bucket);
    let answer = call
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketWebsite", bucket);
    let answer = unless_absent(answer, "NoSuchWebsiteConfiguration")?;
    Ok(answer.is_some())
}

pub(super) async fn access_points_in_time(
    clients: &Clients,
    bucket: &str,
    owner: &str,
) -> Result<AccessPoints> {
    let points = access_points(clients, bucket, owner);
    within(Instant::now() + PATIENCE, "s3:ListAccessPoints", points).await
}

async fn access_points(clients: &Clients, bucket: &str, owner: &str) -> Result<AccessPoints> {
    let answer = clients
        .control
        .list_access_points()
        .account_id(owner)
        .bucket(bucket)
        .max_results(ACCESS_POINTS)
        .send()
        .await
        .during("s3:ListAccessPoints", bucket)?;
    let names = answer.access_point_list().iter().map(|point| {
        let vpc = point.vpc_configuration().map(|vpc| vpc.vpc_id());
        match (point.network_origin(), vpc) {
            (NetworkOrigin::Vpc, Some(vpc)) => printable(&format!("{} ({vpc})", point.name())),
            (origin, _) => printable(&format!("{} ({})", point.name(), origin.as_str())),
        }
    });
    Ok(AccessPoints {
        names: names.collect(),
        more: answer.next_token().is_some(),
    })
}
