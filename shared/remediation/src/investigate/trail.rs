//! What CloudTrail's event history tells of credentials.
//!
//! `LookupEvents` answers two requests a second for the whole account and Region, takes one
//! attribute, covers 90 days of management events, and gets them some 5 minutes late:
//! <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>.
//! So requests are paced and bounded, answers are kept for a minute, and a request
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

/// Of one question, each with up to 50 events.
pub(crate) const MOST_PAGES: usize = 3;

/// How long an answer is used again. Reading back asks the same questions within seconds.
const FRESH: Duration = Duration::from_secs(60);

/// The event history of the function's Region, and of the Region that records the events of IAM.
#[derive(Debug)]
pub(crate) struct Trail {
    regional: Client,
    /// `None`: it is the function's Region.
    global: Option<Client>,
    last_request: futures::lock::Mutex<Option<Instant>>,
    answers: Mutex<HashMap<Lookup, (Instant, Events)>>,
}

/// Which event history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum History {
    /// The function's Region.
    Regional,
    /// The Region of IAM, and of STS's global endpoint.
    Global,
}

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lookup {
    pub(crate) history: History,
    /// One of the names of `LookupAttributeKey`.
    pub(crate) attribute: &'static str,
    pub(crate) value: String,
    pub(crate) since: Option<Timestamp>,
    /// No later than this.
    pub(crate) until: Option<Timestamp>,
    pub(crate) pages: usize,
}

impl Lookup {
    /// The newest page of all events with `value` in `attribute`.
    pub(crate) fn one_page(history: History, attribute: &'static str, value: &str) -> Self {
        Self {
            history,
            attribute,
            value: value.to_owned(),
            since: None,
            until: None,
            pages: 1,
        }
    }
}

/// Events, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    pub(crate) records: Vec<Record>,
    /// Whether there were more than were read.
    pub(crate) cut: bool,
}

impl Trail {
    /// A trail that asks with these settings.
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
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

    pub(crate) fn of(regional: Client, global: Option<Client>) -> Self {
        Self {
            regional,
            global,
            last_request: futures::lock::Mutex::new(None),
            answers: Mutex::default(),
        }
    }

    /// The histories there are: one, where the function's Region is that of IAM.
    pub(crate) fn histories(&self) -> &'static [History] {
        match self.global {
            Some(_) => &[History::Global, History::Regional],
            None => &[History::Regional],
        }
    }

    /// The history that has the events of IAM.
    pub(crate) fn of_iam(&self) -> History {
        self.histories()[0]
    }

    /// The name of the Region whose events a history has.
    pub(crate) fn region(&self, history: History) -> &str {
        let region = self.client(history).config().region();
        region.map_or("this Region", AsRef::as_ref)
    }

    fn client(&self, history: History) -> &Client {
        match (history, &self.global) {
            (History::Global, Some(global)) => global,
            _ => &self.regional,
        }
    }

    /// The events that are asked for.
    pub(crate) async fn events(&self, lookup: Lookup) -> Result<Events> {
        if let Some(events) = self.known(&lookup) {
            return Ok(events);
        }
        let attribute = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::from(lookup.attribute))
            .attribute_value(&lookup.value)
            .build()
            .map_err(|error| Error::Refused(error.to_string()))?;
        let seconds = |time: Timestamp| DateTime::from_secs(time.as_second());
        let mut answer = Events::default();
        let mut next = None;
        for _ in 0..lookup.pages {
            let request = self
                .client(lookup.history)
                .lookup_events()
                .lookup_attributes(attribute.clone())
                .max_results(50)
                .set_start_time(lookup.since.map(seconds))
                .set_end_time(lookup.until.map(seconds))
                .set_next_token(next);
            let page = {
                let mut last = self.last_request.lock().await;
                if let Some(last) = *last {
                    sleep_until(last + PACE).await;
                }
                let page = request.send().await;
                *last = Some(Instant::now());
                page.during("cloudtrail:LookupEvents", &lookup.value)?
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
            answers.insert(lookup, (Instant::now(), answer.clone()));
        }
        Ok(answer)
    }

    fn known(&self, lookup: &Lookup) -> Option<Events> {
        let answers = self.answers.lock().ok()?;
        let (at, answer) = answers.get(lookup)?;
        (at.elapsed() < FRESH).then(|| answer.clone())
    }
}

/// Where the events of IAM are recorded: in the Region of its one endpoint in the partition,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events>.
fn global_region(region: &str) -> &'static str {
    const BY_PARTITION: [(&str, &str); 7] = [
        ("cn-", "cn-north-1"),
        ("us-gov-", "us-gov-west-1"),
        ("us-iso-", "us-iso-east-1"),
        ("us-isob-", "us-isob-east-1"),
        ("eu-isoe-", "eu-isoe-west-1"),
        ("us-isof-", "us-isof-south-1"),
        ("eusc-", "eusc-de-east-1"),
    ];
    let mut partitions = BY_PARTITION.iter();
    partitions
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("us-east-1", |(_, global)| global)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_iam_are_looked_for_in_one_region_of_the_same_partition() {
        for (region, global) in [
            ("eu-central-1", "us-east-1"),
            ("us-east-1", "us-east-1"),
            ("cn-northwest-1", "cn-north-1"),
            ("us-gov-east-1", "us-gov-west-1"),
            ("us-iso-west-1", "us-iso-east-1"),
            ("us-isob-west-1", "us-isob-east-1"),
            ("eu-isoe-west-1", "eu-isoe-west-1"),
            ("us-isof-east-1", "us-isof-south-1"),
            ("eusc-de-east-1", "eusc-de-east-1"),
        ] {
            assert_eq!(global_region(region), global, "{region}");
        }
    }
}
