//! Stolen credentials: a user's access key, and a role's session.

use aws_sdk_iam::config::Credentials;
use aws_sdk_iam::types::{AccessKey, StatusType};
use aws_sdk_sts::Client as Sts;
use serde_json::json;

use super::{Observation, Scenario, lists_buckets};
use crate::finding::Finding;
use crate::{LocalAws, Result, unique};

/// What all of them may do: enough for an attacker to show that the credentials still work.
pub(super) fn list_buckets_policy() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*" }],
    })
    .to_string()
}

fn key_pair(key: &AccessKey) -> Credentials {
    Credentials::new(
        key.access_key_id(),
        key.secret_access_key(),
        None,
        None,
        "access key",
    )
}

pub(super) fn session(issued: Option<aws_sdk_sts::types::Credentials>) -> Result<Credentials> {
    let issued = issued.ok_or("STS issued no credentials")?;
    Ok(Credentials::new(
        issued.access_key_id,
        issued.secret_access_key,
        Some(issued.session_token),
        None,
        "session",
    ))
}

struct User {
    name: String,
    id: String,
    key: Credentials,
}

impl User {
    async fn create(aws: &LocalAws, prefix: &str) -> Result<Self> {
        let iam = aws.iam();
        let name = unique(prefix);
        let user = iam
            .create_user()
            .user_name(&name)
            .send()
            .await?
            .user
            .ok_or("no user")?;
        iam.put_user_policy()
            .user_name(&name)
            .policy_name("ListBuckets")
            .policy_document(list_buckets_policy())
            .send()
            .await?;
        let key = Self::new_key(aws, &name).await?;
        Ok(Self {
            name,
            id: user.user_id,
            key,
        })
    }

    async fn new_key(aws: &LocalAws, name: &str) -> Result<Credentials> {
        let made = aws.iam().create_access_key().user_name(name).send().await?;
        Ok(key_pair(&made.access_key.ok_or("no access key")?))
    }
}

/// A user with two access keys. The attacker holds the first, and a session made with it.
pub struct StolenKey<'a> {
    aws: &'a LocalAws,
    victim: User,
    session: Credentials,
    second_key: Credentials,
    colleague: User,
}

impl<'a> StolenKey<'a> {
    pub async fn create(aws: &'a LocalAws) -> Result<Self> {
        let victim = User::create(aws, "alice").await?;
        let sts = Sts::new(&aws.signed_in(&victim.key));
        let session = session(sts.get_session_token().send().await?.credentials)?;
        let second_key = User::new_key(aws, &victim.name).await?;
        let colleague = User::create(aws, "bob").await?;
        Ok(Self {
            aws,
            victim,
            session,
            second_key,
            colleague,
        })
    }

    #[must_use]
    pub fn user_name(&self) -> &str {
        &self.victim.name
    }

    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.victim.id
    }

    #[must_use]
    pub fn key_id(&self) -> &str {
        self.victim.key.access_key_id()
    }

    /// What the user can do with a session that is made now, with the second key. Sessions from before the
    /// cut-off, which is a minute after the revocation, are cut off.
    pub async fn new_session(&self) -> Result<Observation> {
        let sts = Sts::new(&self.aws.signed_in(&self.second_key));
        let new = session(sts.get_session_token().send().await?.credentials)?;
        lists_buckets(self.aws, "the user, with a new session,", &new).await
    }

    /// Whether the stolen key is active, and the names of the user's inline policies.
    pub async fn state(&self) -> Result<(bool, Vec<String>)> {
        let iam = self.aws.iam();
        let keys = iam
            .list_access_keys()
            .user_name(&self.victim.name)
            .send()
            .await?;
        let active = keys.access_key_metadata().iter().any(|key| {
            key.access_key_id() == Some(self.key_id()) && key.status() == Some(&StatusType::Active)
        });
        let policies = iam
            .list_user_policies()
            .user_name(&self.victim.name)
            .send()
            .await?;
        Ok((active, policies.policy_names))
    }
}

impl Scenario for StolenKey<'_> {
    fn finding(&self) -> Result<Finding> {
        let User { name, id, key } = &self.victim;
        Ok(Finding::stolen_key()?.by(key.access_key_id(), id, "IAMUser", name))
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        Ok(vec![
            lists_buckets(
                self.aws,
                "the thief, with the stolen key,",
                &self.victim.key,
            )
            .await?,
            lists_buckets(
                self.aws,
                "the thief, with a session made with it,",
                &self.session,
            )
            .await?,
        ])
    }

    async fn bystanders(&self) -> Result<Vec<Observation>> {
        Ok(vec![
            lists_buckets(self.aws, "the user, with the second key,", &self.second_key).await?,
            lists_buckets(self.aws, "a colleague", &self.colleague.key).await?,
        ])
    }
}

/// A role with two sessions of which one is stolen.
pub struct StolenRoleSession<'a> {
    aws: &'a LocalAws,
    role_name: String,
    principal_id: String,
    stolen: Credentials,
    other: Credentials,
}

impl<'a> StolenRoleSession<'a> {
    pub async fn create(aws: &'a LocalAws) -> Result<Self> {
        let iam = aws.iam();
        let role_name = unique("payroll");
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:aws:iam::{}:root", aws.account_id) },
                "Action": "sts:AssumeRole",
            }],
        });
        let role = iam
            .create_role()
            .role_name(&role_name)
            .assume_role_policy_document(trust.to_string())
            .send()
            .await?
            .role
            .ok_or("no role")?;
        iam.put_role_policy()
            .role_name(&role_name)
            .policy_name("ListBuckets")
            .policy_document(list_buckets_policy())
            .send()
            .await?;
        let sts = Sts::new(&aws.root());
        let assume = |name: &str| {
            sts.assume_role()
                .role_arn(role.arn())
                .role_session_name(name)
                .send()
        };
        let stolen = assume("build-42").await?;
        let principal_id = stolen
            .assumed_role_user()
            .ok_or("no assumed role user")?
            .assumed_role_id()
            .to_owned();
        let other = session(assume("build-43").await?.credentials)?;
        let stolen = session(stolen.credentials)?;
        Ok(Self {
            aws,
            role_name,
            principal_id,
            stolen,
            other,
        })
    }
}

impl StolenRoleSession<'_> {
    #[must_use]
    pub fn role_name(&self) -> &str {
        &self.role_name
    }
}

impl Scenario for StolenRoleSession<'_> {
    fn finding(&self) -> Result<Finding> {
        let key = self.stolen.access_key_id();
        Ok(Finding::stolen_key()?.by(key, &self.principal_id, "AssumedRole", &self.role_name))
    }

    async fn attack(&self) -> Result<Vec<Observation>> {
        Ok(vec![
            lists_buckets(
                self.aws,
                "the thief, with the stolen session,",
                &self.stolen,
            )
            .await?,
        ])
    }

    async fn bystanders(&self) -> Result<Vec<Observation>> {
        Ok(vec![
            lists_buckets(self.aws, "another session of the role", &self.other).await?,
        ])
    }
}
