//! `gdr breaker`: how much was contained lately, and letting the responder contain again.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use remediation::record::{Record, Shown};
use serde_json::{Value, json};

use crate::{Format, Outcome, REFUSED, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List how much was contained lately, of how much at most, and where nothing more is.
    Show(Which),
    /// Let the responder contain again where it holds back.
    ///
    /// Shows what it would reset and asks. What was withheld is not contained by that: it is when its
    /// finding comes again, as GuardDuty updates it. `gdr incidents --status notified` lists it.
    Reset(Reset),
}

/// Which windows.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr breaker show
  gdr breaker show --category s3 --account 111122223333")]
pub(crate) struct Which {
    /// Only what this function contained: s3, iam or ec2.
    #[arg(long)]
    category: Option<String>,
    /// Only what was contained in this account.
    #[arg(long)]
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
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(record: &Record, command: &Command, format: Format) -> Outcome {
    match command {
        Command::Show(which) => {
            let windows = find(record, which).await?;
            match format {
                Format::Json => output::json(&as_json(&windows))?,
                Format::Table => show(&windows),
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Reset(options) => reset(record, options, format).await,
    }
}

async fn find(record: &Record, which: &Which) -> Result<Vec<Shown>, remediation::Error> {
    let mut windows = record.windows(Timestamp::now()).await?;
    windows.retain(|shown| {
        let category = shown.window.category.as_str();
        let wanted = which.category.as_deref().unwrap_or(category) == category;
        let account = &shown.window.account_id;
        wanted && which.account.as_ref().unwrap_or(account) == account
    });
    Ok(windows)
}

async fn reset(record: &Record, options: &Reset, format: Format) -> Outcome {
    let windows = find(record, &options.which).await?;
    if windows.is_empty() {
        output::complain("there is nothing to reset: nothing was contained lately there");
        return Ok(ExitCode::from(REFUSED));
    }
    if format == Format::Table {
        show(&windows);
    }
    let question = "As much again may then be contained there. Reset? [y/N] ";
    if !options.yes && !output::confirmed(question) {
        output::complain("nothing was reset");
        return Ok(ExitCode::from(REFUSED));
    }
    for shown in &windows {
        record.reset(&shown.window).await?;
    }
    match format {
        Format::Json => output::json(&json!({ "reset": as_json(&windows) }))?,
        Format::Table => output::line(
            "Reset. What was withheld is contained when its finding comes again, as GuardDuty updates it: \
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

fn show(windows: &[Shown]) {
    let time = |time: Option<Timestamp>| time.map_or("-".to_owned(), |time| time.to_string());
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
    output::table(
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
