//! `gdr`, the operator's command line. It shows, approves and releases incidents, and explains or replays
//! decisions about findings. It drills and proves the response, and keeps the policies and the breaker.

mod access;
mod approve;
mod breaker;
mod clock;
mod completions;
mod doctor;
mod drill;
mod exit;
mod explain;
mod finding_input;
mod findings;
mod incidents;
mod man;
mod manual;
mod notices;
mod notify_test;
mod option_values;
mod output;
mod plan;
mod policy;
mod prove;
mod redrive;
mod rehearse;
mod release;
mod report_view;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use access::{Access, GLOBAL, Typed};
use exit::{CommandResult, Usage, WRONG_USAGE};
use output::Format;
use proof::deployment;
use remediation::category::Category;
use remediation::page::Place;

/// Shows, approves and undoes what guardduty-responder did or would do.
#[derive(Debug, Parser)]
#[command(name = "gdr", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(flatten)]
    access: Access,
    /// How to print.
    #[arg(short, long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what would be done about findings in files, without any access to AWS.
    ///
    /// Reads events, exported findings and answers of GetFindings: a JSON value on each line, values
    /// over several lines, lists; plain or gzip. From folders it takes *.json, *.jsonl, *.ndjson, *.gz
    /// and files without an ending, and leaves out hidden files. Unreadable input is an error with file and
    /// line: the rest is read all the same, and the exit status is 1.
    Explain(explain::Options),
    /// Say what would have been done about past findings, before dry run is turned off.
    ///
    /// Reads findings from files (events, the export to S3, answers of GetFindings), from the bucket of the
    /// export, or from GuardDuty. Replays them in the order of time, and shows which targets would have been
    /// contained when and by which policies. Shows also how often the breaker would have opened, and which
    /// exemptions applied. Changes nothing, and observes nothing. Unreadable input is an error with file and
    /// line: the rest is read all the same, and the exit status is 1.
    Rehearse(Box<rehearse::Options>),
    /// Check, explain or store the policies that say what the responder may do.
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(flatten)]
    OnAws(OnAws),
    /// Write a script with which a shell completes command lines.
    Completions(completions::Options),
    /// Write the manual.
    Man(man::Options),
}

/// The commands that take access to AWS.
#[derive(Debug, Subcommand)]
enum OnAws {
    /// List the incidents, the newest first.
    Incidents(incidents::ListOptions),
    /// Show an incident: its finding, each step, and the values found before.
    #[command(after_help = incidents::SHOW_EXAMPLES)]
    Incident {
        /// The finding's id, or the beginning of it.
        id: String,
        /// Write the incident as a page that opens in a browser. It shows the finding, the evidence, each step
        /// with before and after, the residual risks, the question to the owner, and the command to release.
        /// It is written to FILE; - is standard output. Without FILE, each function's page is
        /// incident-ID-FUNCTION.html in the current folder.
        #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
        html: Option<Option<PathBuf>>,
        /// Only what this function did.
        #[arg(long, value_name = "FUNCTION", value_parser = option_values::function())]
        category: Option<Category>,
        /// The parameter with the policies that the functions ask, for the page's command to approve; in place
        /// of the stack's (its output PolicyParameter).
        #[arg(long, value_name = "NAME", env = "POLICY_PARAMETER")]
        policy_parameter: Option<String>,
    },
    /// Say what the functions would do about a finding now.
    ///
    /// Reads the live state, plans and asks the policies as the functions do, with their settings, and asks
    /// IAM whether their roles may do it. Changes and records nothing, and sends no notice.
    Plan(plan::Options),
    /// Do by hand what the functions would do about a finding.
    ///
    /// For when they cannot: the same pipeline with your credentials and the settings of the deployed
    /// functions. Without --enforce it changes and records nothing, and sends no notice. A containment is
    /// recorded, so that it can be released.
    Run(run::Options),
    /// Send a finding to the deployed functions, which answer and change nothing, and print their reports.
    ///
    /// The finding goes over the bus and the rules that GuardDuty's findings go, from a source of its own.
    /// Each function that the finding is for must report in time; else the exit status is 1. A drill is a dry
    /// run whatever the settings say, is marked as one in the notice, and its record is kept for a week.
    Drill(drill::Options),
    /// Show in a sandbox account of yours that attacks are contained: on victims that it makes, and removes.
    ///
    /// Makes a bucket, a user, a role and an instance, all tagged gdr:proof, and tries attacks on them with real
    /// requests. Contains them, tries the attacks again, releases, and removes all that it made, also after
    /// Ctrl-C. It contains in its own process; with --stack or GDR_STACK the deployed functions do, which must
    /// enforce. Refuses before anything is made if the credentials are not of --account.
    Prove(prove::Options),
    /// Run a containment that awaits approval.
    ///
    /// Shows the steps and asks. Observes again, and refuses if the targets changed after the plan, or if the
    /// policies no longer permit the steps.
    Approve(approve::Approve),
    /// Reject a plan that awaits approval. Only newer activity makes a new one.
    Reject(approve::Reject),
    /// Undo a containment from the recorded values.
    ///
    /// Shows the steps to restore and asks. Refuses if somebody changed the targets after the responder. An
    /// access key stays inactive unless it is named.
    Release(release::Options),
    /// Show the slots of the circuit breaker, or free them.
    #[command(subcommand)]
    Breaker(breaker::Command),
    /// Show the messages of the queues, and send them again.
    ///
    /// The queues hold the events that could not be delivered, and those on which a function failed three
    /// times. Each goes to its function, which observes again before it acts. A message is deleted only after
    /// Lambda has accepted its event; while it is shown, nobody else sees it, for 5 minutes at most.
    Redrive(redrive::Options),
    /// Send a drill through every channel of the notices, and print the answer of each.
    ///
    /// Everybody who gets notices gets the drill, marked as one: the topic, the chat, and the products that a stack
    /// of infra/integrations connects. The answer says what each service accepted, and where only the receiver
    /// knows whether the drill arrived. Changes and records nothing.
    NotifyTest(notify_test::Options),
    /// Check a deployment: each line is ok, a hint, or a problem with what to do. The exit status is 1 if
    /// there is a problem or something could not be checked.
    Doctor(doctor::Options),
}

