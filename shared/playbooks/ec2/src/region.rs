//! Finds the Region of an instance that is not where its finding says.
//!
//! CloudTrail records a call in the Region where it was made, and the calls to global services in one Region for all.
//! So a finding about stolen credentials may name a Region in which the instance never was,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-ec2.html>. The id of an instance is one in
//! all Regions, so the first Region that has it is its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::Client;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::clients::Clients;
use super::describe;
use aws::deadline::within;
use aws::error::{CallContext, Error, Result};
use model::investigation::listed;

/// How long all Regions together may take. Nothing is isolated before one has answered.
const PATIENCE: Duration = Duration::from_secs(6);

/// Regions in a sentence.
const MOST: usize = 40;

/// The outcome of asking the other Regions.
pub(super) enum Located {
    /// This one has it.
    In(String),
    /// All of these answered, and none has it.
    Nowhere(BTreeSet<String>),
}

/// Asks each Region for the instance that is enabled for the account, except this one, all at the same time.
///
/// # Errors
/// If the Regions could not be listed; or if none has it, and not each has answered.
pub(super) async fn locate(clients: &Clients, except: &str, id: &str) -> Result<Located> {
    let until = Instant::now() + PATIENCE;
    let here = clients.in_region(except).ec2;
    let mut regions = within(until, "ec2:DescribeRegions", Box::pin(enabled(&here))).await?;
    regions.remove(except);
    let asking = regions.iter().map(|region| async move {
        let there = clients.in_region(region).ec2;
        let asking = Box::pin(describe::is_there(&there, id));
        let answer = within(until, "ec2:DescribeInstances", asking).await;
        (region, answer)
    });
    let mut asking: FuturesUnordered<_> = asking.collect();
    let mut unanswered = BTreeMap::new();
    while let Some((region, answer)) = asking.next().await {
        match answer {
            Ok(true) => return Ok(Located::In(region.clone())),
            Ok(false) => {}
            Err(error) => {
                unanswered.insert(region.as_str(), error);
            }
        }
    }
    match not_asked(&unanswered) {
        Some(error) => Err(error),
        None => {
            drop(asking);
            Ok(Located::Nowhere(regions))
        }
    }
}

/// The Regions that are enabled for the account,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>.
async fn enabled(client: &Client) -> Result<BTreeSet<String>> {
    let answer = client.describe_regions().send().await;
    let answer = answer.during("ec2:DescribeRegions", "the account")?;
    let regions = answer.regions.unwrap_or_default().into_iter();
    Ok(regions.filter_map(|region| region.region_name).collect())
}

/// One error for the Regions that did not answer: one that may pass, if there is any. `None`: all answered.
fn not_asked(unanswered: &BTreeMap<&str, Error>) -> Option<Error> {
    let passing = unanswered.values().find(|error| error.is_transient());
    let error = passing.or_else(|| unanswered.values().next())?;
    let names: Vec<_> = unanswered.keys().map(|name| (*name).to_owned()).collect();
    let where_not = format!("not known whether it is in {}", listed(&names, MOST));
    Some(match error {
        Error::Call(call) => {
            let mut call = call.clone();
            call.message = format!("{} ({where_not})", call.message);
            Error::Call(call)
        }
        other => Error::Refused(format!("{other} ({where_not})")),
    })
}
