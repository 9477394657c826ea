//! Buckets: all four Block Public Access flags, where exposure is what the finding is about.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>:
//! `IgnorePublicAcls` and `RestrictPublicBuckets` end the exposure that is there, the other two
//! keep it from coming back. Existing ACLs and policies stay as they are, so taking the flags off
//! again restores what was.

mod observe;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Playbook;
use crate::catalogue::Category;
use crate::error::{CallContext, Error, Result};
use crate::finding::{Finding, Principal};
use crate::plan::{Action, Phase, Plan, Step, Undo};
use crate::settings::Settings;

const BLOCK: &str = "s3:BlockBucketPublicAccess";

/// The playbook of the S3 function.
#[derive(Debug)]
pub struct S3 {
    client: Client,
}

impl S3 {
    /// A playbook that calls with these settings, in the Region of each finding.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }

    /// The call replaces the document, and a member that is left out counts as off, so all four are
    /// always given.
    async fn set(&self, action: &BlockBucket, flags: BlockPublicAccess) -> Result<()> {
        let flags = PublicAccessBlockConfiguration::builder()
            .block_public_acls(flags.block_public_acls)
            .ignore_public_acls(flags.ignore_public_acls)
            .block_public_policy(flags.block_public_policy)
            .restrict_public_buckets(flags.restrict_public_buckets)
            .build();
        self.client_in(&action.region)
            .put_public_access_block()
            .bucket(&action.bucket)
            .expected_bucket_owner(&action.owner_account)
            .public_access_block_configuration(flags)
            .send()
            .await
            .during("s3:PutBucketPublicAccessBlock", &action.bucket)?;
        Ok(())
    }

    /// S3 answers a request for a bucket of another Region with a redirect that the SDK does not
    /// follow, so each finding's own Region is called.
    fn client_in(&self, region: &str) -> Client {
        let config = self.client.config();
        if config.region().is_some_and(|own| own.as_ref() == region) {
            return self.client.clone();
        }
        Client::from_conf(
            config
                .to_builder()
                .region(Region::new(region.to_owned()))
                .build(),
        )
    }
}

/// The four flags of a bucket's Block Public Access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BlockPublicAccess {
    /// New public ACLs are refused.
    pub block_public_acls: bool,
    /// Public ACLs, old and new, have no effect.
    pub ignore_public_acls: bool,
    /// New public policies are refused.
    pub block_public_policy: bool,
    /// A public policy lets in only the owner's account and AWS services.
    pub restrict_public_buckets: bool,
}

impl BlockPublicAccess {
    /// All four on.
    pub const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

/// What was read of the buckets of a finding.
#[derive(Debug)]
pub struct State {
    buckets: Vec<(String, BucketState)>,
}

/// What was read of one bucket.
#[derive(Debug)]
pub enum BucketState {
    /// It is there.
    Live {
        /// Its flags.
        block: BlockPublicAccess,
        /// Whether its policy is public. `Err`: why that is not known.
        policy_is_public: Result<bool>,
        /// Whether its ACL grants everybody something. `Err`: why that is not known.
        acl_is_public: Result<bool>,
        /// The canonical id of its owner, where the ACL could be read.
        owner: Option<String>,
    },
    /// There is no such bucket.
    Gone,
    /// A directory bucket; they have no Block Public Access and cannot be public.
    Directory,
    /// It could not be read.
    Unreadable(Error),
}

/// A change to a bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockBucket {
    bucket: String,
    arn: String,
    region: String,
    owner_account: String,
    from: BlockPublicAccess,
}

impl Action for BlockBucket {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] =
        &[(BLOCK, &["s3:PutBucketPublicAccessBlock"])];

    fn name(&self) -> &'static str {
        BLOCK
    }
    fn target(&self) -> String {
        self.arn.clone()
    }
    fn phase(&self) -> Phase {
        Phase::Contain
    }
    fn from(&self) -> Value {
        json!(self.from)
    }
    fn to(&self) -> Value {
        json!(BlockPublicAccess::ALL)
    }
    fn undo(&self) -> Undo {
        Undo::Restore
    }
}

