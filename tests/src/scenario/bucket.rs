//! A bucket whose policy lets the whole world read it.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Credentials};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::json;

use super::{Observation, Scenario};
use crate::finding::Finding;
use crate::{LocalAws, Result, http, unique};

const KEY: &str = "customers.csv";
const CONTENT: &[u8] = b"name,card\n";

pub(super) fn client(aws: &LocalAws, credentials: &Credentials) -> Client {
    // The emulator has no name of its own for each bucket.
    Client::from_conf(
        Builder::from(&aws.signed_in(credentials))
            .force_path_style(true)
            .build(),
    )
}

pub struct PublicBucket {
    pub name: String,
    url: String,
    owner: Client,
}

impl PublicBucket {
    pub async fn create(aws: &LocalAws) -> Result<Self> {
        let owner = Client::from_conf(Builder::from(&aws.root()).force_path_style(true).build());
        let name = unique("customer-data");
        owner.create_bucket().bucket(&name).send().await?;
        owner
            .put_object()
            .bucket(&name)
            .key(KEY)
            .body(ByteStream::from_static(CONTENT))
            .send()
            .await?;
        // A new bucket blocks public access; whoever opens one to the world removes that first.
        owner
            .delete_public_access_block()
            .bucket(&name)
            .send()
            .await?;
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "TheMistake",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": format!("arn:aws:s3:::{name}/*"),
            }],
        });
        owner
            .put_bucket_policy()
            .bucket(&name)
            .policy(policy.to_string())
            .send()
            .await?;
        let url = format!("{}/{name}/{KEY}", aws.endpoint);
        Ok(Self { name, url, owner })
    }

    /// The other kind of finding for it: not the mistake, but someone who makes use of it.
    pub fn read_by_anyone(&self) -> Result<Finding> {
        let anonymous = "ANONYMOUS_PRINCIPAL";
        Ok(self
            .finding()?
            .of_type("UnauthorizedAccess:S3/MaliciousIPCaller.Custom")
            .with("/resource/resourceType", "S3Bucket")
            .by("", anonymous, "AWSAccount", anonymous)
            .with("/service/action/awsApiCallAction/api", "GetObject"))
    }

    /// All four Block Public Access settings, as they stand now.
    pub async fn public_access_block(&self) -> Result<[bool; 4]> {
        let answer = self
            .owner
            .get_public_access_block()
            .bucket(&self.name)
            .send()
            .await;
        let unset = answer.as_ref().is_err_and(|error| {
            use aws_sdk_s3::error::ProvideErrorMetadata as _;
            error.code() == Some("NoSuchPublicAccessBlockConfiguration")
        });
        if unset {
            return Ok([false; 4]);
        }
        let block = answer?
            .public_access_block_configuration
            .unwrap_or_else(|| {
                aws_sdk_s3::types::PublicAccessBlockConfiguration::builder().build()
            });
        Ok([
            block.block_public_acls.unwrap_or(false),
            block.ignore_public_acls.unwrap_or(false),
            block.block_public_policy.unwrap_or(false),
            block.restrict_public_buckets.unwrap_or(false),
        ])
    }
}

impl Scenario for PublicBucket {
    fn finding(&self) -> Result<Finding> {
        let name = self.name.as_str();
        Ok(Finding::bucket_made_public()?
            .with("/resource/s3BucketDetails/0/name", name)
            .with(
                "/resource/s3BucketDetails/0/arn",
                format!("arn:aws:s3:::{name}"),
            )
            .with(
                "/service/action/awsApiCallAction/affectedResources/AWS::S3::Bucket",
                name,
            ))
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        let answer = http::get(&self.url).await?;
        let works = match answer.status {
            200 if answer.body == CONTENT => true,
            403 => false,
            other => return Err(format!("an anonymous GET answered {other}").into()),
        };
        Ok(vec![Observation {
            what: format!("anyone on the internet reads {KEY}"),
            works,
            evidence: format!("HTTP {}", answer.status),
        }])
    }

    async fn bystanders(&self) -> Result<Vec<Observation>> {
        let answer = self
            .owner
            .get_object()
            .bucket(&self.name)
            .key(KEY)
            .send()
            .await;
        let (works, evidence) = crate::local_aws::allowed(answer)?;
        Ok(vec![Observation {
            what: format!("the owner reads {KEY}"),
            works,
            evidence,
        }])
    }
}
