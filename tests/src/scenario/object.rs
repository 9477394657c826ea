//! A bucket with an object in which malware was found, beside others.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, Tag, Tagging, VersioningConfiguration};
use serde_json::{Value, json};

use super::Observation;
use crate::finding::Finding;
use crate::local_aws::allowed;
use crate::{LocalAws, Result, http, s3, unique};

const KEY: &str = "in/invoice 7.exe";
const NEIGHBOUR: &str = "in/invoice 7.exe.txt";

/// A key with a malicious object, or a malicious version between two harmless ones.
pub struct Uploads {
    pub bucket: String,
    /// `None`: the bucket keeps no versions.
    pub malicious: Option<String>,
    etag: String,
    others: Vec<String>,
    owner: Client,
}

impl Uploads {
    pub async fn create(owner: &Client, bucket: &str, versioned: bool) -> Result<Self> {
        owner.create_bucket().bucket(bucket).send().await?;
        let mut uploads = Self {
            bucket: bucket.to_owned(),
            malicious: None,
            etag: String::new(),
            others: Vec::new(),
            owner: owner.clone(),
        };
        uploads.put(NEIGHBOUR, b"a note").await?;
        if !versioned {
            (_, uploads.etag) = uploads.put(KEY, b"malware").await?;
        } else {
            let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
            let versioning = owner.put_bucket_versioning().bucket(bucket);
            versioning
                .versioning_configuration(on.build())
                .send()
                .await?;
            uploads.others.extend(uploads.put(KEY, b"before").await?.0);
            (uploads.malicious, uploads.etag) = uploads.put(KEY, b"malware").await?;
            uploads.others.extend(uploads.put(KEY, b"after").await?.0);
        }
        let tag = Tag::builder().key("team").value("billing").build()?;
        let tags = Tagging::builder().tag_set(tag).build()?;
        let tagging = owner
            .put_object_tagging()
            .bucket(bucket)
            .key(KEY)
            .tagging(tags);
        tagging
            .set_version_id(uploads.malicious.clone())
            .send()
            .await?;
        Ok(uploads)
    }

    /// Answers the id and the entity tag of the version.
    async fn put(&self, key: &str, content: &'static [u8]) -> Result<(Option<String>, String)> {
        let put = self.owner.put_object().bucket(&self.bucket).key(key);
        let put = put.body(ByteStream::from_static(content)).send().await?;
        let version = put.version_id.filter(|id| id != "null");
        Ok((version, put.e_tag.ok_or("no entity tag")?))
    }

    /// Puts another content in the place of the object.
    pub async fn overwrite(&self) -> Result {
        self.put(KEY, b"another").await.map(drop)
    }

    pub fn finding(&self) -> Result<Finding> {
        let bucket = self.bucket.as_str();
        let object = json!([{
            "objectArn": format!("arn:aws:s3:::{bucket}/{KEY}"), "key": KEY,
            "eTag": self.etag.trim_matches('"'), "hash": "275a021bbfb6489e",
            "versionId": self.malicious,
        }]);
        Ok(Finding::bucket_made_public()?
            .of_type("Object:S3/MaliciousFile")
            .with("/resource/resourceType", "S3Object")
            .with("/resource/accessKeyDetails", Value::Null)
            .with("/service/action", json!({}))
            .with("/resource/s3BucketDetails/0/name", bucket)
            .with(
                "/resource/s3BucketDetails/0/arn",
                format!("arn:aws:s3:::{bucket}"),
            )
            .with("/resource/s3BucketDetails/0/s3ObjectDetails", object))
    }

    /// The tags of the malicious version, as `key=value`.
    pub async fn tags(&self) -> Result<Vec<String>> {
        let get = self
            .owner
            .get_object_tagging()
            .bucket(&self.bucket)
            .key(KEY);
        let answer = get.set_version_id(self.malicious.clone()).send().await?;
        let tags = answer.tag_set().iter();
        let mut tags: Vec<_> = tags
            .map(|tag| format!("{}={}", tag.key, tag.value))
            .collect();
        tags.sort_unstable();
        Ok(tags)
    }

