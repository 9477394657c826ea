//! The products that a rule on the default event bus connects by an API destination.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{ConnectionState, RuleState, Target};
use aws_sdk_sqs::types::QueueAttributeName;
use remediation::error::{CallContext as _, Result};
use remediation::notify::SOURCE;
use tokio::time::{Instant, sleep};

/// How often the dead-letter queues are looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// A rule that sends our events to an API destination.
#[derive(Debug)]
pub(super) struct Integration {
    rule: String,
    /// Why EventBridge sends nothing by it, as far as is known.
    closed: Option<String>,
    dead_letters: Option<DeadLetters>,
}

/// The dead-letter queue of a rule's target.
#[derive(Debug)]
struct DeadLetters {
    name: String,
    url: String,
    before: u64,
}

impl Integration {
    pub(super) fn name(&self) -> String {
        format!("product by rule {}", self.rule)
    }
}

/// The products to which the default bus sends. A rule that only resolves counts too.
pub(super) async fn connected(sdk: &SdkConfig) -> Result<Vec<Integration>> {
    let client = Client::new(sdk);
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let page = client.list_rules().set_next_token(next).send().await;
        let page = page.during("events:ListRules", "the default event bus")?;
        let quoted = format!("\"{SOURCE}\"");
        for rule in page.rules() {
            if rule.event_pattern().is_some_and(|it| it.contains(&quoted)) {
                let name = rule.name().unwrap_or_default();
                let enabled = rule.state() == Some(&RuleState::Enabled);
                found.extend(of_rule(sdk, &client, name, enabled).await?);
            }
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(found);
        }
    }
}

async fn of_rule(
    sdk: &SdkConfig,
    client: &Client,
    rule: &str,
    enabled: bool,
) -> Result<Vec<Integration>> {
    let targets = client.list_targets_by_rule().rule(rule).send().await;
    let targets = targets.during("events:ListTargetsByRule", rule)?;
    let mut found = Vec::new();
    for target in targets.targets() {
        let Some((_, destination)) = target.arn().split_once(":api-destination/") else {
            continue;
        };
        let closed = match enabled {
            true => closed(client, destination).await?,
            false => Some("the rule is disabled".to_owned()),
        };
        found.push(Integration {
            rule: rule.to_owned(),
            closed,
            dead_letters: dead_letters(sdk, target).await?,
        });
    }
    Ok(found)
}

/// The reason why nothing goes to the destination. Its ARN ends with its name and an id.
async fn closed(client: &Client, destination: &str) -> Result<Option<String>> {
    let name = destination.split('/').next().unwrap_or_default();
    let found = client.describe_api_destination().name(name).send().await;
    let found = found.during("events:DescribeApiDestination", name)?;
    let connection = found.connection_arn.unwrap_or_default();
    let connection = connection.split('/').nth(1).unwrap_or_default();
    let found = client.describe_connection().name(connection).send().await;
    let found = found.during("events:DescribeConnection", connection)?;
    Ok(match found.connection_state {
        Some(ConnectionState::Authorized) => None,
        state => {
            let state = state.as_ref().map_or("unknown", ConnectionState::as_str);
            Some(format!("the connection {connection} is {state}"))
        }
    })
}

async fn dead_letters(sdk: &SdkConfig, target: &Target) -> Result<Option<DeadLetters>> {
    let arn = target.dead_letter_config().and_then(|it| it.arn());
    let Some((_, name)) = arn.and_then(|arn| arn.rsplit_once(':')) else {
        return Ok(None);
    };
    let client = aws_sdk_sqs::Client::new(sdk);
    let url = client.get_queue_url().queue_name(name).send().await;
    let url = url.during("sqs:GetQueueUrl", name)?;
    let url = url.queue_url.unwrap_or_default();
    Ok(Some(DeadLetters {
        name: name.to_owned(),
        before: messages(&client, &url).await?,
        url,
    }))
}

async fn messages(client: &aws_sdk_sqs::Client, url: &str) -> Result<u64> {
    let number = QueueAttributeName::ApproximateNumberOfMessages;
    let found = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(number.clone());
    let found = found.send().await.during("sqs:GetQueueAttributes", url)?;
    let found = found.attributes.and_then(|mut it| it.remove(&number));
    Ok(found.and_then(|it| it.parse().ok()).unwrap_or_default())
}

/// Name, outcome and detail of each. EventBridge does not publish the answer of a product: a refusal shows only as a
/// message in the dead-letter queue, and a retry does not show at all.
pub(super) async fn outcomes(
    sdk: &SdkConfig,
    integrations: &[Integration],
    wait: u64,
) -> Vec<(String, &'static str, String)> {
    let until = Instant::now() + Duration::from_secs(wait);
    let client = aws_sdk_sqs::Client::new(sdk);
    let mut outcomes = Vec::new();
    for integration in integrations {
        let (outcome, detail) = outcome(&client, integration, until, wait).await;
        outcomes.push((integration.name(), outcome, detail));
    }
    outcomes
}

async fn outcome(
    client: &aws_sdk_sqs::Client,
    integration: &Integration,
    until: Instant,
    wait: u64,
) -> (&'static str, String) {
    if let Some(closed) = &integration.closed {
        return ("failed", format!("{closed}: the product gets nothing"));
    }
    let Some(queue) = &integration.dead_letters else {
        let why = "EventBridge accepted it; whether it arrived shows in the product. The rule has no dead-letter \
                   queue";
        return ("accepted", why.to_owned());
    };
    loop {
        match messages(client, &queue.url).await {
            Ok(now) if now > queue.before => {
                let why = format!(
                    "a message came into the dead-letter queue {}: its attributes ERROR_CODE and ERROR_MESSAGE \
                     have the cause",
                    queue.name
                );
                return ("failed", why);
            }
            Ok(_) if Instant::now() < until => sleep(PAUSE).await,
            Ok(_) => {
                let why = format!(
                    "EventBridge accepted it, and nothing came into the dead-letter queue for {wait} seconds; \
                     whether it arrived shows in the product"
                );
                return ("accepted", why);
            }
            Err(error) => {
                return (
                    "unknown",
                    format!("the dead-letter queue could not be read: {error}"),
                );
            }
        }
    }
}
