//! What CloudTrail's event history tells of credentials.
//!
//! `LookupEvents` answers two requests a second for the whole account and Region, takes one
//! attribute, covers 90 days of management events, and gets them some 5 minutes late:
//! <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>.
//! So requests are paced and bounded, answers are kept for the length of an invocation, and a request
//! that fails means "unknown", never "nothing happened".

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::{Builder, Region};
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::record::Record;
use crate::error::{CallContext, Error, Result};

/// Between two requests, so that the account's other readers get their share.
const PACE: Duration = Duration::from_millis(600);

/// Of one question.
pub(super) const MOST_PAGES: usize = 3;

/// How long an answer is used again. Reading back asks the same questions within seconds.
const FRESH: Duration = Duration::from_secs(60);

/// The event history of the function's Region, and of the Region that records the events of IAM.
#[derive(Debug)]
pub(super) struct Trail {
    regional: Client,
    /// `None`: it is the function's Region.
    global: Option<Client>,
    last_request: futures::lock::Mutex<Option<Instant>>,
    answers: Mutex<HashMap<Question, (Instant, Answer)>>,
}

/// Which event history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum History {
    /// The function's Region.
    Regional,
    /// The Region of IAM, and of STS's global endpoint.
    Global,
}

type Question = (History, &'static str, String, Option<Timestamp>);

/// Events, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) records: Vec<Record>,
    /// Whether there were more than were read.
    pub(super) cut: bool,
}

impl Trail {
    /// A trail that asks with these settings.
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        let client = |region: Option<&'static str>| {
            // Throttling is not waited out: what CloudTrail tells never matters more than time.
            let mut config = Builder::from(sdk)
                .retry_config(RetryConfig::standard().with_max_attempts(2))
                .timeout_config(
                    TimeoutConfig::builder()
                        .connect_timeout(Duration::from_secs(2))
                        .operation_timeout(Duration::from_secs(6))
                        .build(),
                );
            if let Some(region) = region {
                config = config.region(Region::new(region));
            }
            Client::from_conf(config.build())
        };
        let region = sdk.region().map(AsRef::as_ref).unwrap_or_default();
        let global = global_region(region);
        Self::of(
            client(None),
            (global != region).then(|| client(Some(global))),
        )
    }

    pub(super) fn of(regional: Client, global: Option<Client>) -> Self {
        Self {
            regional,
            global,
            last_request: futures::lock::Mutex::new(None),
            answers: Mutex::default(),
        }
    }

    /// The histories there are: one, where the function's Region is that of IAM.
    pub(super) fn histories(&self) -> &'static [History] {
        match self.global {
            Some(_) => &[History::Global, History::Regional],
            None => &[History::Regional],
        }
    }

    /// The history that has the events of IAM.
    pub(super) fn of_iam(&self) -> History {
        self.histories()[0]
    }

    /// The events with `value` in `attribute`, since `since`, in at most `pages` pages.
    pub(super) async fn events(
        &self,
        history: History,
        attribute: &'static str,
        value: &str,
        since: Option<Timestamp>,
        pages: usize,
    ) -> Result<Answer> {
        let question = (history, attribute, value.to_owned(), since);
        if let Some(answer) = self.known(&question) {
            return Ok(answer);
        }
        let client = match (history, &self.global) {
            (History::Global, Some(global)) => global,
            _ => &self.regional,
        };
        let attribute = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::from(attribute))
            .attribute_value(value)
            .build()
            .map_err(|error| Error::Refused(error.to_string()))?;
        let mut answer = Answer::default();
        let mut next = None;
        for _ in 0..pages {
            let request = client
                .lookup_events()
                .lookup_attributes(attribute.clone())
                .max_results(50)
                .set_start_time(since.map(|since| DateTime::from_secs(since.as_second())))
                .set_next_token(next);
            let page = {
                let mut last = self.last_request.lock().await;
                if let Some(last) = *last {
                    sleep_until(last + PACE).await;
                }
                let page = request.send().await;
                *last = Some(Instant::now());
                page.during("cloudtrail:LookupEvents", value)?
            };
            let events = page.events.unwrap_or_default();
            answer
                .records
                .extend(events.iter().filter_map(Record::read));
            next = page.next_token;
            answer.cut = next.is_some();
            if !answer.cut {
                break;
            }
        }
        if let Ok(mut answers) = self.answers.lock() {
            answers.retain(|_, (at, _)| at.elapsed() < FRESH);
            answers.insert(question, (Instant::now(), answer.clone()));
        }
        Ok(answer)
    }

    fn known(&self, question: &Question) -> Option<Answer> {
        let answers = self.answers.lock().ok()?;
        let (at, answer) = answers.get(question)?;
        (at.elapsed() < FRESH).then(|| answer.clone())
    }
}

/// Where the events of IAM are recorded,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events>.
fn global_region(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "cn-north-1",
        region if region.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    }
}
