//! The denies that end sessions, and what is found where they belong.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::finding::RoleSession;

/// Denies everything to the sessions of a user that were issued before `cut_off`. Requests with
/// long-term keys do not carry `aws:TokenIssueTime` and are not affected.
pub fn deny_sessions_before(cut_off: Timestamp) -> Value {
    deny(json!({ "DateLessThan": { "aws:TokenIssueTime": seconds(cut_off) } }))
}

/// Denies everything to one session of a role. `aws:userid` of a session is the role's unique id,
/// a colon and the session's name; it does not change when the credentials are renewed.
pub fn deny_session(session: &RoleSession) -> Value {
    let user_id = format!("{}:{}", session.role_id, session.name);
    deny(json!({ "StringEquals": { "aws:userid": user_id } }))
}

/// For a permission set of IAM Identity Center, whose roles only Identity Center may change. Denies
/// everything to the user of `session`: by `identitystore:UserId`, once its placeholder is replaced,
/// and by the session's name, which is the user's, in every account that the permission set is in:
/// <https://docs.aws.amazon.com/singlesignon/latest/userguide/prereqs-revoking-user-permissions.html>.
pub fn deny_identity_center_user(session: &RoleSession, now: Timestamp) -> Value {
    let mut document = deny(json!({
        "StringEquals": { "identitystore:UserId": "USER-ID-IN-THE-IDENTITY-STORE" },
    }));
    document["Statement"][0]["Sid"] = json!("GuardDutyResponderByUserId");
    let mut by_name = deny(json!({
        "StringLike": { "aws:userid": format!("*:{}", session.name) },
        "DateLessThan": { "aws:TokenIssueTime": seconds(now) },
    }))["Statement"][0]
        .take();
    by_name["Sid"] = json!("GuardDutyResponderByName");
    if let Some(statements) = document["Statement"].as_array_mut() {
        statements.push(by_name);
    }
    document
}

fn deny(condition: Value) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "GuardDutyResponder",
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": condition,
        }],
    })
}

/// IAM compares dates of this form; a fraction of a second would not survive every reader.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What stands under the name of one of our policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Deny {
    /// No policy.
    Absent,
    /// A policy document.
    Document(Value),
    /// Something that is not JSON. It is overwritten.
    Unreadable(String),
}

impl Deny {
    /// Reads a document as IAM hands it out: percent-encoded after RFC 3986.
    pub fn from_encoded(document: &str) -> Self {
        let text = percent_decode_str(document).decode_utf8_lossy();
        match serde_json::from_str(&text) {
            Ok(value) => Self::Document(value),
            Err(_) => Self::Unreadable(text.into_owned()),
        }
    }

    /// The document, or `{}` where there is none.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Absent => json!({}),
            Self::Document(document) => document.clone(),
            Self::Unreadable(text) => json!({ "unreadable": text }),
        }
    }

    /// The text of the document.
    pub(super) fn document(&self) -> String {
        match self {
            Self::Unreadable(text) => text.clone(),
            standing => standing.to_json().to_string(),
        }
    }

    /// True if exactly `document` stands there.
    pub fn is(&self, document: &Value) -> bool {
        matches!(self, Self::Document(found) if found == document)
    }

    /// True if what stands there is a deny of ours, of whichever sessions.
    pub(super) fn is_ours(&self) -> bool {
        let Self::Document(document) = self else {
            return false;
        };
        self.is(&deny(document["Statement"][0]["Condition"].clone()))
    }

    /// The cut-off, if what stands there is our deny of older sessions and nothing else.
    pub fn cut_off(&self) -> Option<Timestamp> {
        let Self::Document(document) = self else {
            return None;
        };
        let condition = &document["Statement"][0]["Condition"];
        let cut_off = condition["DateLessThan"]["aws:TokenIssueTime"]
            .as_str()?
            .parse()
            .ok()?;
        self.is(&deny_sessions_before(cut_off)).then_some(cut_off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_cut_off_survives_the_way_through_iam() {
        let cut_off = at("2026-03-04T05:06:07Z");
        let document = deny_sessions_before(cut_off).to_string();
        let encoded =
            percent_encoding::utf8_percent_encode(&document, percent_encoding::NON_ALPHANUMERIC);
        let read = Deny::from_encoded(&encoded.to_string());
        assert_eq!(read.cut_off(), Some(cut_off));
    }

    #[test]
    fn a_document_that_someone_weakened_has_no_cut_off() {
        let cut_off = at("2026-03-04T05:06:07Z");
        for (member, value) in [
            ("Effect", json!("Allow")),
            ("Action", json!("s3:GetObject")),
            ("Resource", json!("arn:aws:s3:::one")),
        ] {
            let mut document = deny_sessions_before(cut_off);
            document["Statement"][0][member] = value;
            assert_eq!(Deny::Document(document).cut_off(), None, "{member}");
        }
        let mut document = deny_sessions_before(cut_off);
        document["Statement"][0]["Condition"]["StringEquals"] = json!({ "aws:userid": "AIDA" });
        assert_eq!(Deny::Document(document).cut_off(), None);
        assert_eq!(Deny::from_encoded("not json").cut_off(), None);
        assert_eq!(Deny::Absent.cut_off(), None);
    }

    #[test]
    fn only_a_deny_of_everything_is_ours() {
        let cut_off = deny_sessions_before(at("2026-03-04T05:06:07Z"));
        let session = deny_session(&RoleSession {
            role_id: "AROAEXAMPLE".to_owned(),
            name: "alice".to_owned(),
        });
        for document in [cut_off, session] {
            assert!(Deny::Document(document.clone()).is_ours());
            let mut weakened = document;
            weakened["Statement"][0]["Action"] = json!("s3:GetObject");
            assert!(!Deny::Document(weakened).is_ours());
        }
        assert!(!Deny::Document(json!({})).is_ours());
        assert!(!Deny::Absent.is_ours() && !Deny::from_encoded("not json").is_ours());
    }

    #[test]
    fn the_deny_of_a_session_matches_it_literally() {
        let session = RoleSession {
            role_id: "AROAEXAMPLE".to_owned(),
            name: "alice@corp".to_owned(),
        };
        let condition = &deny_session(&session)["Statement"][0]["Condition"];
        assert_eq!(
            *condition,
            json!({ "StringEquals": { "aws:userid": "AROAEXAMPLE:alice@corp" } })
        );
    }
}
