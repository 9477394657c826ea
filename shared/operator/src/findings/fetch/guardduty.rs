//! The findings that GuardDuty has, which keeps them for 90 days,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings.html>.

use aws_config::SdkConfig;
use aws_sdk_guardduty::Client;
use aws_sdk_guardduty::types::{Condition, FindingCriteria, OrderBy, SortCriteria};
use futures::stream::{self, Stream, StreamExt as _};
use remediation::error::CallContext as _;
use remediation::verify::Body;

use super::fetched::{AT_ONCE, Fetched, Period};

/// The most that one call lists or gets,
/// <https://docs.aws.amazon.com/guardduty/latest/APIReference/API_GetFindings.html>.
const PAGE: i32 = 50;

/// A detector.
#[derive(Clone, Debug)]
pub(crate) enum Detector {
    /// The one of the account in the Region.
    Own,
    /// The one of this id.
    Id(String),
}

impl Detector {
    /// The word for [`Detector::Own`].
    pub(crate) const OWN: &str = "auto";

    pub(crate) fn of(text: &str) -> Self {
        match text {
            Self::OWN => Self::Own,
            id => Self::Id(id.to_owned()),
        }
    }

    pub(super) fn documents(
        &self,
        sdk: &SdkConfig,
        period: Period,
    ) -> impl Stream<Item = Fetched> + use<> {
        documents(Client::new(sdk), self.clone(), period)
    }
}

/// The findings, a page in each document, in the order of their updates.
fn documents(
    client: Client,
    detector: Detector,
    period: Period,
) -> impl Stream<Item = Fetched> + use<> {
    let getter = client.clone();
    pages(client, detector, period)
        .map(move |page| {
            let client = getter.clone();
            async move {
                match page {
                    Ok(page) => get(&client, page).await,
                    Err(failed) => failed,
                }
            }
        })
        .buffered(AT_ONCE)
}

/// Ids of findings, with the detector that has them.
struct Page {
    detector: String,
    number: usize,
    ids: Vec<String>,
}

enum Place {
    Start,
    /// Behind so many pages, with the token of the next one.
    Behind(String, usize, Option<String>),
    End,
}

/// The pages of ids. One that cannot be listed is the last.
fn pages(
    client: Client,
    detector: Detector,
    period: Period,
) -> impl Stream<Item = Result<Page, Fetched>> {
    stream::unfold(Place::Start, move |place| {
        let (client, detector) = (client.clone(), detector.clone());
        async move {
            let (detector, number, token) = match place {
                Place::End => return None,
                Place::Behind(detector, number, token) => (detector, number, token),
                Place::Start => match id(&client, &detector).await {
                    Ok(detector) => (detector, 0, None),
                    Err(problem) => {
                        return Some((Err(Fetched::failed("GuardDuty", problem)), Place::End));
                    }
                },
            };
            let listed = client
                .list_findings()
                .detector_id(&detector)
                .finding_criteria(criteria(period))
                .sort_criteria(
                    SortCriteria::builder()
                        .attribute_name("updatedAt")
                        .order_by(OrderBy::Asc)
                        .build(),
                )
                .max_results(PAGE)
                .set_next_token(token)
                .send()
                .await
                .during("guardduty:ListFindings", &detector);
            let number = number + 1;
            match listed {
                Ok(listed) => {
                    let ids = listed.finding_ids.unwrap_or_default();
                    let next = listed.next_token.filter(|token| !token.is_empty());
                    let place = match next {
                        Some(token) => Place::Behind(detector.clone(), number, Some(token)),
                        None => Place::End,
                    };
                    let page = Page {
                        detector,
                        number,
                        ids,
                    };
                    Some((Ok(page), place))
                }
                Err(error) => {
                    let failed = Fetched::failed(name(&detector, number), error.to_string());
                    Some((Err(failed), Place::End))
                }
            }
        }
    })
}

async fn id(client: &Client, detector: &Detector) -> Result<String, String> {
    match detector {
        Detector::Id(id) => Ok(id.clone()),
        Detector::Own => {
            let region = client
                .config()
                .region()
                .map_or("?", |region| region.as_ref());
            let answer = client.list_detectors().send().await;
            let answer = answer
                .during("guardduty:ListDetectors", region)
                .map_err(|error| error.to_string())?;
            let ids = answer.detector_ids.unwrap_or_default();
            ids.into_iter().next().ok_or_else(|| {
                format!("GuardDuty is not on in {region}: give --region, or --detector with an id")
            })
        }
    }
}

fn criteria(period: Period) -> FindingCriteria {
    if period.since.is_none() && period.until.is_none() {
        return FindingCriteria::builder().build();
    }
    // Created before the end and updated since the beginning: an event of it came in between.
    let mut criteria = FindingCriteria::builder();
    if let Some(since) = period.since {
        let since = since.as_millisecond();
        let condition = Condition::builder().greater_than_or_equal(since).build();
        criteria = criteria.criterion("updatedAt", condition);
    }
    if let Some(until) = period.until {
        let condition = Condition::builder()
            .less_than(until.as_millisecond())
            .build();
        criteria = criteria.criterion("createdAt", condition);
    }
    criteria.build()
}

async fn get(client: &Client, page: Page) -> Fetched {
    let name = name(&page.detector, page.number);
    if page.ids.is_empty() {
        return Fetched {
            name,
            text: Ok(Vec::new()),
            last_known_only: true,
        };
    }
    let body = Body::default();
    let got = client
        .get_findings()
        .detector_id(&page.detector)
        .set_finding_ids(Some(page.ids))
        .customize()
        .interceptor(body.clone())
        .send()
        .await
        .during("guardduty:GetFindings", &page.detector);
    Fetched {
        name,
        text: got.map(|_| body.take()).map_err(|error| error.to_string()),
        last_known_only: true,
    }
}

fn name(detector: &str, number: usize) -> String {
    format!("detector {detector}, page {number}")
}

#[cfg(test)]
mod tests;
