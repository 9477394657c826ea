//! `gdr notify-test`: a drill through every channel of the notices, with the answer of each.

mod integrations;

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;
use jiff::Timestamp;
use remediation::category::Category;
use remediation::config::Config;
use remediation::error::Error;
use remediation::finding::{DETAIL_TYPE, DRILL_SOURCE, Finding};
use remediation::notify::Channel;
use remediation::report::Report;
use serde::Serialize;
use serde_json::json;

use self::integrations::Integration;
use crate::access::{Access, Caller, caller};
use crate::doctor::subscriptions;
use crate::exit::{CommandResult, REFUSED, Result};
use crate::notices;
use crate::output::{self, Format, Stream};

/// The finding type of the test, which is none of GuardDuty's.
const FINDING_TYPE: &str = "Drill:Notices/NotifyTest";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr notify-test
  gdr notify-test --yes --output json
  gdr notify-test --resolve 16afba5c5c43e07c9e3e5e2e544e95df")]
pub(crate) struct Options {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Resolve the alerts of an earlier test, by the id that it printed. Only products get this.
    #[arg(long, value_name = "ID")]
    resolve: Option<String>,
    /// How many seconds to look whether a product refuses it.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    wait: u64,
}

/// The answer of one channel.
#[derive(Debug, Serialize)]
struct Answer {
    channel: String,
    /// `accepted`, `failed`, `unknown` or `off`.
    outcome: &'static str,
    /// The id that the service gave the notice.
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    detail: String,
}

impl Answer {
    fn new(channel: impl Into<String>, outcome: &'static str, detail: impl Into<String>) -> Self {
        let (channel, detail) = (channel.into(), detail.into());
        let id = String::new();
        Self {
            channel,
            outcome,
            id,
            detail,
        }
    }
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    access: &Access,
    options: &Options,
    format: Format,
) -> CommandResult {
    let stack = access.deployment(sdk).await?.name;
    let config = notices::config(sdk, access, Category::Triage).await?;
    let caller = caller(sdk).await?;
    let resolves = options.resolve.as_deref();
    let id = match resolves {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", fastrand::u128(..)),
    };
    let finding = finding(&id, &caller, sdk)?;
    let report = report(&finding, &stack, &caller, resolves.is_some());
    let notices = notices::of(&config, sdk);
    let mut channels = notices.channels(&report);
    channels.retain(|channel| resolves.is_none() || *channel == Channel::Event);
    // The rules are read before anybody gets anything.
    let integrations = match channels.contains(&Channel::Event) {
        true => integrations::connected(sdk)
            .await
            .map_err(|error| error.to_string()),
        false => Ok(Vec::new()),
    };
    if !options.yes && !confirmed(&stack, &channels, &integrations, format) {
        output::complain("not confirmed: nothing was sent");
        return Ok(ExitCode::from(REFUSED));
    }
    let mut answers = Vec::new();
    for (channel, sent) in notices.test(&channels, &report, &finding).await {
        answers.push(answer(sdk, &config, channel, sent).await);
        if channel == Channel::Event {
            answers.extend(products(sdk, &integrations, options.wait).await);
        }
    }
    if resolves.is_none() {
        answers.extend(off(&config));
    }
    show(&id, &answers, resolves.is_some(), format)
}

/// The finding that the notices are about: a drill's, of a type that GuardDuty does not have.
fn finding(id: &str, caller: &Caller, sdk: &SdkConfig) -> Result<Finding> {
    let region = sdk.region().map(ToString::to_string).unwrap_or_default();
    let now = Timestamp::now().to_string();
    let event = json!({
        "source": DRILL_SOURCE, "detail-type": DETAIL_TYPE,
        "detail": {
            "schemaVersion": "2.0", "id": id, "accountId": caller.account, "region": region,
            "type": FINDING_TYPE, "severity": 1, "createdAt": now, "updatedAt": now,
            "title": "Test of the notices. GuardDuty found nothing.",
            "resource": { "resourceType": "Notices" },
            "service": { "serviceName": "guardduty", "archived": false, "count": 1 },
        },
    });
    Ok(Finding::parse(&event)?)
}

fn report(finding: &Finding, stack: &str, caller: &Caller, resolves: bool) -> Report {
    let by = &caller.arn;
    let reason =
        format!("test of the notices of the stack {stack}, by {by}: GuardDuty found nothing");
    if resolves {
        return Report::released(Category::Triage, finding, by, reason, Vec::new(), false);
    }
    let mut report = Report::notified(Category::Triage, finding, reason, true);
    report.next_steps = vec![format!(
        "this is a drill: tell {by} that it arrived, and close it where it opened something"
    )];
    report
}

