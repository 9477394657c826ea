//! Security Hub's own record of the finding: a note of what came of it, and the workflow status
//! `NOTIFIED`.
//!
//! GuardDuty passes a finding on to Security Hub up to five minutes after it has sent the event,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/securityhub-integration.html>; until then there is
//! nothing to update. So the functions put what is to be said into a queue that holds it back, and triage,
//! whose role alone may update Security Hub, takes it from there. What is not there yet comes again.

use aws_sdk_securityhub::config::{Builder, Region};
use aws_sdk_securityhub::types::{
    AwsSecurityFindingIdentifier, NoteUpdate, WorkflowStatus, WorkflowUpdate,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Message;
use crate::error::{CallContext, CallError, CallFailure, Result};
use crate::finding::{Finding, printable};
use crate::queue_message;
use crate::report::Report;
use crate::trace::Trace;

/// The IAM permissions of triage beyond those of the others: to take from the queue, and to update.
pub const PERMISSIONS: &[&str] = &[
    "securityhub:BatchUpdateFindings",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
];

/// How long a message is held back, in seconds. SQS allows 900.
const DELAY: i32 = 330;
/// How often a message is received before it is given up. With the queue's visibility timeout of twelve
/// minutes that is about an hour.
pub const ATTEMPTS: u32 = 5;
/// Of a note, <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_NoteUpdate.html>.
const NOTE_LIMIT: usize = 512;
/// The error codes of a finding that a later attempt may update,
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html>.
const LATER: [&str; 3] = [
    "FindingNotFound",
    "ConcurrentUpdateError",
    "InternalFailure",
];

/// What Security Hub is to be told of one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The finding's ARN, which is its id in Security Hub.
    finding: String,
    /// The ARN of GuardDuty as a product of Security Hub.
    product: String,
    region: String,
    note: String,
    /// How often it was received, this time included.
    #[serde(skip)]
    attempt: u32,
}

impl Update {
    fn new(report: &Report, finding: &Finding) -> Result<Self> {
        let arn = finding.guardduty_arn()?;
        let mut parts = arn.splitn(5, ':').skip(1);
        let (partition, _, region) = (parts.next(), parts.next(), parts.next());
        let (partition, region) = (partition.unwrap_or_default(), region.unwrap_or_default());
        Ok(Self {
            product: format!("arn:{partition}:securityhub:{region}::product/aws/guardduty"),
            region: region.to_owned(),
            note: note(report),
            finding: arn,
            attempt: 1,
        })
    }

    /// True if it is not tried again.
    pub(crate) fn is_last(&self) -> bool {
        self.attempt >= ATTEMPTS
    }
}

/// What came of it, in what a note may have.
fn note(report: &Report) -> String {
    let status = report.status().as_str();
    let mut note = printable(&format!(
        "guardduty-responder: {status}: {}",
        report.reason()
    ));
    if note.chars().count() > NOTE_LIMIT {
        note = note.chars().take(NOTE_LIMIT - 1).chain(['…']).collect();
    }
    note
}

/// The queue that holds back what Security Hub is to be told.
#[derive(Clone, Debug)]
pub struct Outbox {
    client: aws_sdk_sqs::Client,
    queue_url: String,
}

impl Outbox {
    /// The queue at `queue_url`.
    pub fn new(client: aws_sdk_sqs::Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    pub(super) async fn send(&self, message: Message<'_>) -> Result<()> {
        let update = Update::new(message.report, message.finding)?;
        let body = json!({ "security_hub": update }).to_string();
        let call = self
            .client
            .send_message()
            .queue_url(&self.queue_url)
            .delay_seconds(DELAY)
            .message_body(body)
            .set_message_system_attributes(message.trace.and_then(Trace::sqs_attributes));
        let sent = call.send().await;
        sent.during("sqs:SendMessage", &self.queue_url).map(drop)
    }
}

/// Takes a message of the queue apart, as Lambda hands it over. `None`: the payload is something else.
pub(crate) fn received(payload: &Value) -> Option<Update> {
    let (record, mut message) = queue_message::received(payload)?;
    let update: Update = serde_json::from_value(message.get_mut("security_hub")?.take()).ok()?;
    let attempt = record["attributes"]["ApproximateReceiveCount"].as_str();
    Some(Update {
        attempt: attempt.and_then(|count| count.parse().ok()).unwrap_or(1),
        ..update
    })
}

/// What Lambda hands over of a message of [`Outbox`], made of the message, and the ARN of the finding: to have
/// Security Hub told what the queue has given up on. `None`: it is no such message.
pub fn handed_over(message: &str) -> Option<(String, Value)> {
    let payload = queue_message::handed_over(message);
    let update = received(&payload)?;
    Some((update.finding, payload))
}

/// What a function answers that was to update Security Hub.
#[derive(Debug, Serialize)]
pub struct Updated {
    /// The finding's ARN.
    security_hub: String,
    updated: bool,
    /// What to do where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<String>,
}

impl Updated {
    /// `next_step`: it was not, and this is to be done.
    pub(crate) fn new(update: &Update, next_step: Option<String>) -> Self {
        Self {
            security_hub: update.finding.clone(),
            updated: next_step.is_none(),
            next_step,
        }
    }
}

/// The way to Security Hub.
#[derive(Clone, Debug)]
pub struct SecurityHub(aws_sdk_securityhub::Client);

impl SecurityHub {
    /// By this client, whatever its Region is.
    pub fn new(client: aws_sdk_securityhub::Client) -> Self {
        Self(client)
    }

    /// Writes the note and the status.
    ///
    /// # Errors
    /// If Security Hub refused it, could not be reached, or does not have the finding, which may come.
    pub(crate) async fn update(&self, update: &Update) -> Result<()> {
        const OPERATION: &str = "securityhub:BatchUpdateFindings";
        let finding = AwsSecurityFindingIdentifier::builder()
            .id(&update.finding)
            .product_arn(&update.product)
            .build();
        let note = NoteUpdate::builder()
            .text(&update.note)
            .updated_by("guardduty-responder")
            .build();
        let workflow = WorkflowUpdate::builder().status(WorkflowStatus::Notified);
        let region = Builder::default().region(Region::new(update.region.clone()));
        let answer = self
            .0
            .batch_update_findings()
            .finding_identifiers(finding)
            .note(note)
            .workflow(workflow.build())
            .customize()
            .config_override(region)
            .send()
            .await
            .during(OPERATION, &update.finding)?;
        let Some(refused) = answer.unprocessed_findings().first() else {
            return Ok(());
        };
        let code = refused.error_code().unwrap_or_default();
        let message = refused.error_message().unwrap_or_default();
        let mut error = CallError::within_answer(OPERATION, &update.finding, code, message);
        if LATER.contains(&code) {
            error.kind = CallFailure::Transient;
        }
        Err(error.into())
    }
}

#[cfg(test)]
mod tests;
