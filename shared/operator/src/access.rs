//! Where AWS is called, with whose credentials, and which stack is meant.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use remediation::record::Record;

use crate::Usage;
use crate::clock;
use crate::deployment::Deployment;

/// What a command could not get at.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, clap::Args)]
pub(crate) struct Access {
    /// The name of the responder's stack, whose outputs say where its table, policies, queues and
    /// functions are.
    #[arg(long, global = true, value_name = "NAME", env = "GDR_STACK")]
    pub(crate) stack: Option<String>,
    /// The table of incidents, in place of the stack's (its output IncidentTable).
    #[arg(long, global = true, value_name = "NAME", env = "INCIDENT_TABLE")]
    table: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// The Region of the responder's stack.
    #[arg(long, global = true, value_name = "NAME")]
    region: Option<String>,
}

impl Access {
    /// The configuration to call AWS with.
    pub(crate) async fn sdk(&self) -> SdkConfig {
        let mut sdk = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = &self.profile {
            sdk = sdk.profile_name(profile);
        }
        if let Some(region) = &self.region {
            sdk = sdk.region(Region::new(region.clone()));
        }
        sdk.load().await
    }

    /// The stack that is named.
    pub(crate) async fn deployment(&self, sdk: &SdkConfig) -> Result<Deployment> {
        let name = self.stack.as_deref().ok_or_else(|| {
            Usage::new(
                "which stack? Give --stack or set GDR_STACK to the name of the responder's stack",
            )
        })?;
        Ok(Deployment::of(sdk, name).await?)
    }

    /// The record of incidents.
    pub(crate) async fn record(&self, sdk: &SdkConfig) -> Result<Record> {
        let given = self.table.clone();
        let table = self.given_or_output(sdk, given, "IncidentTable", "--table or INCIDENT_TABLE");
        let client = aws_sdk_dynamodb::Client::new(sdk);
        Ok(Record::new(client, table.await?))
    }

    /// The name of the parameter with the policies: the `given` one of the command's `option`, or the stack's.
    pub(crate) async fn policy_parameter(
        &self,
        sdk: &SdkConfig,
        given: Option<&str>,
        option: &str,
    ) -> Result<String> {
        let given = given.map(ToOwned::to_owned);
        let option = format!("{option} or POLICY_PARAMETER");
        self.given_or_output(sdk, given, "PolicyParameter", &option)
            .await
    }

    async fn given_or_output(
        &self,
        sdk: &SdkConfig,
        given: Option<String>,
        output: &str,
        option: &str,
    ) -> Result<String> {
        match given {
            Some(given) => Ok(given),
            None if self.stack.is_some() => {
                Ok(self.deployment(sdk).await?.output(output)?.to_owned())
            }
            None => Err(Usage::new(format!(
                "which stack? Give --stack with its name, or {option} with its output {output}"
            ))
            .into()),
        }
    }
}

/// Credentials of another profile, in the same Region.
pub(crate) async fn signed_in(sdk: &SdkConfig, profile: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .profile_name(profile)
        .region(sdk.region().cloned())
        .load()
        .await
}

/// Whose credentials these are.
pub(crate) struct Caller {
    pub(crate) arn: String,
    pub(crate) account: String,
}

pub(crate) async fn caller(sdk: &SdkConfig) -> Result<Caller> {
    let identity = aws_sdk_sts::Client::new(sdk)
        .get_caller_identity()
        .customize()
        .interceptor(clock::Date::default())
        .send()
        .await;
    let identity = identity.map_err(
        |_| "who are you? AWS does not say (GetCallerIdentity failed): check the credentials",
    )?;
    match (identity.arn, identity.account) {
        (Some(arn), Some(account)) => Ok(Caller { arn, account }),
        _ => Err("who are you? AWS answered GetCallerIdentity without an account".into()),
    }
}
