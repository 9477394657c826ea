//! The place of a stored page.

use serde::{Deserialize, Serialize};

/// The place of an incident's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The bucket.
    pub bucket: String,
    /// The page's key. The JSON has the same with the ending `.json`.
    pub key: String,
    /// The version of the page, which stays if another object is put there.
    pub version: Option<String>,
}

impl Stored {
    /// The page's place, in words.
    pub fn place(&self) -> String {
        let version = self.version.as_ref();
        let version = version.map(|version| format!(" (version {version})"));
        format!(
            "s3://{}/{}{}",
            self.bucket,
            self.key,
            version.unwrap_or_default()
        )
    }
}
