//! The answers of CloudTrail's event history: the one reader of it.
//!
//! `LookupEvents` answers two requests a second for the whole account and Region, and takes one attribute. It covers 90
//! days of management events, and gets them some 5 minutes late:
//! <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>. Requests are paced by Region
//! and bounded, and all who ask share answers for a minute. A request that fails means "unknown", never "nothing
//! happened".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::{Builder, Region};
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};

use super::event::CloudTrailEvent;
use crate::error::{CallContext, Error, Result};

/// From one request to a Region to the next, so that the account's other readers get their share.
const PACE: Duration = Duration::from_millis(600);

/// The pages of one question, each with up to 50 events.
pub const MOST_PAGES: usize = 3;

/// How long an answer is used again. Reading back asks the same questions within seconds.
const FRESH: Duration = Duration::from_secs(60);

/// By when the event history usually has an event,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html>. An event that it does not
/// show yet happened within this time before now, however long ago the activity began.
pub const LAG: SignedDuration = SignedDuration::from_mins(15);

/// How far the event history goes back.
pub const REACH: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The event history of one Region, and of the Region that records the events of IAM. Clones, also those for
/// other Regions, keep one pace and share their answers.
#[derive(Clone, Debug)]
pub struct EventHistory {
    regional: Client,
    /// `None`: it is the same Region.
    global: Option<Client>,
    desk: Arc<Desk>,
}

/// The state that all readers of one account share.
#[derive(Debug, Default)]
struct Desk {
    /// When each Region was asked last. The asking reader holds it for all pages, so that a reader with the same
    /// question waits for the answer.
    asked: Mutex<HashMap<String, Arc<futures::lock::Mutex<Option<Instant>>>>>,
    /// By the Region and the question.
    answers: Mutex<HashMap<(String, Lookup), (Instant, Events)>>,
}

/// Which event history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum History {
    /// The Region that the trail is for.
    Regional,
    /// The Region of IAM, and of STS's global endpoint.
    Global,
}

/// A question to the event history.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The Region whose events are asked for.
    pub history: History,
    /// One of the names of `LookupAttributeKey`.
    pub attribute: &'static str,
    /// The value of that attribute.
    pub value: String,
    /// No earlier than this.
    pub since: Option<Timestamp>,
    /// No later than this.
    pub until: Option<Timestamp>,
    /// How many pages are read at most, of 50 events each.
    pub pages: usize,
}

impl Lookup {
    /// The newest page of all events with `value` in `attribute`.
    pub fn one_page(history: History, attribute: &'static str, value: &str) -> Self {
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
pub struct Events {
    /// The events that were read.
    pub records: Vec<CloudTrailEvent>,
    /// Whether there were more than were read.
    pub cut: bool,
}

impl EventHistory {
    /// The IAM permissions that asking needs, in the account of the finding.
    pub const PERMISSIONS: &[&str] = &["cloudtrail:LookupEvents"];

    /// A history that is read with these settings.
    pub fn new(sdk: &SdkConfig) -> Self {
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
        Self::with_clients(
            client(None),
            (global != region).then(|| client(Some(global))),
        )
    }

    /// A history that is read through these clients. `global`: a client of the Region that has the events of global
    /// services, where it is another one.
    pub fn with_clients(regional: Client, global: Option<Client>) -> Self {
        Self {
            regional,
            global,
            desk: Arc::default(),
        }
    }

    /// The same for another Region: with the same pace and the same answers.
    pub fn in_region(&self, name: &str) -> Self {
        if name == self.region(History::Regional) {
            return self.clone();
        }
        let config = self.regional.config().to_builder();
        let there = Client::from_conf(config.region(Region::new(name.to_owned())).build());
        // A trail that knows of no Region of IAM is already there.
        let of_iam = self.global.as_ref().unwrap_or(&self.regional);
        let global = (global_region(name) != name).then(|| of_iam.clone());
        Self {
            regional: there,
            global,
            desk: Arc::clone(&self.desk),
        }
    }

    /// The histories there are: one, where the Region is that of IAM.
    pub fn histories(&self) -> &'static [History] {
        match self.global {
            Some(_) => &[History::Global, History::Regional],
            None => &[History::Regional],
        }
    }

    /// The history that has the events of IAM.
    pub fn of_iam(&self) -> History {
        self.histories()[0]
    }

    /// The name of the Region whose events a history has.
    pub fn region(&self, history: History) -> &str {
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
    pub async fn events(&self, lookup: Lookup) -> Result<Events> {
        let region = self.region(lookup.history).to_owned();
        let asked = (region, lookup);
        if let Some(events) = self.desk.known(&asked) {
            return Ok(events);
        }
        let turn = self.desk.turn(&asked.0);
        let mut last = turn.lock().await;
        // Whoever had the turn before may have asked the same.
        if let Some(events) = self.desk.known(&asked) {
            return Ok(events);
        }
        let answer = self.ask(&asked.1, &mut last).await?;
        self.desk.keep(asked, &answer);
        Ok(answer)
    }

    /// Asks for one page after the other. `last`: when this Region was asked last.
    async fn ask(&self, lookup: &Lookup, last: &mut Option<Instant>) -> Result<Events> {
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
            if let Some(last) = *last {
                sleep_until(last + PACE).await;
            }
            *last = Some(Instant::now());
            let page = request.send().await;
            let page = page.during("cloudtrail:LookupEvents", &lookup.value)?;
            let events = page.events.unwrap_or_default();
            answer
                .records
                .extend(events.iter().filter_map(CloudTrailEvent::read));
            next = page.next_token;
            answer.cut = next.is_some();
            if !answer.cut {
                break;
            }
        }
        Ok(answer)
    }
}

impl Desk {
    fn turn(&self, region: &str) -> Arc<futures::lock::Mutex<Option<Instant>>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(asked.entry(region.to_owned()).or_default())
    }

    fn known(&self, asked: &(String, Lookup)) -> Option<Events> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = answers.get(asked)?;
        (at.elapsed() < FRESH).then(|| answer.clone())
    }

    fn keep(&self, asked: (String, Lookup), answer: &Events) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (at, _)| at.elapsed() < FRESH);
        answers.insert(asked, (Instant::now(), answer.clone()));
    }
}

/// The Region that records the events of IAM: the Region that signs its calls, by partition,
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events>
/// and the endpoints of IAM in the service models.
fn global_region(region: &str) -> &'static str {
    const BY_PREFIX: [(&str, &str); 7] = [
        ("cn-", "cn-north-1"),
        ("us-gov-", "us-gov-west-1"),
        ("us-iso-", "us-iso-east-1"),
        ("us-isob-", "us-isob-east-1"),
        ("eu-isoe-", "eu-isoe-west-1"),
        ("us-isof-", "us-isof-south-1"),
        ("eusc-", "eusc-de-east-1"),
    ];
    let mut known = BY_PREFIX.into_iter();
    let known = known.find(|(prefix, _)| region.starts_with(prefix));
    known.map_or("us-east-1", |(_, global)| global)
}

#[cfg(test)]
mod tests;
