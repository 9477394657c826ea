//! What is known about a finding: the questions that a person would ask first, answered as data.
//!
//! The questions are those of the remediation pages of the GuardDuty user guide,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-creds.html>: who called what, when
//! and from where, has the principal done so before, what may it do, was the bucket meant to be
//! public. They are asked after the containment, whose outcome they cannot change: a history of
//! calling an API does not make a known-bad call a good one. All of it reads only, and within a set
//! time; what cannot be had is an answer too, which says why and what to do instead.

pub mod afterwards;
pub mod principal;

pub(crate) mod before;
mod behaviour;
pub(crate) mod data_events;
pub(crate) mod deeds;
mod history;
pub(crate) mod issuer;
mod last_used;
mod opened;
mod owner;
mod permissions;
mod powers;
pub(crate) mod record;
mod said;
pub(crate) mod setters;
pub mod trail;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::error::{A_RETRY_MAY_SUCCEED, Error, Result};
use crate::finding::{Finding, printable};
use crate::playbook::Playbook;

/// How long all questions together may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Which principal acted, and of what kind it is.
    Who,
    /// Which instance acted, or is behind the principal.
    Instance,
    /// Who opened the session, or issued the federated one.
    Issuer,
    /// What was done: which API of which service, and whether it succeeded.
    What,
    /// When it was first and last seen, and how often.
    When,
    /// From where: address, place, organisation, account.
    Where,
    /// Whether the principal was seen at that address before the first event.
    WhereBefore,
    /// Whether the principal has called that API before the first event.
    History,
    /// What of it GuardDuty's anomaly model has not seen before, and what is usual.
    Unusual,
    /// What the principal may do.
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
    question: Question,
    answer: String,
    source: String,
    known: bool,
}

impl Answer {
    /// What was found out, and where.
    pub(crate) fn known(question: Question, answer: &str, source: &str) -> Self {
        Self {
            question,
            answer: printable(answer),
            source: printable(source),
            known: true,
        }
    }

    /// Why it could not be found out, and what to do instead; and where it was looked for.
    pub(crate) fn unknown(question: Question, why: &str, source: &str) -> Self {
        Self {
            known: false,
            ..Self::known(question, why, source)
        }
    }

    /// What was asked.
    pub fn question(&self) -> Question {
        self.question
    }
    /// What was found out; or why nothing was, and what to do instead.
    pub fn answer(&self) -> &str {
        &self.answer
    }
    /// Where the answer comes from, or was looked for.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// False if the question is open.
    pub fn is_known(&self) -> bool {
        self.known
    }
}

/// What came of the questions.
#[derive(Clone, Debug, Default)]
pub struct Investigation {
    /// The answers, in the order in which a person would want them.
    pub answers: Vec<Answer>,
    /// What a person should look at because of what came up.
    pub leads: Vec<String>,
}

/// What is investigated, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// The time of day.
    pub now: Timestamp,
    /// When all answers must be there.
    pub until: Instant,
}

impl<'a> Inquiry<'a> {
    /// An inquiry that takes no longer than [`PATIENCE`], and not beyond `until`.
    pub(crate) fn new(finding: &'a Finding, now: Timestamp, until: Instant) -> Self {
        Self {
            finding,
            now,
            until: until.min(Instant::now() + PATIENCE),
        }
    }

    /// The answer of `work`; or, if it fails or takes too long, that there is none, why, and what
    /// to do `instead`.
    pub(crate) async fn ask(
        &self,
        question: Question,
        source: &str,
        instead: &str,
        work: impl Future<Output = Result<Answer>>,
    ) -> Answer {
        match self.within(work).await {
            Ok(answer) => answer,
            Err(error) => {
                Answer::unknown(question, &format!("{}; {instead}", reason(&error)), source)
            }
        }
    }

    /// What `work` answers in time. Nothing is begun when there is no time left.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if Instant::now() >= self.until {
            return Err(Error::Refused("there was no time left to ask".to_owned()));
        }
        timeout_at(self.until, work).await.unwrap_or_else(|_| {
            Err(Error::Refused(
                "there was no answer in the time set for it".to_owned(),
            ))
        })
    }
}

/// An error as the reason of an open question, which nobody asks again.
pub(crate) fn reason(error: &Error) -> String {
    let text = error.to_string();
    text.trim_end_matches(A_RETRY_MAY_SUCCEED).to_owned()
}

/// What the finding itself says, without a call.
pub(crate) fn from_finding(finding: &Finding) -> Investigation {
    let mut answers = said::answers(finding);
    answers.extend(owner::question(finding));
    behaviour::fill_in(finding, &mut answers);
    Investigation {
        answers,
        leads: Vec::new(),
    }
}

/// What the finding says and what `playbook` finds out. `state`: what was observed before
/// containing, if anything was.
pub(crate) async fn investigate<P: Playbook>(
    playbook: &P,
    inquiry: &Inquiry<'_>,
    state: Option<&P::State>,
) -> Investigation {
    let mut investigation = from_finding(inquiry.finding);
    let work = Box::pin(playbook.investigate(inquiry, state));
    match timeout_at(inquiry.until, work).await {
        Ok(found) => {
            let is_anew = |answer: &Answer| {
                let anew = |other: &Answer| other.question == answer.question;
                found.answers.iter().any(anew) && behaviour::QUESTIONS.contains(&answer.question)
            };
            investigation.answers.retain(|answer| !is_anew(answer));
            investigation.answers.extend(found.answers);
            investigation.leads = found.leads;
            behaviour::fill_in(inquiry.finding, &mut investigation.answers);
        }
        Err(_) => investigation.leads.push(
            "look into the finding yourself: the investigation was not done in the time set for it"
                .to_owned(),
        ),
    }
    investigation
        .answers
        .sort_by_key(|answer| answer.question());
    investigation
}

/// True if an answer says that the principal may do everything, or may give itself every permission.
pub(crate) fn tells_of_administrator(answers: &[Answer]) -> bool {
    let mut permissions = answers
        .iter()
        .filter(|it| it.question == Question::Permissions);
    permissions.any(|answer| powers::tells_of_administrator(&answer.answer))
}

/// The first `most` of `items`, and how many are left out.
pub(crate) fn listed<T: AsRef<str>>(items: &[T], most: usize) -> String {
    let shown: Vec<_> = items.iter().take(most).map(AsRef::as_ref).collect();
    let left_out = items.len().saturating_sub(most);
    let more = match left_out {
        0 => String::new(),
        _ => format!(" and {left_out} more"),
    };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests;
