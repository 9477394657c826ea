//! `gdr approve` and `gdr reject`: a containment that waits for a person is run or let be, with that
//! person's credentials.

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use jiff::Timestamp;
use remediation::approve::{self, Approver};
use remediation::catalogue::Category;
use remediation::config::Config;
use remediation::error::Error;
use remediation::guard::{EventHistory, PolicyParameter};
use remediation::playbook::{Playbook, ec2::Ec2, iam::Iam, s3::S3};
use remediation::record::{Awaiting, Incident, Record};
use remediation::report::Proposed;
use serde_json::json;

use crate::access::{Access, caller, signed_in};
use crate::deployment::Deployed;
use crate::{Format, Outcome, REFUSED, incidents, output, told};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr approve 16afba5c
  gdr approve 16afba5c --category iam --yes")]
pub(crate) struct Approve {
    /// The finding's id, or the beginning of it.
    incident: String,
    /// Only what this function planned: s3, iam or ec2.
    #[arg(long)]
    category: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// The parameter with the policies that the functions ask, in place of the stack's (its output
    /// PolicyParameter).
    #[arg(long, value_name = "NAME", env = "POLICY_PARAMETER")]
    policy_parameter: Option<String>,
    /// The profile of the AWS configuration for the account of what is to be contained, where that is not
    /// the account of the table (a hub's incident of a member account).
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
    /// Only what this function planned: s3, iam or ec2.
    #[arg(long)]
    category: Option<String>,
    /// Why, for the record.
    #[arg(long)]
    reason: String,
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    access: &Access,
    record: &Record,
    options: &Approve,
    format: Format,
) -> Outcome {
    let given = options.policy_parameter.as_deref();
    let parameter = access.policy_parameter(sdk, given).await?;
    let policies = PolicyParameter::new(aws_sdk_ssm::Client::new(sdk), parameter);
    let stack = sdk;
    let member = match &options.member_profile {
        Some(profile) => Some(signed_in(sdk, profile).await),
        None => None,
    };
    let sdk = member.as_ref().unwrap_or(sdk);
    let caller = caller(sdk).await?;
    let history = EventHistory::new(sdk);
    let mut worst = ExitCode::SUCCESS;
    for incident in awaiting(record, &options.incident, options.category.as_deref()).await? {
        // A user or role of the same name in another account must not be contained instead.
        if caller.account != incident.account_id {
            output::complain(&format!(
                "nothing was done: the incident is about account {}, and these credentials are of \
                 account {}: give --member-profile",
                incident.account_id, caller.account,
            ));
            return Ok(ExitCode::from(REFUSED));
        }
        let (incident, yes) = (&incident, options.yes);
        let category = incident.known_category()?;
        let config = current(stack, access, category).await?;
        let approver = Approver {
            by: &caller.arn,
            record,
            policies: &policies,
            history: Some(&history),
            current: config.as_ref().map(|config| &config.policy),
        };
        let code = match category {
            Category::S3 => one(S3::new(sdk), &approver, incident, yes, format).await?,
            Category::Iam => one(Iam::new(sdk), &approver, incident, yes, format).await?,
            Category::Ec2 => one(Ec2::new(sdk), &approver, incident, yes, format).await?,
            Category::Triage => ExitCode::SUCCESS,
        };
        if code != ExitCode::SUCCESS {
            worst = code;
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
            "no --stack is given: whom NeverContain spares is known as of the plan, and not as of now",
        )?;
        return Ok(None);
    }
    let deployment = access.deployment(stack).await?;
    let lambda = aws_sdk_lambda::Client::new(stack);
    let deployed = Deployed::of(&lambda, deployment.function(category)?).await?;
    Ok(Some(Config::from_variables(&deployed.variables)))
}

pub(crate) async fn reject(
    sdk: &SdkConfig,
    record: &Record,
    options: &Reject,
    format: Format,
) -> Outcome {
    let by = caller(sdk).await?.arn;
    let mut rejected = Vec::new();
    for incident in awaiting(record, &options.incident, options.category.as_deref()).await? {
        // A person may also reject what is too old to be approved, or what this version cannot read.
        if incident.awaiting.is_null()
            && let Err(why) = approve::pending(&incident, Timestamp::now())
        {
            return refused(&why.to_string());
        }
        let done = record.reject(&incident, &by, &options.reason, Timestamp::now());
        match done.await {
            Ok(()) => rejected.push(incident),
            Err(Error::Refused(why)) => return refused(&why),
            Err(error) => return Err(error.into()),
        }
    }
    for incident in &rejected {
        match format {
            Format::Json => output::json(&json!({
                "incident": incident.id, "category": incident.category, "part": incident.part,
                "rejected_by": by, "reason": options.reason,
            }))?,
            Format::Table => output::line(&format!(
                "{} ({}) is rejected: it is planned anew only for newer activity",
                incident.id,
                incident.scope()
            )),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The incidents of the finding that await approval; where none does, all of them, of which each says why
/// not.
async fn awaiting(
    record: &Record,
    id: &str,
    category: Option<&str>,
) -> Result<Vec<Incident>, Box<dyn std::error::Error>> {
    let mut found = incidents::find(record, id).await?;
    found.retain(|incident| category.is_none_or(|category| category == incident.category));
    if found.is_empty() {
        return Err(format!("the incident {id} has no part of that category").into());
    }
    if found.iter().any(|incident| !incident.awaiting.is_null()) {
        found.retain(|incident| !incident.awaiting.is_null());
    }
    Ok(found)
}

fn refused(why: &str) -> Outcome {
    output::complain(why);
    Ok(ExitCode::from(REFUSED))
}

async fn one<P: Playbook>(
    playbook: P,
    approver: &Approver<'_>,
    incident: &Incident,
    yes: bool,
    format: Format,
) -> Outcome {
    let now = Timestamp::now();
    let awaiting = match approve::pending(incident, now) {
        Ok(awaiting) => awaiting,
        Err(error) => return refused(&error.to_string()),
    };
    if format == Format::Table {
        show(incident, &awaiting);
    }
    if !yes && !output::confirmed("This takes away what is listed. Approve? [y/N] ") {
        return refused("nothing was done; it still awaits approval");
    }
    // The person may have taken a while.
    let now = Timestamp::now();
    match Box::pin(approve::approve(playbook, approver, incident, now)).await {
        Ok(report) => {
            told::tell(&report, format)?;
            Ok(if approve::succeeded(&report) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Err(error @ (Error::Refused(_) | Error::Busy { .. })) => refused(&error.to_string()),
        Err(error) => Err(format!("nothing was done: {error}").into()),
    }
}

fn show(incident: &Incident, awaiting: &Awaiting) {
    output::line(&format!(
        "{} ({}), {}, account {}, region {}",
        incident.id,
        incident.scope(),
        awaiting.what,
        incident.account_id,
        incident.region,
    ));
    output::line(&format!(
        "planned {}, can be approved until {}",
        awaiting.planned_at, awaiting.expires_at
    ));
    steps(awaiting.steps.iter().map(|step| &step.proposed));
}

/// A table of what would be done.
pub(crate) fn steps<'a>(steps: impl Iterator<Item = &'a Proposed>) {
    let rows: Vec<_> = steps
        .map(|step| {
            let (from, to) = (step.from.to_string(), step.to.to_string());
            [step.action.clone(), step.target.clone(), from, to]
        })
        .collect();
    output::table(["ACTION", "TARGET", "FROM", "TO"], &rows);
}
