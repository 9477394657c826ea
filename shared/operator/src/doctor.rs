//! `gdr doctor`: whether a deployment is as it should be; each line is ok, or says what to do.

mod account;
mod check;
mod delivery;
mod dependencies;
mod functions;
mod roles;

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use remediation::category::Category;

use self::check::{Check, CheckContext, CheckResult};
pub(crate) use self::dependencies::subscriptions;
use crate::access::Access;
use crate::deployment::Deployment;
use crate::exit::CommandResult;
use crate::output::{self, Format};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr doctor --stack guardduty-responder
  gdr doctor --stack guardduty-responder --output json | jq '.[] | select(.check != \"ok\")'")]
pub(crate) struct Options {}

pub(crate) async fn run(sdk: &SdkConfig, access: &Access, format: Format) -> CommandResult {
    let deployment = access.deployment(sdk).await?;
    let resources = deployment.resources(sdk).await;
    let context = &CheckContext {
        sdk,
        deployment: &deployment,
        resources: &resources,
    };
    let progress = output::busy("checks done");
    let counted = async |check: Vec<Check>| {
        progress.inc(1);
        check
    };
    let of_functions = Category::ALL.map(async |category| {
        let (line, function) = functions::check(context, category).await;
        let mut lines = line;
        if let Some(function) = function {
            lines.extend(roles::check(context, category, &function).await);
            let updates = function.config.notices.security_hub_queue_url.is_some();
            if category == Category::Triage && updates {
                lines.push(account::security_hub(context).await);
            }
        }
        counted(lines).await
    });
    let (clock, detector, functions, delivery, rest, account) = futures::join!(
        async { counted(vec![dependencies::clock(context).await]).await },
        async { counted(vec![dependencies::detector(context).await]).await },
        futures::future::join_all(of_functions),
        async { counted(delivery::check(context).await).await },
        async { counted(dependencies::check(context).await).await },
        async { counted(account::check(context).await).await },
    );
    progress.finish_and_clear();
    let mut lines = vec![stack(&deployment)];
    lines.extend(clock.into_iter().chain(detector));
    lines.extend(functions.into_iter().flatten());
    lines.extend(delivery.into_iter().chain(rest).chain(account));
    conclude(&lines, format)
}

fn stack(deployment: &Deployment) -> Check {
    let (of, status) = (
        format!("stack {}", deployment.name),
        deployment.status.as_str(),
    );
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => Check::ok(of, status),
        "UPDATE_ROLLBACK_COMPLETE" => Check::problem(
            of,
            status,
            "the last update failed and the version before it runs: look at the stack's events, and deploy \
             again",
        ),
        _ => Check::problem(
            of,
            status,
            "wait until the deployment is done, or look at the stack's events for why it is not",
        ),
    }
}

fn conclude(lines: &[Check], format: Format) -> CommandResult {
    match format {
        Format::Json => output::json(&lines)?,
        Format::Table => {
            let rows: Vec<_> = lines
                .iter()
                .map(|line| {
                    let word = match line.check {
                        CheckResult::Ok => "ok",
                        CheckResult::Hint => "hint",
                        CheckResult::Problem => "problem",
                        CheckResult::Unknown => "unknown",
                    };
                    let to_do = line.to_do.as_ref();
                    [
                        word.to_owned(),
                        line.of.clone(),
                        to_do.map_or(line.found.clone(), |to_do| {
                            format!("{}: {to_do}", line.found)
                        }),
                    ]
                })
                .collect();
            output::table(["CHECK", "OF", "FOUND, AND WHAT TO DO"], &rows);
        }
    }
    let ok = |line: &Check| matches!(line.check, CheckResult::Ok | CheckResult::Hint);
    let ok = lines.iter().all(ok);
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
