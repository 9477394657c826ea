//! Who else has the name of a session.
//!
//! The deny of a session goes by `aws:userid`: the role's id and the session's name. If the token of an identity
//! provider opens the session, a service or a tool often gives every session the same name. Every user of an identity
//! pool of Cognito is `CognitoIdentityCredentials`,
//! <https://docs.aws.amazon.com/cognito/latest/developerguide/iam-roles.html>. Every workflow of GitHub is
//! `GitHubActions` unless it says otherwise, <https://github.com/aws-actions/configure-aws-credentials>.
//!
//! A deny by such a name would shut out the whole application until a release. One session of them is known by
//! the name and the time at which it was issued, which CloudTrail has as `creationDate`,
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::policy_document::{deny_session, fits_sid};
use super::state::{RoleState, Sharing};
use aws::cloudtrail::event::CloudTrailEvent;
use aws::cloudtrail::event_history::{EventHistory, Lookup};
use aws::error::Result;
use model::finding::{Finding, RoleSession};
use model::investigation::reason;
use model::settings::IamSettings;

/// How long CloudTrail is waited for before anything is denied.
const PATIENCE: Duration = Duration::from_secs(3);

/// Names that a tool gives to every session that it opens with a web identity.
const CONSTANT: [&str; 1] = ["GitHubActions"];

/// Finds out who has the name of the session, where the role's trust leaves it open. Other roles cost no call.
pub(super) async fn sharing(
    trail: &EventHistory,
    settings: &IamSettings,
    finding: &Finding,
    session: &RoleSession,
    role: &RoleState,
) -> Sharing {
    let key = finding.access_key_id();
    let may_be_contained = session.role_id == role.role_id && !role.path.starts_with("/aws-");
    if role.trust.providers.is_empty()
        || !may_be_contained
        || is_denied(session, key.as_deref(), role)
    {
        return Sharing::Nobody;
    }
    let asking = async {
        let (who, known) = match constant(session, role) {
            Some(who) => (who, None),
            None => match others(trail, session, key.as_deref()).await {
                Ok(Some((who, issued))) => (who, issued),
                Ok(None) => return Sharing::Nobody,
                Err(error) => return Sharing::Unclear(reason(&error)),
            },
        };
        let issued = match (known, &key) {
            (Some(issued), _) => Ok(issued),
            // All sessions from before are denied, whatever their names.
            (None, _) if settings.role_wide => Err("it was not asked for".to_owned()),
            (None, Some(key)) if fits_sid(key) => issued(trail, session, key).await,
            (None, _) => Err("the finding does not name the session's access key".to_owned()),
        };
        Sharing::Everybody { who, issued }
    };
    let late = || {
        let seconds = PATIENCE.as_secs();
        let late = format!("CloudTrail did not answer within {seconds} seconds");
        match constant(session, role) {
            Some(who) => Sharing::Everybody {
                who,
                issued: Err(late),
            },
            None => Sharing::Unclear(late),
        }
    };
    let answered = timeout(PATIENCE, Box::pin(asking)).await;
    answered.unwrap_or_else(|_| late())
}

/// True if the session is denied already, by itself or with all that have its name.
fn is_denied(session: &RoleSession, key: Option<&str>, role: &RoleState) -> bool {
    if role.deny_all.in_effect().is_some() {
        return true;
    }
    let Ok(standing) = &role.deny else {
        return true;
    };
    let by_itself = key.is_some_and(|key| standing.issued(session).contains_key(key));
    by_itself || standing.is(&deny_session(session))
}

/// Who has the name, if that does not depend on what CloudTrail shows.
fn constant(session: &RoleSession, role: &RoleState) -> Option<String> {
    let name = &session.name;
    if role.trust.is_for_identity_pools() {
        return Some(format!(
            "the users of the identity pool that the role is for all have sessions named {name}"
        ));
    }
    CONSTANT.contains(&name.as_str()).then(|| {
        format!(
            "the tool that opens the sessions gives each of them the name {name}, whoever runs it"
        )
    })
}

/// The others that have the name beside the session of `key`, if CloudTrail shows the name with several keys at the
/// same time; and when that session was issued, if it shows this too.
async fn others(
    trail: &EventHistory,
    session: &RoleSession,
    key: Option<&str>,
) -> Result<Option<(String, Option<Timestamp>)>> {
    let mut uses: BTreeMap<String, Use> = BTreeMap::new();
    for history in trail.histories() {
        let lookup = Lookup::one_page(*history, "Username", &session.name);
        for record in trail.events(lookup).await?.records {
            if let (true, Some(key), Some(at)) =
                (is_of(&record, session), key_of(&record), record.at())
            {
                let begun = creation(&record);
                let seen = uses.entry(key.to_owned()).or_insert(Use {
                    issued: begun,
                    first: begun.unwrap_or(at),
                    last: at,
                });
                seen.issued = seen.issued.or(begun);
                seen.first = seen.first.min(begun.unwrap_or(at));
                seen.last = seen.last.max(at);
            }
        }
    }
    let all: Vec<_> = uses.values().collect();
    let at_once = all.iter().enumerate().any(|(index, one)| {
        let mut rest = all[index + 1..].iter();
        rest.any(|other| one.first <= other.last && other.first <= one.last)
    });
    let issued = key.and_then(|key| uses.get(key)?.issued);
    Ok(at_once.then(|| {
        let who = format!(
            "CloudTrail shows {} sessions named {} of the role, several at the same time",
            all.len(),
            session.name,
        );
        (who, issued.filter(|_| key.is_some_and(fits_sid)))
    }))
}

/// From when to when a key was used.
struct Use {
    issued: Option<Timestamp>,
    first: Timestamp,
    last: Timestamp,
}

/// When the session of `key` was issued.
async fn issued(
    trail: &EventHistory,
    session: &RoleSession,
    key: &str,
) -> Result<Timestamp, String> {
    let mut why = "CloudTrail shows no call of the session yet".to_owned();
    for history in trail.histories() {
        match trail
            .events(Lookup::one_page(*history, "AccessKeyId", key))
            .await
        {
            Ok(events) => {
                let mut records = events.records.iter();
                let issued = records.find_map(|record| {
                    let of_session = is_of(record, session) && key_of(record) == Some(key);
                    creation(record).filter(|_| of_session)
                });
                if let Some(issued) = issued {
                    return Ok(issued);
                }
            }
            Err(error) => why = reason(&error),
        }
    }
    Err(why)
}

fn is_of(record: &CloudTrailEvent, session: &RoleSession) -> bool {
    let id = record.caller()["principalId"].as_str();
    let of = id.and_then(|id| id.split_once(':'));
    of == Some((session.role_id.as_str(), session.name.as_str()))
}

fn key_of(record: &CloudTrailEvent) -> Option<&str> {
    record.caller()["accessKeyId"].as_str()
}

fn creation(record: &CloudTrailEvent) -> Option<Timestamp> {
    let attributes = &record.caller()["sessionContext"]["attributes"];
    attributes["creationDate"].as_str()?.parse().ok()
}
