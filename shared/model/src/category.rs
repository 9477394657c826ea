//! The four functions: which kind of resource each of them contains.

use std::fmt;

use serde::Serialize;

/// One of the four functions, and what it may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Buckets.
    S3,
    /// Credentials: users, access keys, role sessions.
    Iam,
    /// Instances.
    Ec2,
    /// Every other kind: recorded and notified.
    Triage,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::S3, Self::Iam, Self::Ec2, Self::Triage];

    /// The word that reports and settings use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::Triage => "triage",
        }
    }

    /// The category of a word, if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
