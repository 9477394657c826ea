//! The channels that report on a finding: people by SNS, as text and in a chat; other tools by an event; and Security
//! Hub.
//!
//! All are notified at the same time, after the containment. None waits for another, and what fails is in the report,
//! in the record and, if it may pass, retried; a sent notice is not sent again.

mod event;
pub mod security_hub;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_config::SdkConfig;
use futures::future::join_all;
use tokio::time::Instant;

pub use self::event::{DRILL_DETAIL_TYPE, SOURCE};
use crate::error::{CallContext, Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::report::Report;
use crate::trace::Trace;
pub use render::chat::DETAIL_TYPE;
pub use render::notice::{Notice, render};

/// How long telling what the operator did may take.
const ANNOUNCING: Duration = Duration::from_secs(10);

/// A way to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The notice as text, by SNS.
    Text,
    /// The notice for a chat, by SNS.
    Chat,
    /// The report as an event of EventBridge.
    Event,
    /// Security Hub's own record of the finding.
    SecurityHub,
}

impl Channel {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Text, Self::Chat, Self::Event, Self::SecurityHub];

    /// The word in the log and in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Chat => "chat",
            Self::Event => "event",
            Self::SecurityHub => "security_hub",
        }
    }

    /// Whether it is for people, who get one notice of an open breaker only.
    pub(crate) fn is_for_people(self) -> bool {
        self != Self::Event
    }

    /// The step for the on-call engineer if it failed.
    pub(crate) fn instead(self) -> &'static str {
        match self {
            Self::Text => "tell the person on call, who was not notified",
            Self::Chat => "tell the chat, which was not notified",
            Self::Event => {
                "tell the tools that wait for the event GuardDuty Response, which was not sent"
            }
            Self::SecurityHub => {
                "set the finding to NOTIFIED in Security Hub, which was not updated"
            }
        }
    }

    /// The called operation, which is also the IAM permission that it takes.
    fn operation(self) -> &'static str {
        match self {
            Self::Text | Self::Chat => "sns:Publish",
            Self::Event => "events:PutEvents",
            Self::SecurityHub => "sqs:SendMessage",
        }
    }
}

/// Which channels there are beside the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `CHAT_TOPIC_ARN`: the topic that a chat reads.
    pub chat_topic_arn: Option<String>,
    /// `RESPONSE_EVENTS`: put the report on the default event bus.
    pub events: bool,
    /// `SECURITY_HUB_QUEUE_URL`: the queue of Security Hub's updates.
    pub security_hub_queue_url: Option<String>,
}

impl Settings {
    /// The IAM permissions that telling needs. Each is on the stack's own topics, queue and the default bus.
    pub fn permissions(&self) -> BTreeSet<&'static str> {
        let has = |channel: &Channel| match channel {
            Channel::Text => true,
            Channel::Chat => self.chat_topic_arn.is_some(),
            Channel::Event => self.events,
            Channel::SecurityHub => self.security_hub_queue_url.is_some(),
        };
        let channels = Channel::ALL.into_iter().filter(has);
        channels.map(Channel::operation).collect()
    }
}

/// The message of a notice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) report: &'a Report,
    pub(crate) finding: &'a Finding,
    pub(crate) trace: Option<&'a Trace>,
    /// True if tools that page people may do so: not for a drill, nor for an open breaker that was notified before.
    pub(crate) asks_people: bool,
}

/// The channels, with what they are reached by.
#[derive(Clone, Debug)]
pub struct Notices {
    sns: aws_sdk_sns::Client,
    topic_arn: Option<String>,
    chat_topic_arn: Option<String>,
    events: Option<aws_sdk_eventbridge::Client>,
    security_hub: Option<security_hub::Outbox>,
}

impl Notices {
    /// Text alone, to `topic_arn`. `None`: telling fails and says so.
    pub fn new(sns: aws_sdk_sns::Client, topic_arn: Option<String>) -> Self {
        Self {
            sns,
            topic_arn,
            chat_topic_arn: None,
            events: None,
            security_hub: None,
        }
    }

    /// The same, with all that `settings` ask for.
    #[must_use]
    pub fn with(mut self, settings: &Settings, sdk: &SdkConfig) -> Self {
        self.chat_topic_arn.clone_from(&settings.chat_topic_arn);
        if settings.events {
            self = self.by_event(aws_sdk_eventbridge::Client::new(sdk));
        }
        if let Some(url) = &settings.security_hub_queue_url {
            let sqs = aws_sdk_sqs::Client::new(sdk);
            self = self.in_security_hub(security_hub::Outbox::new(sqs, url.clone()));
        }
        self
    }