    /// The bucket's policy, if it has one.
    pub async fn policy(&self) -> Result<Option<String>> {
        let answer = self
            .owner
            .get_bucket_policy()
            .bucket(&self.bucket)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.policy),
            Err(error) if error.code() == Some("NoSuchBucketPolicy") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Somebody who may do anything in S3 gets the malicious version, or not.
    pub async fn reads(&self, by: &Reader) -> Result<Vec<Observation>> {
        let read = by.client.get_object().bucket(&self.bucket).key(KEY);
        let read = read.set_version_id(self.malicious.clone()).send().await;
        let (works, evidence) = allowed(read)?;
        Ok(vec![Observation {
            what: "reads the version".to_owned(),
            works,
            evidence,
        }])
    }

    /// Each way in which somebody who may do anything in S3 gets the malicious version, and gets the tag off it.
    pub async fn attack(&self, by: &Reader) -> Result<Vec<Observation>> {
        let of = |what: &str, (works, evidence): (bool, String)| Observation {
            what: what.to_owned(),
            works,
            evidence,
        };
        let version = || self.malicious.clone();
        let read = || {
            by.client
                .get_object()
                .bucket(&self.bucket)
                .key(KEY)
                .set_version_id(version())
        };
        let in_a_minute = PresigningConfig::expires_in(Duration::from_secs(60))?;
        let url = read().presigned(in_a_minute).await?;
        let status = http::get(url.uri()).await?.status;
        let by_url = match status {
            200 => true,
            403 => false,
            other => return Err(format!("a presigned URL answered {other}").into()),
        };
        let mut tried = vec![
            of("reads the version", allowed(read().send().await)?),
            of(
                "reads it by a presigned URL",
                (by_url, format!("HTTP {status}")),
            ),
        ];
        let untag = by
            .client
            .delete_object_tagging()
            .bucket(&self.bucket)
            .key(KEY);
        let untag = untag.set_version_id(version()).send().await;
        tried.push(of("takes its tags off", allowed(untag)?));
        Ok(tried)
    }

    /// What else somebody reads in the bucket, and writes there.
    pub async fn bystanders(&self, by: &Reader) -> Result<Vec<Observation>> {
        let mut tried = Vec::new();
        let others = self.others.iter().map(|id| (KEY, Some(id.clone())));
        for (key, version) in others.chain([(NEIGHBOUR, None)]) {
            let read = by.client.get_object().bucket(&self.bucket).key(key);
            let (works, evidence) = allowed(read.set_version_id(version).send().await)?;
            let what = format!("reads {key}");
            tried.push(Observation {
                what,
                works,
                evidence,
            });
        }
        let put = by.client.put_object().bucket(&self.bucket).key("in/new");
        let (works, evidence) = allowed(put.send().await)?;
        tried.push(Observation {
            what: "writes another object".to_owned(),
            works,
            evidence,
        });
        Ok(tried)
    }
}

/// A user of the account whose own policy allows all of S3.
pub struct Reader {
    client: Client,
}

impl Reader {
    pub async fn create(aws: &LocalAws) -> Result<Self> {
        let iam = aws.iam();
        let name = unique("reader");
        iam.create_user().user_name(&name).send().await?;
        let policy = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "s3:*", "Resource": "*" },
        ] });
        let put = iam
            .put_user_policy()
            .user_name(&name)
            .policy_name("all-of-s3");
        put.policy_document(policy.to_string()).send().await?;
        let key = iam.create_access_key().user_name(&name).send().await?;
        let key = key.access_key.ok_or("no key")?;
        let key = Credentials::new(
            key.access_key_id,
            key.secret_access_key,
            None,
            None,
            "reader",
        );
        Ok(Self {
            client: s3::client(&aws.signed_in(&key)),
        })
    }
}
