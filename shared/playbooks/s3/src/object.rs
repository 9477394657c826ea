//! The versions of objects: whether the one that a finding names is still there, and its tags. Their content is never
//! read.

use std::collections::BTreeMap;

use aws_sdk_s3::types::Tag;
use serde::{Deserialize, Serialize};

use super::clients::Clients;
use aws::error::{CallContext, Error, Result};
use model::finding::{Finding, ObjectVersion};

/// The key of the tag of a malicious object. Its value is the finding.
pub(super) const TAG: &str = "gdr:quarantined";

/// The version of an object that was written while its bucket kept no versions.
const NULL: &str = "null";

/// The codes by which S3 says that there is no such object or version, or that a delete marker is in its place.
const ABSENT: [&str; 4] = [
    "NoSuchKey",
    "NoSuchVersion",
    "MethodNotAllowed",
    "NoSuchBucket",
];

/// One version of an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Object {
    /// The ARN of the object, with the version. Printable.
    pub(super) arn: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version_id: Option<String>,
    pub(super) etag: Option<String>,
}

/// The state of the version of an object, as it was read.
#[derive(Clone, Debug)]
pub enum ObjectState {
    /// It is there.
    Live(Object, Tags),
    /// There is no such version.
    Gone(Object),
    /// Another content has its place: the bucket keeps no versions.
    Overwritten(Object),
    /// Nothing was asked: the finding says neither which version nor which content it is, or the bucket is of a kind
    /// whose objects have no tags.
    Unidentified(Object),
    /// It could not be read.
    Unreadable(Object, Error),
}

/// The tags of a version, and the way to change them.
#[derive(Clone, Debug)]
pub struct Tags {
    /// The version in a call. `None`: the present object of a bucket without versions.
    pub(super) version_id: Option<String>,
    pub(super) set: Vec<(String, String)>,
}

impl Object {
    pub(super) fn of(finding: &Finding, version: &ObjectVersion) -> Self {
        Self {
            arn: format!("arn:{}:s3:::{}", finding.partition(), version.target()),
            bucket: version.bucket.clone(),
            key: version.key.clone(),
            version_id: version.version_id.clone(),
            etag: version.etag.clone(),
        }
    }
}

impl Tags {
    pub(super) fn has_ours(&self) -> bool {
        self.set.iter().any(|(key, _)| key == TAG)
    }

    /// All but ours.
    pub(super) fn others(&self) -> Vec<(String, String)> {
        let others = self.set.iter().filter(|(key, _)| key != TAG);
        others.cloned().collect()
    }

    /// For people.
    pub(super) fn printable(&self) -> BTreeMap<String, String> {
        let printable = model::finding::printable;
        let tags = self.set.iter();
        tags.map(|(key, value)| (printable(key), printable(value)))
            .collect()
    }
}

impl ObjectState {
    pub(super) fn object(&self) -> &Object {
        match self {
            Self::Live(object, _)
            | Self::Gone(object)
            | Self::Overwritten(object)
            | Self::Unidentified(object)
            | Self::Unreadable(object, _) => object,
        }
    }
}

/// Reads the version `object`, where the clients are, in a bucket of this account.
pub(super) async fn read(clients: &Clients, object: &Object, owner: &str) -> ObjectState {
    match located(clients, object, owner).await {
        Ok(state) => state,
        Err(error) => ObjectState::Unreadable(object.clone(), error),
    }
}

async fn located(clients: &Clients, object: &Object, owner: &str) -> Result<ObjectState> {
    if object.version_id.is_none() && object.etag.is_none() {
        return Ok(ObjectState::Unidentified(object.clone()));
    }
    let version_id = match place(clients, object, owner).await? {
        Place::At(version_id) => version_id,
        Place::Gone => return Ok(ObjectState::Gone(object.clone())),
        Place::Taken => return Ok(ObjectState::Overwritten(object.clone())),
    };
    match tags(clients, object, version_id, owner).await {
        Ok(tags) => Ok(ObjectState::Live(object.clone(), tags)),
        Err(error) if ABSENT.iter().any(|code| error.has_code(code)) => {
            Ok(ObjectState::Gone(object.clone()))
        }
        Err(error) => Err(error),
    }
}

