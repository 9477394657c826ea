//! The changes of a bucket, or of an account's setting for all of its buckets.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::block::{Acl, BlockPublicAccess};
use model::actions::s3 as name;
use model::plan::{self, Phase, Undo};

/// A change to a bucket or to an account's setting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Action {
    /// All four flags of a bucket on.
    BlockBucket(BlockBucket),
    /// All four flags of an account on.
    BlockAccount(BlockAccount),
    /// A statement in a bucket's policy that denies the caller.
    DenyInPolicy(DenyInPolicy),
}

/// The Region of a bucket, and its expected owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BucketRef {
    pub(super) name: String,
    pub(super) arn: String,
    /// The Region that the bucket was found in.
    pub(super) region: String,
    /// The account that must own it.
    pub(super) owner_account: String,
}

/// See [`Action::BlockBucket`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockBucket {
    pub(super) bucket: BucketRef,
    pub(super) from: BlockPublicAccess,
    /// The earlier answer of `GetBucketAcl`. `None`: it could not be read.
    pub(super) acl: Option<Acl>,
    /// The account's flags shut the bucket already, so that its own only keep it shut. Records of earlier
    /// versions do not say it.
    #[serde(default)]
    pub(super) account_is_blocked: bool,
}

/// See [`Action::BlockAccount`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockAccount {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) from: BlockPublicAccess,
}

/// See [`Action::DenyInPolicy`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DenyInPolicy {
    pub(super) bucket: BucketRef,
    pub(super) statement: Value,
    /// The policy that stood, to the letter. `None`: there was none.
    pub(super) from: Option<String>,
}

impl Action {
    /// The bucket that it changes, if it changes one.
    pub(super) fn bucket(&self) -> Option<&String> {
        match self {
            Self::BlockBucket(action) => Some(&action.bucket.name),
            Self::DenyInPolicy(action) => Some(&action.bucket.name),
            Self::BlockAccount(_) => None,
        }
    }
}

impl plan::Action for Action {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[
        (name::BLOCK, &["s3:PutBucketPublicAccessBlock"]),
        (
            name::BLOCK_ACCOUNT,
            &[
                "s3:GetAccountPublicAccessBlock",
                "s3:PutAccountPublicAccessBlock",
            ],
        ),
        (name::DENY, &["s3:GetBucketPolicy", "s3:PutBucketPolicy"]),
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::BlockBucket(_) => name::BLOCK,
            Self::BlockAccount(_) => name::BLOCK_ACCOUNT,
            Self::DenyInPolicy(_) => name::DENY,
        }
    }

    fn target(&self) -> String {
        match self {
            Self::BlockBucket(action) => action.bucket.arn.clone(),
            Self::BlockAccount(action) => action.account.clone(),
            Self::DenyInPolicy(action) => action.bucket.arn.clone(),
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self::BlockBucket(action) if action.account_is_blocked => Phase::Protect,
            _ => Phase::Contain,
        }
    }

    /// The deny in the policy waits, see [`plan::Action::order`].
    fn blocks_containment(&self) -> bool {
        true
    }

    /// S3 answers two simultaneous changes of one bucket's configuration with a conflict.
    fn order(&self) -> u8 {
        match self {
            Self::BlockBucket(_) | Self::BlockAccount(_) => 0,
            Self::DenyInPolicy(_) => 1,
        }
    }

    fn from(&self) -> Value {
        match self {
            Self::BlockBucket(action) => {
                let mut from = json!(action.from);
                from["Acl"] = json!(action.acl);
                // Else what was read is only the part of the stored ACL that is in effect.
                from["AclIsAsStored"] = json!(!action.from.ignore_public_acls);
                from
            }
            Self::BlockAccount(action) => json!(action.from),
            Self::DenyInPolicy(action) => json!({ "Policy": action.from }),
        }
    }

    /// The ACL is recorded since S3 does not show it during the block; it is not changed, and may not have been read.
    fn is_restored(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::BlockBucket(action), Self::BlockBucket(found)) => action.from == found.from,
            _ => self.from() == found.from(),
        }
    }

    fn to(&self) -> Value {
        match self {
            Self::BlockBucket(_) | Self::BlockAccount(_) => json!(BlockPublicAccess::ALL),
            Self::DenyInPolicy(action) => json!({ "Statement": action.statement }),
        }
    }

    fn undo(&self) -> Undo {
        Undo::Restore
    }
}
