//! A role with two sessions, of which one is stolen.

use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use remediation::error::{CallContext as _, Result};
use serde_json::json;

use super::key::{LASTS, list};
use super::made::{Made, iam_tags, may_list, session, statement};
use crate::attempt::Attempt;
use crate::context::{Context, lacking};
use crate::finding::About;

pub(super) struct Role {
    pub(super) name: String,
    pub(super) arn: String,
}

pub(super) async fn make(context: &Context<'_>, data: &str) -> Result<Made> {
    let role = Box::pin(role(context, "role", None, data)).await?;
    let stolen = Box::pin(role.assume(context, "stolen")).await?;
    let other = Box::pin(role.assume(context, "other")).await?;
    let name = role.name;
    context.made(format!("two sessions of role {name}"));
    let principal_id = stolen
        .assumed_role_user()
        .map(|user| user.assumed_role_id.clone());
    let principal_id =
        principal_id.ok_or_else(|| lacking("sts:AssumeRole", &name, "assumed role"))?;
    let stolen = session(stolen.credentials, &name)?;
    let other = session(other.credentials, &name)?;
    Ok(Made {
        resources: vec![format!("role {name}")],
        attempts: vec![
            Attempt::attack(
                "list a bucket with the stolen session of the role",
                list(context, &stolen, data),
            ),
            Attempt::bystander(
                "list the bucket with another session of the role",
                list(context, &other, data),
            ),
        ],
        about: About::RoleSession {
            key_id: stolen.access_key_id().to_owned(),
            principal_id,
            role_name: name,
        },
        keys: Vec::new(),
    })
}

/// Makes a role that the account's principals may assume, and `service`, if there is one. It may list the bucket `data`.
#[expect(
    clippy::disallowed_methods,
    reason = "a role that the proof attacks, with its tag"
)]
pub(super) async fn role(
    context: &Context<'_>,
    of_what: &str,
    service: Option<&str>,
    data: &str,
) -> Result<Role> {
    let (iam, name) = (&context.iam, context.id.name(of_what));
    let account = format!("arn:{}:iam::{}:root", context.partition, context.account);
    let mut principal = json!({ "AWS": account });
    if let Some(service) = service {
        principal["Service"] = json!(service);
    }
    let trust = statement(json!({
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sts:AssumeRole",
    }));
    let call = iam
        .create_role()
        .role_name(&name)
        .path(context.id.path())
        .assume_role_policy_document(trust)
        .set_tags(Some(iam_tags(context, of_what)?));
    let role = call.send().await.during("iam:CreateRole", &name)?.role;
    let arn = role.map(|role| role.arn);
    let arn = arn.ok_or_else(|| lacking("iam:CreateRole", &name, "role"))?;
    let put = iam.put_role_policy().role_name(&name);
    let put = put
        .policy_name("gdr-proof")
        .policy_document(may_list(context, data));
    put.send().await.during("iam:PutRolePolicy", &name)?;
    context.made(format!("role {name}"));
    Ok(Role { name, arn })
}

impl Role {
    /// Assumes the role, once it lets the caller in.
    pub(super) async fn assume(
        &self,
        context: &Context<'_>,
        session: &str,
    ) -> Result<AssumeRoleOutput> {
        let sts = aws_sdk_sts::Client::new(&context.world.sdk);
        let call = sts.assume_role().role_arn(&self.arn);
        let call = call.role_session_name(session).duration_seconds(LASTS);
        let assume = async || {
            let issued = call.clone().send().await;
            issued.during("sts:AssumeRole", &self.name)
        };
        context.once_let_in(assume).await
    }
}
