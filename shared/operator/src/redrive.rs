//! `gdr redrive`: shows the messages of the queues, and sends each again to its function.
//!
//! A message is deleted only after Lambda has accepted its event, so that nothing is lost. A function that gets
//! an event twice finds the target contained and does nothing. Until then the message is hidden from other
//! receivers, and returned at the end if it was not sent.

mod letter;

use std::process::ExitCode;

use aws_config::SdkConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use remediation::category::Category;
use remediation::error::{CallContext as _, Error, Result};
use serde_json::{Value, json};

use self::letter::{Address, Functions, Held, Letter};
use crate::access::Access;
use crate::deployment::Deployment;
use crate::exit::{CommandResult, REFUSED};
use crate::output::{self, Format, Stream};

/// Seconds for which nobody else sees what was received: time to read and to answer.
const HOLD: i32 = 300;

/// Seconds for which one message is held while it is sent.
const SENDING: i32 = 60;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr redrive --list
  gdr redrive --finding 16afba5c
  gdr redrive --queue on-failure --yes --late")]
pub(crate) struct Options {
    /// Only the messages of this queue.
    #[arg(long, value_enum)]
    queue: Option<Queue>,
    /// Only the messages about this finding: its id, or the beginning of it.
    #[arg(long, value_name = "ID")]
    finding: Option<String>,
    /// Show the messages, and send nothing.
    #[arg(long, conflicts_with_all = ["yes", "late"])]
    list: bool,
    /// Send also messages older than an hour, which --yes leaves.
    #[arg(long)]
    late: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// The queues of the stack, by their outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Queue {
    /// Events that EventBridge could not deliver (EventDeadLetterQueue).
    Undelivered,
    /// Events on which a function failed three times (OnFailureQueue).
    OnFailure,
}

impl Queue {
    const ALL: [Self; 2] = [Self::Undelivered, Self::OnFailure];

    fn output(self) -> &'static str {
        match self {
            Self::Undelivered => "EventDeadLetterQueue",
            Self::OnFailure => "OnFailureQueue",
        }
    }
}

