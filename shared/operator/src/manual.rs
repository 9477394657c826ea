//! A function's pipeline in this process, with the operator's credentials: the same code, the settings and the
//! policies of the deployed function.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ::policy::{DEFAULT, LoadedPolicies};
use aws_config::SdkConfig;
use clap::Args;
use playbooks::{Playbook, of_category};
use remediation::accounts::Accounts;
use remediation::category::Category;
use remediation::config::Config;
use remediation::history::AuthorizationSources;
use remediation::policy_parameter::PolicyParameter;
use remediation::recheck::RecheckQueue;
use remediation::record::IncidentStore;
use remediation::report::Report;
use remediation::respond::Invocation;
use remediation::verify::Verifier;
use remediation::{Responder, catalogue};
use serde_json::json;

use crate::access::{self, Access, Caller, caller, signed_in};
use crate::clock;
use crate::deployment::{Deployed, Deployment};
use crate::exit::{CommandResult, REFUSED};
use crate::finding_input::{self, FindingInput};
use crate::output::{self, Format};
use crate::{notices, policy};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The time of a run: the template gives a function as much.
const TIME: Duration = Duration::from_secs(120);

/// The options of a run by hand.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Options {
    /// A file with one finding, in any form that gdr explain reads; - is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) finding: PathBuf,
    /// A setting of the functions in place of the deployed one, as in template.yaml (IAM_ROLE_WIDE=true).
    /// It can be given more than once.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// A file of Cedar policies in place of the stored ones. It can be given more than once.
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// The profile of the AWS configuration for the account of the finding, where that is not the account of
    /// the stack.
    #[arg(long, value_name = "PROFILE")]
    member_profile: Option<String>,
}

impl Options {
    /// Says where settings and policies come from, where no stack is named.
    pub(crate) fn note_defaults(&self, access: &Access) -> std::io::Result<()> {
        if access.stack.is_some() {
            return Ok(());
        }
        let policies = match self.policies.len() {
            0 => "the default policies",
            _ => "the policies that are given",
        };
        output::note(&format!(
            "no --stack is given: these are the default settings, with what --set says, and {policies}"
        ))
    }
}

