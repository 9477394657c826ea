//! Buckets.

use aws_sdk_s3::types::{Tag, Tagging};
use aws_sdk_s3control::types::PublicAccessBlockConfiguration;
use integration_tests::finding::Finding;
use integration_tests::scenario::{PublicBucket, Uploads};
use integration_tests::{Result, Scenario as _, waits};
use jiff::Timestamp;
use serde_json::json;

use super::{PLAIN, Scenario, TOLD};
use crate::privilege::world::{MEMBER, Run, name};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "an exposed bucket is shut",
        function: "S3",
        parameters: TOLD,
        play: |run| Box::pin(exposed(run)),
        ..PLAIN
    },
    Scenario {
        name: "what would be done about an exposed bucket is told",
        function: "S3",
        parameters: &[("DryRun", "true")],
        // The emulator gives no status of a policy at times.
        open: &["public_now"],
        status: "dry_run",
        play: |run| Box::pin(exposed(run)),
        ..PLAIN
    },
    Scenario {
        name: "a bucket that was marked public since the activity began is shut",
        function: "S3",
        // That is for its owner to say.
        open: &["meant_public"],
        play: |run| Box::pin(marked(run)),
        ..PLAIN
    },
    Scenario {
        name: "a principal of a partner is denied in the bucket's policy",
        function: "S3",
        parameters: &[("S3PolicyDeny", "true")],
        does: &["s3:DenyInBucketPolicy"],
        play: |run| Box::pin(shared(run)),
        ..PLAIN
    },
    Scenario {
        name: "a malicious version of an object is quarantined",
        function: "S3",
        parameters: &[("S3QuarantineObjects", "true")],
        does: &["s3:DenyTaggedObjects", "s3:TagObjectVersion"],
        play: |run| Box::pin(malicious(run, true)),
        ..PLAIN
    },
    Scenario {
        name: "a malicious object of a bucket without versions is quarantined",
        function: "S3",
        parameters: &[("S3QuarantineObjects", "true")],
        does: &["s3:DenyTaggedObjects", "s3:TagObjectVersion"],
        play: |run| Box::pin(malicious(run, false)),
        ..PLAIN
    },
    Scenario {
        name: "the account's flags are turned on",
        function: "S3",
        parameters: &[("S3AccountBlock", "true")],
        does: &["s3:BlockAccountPublicAccess"],
        play: |run| Box::pin(account(run)),
        ..PLAIN
    },
    Scenario {
        name: "an exposed bucket of a member account is shut",
        function: "S3",
        parameters: &[("Mode", "hub")],
        play: |run| Box::pin(of_member(run)),
        ..PLAIN
    },
];

async fn exposed(run: &Run<'_>) -> Result {
    let bucket = PublicBucket::create(run.aws()).await?;
    run.respond(&bucket.finding()?).await
}

async fn marked(run: &Run<'_>) -> Result {
    let bucket = PublicBucket::create(run.aws()).await?;
    let began = Timestamp::now();
    // CloudTrail is asked by the second.
    waits::next_second().await;
    let tag = Tag::builder().key("gdr:public-ok").value("true").build()?;
    let tags = Tagging::builder().tag_set(tag).build()?;
    let owner = aws_sdk_s3::Client::new(&run.aws().root());
    let mark = owner.put_bucket_tagging().bucket(&bucket.name);
    mark.tagging(tags).send().await?;
    let finding = bucket
        .read_by_anyone()?
        .with("/service/eventFirstSeen", began.to_string())
        .with(
            "/resource/s3BucketDetails/0/tags",
            json!([{ "key": "gdr:public-ok", "value": "true" }]),
        );
    run.respond(&finding).await
}

async fn shared(run: &Run<'_>) -> Result {
    let owner = aws_sdk_s3::Client::new(&run.aws().root());
    let bucket = name("shared");
    owner.create_bucket().bucket(&bucket).send().await?;
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": { "AWS": "arn:aws:iam::999988887777:root" },
        "Action": "s3:ListBucket",
        "Resource": format!("arn:aws:s3:::{bucket}"),
    }] });
    let put = owner.put_bucket_policy().bucket(&bucket);
    put.policy(policy.to_string()).send().await?;
    let finding = Finding::bucket_made_public()?
        .of_type("Discovery:S3/MaliciousIPCaller.Custom")
        .with("/resource/s3BucketDetails/0/name", bucket.as_str())
        .by("", "AIDAPARTNERUSERID", "AWSAccount", "someone");
    run.respond(&finding).await
}

async fn malicious(run: &Run<'_>, versioned: bool) -> Result {
    let owner = aws_sdk_s3::Client::new(&run.aws().root());
    let uploads = Uploads::create(&owner, &name("uploads"), versioned).await?;
    run.respond(&uploads.finding()?).await
}

async fn account(run: &Run<'_>) -> Result {
    let off = PublicAccessBlockConfiguration::builder()
        .block_public_acls(false)
        .ignore_public_acls(false)
        .block_public_policy(false)
        .restrict_public_buckets(false)
        .build();
    let control = run.control();
    let put = control.put_public_access_block();
    put.account_id(&run.aws().account_id)
        .public_access_block_configuration(off)
        .send()
        .await?;
    let finding = Finding::bucket_made_public()?
        .of_type("Policy:S3/AccountBlockPublicAccessDisabled")
        .with("/resource/s3BucketDetails", json!([]));
    run.respond(&finding).await
}

async fn of_member(run: &Run<'_>) -> Result {
    let owner = aws_sdk_s3::Client::new(&run.world.member());
    let bucket = name("of-member");
    owner.create_bucket().bucket(&bucket).send().await?;
    let open = owner.delete_public_access_block().bucket(&bucket);
    open.send().await?;
    let finding = Finding::bucket_made_public()?
        .with("/accountId", MEMBER)
        .with("/resource/s3BucketDetails/0/name", bucket.as_str());
    run.respond(&finding).await
}
