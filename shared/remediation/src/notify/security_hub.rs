//! Security Hub's own record of the finding: a note of what came of it, and the workflow status
//! `NOTIFIED`.
//!
//! GuardDuty passes a finding on to Security Hub up to five minutes after it has sent the event,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/securityhub-integration.html>; until then there is nothing to
//! update. So the functions put their updates into a queue that holds them back. Triage, whose role alone may update
//! Security Hub, takes them from there. An update of a finding that is not there yet is delivered again.
//!
//! A finding has one note, and several functions have something to say of it, in whatever order their messages
//! come. So triage keeps the newest words of each function in the table, and the note has them all, each with
//! the function's name. An analyst has the last word: their note stays, and so does a workflow status that is not
//! `NEW`.
//!
//! There are two Security Hubs, CSPM and the one in [`v2`]. Each that is on gets the note.

mod v2;

use std::collections::BTreeMap;

use aws_sdk_securityhub::config::{Builder, Region};
use aws_sdk_securityhub::types::{
    AwsSecurityFinding, AwsSecurityFindingFilters, AwsSecurityFindingIdentifier, NoteUpdate,
    StringFilter, StringFilterComparison, WorkflowStatus, WorkflowUpdate,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Message;
use crate::error::{CallContext, CallError, CallFailure, Result};
use crate::finding::Finding;
use crate::queue_message;
use crate::record::{IncidentStore, incident_key};
use crate::report::Report;
use crate::trace::Trace;

/// The IAM permissions of triage beyond those of the others: to take from the queue, and to update.
pub const PERMISSIONS: &[&str] = &[
    "securityhub:BatchUpdateFindings",
    "securityhub:DescribeSecurityHubV2",
    "securityhub:GetFindings",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
];

/// How long a message is held back, in seconds. SQS allows 900.
const DELAY: i32 = 330;
/// How often a message is received before it is given up. With the queue's visibility timeout of twelve
/// minutes that is about an hour.
pub const ATTEMPTS: u32 = 5;
/// The longest note, <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_NoteUpdate.html>.
const NOTE_LIMIT: usize = 512;
/// Who writes the notes.
const WRITER: &str = "guardduty-responder";
/// Between the words of two functions. A reason that quotes a name from outside must not speak for another
/// function.
const BETWEEN: &str = " | ";
/// How often a note is written again, since another function wrote one in between.
const ROUNDS: usize = 3;
const NOT_FOUND: &str = "FindingNotFound";
/// The error code of Security Hub CSPM where it is off, <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_GetFindings.html>.
const OFF: &str = "InvalidAccessException";
/// The error codes of a finding that a later attempt may update,
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html>.
const LATER: [&str; 3] = [NOT_FOUND, "ConcurrentUpdateError", "InternalFailure"];

/// An update of one finding in Security Hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The finding's ARN, which is its id in Security Hub.
    finding: String,
    /// The ARN of GuardDuty as a product of Security Hub.
    product: String,
    region: String,
    /// Which function says it, and of a part of an attack sequence, of what. Earlier versions did not say.
    #[serde(default)]
    from: String,
    /// The words of the note.
    note: String,
    /// The time of the words. `None`: the message was handed over without its attributes.
    #[serde(skip)]
    said_at: Option<Timestamp>,
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
            from: incident_key(report.category(), finding),
            note: words(report),
            finding: arn,
            said_at: None,
            attempt: 1,
        })
    }

    /// The words without the name of the responder, which earlier versions put before them.
    fn words(&self) -> &str {
        let named = self.note.strip_prefix(WRITER);
        let words = named.and_then(|note| note.strip_prefix(": "));
        words.unwrap_or(&self.note)
    }

    /// True if it is not tried again.
    pub(crate) fn is_last(&self) -> bool {
        self.attempt >= ATTEMPTS
    }
}

/// The outcome, in characters that a note may have.
fn words(report: &Report) -> String {
    cut(&render::notice::note(report).replace('|', "/"), NOTE_LIMIT)
}

/// A note with what each function says, by its name.
fn note(said: &BTreeMap<String, String>) -> String {
    let between = BETWEEN.chars().count() * said.len().saturating_sub(1);
    let left = NOTE_LIMIT.saturating_sub(WRITER.len() + ": ".len() + between);
    let each = left / said.len().max(1);
    let said = said.iter().map(|(from, words)| match from.as_str() {
        "" => cut(words, each),
        from => cut(&format!("{}: {words}", from.replace(['#', '|'], " ")), each),
    });
    let said: Vec<_> = said.collect();
    format!("{WRITER}: {}", said.join(BETWEEN))
}

