//! The writes: makes each change, and puts back what it found. Each reads first what it needs to be right at the
//! moment of writing.

use std::time::Duration;

use serde_json::Value;

use super::action::{Action, BlockAccount, BlockBucket, BucketRef};
use super::block::BlockPublicAccess;
use super::bucket;
use super::bucket_policy::{SIZE_LIMIT, has_sid, holds, naming_the_deleted, same, with, without};
use super::clients::Clients;
use super::quarantine;
use aws::conflict;
use aws::error::{CallContext, Error, Result};

/// Pauses before a write is tried again that met another change of the same bucket's configuration
/// (`OperationAborted`), which the SDK does not retry.
const CONFLICT_PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// Makes one change.
pub(super) async fn apply(clients: &Clients, action: &Action) -> Result<()> {
    match action {
        Action::BlockBucket(action) => set_bucket(clients, action, BlockPublicAccess::ALL).await,
        Action::BlockAccount(action) => block_account(clients, action).await,
        Action::DenyInPolicy(action) => {
            deny(
                clients,
                &action.bucket,
                std::slice::from_ref(&action.statement),
            )
            .await
        }
        Action::DenyTagged(action) => deny(clients, &action.bucket, &action.statements).await,
        Action::TagObject(action) => quarantine::tag(clients, action).await,
    }
}

/// Puts back what a change found.
pub(super) async fn restore(clients: &Clients, action: &Action) -> Result<()> {
    match action {
        Action::BlockBucket(action) => set_bucket(clients, action, action.from).await,
        Action::BlockAccount(action) => set_account(clients, action, action.from).await,
        Action::DenyInPolicy(action) => {
            let ours = std::slice::from_ref(&action.statement);
            lift_deny(clients, &action.bucket, ours, action.from.as_deref()).await
        }
        Action::DenyTagged(action) => {
            let from = action.from.as_deref();
            lift_deny(clients, &action.bucket, &action.statements, from).await
        }
        Action::TagObject(action) => quarantine::take_tag_off(clients, action).await,
    }
}

async fn set_bucket(
    clients: &Clients,
    action: &BlockBucket,
    flags: BlockPublicAccess,
) -> Result<()> {
    let BucketRef {
        name,
        region,
        owner_account,
        ..
    } = &action.bucket;
    let s3 = clients.in_region(region).s3;
    despite_conflicts(async || {
        s3.put_public_access_block()
            .bucket(name)
            .expected_bucket_owner(owner_account)
            .public_access_block_configuration(flags.into())
            .send()
            .await
            .during("s3:PutBucketPublicAccessBlock", name)
            .map(drop)
    })
    .await
}

async fn set_account(
    clients: &Clients,
    action: &BlockAccount,
    flags: BlockPublicAccess,
) -> Result<()> {
    let control = clients.in_region(&action.region).control;
    despite_conflicts(async || {
        control
            .put_public_access_block()
            .account_id(&action.account)
            .public_access_block_configuration(flags.into())
            .send()
            .await
            .during("s3:PutAccountPublicAccessBlock", &action.account)
            .map(drop)
    })
    .await
}

/// S3 refuses the call if the account's setting is governed by a policy of its organization,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_PutPublicAccessBlock.html>. The flags in effect show
/// whether that policy does what was wanted.
async fn block_account(clients: &Clients, action: &BlockAccount) -> Result<()> {
    let refusal = match set_account(clients, action, BlockPublicAccess::ALL).await {
        Err(error) if error.has_code("AccessDenied") => error,
        done => return done,
    };
    let clients = clients.in_region(&action.region);
    match bucket::account_block(&clients, &action.account).await {
        Ok(BlockPublicAccess::ALL) => Ok(()),
        Ok(_) => Err(Error::Refused(format!(
            "{refusal}; S3 also refuses this if a policy of the organization governs the \
             account's Block Public Access. The flags that are in effect are not all on: if there \
             is such a policy (type S3_POLICY in AWS Organizations), change it there"
        ))),
        Err(_) => Err(refusal),
    }
}

/// Merges with the present policy, which may have changed since it was observed.
pub(super) async fn deny(clients: &Clients, of: &BucketRef, wanted: &[Value]) -> Result<()> {
    let clients = clients.in_region(&of.region);
    despite_conflicts(async || {
        let standing = bucket::policy(&clients, &of.name, &of.owner_account).await?;
        let standing = standing.map(|policy| policy.document);
        if holds(standing.as_ref(), wanted) {
            return Ok(());
        }
        let wanted = with(standing.as_ref(), wanted).to_string();
        if wanted.len() > SIZE_LIMIT {
            return Err(Error::Refused(format!(
                "the policy of {} has grown since it was read, and one more statement no longer fits",
                of.name
            )));
        }
        let put = put_policy(&clients, of, wanted).await;
        put.map_err(|error| explained(error, of, standing.as_ref()))
    })
    .await
}

/// Puts back what stood, to the letter, unless others have changed the policy since: then only
/// our statements are taken out of it.
pub(super) async fn lift_deny(
    clients: &Clients,
    of: &BucketRef,
    ours: &[Value],
    from: Option<&str>,
) -> Result<()> {
    let clients = clients.in_region(&of.region);
    despite_conflicts(async || {
        let standing = bucket::policy(&clients, &of.name, &of.owner_account).await?;
        let Some(standing) = standing.map(|policy| policy.document) else {
            return Ok(());
        };
        if !ours.iter().any(|ours| has_sid(&standing, ours)) {
            return Ok(());
        }
        let found: Option<Value> = from.and_then(|text| serde_json::from_str(text).ok());
        let untouched = same(&standing, &with(found.as_ref(), ours));
        let left = if untouched {
            from.map(ToOwned::to_owned)
        } else {
            without(&standing, ours).map(|policy| policy.to_string())
        };
        match left {
            Some(policy) => {
                let put = put_policy(&clients, of, policy).await;
                put.map_err(|error| explained(error, of, Some(&standing)))
            }
            None => delete_policy(&clients, of).await,
        }
    })
    .await
}

/// S3 takes no policy that names a deleted user or role, in whichever statement: those of ours have none. The present
/// policy shows which, also if the one to put back still has the ARN.
fn explained(error: Error, bucket: &BucketRef, standing: Option<&Value>) -> Error {
    let deleted = standing.map(naming_the_deleted).unwrap_or_default();
    if !error.has_code("MalformedPolicy") || deleted.is_empty() {
        return error;
    }
    Error::Refused(format!(
        "{error}; the policy of {} names users or roles that were deleted, with which S3 takes no policy: \
         {}. Take those principals out of the bucket's policy, and do this again",
        bucket.name,
        deleted.join("; "),
    ))
}

async fn put_policy(clients: &Clients, bucket: &BucketRef, policy: String) -> Result<()> {
    let call = clients.s3.put_bucket_policy().bucket(&bucket.name);
    call.expected_bucket_owner(&bucket.owner_account)
        .policy(policy)
        .send()
        .await
        .during("s3:PutBucketPolicy", &bucket.name)
        .map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "release takes away a policy that only the responder made"
)]
async fn delete_policy(clients: &Clients, bucket: &BucketRef) -> Result<()> {
    let call = clients.s3.delete_bucket_policy().bucket(&bucket.name);
    call.expected_bucket_owner(&bucket.owner_account)
        .send()
        .await
        .during("s3:DeleteBucketPolicy", &bucket.name)
        .map(drop)
}

pub(super) async fn despite_conflicts(change: impl AsyncFn() -> Result<()>) -> Result<()> {
    conflict::despite_conflicts(&["OperationAborted"], &CONFLICT_PAUSES, change).await
}
