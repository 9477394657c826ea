//! Whether a contained credential still works, by what CloudTrail shows some time later.
//!
//! A call that had its effect after the containment proves that the containment did not hold. Calls that were
//! refused show that somebody still tries. No calls prove nothing: CloudTrail's event history has no data
//! events, and a call with a key that is not active may not be recorded at all.

use jiff::{SignedDuration, Timestamp};

use super::activity::told;
use super::event::CloudTrailEvent;
use super::event_history::{EventHistory, Events, Lookup, MOST_PAGES};
use crate::error::Result;
use crate::inquiry::Inquiry;
use model::finding::{Principal, RoleSession, printable};
pub use model::investigation::afterwards::{Afterwards, Seen, Shown};
use model::investigation::reason;

/// From when on a call shows that the credential works. The cut-off of a user's sessions is up to a minute
/// ahead of the containment, and IAM takes seconds to enforce a change everywhere.
const SETTLES: SignedDuration = SignedDuration::from_mins(2);

/// More would hide the rest.
const MOST_LINES: usize = 20;

/// A credential as CloudTrail knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The name for the reader.
    name: String,
    /// One of the names of `LookupAttributeKey`.
    attribute: &'static str,
    value: String,
    /// The caller's required `principalId`, or its end, if the attribute is not unique.
    principal_id: Option<String>,
    /// Only what was called with a session counts that was there before the containment: other credentials of
    /// the same user are not contained.
    sessions_before: bool,
    /// An inactive long-term key answers no call; denied credentials still answer some.
    long_term: bool,
    /// How many pages are read of each history.
    pages: usize,
}

impl Credential {
    /// A long-term key.
    pub fn key(id: &str) -> Self {
        Self {
            long_term: true,
            ..Self::session_key(id)
        }
    }

    /// A session, by its temporary key.
    pub fn session_key(id: &str) -> Self {
        Self {
            name: format!("access key {}", printable(id)),
            attribute: "AccessKeyId",
            value: id.to_owned(),
            principal_id: None,
            sessions_before: false,
            long_term: false,
            pages: MOST_PAGES,
        }
    }

    /// The sessions of a user, where no key tells one.
    pub fn user(name: &str, id: &str) -> Self {
        Self {
            name: format!("the sessions of user {}", printable(name)),
            attribute: "Username",
            principal_id: Some(id.to_owned()),
            sessions_before: true,
            ..Self::session_key(name)
        }
    }

    /// The session of a role, where no key tells it.
    pub(crate) fn role_session(session: &RoleSession) -> Self {
        Self {
            name: format!("session {}", printable(&session.name)),
            attribute: "Username",
            principal_id: Some(format!("{}:{}", session.role_id, session.name)),
            ..Self::session_key(&session.name)
        }
    }

    /// The credentials of an instance, which have its id as their session's name.
    pub fn instance(id: &str) -> Self {
        Self {
            name: format!("the credentials of instance {}", printable(id)),
            attribute: "Username",
            principal_id: Some(format!(":{id}")),
            ..Self::session_key(id)
        }
    }

    /// The credentials of a Lambda function, which have its name as their session's.
    pub fn function(name: &str) -> Self {
        Self {
            name: format!("the credentials of function {}", printable(name)),
            ..Self::instance(name)
        }
    }

    /// The same, asked about by one page of each history, where other questions are asked too.
    pub fn by_one_page(self) -> Self {
        Self { pages: 1, ..self }
    }

    fn is_of(&self, record: &CloudTrailEvent) -> bool {
        let id = record.caller()["principalId"].as_str().unwrap_or_default();
        let wanted = self.principal_id.as_deref();
        wanted.is_none_or(|wanted| match wanted.strip_prefix(':') {
            Some(_) => id.ends_with(wanted),
            None => id == wanted,
        })
    }

    /// True if the call shows that what was contained at this time works still.
    fn works_by(&self, record: &CloudTrailEvent, contained_at: Timestamp) -> bool {
        let later = record.at().is_some_and(|at| at >= contained_at + SETTLES);
        let counts = !self.sessions_before || issued_before(record, contained_at);
        later && counts && record.succeeded() && record.is_call() && !self.is_open_to_all(record)
    }

    /// True for a call that a deny does not forbid,
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>; and for those by which
    /// somebody signs in, which are authorized before there is anything to deny.
    fn is_open_to_all(&self, record: &CloudTrailEvent) -> bool {
        let identity =
            record.service() == "sts.amazonaws.com" && record.name() == "GetCallerIdentity";
        !self.long_term && (identity || record.service() == "signin.amazonaws.com")
    }
}

