//! The objects of the bucket: who gets one, and who changes its tags, as S3 decides by the bucket's policy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::delete_object_tagging::DeleteObjectTaggingOutput;
use aws_sdk_s3::operation::get_object_tagging::GetObjectTaggingOutput;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::operation::put_object_tagging::PutObjectTaggingOutput;
use aws_sdk_s3::types::{ObjectVersion, Tag};
use serde_json::Value;
use testkit::{Rule, mock};

use super::{Bucket, World};
use fixtures::Wire;

/// A version of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Stored {
    pub(in super::super) key: &'static str,
    /// `None`: it was written while the bucket kept no versions.
    pub(in super::super) version: Option<&'static str>,
    pub(in super::super) etag: &'static str,
    pub(in super::super) tags: BTreeMap<String, String>,
}

impl Bucket {
    /// The version that a call is about. Without an id it is the newest of the key.
    fn stored(
        &mut self,
        key: Option<&str>,
        version: Option<&str>,
    ) -> Result<&mut Stored, &'static str> {
        let mut of_key = self.objects.iter_mut().filter(|it| Some(it.key) == key);
        match version {
            None => of_key.next().ok_or("NoSuchKey"),
            Some(id) => of_key
                .find(|it| it.version.unwrap_or("null") == id)
                .ok_or("NoSuchVersion"),
        }
    }

    /// Whether the policy denies `action` on a version with these tags, by its condition on them.
    fn denies(&self, action: &str, tags: &BTreeMap<String, String>) -> bool {
        let policy: Value = match &self.policy {
            Some(text) => serde_json::from_str(text).expect("a policy"),
            None => return false,
        };
        let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        statements.iter().any(|statement| {
            let of_action = statement["Action"]
                .as_array()
                .is_some_and(|all| all.contains(&action.into()));
            let condition = statement["Condition"]["StringLike"].as_object();
            let met = condition.is_some_and(|keys| {
                keys.iter().all(|(key, value)| {
                    let tag = key.strip_prefix("s3:ExistingObjectTag/").expect("a tag");
                    assert_eq!(value, "*");
                    tags.contains_key(tag)
                })
            });
            statement["Effect"] == "Deny"
                && statement["Resource"] == "arn:aws:s3:::exposed/*"
                && of_action
                && met
        })
    }

    fn tags_may_change(
        &mut self,
        action: [&str; 2],
        key: Option<&str>,
        version: Option<&str>,
    ) -> Result<(), &'static str> {
        let tags = self.stored(key, version)?.tags.clone();
        let action = if version.is_some() {
            action[1]
        } else {
            action[0]
        };
        if self.denies(action, &tags) {
            return Err("AccessDenied");
        }
        Ok(())
    }
}

impl World {
    /// Whether somebody whom nothing else keeps out gets the version.
    pub(in super::super) fn reader_gets(&self, key: &str, version: Option<&str>) -> bool {
        let mut bucket = self.now();
        let tags = bucket
            .stored(Some(key), version)
            .expect("an object")
            .tags
            .clone();
        let action = if version.is_some() {
            "s3:GetObjectVersion"
        } else {
            "s3:GetObject"
        };
        !bucket.denies(action, &tags)
    }

    /// Whether somebody who may set tags gets the version's off.
    pub(in super::super) fn attacker_takes_tags_off(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> bool {
        let mut bucket = self.now();
        let deletes = ["s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"];
        let sets = ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"];
        [deletes, sets]
            .into_iter()
            .any(|action| bucket.tags_may_change(action, Some(key), version).is_ok())
    }

    pub(in super::super) fn tags(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> BTreeMap<String, String> {
        let mut bucket = self.now();
        bucket
            .stored(Some(key), version)
            .expect("an object")
            .tags
            .clone()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a release may take off a tag that only the responder set"
)]
pub(super) fn of_objects(bucket: &Arc<Mutex<Bucket>>, wire: &Wire) -> Vec<Rule> {
    let on = (bucket, wire);
    let list = mock!(Client::list_object_versions);
    let list = list.answered_by(on, "s3:ListBucketVersions", |bucket, request| {
        bucket.admits(request.expected_bucket_owner(), request.bucket())?;
        let prefix = request.prefix().expect("a prefix");
        let mut latest = Vec::new();
        let found = bucket
            .objects
            .iter()
            .filter(|it| it.key.starts_with(prefix));
        let versions = found.map(|it| {
            let newest = !latest.contains(&it.key);
            latest.push(it.key);
            ObjectVersion::builder()
                .key(it.key)
                .version_id(it.version.unwrap_or("null"))
                .e_tag(format!("\"{}\"", it.etag))
                .is_latest(newest)
                .build()
        });
        Ok(ListObjectVersionsOutput::builder()
            .set_versions(Some(versions.collect()))
            .build())
    });
    let get = mock!(Client::get_object_tagging);
    let get = get.answered_by(on, "s3:GetObjectTagging", |bucket, request| {
        bucket.admits(request.expected_bucket_owner(), request.bucket())?;
        let stored = bucket.stored(request.key(), request.version_id())?;
        let tags = stored.tags.iter();
        let tags =
            tags.map(|(key, value)| Tag::builder().key(key).value(value).build().expect("a tag"));
        Ok(GetObjectTaggingOutput::builder()
            .set_tag_set(Some(tags.collect()))
            .build()
            .expect("tags"))
    });
    let put = mock!(Client::put_object_tagging);
    let put = put.answered_by(on, "s3:PutObjectTagging", |bucket, request| {
        bucket.admits(request.expected_bucket_owner(), request.bucket())?;
        let (key, version) = (request.key(), request.version_id());
        bucket.tags_may_change(
            ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
            key,
            version,
        )?;
        let set = request.tagging().expect("tags").tag_set();
        assert!(!set.is_empty());
        if set.len() > 10 {
            return Err("BadRequest");
        }
        if !bucket.forgets {
            let set = set.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
            bucket.stored(key, version)?.tags = set.collect();
        }
        Ok(PutObjectTaggingOutput::builder().build())
    });
    let delete = mock!(Client::delete_object_tagging);
    let delete = delete.answered_by(on, "s3:DeleteObjectTagging", |bucket, request| {
        bucket.admits(request.expected_bucket_owner(), request.bucket())?;
        let (key, version) = (request.key(), request.version_id());
        bucket.tags_may_change(
            ["s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"],
            key,
            version,
        )?;
        bucket.stored(key, version)?.tags.clear();
        Ok(DeleteObjectTaggingOutput::builder().build())
    });
    vec![list, get, put, delete]
}
