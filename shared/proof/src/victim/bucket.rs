//! A bucket whose policy lets the whole world read it.

use remediation::error::{CallContext as _, Error, Result};
use serde_json::json;

use super::made::{KEY, Made, NotShown, make_bucket, statement};
use crate::attempt::{Attempt, Probe};
use crate::context::Context;
use crate::finding::About;

pub(super) async fn make(context: &Context<'_>) -> Result<std::result::Result<Made, NotShown>> {
    if let Some(why) = blocked(context).await {
        return Ok(Err(why));
    }
    let name = Box::pin(make_bucket(context, "public")).await?;
    match Box::pin(open(context, &name)).await {
        // Block Public Access of the account or the organization, or a policy of the organization.
        Err(error) if error.is_denied() => {
            return Ok(Err(format!(
                "the account does not let a bucket be opened to everybody: {error}"
            )));
        }
        opened => opened?,
    }
    let (bucket, key) = (name.clone(), KEY.to_owned());
    let anonymous = aws_sdk_s3::config::Builder::from(&context.anonymous()).allow_no_auth();
    let anybody = Probe::ReadObject {
        client: aws_sdk_s3::Client::from_conf(anonymous.build()),
        bucket: bucket.clone(),
        key: key.clone(),
    };
    let owner = Probe::ReadObject {
        client: context.s3.clone(),
        bucket,
        key,
    };
    Ok(Ok(Made {
        resources: vec![format!("bucket {name}")],
        attempts: vec![
            Attempt::attack("read an object of the bucket without credentials", anybody),
            Attempt::bystander("read the object as the bucket's owner", owner),
        ],
        about: About::Bucket { name },
        keys: Vec::new(),
    }))
}

/// Why no bucket of the account can be public, as far as the account's Block Public Access says so.
async fn blocked(context: &Context<'_>) -> Option<NotShown> {
    let call = context.world.control.get_public_access_block();
    let asked = call.account_id(&context.account).send().await;
    // Who may not ask, or is not answered, tries.
    let flags = asked.ok()?.public_access_block_configuration?;
    let on = [
        ("BlockPublicPolicy", flags.block_public_policy),
        ("RestrictPublicBuckets", flags.restrict_public_buckets),
    ];
    let on = on.into_iter().filter(|(_, on)| *on == Some(true));
    let on: Vec<_> = on.map(|(flag, _)| flag).collect();
    (!on.is_empty()).then(|| {
        format!(
            "Block Public Access of account {} has {} on, so that none of its buckets can be public: this \
             attack cannot work here. A sandbox account without it can show it",
            context.account,
            on.join(" and "),
        )
    })
}

/// A new bucket blocks public access. To open one to everybody takes removing that first.
async fn open(context: &Context<'_>, name: &str) -> Result<(), Error> {
    unblock(context, name).await?;
    let policy = statement(json!({
        "Sid": "TheMistake",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": format!("arn:{}:s3:::{name}/*", context.partition),
    }));
    let put = context.s3.put_bucket_policy().bucket(name).policy(policy);
    let put = put.expected_bucket_owner(&context.account);
    put.send().await.during("s3:PutBucketPolicy", name)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the bucket was just made by the proof, and is to be public: it is the victim"
)]
async fn unblock(context: &Context<'_>, name: &str) -> Result<()> {
    let call = context.s3.delete_public_access_block().bucket(name);
    let done = call.expected_bucket_owner(&context.account).send().await;
    done.during("s3:PutBucketPublicAccessBlock", name).map(drop)
}
