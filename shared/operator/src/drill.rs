//! `gdr drill`: a finding goes the way that a real one goes, and the reports come back.

mod event;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use clap::Args;
use jiff::Timestamp;
use remediation::catalogue;
use remediation::category::Category;
use remediation::error::CallContext as _;
use remediation::finding::{DETAIL_TYPE, DRILL_SOURCE};
use remediation::record::{Incident, IncidentStore};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::exit::{CommandResult, Usage};
use crate::output::{self, Format};
use crate::{finding_input, incidents};

/// How often the table is asked.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr drill finding.json
  gdr drill Policy:S3/BucketAnonymousAccessGranted --target customer-data
  gdr drill 'Backdoor:EC2/C&CActivity.B!DNS' --target i-0abc1234def567890")]
pub(crate) struct Options {
    /// A file with one finding, in any form that gdr explain reads, - for standard input; or a finding type, of
    /// which one is made.
    #[arg(value_name = "FILE|TYPE")]
    what: String,
    /// The target of the made finding: a bucket, a user (or user/access key id), or an instance. Without this
    /// option the target does not exist.
    #[arg(long)]
    target: Option<String>,
    /// The event bus that the stack's rules are on.
    #[arg(long, default_value = "default")]
    bus: String,
    /// How many seconds to wait for the reports.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    record: &IncidentStore,
    options: &Options,
    format: Format,
) -> CommandResult {
    let id = event::fresh_id();
    let detail = made(sdk, options, &id, Timestamp::now()).await?;
    let finding = event::as_delivered(&detail)?;
    let expected = catalogue::routes(&finding);
    // What cannot be waited for is not sent.
    record.drill(&id).await?;
    send(&Client::new(sdk), &options.bus, &detail).await?;
    output::note(&format!(
        "sent drill {id} ({}) to bus {}; waiting for {}",
        finding.finding_type,
        options.bus,
        listed(&expected),
    ))?;
    let reported = reported(record, &id, &expected, options, format).await?;
    if format == Format::Json {
        output::json(&reported.values().collect::<Vec<_>>())?;
    }
    let silent = expected
        .into_iter()
        .filter(|function| !reported.contains_key(function.as_str()));
    let mut code = ExitCode::SUCCESS;
    for function in silent {
        output::complain(&unanswered(function, options));
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

/// The detail of the finding that is sent.
async fn made(
    sdk: &SdkConfig,
    options: &Options,
    id: &str,
    now: Timestamp,
) -> Result<Value, Box<dyn std::error::Error>> {
    let (what, target) = (&options.what, options.target.as_deref());
    if what == "-" || Path::new(what).exists() {
        if target.is_some() {
            let why = "--target is for a finding type; a file names its own target";
            return Err(Usage::new(why).into());
        }
        let document = finding_input::document(Path::new(what))?;
        let made = event::from_document(&document, id, now);
        return made.map_err(|error| format!("{what}: {error}").into());
    }
    let kind = event::finding_type(what).map_err(Usage::new)?;
    let region = sdk
        .region()
        .ok_or_else(|| Usage::new("which Region? Give --region, or set AWS_REGION"))?;
    let caller = aws_sdk_sts::Client::new(sdk).get_caller_identity();
    let caller = caller.send().await.during("sts:GetCallerIdentity", "")?;
    let place = event::Place {
        account: caller
            .account()
            .ok_or("sts:GetCallerIdentity names no account")?,
        region: region.as_ref(),
    };
    Ok(event::of_type(&kind, target, &place, id, now).map_err(Usage::new)?)
}

/// Puts the finding on the bus. EventBridge takes or refuses each entry by itself,
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.
async fn send(
    client: &Client,
    bus: &str,
    detail: &Value,
) -> Result<(), Box<dyn std::error::Error>> {
    let entry = PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(DRILL_SOURCE)
        .detail_type(DETAIL_TYPE)
        .detail(detail.to_string());
    let answer = client.put_events().entries(entry.build()).send().await;
    let answer = answer.during("events:PutEvents", bus)?;
    let refused = answer.entries().iter().find_map(|entry| {
        let code = entry.error_code()?;
        Some((code, entry.error_message().unwrap_or_default()))
    });
    match refused {
        Some((code, message)) => {
            Err(format!("events:PutEvents on {bus}: {code}: {message}").into())
        }
        None if answer.failed_entry_count() > 0 => {
            Err(format!("events:PutEvents on {bus}: the entry failed, without a reason").into())
        }
        None => Ok(()),
    }
}

/// The reports that the functions recorded, by function; in a table also printed, each as it comes.
async fn reported(
    record: &IncidentStore,
    id: &str,
    expected: &[Category],
    options: &Options,
    format: Format,
) -> Result<BTreeMap<String, Incident>, remediation::Error> {
    let progress = output::waiting("waiting for the reports");
    let until = Instant::now() + Duration::from_secs(options.wait);
    let mut reported = BTreeMap::new();
    loop {
        for incident in record.drill(id).await? {
            let new = !reported.contains_key(&incident.category);
            if new && incident.concluded_at.is_some() {
                if format == Format::Table {
                    progress.suspend(|| incidents::describe(&incident));
                }
                reported.insert(incident.category.clone(), incident);
            }
        }
        let all = expected
            .iter()
            .all(|function| reported.contains_key(function.as_str()));
        if all || Instant::now() >= until {
            return Ok(reported);
        }
        sleep(PAUSE).await;
    }
}

fn listed(functions: &[Category]) -> String {
    let names: Vec<_> = functions.iter().map(|function| function.as_str()).collect();
    names.join(" and ")
}

fn unanswered(function: Category, options: &Options) -> String {
    format!(
        "the {function} function did not report within {} seconds. Check: (1) that its rules on bus {} are \
         enabled and take the source {DRILL_SOURCE} (aws events list-rules); (2) the queues \
         EventDeadLetterQueue and OnFailureQueue (gdr redrive --list); (3) the function's log; (4) that --table \
         is the table of the same stack",
        options.wait, options.bus,
    )
}
