//! Removing buckets with their objects, and the table of the record.

use remediation::error::{CallContext as _, Result};

use crate::context::Context;
use crate::own::Own;

pub(super) async fn bucket(context: &Context<'_>, own: &Own) -> Result<()> {
    let call = context.s3.list_objects_v2().bucket(own.id());
    let call = call.expected_bucket_owner(&context.account);
    let mut pages = call.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.during("s3:ListBucket", own.id())?;
        for object in page.contents() {
            delete_object(context, own, object.key().unwrap_or_default()).await?;
        }
    }
    delete_bucket(context, own).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "an object in a bucket that the proof made: S3 deletes no bucket that has objects"
)]
async fn delete_object(context: &Context<'_>, bucket: &Own, key: &str) -> Result<()> {
    let call = context.s3.delete_object().bucket(bucket.id()).key(key);
    let call = call.expected_bucket_owner(&context.account);
    let done = call.send().await;
    done.during("s3:DeleteObject", bucket.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bucket that the proof made, with its tag read"
)]
async fn delete_bucket(context: &Context<'_>, bucket: &Own) -> Result<()> {
    let call = context.s3.delete_bucket().bucket(bucket.id());
    let call = call.expected_bucket_owner(&context.account);
    let done = call.send().await;
    done.during("s3:DeleteBucket", bucket.id()).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a table that the proof made, with its tag read"
)]
pub(super) async fn table(context: &Context<'_>, own: &Own) -> Result<()> {
    let call = context.dynamodb.delete_table().table_name(own.id());
    let done = call.send().await.during("dynamodb:DeleteTable", own.id());
    match done {
        Err(error) if error.has_code("ResourceNotFoundException") => Ok(()),
        done => done.map(drop),
    }
}
