//! Who issued a federated session.
//!
//! The finding names the federated user, who is nobody to IAM. The session has the permissions of the
//! user who asked for it with `GetFederationToken`, and ends with that user's sessions.

use crate::cloudtrail::event::{CloudTrailEvent, is_name};
use crate::cloudtrail::event_history::{EventHistory, Lookup};
use crate::error::Result;

/// Who issued a federated session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// A user of this account.
    User {
        name: String,
        /// The user's unique id.
        id: String,
    },
    /// The account's root user.
    Root,
    /// A principal of another account.
    Elsewhere(String),
    /// CloudTrail does not tell.
    Unknown(&'static str),
}

/// Asks CloudTrail at most four times: for calls with the session's key, which name the issuer, and
/// for the call that issued the key. Each in both histories: STS records the calls of its global endpoint in the
/// Region of IAM, those of a Region's own endpoint there.
pub async fn issuer(trail: &EventHistory, key: Option<&str>, account: &str) -> Result<Issuer> {
    let Some(key) = key else {
        return Ok(Issuer::Unknown("the finding does not name its access key"));
    };
    let mut failed = None;
    for history in trail.histories() {
        match trail
            .events(Lookup::one_page(*history, "AccessKeyId", key))
            .await
        {
            Ok(answer) => {
                if let Some(issuer) = answer.records.iter().find_map(|r| by_session(r, account)) {
                    return Ok(issuer);
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    // The session's token may come from the global endpoint of STS, which is recorded where IAM is.
    for history in trail.histories() {
        let issued = trail.events(Lookup::one_page(*history, "ResourceName", key));
        match issued.await {
            Ok(answer) => {
                let by_issue = |record: &CloudTrailEvent| {
                    let issue =
                        record.name() == "GetFederationToken" && record.issued_key() == Some(key);
                    issue.then(|| identity(record.caller(), account)).flatten()
                };
                if let Some(issuer) = answer.records.iter().find_map(by_issue) {
                    return Ok(issuer);
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Issuer::Unknown(
            "CloudTrail has neither a call with its access key nor the call that issued it",
        )),
    }
}

fn by_session(record: &CloudTrailEvent, account: &str) -> Option<Issuer> {
    let caller = record.caller();
    if caller["type"] != "FederatedUser" {
        return None;
    }
    identity(&caller["sessionContext"]["sessionIssuer"], account)
}

fn identity(who: &serde_json::Value, account: &str) -> Option<Issuer> {
    match who["accountId"].as_str() {
        Some(own) if own == account => {}
        Some(other) => return Some(Issuer::Elsewhere(model::finding::printable(other))),
        None => return None,
    }
    match who["type"].as_str()? {
        "Root" => Some(Issuer::Root),
        "IAMUser" => {
            let name = who["userName"].as_str().filter(|name| is_name(name))?;
            Some(Issuer::User {
                name: name.to_owned(),
                id: who["principalId"].as_str()?.to_owned(),
            })
        }
        _ => None,
    }
}