/// At most so many characters.
fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept = text.chars().take(limit.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// The queue that holds back the updates of Security Hub.
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
pub fn received(payload: &Value) -> Option<Update> {
    let (record, mut message) = queue_message::received(payload)?;
    let update: Update = serde_json::from_value(message.get_mut("security_hub")?.take()).ok()?;
    let attempt = record["attributes"]["ApproximateReceiveCount"].as_str();
    let sent = record["attributes"]["SentTimestamp"].as_str();
    let sent = sent.and_then(|sent| sent.parse().ok());
    Some(Update {
        said_at: sent.and_then(|sent| Timestamp::from_millisecond(sent).ok()),
        attempt: attempt.and_then(|count| count.parse().ok()).unwrap_or(1),
        ..update
    })
}

/// The update that Lambda hands over of a message of [`Outbox`], read from the message, and the ARN of the finding: for
/// updates that the queue has given up on. `None`: it is no such message.
pub fn handed_over(message: &str) -> Option<(String, Value)> {
    let payload = queue_message::handed_over(message);
    let update = received(&payload)?;
    Some((update.finding, payload))
}

/// The answer of a function that was to update Security Hub.
#[derive(Debug, Serialize)]
pub struct Updated {
    /// The finding's ARN.
    security_hub: String,
    updated: bool,
    /// The next step if it was not updated.
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

    /// Writes the note, with the last words of every function by `record`, and the status. Does nothing if the function
    /// has newer words.
    ///
    /// # Errors
    /// If Security Hub refused it, could not be reached, or does not have the finding, which may come; or the table
    /// does not answer.
    pub(crate) async fn update(
        &self,
        update: &Update,
        record: Option<&IncidentStore>,
    ) -> Result<()> {
        let mut written = None;
        for _ in 0..ROUNDS {
            let Some(said) = said(update, record).await? else {
                return Ok(());
            };
            // The words that another function said while the note was written are in it too, whoever writes last.
            let note = note(&said);
            if written.as_ref() == Some(&note) {
                return Ok(());
            }
            Box::pin(self.write(update, &note)).await?;
            if record.is_none() {
                return Ok(());
            }
            written = Some(note);
        }
        Ok(())
    }

    /// Writes into each Security Hub that is on. One of them must be.
    async fn write(&self, update: &Update, note: &str) -> Result<()> {
        let (cspm, v2) = futures::join!(
            Box::pin(self.write_cspm(update, note)),
            Box::pin(self.write_v2(update, note))
        );
        match (cspm, v2) {
            (Err(off), Ok(true)) if off.has_code(OFF) => Ok(()),
            (cspm, Ok(_)) => cspm,
            (Ok(()), Err(v2)) => Err(v2),
            (Err(cspm), Err(v2)) => {
                // A failure that may pass decides whether it is retried.
                let passes = v2.is_transient() && !cspm.is_transient();
                let (told, other) = if passes || cspm.has_code(OFF) {
                    (v2, cspm)
                } else {
                    (cspm, v2)
                };
                tracing::error!(error = %other, "the other Security Hub was not updated either");
                Err(told)
            }
        }
    }

    async fn write_cspm(&self, update: &Update, note: &str) -> Result<()> {
        const OPERATION: &str = "securityhub:BatchUpdateFindings";
        let current = self.current(update).await?;
        let note_by = current.note.map(|note| note.updated_by);
        let an_analysts = note_by.is_some_and(|by| by.as_deref() != Some(WRITER));
        let status = current.workflow.and_then(|workflow| workflow.status);
        let new = status.is_none_or(|status| status == WorkflowStatus::New);
        if an_analysts && !new {
            return Ok(());
        }
        let finding = AwsSecurityFindingIdentifier::builder()
            .id(&update.finding)
            .product_arn(&update.product)
            .build();
        let note = NoteUpdate::builder().text(note).updated_by(WRITER).build();
        let workflow = WorkflowUpdate::builder().status(WorkflowStatus::Notified);
        let answer = self
            .0
            .batch_update_findings()
            .finding_identifiers(finding)
            .set_note(Some(note).filter(|_| !an_analysts))
            .set_workflow(Some(workflow.build()).filter(|_| new))
            .customize()
            .config_override(in_region(update))
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

    /// The finding as Security Hub has it.
    async fn current(&self, update: &Update) -> Result<AwsSecurityFinding> {
        const OPERATION: &str = "securityhub:GetFindings";
        let filters = AwsSecurityFindingFilters::builder()
            .id(equals(&update.finding))
            .product_arn(equals(&update.product))
            .build();
        let answer = self
            .0
            .get_findings()
            .filters(filters)
            .customize()
            .config_override(in_region(update))
            .send()
            .await
            .during(OPERATION, &update.finding)?;
        let found = answer.findings.unwrap_or_default().into_iter().next();
        found.ok_or_else(|| {
            let message = "Security Hub does not have the finding";
            let error = CallError::within_answer(OPERATION, &update.finding, NOT_FOUND, message);
            let kind = CallFailure::Transient;
            CallError { kind, ..error }.into()
        })
    }
}

/// The last words of each function about the finding, this one included. `None`: it has newer words.
async fn said(
    update: &Update,
    record: Option<&IncidentStore>,
) -> Result<Option<BTreeMap<String, String>>> {
    let alone = || BTreeMap::from([(update.from.clone(), update.words().to_owned())]);
    let Some(record) = record else {
        return Ok(Some(alone()));
    };
    let saying = record.say(
        &update.finding,
        &update.from,
        update.words(),
        update.said_at,
    );
    match Box::pin(saying).await {
        // Without the table, what this function says is better than nothing.
        Err(error) if update.is_last() => {
            tracing::error!(%error, "the note in Security Hub has the words of one function only");
            Ok(Some(alone()))
        }
        said => said,
    }
}

fn equals(value: &str) -> StringFilter {
    let filter = StringFilter::builder().value(value);
    filter.comparison(StringFilterComparison::Equals).build()
}

/// Calls where the finding is.
fn in_region(update: &Update) -> Builder {
    Builder::default().region(Region::new(update.region.clone()))
}

#[cfg(test)]
pub(crate) mod tests;
