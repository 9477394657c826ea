//! Resources that belong together: the responder contains at most a share of them at a time.

use std::fmt;

use crate::error::Result;

/// A blast-radius group: at most a share of it is contained at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlastRadiusGroup {
    /// The instances of an Auto Scaling group.
    AutoScalingGroup {
        /// The Region in which the group has its name.
        region: String,
        /// The group's name.
        name: String,
    },
    /// The instances of a Region with one role.
    Role {
        /// The Region of the instances.
        region: String,
        /// The role's name.
        name: String,
    },
    /// The users of the account.
    Users,
    /// The Lambda functions of a Region.
    Functions {
        /// The Region.
        region: String,
    },
}

impl BlastRadiusGroup {
    /// The crowd in the key of its window.
    pub fn key(&self) -> String {
        match self {
            Self::AutoScalingGroup { region, name } => format!("group#{region}/{name}"),
            Self::Role { region, name } => format!("role#{region}/{name}"),
            Self::Users => "users".to_owned(),
            Self::Functions { region } => format!("functions#{region}"),
        }
    }

    /// Reads the text that [`BlastRadiusGroup::key`] made.
    pub fn from_key(key: &str) -> Option<Self> {
        let (kind, of) = key.split_once('#').unwrap_or((key, ""));
        let parts = of.split_once('/');
        let parts = parts.map(|(region, name)| (region.to_owned(), name.to_owned()));
        match (kind, parts) {
            ("users", _) => Some(Self::Users),
            ("functions", None) if !of.is_empty() => Some(Self::Functions {
                region: of.to_owned(),
            }),
            ("group", Some((region, name))) => Some(Self::AutoScalingGroup { region, name }),
            ("role", Some((region, name))) => Some(Self::Role { region, name }),
            _ => None,
        }
    }
}

impl fmt::Display for BlastRadiusGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AutoScalingGroup { region, name } => {
                write!(f, "the Auto Scaling group {name} ({region})")
            }
            Self::Role { region, name } => {
                write!(f, "the instances of the role {name} ({region})")
            }
            Self::Users => write!(f, "the users"),
            Self::Functions { region } => write!(f, "the Lambda functions ({region})"),
        }
    }
}

/// A member of a crowd that a step would contain.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// The group that it is a member of.
    pub crowd: BlastRadiusGroup,
    /// How many members there are.
    pub size: Result<usize>,
}
