//! `gdr release`: what a containment found is put back, by a person, with that person's credentials.

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use jiff::Timestamp;
use remediation::catalogue::Category;
use remediation::error::Error;
use remediation::playbook::{Playbook, ec2::Ec2, iam::Iam, s3::S3};
use remediation::record::{Incident, Record};
use remediation::release::{self, Allowance, ReleaseStep, Verdict};
use serde_json::json;

use crate::access::{caller, signed_in};
use crate::{Format, Outcome, REFUSED, incidents, output};

const QUESTION: &str = "This gives back what the containment took away. Release? [y/N] ";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr release 16afba5c
  gdr release 16afba5c --reactivate-key AKIAIOSFODNN7EXAMPLE")]
pub(crate) struct Options {
    /// The finding's id, or the beginning of it.
    incident: String,
    /// Only what this function did: s3, iam or ec2.
    #[arg(long)]
    category: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Restore also what is no longer as the responder left it.
    #[arg(long)]
    force_drift: bool,
    /// Activate this access key again. It can be given more than once.
    #[arg(long = "reactivate-key", value_name = "KEYID")]
    reactivate: Vec<String>,
    /// The profile of the AWS configuration for the account of what was contained, where that is not the
    /// account of the table (a hub's incident of a member account).
    #[arg(long, value_name = "PROFILE")]
    member_profile: Option<String>,
    /// Who releases, for the record; the caller's ARN where it is not given.
    #[arg(long)]
    by: Option<String>,
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    record: &Record,
    options: &Options,
    format: Format,
) -> Outcome {
    let member = match &options.member_profile {
        Some(profile) => Some(signed_in(sdk, profile).await),
        None => None,
    };
    let sdk = member.as_ref().unwrap_or(sdk);
    let caller = caller(sdk).await?;
    let by = options.by.clone().unwrap_or_else(|| caller.arn.clone());
    let mut found = incidents::find(record, &options.incident).await?;
    found.retain(|incident| {
        options
            .category
            .as_ref()
            .is_none_or(|category| *category == incident.category)
    });
    let released: Vec<_> = found
        .iter()
        .filter(|incident| incident.released.is_some())
        .collect();
    let open: Vec<_> = found
        .iter()
        .filter(|incident| !incident.actions.is_empty())
        .collect();
    if open.is_empty() {
        let why = match released
            .first()
            .and_then(|incident| incident.released.as_deref())
        {
            Some(released) => format!("it was released {released}"),
            None => "nothing was changed on account of it".to_owned(),
        };
        output::complain(&format!("there is nothing to release: {why}"));
        return Ok(ExitCode::from(REFUSED));
    }
    let mut worst = ExitCode::SUCCESS;
    for incident in open {
        // A user or role of the same name in another account must not be given back anything.
        if caller.account != incident.account_id {
            output::complain(&format!(
                "nothing was released: the incident is about account {}, and these credentials are of \
                 account {}: give --member-profile",
                incident.account_id, caller.account,
            ));
            return Ok(ExitCode::from(REFUSED));
        }
        let code = match incident.known_category()? {
            Category::S3 => one(S3::new(sdk), record, incident, options, &by, format).await?,
            Category::Iam => one(Iam::new(sdk), record, incident, options, &by, format).await?,
            Category::Ec2 => one(Ec2::new(sdk), record, incident, options, &by, format).await?,
            Category::Triage => ExitCode::SUCCESS,
        };
        if code != ExitCode::SUCCESS {
            worst = code;
        }
    }
    Ok(worst)
}

async fn one<P: Playbook>(
    mut playbook: P,
    record: &Record,
    incident: &Incident,
    options: &Options,
    by: &str,
    format: Format,
) -> Outcome {
    let allowance = Allowance {
        force_drift: options.force_drift,
        reactivate: options.reactivate.clone(),
    };
    playbook.configure(&incident.settings);
    let now = Timestamp::now();
    let steps = release::plan(&playbook, record, incident, &allowance, now).await?;
    if format == Format::Table {
        show(incident, &steps);
    }
    let drifted = steps
        .iter()
        .any(|step| matches!(step.verdict, Verdict::Drifted(_)));
    if drifted && !options.force_drift {
        if format == Format::Json {
            output::json(
                &json!({ "incident": incident.id, "category": incident.category, "part": incident.part, "plan": steps, "released": [] }),
            )?;
        }
        output::complain(
            "nothing was released: look at what drifted, and give --force-drift to restore it all the same",
        );
        return Ok(ExitCode::from(REFUSED));
    }
    let changes = steps
        .iter()
        .filter(|step| matches!(step.verdict, Verdict::Restore | Verdict::Drifted(_)));
    if changes.count() > 0 && !options.yes && !output::confirmed(QUESTION) {
        output::complain("nothing was released");
        return Ok(ExitCode::from(REFUSED));
    }
    let shown = serde_json::to_value(&steps)?;
    // The person may have taken a while.
    let now = Timestamp::now();
    let releasing = release::release(&playbook, record, incident, steps, &allowance, by, now);
    let released = match Box::pin(releasing).await {
        Ok(released) => released,
        Err(error @ (Error::Refused(_) | Error::Busy { .. })) => {
            output::complain(&error.to_string());
            return Ok(ExitCode::from(REFUSED));
        }
        Err(error) => return Err(error.into()),
    };
    let failed = released.iter().any(|step| step.problem.is_some());
    match format {
        Format::Json => output::json(&json!({
            "incident": incident.id, "category": incident.category, "part": incident.part, "plan": shown, "released": released,
        }))?,
        Format::Table => {
            for step in &released {
                let what = step
                    .problem
                    .as_deref()
                    .map_or("restored".to_owned(), |why| format!("FAILED: {why}"));
                output::line(&format!("{} on {}: {what}", step.action, step.target));
            }
        }
    }
    if failed {
        output::complain(
            "some of it was not restored; the incident stays open, and can be released again",
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn show<A>(incident: &Incident, steps: &[ReleaseStep<A>]) {
    output::line(&format!(
        "{} ({}), {}",
        incident.id,
        incident.scope(),
        incident.finding_type
    ));
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            let verdict = match &step.verdict {
                Verdict::Restore => "restore".to_owned(),
                Verdict::Already => "is as it was".to_owned(),
                Verdict::Left(why) => format!("leave: {why}"),
                Verdict::Drifted(why) => format!("DRIFTED: {why}"),
            };
            [
                step.action.to_owned(),
                step.target.clone(),
                step.from.to_string(),
                step.to.to_string(),
                verdict,
            ]
        })
        .collect();
    output::table(["ACTION", "TARGET", "FROM", "TO", "WHAT"], &rows);
}
