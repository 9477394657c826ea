//! Buckets: all four Block Public Access flags, where exposure is what the finding is about; and,
//! where a setting says so, a deny in the bucket's policy or the account's own flags. Malicious objects: a tag on the
//! version, and a deny of reading what has it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>:
//! `IgnorePublicAcls` and `RestrictPublicBuckets` end the exposure that is there, the other two
//! keep it from coming back. Existing ACLs and policies stay as they are, so taking the flags off
//! again restores what was.

mod action;
mod alternatives;
mod apply;
mod block;
mod bucket;
mod bucket_policy;
mod clients;
mod exemption;
mod exposure;
mod grants;
mod investigate;
mod object;
mod observe;
mod plan;
mod policy_deny;
mod quarantine;
mod refused_call;
mod region;
mod residual_access;
mod state;
mod target;

use aws_config::SdkConfig;
use jiff::Timestamp;

pub use self::action::{
    Action, BlockAccount, BlockBucket, BucketRef, DenyInPolicy, DenyTaggedObjects, TagObjectVersion,
};
pub use self::block::{Acl, BlockPublicAccess, Grant};
pub use self::bucket_policy::BucketPolicy;
use self::clients::Clients;
pub use self::object::{Object, ObjectState};
pub use self::state::{AccessPoints, Bucket, BucketState, History, State};
use aws::cloudtrail::event_history::EventHistory;
use aws::error::{Error, Result};
use aws::inquiry::Inquiry;
use aws::playbook::{Playbook, TargetGone};
use model::category::Category;
use model::finding::Finding;
use model::investigation::Investigation;
use model::plan::Plan;
use model::planner::Planner;
use model::resource::Resource;
use model::settings::Settings;

/// The playbook of the S3 function.
#[derive(Debug)]
pub struct S3 {
    clients: Clients,
}

impl S3 {
    /// A playbook that calls with these settings, in the Region of each finding.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            clients: Clients::new(sdk),
        }
    }

    /// A playbook that calls through these clients, in the Region of each finding.
    pub fn with_clients(
        s3: aws_sdk_s3::Client,
        control: aws_sdk_s3control::Client,
        trail: aws_sdk_cloudtrail::Client,
    ) -> Self {
        let trail = EventHistory::with_clients(trail, None);
        Self {
            clients: Clients { s3, control, trail },
        }
    }
}

impl Planner for S3 {
    const CATEGORY: Category = Category::S3;

    type State = State;

    type Action = Action;

    fn plan(finding: &Finding, state: &State, settings: &Settings, now: Timestamp) -> Plan<Action> {
        plan::plan(finding, state, &settings.s3, now)
    }

    fn resource(finding: &Finding, state: &State, action: &Action) -> Resource {
        target::resource(finding, state, action)
    }
}

impl Playbook for S3 {
    const READS: &'static [&'static str] = observe::PERMISSIONS;
    const INVESTIGATES: &'static [&'static str] = observe::PERMISSIONS;

    async fn observe(&self, finding: &Finding) -> Result<State> {
        observe::observe(&self.clients, finding).await
    }

    async fn glance(&self, finding: &Finding) -> Result<State> {
        observe::glance(&self.clients, finding).await
    }

    async fn complete(&self, finding: &Finding, part: &State) -> Option<State> {
        observe::complete(&self.clients, finding, part).await
    }

    async fn apply(&self, action: &Action) -> Result<()> {
        apply::apply(&self.clients, action).await
    }

    fn dispensable(state: &State, action: &Action, error: &Error) -> Option<String> {
        plan::dispensable(state, action, error)
    }

    async fn restore(&self, action: &Action) -> Result<()> {
        apply::restore(&self.clients, action).await
    }

    fn after_target_gone(state: &State, action: &Action) -> TargetGone {
        target::after_target_gone(state, action)
    }

    fn trail(&self) -> Option<&EventHistory> {
        Some(&self.clients.trail)
    }

    /// A mark that could have been set in the last minutes.
    fn is_provisional(finding: &Finding, state: &State, now: Timestamp) -> bool {
        plan::is_provisional(finding, state, now)
    }

    async fn investigate(&self, inquiry: &Inquiry<'_>, state: Option<&State>) -> Investigation {
        investigate::investigate(&self.clients, inquiry, state).await
    }
}

#[cfg(test)]
mod tests;
