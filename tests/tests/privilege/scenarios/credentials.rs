//! Users, roles and their sessions.

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use integration_tests::Result;
use integration_tests::finding::Finding;
use serde_json::json;

use super::{PLAIN, Scenario, TOLD};
use crate::privilege::world::{MEMBER, Run, name};

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "a stolen key is deactivated, its sessions cut off, the user marked",
        function: "Iam",
        parameters: &[("IamMarkContained", "true"), ("IamCreatedKeys", "true")],
        does: &["iam:MarkContained"],
        play: |run| Box::pin(stolen_key(run)),
        ..PLAIN
    },
    Scenario {
        name: "a stolen session of a user is cut off, and the keys that may have made it are deactivated",
        function: "Iam",
        parameters: &[("IamUserSessionKeys", "true")],
        does: &["iam:DeactivateAccessKey"],
        open: ISSUER,
        play: |run| Box::pin(session_of_user(run)),
        ..PLAIN
    },
    Scenario {
        name: "a stolen key of a user who was renamed since is deactivated",
        function: "Iam",
        play: |run| Box::pin(of_renamed(run)),
        ..PLAIN
    },
    Scenario {
        name: "a stolen session of a role is denied, the role marked",
        function: "Iam",
        parameters: &[("IamMarkContained", "true")],
        does: &["iam:MarkContained"],
        open: ISSUER,
        play: |run| Box::pin(stolen_session(run)),
        ..PLAIN
    },
    Scenario {
        name: "a user without room for an inline policy gets AWSDenyAll",
        function: "Iam",
        parameters: TOLD,
        quota_used_up: &["iam:PutUserPolicy"],
        play: |run| Box::pin(stolen_key(run)),
        ..PLAIN
    },
    Scenario {
        name: "a user without room for any policy gets AWSDenyAll as the boundary",
        function: "Iam",
        quota_used_up: &["iam:PutUserPolicy", "iam:AttachUserPolicy"],
        play: |run| Box::pin(stolen_key(run)),
        ..PLAIN
    },
    Scenario {
        name: "a role without room for an inline policy gets AWSDenyAll",
        function: "Iam",
        parameters: &[("IamRoleWide", "true")],
        does: &["iam:RevokeRoleSessions"],
        quota_used_up: &["iam:PutRolePolicy"],
        open: ISSUER,
        play: |run| Box::pin(stolen_session(run)),
        ..PLAIN
    },
    Scenario {
        name: "a role without room for any policy gets AWSDenyAll as the boundary",
        function: "Iam",
        parameters: &[("IamRoleWide", "true")],
        does: &["iam:RevokeRoleSessions"],
        quota_used_up: &["iam:PutRolePolicy", "iam:AttachRolePolicy"],
        open: ISSUER,
        play: |run| Box::pin(stolen_session(run)),
        ..PLAIN
    },
    Scenario {
        name: "a stolen key of a member account is deactivated",
        function: "Iam",
        parameters: &[("Mode", "hub")],
        play: |run| Box::pin(of_member(run)),
        ..PLAIN
    },
];

/// The emulator's CloudTrail does not show who opened a session.
pub(super) const ISSUER: &[&str] = &["issuer"];

/// A document that gives something.
pub(super) fn document() -> String {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*" }] })
    .to_string()
}

/// A user who has what permissions can come from: policies of the user's own, inline and managed, and those
/// of a group.
pub(super) async fn user(account: &SdkConfig) -> Result<Finding> {
    let iam = Client::new(account);
    let (user, group) = (name("alice"), name("staff"));
    let made = iam.create_user().user_name(&user).send().await?;
    let id = made.user.ok_or("no user")?.user_id;
    let put = iam.put_user_policy().user_name(&user).policy_name("own");
    put.policy_document(document()).send().await?;
    let managed = managed(&iam).await?;
    let attach = iam.attach_user_policy().user_name(&user);
    attach.policy_arn(&managed).send().await?;
    iam.create_group().group_name(&group).send().await?;
    let put = iam
        .put_group_policy()
        .group_name(&group)
        .policy_name("of-group");
    put.policy_document(document()).send().await?;
    let attach = iam.attach_group_policy().group_name(&group);
    attach.policy_arn(&managed).send().await?;
    let join = iam.add_user_to_group().group_name(&group);
    join.user_name(&user).send().await?;
    let key = iam.create_access_key().user_name(&user).send().await?;
    let key = key.access_key.ok_or("no key")?.access_key_id;
    Ok(Finding::stolen_key()?.by(&key, &id, "IAMUser", &user))
}

async fn managed(iam: &Client) -> Result<String> {
    let made = iam.create_policy().policy_name(name("managed"));
    let made = made.policy_document(document()).send().await?;
    let arn = made.policy.and_then(|policy| policy.arn);
    Ok(arn.ok_or("no policy")?)
}

/// A role with a session, and policies of both kinds.
pub(super) async fn role(account: &SdkConfig, id: &str) -> Result<Finding> {
    let iam = Client::new(account);
    let role = name("payroll");
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "AWS": format!("arn:aws:iam::{id}:root") } }] });
    let made = iam.create_role().role_name(&role);
    let made = made.assume_role_policy_document(trust.to_string()).send();
    let arn = made.await?.role.ok_or("no role")?.arn;
    let put = iam.put_role_policy().role_name(&role).policy_name("own");
    put.policy_document(document()).send().await?;
    let attach = iam.attach_role_policy().role_name(&role);
    attach.policy_arn(managed(&iam).await?).send().await?;
    let session = aws_sdk_sts::Client::new(account)
        .assume_role()
        .role_arn(arn);
    let session = session.role_session_name("build-42").send().await?;
    let user = session.assumed_role_user.ok_or("no session")?;
    let key = session.credentials.ok_or("no credentials")?.access_key_id;
    Ok(Finding::stolen_key()?.by(&key, user.assumed_role_id(), "AssumedRole", &role))
}

async fn stolen_key(run: &Run<'_>) -> Result {
    run.respond(&user(&run.aws().root()).await?).await
}

/// The finding does not tell which key made the session.
async fn session_of_user(run: &Run<'_>) -> Result {
    let finding = user(&run.aws().root()).await?;
    let key = "/resource/accessKeyDetails/accessKeyId";
    run.respond(&finding.with(key, "ASIAQQQQQQQQQQQQQQQQ"))
        .await
}

/// The emulator cannot rename a user, so the finding has another name.
async fn of_renamed(run: &Run<'_>) -> Result {
    let finding = user(&run.aws().root()).await?;
    let called = "/resource/accessKeyDetails/userName";
    run.respond(&finding.with(called, name("former"))).await
}

async fn stolen_session(run: &Run<'_>) -> Result {
    let account = &run.aws().account_id;
    run.respond(&role(&run.aws().root(), account).await?).await
}

async fn of_member(run: &Run<'_>) -> Result {
    let finding = user(&run.world.member()).await?;
    run.respond(&finding.with("/accountId", MEMBER)).await
}
