//! `gdr breaker`: shows the slots in use, and frees them.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use remediation::category::Category;
use remediation::record::{IncidentStore, Shown};
use serde_json::{Value, json};

use crate::exit::{CommandResult, REFUSED};
use crate::option_values;
use crate::output::{self, Format, Stream};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the slots in use of each window, and the open breakers.
    Show(Which),
    /// Close an open breaker: free its slots.
    ///
    /// Shows the windows and asks. A reset contains no withheld finding: the function contains it when GuardDuty
    /// next updates the finding. `gdr incidents --status notified` lists the withheld ones.
    Reset(Reset),
}

/// Which windows.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr breaker show
  gdr breaker show --category s3 --account 111122223333")]
pub(crate) struct Which {
    /// Only what this function contained.
    #[arg(long, value_name = "FUNCTION", value_parser = option_values::containing())]
    category: Option<Category>,
    /// Only what was contained in this account.
    #[arg(long, value_name = "ID", value_parser = option_values::account)]
    account: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr breaker reset --category s3")]
pub(crate) struct Reset {
    #[command(flatten)]
    which: Which,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(
    record: &IncidentStore,
    command: &Command,
    format: Format,
) -> CommandResult {
    match command {
        Command::Show(which) => {
            let windows = find(record, which).await?;
            match format {
                Format::Json => output::json(&as_json(&windows))?,
                Format::Table => show(&windows, Stream::Output),
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Reset(options) => reset(record, options, format).await,
    }
}

async fn find(record: &IncidentStore, which: &Which) -> Result<Vec<Shown>, remediation::Error> {
    let progress = output::waiting("reading the windows of the breaker");
    let mut windows = record.windows(Timestamp::now()).await?;
    progress.finish_and_clear();
    windows.retain(|shown| {
        let category = shown.window.category;
        let wanted = which.category.unwrap_or(category) == category;
        let account = &shown.window.account_id;
        wanted && which.account.as_ref().unwrap_or(account) == account
    });
    Ok(windows)
}

async fn reset(record: &IncidentStore, options: &Reset, format: Format) -> CommandResult {
    let windows = find(record, &options.which).await?;
    let refused = |why: &str| {
        if format == Format::Json {
            output::json(&json!({ "reset": [], "refused": why }))?;
        }
        output::complain(why);
        Ok(ExitCode::from(REFUSED))
    };
    if windows.is_empty() {
        return refused("there is nothing to reset: no slot is in use there");
    }
    if format == Format::Table || !options.yes {
        show(&windows, Stream::of_question(format));
    }
    let question = "This frees all slots of these windows for new containments. Reset? [y/N] ";
    if !options.yes && !output::confirmed(question) {
        return refused("nothing was reset");
    }
    for shown in &windows {
        record.reset(&shown.window).await?;
    }
    match format {
        Format::Json => output::json(&json!({ "reset": as_json(&windows) }))?,
        Format::Table => output::line(
            "Reset. A withheld finding is contained when GuardDuty next updates it; to list them: \
             gdr incidents --status notified",
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(windows: &[Shown]) -> Vec<Value> {
    let one = |shown: &Shown| {
        json!({
            "category": shown.window.category,
            "account_id": shown.window.account_id,
            "what": shown.what(),
            "places": shown.places,
            "taken": shown.taken,
            "opened": shown.opened,
        })
    };
    windows.iter().map(one).collect()
}

fn show(windows: &[Shown], to: Stream) {
    let time = |time: Option<Timestamp>| time.map_or("-".to_owned(), output::second);
    let rows: Vec<_> = windows
        .iter()
        .map(|shown| {
            [
                shown.window.category.to_string(),
                shown.window.account_id.clone(),
                shown.what(),
                format!("{} of {}", shown.taken.len(), shown.places),
                time(shown.taken.values().min().copied()),
                time(shown.opened.as_ref().map(|opened| opened.at)),
            ]
        })
        .collect();
    to.table(
        [
            "FUNCTION",
            "ACCOUNT",
            "OF",
            "CONTAINED",
            "NEXT PLACE FREE",
            "OPEN SINCE",
        ],
        &rows,
    );
}
