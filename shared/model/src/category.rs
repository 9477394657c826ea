//! The functions: which kind of resource each of them contains.

use std::fmt;

use serde::Serialize;

/// One of the functions, and what it may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Buckets.
    S3,
    /// Credentials: users, access keys, role sessions.
    Iam,
    /// Instances.
    Ec2,
    /// Lambda functions.
    Lambda,
    /// Every other kind: recorded and notified.
    Triage,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::S3, Self::Iam, Self::Ec2, Self::Lambda, Self::Triage];

    /// Those that contain something.
    pub const CONTAINING: [Self; 4] = [Self::S3, Self::Iam, Self::Ec2, Self::Lambda];

    /// The word that reports and settings use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::Lambda => "lambda",
            Self::Triage => "triage",
        }
    }

    /// The beginning of its names in the template, as in `S3ResponderFunction` and `S3ResponderRole`.
    pub fn template_prefix(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::Iam => "Iam",
            Self::Ec2 => "Ec2",
            Self::Lambda => "Lambda",
            Self::Triage => "Triage",
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
