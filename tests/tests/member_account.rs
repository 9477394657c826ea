//! A hub contains in another account, on local AWS: with the roles of `infra/member-roles.yaml`, and
//! nowhere but there.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::types::{Capability, Parameter};
use aws_sdk_iam::config::Credentials;
use integration_tests::finding::Finding as Event;
use integration_tests::local_aws::allowed;
use integration_tests::{ENFORCING, LocalAws, Result, checkout};
use jiff::Timestamp;
use playbooks::{Iam, Playbook as _};
use policy::{DEFAULT, Gate, LoadedPolicies};
use remediation::accounts::{Accounts, Hub};
use remediation::execute::execute;
use remediation::finding::Finding;
use remediation::report::Outcome;
use remediation::settings::Settings;
use serde_json::json;
use tokio::time::Instant;

use crate::shared_aws::on_aws;

const MEMBER: &str = "444455556666";
const FUNCTION: &str = "gdr-IamResponderRole-TEST";
const EXTERNAL_ID: &str = "an-external-id";

/// The member's root user: the emulator takes an account's id for its root's key.
fn member(aws: &LocalAws) -> SdkConfig {
    aws.signed_in(&Credentials::new(MEMBER, "test", None, None, "member"))
}

/// The member's stack. The emulator knows neither organizations of several accounts nor source
/// identities, so these two conditions are left out.
async fn deploy_member_roles(aws: &LocalAws) -> Result {
    let template = std::fs::read_to_string(checkout().join("infra/member-roles.yaml"))?
        .replace("aws:PrincipalOrgID: !Ref OrganizationId, ", "")
        .replace(", sts:SourceIdentity: \"gdr-?*\"", "");
    let function = format!("arn:aws:iam::{}:role/{FUNCTION}", aws.account_id);
    let mut call = aws_sdk_cloudformation::Client::new(&member(aws))
        .create_stack()
        .stack_name("gdr-member-roles")
        .template_body(template)
        .capabilities(Capability::CapabilityNamedIam);
    for (name, value) in [
        ("HubAccountId", aws.account_id.as_str()),
        (
            "S3ResponderRoleArn",
            "arn:aws:iam::999988887777:role/another",
        ),
        ("IamResponderRoleArn", &function),
        (
            "Ec2ResponderRoleArn",
            "arn:aws:iam::999988887777:role/another",
        ),
        (
            "LambdaResponderRoleArn",
            "arn:aws:iam::999988887777:role/another",
        ),
        ("OrganizationId", "o-0123456789"),
        ("ExternalId", EXTERNAL_ID),
        ("DryRun", "false"),
    ] {
        let parameter = Parameter::builder()
            .parameter_key(name)
            .parameter_value(value);
        call = call.parameters(parameter.build());
    }
    call.send().await?;
    let iam = aws_sdk_iam::Client::new(&member(aws));
    for _ in 0..50 {
        if iam
            .get_role()
            .role_name("gdr-member-iam")
            .send()
            .await
            .is_ok()
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the member's roles did not come up".into())
}

/// The function of the hub, with its role's credentials.
async fn hub_function(aws: &LocalAws) -> Result<SdkConfig> {
    let iam = aws.iam();
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "AWS": format!("arn:aws:iam::{}:root", aws.account_id) } }] });
    let reach = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
        "Resource": "arn:aws:iam::*:role/gdr-member-iam" }] });
    let role = iam.create_role().role_name(FUNCTION);
    let role = role
        .assume_role_policy_document(trust.to_string())
        .send()
        .await?;
    let role = role.role.ok_or("no role")?;
    let policy = iam
        .put_role_policy()
        .role_name(FUNCTION)
        .policy_name("members");
    policy.policy_document(reach.to_string()).send().await?;
    let sts = aws_sdk_sts::Client::new(&aws.root());
    let session = sts
        .assume_role()
        .role_arn(role.arn)
        .role_session_name("function");
    let issued = session.send().await?.credentials.ok_or("no credentials")?;
    Ok(aws.signed_in(&Credentials::new(
        issued.access_key_id,
        issued.secret_access_key,
        Some(issued.session_token),
        None,
        "function",
    )))
}

