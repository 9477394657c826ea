//! Victims, what the attacker does to them, and who must not be hurt by the response.

mod bucket;
mod credentials;
mod function;
mod instance;
mod object;
mod reachability;

use std::future::Future;

use aws_sdk_iam::config::Credentials;

pub use bucket::PublicBucket;
pub use credentials::{StolenKey, StolenRoleSession};
pub use function::HijackedFunction;
pub use instance::InfectedInstance;
pub use object::{Reader, Uploads};
pub use reachability::{Path, reachable};

use crate::finding::Finding;
use crate::local_aws::allowed;
use crate::{LocalAws, Result};

pub trait Scenario: Sync {
    /// What GuardDuty reports.
    fn finding(&self) -> Result<Finding>;

    /// Each way in which the attacker can do harm, tried now.
    fn attack(&self) -> impl Future<Output = Result<Vec<Observation>>> + Send;

    /// What others rightly do with or beside the victim, tried now.
    fn bystanders(&self) -> impl Future<Output = Result<Vec<Observation>>> + Send;
}

/// Something that was tried.
#[derive(Clone, Debug)]
pub struct Observation {
    pub what: String,
    pub works: bool,
    /// What AWS answered.
    pub evidence: String,
}

/// Whether all of them work. None at all would prove nothing.
#[must_use]
pub fn all_work(observations: &[Observation]) -> bool {
    !observations.is_empty() && observations.iter().all(|seen| seen.works)
}

#[must_use]
pub fn none_works(observations: &[Observation]) -> bool {
    !observations.is_empty() && observations.iter().all(|seen| !seen.works)
}

/// Lists the account's buckets with some credentials, as an attacker who takes stock would.
async fn lists_buckets(
    aws: &LocalAws,
    who: &str,
    credentials: &Credentials,
) -> Result<Observation> {
    let answer = bucket::client(aws, credentials).list_buckets().send().await;
    let (works, evidence) = allowed(answer)?;
    Ok(Observation {
        what: format!("{who} lists the account's buckets"),
        works,
        evidence,
    })
}
