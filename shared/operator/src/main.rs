//! `gdr`, the operator's command line: looks at incidents, approves what waits for a person, releases what
//! was contained, explains what would be done about a finding and rehearses what would have been done about
//! those of the past, has the deployed functions show it in a drill, and keeps the policies and the
//! breaker.

mod approve;
mod breaker;
mod drill;
mod explain;
mod findings;
mod incidents;
mod output;
mod policy;
mod rehearse;
mod release;

use std::process::ExitCode;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use clap::{Parser, Subcommand, ValueEnum};
use remediation::record::Record;

/// Looks at what guardduty-responder did or would do, approves it, and releases it.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (drift, expired, or not confirmed).
#[derive(Debug, Parser)]
#[command(name = "gdr", version)]
struct Arguments {
    #[command(flatten)]
    access: Access,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

/// Where the record is, and with which credentials it is read.
#[derive(Debug, clap::Args)]
struct Access {
    /// The table of incidents (the stack's output IncidentTable).
    #[arg(long, global = true, env = "INCIDENT_TABLE")]
    table: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, global = true)]
    profile: Option<String>,
    /// The Region of the responder's stack.
    #[arg(long, global = true)]
    region: Option<String>,
}

impl Access {
    /// The configuration to call AWS with.
    async fn sdk(&self) -> SdkConfig {
        let mut sdk = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = &self.profile {
            sdk = sdk.profile_name(profile);
        }
        if let Some(region) = &self.region {
            sdk = sdk.region(Region::new(region.clone()));
        }
        sdk.load().await
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs: one JSON document; of `explain`, one on each line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what would be done about findings in files, without any access to AWS.
    ///
    /// Reads events, exported findings and answers of GetFindings: a JSON value on each line, values
    /// over several lines, lists; plain or gzip. From folders it takes *.json, *.jsonl, *.ndjson, *.gz
    /// and files without an ending, and leaves out what is hidden. What cannot be read is an error with
    /// file and line, the rest goes on, and the exit status is 1.
    Explain(explain::Options),
    /// Say what would have been done about the findings of the past, before dry run is turned off.
    ///
    /// Reads events, the export to S3 and answers of GetFindings from files, the export from its bucket, or
    /// the findings that GuardDuty has, and goes through them in the order of time: what would have been
    /// contained when and by which policies, who would have been hit, how often the breaker would have
    /// opened, which exemptions applied. Changes nothing, and observes nothing. What cannot be read is an
    /// error with file and line, the rest goes on, and the exit status is 1.
    Rehearse(Box<rehearse::Options>),
    /// Check, explain or store the policies that say what the responder may do.
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(flatten)]
    Recorded(Recorded),
}

/// What works on the record, with access to AWS.
#[derive(Debug, Subcommand)]
enum Recorded {
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
    /// Send a finding to the deployed functions, which answer and change nothing, and print their reports.
    ///
    /// It goes over the bus and the rules that GuardDuty's findings go, from a source of its own. Each
    /// function that the finding is for must report in time; else the exit status is 1. A drill is a dry
    /// run whatever the settings say, is marked as one in the notice, and its record is kept for a week.
    Drill(drill::Options),
    /// Run a containment that awaits approval.
    ///
    /// Shows what it would do and asks. Observes again, and refuses where the world is no longer as it was
    /// planned for, or the policies no longer permit it.
    Approve(approve::Approve),
    /// Let be what awaits approval. It is planned anew only for newer activity.
    Reject(approve::Reject),
    /// Undo a containment from what was recorded.
    ///
    /// Shows what it would restore and asks. Refuses where the world is no longer as the responder
    /// left it. An access key stays inactive unless it is named.
    Release(release::Options),
    /// Show how much was contained lately, or let the responder contain again.
    #[command(subcommand)]
    Breaker(breaker::Command),
}

/// What a command came to.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// The exit status for what was refused.
const REFUSED: u8 = 3;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Explain(options) => explain::run(&options, arguments.output),
        Command::Rehearse(options) => rehearse::run(&options, &arguments.access, arguments.output),
        Command::Policy(command) => policy::run(command, &arguments.access, arguments.output),
        Command::Recorded(command) => on_record(arguments.access, command, arguments.output),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn on_record(access: Access, command: Recorded, output: Format) -> Outcome {
    let sdk = access.sdk().await;
    let table = access.table.ok_or(
        "which table? Give --table or set INCIDENT_TABLE to the output IncidentTable of the \
         responder's stack",
    )?;
    let record = Record::new(aws_sdk_dynamodb::Client::new(&sdk), table);
    match command {
        Recorded::Incidents { status } => incidents::list(&record, status.as_deref(), output).await,
        Recorded::Incident { id } => incidents::show(&record, &id, output).await,
        Recorded::Drill(options) => drill::run(&sdk, &record, &options, output).await,
        Recorded::Breaker(command) => breaker::run(&record, &command, output).await,
        Recorded::Approve(options) => approve::run(&sdk, &record, &options, output).await,
        Recorded::Reject(options) => approve::reject(&sdk, &record, &options, output).await,
        Recorded::Release(options) => release::run(&sdk, &record, &options, output).await,
    }
}
