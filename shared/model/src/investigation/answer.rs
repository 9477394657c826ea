//! The questions of an investigation, and their answers.

use std::fmt;

use serde::Serialize;

use crate::error::{A_RETRY_MAY_SUCCEED, Error};
use crate::finding::printable;

/// The source of what the finding itself says.
pub const THE_FINDING: &str = "the finding";

/// A question of the investigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Which principal acted, and of what kind it is.
    Who,
    /// Which instance acted, or is behind the principal.
    Instance,
    /// Which Lambda function acted: its versions, its code, and who changed it.
    Function,
    /// Who opened the session, or issued the federated one.
    Issuer,
    /// The activity: which API of which service, and whether it succeeded.
    What,
    /// When it was first and last seen, and how often.
    When,
    /// From where: address, place, organisation, account.
    Where,
    /// Whether the principal was seen at that address before the first event.
    WhereBefore,
    /// Whether the principal has called that API before the first event.
    History,
    /// The part of it that GuardDuty's anomaly model has not seen before, and the usual.
    Unusual,
    /// The principal's permissions.
    Permissions,
    /// Which services the principal used last, before and since the first event.
    LastUsed,
    /// Whether the bucket is public now, and by what.
    PublicNow,
    /// Whether the bucket was meant to be public.
    MeantPublic,
    /// Who else can use the bucket.
    OtherAccess,
    /// The question to send to the owner.
    AskTheOwner,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Who => "who",
            Self::Instance => "which instance",
            Self::Function => "which function",
            Self::Issuer => "who opened the session",
            Self::What => "what",
            Self::When => "when",
            Self::Where => "from where",
            Self::WhereBefore => "seen there before",
            Self::History => "called before",
            Self::Unusual => "unusual",
            Self::Permissions => "what it may do",
            Self::LastUsed => "services last used",
            Self::PublicNow => "public now",
            Self::MeantPublic => "meant to be public",
            Self::OtherAccess => "who else has access",
            Self::AskTheOwner => "ask the owner",
        })
    }
}

/// The answer to a question, or why there is none. Printable throughout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub(super) question: Question,
    pub(super) answer: String,
    pub(super) source: String,
    pub(super) known: bool,
}

impl Answer {
    /// An answer, and its source.
    pub fn known(question: Question, answer: &str, source: &str) -> Self {
        Self {
            question,
            answer: printable(answer),
            source: printable(source),
            known: true,
        }
    }

    /// Why it could not be found out, and what to do instead; and where it was looked for.
    pub fn unknown(question: Question, why: &str, source: &str) -> Self {
        Self {
            known: false,
            ..Self::known(question, why, source)
        }
    }

    /// The question.
    pub fn question(&self) -> Question {
        self.question
    }
    /// The answer; or why nothing was, and what to do instead.
    pub fn answer(&self) -> &str {
        &self.answer
    }
    /// The source of the answer, or the place of the search.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// False if the question is open.
    pub fn is_known(&self) -> bool {
        self.known
    }
}

/// The answers to the questions.
#[derive(Clone, Debug, Default)]
pub struct Investigation {
    /// The answers, in the order of an investigation.
    pub answers: Vec<Answer>,
    /// The steps that follow from the answers.
    pub leads: Vec<String>,
}

/// An error as the reason of an open question, which nobody asks again.
pub fn reason(error: &Error) -> String {
    let text = error.to_string();
    text.trim_end_matches(A_RETRY_MAY_SUCCEED).to_owned()
}

/// The first `most` of `items`, and how many are left out.
pub fn listed<T: AsRef<str>>(items: &[T], most: usize) -> String {
    let shown: Vec<_> = items.iter().take(most).map(AsRef::as_ref).collect();
    let left_out = items.len().saturating_sub(most);
    let more = match left_out {
        0 => String::new(),
        _ => format!(" and {left_out} more"),
    };
    format!("{}{more}", shown.join(", "))
}
