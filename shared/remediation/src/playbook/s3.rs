//! Buckets: all four Block Public Access flags, where exposure is what the finding is about; and,
//! where a setting says so, a deny in the bucket's policy or the account's own flags.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>:
//! `IgnorePublicAcls` and `RestrictPublicBuckets` end the exposure that is there, the other two
//! keep it from coming back. Existing ACLs and policies stay as they are, so taking the flags off
//! again restores what was.

mod action;
mod alternatives;
mod apply;
mod block;
mod bucket_policy;
mod denying;
mod exemption;
mod exposure;
mod grants;
mod investigate;
mod locate;
mod observe;
mod planning;
mod refused_call;
mod remaining;

use aws_config::SdkConfig;
use aws_sdk_s3::config::Region;
use jiff::Timestamp;

pub use self::action::{BlockAccount, BlockBucket, BucketRef, DenyInPolicy, S3Action};
pub use self::block::{Acl, BlockPublicAccess, Grant};
pub use self::bucket_policy::BucketPolicy;
pub use self::exemption::History;
pub(crate) use self::exemption::was_private;
use self::observe::Extent;
pub use self::observe::{AccessPoints, Bucket, BucketState, State};
pub(crate) use self::planning::refused;
pub(crate) use self::refused_call::got_nothing;
use super::{Playbook, Remains};
use crate::catalogue::Category;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::guard::Resource;
use crate::investigate::trail::Trail;
use crate::investigate::{Inquiry, Investigation};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::settings::Settings;

/// The playbook of the S3 function.
#[derive(Debug)]
pub struct S3 {
    s3: aws_sdk_s3::Client,
    control: aws_sdk_s3control::Client,
    trail: Trail,
}

/// The clients of one Region.
#[derive(Debug)]
struct Clients {
    region: String,
    s3: aws_sdk_s3::Client,
    control: aws_sdk_s3control::Client,
    trail: Trail,
}

impl S3 {
    /// A playbook that calls with these settings, in the Region of each finding.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            s3: aws_sdk_s3::Client::new(sdk),
            control: aws_sdk_s3control::Client::new(sdk),
            trail: Trail::new(sdk),
        }
    }

    /// A playbook that calls through these clients, in the Region of each finding.
    pub fn with_clients(
        s3: aws_sdk_s3::Client,
        control: aws_sdk_s3control::Client,
        trail: aws_sdk_cloudtrail::Client,
    ) -> Self {
        Self {
            s3,
            control,
            trail: Trail::of(trail, None),
        }
    }

    /// S3 answers a request for a bucket of another Region with a redirect that the SDK does not
    /// follow, so each bucket's own Region is called.
    fn clients_in(&self, region: &str) -> Clients {
        let own = self.s3.config().region();
        if own.is_some_and(|own| own.as_ref() == region) {
            return Clients {
                region: region.to_owned(),
                s3: self.s3.clone(),
                control: self.control.clone(),
                trail: self.trail.clone(),
            };
        }
        let there = || Region::new(region.to_owned());
        let s3 = self.s3.config().to_builder().region(there()).build();
        let control = self.control.config().to_builder().region(there()).build();
        Clients {
            region: region.to_owned(),
            s3: aws_sdk_s3::Client::from_conf(s3),
            control: aws_sdk_s3control::Client::from_conf(control),
            trail: self.trail.in_region(region),
        }
    }
}

impl Planner for S3 {
    const CATEGORY: Category = Category::S3;

    type State = State;

    type Action = S3Action;

    fn plan(
        finding: &Finding,
        state: &State,
        settings: &Settings,
        now: Timestamp,
    ) -> Plan<S3Action> {
        planning::plan(finding, state, &settings.s3, now)
    }

    fn resource(finding: &Finding, state: &State, action: &S3Action) -> Resource {
        match action {
            S3Action::BlockAccount(_) => Resource::account(finding),
            S3Action::BlockBucket(BlockBucket { bucket, .. })
            | S3Action::DenyInPolicy(DenyInPolicy { bucket, .. }) => {
                planning::resource(finding, state, bucket)
            }
        }
    }
}

impl Playbook for S3 {
    const READS: &'static [&'static str] = &[
        "cloudtrail:LookupEvents",
        "s3:GetAccountPublicAccessBlock",
        "s3:GetBucketAcl",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketTagging",
        "s3:GetBucketWebsite",
        "s3:ListAccessPoints",
        "s3:ListAllMyBuckets",
    ];
    const INVESTIGATES: &'static [&'static str] = Self::READS;

    async fn observe(&self, finding: &Finding) -> Result<State> {
        observe::observe(self, finding, Extent::Whole).await
    }

    async fn glance(&self, finding: &Finding) -> Result<State> {
        observe::observe(self, finding, Extent::Deciding).await
    }

    async fn complete(&self, finding: &Finding, part: &State) -> Option<State> {
        observe::complete(self, finding, part).await
    }

    async fn apply(&self, action: &S3Action) -> Result<()> {
        match action {
            S3Action::BlockBucket(action) => self.set(action, BlockPublicAccess::ALL).await,
            S3Action::BlockAccount(action) => self.block_account(action).await,
            S3Action::DenyInPolicy(action) => self.deny(action).await,
        }
    }

    fn remains(state: &State, action: &S3Action) -> Remains {
        let gone = state.buckets.iter().any(|(name, bucket)| {
            // One of that name that is another account's by now was made after ours was gone.
            matches!(bucket, BucketState::Gone | BucketState::AnotherAccounts)
                && action.bucket() == Some(name)
        });
        if gone {
            Remains::Nothing
        } else {
            Remains::Unknown
        }
    }

    fn dispensable(state: &State, action: &S3Action, error: &Error) -> Option<String> {
        let otherwise = planning::dispensable(state, action);
        otherwise.filter(|_| error.is_denied())
    }

    async fn restore(&self, action: &S3Action) -> Result<()> {
        match action {
            S3Action::BlockBucket(action) => self.set(action, action.from).await,
            S3Action::BlockAccount(action) => self.set_account(action, action.from).await,
            S3Action::DenyInPolicy(action) => self.lift_deny(action).await,
        }
    }

    fn trail(&self) -> Option<&Trail> {
        Some(&self.trail)
    }

    /// A mark that could have been set in the last minutes.
    fn is_provisional(finding: &Finding, state: &State, now: Timestamp) -> bool {
        planning::is_provisional(finding, state, now)
    }

    async fn investigate(&self, inquiry: &Inquiry<'_>, state: Option<&State>) -> Investigation {
        investigate::investigate(self, inquiry, state.is_some()).await
    }
}

#[cfg(test)]
mod tests;
