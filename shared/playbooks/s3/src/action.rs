//! The changes to a bucket, or to an account's setting for all of its buckets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::block::{Acl, BlockPublicAccess};
use super::bucket_policy::has_sid;
use super::object::{Object, TAG};
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
    /// Statements in a bucket's policy that deny reading the objects that have the tag.
    DenyTagged(DenyTaggedObjects),
    /// The tag on the version of an object.
    TagObject(TagObjectVersion),
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

/// See [`Action::DenyTagged`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DenyTaggedObjects {
    pub(super) bucket: BucketRef,
    pub(super) statements: Vec<Value>,
    /// The policy that was found, to the letter. `None`: there was none.
    pub(super) from: Option<String>,
}

/// See [`Action::TagObject`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TagObjectVersion {
    pub(super) bucket: BucketRef,
    pub(super) object: Object,
    /// The value of the tag: the finding.
    pub(super) finding: String,
    /// The tags that it had, for people: a release takes the one tag off those of its time. Printable.
    pub(super) from: BTreeMap<String, String>,
}

impl DenyTaggedObjects {
    /// True if `policy` has one of the statements.
    pub(super) fn any_stands_in(&self, policy: Option<&Value>) -> bool {
        let mut ours = self.statements.iter();
        policy.is_some_and(|policy| ours.any(|ours| has_sid(policy, ours)))
    }
}

impl Action {
    /// The bucket that it changes, if it changes one.
    pub(super) fn bucket(&self) -> Option<&String> {
        match self {
            Self::BlockBucket(action) => Some(&action.bucket.name),
            Self::DenyInPolicy(action) => Some(&action.bucket.name),
            Self::DenyTagged(action) => Some(&action.bucket.name),
            Self::TagObject(action) => Some(&action.bucket.name),
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
        (
            name::DENY_TAGGED,
            &["s3:GetBucketPolicy", "s3:PutBucketPolicy"],
        ),
        // The permission is another one for a version than for an object without versions.
        (
            name::TAG_OBJECT,
            &[
                "s3:GetBucketPolicy",
                "s3:GetObjectTagging",
                "s3:GetObjectVersionTagging",
                "s3:ListBucketVersions",
                "s3:PutObjectTagging",
                "s3:PutObjectVersionTagging",
            ],
        ),
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::BlockBucket(_) => name::BLOCK,
            Self::BlockAccount(_) => name::BLOCK_ACCOUNT,
            Self::DenyInPolicy(_) => name::DENY,
            Self::DenyTagged(_) => name::DENY_TAGGED,
            Self::TagObject(_) => name::TAG_OBJECT,
        }
    }

    fn target(&self) -> String {
        match self {
            Self::BlockBucket(action) => action.bucket.arn.clone(),
            Self::BlockAccount(action) => action.account.clone(),
            Self::DenyInPolicy(action) => action.bucket.arn.clone(),
            Self::DenyTagged(action) => action.bucket.arn.clone(),
            Self::TagObject(action) => action.object.arn.clone(),
        }
    }

    /// A deny contains nothing while no object has the tag.
    fn only_narrows(action: &str) -> bool {
        action == name::DENY_TAGGED
    }

    /// The deny is one for all objects of the bucket.
    fn is_shared(action: &str) -> bool {
        action == name::DENY_TAGGED
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
    ///
    /// The deny comes before the tag. S3 takes a moment to enforce a policy everywhere, and a tag counts immediately:
    /// so reading is refused from the moment of the tag, and nobody takes the tag off in between. If only the deny was
    /// made, nobody is shut out of anything. A tag without the deny would contain nothing, and look as if it did.
    fn order(&self) -> u8 {
        match self {
            Self::BlockBucket(_) | Self::BlockAccount(_) => 0,
            Self::DenyInPolicy(_) | Self::DenyTagged(_) => 1,
            Self::TagObject(_) => 2,
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
            Self::DenyTagged(action) => json!({ "Policy": action.from }),
            Self::TagObject(action) => json!({ "TagSet": action.from }),
        }
    }

    /// The ACL is recorded since S3 does not show it during the block; it is not changed, and may not have been read.
    fn is_restored(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::BlockBucket(action), Self::BlockBucket(found)) => action.from == found.from,
            // The rest of the policy and of the tags is others'.
            (Self::DenyTagged(action), Self::DenyTagged(found)) => {
                let policy = found.from.as_deref();
                let policy: Option<Value> = policy.and_then(|text| serde_json::from_str(text).ok());
                !action.any_stands_in(policy.as_ref())
            }
            (Self::TagObject(_), Self::TagObject(found)) => !found.from.contains_key(TAG),
            _ => self.from() == found.from(),
        }
    }

    /// A part of it is left: the tag without the deny, or one statement of two.
    fn left(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::DenyTagged(_), Self::DenyTagged(_))
            | (Self::TagObject(_), Self::TagObject(_)) => !self.is_restored(found),
            _ => false,
        }
    }

    fn to(&self) -> Value {
        match self {
            Self::BlockBucket(_) | Self::BlockAccount(_) => json!(BlockPublicAccess::ALL),
            Self::DenyInPolicy(action) => json!({ "Statement": action.statement }),
            Self::DenyTagged(action) => json!({ "Statement": action.statements }),
            Self::TagObject(action) => {
                let mut tags = action.from.clone();
                tags.insert(TAG.to_owned(), action.finding.clone());
                json!({ "TagSet": tags })
            }
        }
    }

    fn undo(&self) -> Undo {
        Undo::Restore
    }
}
