//! The flags of Block Public Access, and the ACL of which they change the effect,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>.

use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use aws_sdk_s3control::types::PublicAccessBlockConfiguration as AccountBlock;
use serde::{Deserialize, Serialize};

/// The predefined groups whose grants are public,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>.
const PUBLIC_GROUPS: [&str; 2] = [
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
];

/// The four flags of Block Public Access, of a bucket or of an account.
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

    /// True if these flags alone end the exposure that is there; the other two keep it from coming back.
    pub fn shut(self) -> bool {
        self.ignore_public_acls && self.restrict_public_buckets
    }

    /// The flags in effect if `self` and `other` both apply: S3 takes the stricter of a bucket's and its account's
    /// settings.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            block_public_acls: self.block_public_acls || other.block_public_acls,
            ignore_public_acls: self.ignore_public_acls || other.ignore_public_acls,
            block_public_policy: self.block_public_policy || other.block_public_policy,
            restrict_public_buckets: self.restrict_public_buckets || other.restrict_public_buckets,
        }
    }
}

impl From<PublicAccessBlockConfiguration> for BlockPublicAccess {
    fn from(flags: PublicAccessBlockConfiguration) -> Self {
        Self {
            block_public_acls: flags.block_public_acls.unwrap_or_default(),
            ignore_public_acls: flags.ignore_public_acls.unwrap_or_default(),
            block_public_policy: flags.block_public_policy.unwrap_or_default(),
            restrict_public_buckets: flags.restrict_public_buckets.unwrap_or_default(),
        }
    }
}

impl From<AccountBlock> for BlockPublicAccess {
    fn from(flags: AccountBlock) -> Self {
        Self {
            block_public_acls: flags.block_public_acls.unwrap_or_default(),
            ignore_public_acls: flags.ignore_public_acls.unwrap_or_default(),
            block_public_policy: flags.block_public_policy.unwrap_or_default(),
            restrict_public_buckets: flags.restrict_public_buckets.unwrap_or_default(),
        }
    }
}

/// The call replaces the document, and a member that is left out counts as off, so all four are
/// always given.
impl From<BlockPublicAccess> for PublicAccessBlockConfiguration {
    fn from(flags: BlockPublicAccess) -> Self {
        Self::builder()
            .block_public_acls(flags.block_public_acls)
            .ignore_public_acls(flags.ignore_public_acls)
            .block_public_policy(flags.block_public_policy)
            .restrict_public_buckets(flags.restrict_public_buckets)
            .build()
    }
}

/// All four, as for a bucket.
impl From<BlockPublicAccess> for AccountBlock {
    fn from(flags: BlockPublicAccess) -> Self {
        Self::builder()
            .block_public_acls(flags.block_public_acls)
            .ignore_public_acls(flags.ignore_public_acls)
            .block_public_policy(flags.block_public_policy)
            .restrict_public_buckets(flags.restrict_public_buckets)
            .build()
    }
}

/// The ACL of a bucket.
///
/// With `IgnorePublicAcls` on S3 answers with the ACL in effect, not with the stored one. So it is kept from before the
/// flags are set, <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Acl {
    /// The canonical id of the bucket's owner.
    pub owner: Option<String>,
    /// Who may do what.
    pub grants: Vec<Grant>,
}

/// A grant of an ACL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Grant {
    /// The URI of a group, or the canonical id of an account.
    pub grantee: String,
    /// `READ`, `WRITE`, `READ_ACP`, `WRITE_ACP` or `FULL_CONTROL`.
    pub permission: String,
}

impl Acl {
    /// True if everybody is granted something.
    pub fn is_public(&self) -> bool {
        let mut grantees = self.grants.iter().map(|grant| grant.grantee.as_str());
        grantees.any(|grantee| PUBLIC_GROUPS.contains(&grantee))
    }

    /// The grants to everybody: `READ to AllUsers`.
    pub(super) fn public(&self) -> Vec<String> {
        let grants = self.grants.iter();
        let public = grants.filter(|grant| PUBLIC_GROUPS.contains(&grant.grantee.as_str()));
        public
            .map(
                |Grant {
                     grantee,
                     permission,
                 }| {
                    let group = grantee.rsplit('/').next().unwrap_or(grantee);
                    format!("{permission} to {group}")
                },
            )
            .collect()
    }

    /// The grants to other accounts.
    pub fn foreign(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(|grant| {
            !grant.grantee.contains("://") && Some(&grant.grantee) != self.owner.as_ref()
        })
    }
}
