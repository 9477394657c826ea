//! `gdr explain`: the responder's decisions about findings from files, without any access to AWS.

mod answer;
mod row;
mod table;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use remediation::decision::ResponseSettings;

use crate::exit::CommandResult;
use crate::findings::parallel;
use crate::findings::source::{self, Files};
use crate::output::{self, Format, Stream};
use crate::{option_values, policy};
use answer::{Counts, Explained};
use row::Rules;
use table::Table;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gdr explain finding.json
  gdr explain --output json AWSLogs/111122223333/GuardDuty/
  aws guardduty get-findings --detector-id $ID --finding-ids $IDS | gdr explain -")]
pub(crate) struct Options {
    /// Files, folders, or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The severity from which on findings are contained (the stack's MinimumSeverity), 0 to 10.
    #[arg(long, value_name = "NUMBER", default_value_t = ResponseSettings::DEFAULT_MINIMUM_SEVERITY, value_parser = option_values::severity)]
    minimum_severity: f64,
    /// Files of Cedar policies, as they are pushed; the default policies where none is given. Only policies
    /// that forbid without reading the step's action and resource count here; `gdr policy explain` asks all
    /// of them about each step.
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
}

/// Explains findings, in the order of the input.
pub(crate) fn run(options: &Options, format: Format) -> CommandResult {
    let Some(guard) = policy::guard(&options.policies)? else {
        return Ok(ExitCode::FAILURE);
    };
    let rules = Rules {
        settings: settings(options.minimum_severity),
        guard,
        now: Timestamp::now(),
    };
    let files = Arc::default();
    match explain(options, rules, &files, format) {
        Ok(counts) => {
            let mut sum = counts.to_string();
            if files.passed_over() > 0 {
                sum += &format!(", {files}");
            }
            output::note(&sum)?;
            if counts.is_nothing() {
                output::complain(&files.without_findings());
                return Ok(ExitCode::FAILURE);
            }
            Ok(if counts.errors == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        // Whoever reads has seen enough: `gdr explain … | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(format!("cannot write the output: {error}").into()),
    }
}

fn explain(
    options: &Options,
    rules: Rules,
    files: &Arc<Files>,
    format: Format,
) -> io::Result<Counts> {
    let progress = progress(&options.paths);
    let documents = source::documents(options.paths.clone(), progress.clone(), Arc::clone(files));
    let rules = Arc::new(rules);
    let table = Table {
        width: Stream::Output.width(),
    };
    let answers = parallel::ordered(source::values(documents), move |json| {
        Explained::new(&json, &rules, format, table)
    });
    // Where rows and bar share a terminal, the bar is out of the way while rows are written.
    let shared = io::stdout().is_terminal();
    let mut counts = Counts::default();
    if format == Format::Table {
        output::bytes(table.headings().as_bytes())?;
    }
    for answer in answers {
        counts += &answer.counts;
        if shared || !answer.complaints.is_empty() {
            progress.suspend(|| print(&answer))?;
        } else {
            print(&answer)?;
        }
    }
    progress.finish_and_clear();
    Ok(counts)
}

fn print(answer: &Explained) -> io::Result<()> {
    output::bytes(&answer.rows)?;
    answer.complaints.iter().try_for_each(|it| output::note(it))
}

/// The settings that the stack has by default, as far as decisions depend on them.
fn settings(minimum_severity: f64) -> ResponseSettings {
    ResponseSettings {
        dry_run: false,
        minimum_severity: Some(minimum_severity),
        ..ResponseSettings::default()
    }
}

/// A bar on standard error that counts the bytes read, if that is a terminal.
fn progress(paths: &[PathBuf]) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (length, template) = match source::size(paths) {
        Some(size) => (
            Some(size),
            "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
        ),
        None => (None, "{spinner} {bytes}  {bytes_per_sec}"),
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr()).with_style(style)
}
