//! The Region, the credentials and the stack of a command.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_sts::error::DisplayErrorContext;
use aws_types::os_shim_internal::{Env, Fs};
use clap::ArgMatches;
use clap::parser::ValueSource;
use remediation::category::Category;
use remediation::config::Config;
use remediation::error::CallContext as _;
use remediation::record::IncidentStore;

use crate::clock;
use crate::deployment::Deployment;
use crate::exit::Usage;
use crate::output;

/// A result, or the error about something that the command could not reach.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The heading of the options that every command takes, below its own.
pub(crate) const GLOBAL: &str = "Options of every command";

#[derive(Debug, clap::Args)]
pub(crate) struct Access {
    /// The name of the responder's stack, whose outputs say where its table, policies, queues and
    /// functions are.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "NAME", env = "GDR_STACK")]
    pub(crate) stack: Option<String>,
    /// The table of incidents, in place of the stack's (its output IncidentTable).
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "NAME", env = "INCIDENT_TABLE")]
    table: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "NAME")]
    profile: Option<String>,
    /// The Region of the responder's stack.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "NAME")]
    region: Option<String>,
}

/// Those of the options of [`Access`] that stand on the command line, and not only in the environment.
pub(crate) struct Typed(Vec<&'static str>);

impl Typed {
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let options = [
            ("stack", "--stack"),
            ("table", "--table"),
            ("profile", "--profile"),
            ("region", "--region"),
        ];
        let typed = options
            .into_iter()
            .filter(|(id, _)| matches.value_source(id) == Some(ValueSource::CommandLine));
        Self(typed.map(|(_, option)| option).collect())
    }
}

impl Access {
    /// Refuses options that a command without any access to AWS would pass over; a stack that only the
    /// environment names is noted, since somebody may take the answer for that stack's.
    pub(crate) fn is_not_asked(&self, command: &str, typed: &Typed) -> Result<()> {
        if !typed.0.is_empty() {
            return Err(Usage::new(format!(
                "gdr {command} asks no account, so {} would change nothing: leave it out, or ask the stack with \
                 gdr plan or gdr rehearse",
                typed.0.join(" and ")
            ))
            .into());
        }
        if let Some(stack) = &self.stack {
            output::note(&format!(
                "gdr {command} answers by the default settings, and not by those of the stack {stack} \
                 (GDR_STACK): gdr plan and gdr rehearse ask the stack"
            ))?;
        }
        Ok(())
    }

    /// The configuration to call AWS with.
    ///
    /// # Errors
    /// If there is no such profile: the SDK would go on to other credentials.
    pub(crate) async fn sdk(&self) -> Result<SdkConfig> {
        let mut sdk = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = &self.profile {
            is_there(profile).await?;
            sdk = sdk.profile_name(profile);
        }
        if let Some(region) = &self.region {
            sdk = sdk.region(Region::new(region.clone()));
        }
        Ok(sdk.load().await)
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
    pub(crate) async fn record(&self, sdk: &SdkConfig) -> Result<IncidentStore> {
        let given = self.table.clone();
        let table = self.given_or_output(sdk, given, "IncidentTable", "--table or INCIDENT_TABLE");
        let client = aws_sdk_dynamodb::Client::new(sdk);
        Ok(IncidentStore::new(client, table.await?))
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
///
/// # Errors
/// If there is no such profile.
pub(crate) async fn signed_in(sdk: &SdkConfig, profile: &str) -> Result<SdkConfig> {
    is_there(profile).await?;
    Ok(aws_config::defaults(BehaviorVersion::latest())
        .profile_name(profile)
        .region(sdk.region().cloned())
        .load()
        .await)
}

/// Whether the AWS configuration files have this profile.
async fn is_there(profile: &str) -> Result<()> {
    let read =
        aws_config::profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None)
            .await;
    let profiles = read.map_err(|error| {
        format!(
            "the AWS configuration files cannot be read: {}",
            DisplayErrorContext(error)
        )
    })?;
    let mut names: Vec<_> = profiles.profiles().collect();
    if names.contains(&profile) {
        return Ok(());
    }
    names.sort_unstable();
    let known = match names.as_slice() {
        [] => "the AWS configuration files have none".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    };
    Err(Usage::new(format!("there is no profile {profile}: {known}")).into())
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
    let identity = identity.during("sts:GetCallerIdentity", "the caller's credentials")?;
    match (identity.arn, identity.account) {
        (Some(arn), Some(account)) => Ok(Caller { arn, account }),
        _ => Err("who are you? AWS answered GetCallerIdentity without an account".into()),
    }
}

/// Complains of the settings that cannot be understood.
pub(crate) fn complain_of_settings(category: Category, config: &Config, deployed: bool) {
    // Nobody expects notices where no stack is named.
    let stays = |problem: &&String| deployed || !problem.contains("NOTIFICATION_TOPIC");
    for problem in config.problems.iter().filter(stays) {
        output::complain(&format!("setting of the {category} function: {problem}"));
    }
}
