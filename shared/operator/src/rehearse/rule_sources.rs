//! The rules of a rehearsal and their sources: the policies and the settings of the stack that is named, or the
//! default ones.

use ::policy::LoadedPolicies;
use aws_config::SdkConfig;
use futures::future::try_join_all;
use remediation::category::Category;
use remediation::config::Config;
use remediation::error::CallContext as _;
use serde::Serialize;

use super::options::Options;
use super::rules::Functions;
use crate::access::{self, Access};
use crate::deployment::{Deployed, Deployment};
use crate::policy;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The policies that are asked.
#[derive(Debug, Serialize)]
pub(super) struct Policies {
    /// Their source, for the reader.
    pub(super) from: String,
    pub(super) text: String,
}

/// The rules that decide.
pub(super) struct RuleSources {
    pub(super) policies: Policies,
    pub(super) functions: Functions,
    /// The source of the settings, for the reader.
    pub(super) settings_from: String,
    /// Remarks about both, for the reader.
    pub(super) remarks: Vec<String>,
}

impl RuleSources {
    /// The rules by the options. Asks AWS only if a stack or a parameter is named. `None`: the given policies
    /// are not valid, and the errors are printed.
    ///
    /// # Errors
    /// If AWS does not say, or the stored policies permit nothing.
    pub(super) fn new(options: &Options, access: &Access) -> Result<Option<Self>> {
        let Some(text) = policy::text(&options.policies)? else {
            return Ok(None);
        };
        let asks = access.stack.is_some() || options.stored_policies().is_some();
        let (stored, functions) = if asks {
            asked(options, access)?
        } else {
            (None, None)
        };
        let mut remarks = Vec::new();
        let mut settings_from = match (&access.stack, &functions) {
            (Some(stack), Some(_)) => format!("the functions of the stack {stack}"),
            _ => {
                remarks.push(
                    "No stack is named (--stack): each setting that is not given has the default of the stack's \
                     parameter."
                        .to_owned(),
                );
                "the defaults of the stack's parameters".to_owned()
            }
        };
        if options.rules.given() {
            settings_from += ", and what is given in their place";
        }
        let policies = match stored {
            Some(stored) => stored,
            None if options.policies.is_empty() => {
                remarks.push(
                    "No stack and no parameter is named: the policies are the default ones."
                        .to_owned(),
                );
                let from = "the default policies".to_owned();
                Policies { from, text }
            }
            None => {
                let files = options.policies.iter();
                let files: Vec<_> = files.map(|it| it.display().to_string()).collect();
                let from = files.join(", ");
                Policies { from, text }
            }
        };
        Ok(Some(Self {
            policies,
            functions: functions.unwrap_or_default(),
            settings_from,
            remarks,
        }))
    }

    /// The policies, to be asked.
    ///
    /// # Errors
    /// If they permit nothing.
    pub(super) fn guard(&self) -> Result<LoadedPolicies> {
        let Policies { from, text } = &self.policies;
        let guard = LoadedPolicies::new(text);
        match guard.problem() {
            Some(problem) => {
                Err(format!("the policies of {from} permit nothing: {problem}").into())
            }
            None => Ok(guard),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn asked(
    options: &Options,
    access: &Access,
) -> Result<(Option<Policies>, Option<Functions>)> {
    let sdk = &access.sdk().await?;
    let deployment = match access.stack {
        Some(_) => Some(access.deployment(sdk).await?),
        None => None,
    };
    let name = match (&deployment, options.stored_policies()) {
        _ if !options.policies.is_empty() => None,
        (_, Some(name)) => Some(name),
        (Some(deployment), None) => Some(deployment.output("PolicyParameter")?),
        (None, None) => None,
    };
    let policies = match name {
        Some(name) => Some(stored(sdk, name).await?),
        None => None,
    };
    let functions = match &deployment {
        Some(deployment) => Some(Box::pin(deployed(sdk, deployment)).await?),
        None => None,
    };
    Ok((policies, functions))
}

async fn stored(sdk: &SdkConfig, name: &str) -> Result<Policies> {
    let client = aws_sdk_ssm::Client::new(sdk);
    let stored = client.get_parameter().name(name).send().await;
    let stored = stored.during("ssm:GetParameter", name)?;
    let text = stored.parameter.and_then(|parameter| parameter.value);
    Ok(Policies {
        from: format!("the parameter {name}"),
        text: text.ok_or_else(|| format!("{name} has no value"))?,
    })
}

async fn deployed(sdk: &SdkConfig, deployment: &Deployment) -> Result<Functions> {
    let lambda = &aws_sdk_lambda::Client::new(sdk);
    let variables = async |category| -> Result<_> {
        let deployed = Deployed::of(lambda, deployment.function(category)?).await?;
        let config = Config::from_variables(&deployed.variables);
        access::complain_of_settings(category, &config, true);
        Ok((category, deployed.variables))
    };
    let functions = try_join_all(Category::ALL.map(variables)).await?;
    Ok(Functions(functions.into_iter().collect()))
}
