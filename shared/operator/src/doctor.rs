//! `gdr doctor`: whether a deployment is as it should be; each line is ok, or says what to do.

mod account;
mod delivery;
mod functions;
mod roles;
mod surroundings;

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use remediation::catalogue::Category;
use remediation::error::Error;
use serde::Serialize;

use crate::access::Access;
use crate::deployment::{Deployment, Resource};
use crate::{Format, Outcome, output};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr doctor --stack guardduty-responder
  gdr doctor --stack guardduty-responder --output json | jq '.[] | select(.check != \"ok\")'")]
pub(crate) struct Options {}

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Line {
    check: Verdict,
    /// What was looked at.
    of: String,
    /// What was found.
    found: String,
    /// What a person should do.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_do: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Nothing is wrong, and a person may want it otherwise.
    Hint,
    Problem,
    /// It could not be looked at.
    Unknown,
}

impl Line {
    fn ok(of: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            check: Verdict::Ok,
            of: of.into(),
            found: found.into(),
            to_do: None,
        }
    }

    fn hint(of: impl Into<String>, found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self {
            check: Verdict::Hint,
            ..Self::problem(of, found, to_do)
        }
    }

    fn problem(of: impl Into<String>, found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self {
            check: Verdict::Problem,
            to_do: Some(to_do.into()),
            ..Self::ok(of, found)
        }
    }

    fn unknown(of: impl Into<String>, error: &Error) -> Self {
        Self {
            check: Verdict::Unknown,
            to_do: Some("repair what keeps gdr from looking, and run it again".to_owned()),
            ..Self::ok(of, error.to_string())
        }
    }
}

/// What the checks look with, and at.
struct Patient<'a> {
    sdk: &'a SdkConfig,
    deployment: &'a Deployment,
    /// What the stack made, or why it is not known.
    resources: &'a Result<Vec<Resource>, Error>,
}

impl Patient<'_> {
    /// The resources of a type, as the stack made them; none where they are not known.
    fn of_type(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        let resources = self.resources.iter().flatten();
        resources.filter(move |resource| resource.kind == kind)
    }

    /// The name or id that AWS knows a resource of the template by.
    fn physical(&self, logical: &str) -> Result<&str, Error> {
        let resources = self.resources.as_ref().map_err(Clone::clone)?;
        let mut resources = resources.iter();
        let found = resources.find(|resource| resource.logical == logical);
        let id = found.map(|resource| resource.physical.as_str());
        id.ok_or_else(|| {
            Error::Refused(format!(
                "the stack {} has no {logical}",
                self.deployment.name
            ))
        })
    }

    /// The stack, where a whole redeployment is what helps.
    fn redeploy(&self) -> String {
        format!(
            "deploy the stack {} again (sam deploy)",
            self.deployment.name
        )
    }
}

const FUNCTIONS: [Category; 4] = [Category::S3, Category::Iam, Category::Ec2, Category::Triage];

pub(crate) async fn run(sdk: &SdkConfig, access: &Access, format: Format) -> Outcome {
    let deployment = access.deployment(sdk).await?;
    let resources = deployment.resources(sdk).await;
    let patient = &Patient {
        sdk,
        deployment: &deployment,
        resources: &resources,
    };
    let progress = output::busy("checks done");
    let counted = async |check: Vec<Line>| {
        progress.inc(1);
        check
    };
    let of_functions = FUNCTIONS.map(async |category| {
        let (line, function) = functions::check(patient, category).await;
        let mut lines = line;
        if let Some(function) = function {
            lines.extend(roles::check(patient, category, &function).await);
            let updates = function.config.notices.security_hub_queue_url.is_some();
            if category == Category::Triage && updates {
                lines.push(account::security_hub(patient).await);
            }
        }
        counted(lines).await
    });
    let (clock, detector, functions, delivery, rest, account) = futures::join!(
        async { counted(vec![surroundings::clock(patient).await]).await },
        async { counted(vec![surroundings::detector(patient).await]).await },
        futures::future::join_all(of_functions),
        async { counted(delivery::check(patient).await).await },
        async { counted(surroundings::check(patient).await).await },
        async { counted(account::check(patient).await).await },
    );
    progress.finish_and_clear();
    let mut lines = vec![stack(&deployment)];
    lines.extend(clock.into_iter().chain(detector));
    lines.extend(functions.into_iter().flatten());
    lines.extend(delivery.into_iter().chain(rest).chain(account));
    conclude(&lines, format)
}

fn stack(deployment: &Deployment) -> Line {
    let (of, status) = (
        format!("stack {}", deployment.name),
        deployment.status.as_str(),
    );
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => Line::ok(of, status),
        "UPDATE_ROLLBACK_COMPLETE" => Line::problem(
            of,
            status,
            "the last update failed and the version before it runs: look at the stack's events, and deploy \
             again",
        ),
        _ => Line::problem(
            of,
            status,
            "wait until the deployment is done, or look at the stack's events for why it is not",
        ),
    }
}

fn conclude(lines: &[Line], format: Format) -> Outcome {
    match format {
        Format::Json => output::json(&lines)?,
        Format::Table => {
            let rows: Vec<_> = lines
                .iter()
                .map(|line| {
                    let word = match line.check {
                        Verdict::Ok => "ok",
                        Verdict::Hint => "hint",
                        Verdict::Problem => "problem",
                        Verdict::Unknown => "unknown",
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
    let ok = |line: &Line| matches!(line.check, Verdict::Ok | Verdict::Hint);
    let ok = lines.iter().all(ok);
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