impl Playbook for S3 {
    const CATEGORY: Category = Category::S3;
    const READS: &'static [&'static str] = &[
        "s3:GetBucketAcl",
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketPublicAccessBlock",
    ];
    type State = State;
    type Action = BlockBucket;

    async fn observe(&self, finding: &Finding) -> Result<State> {
        observe::observe(&self.client_in(&finding.region), finding).await
    }

    fn plan(
        finding: &Finding,
        state: &State,
        _settings: &Settings,
        _now: Timestamp,
    ) -> Plan<BlockBucket> {
        let mut plan = Plan::default();
        for (bucket, state) in &state.buckets {
            let arn = format!("arn:{}:s3:::{bucket}", finding.partition());
            let skipped = |reason: &str| Step::Skipped {
                action: BLOCK,
                target: arn.clone(),
                reason: reason.to_owned(),
            };
            let step = match state {
                BucketState::Gone => skipped("there is no such bucket (any more)"),
                BucketState::Directory => skipped(
                    "a directory bucket has no Block Public Access and cannot be public; review its policy",
                ),
                BucketState::Unreadable(error) => Step::Unknown {
                    action: BLOCK,
                    target: arn.clone(),
                    error: error.clone(),
                },
                BucketState::Live {
                    block,
                    policy_is_public,
                    acl_is_public,
                    owner,
                } => {
                    let exposure = exposure(*block, policy_is_public, acl_is_public);
                    let owner = owner
                        .as_deref()
                        .map_or(String::new(), |id| format!(", owner {id}"));
                    let seen = format!("{}{owner}", exposure.describe());
                    match refusal(finding, *block, exposure) {
                        Some(reason) => {
                            if exposure == Exposure::Public {
                                plan.residual_risks.push(format!(
                                    "{bucket} is public at present, apart from what this finding is about"
                                ));
                            }
                            skipped(&format!("{reason} ({seen})"))
                        }
                        None => {
                            remaining_access(&mut plan, bucket);
                            let action = BlockBucket {
                                bucket: bucket.clone(),
                                arn: arn.clone(),
                                region: finding.region.clone(),
                                owner_account: finding.account_id.clone(),
                                from: *block,
                            };
                            if *block == BlockPublicAccess::ALL {
                                Step::Already(action, format!("all four flags are on ({seen})"))
                            } else {
                                Step::Do(action)
                            }
                        }
                    }
                }
            };
            plan.steps.push(step);
        }
        plan
    }

    async fn apply(&self, action: &BlockBucket) -> Result<()> {
        self.set(action, BlockPublicAccess::ALL).await
    }

    async fn restore(&self, action: &BlockBucket) -> Result<()> {
        self.set(action, action.from).await
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exposure {
    Public,
    NotPublic,
    Unknown,
}

impl Exposure {
    fn describe(self) -> &'static str {
        match self {
            Self::Public => "the bucket is public at present",
            Self::NotPublic => "the bucket is not public at present",
            Self::Unknown => "whether the bucket is public could not be read",
        }
    }
}

/// What the bucket's own settings make of its policy and ACL. The account's setting may be
/// stricter; it is never looser.
fn exposure(block: BlockPublicAccess, policy: &Result<bool>, acl: &Result<bool>) -> Exposure {
    let policy = if block.restrict_public_buckets {
        Some(false)
    } else {
        policy.as_ref().ok().copied()
    };
    let acl = if block.ignore_public_acls {
        Some(false)
    } else {
        acl.as_ref().ok().copied()
    };
    match (policy, acl) {
        (Some(true), _) | (_, Some(true)) => Exposure::Public,
        (Some(false), Some(false)) => Exposure::NotPublic,
        _ => Exposure::Unknown,
    }
}

/// Why blocking public access is not the answer to this finding, if it is not.
fn refusal(finding: &Finding, block: BlockPublicAccess, exposure: Exposure) -> Option<String> {
    let kind = &finding.finding_type;
    // The finding is that the bucket was made public, whoever did it.
    if kind.purpose() == "Policy" {
        return None;
    }
    match finding.principal() {
        Ok(Principal::Anonymous) if finding.api() == Some("PreflightRequest") => Some(
            "a successful preflight request shows a cross-origin (CORS) rule, not public access: \
             review the bucket's CORS configuration"
                .to_owned(),
        ),
        Ok(Principal::Anonymous) => None,
        // Let in by the public grant; once that is blocked the bucket is no longer public.
        Ok(Principal::OtherAccount { .. })
            if exposure == Exposure::Public || block == BlockPublicAccess::ALL =>
        {
            None
        }
        Ok(principal @ Principal::OtherAccount { .. }) => Some(format!(
            "{principal} is let in by name, which blocking public access does not stop: deny it in \
             the bucket policy"
        )),
        Ok(principal) => Some(format!(
            "{principal} acted with credentials, which blocking public access does not stop: the iam \
             function deals with the credentials"
        )),
        Err(error) => Some(format!(
            "the finding does not say that the caller was anonymous, and blocking public access stops \
             no one else ({error})"
        )),
    }
}

fn remaining_access<A>(plan: &mut Plan<A>, bucket: &str) {
    plan.residual_risks.push(format!(
        "{bucket} can still be read by IAM principals of its own account, by other accounts that a \
         non-public policy names, and through presigned URLs made before, until they expire"
    ));
    plan.next_steps.push(format!(
        "if {bucket} was public on purpose (a static website, downloads), its users are shut out now: \
         restore the flags shown under `from`, or serve it through CloudFront"
    ));
}

#[cfg(test)]
mod tests;
