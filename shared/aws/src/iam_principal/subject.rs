//! The user or role that IAM is asked about.

use std::fmt;

/// The entity that IAM is asked about, by name. Its unique id tells whether it is still the same.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    User { name: String, id: Option<String> },
    Role { name: String, id: Option<String> },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { name, .. } => write!(f, "user {name}"),
            Self::Role { name, .. } => write!(f, "role {name}"),
        }
    }
}

/// IAM's description of it.
pub(super) struct Described {
    pub(super) arn: String,
    pub(super) boundary: Option<String>,
    pub(super) id: String,
}
