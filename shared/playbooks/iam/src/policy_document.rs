//! The denies that end sessions, and what is found where they belong.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use aws::iam_policy::{self, decoded, document};
use model::finding::RoleSession;

/// The Sid of our statement; the prefix of their Sids, if a policy has several.
const SID: &str = "GuardDutyResponder";

/// The actions that renew the credentials of a sign-in session (`aws login`), every 15 minutes for up to 90 days: each
/// renewal is newer than any cut-off, <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sign-in.html>.
const RENEWALS: [&str; 2] = ["signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token"];

/// Denies everything to the sessions of a role that were issued before `cut_off`. Requests with
/// long-term keys do not carry `aws:TokenIssueTime` and are not affected.
pub fn deny_sessions_before(cut_off: Timestamp) -> Value {
    document([before(cut_off)])
}

/// [`deny_sessions_before`] for a user, who may also have sign-in sessions: these are no longer renewed, whenever they
/// began.
pub fn deny_user_sessions_before(cut_off: Timestamp) -> Value {
    let renewals = json!({
        "Sid": "GuardDutyResponderSignIn",
        "Effect": "Deny",
        "Action": RENEWALS,
        "Resource": "*",
    });
    document([before(cut_off), renewals])
}

/// Denies everything to one session of a role. `aws:userid` of a session is the role's unique id,
/// a colon and the session's name; it does not change when the credentials are renewed.
pub fn deny_session(session: &RoleSession) -> Value {
    document([deny(
        json!({ "StringEquals": { "aws:userid": user_id(session) } }),
    )])
}

/// Denies everything to the sessions of a role with the name of `session` that were issued at one of these times. The
/// access keys identify them. For a name that others have too: each session is denied by itself.
pub fn deny_sessions_issued(session: &RoleSession, issued: &BTreeMap<String, Timestamp>) -> Value {
    document(issued.iter().map(|(key, at)| {
        let condition = json!({
            "StringEquals": { "aws:userid": user_id(session) },
            "DateEquals": { "aws:TokenIssueTime": seconds(*at) },
        });
        iam_policy::deny(&format!("{SID}{key}"), condition)
    }))
}

