//! The request of a proof, and the names that follow from it.

use std::fmt;

use crate::record::{ContainedBy, Victim};

/// The tag on all that a proof makes. Its value is the proof's id.
pub const TAG: &str = "gdr:proof";

/// The request of a proof.
#[derive(Clone, Debug)]
pub struct Request {
    /// The account that the caller means. The credentials must be of it.
    pub account: String,
    pub id: Id,
    /// In this order, each once.
    pub victims: Vec<Victim>,
    pub by: ContainedBy,
    /// Activate the stolen key again when it is released. Without it the key stays inactive, as in a release by
    /// `gdr release` that does not name it.
    pub reactivate_key: bool,
    /// The functions are in a dry run, and must change nothing: each attack goes on as before. Only with a stack.
    pub dry_run: bool,
}

/// Why a proof does not begin: operation, target, cause, what to do. Nothing was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The id of a proof: the value of the tag `gdr:proof`, and a part of each name. 4 to 20 lower-case letters and
/// digits. A hyphen would let the names of one proof begin like those of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// # Errors
    /// Why `text` is no id.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if (4..=20).contains(&text.len()) && text.bytes().all(known) {
            return Ok(Self(text.to_owned()));
        }
        Err(Refused(format!(
            "'{text}' is no id of a proof: give 4 to 20 lower-case letters and digits"
        )))
    }

    /// One that no other proof has: 8 random hexadecimal digits.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn random() -> Result<Self, Refused> {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).map_err(|error| {
            Refused(format!(
                "the system gave no randomness for an id, so give one: {error}"
            ))
        })?;
        Ok(Self(format!("{:08x}", u32::from_be_bytes(bytes))))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning of the names of all named resources.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("gdr-proof-{self}-")
    }

    /// The path of the users and roles.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/gdr-proof/{self}/")
    }

    /// The name of a resource.
    pub(crate) fn name(&self, of_what: &str) -> String {
        format!("{}{of_what}", self.prefix())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn an_id_is_fit_for_names_of_every_service() {
        for good in ["a1b2", "0badcafe", "abcdefghij0123456789"] {
            assert_eq!(Id::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "abc",
            "ABCD",
            "a_bc",
            "-abcd",
            "ab-cd",
            "a.bcd",
            "ab*d",
            "ab/cd",
            "abcdefghij01234567890",
        ] {
            assert!(Id::parse(bad).is_err(), "{bad}");
        }
        let random = Id::random().expect("an id");
        assert_eq!(Id::parse(random.as_str()), Ok(random.clone()));
        assert_ne!(Id::random().expect("an id"), random);
    }

    #[test]
    fn no_name_of_a_proof_begins_like_those_of_another() {
        let [short, long] = ["abcd", "abcdef"].map(|id| Id::parse(id).expect(id));
        assert!(!long.name("victim").starts_with(&short.prefix()));
        assert!(!long.path().starts_with(&short.path()));
    }
}
