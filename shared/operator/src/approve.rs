//! `gdr approve` and `gdr reject`: an approver runs or rejects a waiting plan, with the approver's own
//! credentials.

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use playbooks::{Playbook, of_category};
use remediation::approve::{self, Approver};
use remediation::category::Category;
use remediation::config::Config;
use remediation::error::Error;
use remediation::policy_parameter::PolicyParameter;
use remediation::record::{Awaiting, Incident, IncidentStore};
use remediation::report::Report;
use serde_json::{Value, json};

use crate::access::{Access, Caller, caller, signed_in};
use crate::clock;
use crate::exit::{CommandResult, REFUSED};
use crate::output::{self, Format, Stream};
use crate::{incidents, notices, option_values, report_view};

const QUESTION: &str =
    "This runs exactly the steps listed above, and can disrupt their targets. Approve? [y/N] ";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr approve 16afba5c
  gdr approve 16afba5c --category iam --yes")]
pub(crate) struct Approve {
    /// The finding's id, or the beginning of it.
    incident: String,
    /// Only what this function planned.
    #[arg(long, value_name = "FUNCTION", value_parser = option_values::containing())]
    category: Option<Category>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// The parameter with the policies that the functions ask, in place of the stack's (its output
    /// PolicyParameter).
    #[arg(long, value_name = "NAME", env = "POLICY_PARAMETER")]
    policy_parameter: Option<String>,
    /// The AWS profile for the target's account. Needed only if the table is in another account (a hub's
    /// incident of a member account).
    #[arg(long, value_name = "PROFILE")]
    member_profile: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr reject 16afba5c --reason 'our own scanner'")]
pub(crate) struct Reject {
    /// The finding's id, or the beginning of it.
    incident: String,
    /// Only what this function planned.
    #[arg(long, value_name = "FUNCTION", value_parser = option_values::containing())]
    category: Option<Category>,
    /// Why, for the record.
    #[arg(long)]
    reason: String,
}

#[cfg(test)]
impl Approve {
    /// The incident that it approves, and the parameter whose policies it asks.
    pub(crate) fn asks(&self) -> (&str, Option<Category>, Option<&str>) {
        let parameter = self.policy_parameter.as_deref();
        (&self.incident, self.category, parameter)
    }
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    access: &Access,
    record: &IncidentStore,
    options: &Approve,
    format: Format,
) -> CommandResult {
    let given = options.policy_parameter.as_deref();
    let parameter = access.policy_parameter(sdk, given, "--policy-parameter");
    let parameter = parameter.await?;
    let policies = PolicyParameter::new(aws_sdk_ssm::Client::new(sdk), parameter);
    let stack = sdk;
    let member = match &options.member_profile {
        Some(profile) => Some(signed_in(sdk, profile).await?),
        None => None,
    };
    let sdk = member.as_ref().unwrap_or(sdk);
    let caller = caller(sdk).await?;
    // The settings of each function are added when they are read.
    let approver = Approver {
        by: &caller.arn,
        record,
        policies: &policies,
        current: None,
        notices: None,
    };
    let mut answers = Vec::new();
    let at = At { sdk, stack, access };
    let code = each(&at, &approver, &caller, options, format, &mut answers).await;
    // What was done is told also if a later one fails.
    if format == Format::Json && (code.is_ok() || !answers.is_empty()) {
        output::json(&answers)?;
    }
    code
}

/// The credentials of the target's account, and those of the stack's.
struct At<'a> {
    sdk: &'a SdkConfig,
    stack: &'a SdkConfig,
    access: &'a Access,
}

async fn each(
    at: &At<'_>,
    approver: &Approver<'_>,
    caller: &Caller,
    options: &Approve,
    format: Format,
    answers: &mut Vec<Value>,
) -> CommandResult {
    let At { sdk, stack, access } = *at;
    let mut worst = ExitCode::SUCCESS;
    for incident in awaiting(approver.record, &options.incident, options.category).await? {
        let (incident, yes) = (&incident, options.yes);
        // A user or role of the same name in another account must not be contained instead.
        let answer = if caller.account == incident.account_id {
            let category = incident.known_category()?;
            if category == Category::Triage {
                continue;
            }
            let config = current(stack, access, category).await?;
            let notices = config.as_ref().map(|config| notices::of(config, stack));
            let approver = &Approver {
                current: config.as_ref().map(|config| &config.policy),
                notices: notices.as_ref(),
                ..*approver
            };
            of_category!(category, P => one(P::new(sdk), approver, incident, yes, format).await?)
        } else {
            Err(format!(
                "nothing was done: the incident is about account {}, and these credentials are of \
                 account {}: give --member-profile",
                incident.account_id, caller.account,
            ))
        };
        match answer {
            Ok(report) => {
                if format == Format::Table {
                    report_view::tell(&report, Stream::Output);
                }
                if !approve::succeeded(&report) {
                    worst = ExitCode::FAILURE;
                }
                answers.push(serde_json::to_value(&report)?);
            }
            Err(why) => {
                output::complain(&why);
                worst = ExitCode::from(REFUSED);
                answers.push(report_view::refused(incident, &why));
            }
        }
    }
    Ok(worst)
}

