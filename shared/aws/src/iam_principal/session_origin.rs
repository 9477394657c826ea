//! Who opened the session of a role.

use crate::cloudtrail::event::CloudTrailEvent;
use crate::cloudtrail::event_history::{EventHistory, Lookup};
use crate::error::Result;
use crate::inquiry::Inquiry;
use model::finding::RoleSession;
use model::investigation::{Answer, Question, reason};

/// The call that issued the temporary `key`, which names the key among its resources. `None`:
/// CloudTrail does not show it.
async fn opening(trail: &EventHistory, key: &str) -> Result<Option<CloudTrailEvent>> {
    let mut failed = None;
    for history in trail.histories() {
        match trail
            .events(Lookup::one_page(*history, "ResourceName", key))
            .await
        {
            Ok(events) => {
                let mut records = events.records.into_iter();
                if let Some(record) = records.find(|record| record.issued_key() == Some(key)) {
                    return Ok(Some(record));
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(None), Err)
}

/// The answer, and what to do because of it.
pub(super) async fn opened_by(
    trail: &EventHistory,
    inquiry: &Inquiry<'_>,
    key: &str,
    session: Option<&RoleSession>,
) -> (Answer, String) {
    let session = session.map_or("that acted", |session| session.name.as_str());
    let source = "CloudTrail LookupEvents by ResourceName (the session's access key)";
    match inquiry.within(opening(trail, key)).await {
        Ok(Some(record)) => (
            Answer::known(
                Question::Issuer,
                &format!(
                    "{} opened the session {session} by {} at {}, from {}",
                    record.caller_name(),
                    record.name(),
                    record.time(),
                    record.address().unwrap_or("an unknown address"),
                ),
                source,
            ),
            format!(
                "find out whether {} was meant to open the session {session} ({}, at {}); if not, contain \
                 it too",
                record.caller_name(),
                record.name(),
                record.time(),
            ),
        ),
        Ok(None) => (
            Answer::unknown(
                Question::Issuer,
                &format!(
                    "CloudTrail does not show in this Region or that of IAM who opened the session \
                     {session}; look in the other Regions, or in your trail for what is older than 90 days"
                ),
                source,
            ),
            format!(
                "find out who opened the session {session}: CloudTrail does not show it in this Region or \
                 that of IAM"
            ),
        ),
        Err(error) => (
            Answer::unknown(
                Question::Issuer,
                &format!(
                    "{}; look in CloudTrail for the AssumeRole call that issued {key}",
                    reason(&error)
                ),
                source,
            ),
            format!(
                "find out in CloudTrail who opened the session {session}; it is not known here: {}",
                reason(&error)
            ),
        ),
    }
}
