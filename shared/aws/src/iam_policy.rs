//! The inline policies that deny something to a user or a role, and the calls that put and read them.

use aws_sdk_iam::Client;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::error::{CallContext, Result};

/// A user or a role of this account, by name. Every call names it: without a name, IAM takes the
/// caller's own.
#[derive(Clone, Copy, Debug)]
pub enum Entity<'a> {
    /// A user.
    User(&'a str),
    /// A role.
    Role(&'a str),
}

/// Builds a statement that denies everything, where `condition` is met.
pub fn deny(sid: &str, condition: Value) -> Value {
    json!({
        "Sid": sid,
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": condition,
    })
}

/// Builds a policy document of these statements.
pub fn document(statements: impl IntoIterator<Item = Value>) -> Value {
    let statements: Vec<_> = statements.into_iter().collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Reads a document as IAM hands it out: percent-encoded after RFC 3986.
///
/// # Errors
/// The text, if that is not JSON.
pub fn decoded(document: &str) -> std::result::Result<Value, String> {
    let text = percent_decode_str(document).decode_utf8_lossy();
    serde_json::from_str(&text).map_err(|_| text.into_owned())
}

impl<'a> Entity<'a> {
    /// Its name.
    pub fn name(self) -> &'a str {
        let (Self::User(name) | Self::Role(name)) = self;
        name
    }

    /// Puts an inline policy, in the place of one of the same name.
    ///
    /// # Errors
    /// If IAM refuses it or cannot be reached.
    pub async fn put_policy(self, client: &Client, policy: &str, document: &str) -> Result<()> {
        match self {
            Self::User(name) => {
                let call = client.put_user_policy().user_name(name).policy_name(policy);
                let done = call.policy_document(document).send().await;
                done.during("iam:PutUserPolicy", name).map(drop)
            }
            Self::Role(name) => {
                let call = client.put_role_policy().role_name(name).policy_name(policy);
                let done = call.policy_document(document).send().await;
                done.during("iam:PutRolePolicy", name).map(drop)
            }
        }
    }

    /// Reads the document of an inline policy, as [`decoded`] takes it. `None`: there is no such policy, or no
    /// such entity; the call that describes the entity tells the two apart.
    ///
    /// # Errors
    /// If IAM refuses it or cannot be reached.
    pub async fn policy(self, client: &Client, policy: &str) -> Result<Option<String>> {
        let document = match self {
            Self::User(name) => {
                let call = client.get_user_policy().user_name(name).policy_name(policy);
                let read = call.send().await.during("iam:GetUserPolicy", name);
                read.map(|policy| policy.policy_document)
            }
            Self::Role(name) => {
                let call = client.get_role_policy().role_name(name).policy_name(policy);
                let read = call.send().await.during("iam:GetRolePolicy", name);
                read.map(|policy| policy.policy_document)
            }
        };
        match document {
            Ok(document) => Ok(Some(document)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes an inline policy away. One that is gone is taken away.
    ///
    /// # Errors
    /// If IAM refuses it or cannot be reached.
    #[expect(
        clippy::disallowed_methods,
        reason = "release takes away the responder's own policy"
    )]
    pub async fn delete_policy(self, client: &Client, policy: &str) -> Result<()> {
        let deleted = match self {
            Self::User(name) => {
                let call = client.delete_user_policy().user_name(name);
                let done = call.policy_name(policy).send().await;
                done.during("iam:DeleteUserPolicy", name).map(drop)
            }
            Self::Role(name) => {
                let call = client.delete_role_policy().role_name(name);
                let done = call.policy_name(policy).send().await;
                done.during("iam:DeleteRolePolicy", name).map(drop)
            }
        };
        match deleted {
            Err(error) if error.is_gone() => Ok(()),
            deleted => deleted,
        }
    }
}
