//! The principal's activity since the first event: for a review after containment.

use jiff::Timestamp;

use super::event::CloudTrailEvent;
use super::event_history::{EventHistory, Events, History, Lookup, MOST_PAGES};
use crate::error::Result;
use crate::inquiry::Inquiry;
use model::finding::{Finding, Principal, printable};
use model::investigation::{listed, reason};

/// More would hide the rest of the notice.
const MOST_LINES: usize = 12;

/// The events of a principal, by what finds them in CloudTrail's event history.
pub struct PrincipalEvents {
    /// The name of a `LookupAttributeKey`.
    pub attribute: &'static str,
    /// The value of that attribute.
    pub value: String,
    /// The caller's required `principalId`, if the attribute is not unique.
    principal_id: Option<String>,
}

impl PrincipalEvents {
    fn of(finding: &Finding, principal: &Principal) -> Option<Self> {
        Self::by_key(finding).or_else(|| Self::by_name(principal))
    }

    /// Those by the access key of the finding.
    pub fn by_key(finding: &Finding) -> Option<Self> {
        Some(Self {
            attribute: "AccessKeyId",
            value: finding.access_key_id()?,
            principal_id: None,
        })
    }

    /// Those by the name of the user or the session.
    pub fn by_name(principal: &Principal) -> Option<Self> {
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

    /// True for an event that the principal itself caused: other callers may have its name.
    pub fn has(&self, record: &CloudTrailEvent) -> bool {
        let id = record.caller()["principalId"].as_str();
        self.principal_id.is_none() || self.principal_id.as_deref() == id
    }

    async fn since(
        &self,
        trail: &EventHistory,
        history: History,
        since: Option<Timestamp>,
        pages: usize,
    ) -> Result<Events> {
        let lookup = Lookup {
            history,
            attribute: self.attribute,
            value: self.value.clone(),
            since,
            until: None,
            pages,
        };
        let mut events = trail.events(lookup).await?;
        events.records.retain(|record| self.has(record));
        Ok(events)
    }
}

/// The principal's activity in IAM since the first event.
pub async fn iam_events(trail: &EventHistory, finding: &Finding) -> Result<Events> {
    let principal = finding.principal()?;
    let since = finding.first_seen().or_else(|| finding.last_seen());
    match (PrincipalEvents::of(finding, &principal), since) {
        (Some(deeds), Some(_)) => {
            let history = trail.of_iam();
            deeds.since(trail, history, since, MOST_PAGES).await
        }
        _ => Err(crate::Error::Refused(format!(
            "the finding does not say enough about {principal} to find its events in CloudTrail"
        ))),
    }
}

/// The step if no event is for the notice. `CloudTrail` shows the last minutes late.
const NOTHING_YET: &str = "check CloudTrail again in 15 minutes (this Region and IAM's): so far it shows no \
     credential, user, role, policy, session, function or instance that the principal made or changed";

/// The lines for the notice.
pub async fn deeds(
    trail: &EventHistory,
    inquiry: &Inquiry<'_>,
    principal: &Principal,
) -> Vec<String> {
    let finding = inquiry.finding;
    let who = printable(&principal.to_string());
    let mut found = vec![inquiry.within(iam_events(trail, finding)).await];
    if trail.histories().len() > 1
        && let Some(deeds) = PrincipalEvents::of(finding, principal)
    {
        let since = finding.first_seen().or_else(|| finding.last_seen());
        let regional = deeds.since(trail, History::Regional, since, 1);
        found.push(inquiry.within(regional).await);
    }
    let (mut lines, mut cut) = (Vec::new(), false);
    for events in found {
        match events {
            Ok(events) => {
                cut |= events.cut;
                lines.extend(events.records.iter().find_map(on_behalf_of));
                lines.extend(events.records.iter().filter_map(told));
            }
            Err(error) => lines.push(format!(
                "look in CloudTrail for changes by {who} since the first event: they could not be read ({})",
                reason(&error)
            )),
        }
    }
    lines.dedup();
    if lines.is_empty() {
        lines.push(NOTHING_YET.to_owned());
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

/// The step for the on-call engineer about an event; `None` for the many that they need not.
pub fn told(record: &CloudTrailEvent) -> Option<String> {
    if !record.succeeded() {
        return None;
    }
    let at = record.time();
    credential_set(record, &at)
        .or_else(|| session_opened(record, &at))
        .or_else(|| changed(record, &at))
        .or_else(|| ran(record, &at))
}

/// A credential of a user that the principal made or set.
fn credential_set(record: &CloudTrailEvent, at: &str) -> Option<String> {
    let user = || record.parameter("userName");
    Some(match record.name() {
        "CreateAccessKey" => match record.created_key() {
            Some((user, key)) => format!(
                "deactivate access key {key} of user {user}, which the principal made at {at}, unless \
                 {user} vouches for it"
            ),
            None => format!("look for an access key of user {} made at {at}", user()),
        },
        "UpdateAccessKey" => format!(
            "review access key {} of user {}, which the principal set to {} at {at}",
            record.parameter("accessKeyId"),
            user(),
            record.parameter("status"),
        ),
        "CreateUser" => format!(
            "find out the purpose of user {}, whom the principal made at {at}",
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
        "CreateServiceSpecificCredential" | "ResetServiceSpecificCredential" => format!(
            "deactivate the credential of user {} for {}, which the principal made at {at}: it is no access \
             key, and no deny of sessions stops it",
            user(),
            record.parameter("serviceName"),
        ),
        "UploadSSHPublicKey" | "UploadSigningCertificate" => format!(
            "deactivate the key or certificate that the principal registered for user {} at {at} ({})",
            user(),
            record.name()
        ),
        _ => return None,
    })
}

/// A session that the principal opened, or lets others open.
fn session_opened(record: &CloudTrailEvent, at: &str) -> Option<String> {
    Some(match record.name() {
        "CreateRole" | "UpdateAssumeRolePolicy" => format!(
            "review who may assume role {}, as the principal set it at {at}",
            record.parameter("roleName")
        ),
        "CreateSAMLProvider" | "UpdateSAMLProvider" | "CreateOpenIDConnectProvider" => format!(
            "review the identity provider that the principal made or changed at {at} ({} {}): its users \
             may be let into roles",
            record.name(),
            ["name", "sAMLProviderArn", "url"]
                .map(|member| record.parameter(member))
                .into_iter()
                .find(|text| text != "?")
                .unwrap_or_default(),
        ),
        "AssumeRole" => format!(
            "contain the session {} of {}, which the principal opened at {at} and which outlives this \
             containment",
            record.parameter("roleSessionName"),
            record.parameter("roleArn"),
        ),
        "GetFederationToken" | "GetSessionToken" => format!(
            "find out who uses the temporary credentials ({} {}) that the principal asked for at {at}: they may \
             outlive its key",
            record.name(),
            record
                .issued_key()
                .map_or_else(|| "?".to_owned(), printable),
        ),
        _ => return None,
    })
}

/// The change of anybody's permissions in this event.
fn changed(record: &CloudTrailEvent, at: &str) -> Option<String> {
    let whom = || {
        [
            ("user", "userName"),
            ("role", "roleName"),
            ("group", "groupName"),
        ]
        .into_iter()
        .map(|(kind, member)| (kind, record.parameter(member)))
        .find(|(_, name)| name != "?")
        .map_or_else(|| "?".to_owned(), |(kind, name)| format!("{kind} {name}"))
    };
    Some(match record.name() {
        "AttachUserPolicy" | "AttachRolePolicy" | "AttachGroupPolicy" => format!(
            "review {}, to which the principal attached {} at {at}",
            whom(),
            record.parameter("policyArn"),
        ),
        "PutUserPolicy" | "PutRolePolicy" | "PutGroupPolicy" => format!(
            "review the policy {} of {}, which the principal wrote at {at}",
            record.parameter("policyName"),
            whom(),
        ),
        "DetachUserPolicy" | "DetachRolePolicy" | "DetachGroupPolicy" => format!(
            "review {}, from which the principal took {} at {at}",
            whom(),
            record.parameter("policyArn"),
        ),
        "DeleteUserPolicy" | "DeleteRolePolicy" | "DeleteGroupPolicy" => format!(
            "review {}, from which the principal took the policy {} at {at}",
            whom(),
            record.parameter("policyName"),
        ),
        "PutUserPermissionsBoundary"
        | "PutRolePermissionsBoundary"
        | "DeleteUserPermissionsBoundary"
        | "DeleteRolePermissionsBoundary" => format!(
            "review the permissions boundary of {}, which the principal changed at {at}",
            whom(),
        ),
        "CreatePolicy" => format!(
            "review the policy {}, which the principal made at {at}",
            record.parameter("policyName"),
        ),
        "CreatePolicyVersion" | "SetDefaultPolicyVersion" => format!(
            "review the policy {}, of which the principal set the version at {at}",
            record.parameter("policyArn"),
        ),
        "AddUserToGroup" => format!(
            "review user {}, whom the principal added to group {} at {at}",
            record.parameter("userName"),
            record.parameter("groupName"),
        ),
        "AddRoleToInstanceProfile" => format!(
            "review the instance profile {}, to which the principal added role {} at {at}",
            record.parameter("instanceProfileName"),
            record.parameter("roleName"),
        ),
        _ => return None,
    })
}

/// The change in this event of a thing that runs with permissions of its own. Lambda's events carry the version of the
/// API: `CreateFunction20150331`.
fn ran(record: &CloudTrailEvent, at: &str) -> Option<String> {
    const FUNCTIONS: [&str; 4] = [
        "CreateFunction",
        "UpdateFunctionCode",
        "UpdateFunctionConfiguration",
        "AddPermission",
    ];
    let name = record
        .name()
        .trim_end_matches(|it: char| it.is_ascii_digit() || it == 'v');
    if record.service() == "lambda.amazonaws.com" && FUNCTIONS.contains(&name) {
        return Some(format!(
            "review the function {}, which the principal made or changed at {at} ({name})",
            record.parameter("functionName"),
        ));
    }
    (name == "RunInstances").then(|| {
        let started = record.started_instances();
        let which = match started.as_slice() {
            [] => "the instances".to_owned(),
            ids => format!("the instances {}", listed(ids, 5)),
        };
        format!("find out the purpose of {which} that the principal started at {at}")
    })
}

/// For whom a session of IAM Identity Center acts: the id that the policy against it needs.
fn on_behalf_of(record: &CloudTrailEvent) -> Option<String> {
    let user = record.caller()["onBehalfOf"]["userId"].as_str()?;
    Some(format!(
        "the session acts for the user {} of the identity store: disable that user in IAM Identity \
         Center, and put this id into the policy of the permission set",
        printable(user),
    ))
}