/// The place of a version.
enum Place {
    /// There, for calls with this version.
    At(Option<String>),
    Gone,
    /// Another content is there.
    Taken,
}

/// Looks the version up among those of its key. The content of a version with an id never changes. One without an id
/// can be overwritten, so its entity tag is compared, which only a listing shows without the permission to read
/// objects, <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>. The versions of the key
/// itself come before those of longer keys.
async fn place(clients: &Clients, object: &Object, owner: &str) -> Result<Place> {
    let Object { bucket, key, .. } = object;
    let call = clients.s3.list_object_versions().bucket(bucket);
    let answer = call
        .prefix(key)
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:ListBucketVersions", bucket);
    let answer = match answer {
        Err(error) if error.has_code("NoSuchBucket") => return Ok(Place::Gone),
        answer => answer?,
    };
    let wanted = object.version_id.as_deref().unwrap_or(NULL);
    let versions = answer.versions().iter();
    let mut versions = versions.filter(|version| version.key() == Some(key));
    let found = versions.find(|version| version.version_id().unwrap_or(NULL) == wanted);
    let more = answer.is_truncated() == Some(true) && answer.next_key_marker() == Some(key);
    let Some(found) = found else {
        return match &object.version_id {
            Some(id) if more => Ok(Place::At(Some(id.clone()))),
            None if more => Err(Error::Refused(format!(
                "{} has more versions than were listed, and the one without an id is not among them",
                object.arn
            ))),
            _ => Ok(Place::Gone),
        };
    };
    if object.version_id.is_some() {
        return Ok(Place::At(object.version_id.clone()));
    }
    let etag = found.e_tag().map(|etag| etag.trim_matches('"'));
    if etag != object.etag.as_deref() {
        return Ok(Place::Taken);
    }
    let newest = found.is_latest() == Some(true);
    Ok(Place::At((!newest).then(|| NULL.to_owned())))
}

async fn tags(
    clients: &Clients,
    object: &Object,
    version_id: Option<String>,
    owner: &str,
) -> Result<Tags> {
    let operation = match version_id {
        Some(_) => "s3:GetObjectVersionTagging",
        None => "s3:GetObjectTagging",
    };
    let call = clients.s3.get_object_tagging().bucket(&object.bucket);
    let answer = call
        .key(&object.key)
        .set_version_id(version_id.clone())
        .expected_bucket_owner(owner)
        .send()
        .await
        .during(operation, &object.arn)?;
    let set = answer.tag_set.into_iter().map(|tag| (tag.key, tag.value));
    Ok(Tags {
        version_id,
        set: set.collect(),
    })
}

/// Makes `set` the whole set of tags of a version,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html>.
pub(super) async fn set_tags(
    clients: &Clients,
    object: &Object,
    version_id: Option<String>,
    set: Vec<(String, String)>,
    owner: &str,
) -> Result<()> {
    let tags = set.into_iter().map(|(key, value)| {
        let tag = Tag::builder().key(key).value(value).build();
        tag.map_err(|error| Error::Refused(error.to_string()))
    });
    let tagging = aws_sdk_s3::types::Tagging::builder();
    let tagging = tagging
        .set_tag_set(Some(tags.collect::<Result<_>>()?))
        .build();
    let tagging = tagging.map_err(|error| Error::Refused(error.to_string()))?;
    let operation = match version_id {
        Some(_) => "s3:PutObjectVersionTagging",
        None => "s3:PutObjectTagging",
    };
    let call = clients.s3.put_object_tagging().bucket(&object.bucket);
    call.key(&object.key)
        .set_version_id(version_id)
        .expected_bucket_owner(owner)
        .tagging(tagging)
        .send()
        .await
        .during(operation, &object.arn)
        .map(drop)
}

/// Leaves a version without tags.
#[expect(
    clippy::disallowed_methods,
    reason = "release takes off the tag of the responder, where it is the only one"
)]
pub(super) async fn delete_tags(
    clients: &Clients,
    object: &Object,
    version_id: Option<String>,
    owner: &str,
) -> Result<()> {
    let call = clients.s3.delete_object_tagging().bucket(&object.bucket);
    call.key(&object.key)
        .set_version_id(version_id)
        .expected_bucket_owner(owner)
        .send()
        .await
        .during("s3:DeleteObjectTagging", &object.arn)
        .map(drop)
}