fn setting(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is needed")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Tells why nothing is done, in place of the list of reports.
pub(crate) fn refused(why: &str, format: Format) -> CommandResult {
    if format == Format::Json {
        output::json(&json!([{ "refused": why }]))?;
    }
    output::complain(why);
    Ok(ExitCode::from(REFUSED))
}

/// One finding, and the functions that it is for.
pub(crate) struct ManualRun {
    pub(crate) finding: FindingInput,
    pub(crate) caller: Caller,
    pub(crate) functions: Vec<Function>,
    /// The stack's account and Region.
    stack: SdkConfig,
    /// The finding's account.
    pub(crate) there: SdkConfig,
    policies: Option<LoadedPolicies>,
}

/// A function as it is deployed, or would be by default.
pub(crate) struct Function {
    pub(crate) category: Category,
    pub(crate) config: Config,
    /// The ARN of its role, if it is deployed.
    pub(crate) role: Option<String>,
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Change and record nothing, and send no notice.
    ReadOnly,
    /// Respond as a function does.
    Enforce,
}

impl ManualRun {
    /// Reads the finding, and the settings of the functions that it is for.
    ///
    /// # Errors
    /// If the finding, the settings or the policies cannot be read. `Ok(Err(_))`: why the run is refused.
    pub(crate) async fn new(
        stack: &SdkConfig,
        access: &Access,
        options: &Options,
    ) -> Result<std::result::Result<Self, String>> {
        let finding = finding_input::read(&options.finding)?;
        let policies = match policy::guard(&options.policies)? {
            None => return Ok(Err("the policies are not valid".to_owned())),
            Some(_) if options.policies.is_empty() => None,
            given => given,
        };
        let there = match &options.member_profile {
            Some(profile) => signed_in(stack, profile).await?,
            None => stack.clone(),
        };
        let caller = caller(&there).await?;
        let account = &finding.finding.account_id;
        // What has the same name in another account must not be taken for it.
        if caller.account != *account {
            return Ok(Err(format!(
                "nothing was done: the finding is about account {account}, and these credentials are of \
                 account {}: give --member-profile",
                caller.account
            )));
        }
        let deployment = match access.stack {
            Some(_) => Some(access.deployment(stack).await?),
            None => None,
        };
        let mut functions = Vec::new();
        for category in catalogue::routes(&finding.finding) {
            let function = function(stack, deployment.as_ref(), category, options, account);
            functions.push(function.await?);
        }
        Ok(Ok(Self {
            finding,
            caller,
            functions,
            stack: stack.clone(),
            there,
            policies,
        }))
    }

    /// The report of the function.
    ///
    /// # Errors
    /// Failures that may pass, after every other step was done.
    pub(crate) async fn respond(
        &self,
        function: &Function,
        extent: Extent,
    ) -> remediation::Result<Report> {
        of_category!(function.category, P => self.respond_as(P::new, function, extent).await)
    }

    async fn respond_as<P: Playbook + 'static>(
        &self,
        build: fn(&SdkConfig) -> P,
        function: &Function,
        extent: Extent,
    ) -> remediation::Result<Report> {
        let now = clock::now();
        let responder = self.responder(build, function, extent);
        let invocation = Invocation {
            id: format!("run by {} at {now}", self.caller.arn),
            now,
            time_left: TIME,
            look: None,
            trace: None,
        };
        let event = self.finding.event.clone();
        Box::pin(responder.respond(event, &invocation)).await
    }

    fn responder<P: Playbook + 'static>(
        &self,
        build: fn(&SdkConfig) -> P,
        function: &Function,
        extent: Extent,
    ) -> Responder<P> {
        let (stack, there) = (&self.stack, &self.there);
        let mut config = function.config.clone();
        config.policy.dry_run = extent == Extent::ReadOnly;
        // These credentials are of one account, and assume no role in another.
        let account = || self.caller.account.clone();
        config.policy.own_account.get_or_insert_with(account);
        config.hub = None;
        let guards = AuthorizationSources {
            policies: self.policies(&config),
            history: None,
        };
        let sts = aws_sdk_sts::Client::new(there);
        let accounts = Accounts::new(build, there, sts, None, &config.settings);
        let verifier = config.verify_findings.then(|| Verifier::new(stack));
        let enforces = |value: &Option<String>| match extent {
            Extent::ReadOnly => None,
            Extent::Enforce => value.clone(),
        };
        let table = enforces(&config.incident_table);
        // A function in a dry run would look again and do nothing.
        let looks = (!function.config.policy.dry_run).then_some(&config.recheck_queue_url);
        let queue = looks.and_then(enforces);
        config.topic_arn = enforces(&config.topic_arn);
        let told_by = (extent == Extent::Enforce).then(|| notices::of(&config, stack));
        let sns = aws_sdk_sns::Client::new(stack);
        let mut responder = Responder::new(build(there), config, sns)
            .run_by(self.caller.arn.clone())
            .guarded(guards)
            .across(accounts);
        if let Some(notices) = told_by {
            responder = responder.telling(notices);
        }
        if let Some(table) = table {
            let client = aws_sdk_dynamodb::Client::new(stack);
            responder = responder.recording(IncidentStore::new(client, table));
        }
        if let Some(url) = queue {
            responder =
                responder.rechecking(RecheckQueue::new(aws_sdk_sqs::Client::new(stack), url));
        }
        match verifier {
            Some(verifier) if extent == Extent::Enforce => responder.verifying(verifier),
            _ => responder,
        }
    }

    fn policies(&self, config: &Config) -> PolicyParameter {
        match (&self.policies, &config.policy_parameter) {
            (Some(given), _) => PolicyParameter::fixed(given.clone()),
            (None, Some(name)) => {
                PolicyParameter::new(aws_sdk_ssm::Client::new(&self.stack), name.clone())
            }
            (None, None) => PolicyParameter::fixed(LoadedPolicies::new(DEFAULT)),
        }
    }
}

async fn function(
    stack: &SdkConfig,
    deployment: Option<&Deployment>,
    category: Category,
    options: &Options,
    account: &str,
) -> Result<Function> {
    // Where no stack is named it is as if one were in the account of the finding.
    let own = ("OWN_ACCOUNT_ID".to_owned(), account.to_owned());
    let mut variables = BTreeMap::from([own]);
    let mut role = None;
    if let Some(deployment) = deployment {
        let lambda = aws_sdk_lambda::Client::new(stack);
        let deployed = Deployed::of(&lambda, deployment.function(category)?).await?;
        variables = deployed.variables;
        role = Some(deployed.role);
    }
    variables.extend(options.set.iter().cloned());
    let config = Config::from_variables(&variables);
    access::complain_of_settings(category, &config, deployment.is_some());
    Ok(Function {
        category,
        config,
        role,
    })
}