/// The outcome for a letter.
#[derive(Debug)]
enum Fate {
    /// Lambda accepted its event.
    Sent,
    /// Left in its queue, as requested.
    Left(&'static str),
    /// Left in its queue until the operator gives `--late`.
    Late,
    /// Left in its queue, because sending it failed.
    Failed(String),
}

pub(crate) async fn run(
    sdk: &SdkConfig,
    access: &Access,
    options: &Options,
    format: Format,
) -> CommandResult {
    let deployment = access.deployment(sdk).await?;
    let (sqs, lambda) = (Client::new(sdk), aws_sdk_lambda::Client::new(sdk));
    let mut letters = Vec::new();
    let received = receive_all(&sqs, &deployment, options, &mut letters).await;
    let fates = match &received {
        Ok(()) => redrive(&sqs, &lambda, &letters, options, format).await,
        Err(_) => Vec::new(),
    };
    for (index, letter) in letters.iter().enumerate() {
        if !matches!(fates.get(index), Some(Fate::Sent)) {
            give_back(&sqs, &letter.message).await;
        }
    }
    received?;
    conclude(&letters, &fates, format)
}

/// Receives the requested messages, which hides them from others. After a failure, `letters` holds those received.
async fn receive_all(
    sqs: &Client,
    deployment: &Deployment,
    options: &Options,
    letters: &mut Vec<Letter>,
) -> Result<()> {
    let functions = functions(deployment)?;
    for queue in Queue::ALL {
        if options.queue.is_none_or(|wanted| wanted == queue) {
            let url = deployment.output(queue.output())?;
            receive(sqs, queue, url, &functions, letters).await?;
        }
    }
    if let Some(id) = &options.finding {
        let others = letters.extract_if(.., |letter| !letter.finding_id.starts_with(id));
        for letter in others {
            give_back(sqs, &letter.message).await;
        }
    }
    letters.sort_by_key(|letter| letter.at);
    Ok(())
}

async fn receive(
    sqs: &Client,
    queue: Queue,
    url: &str,
    functions: &Functions,
    letters: &mut Vec<Letter>,
) -> Result<()> {
    let progress = output::busy(&format!("messages of {}", queue.output()));
    loop {
        let answer = sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .visibility_timeout(HOLD)
            // A short poll asks only some of the servers that hold messages.
            .wait_time_seconds(1)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .during("sqs:ReceiveMessage", url)?;
        let messages = answer.messages.unwrap_or_default();
        if messages.is_empty() {
            return Ok(());
        }
        for message in messages {
            let letter = Letter::read(queue.output(), url, message, functions, Timestamp::now());
            // A queue may deliver a message twice; the last receipt is the one that counts.
            letters.retain(|other| other.message.id != letter.message.id);
            letters.push(letter);
            progress.inc(1);
        }
    }
}

fn functions(deployment: &Deployment) -> Result<Functions> {
    let known: Result<_> = Category::ALL
        .into_iter()
        .map(|category| deployment.function_arn(category))
        .collect();
    let looks_again: Result<_> = Category::CONTAINING
        .into_iter()
        .map(|category| Ok((category.as_str(), deployment.function_arn(category)?)))
        .collect();
    Ok(Functions {
        known: known?,
        looks_again: looks_again?,
        tells_security_hub: deployment.function_arn(Category::Triage)?,
    })
}

/// Shows, asks, and sends. Answers the fate of each letter.
async fn redrive(
    sqs: &Client,
    lambda: &aws_sdk_lambda::Client,
    letters: &[Letter],
    options: &Options,
    format: Format,
) -> Vec<Fate> {
    let spared: Vec<_> = letters.iter().map(|it| spared(it, options)).collect();
    let chosen = || {
        letters
            .iter()
            .zip(&spared)
            .filter(|(_, fate)| fate.is_none())
    };
    let late = chosen().filter(|(letter, _)| letter.late).count();
    let asks = !options.yes && chosen().count() > 0;
    if asks || format == Format::Table {
        show(letters, Stream::of_question(format));
    }
    let declined = asks && !output::confirmed(&question(chosen().count(), late));
    let progress = output::busy("sent");
    let mut fates = Vec::new();
    for (letter, spared) in letters.iter().zip(spared) {
        fates.push(match spared {
            Some(fate) => fate,
            None if declined => Fate::Left(DECLINED),
            None => match send(sqs, lambda, letter).await {
                Ok(()) => Fate::Sent,
                Err(error) => Fate::Failed(error.to_string()),
            },
        });
        progress.inc(1);
    }
    fates
}

const DECLINED: &str = "not confirmed";

/// Why a letter is not to be sent.
fn spared(letter: &Letter, options: &Options) -> Option<Fate> {
    match &letter.to {
        Address::Undeliverable(why) => Some(Fate::Failed(why.clone())),
        Address::Function(..) if options.list => Some(Fate::Left("only listed")),
        Address::Function(..) if letter.late && options.yes && !options.late => Some(Fate::Late),
        Address::Function(..) => None,
    }
}

fn question(chosen: usize, late: usize) -> String {
    let late = match late {
        0 => String::new(),
        late => format!(
            "{} older than an hour: a resource may have changed hands since (an address, a user of the same \
             name). ",
            output::counted(late as u64, "message")
        ),
    };
    let chosen = output::counted(chosen as u64, "message");
    format!(
        "{late}The functions act on these messages as on new findings. Send {chosen} again? [y/N] "
    )
}

/// Hands what the letter holds to its function, and only then deletes it.
async fn send(sqs: &Client, lambda: &aws_sdk_lambda::Client, letter: &Letter) -> Result<()> {
    let Address::Function(function, payload) = &letter.to else {
        return Err(Error::Refused("the message is for no function".to_owned()));
    };
    // A message that is visible again may be sent by somebody else.
    hold(sqs, &letter.message, SENDING).await?;
    let invoked = lambda
        .invoke()
        .function_name(function)
        .invocation_type(InvocationType::Event)
        .payload(Blob::new(payload.to_string()))
        .send()
        .await
        .during("lambda:InvokeFunction", function)?;
    if invoked.status_code() != 202 {
        return Err(Error::Refused(format!(
            "lambda:InvokeFunction on {function} failed: the event was not accepted (status {})",
            invoked.status_code()
        )));
    }
    let Held {
        queue_url, receipt, ..
    } = &letter.message;
    let deleted = sqs.delete_message().queue_url(queue_url);
    let deleted = deleted.receipt_handle(receipt).send().await;
    deleted
        .during("sqs:DeleteMessage", queue_url)
        .map(drop)
        .map_err(|error| {
            Error::Refused(format!(
                "the event was sent, but the message was not deleted: {error}"
            ))
        })
}

async fn hold(sqs: &Client, message: &Held, seconds: i32) -> Result<()> {
    sqs.change_message_visibility()
        .queue_url(&message.queue_url)
        .receipt_handle(&message.receipt)
        .visibility_timeout(seconds)
        .send()
        .await
        .during("sqs:ChangeMessageVisibility", &message.queue_url)?;
    Ok(())
}

/// Lets others see a message again. If that fails, they do when its time is over.
async fn give_back(sqs: &Client, message: &Held) {
    if let Err(error) = hold(sqs, message, 0).await {
        output::complain(&format!(
            "a message is out of sight for at most {HOLD} seconds more: {error}"
        ));
    }
}

fn show(letters: &[Letter], to: Stream) {
    if letters.is_empty() {
        return;
    }
    let or_none = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    let rows: Vec<_> = letters
        .iter()
        .map(|letter| {
            let function = match &letter.to {
                Address::Function(arn, _) => arn.rsplit(':').next().unwrap_or(arn).to_owned(),
                Address::Undeliverable(_) => "-".to_owned(),
            };
            let late = if letter.late { " (late)" } else { "" };
            [
                letter.queue.to_owned(),
                format!("{}{late}", output::second(letter.at)),
                or_none(&letter.finding_id),
                or_none(&letter.finding_type),
                or_none(&letter.account_id),
                function,
                letter
                    .tries
                    .map_or("-".to_owned(), |tries| tries.to_string()),
                or_none(&letter.why),
            ]
        })
        .collect();
    to.table(
        [
            "QUEUE", "WHEN", "FINDING", "TYPE", "ACCOUNT", "FUNCTION", "TRIES", "WHY",
        ],
        &rows,
    );
}

fn conclude(letters: &[Letter], fates: &[Fate], format: Format) -> CommandResult {
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
    let late = count(|fate| matches!(fate, Fate::Late));
    let failed = count(|fate| matches!(fate, Fate::Failed(_)));
    let declined = count(|fate| matches!(fate, Fate::Left(why) if *why == DECLINED));
    match format {
        Format::Json => output::json(&as_json(letters, fates)?)?,
        Format::Table if letters.is_empty() => output::line("these queues have no such message"),
        Format::Table => {
            let sent = count(|fate| matches!(fate, Fate::Sent));
            output::line(&format!("sent {sent}, left {}", fates.len() - sent));
        }
    }
    for (letter, fate) in letters.iter().zip(fates) {
        if let Fate::Failed(why) = fate {
            let (id, finding) = (&letter.message.id, &letter.finding_id);
            output::complain(&format!(
                "message {id} was not re-sent and stays in {} (finding {finding}): {why}",
                letter.queue
            ));
        }
    }
    if late > 0 {
        output::complain(&format!(
            "left in the queues, because older than an hour: {}. Read them with --list, and give --late to send \
             them too",
            output::counted(late as u64, "message")
        ));
    }
    if declined > 0 {
        output::complain("nothing was sent");
    }
    Ok(if failed > 0 {
        ExitCode::FAILURE
    } else if late + declined > 0 {
        ExitCode::from(REFUSED)
    } else {
        ExitCode::SUCCESS
    })
}

fn as_json(letters: &[Letter], fates: &[Fate]) -> serde_json::Result<Vec<Value>> {
    let letters = letters.iter().zip(fates);
    letters
        .map(|(letter, fate)| {
            let mut entry = serde_json::to_value(letter)?;
            entry["message_id"] = json!(letter.message.id);
            entry["sent"] = json!(matches!(fate, Fate::Sent));
            match fate {
                Fate::Sent => {}
                Fate::Left(why) => entry["left_because"] = json!(why),
                Fate::Late => entry["left_because"] = json!("it is older than an hour"),
                Fate::Failed(why) => entry["left_because"] = json!(why),
            }
            Ok(entry)
        })
        .collect()
}