/// The function's settings as they are now.
async fn current(
    stack: &SdkConfig,
    access: &Access,
    category: Category,
) -> Result<Option<Config>, Box<dyn std::error::Error>> {
    if access.stack.is_none() {
        output::note(
            "no --stack is given: NeverContain is known only as of the plan, and no notice of the approval is sent",
        )?;
        return Ok(None);
    }
    notices::config(stack, access, category).await.map(Some)
}

pub(crate) async fn reject(
    sdk: &SdkConfig,
    access: &Access,
    record: &IncidentStore,
    options: &Reject,
    format: Format,
) -> CommandResult {
    let by = caller(sdk).await?.arn;
    let (mut answers, mut code) = (Vec::new(), ExitCode::SUCCESS);
    for incident in awaiting(record, &options.incident, options.category).await? {
        // An approver may also reject a plan that is too old to be approved, or that this version cannot read.
        let pending = if incident.awaiting.is_null() {
            approve::pending(&incident, clock::now()).map(drop)
        } else {
            Ok(())
        };
        let done = match pending {
            Ok(()) => {
                if let (Format::Table, Ok(Some(awaiting))) = (format, incident.awaiting()) {
                    show(&incident, &awaiting, Stream::Output);
                }
                let notices = notices::deployed(sdk, access, incident.known_category()?).await?;
                let (notices, reason) = (notices.as_ref(), &options.reason);
                let now = clock::now();
                let rejecting = approve::reject(record, notices, &incident, &by, reason, now);
                Box::pin(rejecting).await
            }
            Err(why) => Err(Error::Refused(why.to_string())),
        };
        match done {
            Ok(untold) => {
                for untold in &untold {
                    output::complain(untold);
                }
                if format == Format::Table {
                    output::line(&format!(
                        "{} ({}) is rejected: only newer activity makes a new plan",
                        incident.id,
                        incident.scope()
                    ));
                }
                answers.push(output::object(json!({
                    "incident": incident.id, "category": incident.category, "part": incident.part,
                    "rejected_by": by, "reason": options.reason, "next_steps": untold,
                })));
            }
            Err(Error::Refused(why)) => {
                output::complain(&why);
                code = ExitCode::from(REFUSED);
                answers.push(report_view::refused(&incident, &why));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if format == Format::Json {
        output::json(&answers)?;
    }
    Ok(code)
}

/// The incidents of the finding that await approval; if none does, all of them, and each says why not.
async fn awaiting(
    record: &IncidentStore,
    id: &str,
    category: Option<Category>,
) -> Result<Vec<Incident>, Box<dyn std::error::Error>> {
    let mut found = incidents::of(record, id, category).await?;
    if found.iter().any(|incident| !incident.awaiting.is_null()) {
        found.retain(|incident| !incident.awaiting.is_null());
    }
    Ok(found)
}

/// The report, or why it is refused.
async fn one<P: Playbook>(
    playbook: P,
    approver: &Approver<'_>,
    incident: &Incident,
    yes: bool,
    format: Format,
) -> Result<Result<Report, String>, Box<dyn std::error::Error>> {
    let now = clock::now();
    let awaiting = match approve::pending(incident, now) {
        Ok(awaiting) => awaiting,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if format == Format::Table || !yes {
        show(incident, &awaiting, Stream::of_question(format));
    }
    if !yes && !output::confirmed(QUESTION) {
        return Ok(Err(
            "nothing was done: the plan still awaits approval".to_owned()
        ));
    }
    let _progress = output::waiting("observing again, and containing");
    // The approver may have taken a while.
    let now = clock::now();
    match Box::pin(approve::approve(playbook, approver, incident, now)).await {
        Ok(report) => Ok(Ok(report)),
        Err(error @ (Error::Refused(_) | Error::Busy { .. })) => Ok(Err(error.to_string())),
        Err(error) => Err(format!("nothing was done: {error}").into()),
    }
}

fn show(incident: &Incident, awaiting: &Awaiting, to: Stream) {
    to.line(&format!(
        "{} ({}), {}, account {}, region {}",
        incident.id,
        incident.scope(),
        awaiting.what,
        incident.account_id,
        incident.region,
    ));
    to.line(&format!(
        "planned {}, can be approved until {}",
        output::second(awaiting.planned_at),
        output::second(awaiting.expires_at)
    ));
    report_view::proposed_steps(to, awaiting.steps.iter().map(|step| &step.proposed));
}
