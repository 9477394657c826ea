//! The versions of objects that a finding names.

use super::{Finding, ids, needed, printable};
use crate::error::{Error, Result};

/// How much of a key is in the name of a target, in bytes: the table takes names of 2,048 bytes, and a version's id may
/// have 1,024.
const NAMED: usize = 600;

/// One version of an object, as a finding names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// The bucket.
    pub bucket: String,
    /// The key, as it came: for calls. It may hold any character.
    pub key: String,
    /// The id of the version. `None`: the bucket keeps no versions, or did not when the object was written.
    pub version_id: Option<String>,
    /// The entity tag without its quotes, by which the content is known where the version has no id.
    pub etag: Option<String>,
}

impl ObjectVersion {
    /// The version as people and the record name it. Printable. A version's id is unique, so a key may be cut.
    pub fn target(&self) -> String {
        let mut length = 0;
        let fits = |letter: &char| {
            length += letter.len_utf8();
            length <= NAMED
        };
        let key: String = printable(&self.key).chars().take_while(fits).collect();
        let version = match (&self.version_id, &self.etag) {
            (Some(id), _) => format!("?versionId={id}"),
            (None, Some(etag)) => format!("?eTag={etag}"),
            (None, None) => String::new(),
        };
        format!("{}/{key}{version}", self.bucket)
    }
}

impl Finding {
    /// The versions of objects, each once.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a bucket or an object has no name or not one of AWS's grammars, or if there are too many
    /// for one invocation.
    pub fn objects(&self) -> Result<Vec<ObjectVersion>> {
        const MOST: usize = 100;
        self.buckets()?;
        let mut objects = Vec::new();
        let buckets = self.detail.resource.s3_bucket_details.iter().enumerate();
        for (place, bucket) in buckets {
            for (index, object) in bucket.s3_object_details.iter().enumerate() {
                let member = |name: &str| {
                    self.path(&format!(
                        "resource.s3BucketDetails[{place}].s3ObjectDetails[{index}].{name}"
                    ))
                };
                let version_id = object.version_id.as_deref();
                let etag = object.e_tag.as_deref().map(|etag| etag.trim_matches('"'));
                let object = ObjectVersion {
                    bucket: bucket.name.clone().unwrap_or_default(),
                    key: ids::object_key(member("key"), needed(member("key"), &object.key)?)?,
                    version_id: version_id
                        .filter(|id| !matches!(*id, "" | "null"))
                        .map(|id| ids::object_version(member("versionId"), id))
                        .transpose()?,
                    etag: etag
                        .filter(|etag| !etag.is_empty())
                        .map(|etag| ids::etag(member("eTag"), etag))
                        .transpose()?,
                };
                if !objects.contains(&object) {
                    objects.push(object);
                }
            }
        }
        if objects.len() > MOST {
            return Err(Error::malformed(
                self.path("resource.s3BucketDetails"),
                format!(
                    "names {} objects, and at most {MOST} are contained for one finding: deny reading them by hand",
                    objects.len(),
                ),
            ));
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use serde_json::{Value, json};

    fn named(objects: Value) -> Result<Vec<ObjectVersion>> {
        let bucket = json!({ "name": "uploads", "s3ObjectDetails": objects });
        finding(json!({ "type": "Object:S3/MaliciousFile", "resource": { "s3BucketDetails": [bucket] } })).objects()
    }

    #[test]
    fn a_version_is_named_by_its_id_and_without_one_by_its_entity_tag() {
        let objects = named(json!([
            { "key": "in/a b.exe", "versionId": "3sL4kqtJ", "eTag": "\"d41d8cd9\"" },
            { "key": "in/a b.exe", "versionId": "3sL4kqtJ", "eTag": "d41d8cd9" },
            { "key": "plain", "versionId": "null", "eTag": "d41d8cd9-2" },
            { "key": "odd\u{202e}", "versionId": "", "eTag": null },
        ]));
        let objects = objects.expect("objects");
        let targets: Vec<_> = objects.iter().map(ObjectVersion::target).collect();
        assert_eq!(
            targets,
            [
                "uploads/in/a b.exe?versionId=3sL4kqtJ",
                "uploads/plain?eTag=d41d8cd9-2",
                "uploads/odd\\u{202e}",
            ]
        );
        assert_eq!(objects[2].key, "odd\u{202e}");
        assert_eq!(named(json!(null)).expect("none"), []);
    }

    #[test]
    fn an_impossible_object_is_refused_with_its_member_and_a_long_key_fits_the_record() {
        for (object, member) in [
            (json!({ "versionId": "v" }), "key"),
            (json!({ "key": "" }), "key"),
            (json!({ "key": "k".repeat(1025) }), "key"),
            (json!({ "key": "k", "versionId": "a b" }), "versionId"),
            (
                json!({ "key": "k", "versionId": "v".repeat(1025) }),
                "versionId",
            ),
            (json!({ "key": "k", "eTag": "a*" }), "eTag"),
        ] {
            let problem = named(json!([{ "key": "fine" }, object])).expect_err("no object");
            let path = format!("s3BucketDetails[0].s3ObjectDetails[1].{member}`");
            assert!(problem.to_string().contains(&path), "{problem}");
        }
        let many: Vec<_> = (0..101)
            .map(|it| json!({ "key": it.to_string() }))
            .collect();
        let problem = named(json!(many)).expect_err("too many").to_string();
        assert!(problem.contains("names 101 objects"), "{problem}");
        for letter in ["\u{7}", "\u{1f600}"] {
            let key = letter.repeat(1024 / letter.len());
            let long = named(json!([{ "key": key, "versionId": "v".repeat(1024) }]));
            let target = long.expect("one")[0].target();
            assert!((1_500..1_700).contains(&target.len()), "{}", target.len());
        }
    }

    #[test]
    fn an_object_that_guardduty_does_not_name_is_about_others_and_one_that_the_event_does_not_name_is_left_out()
     {
        let of = |keys: &[&str]| {
            let objects: Vec<_> = keys
                .iter()
                .map(|key| json!({ "key": key, "versionId": "v" }))
                .collect();
            finding(json!({ "type": "Object:S3/MaliciousFile", "resource": {
                "s3BucketDetails": [{ "name": "uploads", "s3ObjectDetails": objects }] } }))
        };
        let mut current = of(&["one", "two"]);
        assert_eq!(of(&["one"]).is_about_others(&current), None);
        let other = of(&["one", "three"]).is_about_others(&current);
        assert_eq!(other, Some("resource.s3BucketDetails"));
        current.keep_buckets_of(&of(&["two"]));
        let left = current.objects().expect("objects");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].key, "two");
    }
}
