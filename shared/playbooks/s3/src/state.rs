//! The state of the buckets of a finding, read before anything is planned.

use std::collections::BTreeMap;

use super::block::{Acl, BlockPublicAccess};
use super::bucket_policy::BucketPolicy;
use super::object::ObjectState;
use aws::error::{Error, Result};
use model::finding::ObjectVersion;

/// The state of a finding's buckets, as it was read.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) buckets: Vec<(String, BucketState)>,
    /// The versions of objects, if the finding is about them.
    pub(super) objects: Vec<(ObjectVersion, ObjectState)>,
    /// The flags of the account, as they are in effect: an organization's policy may set them.
    pub(super) account: Result<BlockPublicAccess>,
}

/// The state of one bucket, as it was read.
#[derive(Clone, Debug)]
pub enum BucketState {
    /// It is there.
    Live(Box<Bucket>),
    /// There is no such bucket.
    Gone,
    /// A bucket of a kind that cannot be public, for this reason.
    OtherKind(&'static str),
    /// It belongs to another account than the finding's.
    AnotherAccounts,
    /// It could not be read.
    Unreadable(Error),
}

/// A bucket. A value that only informs may be an `Err`: why it is not known.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// The Region that it was found in.
    pub(super) region: String,
    pub(super) block: BlockPublicAccess,
    pub(super) policy_is_public: Result<bool>,
    pub(super) policy: Result<Option<BucketPolicy>>,
    pub(super) acl: Result<Acl>,
    /// Whether ACLs are in effect, those of the objects too.
    pub(super) acls_enabled: Result<bool>,
    /// None where they could not be read.
    pub(super) tags: BTreeMap<String, String>,
    /// Whether a tag says that it is public on purpose.
    pub(super) tagged: Result<bool>,
    /// Whether it serves a static website.
    pub(super) website: Result<bool>,
    /// The calls that may have marked it since a day before the activity. `None`: not asked, as nothing depends on it.
    pub(super) history: Option<Result<History>>,
    /// `None`: not asked yet, as nothing depends on them.
    pub(super) access_points: Option<Result<AccessPoints>>,
}

/// The access points of a bucket that its own account has made.
#[derive(Clone, Debug, Default)]
pub struct AccessPoints {
    /// Their names, with the VPC where only one may use them. Printable.
    pub(super) names: Vec<String>,
    /// True if there are more.
    pub(super) more: bool,
}

/// The calls that may have marked a bucket since a day before the activity began.
#[derive(Clone, Debug)]
pub struct History {
    pub(super) calls: Vec<Call>,
    /// False if there were more than were read.
    pub(super) complete: bool,
}

/// A call that CloudTrail shows.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) at: String,
    pub(super) by: String,
}