/// True for an access key that can be a part of a Sid, which takes letters and digits only,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html>.
pub(super) fn fits_sid(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// For a permission set of IAM Identity Center, whose roles only Identity Center may change. Denies
/// everything to the user of `session`: by `identitystore:UserId`, once its placeholder is replaced,
/// and by the session's name, which is the user's, in every account that the permission set is in:
/// <https://docs.aws.amazon.com/singlesignon/latest/userguide/prereqs-revoking-user-permissions.html>.
pub fn deny_identity_center_user(session: &RoleSession, now: Timestamp) -> Value {
    let by_user_id = json!({
        "StringEquals": { "identitystore:UserId": "USER-ID-IN-THE-IDENTITY-STORE" },
    });
    let by_name = json!({
        "StringLike": { "aws:userid": format!("*:{}", session.name) },
        "DateLessThan": { "aws:TokenIssueTime": seconds(now) },
    });
    document([
        iam_policy::deny("GuardDutyResponderByUserId", by_user_id),
        iam_policy::deny("GuardDutyResponderByName", by_name),
    ])
}

fn before(cut_off: Timestamp) -> Value {
    deny(json!({ "DateLessThan": { "aws:TokenIssueTime": seconds(cut_off) } }))
}

fn deny(condition: Value) -> Value {
    iam_policy::deny(SID, condition)
}

fn user_id(session: &RoleSession) -> String {
    format!("{}:{}", session.role_id, session.name)
}

/// IAM compares dates of this form; a fraction of a second would not survive every reader.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The policy under the name of one of ours.
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
    /// Reads a document as IAM hands it out.
    pub fn from_encoded(document: &str) -> Self {
        match decoded(document) {
            Ok(value) => Self::Document(value),
            Err(text) => Self::Unreadable(text),
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

    /// True if the policy is exactly `document`.
    pub fn is(&self, document: &Value) -> bool {
        matches!(self, Self::Document(found) if found == document)
    }

    /// True if the policy is a deny of ours, of whichever sessions.
    pub(super) fn is_ours(&self) -> bool {
        let Self::Document(document) = self else {
            return false;
        };
        self.cut_off().is_some()
            || self.is(&iam_policy::document([deny(
                document["Statement"][0]["Condition"].clone(),
            )]))
            || self.of_issued().is_some()
    }

    /// The cut-off, if the policy is our deny of older sessions and nothing else: a role's, a user's, or a user's of an
    /// earlier version, which let sign-in sessions be renewed.
    pub fn cut_off(&self) -> Option<Timestamp> {
        let Self::Document(document) = self else {
            return None;
        };
        let condition = &document["Statement"][0]["Condition"];
        let cut_off = condition["DateLessThan"]["aws:TokenIssueTime"]
            .as_str()?
            .parse()
            .ok()?;
        let ours = [deny_sessions_before, deny_user_sessions_before];
        let is_ours = ours.into_iter().any(|document| self.is(&document(cut_off)));
        is_ours.then_some(cut_off)
    }

    /// True if sign-in sessions can be renewed although older sessions are denied.
    pub(super) fn lets_renew(&self) -> bool {
        self.cut_off()
            .is_some_and(|cut_off| !self.is(&deny_user_sessions_before(cut_off)))
    }

    /// Which sessions of the name of `session` are denied each by itself: their access keys, and when they were issued.
    /// Empty if the policy is not exactly such a deny of ours.
    pub(super) fn issued(&self, session: &RoleSession) -> BTreeMap<String, Timestamp> {
        match self.of_issued() {
            Some((of, issued)) if of == *session => issued,
            _ => BTreeMap::new(),
        }
    }

    fn of_issued(&self) -> Option<(RoleSession, BTreeMap<String, Timestamp>)> {
        let Self::Document(document) = self else {
            return None;
        };
        let statements = document["Statement"].as_array()?;
        let user_id = statements.first()?["Condition"]["StringEquals"]["aws:userid"].as_str()?;
        let (role_id, name) = user_id.split_once(':')?;
        let session = RoleSession {
            role_id: role_id.to_owned(),
            name: name.to_owned(),
        };
        let issued: Option<BTreeMap<_, _>> = statements
            .iter()
            .map(|statement| {
                let key = statement["Sid"].as_str()?.strip_prefix(SID)?;
                let at = statement["Condition"]["DateEquals"]["aws:TokenIssueTime"].as_str()?;
                Some((key.to_owned(), at.parse().ok()?))
            })
            .collect();
        let issued = issued?;
        let rebuilt = deny_sessions_issued(&session, &issued);
        (issued.keys().all(|key| fits_sid(key)) && self.is(&rebuilt)).then_some((session, issued))
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
    fn the_deny_of_a_user_keeps_sign_in_sessions_from_being_renewed_and_fits() {
        let cut_off = at("2026-03-04T05:06:07Z");
        let document = deny_user_sessions_before(cut_off);
        let statements = document["Statement"].as_array().expect("statements");
        let renewal = &statements[1];
        assert_eq!(renewal["Effect"], "Deny");
        assert_eq!(renewal["Resource"], "*");
        assert!(renewal["Condition"].is_null(), "whenever it was begun");
        for action in ["signin:AuthorizeOAuth2Access", "signin:CreateOAuth2Token"] {
            let actions = renewal["Action"].as_array().expect("actions");
            assert!(actions.contains(&json!(action)), "{action}");
        }
        // IAM takes 2,048 characters of inline policies on a user.
        assert!(document.to_string().len() < 2_048 / 2);
    }

    #[test]
    fn a_deny_of_an_earlier_version_is_ours_and_has_its_cut_off() {
        let cut_off = at("2026-03-04T05:06:07Z");
        let earlier = Deny::Document(deny_sessions_before(cut_off));
        let present = Deny::Document(deny_user_sessions_before(cut_off));
        for deny in [&earlier, &present] {
            assert_eq!(deny.cut_off(), Some(cut_off));
            assert!(deny.is_ours());
        }
        assert!(earlier.lets_renew() && !present.lets_renew());
        assert!(!Deny::Absent.lets_renew());
    }

    #[test]
    fn a_deny_of_a_user_that_someone_weakened_has_no_cut_off() {
        let cut_off = at("2026-03-04T05:06:07Z");
        for (member, value) in [
            ("Effect", json!("Allow")),
            ("Action", json!("signin:CreateOAuth2Token")),
            ("Resource", json!("arn:aws:signin:::one")),
            (
                "Condition",
                json!({ "StringEquals": { "aws:userid": "AIDA" } }),
            ),
        ] {
            let mut document = deny_user_sessions_before(cut_off);
            document["Statement"][1][member] = value;
            let weakened = Deny::Document(document);
            assert_eq!(weakened.cut_off(), None, "{member}");
            assert!(!weakened.is_ours(), "{member}");
        }
    }

    #[test]
    fn sessions_that_share_a_name_are_denied_each_by_itself() {
        let session = RoleSession {
            role_id: "AROAEXAMPLE".to_owned(),
            name: "CognitoIdentityCredentials".to_owned(),
        };
        let issued: BTreeMap<_, _> = [
            ("ASIAONE".to_owned(), at("2026-03-04T05:00:00Z")),
            ("ASIATWO".to_owned(), at("2026-03-04T05:01:00Z")),
        ]
        .into();
        let document = deny_sessions_issued(&session, &issued);
        let deny = Deny::Document(document.clone());
        assert!(deny.is_ours());
        assert_eq!(deny.issued(&session), issued);
        let other = RoleSession {
            name: "another".to_owned(),
            ..session.clone()
        };
        assert!(deny.issued(&other).is_empty());
        assert!(
            Deny::Document(deny_session(&session))
                .issued(&session)
                .is_empty()
        );
        let mut weakened = document;
        weakened["Statement"][1]["Action"] = json!("s3:GetObject");
        let weakened = Deny::Document(weakened);
        assert!(weakened.issued(&session).is_empty() && !weakened.is_ours());
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
