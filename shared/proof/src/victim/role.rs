//! A role with two sessions, of which one is stolen.

use remediation::error::{CallContext as _, Result};
use serde_json::json;

use super::key::{LASTS, list};
use super::made::{Made, iam_tags, may_list, session, statement};
use crate::attempt::Attempt;
use crate::context::{Context, lacking};
use crate::finding::About;

#[expect(
    clippy::disallowed_methods,
    reason = "a role that the proof attacks, with its tag"
)]
pub(super) async fn make(context: &Context<'_>, data: &str) -> Result<Made> {
    let (iam, name) = (&context.iam, context.id.name("role"));
    let trust = statement(json!({
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:{}:iam::{}:root", context.partition, context.account) },
        "Action": "sts:AssumeRole",
    }));
    let call = iam
        .create_role()
        .role_name(&name)
        .path(context.id.path())
        .assume_role_policy_document(trust)
        .set_tags(Some(iam_tags(context, "role")?));
    let role = call.send().await.during("iam:CreateRole", &name)?.role;
    let arn = role.map(|role| role.arn);
    let arn = arn.ok_or_else(|| lacking("iam:CreateRole", &name, "role"))?;
    let put = iam.put_role_policy().role_name(&name);
    let put = put
        .policy_name("gdr-proof")
        .policy_document(may_list(context, data));
    put.send().await.during("iam:PutRolePolicy", &name)?;
    context.made(format!("role {name}"));

    let sts = aws_sdk_sts::Client::new(&context.world.sdk);
    let assume = async |session: &str| {
        let call = sts.assume_role().role_arn(&arn).role_session_name(session);
        let issued = call.duration_seconds(LASTS).send().await;
        issued.during("sts:AssumeRole", &name)
    };
    let stolen = context.once_let_in(async || assume("stolen").await).await?;
    let other = context.once_let_in(async || assume("other").await).await?;
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