/// The commands to begin with.
const FIRST: &str = "\
gdr, the operator's command line of guardduty-responder. Begin with:

  gdr --stack NAME doctor           Check the deployment
  gdr --stack NAME incidents        List the incidents, the newest first
  gdr --stack NAME incident ID      Show what happened, what was done, and what remains
  gdr --stack NAME approve ID       Run a containment that awaits approval
  gdr --stack NAME release ID       Undo a containment
  gdr explain FILE                  Say what would be done about a finding

gdr --help lists all commands, gdr COMMAND --help explains one.";

const AFTER_HELP: &str = "\
Exit status of every command:
  0  done
  1  failed, or something is not as it should be
  2  wrong usage
  3  refused: not confirmed, too late, or the targets changed after the plan

Examples:
  gdr --stack guardduty-responder incidents
  gdr --stack guardduty-responder --profile security --region eu-west-1 doctor
  gdr explain findings.json";

fn main() -> ExitCode {
    if std::env::args_os().len() < 2 {
        eprintln!("{FIRST}");
        return ExitCode::from(WRONG_USAGE);
    }
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = run(arguments, &Typed::of(&matches)).and_then(|code| {
        output::written()?;
        Ok(code)
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error.to_string());
            if error.is::<Usage>() {
                ExitCode::from(WRONG_USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(arguments: Arguments, typed: &Typed) -> CommandResult {
    let Arguments {
        access,
        output,
        command,
    } = arguments;
    match command {
        Command::Explain(options) => {
            access.is_not_asked("explain", typed)?;
            explain::run(&options, output)
        }
        Command::Rehearse(options) => rehearse::run(&options, &access, output),
        Command::Policy(command) => policy::run(command, &access, typed, output),
        Command::Completions(options) => completions::run(&options, Arguments::command()),
        Command::Man(options) => man::run(&options, Arguments::command()),
        Command::OnAws(command) => on_aws(&access, command, output),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn on_aws(access: &Access, command: OnAws, output: Format) -> CommandResult {
    let sdk = &access.sdk().await?;
    let record = async || access.record(sdk).await;
    match command {
        OnAws::Incidents(options) => incidents::list(&record().await?, &options, output).await,
        OnAws::Incident {
            id,
            html,
            category,
            policy_parameter,
        } => {
            let record = record().await?;
            let found = incidents::of(&record, &id, category).await?;
            match html {
                Some(file) => {
                    let given = policy_parameter.as_deref();
                    // The page is written all the same, and says what is missing.
                    let policies = access.policy_parameter(sdk, given, "").await.ok();
                    let place = Place {
                        table: record.table(),
                        policy_parameter: policies.as_deref(),
                    };
                    incidents::write(place, &found, file.as_deref(), output)
                }
                None => incidents::show(&found, output),
            }
        }
        OnAws::Drill(options) => drill::run(sdk, &record().await?, &options, output).await,
        OnAws::Prove(options) => Box::pin(prove::run(sdk, access, &options, output)).await,
        OnAws::Breaker(command) => breaker::run(&record().await?, &command, output).await,
        OnAws::Approve(options) => {
            approve::run(sdk, access, &record().await?, &options, output).await
        }
        OnAws::Reject(options) => {
            approve::reject(sdk, access, &record().await?, &options, output).await
        }
        OnAws::Release(options) => {
            release::run(sdk, access, &record().await?, &options, output).await
        }
        OnAws::Plan(options) => Box::pin(plan::run(sdk, access, &options, output)).await,
        OnAws::Run(options) => Box::pin(run::run(sdk, access, &options, output)).await,
        OnAws::Doctor(_) => Box::pin(doctor::run(sdk, access, output)).await,
        OnAws::Redrive(options) => redrive::run(sdk, access, &options, output).await,
        OnAws::NotifyTest(options) => {
            Box::pin(notify_test::run(sdk, access, &options, output)).await
        }
    }
}

#[cfg(test)]
mod tests;
