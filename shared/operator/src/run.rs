//! `gdr run`: a function's pipeline by hand, where the functions cannot do it.

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use remediation::report::{Outcome as StepOutcome, Report};

use crate::access::Access;
use crate::exit::CommandResult;
use crate::manual::{self, Extent, ManualRun};
use crate::output::{self, Format, Stream};
use crate::report_view;

const QUESTION: &str =
    "This will contain the targets listed above, and can disrupt them. Contain? [y/N] ";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr run finding.json --stack guardduty-responder
  gdr run finding.json --stack guardduty-responder --enforce
  gdr run finding.json --set RESPONSE_MODE=contain --policy mine.cedar")]
pub(crate) struct Options {
    #[command(flatten)]
    manual: manual::Options,
    /// Contain. Without it, gdr run changes and records nothing, and sends no notice.
    #[arg(long)]
    enforce: bool,
    /// Do not ask.
    #[arg(short, long, requires = "enforce")]
    yes: bool,
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    access: &Access,
    options: &Options,
    format: Format,
) -> CommandResult {
    options.manual.note_defaults(access)?;
    let manual = match ManualRun::new(sdk, access, &options.manual).await? {
        Ok(manual) => manual,
        Err(why) => return manual::refused(&why, format),
    };
    if !options.enforce {
        let reports = respond(&manual, Extent::ReadOnly).await?;
        return conclude(&reports, format);
    }
    if !options.yes {
        let reports = respond(&manual, Extent::ReadOnly).await?;
        for report in &reports {
            report_view::tell(report, Stream::of_question(format));
        }
        if !reports.iter().any(plans) {
            output::complain("nothing was done: there is nothing to contain");
            return if format == Format::Json {
                conclude(&reports, format)
            } else {
                Ok(exit(&reports))
            };
        }
        if !output::confirmed(QUESTION) {
            return manual::refused("nothing was done", format);
        }
    }
    for function in &manual.functions {
        if function.config.incident_table.is_none() {
            output::complain(&format!(
                "no incident table is configured for {}: save this output, it is the only record that you can undo \
                 from",
                function.category
            ));
        }
    }
    conclude(&respond(&manual, Extent::Enforce).await?, format)
}

/// The reports of the functions, one after the other.
async fn respond(manual: &ManualRun, extent: Extent) -> remediation::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for function in &manual.functions {
        let progress = output::waiting(&format!("{} function at work", function.category));
        reports.push(manual.respond(function, extent).await?);
        progress.finish_and_clear();
    }
    Ok(reports)
}

fn plans(report: &Report) -> bool {
    let mut steps = report.steps().iter();
    steps.any(|step| step.outcome() == StepOutcome::Planned)
}

fn conclude(reports: &[Report], format: Format) -> CommandResult {
    match format {
        Format::Json => output::json(&reports)?,
        Format::Table => {
            for report in reports {
                report_view::tell(report, Stream::Output);
                output::line("");
            }
        }
    }
    Ok(exit(reports))
}

fn exit(reports: &[Report]) -> ExitCode {
    if reports.iter().any(report_view::failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
