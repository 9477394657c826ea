//! The windows in which containments are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::blast_radius::BlastRadiusGroup;
use crate::category::Category;

/// The scope in which containments are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// The function that contains.
    pub category: Category,
    /// The account of what is contained.
    pub account_id: String,
    /// The group within the account. `None`: all that the function contains there.
    pub crowd: Option<BlastRadiusGroup>,
}

impl Window {
    pub fn key(&self) -> String {
        let crowd = self.crowd.as_ref().map(BlastRadiusGroup::key);
        let crowd = crowd.map(|crowd| format!("#{crowd}")).unwrap_or_default();
        format!("BREAKER#{}#{}{crowd}", self.category, self.account_id)
    }

    pub fn from_key(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix("BREAKER#")?.splitn(3, '#');
        let (category, account_id, crowd) = (parts.next()?, parts.next()?, parts.next());
        Some(Self {
            category: Category::from_word(category)?,
            account_id: account_id.to_owned(),
            crowd: match crowd {
                Some(crowd) => Some(BlastRadiusGroup::from_key(crowd)?),
                None => None,
            },
        })
    }

    /// Why a finding of so many containments will never have room.
    pub fn too_many(&self, wanted: usize, places: usize, minutes: i64) -> String {
        format!(
            "this finding alone needs {wanted} slots, and the circuit breaker for {self} allows {places} \
             containments in {minutes} minutes"
        )
    }

    /// Why there is no room now.
    pub fn all_taken(&self, taken: usize, places: usize, minutes: i64) -> String {
        format!(
            "circuit breaker open for {self}: {taken} of {places} allowed containments in {minutes} minutes \
             are used"
        )
    }
}

/// True if there are places for all of these names. Those that have one, of the `taken` places, keep it.
pub fn has_room(
    names: &BTreeSet<String>,
    places: usize,
    taken: usize,
    has_one: impl Fn(&String) -> bool,
) -> bool {
    let new = names.iter().filter(|name| !has_one(name)).count();
    new == 0 || taken + new <= places
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.crowd {
            Some(crowd) => write!(
                f,
                "{} in {crowd} of account {}",
                self.category, self.account_id
            ),
            None => write!(f, "{} in account {}", self.category, self.account_id),
        }
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A window without room.
#[derive(Clone, Debug)]
pub struct Full {
    /// Who has a place, and until when.
    pub taken: BTreeMap<String, Timestamp>,
    /// Who found it so first.
    pub opened: Option<Opened>,
}

/// The record that a notice of a window without room was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// The invocation that tells them.
    pub by: String,
    /// When it found the window without room.
    pub at: Timestamp,
    /// No other notice is sent until then.
    pub until: Timestamp,
}
