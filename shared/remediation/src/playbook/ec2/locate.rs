//! Finds the Region of an instance that is not where its finding says.
//!
//! CloudTrail records a call in the Region where it was made, and the calls to global services in one Region for
//! all, so that a finding about stolen credentials may name a Region in which the instance never was,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-ec2.html>. The id of an instance is
//! one in all Regions, so the first Region that has it is its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::Client;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::change::Change;
use super::state::State;
use super::{Ec2, describe, observe};
use crate::error::{CallContext, Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::investigate::listed;
use crate::policy::instance_target;

/// How long all Regions together may take. Nothing is isolated before one has answered.
const PATIENCE: Duration = Duration::from_secs(6);

/// Regions in a sentence.
const MOST: usize = 40;

/// The outcome of asking the other Regions.
enum Located {
    /// This one has it.
    In(String),
    /// All of these answered, and none has it.
    Nowhere(BTreeSet<String>),
}

impl Ec2 {
    /// Reads what decides how the instance is contained, in the Region where it is.
    pub(super) async fn found(&self, finding: &Finding) -> Result<State> {
        let id = finding.instance_id()?;
        let here = finding.instance_region();
        let state = self.glance_in(&here, finding, &id).await;
        let is_sought = finding.instance_may_be_elsewhere()
            && match &state {
                Ok(state) => state.instance.is_none(),
                // An organization may deny a Region as a whole.
                Err(error) => error.is_denied(),
            };
        if !is_sought {
            return state;
        }
        match (Box::pin(locate(self, &here, &id)).await, state) {
            (Ok(Located::In(region)), _) => self.glance_in(&region, finding, &id).await,
            (_, Err(error)) => Err(error),
            (Ok(Located::Nowhere(others)), Ok(state)) => Ok(State {
                elsewhere: Some(Ok(others)),
                ..state
            }),
            (Err(error), Ok(state)) => Ok(State {
                elsewhere: Some(Err(error)),
                ..state
            }),
        }
    }

    /// Reads what decides how the instance is contained, in this Region.
    pub(super) async fn glance_in(
        &self,
        region: &str,
        finding: &Finding,
        id: &str,
    ) -> Result<State> {
        let clients = self.clients_in(region);
        let access = &self.forensics_access;
        Box::pin(observe::glance(&clients, finding, region, id, access)).await
    }
}

/// The name under which the record keeps the instance, if it is in `region` and that is not where the finding
/// says.
pub(super) fn name_elsewhere(finding: &Finding, region: Option<&str>) -> Option<String> {
    let region = region.filter(|region| **region != finding.instance_region())?;
    let id = finding.instance_id().ok()?;
    Some(instance_target(region, &id))
}

impl Change {
    /// The Region in which it is made. `None`: in IAM, which is the same in all.
    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::DenyCredentials { .. } => None,
            Self::ProtectAttribute { region, .. }
            | Self::KeepVolume { region, .. }
            | Self::LeaveAutoScalingGroup { region, .. }
            | Self::DeregisterTargets { region, .. }
            | Self::DeregisterFromBalancers { region, .. }
            | Self::PrepareIsolationGroup { region, .. }
            | Self::CloseIsolationGroup { region, .. }
            | Self::AdmitForensics { region, .. }
            | Self::IsolateInterface { region, .. }
            | Self::RemovePublicAddress { region, .. }
            | Self::DisableMetadata { region, .. }
            | Self::ShortenTimeouts { region, .. }
            | Self::CutConnections { region, .. }
            | Self::SnapshotVolumes { region, .. }
            | Self::Mark { region, .. } => Some(region),
        }
    }
}

impl State {
    /// That nobody found the instance, and where it was looked for.
    pub(super) fn unfound(&self) -> String {
        let region = &self.region;
        match &self.elsewhere {
            None => format!("{region} has no such instance"),
            Some(Ok(others)) if others.is_empty() => {
                format!(
                    "{region} has no such instance, and no other Region is enabled for the account"
                )
            }
            Some(Ok(others)) => {
                let others: Vec<_> = others.iter().collect();
                format!(
                    "{region} has no such instance, nor has any other Region that is enabled for the account: {}",
                    listed(&others, MOST),
                )
            }
            Some(Err(error)) => {
                format!(
                    "{region} has no such instance, and not every other Region answered: {error}"
                )
            }
        }
    }

    /// The Region in the ARN of the instance. That of one that nobody found may be any.
    pub(super) fn region_of_arn(&self) -> &str {
        match self.elsewhere {
            Some(_) => "*",
            None => &self.region,
        }
    }
}

/// Asks each Region for the instance that is enabled for the account, except this one, all at the same time.
///
/// # Errors
/// If the Regions could not be listed; or if none has it, and not each has answered.
async fn locate(playbook: &Ec2, except: &str, id: &str) -> Result<Located> {
    let until = Instant::now() + PATIENCE;
    let here = playbook.clients_in(except).ec2;
    let mut regions = within(until, "ec2:DescribeRegions", Box::pin(enabled(&here))).await?;
    regions.remove(except);
    let asking = regions.iter().map(|region| async move {
        let there = playbook.clients_in(region).ec2;
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
