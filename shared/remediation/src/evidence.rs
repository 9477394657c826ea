//! The evidence bucket: each incident's page, and beside it the incident as JSON, where a function can only
//! add to them. The bucket keeps every version; with a lock nobody can take one away before its time.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{CallContext, Error, Result};
use crate::record::Incident;
pub use crate::report::Stored;

/// The IAM permissions that storing needs.
pub const PERMISSIONS: &[&str] = &["s3:PutObject"];

/// A key has at most 1024 bytes,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>, and an encoded character has
/// three.
const PART: usize = 200;

/// The characters that stay as they are in a key, so that a part of it has no slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The bucket of the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The account that owns it: the function's own.
    pub owner: String,
}

/// The bucket, and the client that writes to it.
#[derive(Clone, Debug)]
pub struct Evidence {
    client: Client,
    bucket: Bucket,
}

impl Evidence {
    /// Evidence in `bucket`.
    pub fn new(client: Client, bucket: Bucket) -> Self {
        Self { client, bucket }
    }

    /// Stores the `page` of `incident`, and the incident as JSON.
    ///
    /// # Errors
    /// If S3 refused one of them or could not be reached.
    pub async fn store(&self, incident: &Incident, page: String, now: Timestamp) -> Result<Stored> {
        let key = key(incident, now);
        let json = serde_json::to_vec_pretty(incident).map_err(|error| {
            Error::Refused(format!("the incident cannot be written as JSON: {error}"))
        })?;
        let (page_key, json_key) = (format!("{key}.html"), format!("{key}.json"));
        let (version, _) = futures::try_join!(
            self.put(&page_key, "text/html; charset=utf-8", page.into_bytes()),
            self.put(&json_key, "application/json", json),
        )?;
        Ok(Stored {
            bucket: self.bucket.name.clone(),
            key: page_key,
            version,
        })
    }

    async fn put(&self, key: &str, kind: &str, body: Vec<u8>) -> Result<Option<String>> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket.name)
            .expected_bucket_owner(&self.bucket.owner)
            .key(key)
            .content_type(kind)
            // A bucket with a lock takes nothing without a checksum,
            // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html.
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(body))
            .send()
            .await
            .during("s3:PutObject", &format!("{}/{key}", self.bucket.name))?;
        Ok(put.version_id)
    }
}

/// `<function>/<account>/<finding>[/<part>]/<time>`: a role is allowed what begins with its function's name.
fn key(incident: &Incident, now: Timestamp) -> String {
    let part = |text: &str| {
        let mut text = utf8_percent_encode(text, ENCODED).to_string();
        text.truncate(PART);
        text
    };
    let mut parts = vec![
        part(&incident.category),
        part(&incident.account_id),
        part(&incident.id),
    ];
    parts.extend(incident.part.as_deref().map(part));
    parts.push(now.strftime("%Y%m%dT%H%M%S%3fZ").to_string());
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::now;

    #[test]
    fn keys_are_laid_out_by_function_account_finding_and_time() {
        let mut incident = Incident {
            id: "16afba5c".to_owned(),
            category: "ec2".to_owned(),
            account_id: "111122223333".to_owned(),
            ..Incident::default()
        };
        let at = "20260304T050607500Z";
        assert_eq!(
            key(&incident, now()),
            format!("ec2/111122223333/16afba5c/{at}")
        );
        incident.part = Some("us-east-1/i-0abc1234".to_owned());
        let with_part = format!("ec2/111122223333/16afba5c/us-east-1%2Fi-0abc1234/{at}");
        assert_eq!(key(&incident, now()), with_part);
    }

    #[test]
    fn no_text_leads_out_of_the_function_s_prefix_or_is_too_long() {
        let incident = Incident {
            id: "../../iam/\u{202e}".to_owned() + &"ü/".repeat(1_000),
            category: "s3".to_owned(),
            account_id: "/".to_owned(),
            part: Some("x".repeat(5_000)),
            ..Incident::default()
        };
        let key = key(&incident, now());
        assert!(key.starts_with("s3/%2F/%2E%2E%2F"), "{key}");
        assert_eq!(key.matches('/').count(), 4, "{key}");
        assert!(key.len() < 1_024, "{key}");
    }
}