fn confirmed(
    stack: &str,
    channels: &[Channel],
    integrations: &std::result::Result<Vec<Integration>, String>,
    format: Format,
) -> bool {
    let to = Stream::of_question(format);
    to.line(&format!(
        "A drill for everybody who gets notices of the stack {stack}:"
    ));
    for channel in channels {
        to.line(&format!("  {}", name(*channel)));
    }
    for integration in integrations.iter().flatten() {
        to.line(&format!("  {}", integration.name()));
    }
    output::confirmed("This reaches people, marked as a drill. Send? [y/N] ")
}

fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Text => "topic",
        Channel::Chat => "chat topic",
        Channel::Event => "event bus",
        Channel::SecurityHub => "Security Hub",
    }
}

/// The answer of a channel's service. For a topic, also its subscribers: SNS accepts a notice for nobody.
async fn answer(
    sdk: &SdkConfig,
    config: &Config,
    channel: Channel,
    sent: std::result::Result<String, Error>,
) -> Answer {
    let of = name(channel);
    let id = match sent {
        Ok(id) => id,
        Err(error) => return Answer::new(of, "failed", error.to_string()),
    };
    let topic = match channel {
        Channel::Text => config.topic_arn.as_deref(),
        Channel::Chat => config.notices.chat_topic_arn.as_deref(),
        Channel::Event | Channel::SecurityHub => None,
    };
    let answer = match topic {
        Some(topic) => match subscriptions(sdk, topic).await {
            Ok(found) => of_topic(of, &found),
            Err(error) => Answer::new(
                of,
                "unknown",
                format!("SNS accepted it; who has subscribed could not be read: {error}"),
            ),
        },
        None => Answer::new(of, "accepted", "EventBridge accepted the event"),
    };
    Answer { id, ..answer }
}

/// Protocol, address, and whether it is confirmed, of each subscription.
fn of_topic(of: &str, found: &[(String, String, bool)]) -> Answer {
    let confirmed = found.iter().filter(|(_, _, confirmed)| *confirmed);
    let confirmed: Vec<_> = confirmed
        .map(|(protocol, address, _)| format!("{protocol} {address}"))
        .collect();
    if confirmed.is_empty() {
        let why = "SNS accepted it, and nobody gets it: the topic has no confirmed subscription";
        return Answer::new(of, "failed", why);
    }
    let to = confirmed.join(", ");
    Answer::new(
        of,
        "accepted",
        format!("SNS accepted it for {to}: ask them whether it arrived"),
    )
}

/// The answers of the products that take events.
async fn products(
    sdk: &SdkConfig,
    integrations: &std::result::Result<Vec<Integration>, String>,
    wait: u64,
) -> Vec<Answer> {
    match integrations {
        Ok(integrations) => {
            let found = integrations::outcomes(sdk, integrations, wait).await;
            found
                .into_iter()
                .map(|(name, outcome, detail)| Answer::new(name, outcome, detail))
                .collect()
        }
        Err(error) => {
            let why = format!("the rules of the event bus could not be read: {error}");
            vec![Answer::new("products", "unknown", why)]
        }
    }
}

/// The channels that get no test, and why.
fn off(config: &Config) -> Vec<Answer> {
    let channels = [
        (
            config.notices.chat_topic_arn.is_none(),
            "chat topic",
            "ChatNotices is \"false\"",
        ),
        (
            !config.notices.events,
            "event bus",
            "ResponseEvents is \"false\"",
        ),
        (
            config.notices.security_hub_queue_url.is_none(),
            "Security Hub",
            "SecurityHub is \"false\"",
        ),
        (
            config.notices.security_hub_queue_url.is_some(),
            "Security Hub",
            "not tested: it has no drills. gdr doctor says whether it is on",
        ),
    ];
    let off = channels.into_iter().filter(|(is_off, _, _)| *is_off);
    off.map(|(_, channel, why)| Answer::new(channel, "off", why))
        .collect()
}

fn show(id: &str, answers: &[Answer], resolves: bool, format: Format) -> CommandResult {
    match format {
        Format::Json => output::json(&json!({ "id": id, "channels": answers }))?,
        Format::Table => {
            let rows = answers
                .iter()
                .map(|it| [it.channel.clone(), it.outcome.to_owned(), it.detail.clone()]);
            output::table(["CHANNEL", "OUTCOME", "FOUND"], &rows.collect::<Vec<_>>());
        }
    }
    if !resolves && answers.iter().any(|it| it.channel.starts_with("product")) {
        output::note(&format!(
            "to resolve it there: gdr notify-test --resolve {id}"
        ))?;
    }
    let failed = answers
        .iter()
        .any(|it| ["failed", "unknown"].contains(&it.outcome));
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