struct User {
    id: String,
    key: Credentials,
}

/// Alice of an account, who may list its buckets.
async fn alice(account: &SdkConfig) -> Result<User> {
    let iam = aws_sdk_iam::Client::new(account);
    let user = iam
        .create_user()
        .user_name("alice")
        .send()
        .await?
        .user
        .ok_or("no user")?;
    let may = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*" }] });
    let policy = iam
        .put_user_policy()
        .user_name("alice")
        .policy_name("ListBuckets");
    policy.policy_document(may.to_string()).send().await?;
    let key = iam.create_access_key().user_name("alice").send().await?;
    let key = key.access_key.ok_or("no key")?;
    let key = Credentials::new(
        key.access_key_id,
        key.secret_access_key,
        None,
        None,
        "alice",
    );
    Ok(User {
        id: user.user_id,
        key,
    })
}

async fn works(aws: &LocalAws, key: &Credentials) -> Result<bool> {
    let s3 = aws_sdk_s3::Client::new(&aws.signed_in(key));
    Ok(allowed(s3.list_buckets().send().await)?.0)
}

fn accounts(aws: &LocalAws, function: &SdkConfig, external_id: &str) -> Accounts<Iam> {
    let hub = Hub {
        account: Some(aws.account_id.clone()),
        external_id: Some(external_id.to_owned()),
    };
    let sts = aws_sdk_sts::Client::new(function);
    Accounts::new(Iam::new, function, sts, Some(hub), &Settings::default())
}

#[test]
fn a_hub_contains_a_member_s_user_and_leaves_its_namesake_alone() -> Result {
    on_aws(contains_a_member_s_user)
}

async fn contains_a_member_s_user(aws: &LocalAws) -> Result {
    let function = hub_function(aws).await?;
    deploy_member_roles(aws).await?;
    let victim = alice(&member(aws)).await?;
    let namesake = alice(&aws.root()).await?;
    assert!(works(aws, &victim.key).await? && works(aws, &namesake.key).await?);

    let key = victim.key.access_key_id();
    let event = Event::stolen_key()?
        .with("/accountId", MEMBER)
        .by(key, &victim.id, "IAMUser", "alice");
    let finding = Finding::parse(&event.0)?;
    let (now, left) = (Timestamp::now(), Duration::from_secs(60));

    let strange = accounts(aws, &function, "another-external-id");
    let error = strange
        .playbook(&finding, now, left)
        .await
        .expect_err("no trust");
    assert!(!error.is_transient(), "{error}");
    let role = format!("arn:aws:iam::{MEMBER}:role/gdr-member-iam");
    assert!(error.to_string().contains(&role), "{error}");

    let trusted = accounts(aws, &function, EXTERNAL_ID);
    let there = trusted.playbook(&finding, now, left).await?;
    let iam = there.ok_or("the member's playbook")?.playbook;
    let state = iam.observe(&finding).await?;
    let settings = Settings::default();
    let guard = LoadedPolicies::new(DEFAULT);
    let gate = Gate::new::<Iam>(&guard, &finding, &ENFORCING, false, now);
    let plan = gate.plan::<Iam>(&state, &settings);
    let until = Instant::now() + left;
    let done = execute(&*iam, &gate, plan, &settings, until).await;
    assert!(!done.steps.is_empty());
    for step in &done.steps {
        assert_eq!(step.outcome(), Outcome::Applied, "{step:?}");
    }
    assert!(
        !works(aws, &victim.key).await?,
        "the stolen key still works"
    );
    assert!(
        works(aws, &namesake.key).await?,
        "the hub's own alice was hit"
    );
    Ok(())
}