    /// The same, and for a chat to this topic.
    #[must_use]
    pub fn in_chat(self, topic_arn: String) -> Self {
        Self {
            chat_topic_arn: Some(topic_arn),
            ..self
        }
    }

    /// The same, and as an event.
    #[must_use]
    pub fn by_event(self, client: aws_sdk_eventbridge::Client) -> Self {
        Self {
            events: Some(client),
            ..self
        }
    }

    /// The same, and to Security Hub.
    #[must_use]
    pub fn in_security_hub(self, outbox: security_hub::Outbox) -> Self {
        Self {
            security_hub: Some(outbox),
            ..self
        }
    }

    /// The channels that send `report`. Security Hub has no drills.
    pub fn channels(&self, report: &Report) -> Vec<Channel> {
        let has = |channel: &Channel| match channel {
            Channel::Text => true,
            Channel::Chat => self.chat_topic_arn.is_some(),
            Channel::Event => self.events.is_some(),
            Channel::SecurityHub => self.security_hub.is_some() && !report.drill(),
        };
        Channel::ALL.into_iter().filter(has).collect()
    }

    /// Tells by every channel what the operator did. Answers what came of each; if one failed, the report has the step
    /// instead.
    pub(crate) async fn announce(
        &self,
        report: &mut Report,
        finding: &Finding,
    ) -> Vec<(Channel, Result<String>)> {
        let channels = self.channels(report);
        let message = Message {
            report,
            finding,
            trace: None,
            asks_people: true,
        };
        let sent = self.send(&channels, message, Instant::now() + ANNOUNCING);
        let sent = sent.await;
        for (channel, sent) in &sent {
            if let Err(error) = sent {
                let next = format!("{}: {error}", channel.instead());
                report.next_steps.push(next);
            }
        }
        sent
    }

    /// Sends the notices of a test through `channels`. Answers the id that the service gave each.
    pub async fn test(
        &self,
        channels: &[Channel],
        report: &Report,
        finding: &Finding,
    ) -> Vec<(Channel, Result<String>)> {
        let message = Message {
            report,
            finding,
            trace: None,
            asks_people: true,
        };
        self.send(channels, message, Instant::now() + ANNOUNCING)
            .await
    }

    /// Sends by all of `channels` at the same time. Answers the id that the service gave each notice.
    pub(crate) async fn send(
        &self,
        channels: &[Channel],
        message: Message<'_>,
        until: Instant,
    ) -> Vec<(Channel, Result<String>)> {
        let sending = channels.iter().map(async |&channel| {
            let sent = Box::pin(self.over(channel, message));
            (channel, within(until, channel.operation(), sent).await)
        });
        join_all(sending).await
    }

    async fn over(&self, channel: Channel, message: Message<'_>) -> Result<String> {
        let Message { report, .. } = message;
        match channel {
            Channel::Text => {
                let topic = self.topic_arn.as_deref();
                let topic = topic.ok_or_else(|| unset("NOTIFICATION_TOPIC_ARN"))?;
                let Notice { subject, body } = render(report);
                self.publish(topic, Some(subject), body).await
            }
            Channel::Chat => {
                let topic = self.chat_topic_arn.as_deref();
                let topic = topic.ok_or_else(|| unset("CHAT_TOPIC_ARN"))?;
                self.publish(topic, None, render::chat::render(report))
                    .await
            }
            Channel::Event => {
                let client = self.events.as_ref();
                let client = client.ok_or_else(|| unset("RESPONSE_EVENTS"))?;
                event::put(client, message).await
            }
            Channel::SecurityHub => {
                let outbox = self.security_hub.as_ref();
                let outbox = outbox.ok_or_else(|| unset("SECURITY_HUB_QUEUE_URL"))?;
                outbox.send(message).await.map(|()| String::new())
            }
        }
    }

    async fn publish(
        &self,
        topic: &str,
        subject: Option<String>,
        message: String,
    ) -> Result<String> {
        let call = self.sns.publish().topic_arn(topic).message(message);
        let done = call.set_subject(subject).send().await;
        let done = done.during("sns:Publish", topic)?;
        Ok(done.message_id.unwrap_or_default())
    }
}

fn unset(name: &str) -> Error {
    Error::Refused(format!("{name} is not set"))
}
