//! `gdr`, the operator's command line: looks at incidents, releases what was contained, and keeps the
//! policies.

mod incidents;
mod output;
mod policy;
mod release;

use std::process::ExitCode;

use aws_config::{BehaviorVersion, Region};
use clap::{Parser, Subcommand, ValueEnum};
use remediation::record::Record;

/// Looks at what guardduty-responder did, and releases it.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (drift, or not confirmed).
#[derive(Debug, Parser)]
#[command(name = "gdr", version)]
struct Arguments {
    /// The table of incidents (the stack's output IncidentTable).
    #[arg(long, global = true, env = "INCIDENT_TABLE")]
    table: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, global = true)]
    profile: Option<String>,
    /// The Region of the responder's stack.
    #[arg(long, global = true)]
    region: Option<String>,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs: one JSON document.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the incidents, the newest first.
    Incidents {
        /// Only those with this status: contained, partial, failed, notified, dry_run, released.
        #[arg(long)]
        status: Option<String>,
    },
    /// Show an incident: what happened, what was done, what it found.
    Incident {
        /// The finding's id, or the beginning of it.
        id: String,
    },
    /// Undo a containment from what was recorded.
    ///
    /// Shows what it would restore and asks. Refuses where the world is no longer as the responder
    /// left it. An access key stays inactive unless it is named.
    Release(release::Options),
    /// Check, explain or store the policies that say what the responder may do.
    #[command(subcommand)]
    Policy(policy::Command),
}

/// What a command came to.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// The exit status for what was refused.
const REFUSED: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Outcome {
    if let Command::Policy(command) = &arguments.command
        && let Some(done) = policy::run_here(command, arguments.output)
    {
        return done;
    }
    let mut sdk = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = &arguments.profile {
        sdk = sdk.profile_name(profile);
    }
    if let Some(region) = arguments.region.clone() {
        sdk = sdk.region(Region::new(region));
    }
    let sdk = sdk.load().await;
    if let Command::Policy(policy::Command::Push(options)) = &arguments.command {
        return policy::push(&sdk, options).await;
    }
    let table = arguments.table.ok_or(
        "which table? Give --table or set INCIDENT_TABLE to the output IncidentTable of the \
         responder's stack",
    )?;
    let record = Record::new(aws_sdk_dynamodb::Client::new(&sdk), table);
    match arguments.command {
        Command::Incidents { status } => {
            incidents::list(&record, status.as_deref(), arguments.output).await
        }
        Command::Incident { id } => incidents::show(&record, &id, arguments.output).await,
        Command::Release(options) => release::run(&sdk, &record, &options, arguments.output).await,
        Command::Policy(_) => Ok(ExitCode::SUCCESS),
    }
}
