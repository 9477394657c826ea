//! Whether a contained credential still works, as data.

use jiff::Timestamp;
use serde::Serialize;

/// The evidence of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// A call had its effect: the containment did not hold.
    NotHeld,
    /// Calls were refused, and none had its effect.
    Refused,
    /// No call was seen, which proves nothing.
    Nothing,
    /// CloudTrail could not be asked, or had more than was read.
    Unknown,
}

/// One call. Printable throughout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The API.
    pub api: String,
    /// When, as CloudTrail has it.
    pub at: String,
    /// The address that it came from, or the service that called.
    pub from: String,
}

/// CloudTrail's evidence about a contained credential some time after the containment.
#[derive(Clone, Debug, Serialize)]
pub struct Afterwards {
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When the credential was contained, as read back.
    pub contained_at: Timestamp,
    /// The credential, in words.
    pub credential: String,
    /// The evidence of the calls.
    pub shown: Shown,
    /// The same in a sentence.
    pub summary: String,
    /// The last call that had its effect although the credential was contained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worked: Option<Seen>,
    /// How many calls were refused since the containment, of those that were read.
    pub refused: usize,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refused: Option<Seen>,
    /// The principal's changes since the first event, a sentence each.
    pub made: Vec<String>,
    /// When the last call that had its effect was made.
    #[serde(skip)]
    pub worked_at: Option<Timestamp>,
}

impl Afterwards {
    /// When the last call had its effect although the credential was contained. `None`: none is known to.
    pub fn not_held(&self) -> Option<Timestamp> {
        self.worked_at
    }

    /// The same without the least needed of its parts, in at most `limit` bytes of JSON.
    pub fn within(&self, limit: usize) -> String {
        let mut short = self.clone();
        loop {
            let text = serde_json::to_string(&short).unwrap_or_default();
            if text.len() <= limit || short.made.pop().is_none() {
                return text;
            }
        }
    }

    /// Says what the calls show. `gap`: why calls may be missing.
    pub fn sentence(&self, gap: Option<&str>) -> String {
        let Self {
            credential,
            contained_at,
            ..
        } = self;
        let call = |seen: &Seen| format!("{} at {} from {}", seen.api, seen.at, seen.from);
        let refused = self.last_refused.as_ref().map(|last| {
            format!(
                "{} calls with {credential} were refused since {contained_at}, the last of them {}",
                self.refused,
                call(last)
            )
        });
        let seen = match (&self.worked, refused) {
            (Some(worked), _) => format!(
                "{credential} still works: {} met no error, although it was contained at {contained_at}",
                call(worked)
            ),
            (None, Some(refused)) => refused,
            (None, None) => format!(
                "CloudTrail shows no call with {credential} that was refused since {contained_at}, which \
                 proves nothing: data events and calls with a key that is not active may not be in it"
            ),
        };
        match gap {
            Some(gap) => format!("{seen}; not all of its calls are known: {gap}"),
            None => seen,
        }
    }
}
