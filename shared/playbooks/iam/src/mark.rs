//! The tag on a contained principal.
//!
//! IAM has no condition on the name of an inline policy, but on the tags of the user or role that a call is about. So
//! with the tag a service control policy, `infra/scp-keep-contained.yaml`, protects our deny. Nobody else who may
//! change users and roles can remove it, or make new credentials of the same principal:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_iam-tags.html>.

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::Tag;
use tokio::time::sleep;

use super::action::{Action, MARK_KEY, MARK_VALUE};
use super::entity;
use super::state::ObservedPrincipal;
use aws::error::{CallContext, Error, Result};
use aws::iam_policy::Entity;
use model::finding::Finding;
use model::plan::{Plan, Step};
use model::resource::Resource;

/// Pauses before a deny is looked for again that was written a moment ago: IAM answers reads from copies
/// that lag behind.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

pub(super) fn is_among(tags: &Option<Vec<Tag>>) -> bool {
    let mut tags = tags.iter().flatten();
    tags.any(|tag| tag.key() == MARK_KEY && tag.value() == MARK_VALUE)
}

/// Plans the tag for a principal to whom `plan` denies something.
pub(super) fn plan(plan: &mut Plan<Action>, found: &ObservedPrincipal) {
    let (arn, marked) = match found {
        ObservedPrincipal::User(user) => (&user.arn, user.marked),
        ObservedPrincipal::Role(role) => (&role.arn, role.marked),
        ObservedPrincipal::Federated(federated) => match &federated.user {
            Some(user) => (&user.arn, user.marked),
            None => return,
        },
        ObservedPrincipal::Unresolved(_) | ObservedPrincipal::Gone | ObservedPrincipal::NotRead => {
            return;
        }
    };
    let denied = plan.steps.iter().find_map(|step| match step {
        Step::Do(action) | Step::Already(action, _) => action.policy(),
        Step::Skipped { .. } | Step::Withheld(..) | Step::Unknown { .. } => None,
    });
    let Some(policy) = denied else {
        return;
    };
    let arn = arn.clone();
    let action = Action::MarkContained { arn, policy };
    plan.steps.push(if marked {
        Step::Already(action, "the tag is there".to_owned())
    } else {
        Step::Do(action)
    });
}

/// The user or role that is marked, for the policies.
pub(super) fn resource(finding: &Finding, arn: &str) -> Resource {
    match entity_of(arn) {
        Ok(Entity::Role(name)) => Resource::role(finding, name, Some(arn)),
        Ok(Entity::User(name)) => Resource::user(finding, name, Some(arn)),
        // No policy permits what is not of the schema's kinds, and nothing else is planned.
        Err(_) => Resource::account(finding),
    }
}

/// The user or role of an ARN, which has its name last.
fn entity_of(arn: &str) -> Result<Entity<'_>> {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let name = resource.rsplit('/').next().unwrap_or_default();
    match resource.split('/').next() {
        Some("user") => Ok(Entity::User(name)),
        Some("role") => Ok(Entity::Role(name)),
        _ => Err(Error::Refused(format!("{arn} is not a user or role"))),
    }
}

/// Tags the entity if `policy`, or its fallback, denies it something. The deny may have been refused, and then
/// the tag would only keep operators from containing the entity themselves.
pub(super) async fn set(client: &Client, arn: &str, policy: &str) -> Result<()> {
    let entity = entity_of(arn)?;
    let mut denied = is_denied(client, entity, policy).await?;
    for pause in PAUSES {
        if denied {
            break;
        }
        sleep(pause).await;
        denied = is_denied(client, entity, policy).await?;
    }
    if !denied {
        return Err(Error::Refused(format!(
            "not tagged, because no deny of the responder is in effect on {}",
            entity.name(),
        )));
    }
    let tag = Tag::builder().key(MARK_KEY).value(MARK_VALUE).build();
    let tag = tag.map_err(|error| Error::Refused(error.to_string()))?;
    match entity {
        Entity::User(name) => {
            let call = client.tag_user().user_name(name).tags(tag);
            call.send().await.during("iam:TagUser", name).map(drop)
        }
        Entity::Role(name) => {
            let call = client.tag_role().role_name(name).tags(tag);
            call.send().await.during("iam:TagRole", name).map(drop)
        }
    }
}

async fn is_denied(client: &Client, entity: Entity<'_>, policy: &str) -> Result<bool> {
    if entity::policy(entity, client, policy).await?.is_ours() {
        return Ok(true);
    }
    Ok(entity::deny_all(entity, client)
        .await?
        .in_effect()
        .is_some())
}

#[expect(
    clippy::disallowed_methods,
    reason = "release takes away the responder's own tag"
)]
pub(super) async fn take_off(client: &Client, arn: &str) -> Result<()> {
    match entity_of(arn)? {
        Entity::User(name) => {
            let call = client.untag_user().user_name(name).tag_keys(MARK_KEY);
            call.send().await.during("iam:UntagUser", name).map(drop)
        }
        Entity::Role(name) => {
            let call = client.untag_role().role_name(name).tag_keys(MARK_KEY);
            call.send().await.during("iam:UntagRole", name).map(drop)
        }
    }
}
