//! Reads the buckets of a finding, all at once, each guarded by the account that must own it.

use aws_sdk_s3::Client;
use futures::future::join_all;

use super::{BlockPublicAccess, BucketState, State};
use crate::error::{CallContext, Error, Result};
use crate::finding::Finding;

/// The predefined groups whose grants are public,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>.
const PUBLIC_GROUPS: [&str; 2] = [
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
];

pub(super) async fn observe(client: &Client, finding: &Finding) -> Result<State> {
    let owner = &finding.account_id;
    let buckets = finding.buckets()?.into_iter().map(async |bucket| {
        let state = if bucket.ends_with("--x-s3") {
            BucketState::Directory
        } else {
            bucket_state(client, &bucket, owner).await
        };
        (bucket, state)
    });
    Ok(State {
        buckets: join_all(buckets).await,
    })
}

async fn bucket_state(client: &Client, bucket: &str, owner: &str) -> BucketState {
    let (block, policy, acl) = futures::join!(
        block_public_access(client, bucket, owner),
        policy_is_public(client, bucket, owner),
        acl(client, bucket, owner),
    );
    match block {
        Ok(block) => {
            let (acl_is_public, owner) = match acl {
                Ok((public, owner)) => (Ok(public), owner),
                Err(error) => (Err(error), None),
            };
            BucketState::Live {
                block,
                policy_is_public: policy,
                acl_is_public,
                owner,
            }
        }
        Err(error) if error.has_code("NoSuchBucket") => BucketState::Gone,
        Err(error) => BucketState::Unreadable(error),
    }
}

async fn block_public_access(
    client: &Client,
    bucket: &str,
    owner: &str,
) -> Result<BlockPublicAccess> {
    let answer = client
        .get_public_access_block()
        .bucket(bucket)
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketPublicAccessBlock", bucket);
    let flags = match answer {
        Ok(answer) => answer.public_access_block_configuration,
        Err(error) if error.has_code("NoSuchPublicAccessBlockConfiguration") => None,
        Err(error) => return Err(error),
    };
    Ok(
        flags.map_or_else(BlockPublicAccess::default, |flags| BlockPublicAccess {
            block_public_acls: flags.block_public_acls.unwrap_or_default(),
            ignore_public_acls: flags.ignore_public_acls.unwrap_or_default(),
            block_public_policy: flags.block_public_policy.unwrap_or_default(),
            restrict_public_buckets: flags.restrict_public_buckets.unwrap_or_default(),
        }),
    )
}

async fn policy_is_public(client: &Client, bucket: &str, owner: &str) -> Result<bool> {
    let answer = client
        .get_bucket_policy_status()
        .bucket(bucket)
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketPolicyStatus", bucket);
    match answer {
        Ok(answer) => Ok(answer
            .policy_status
            .and_then(|status| status.is_public)
            .unwrap_or_default()),
        Err(error) if error.has_code("NoSuchBucketPolicy") => Ok(false),
        Err(error) => Err(error),
    }
}

async fn acl(client: &Client, bucket: &str, owner: &str) -> Result<(bool, Option<String>), Error> {
    let answer = client
        .get_bucket_acl()
        .bucket(bucket)
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:GetBucketAcl", bucket)?;
    let public = answer.grants().iter().any(|grant| {
        let uri = grant.grantee().and_then(|grantee| grantee.uri());
        uri.is_some_and(|uri| PUBLIC_GROUPS.contains(&uri))
    });
    let owner = answer.owner.and_then(|owner| owner.id);
    Ok((public, owner))
}
