//! A victim that was made, and what several victims are made of.

use aws_sdk_iam::config::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Tag};
use remediation::error::{CallContext as _, Result};
use serde_json::{Value, json};

use crate::attempt::Attempt;
use crate::context::{Context, lacking};
use crate::finding::About;

/// A victim that was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// As people are shown them.
    pub(crate) resources: Vec<String>,
    pub(crate) attempts: Vec<Attempt>,
    /// The subject of the finding.
    pub(crate) about: About,
    /// The access keys that a release may activate again.
    pub(crate) keys: Vec<String>,
}

/// Why a victim cannot be shown in this account.
pub(crate) type NotShown = String;

/// The object in each bucket of a proof.
pub(super) const KEY: &str = "customers.csv";

/// Makes a bucket with one object. The account's id is in its name, since names of buckets are unique worldwide.
pub(crate) async fn make_bucket(context: &Context<'_>, of_what: &str) -> Result<String> {
    let name = context.id.name(&format!("{of_what}-{}", context.account));
    let mut configuration = CreateBucketConfiguration::builder();
    // There is no constraint for it.
    if context.region != "us-east-1" {
        let location = BucketLocationConstraint::from(context.region.as_str());
        configuration = configuration.location_constraint(location);
    }
    for (key, value) in context.tags(of_what) {
        let tag = Tag::builder().key(key).value(value).build();
        let tag = tag.map_err(|_| lacking("s3:CreateBucket", &name, "tag"))?;
        configuration = configuration.tags(tag);
    }
    let call = context.s3.create_bucket().bucket(&name);
    let done = call
        .create_bucket_configuration(configuration.build())
        .send()
        .await;
    done.during("s3:CreateBucket", &name)?;
    let content = ByteStream::from_static(b"name,card\n");
    let put = context.s3.put_object().bucket(&name).key(KEY).body(content);
    let put = put.expected_bucket_owner(&context.account);
    put.send().await.during("s3:PutObject", &name)?;
    context.made(format!("bucket {name}"));
    Ok(name)
}

/// The permission of the users and roles of a proof: to list its own bucket.
pub(super) fn may_list(context: &Context<'_>, bucket: &str) -> String {
    statement(json!({
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": format!("arn:{}:s3:::{bucket}", context.partition),
    }))
}

pub(super) fn statement(statement: Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

pub(super) fn iam_tags(context: &Context<'_>, name: &str) -> Result<Vec<aws_sdk_iam::types::Tag>> {
    let tags = context.tags(name).into_iter().map(|(key, value)| {
        let tag = aws_sdk_iam::types::Tag::builder().key(key).value(value);
        tag.build()
            .map_err(|_| lacking("iam:TagResource", name, "tag"))
    });
    tags.collect()
}

/// The credentials of a session.
pub(super) fn session(
    issued: Option<aws_sdk_sts::types::Credentials>,
    of: &str,
) -> Result<Credentials> {
    let issued = issued.ok_or_else(|| lacking("sts:AssumeRole", of, "credentials"))?;
    Ok(Credentials::new(
        issued.access_key_id,
        issued.secret_access_key,
        Some(issued.session_token),
        None,
        "session",
    ))
}