/// True if the call was made with temporary credentials that were issued before `time`.
fn issued_before(record: &CloudTrailEvent, time: Timestamp) -> bool {
    let session = &record.caller()["sessionContext"]["attributes"]["creationDate"];
    let issued = session
        .as_str()
        .and_then(|issued| issued.parse::<Timestamp>().ok());
    issued.is_some_and(|issued| issued < time)
}

fn seen(record: &CloudTrailEvent) -> Seen {
    Seen {
        api: printable(record.name()),
        at: record.time(),
        from: printable(record.address().unwrap_or("an unknown address")),
    }
}

/// Asks about the credential that was contained at this time: at most [`MOST_PAGES`] look-ups of each of
/// at most two histories.
pub async fn read(
    trail: &EventHistory,
    inquiry: &Inquiry<'_>,
    credential: &Credential,
    contained_at: Timestamp,
) -> Afterwards {
    let finding = inquiry.finding;
    // As the deeds in IAM are asked for, so that one answer serves both.
    let since = finding.first_seen().or_else(|| finding.last_seen());
    let mut answers = Vec::new();
    for history in trail.histories() {
        let lookup = Lookup {
            history: *history,
            attribute: credential.attribute,
            value: credential.value.clone(),
            since: since.or(Some(contained_at)),
            until: None,
            pages: credential.pages,
        };
        answers.push(inquiry.within(trail.events(lookup)).await);
    }
    summary(credential, contained_at, inquiry.now, &answers)
}

/// The summary of these answers.
fn summary(
    credential: &Credential,
    contained_at: Timestamp,
    asked_at: Timestamp,
    answers: &[Result<Events>],
) -> Afterwards {
    let mut records: Vec<_> = answers
        .iter()
        .flatten()
        .flat_map(|events| &events.records)
        .filter(|record| credential.is_of(record))
        .collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.at()));
    let mut working = records.iter();
    let worked = working.find(|record| credential.works_by(record, contained_at));
    let since = |record: &&&CloudTrailEvent| record.at().is_some_and(|at| at >= contained_at);
    let refused: Vec<_> = records
        .iter()
        .filter(since)
        .filter(|it| is_refused(it))
        .collect();
    let gap = answers.iter().find_map(|answer| gap(answer, contained_at));
    let shown = match (worked, &gap, refused.as_slice()) {
        (Some(_), ..) => Shown::NotHeld,
        (None, Some(_), _) => Shown::Unknown,
        (None, None, [_, ..]) => Shown::Refused,
        (None, None, []) => Shown::Nothing,
    };
    let (worked_at, worked) = (
        worked.and_then(|record| record.at()),
        worked.map(|it| seen(it)),
    );
    let last_refused = refused.first().map(|record| seen(record));
    let mut made: Vec<_> = records
        .iter()
        .rev()
        .filter_map(|record| told(record))
        .collect();
    made.dedup();
    let more = made.len().saturating_sub(MOST_LINES);
    made.truncate(MOST_LINES);
    if more > 0
        || answers
            .iter()
            .any(|answer| answer.as_ref().is_ok_and(|it| it.cut))
    {
        made.push("there is more than is listed here: look in CloudTrail".to_owned());
    }
    let mut after = Afterwards {
        asked_at,
        contained_at,
        credential: credential.name.clone(),
        shown,
        summary: String::new(),
        worked,
        refused: refused.len(),
        last_refused,
        made,
        worked_at,
    };
    after.summary = after.sentence(gap.as_deref());
    after
}

/// Why calls after the containment may be missing among these.
fn gap(answer: &Result<Events>, contained_at: Timestamp) -> Option<String> {
    match answer {
        Err(error) => Some(reason(error)),
        Ok(events) if events.cut => {
            let oldest = events.records.iter().filter_map(CloudTrailEvent::at).min();
            let reaches = oldest.is_some_and(|oldest| oldest <= contained_at + SETTLES);
            (!reaches).then(|| "CloudTrail has more of them than were read".to_owned())
        }
        Ok(_) => None,
    }
}

/// True if the call was refused for want of permission, or because the key is no longer one. Services have codes of
/// their own for that.
fn is_refused(record: &CloudTrailEvent) -> bool {
    const WORDS: [&str; 6] = [
        "AccessDenied",
        "Unauthorized",
        "NotAuthorized",
        "Forbidden",
        "InvalidClientTokenId",
        "UnrecognizedClient",
    ];
    let code = record.error().unwrap_or_default();
    WORDS.iter().any(|word| code.contains(word))
}

/// The credential of a principal that has no key to tell it by.
pub fn by_name(principal: &Principal) -> Option<Credential> {
    match principal {
        Principal::User {
            name,
            user_id: Some(id),
            ..
        } => Some(Credential::user(name, id)),
        Principal::RoleSession {
            session: Some(session),
            ..
        } => Some(Credential::role_session(session)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
