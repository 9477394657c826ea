//! The permissions of a user or role: the policies of its own and of its groups, and its boundary.
//!
//! Service and resource control policies, session policies and policies of resources are not seen
//! from here, <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.

use aws_sdk_iam::Client;
use futures::future::join_all;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::subject::{Described, Subject};
use crate::error::{CallContext, Result};
use model::investigation::privilege::PrivilegeLevel;
use model::investigation::{Answer, Question, listed, reason};

/// The documents read of one user, role or group. IAM allows 20 attached policies at most.
const MOST_DOCUMENTS: usize = 20;
/// A user may be in 10 groups.
const MOST_GROUPS: usize = 10;
/// The names of each kind, in a sentence.
const MOST_NAMES: usize = 12;

/// Who holds a policy.
#[derive(Clone, Copy)]
enum Holder<'a> {
    User(&'a str),
    Role(&'a str),
    Group(&'a str),
}

/// The policies read of one holder, or of all together.
#[derive(Default)]
struct Holdings {
    attached: Vec<String>,
    inline: Vec<String>,
    powers: Vec<(PrivilegeLevel, String)>,
    /// The policies that could not be read.
    gaps: Vec<String>,
}

impl Holdings {
    fn add(&mut self, other: Self) {
        self.attached.extend(other.attached);
        self.inline.extend(other.inline);
        self.powers.extend(other.powers);
        self.gaps.extend(other.gaps);
    }
}

pub(super) async fn permissions(
    iam: &Client,
    subject: &Subject,
    described: &Result<Described>,
) -> Answer {
    let (mut all, groups) = match subject {
        Subject::User { name, .. } => {
            let own = held(iam, Holder::User(name));
            let (mut own, groups) = futures::join!(own, groups(iam, name));
            let groups = match groups {
                Ok((groups, more)) => {
                    if more {
                        own.gaps.push("there are more groups".to_owned());
                    }
                    groups
                }
                Err(error) => {
                    own.gaps.push(reason(&error));
                    Vec::new()
                }
            };
            let held = groups.iter().map(|group| held(iam, Holder::Group(group)));
            for holdings in join_all(held).await {
                own.add(holdings);
            }
            (own, groups)
        }
        Subject::Role { name, .. } => (held(iam, Holder::Role(name)).await, Vec::new()),
    };
    let boundary = match described {
        Ok(described) => match &described.boundary {
            Some(boundary) => format!("bounded by {boundary}"),
            None => "no permissions boundary".to_owned(),
        },
        Err(error) => {
            all.gaps.push(reason(error));
            "permissions boundary not known".to_owned()
        }
    };
    answer(subject, all, &groups, &boundary)
}

fn answer(subject: &Subject, mut all: Holdings, groups: &[String], boundary: &str) -> Answer {
    all.powers.sort_unstable();
    let mut parts: Vec<_> = all
        .powers
        .iter()
        .map(|(power, policy)| format!("{power} by {policy}"))
        .take(MOST_NAMES)
        .collect();
    if all.powers.is_empty() && all.gaps.is_empty() {
        parts.push("no administrator by its policies".to_owned());
    }
    for (kind, names) in [
        ("attached", &all.attached[..]),
        ("inline", &all.inline),
        ("groups", groups),
    ] {
        if !names.is_empty() {
            parts.push(format!("{kind}: {}", listed(names, MOST_NAMES)));
        }
    }
    parts.push(boundary.to_owned());
    let text = format!("{subject}: {}", parts.join("; "));
    let source = "IAM's policies of it and its groups, as they are after this response";
    if all.gaps.is_empty() {
        return Answer::known(Question::Permissions, &text, source);
    }
    all.gaps.sort_unstable();
    all.gaps.dedup();
    let text = format!(
        "{text}; NOT COMPLETE, look in IAM for the rest: {}",
        listed(&all.gaps, 4)
    );
    Answer::unknown(Question::Permissions, &text, source)
}

async fn groups(iam: &Client, user: &str) -> Result<(Vec<String>, bool)> {
    let call = iam.list_groups_for_user().user_name(user);
    let answer = call.send().await.during("iam:ListGroupsForUser", user)?;
    let more = answer.is_truncated || answer.groups.len() > MOST_GROUPS;
    let groups = answer.groups.into_iter().map(|group| group.group_name);
    Ok((groups.take(MOST_GROUPS).collect(), more))
}

async fn held(iam: &Client, holder: Holder<'_>) -> Holdings {
    let (mut attached, inline) = futures::join!(
        Box::pin(attached(iam, holder)),
        Box::pin(inline(iam, holder))
    );
    attached.add(inline);
    attached
}

async fn attached(iam: &Client, holder: Holder<'_>) -> Holdings {
    let mut holdings = Holdings::default();
    let (arns, more) = match holder.attached(iam).await {
        Ok(found) => found,
        Err(error) => {
            holdings.gaps.push(reason(&error));
            return holdings;
        }
    };
    if more || arns.len() > MOST_DOCUMENTS {
        let gap = format!("{} has more attached policies", holder.name());
        holdings.gaps.push(gap);
    }
    let read = arns.iter().take(MOST_DOCUMENTS).map(async |arn| {
        if arn.contains(":iam::aws:policy/") {
            Ok(PrivilegeLevel::of_aws_policy(arn))
        } else {
            Box::pin(managed(iam, arn))
                .await
                .map(|document| PrivilegeLevel::of_document(&document))
        }
    });
    for (arn, power) in arns.iter().zip(join_all(read).await) {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        let policy = format!("{name}{}", holder.of());
        holdings.note(policy.clone(), power);
        holdings.attached.push(policy);
    }
    holdings
}

async fn inline(iam: &Client, holder: Holder<'_>) -> Holdings {
    let mut holdings = Holdings::default();
    let (names, more) = match holder.inline_names(iam).await {
        Ok(found) => found,
        Err(error) => {
            holdings.gaps.push(reason(&error));
            return holdings;
        }
    };
    // The responder's own denies give nothing.
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| !name.starts_with("gdr-"))
        .collect();
    if more || names.len() > MOST_DOCUMENTS {
        let gap = format!("{} has more inline policies", holder.name());
        holdings.gaps.push(gap);
    }
    let read = names.iter().take(MOST_DOCUMENTS).map(async |name| {
        let document = holder.inline(iam, name).await?;
        Ok(PrivilegeLevel::of_document(&decoded(&document)))
    });
    for (name, power) in names.iter().zip(join_all(read).await) {
        let policy = format!("{name}{}", holder.of());
        holdings.note(format!("the inline policy {policy}"), power);
        holdings.inline.push(policy);
    }
    holdings
}

impl Holdings {
    fn note(&mut self, policy: String, power: Result<Option<PrivilegeLevel>>) {
        match power {
            Ok(Some(power)) => self.powers.push((power, policy)),
            Ok(None) => {}
            Err(error) => self.gaps.push(reason(&error)),
        }
    }
}

/// The document in force of a policy of the customer's.
async fn managed(iam: &Client, arn: &str) -> Result<Value> {
    let policy = iam.get_policy().policy_arn(arn).send().await;
    let policy = policy.during("iam:GetPolicy", arn)?.policy;
    let version = policy.and_then(|policy| policy.default_version_id);
    let call = iam.get_policy_version().policy_arn(arn);
    let read = call.set_version_id(version).send().await;
    let version = read.during("iam:GetPolicyVersion", arn)?.policy_version;
    let document = version.and_then(|version| version.document);
    Ok(decoded(document.as_deref().unwrap_or_default()))
}

/// A document as IAM hands it out: percent-encoded. An unreadable document gives no statement.
fn decoded(document: &str) -> Value {
    let text = percent_decode_str(document).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The calls that IAM has in three spellings. One page of each, which has up to 100.
impl Holder<'_> {
    fn name(self) -> String {
        match self {
            Self::User(name) => format!("user {name}"),
            Self::Role(name) => format!("role {name}"),
            Self::Group(name) => format!("group {name}"),
        }
    }

    fn of(self) -> String {
        match self {
            Self::Group(name) => format!(" (group {name})"),
            Self::User(_) | Self::Role(_) => String::new(),
        }
    }

    async fn attached(self, iam: &Client) -> Result<(Vec<String>, bool)> {
        let (policies, more) = match self {
            Self::User(name) => {
                let read = iam.list_attached_user_policies().user_name(name).send();
                let read = read.await.during("iam:ListAttachedUserPolicies", name)?;
                (read.attached_policies, read.is_truncated)
            }
            Self::Role(name) => {
                let read = iam.list_attached_role_policies().role_name(name).send();
                let read = read.await.during("iam:ListAttachedRolePolicies", name)?;
                (read.attached_policies, read.is_truncated)
            }
            Self::Group(name) => {
                let read = iam.list_attached_group_policies().group_name(name).send();
                let read = read.await.during("iam:ListAttachedGroupPolicies", name)?;
                (read.attached_policies, read.is_truncated)
            }
        };
        let arns = policies.unwrap_or_default().into_iter();
        Ok((arns.filter_map(|policy| policy.policy_arn).collect(), more))
    }

    async fn inline_names(self, iam: &Client) -> Result<(Vec<String>, bool)> {
        Ok(match self {
            Self::User(name) => {
                let read = iam.list_user_policies().user_name(name).send();
                let read = read.await.during("iam:ListUserPolicies", name)?;
                (read.policy_names, read.is_truncated)
            }
            Self::Role(name) => {
                let read = iam.list_role_policies().role_name(name).send();
                let read = read.await.during("iam:ListRolePolicies", name)?;
                (read.policy_names, read.is_truncated)
            }
            Self::Group(name) => {
                let read = iam.list_group_policies().group_name(name).send();
                let read = read.await.during("iam:ListGroupPolicies", name)?;
                (read.policy_names, read.is_truncated)
            }
        })
    }

    async fn inline(self, iam: &Client, policy: &str) -> Result<String> {
        Ok(match self {
            Self::User(name) => {
                let call = iam.get_user_policy().user_name(name).policy_name(policy);
                let read = call.send().await.during("iam:GetUserPolicy", name)?;
                read.policy_document
            }
            Self::Role(name) => {
                let call = iam.get_role_policy().role_name(name).policy_name(policy);
                let read = call.send().await.during("iam:GetRolePolicy", name)?;
                read.policy_document
            }
            Self::Group(name) => {
                let call = iam.get_group_policy().group_name(name).policy_name(policy);
                let read = call.send().await.during("iam:GetGroupPolicy", name)?;
                read.policy_document
            }
        })
    }
}
