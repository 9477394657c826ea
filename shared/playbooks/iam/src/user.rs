//! The calls that read a user and its credentials.

use aws_sdk_iam::Client;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::SummaryKeyType;
use jiff::Timestamp;

use super::action::USER_POLICY;
use super::deny_all::DenyAll;
use super::state::{AccessKey, Password, ServiceCredential, UserState};
use super::{entity, mark};
use aws::error::{CallContext, Error, Result};
use aws::iam_policy::Entity;
use model::finding::printable;

/// How many users the account has.
pub(super) async fn users(client: &Client) -> Result<usize> {
    let operation = "iam:GetAccountSummary";
    let answer = client.get_account_summary().send().await;
    let summary = answer.during(operation, "the account")?.summary_map;
    let users = summary.and_then(|summary| summary.get(&SummaryKeyType::Users).copied());
    let users = users.and_then(|users| usize::try_from(users).ok());
    users.ok_or_else(|| unanswered(operation, "the account"))
}

/// The name of the user who has an access key.
pub(super) async fn owner(client: &Client, key: &str) -> Result<String> {
    let operation = "iam:GetAccessKeyLastUsed";
    let answer = client.get_access_key_last_used().access_key_id(key);
    let owner = answer.send().await.during(operation, key)?.user_name;
    let owner = owner.filter(|owner| !owner.is_empty());
    owner.ok_or_else(|| unanswered(operation, key))
}

pub(super) async fn user(client: &Client, name: &str) -> Result<UserState> {
    let entity = Entity::User(name);
    let described = async {
        let described = client.get_user().user_name(name).send().await;
        described.during("iam:GetUser", name)
    };
    let (described, keys, credentials, deny, attached, console) = futures::join!(
        Box::pin(described),
        Box::pin(access_keys(client, name)),
        Box::pin(service_credentials(client, name)),
        Box::pin(entity::policy(entity, client, USER_POLICY)),
        Box::pin(entity::has_deny_all(entity, client)),
        Box::pin(console_password(client, name)),
    );
    let user = described?
        .user
        .ok_or_else(|| unanswered("iam:GetUser", name))?;
    Ok(UserState {
        marked: mark::is_among(&user.tags),
        name: name.to_owned(),
        owns_key: false,
        arn: user.arn,
        user_id: user.user_id,
        keys,
        credentials,
        deny,
        deny_all: DenyAll {
            attached: attached.ok(),
            boundary: user
                .permissions_boundary
                .and_then(|boundary| boundary.permissions_boundary_arn),
        },
        console,
    })
}

pub(super) async fn access_keys(client: &Client, name: &str) -> Result<Vec<AccessKey>> {
    let operation = "iam:ListAccessKeys";
    let mut keys = Vec::new();
    let mut marker = None;
    loop {
        let call = client.list_access_keys().user_name(name);
        let page = call.set_marker(marker).send().await;
        let page = page.during(operation, name)?;
        for key in page.access_key_metadata {
            let (Some(id), Some(status)) = (key.access_key_id, key.status) else {
                return Err(unanswered(operation, name));
            };
            keys.push(AccessKey {
                id,
                status,
                created: key.create_date.as_ref().and_then(timestamp),
            });
        }
        marker = next(operation, name, page.is_truncated, page.marker)?;
        if marker.is_none() {
            return Ok(keys);
        }
    }
}

/// The marker of a list's next page. `None`: it was the last. A list that is cut off is an error: its content is not
/// known.
fn next(
    operation: &'static str,
    name: &str,
    truncated: bool,
    marker: Option<String>,
) -> Result<Option<String>> {
    match marker.filter(|marker| !marker.is_empty()) {
        Some(marker) => Ok(Some(marker)),
        None if truncated => Err(Error::Refused(format!(
            "{operation} on {name} answered a list that is cut off, without saying where it goes on"
        ))),
        None => Ok(None),
    }
}

/// How an IAM answers that knows no service-specific credentials, so that there are none: the one of a partition
/// that does not have the operation, or none of the services.
const NO_SUCH_CREDENTIALS: [&str; 2] = ["InvalidAction", "NotSupportedService"];

/// The service-specific credentials of a user, of all services.
async fn service_credentials(client: &Client, name: &str) -> Result<Vec<ServiceCredential>> {
    let operation = "iam:ListServiceSpecificCredentials";
    let mut credentials = Vec::new();
    let mut marker = None;
    loop {
        // Without the user's name it would be the caller's own.
        let call = client.list_service_specific_credentials().user_name(name);
        let page = call.set_marker(marker).send().await.during(operation, name);
        let page = match page {
            Err(error) if NO_SUCH_CREDENTIALS.iter().any(|code| error.has_code(code)) => {
                return Ok(credentials);
            }
            page => page?,
        };
        let listed = page.service_specific_credentials.unwrap_or_default();
        credentials.extend(listed.into_iter().map(|listed| ServiceCredential {
            id: listed.service_specific_credential_id,
            service: printable(&listed.service_name),
            status: listed.status,
            created: timestamp(&listed.create_date),
        }));
        marker = next(operation, name, page.is_truncated, page.marker)?;
        if marker.is_none() {
            return Ok(credentials);
        }
    }
}

/// The password with which the user can sign in to the console.
async fn console_password(client: &Client, name: &str) -> Result<Option<Password>> {
    let operation = "iam:GetLoginProfile";
    let profile = client.get_login_profile().user_name(name).send().await;
    match profile.during(operation, name) {
        Ok(answer) => Ok(Some(Password {
            created: answer
                .login_profile
                .and_then(|profile| timestamp(&profile.create_date)),
        })),
        Err(error) if error.has_code("NoSuchEntity") => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}

pub(super) fn unanswered(operation: &str, name: &str) -> Error {
    Error::Refused(format!(
        "{operation} on {name} answered without what was asked for"
    ))
}
