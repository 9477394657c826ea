//! What the principal did since the first event, and who opened its session: for a person to look at,
//! after containment.

use jiff::Timestamp;

use super::record::Record;
use super::trail::{Answer, MOST_PAGES, Trail};
use crate::error::Result;
use crate::finding::{Finding, Principal, printable};

/// More would hide the rest of the notice.
const MOST_LINES: usize = 12;

/// Which events are the principal's.
struct Deeds {
    attribute: &'static str,
    value: String,
    /// Where the attribute is not unique, what the caller's `principalId` must be.
    principal_id: Option<String>,
}

impl Deeds {
    fn of(finding: &Finding, principal: &Principal) -> Option<Self> {
        if let Some(key) = finding.access_key_id() {
            return Some(Self {
                attribute: "AccessKeyId",
                value: key,
                principal_id: None,
            });
        }
        let (value, principal_id) = match principal {
            Principal::User { name, user_id, .. } => (name.clone(), user_id.clone()?),
            Principal::RoleSession {
                session: Some(session),
                ..
            } => (
                session.name.clone(),
                format!("{}:{}", session.role_id, session.name),
            ),
            _ => return None,
        };
        Some(Self {
            attribute: "Username",
            value,
            principal_id: Some(principal_id),
        })
    }

    fn has(&self, record: &Record) -> bool {
        let id = record.caller()["principalId"].as_str();
        self.principal_id.is_none() || self.principal_id.as_deref() == id
    }
}

/// What the principal did in IAM since the first event.
pub(super) async fn deeds_in_iam(trail: &Trail, finding: &Finding) -> Result<Answer> {
    let principal = finding.principal()?;
    let since = finding.first_seen().or_else(|| finding.last_seen());
    match (Deeds::of(finding, &principal), since) {
        (Some(deeds), Some(since)) => {
            let history = trail.of_iam();
            let (attribute, value) = (deeds.attribute, deeds.value.as_str());
            let mut answer = trail
                .events(history, attribute, value, Some(since), MOST_PAGES)
                .await?;
            answer.records.retain(|record| deeds.has(record));
            Ok(answer)
        }
        _ => Err(crate::Error::Refused(format!(
            "the finding does not say enough about {principal} to find its events in CloudTrail"
        ))),
    }
}

/// The lines for the notice.
pub(super) async fn investigate(trail: &Trail, finding: &Finding) -> Vec<String> {
    let Ok(principal) = finding.principal() else {
        return Vec::new();
    };
    if !principal.is_own() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if let (Principal::RoleSession { session, .. }, Some(key)) =
        (&principal, finding.access_key_id())
    {
        let name = session.as_ref().map(|session| session.name.as_str());
        lines.push(opened_by(trail, &key, name.unwrap_or("that acted")).await);
    }
    lines.extend(deeds(trail, finding, &principal).await);
    lines
}

async fn deeds(trail: &Trail, finding: &Finding, principal: &Principal) -> Vec<String> {
    let who = printable(&principal.to_string());
    let mut answers = vec![deeds_in_iam(trail, finding).await];
    if trail.histories().len() > 1
        && let Some(deeds) = Deeds::of(finding, principal)
    {
        let since: Option<Timestamp> = finding.first_seen().or_else(|| finding.last_seen());
        let (attribute, value) = (deeds.attribute, deeds.value.as_str());
        let regional = trail.events(super::trail::History::Regional, attribute, value, since, 1);
        answers.push(regional.await.map(|mut answer| {
            answer.records.retain(|record| deeds.has(record));
            answer
        }));
    }
    let (mut lines, mut cut) = (Vec::new(), false);
    for answer in answers {
        match answer {
            Ok(answer) => {
                cut |= answer.cut;
                lines.extend(answer.records.iter().find_map(on_behalf_of));
                lines.extend(answer.records.iter().filter_map(told));
            }
            Err(error) => lines.push(format!(
                "look in CloudTrail for what {who} created since the first event; it is not known here: \
                 {error}"
            )),
        }
    }
    lines.dedup();
    if lines.is_empty() {
        lines.push(format!(
            "CloudTrail shows no key, user, password, role or role session made by {who} since the first \
             event in this Region and that of IAM; the last minutes may be missing"
        ));
    }
    if lines.len() > MOST_LINES {
        cut = true;
        lines.truncate(MOST_LINES);
    }
    if cut {
        lines.push(format!(
            "{who} did more than is listed here: look in CloudTrail"
        ));
    }
    lines
}

/// What a person must know of an event; `None` for the many that they need not.
fn told(record: &Record) -> Option<String> {
    if !record.succeeded() {
        return None;
    }
    let at = record.time();
    let user = || record.parameter("userName");
    let role = || record.parameter("roleName");
    Some(match record.name() {
        "CreateAccessKey" => match record.created_key() {
            Some((user, key)) => format!(
                "deactivate access key {key} of user {user}, which the principal made at {at}, unless \
                 {user} vouches for it"
            ),
            None => format!("look for an access key of user {} made at {at}", user()),
        },
        "CreateUser" => format!(
            "find out what user {} is for, whom the principal made at {at}",
            user()
        ),
        "CreateLoginProfile" | "UpdateLoginProfile" => format!(
            "reset the console password of user {}, which the principal set at {at}",
            user()
        ),
        "EnableMFADevice" => format!(
            "review the MFA device of user {}, which the principal registered at {at}",
            user()
        ),
        "CreateRole" | "UpdateAssumeRolePolicy" => format!(
            "review who may assume role {}, as the principal set it at {at}",
            role()
        ),
        "AssumeRole" => format!(
            "contain the session {} of {}, which the principal opened at {at} and which outlives this \
             containment",
            record.parameter("roleSessionName"),
            record.parameter("roleArn"),
        ),
        _ => return None,
    })
}

/// For whom a session of IAM Identity Center acts: the id that the policy against it needs.
fn on_behalf_of(record: &Record) -> Option<String> {
    let user = record.caller()["onBehalfOf"]["userId"].as_str()?;
    Some(format!(
        "the session acts for the user {} of the identity store: disable that user in IAM Identity \
         Center, and put this id into the policy of the permission set",
        printable(user),
    ))
}

/// The call that issued a temporary key names it among its resources.
async fn opened_by(trail: &Trail, key: &str, session: &str) -> String {
    let mut failed = None;
    for history in trail.histories() {
        match trail.events(*history, "ResourceName", key, None, 1).await {
            Ok(answer) => {
                let issue = answer
                    .records
                    .iter()
                    .find(|record| record.issued_key() == Some(key));
                if let Some(record) = issue {
                    return format!(
                        "find out whether {} was meant to open the session {session} ({}, at {}); if \
                         not, contain it too",
                        record.caller_name(),
                        record.name(),
                        record.time(),
                    );
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => format!(
            "find out in CloudTrail who opened the session {session}; it is not known here: {error}"
        ),
        None => format!(
            "find out who opened the session {session}: CloudTrail does not show it in this Region or that \
             of IAM"
        ),
    }
}
