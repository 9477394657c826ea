//! Whether a bucket lets in everybody, by what, and whether its objects may. Pure.

use super::block::BlockPublicAccess;
use super::grants::Grants;
use super::state::Bucket;
use aws::error::Result;
use model::finding::Finding;
use model::investigation::listed;

/// Statements and grants in a sentence.
const MOST: usize = 5;

/// Whether the bucket's policy or its ACL lets in everybody, while the flags are as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposure {
    Public,
    NotPublic,
    Unknown,
}

/// A bucket under the flags that apply to it: its own, and those of its account.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) effective: BlockPublicAccess,
    pub(super) exposure: Exposure,
}

impl<'a> Seen<'a> {
    /// `account`: its flags, which count as off where they could not be read.
    pub(super) fn of(bucket: &'a Bucket, account: &Result<BlockPublicAccess>) -> Self {
        let effective = bucket.block.and(account.clone().unwrap_or_default());
        let policy = if effective.restrict_public_buckets {
            Some(false)
        } else {
            bucket.policy_is_public.as_ref().ok().copied()
        };
        let acl = if effective.ignore_public_acls {
            Some(false)
        } else {
            bucket.acl.as_ref().ok().map(super::block::Acl::is_public)
        };
        let exposure = match (policy, acl) {
            (Some(true), _) | (_, Some(true)) => Exposure::Public,
            (Some(false), Some(false)) => Exposure::NotPublic,
            _ => Exposure::Unknown,
        };
        Self {
            bucket,
            effective,
            exposure,
        }
    }

    /// True unless it is certain that no object is public by an ACL of its own. Nobody reads the ACL of
    /// each object; `IgnorePublicAcls` ends the effect of all.
    pub(super) fn objects_may_be_public(&self) -> bool {
        !self.effective.ignore_public_acls && !matches!(self.bucket.acls_enabled, Ok(false))
    }

    /// True if a caller of another account may be let in by the public ACL of an object: ACLs are in effect,
    /// and the policy does not name the account that the finding says it is of.
    pub(super) fn may_be_let_in_by_an_object(&self, finding: &Finding) -> bool {
        let named = match (&self.bucket.policy, finding.remote_account()) {
            (Ok(Some(policy)), Some(account)) => {
                let grants = Grants::of(&policy.document, &finding.account_id);
                grants.accounts.contains_key(account)
            }
            _ => false,
        };
        self.objects_may_be_public() && !named
    }

    /// True if it is certain that nobody gets in without credentials, not even by a condition.
    pub(super) fn is_shut_to_anybody(&self, finding: &Finding) -> bool {
        let conditional = match &self.bucket.policy {
            Ok(Some(policy)) => {
                let open = Grants::of(&policy.document, &finding.account_id).open;
                // All of a policy that S3 calls public is stopped by RestrictPublicBuckets.
                let stopped = self.effective.restrict_public_buckets
                    && matches!(self.bucket.policy_is_public, Ok(true));
                !open.is_empty() && !stopped
            }
            Ok(None) => false,
            Err(_) => true,
        };
        self.exposure == Exposure::NotPublic && !self.objects_may_be_public() && !conditional
    }

    /// By what everybody gets in: `its policy (statement …)`, `its ACL (READ to AllUsers)`.
    pub(super) fn ways(&self, finding: &Finding) -> Vec<String> {
        let Bucket {
            policy_is_public,
            policy,
            acl,
            ..
        } = self.bucket;
        let mut ways = Vec::new();
        if !self.effective.restrict_public_buckets && matches!(policy_is_public, Ok(true)) {
            let open = match policy {
                Ok(Some(policy)) => Grants::of(&policy.document, &finding.account_id).open,
                _ => Vec::new(),
            };
            let open: Vec<_> = open.iter().map(ToString::to_string).collect();
            ways.push(match open.as_slice() {
                [] => "its policy".to_owned(),
                open => format!("its policy: {}", listed(open, MOST)),
            });
        }
        if let Ok(acl) = acl
            && !self.effective.ignore_public_acls
            && acl.is_public()
        {
            ways.push(format!("its ACL ({})", listed(&acl.public(), MOST)));
        }
        ways
    }

    /// The exposure, for a sentence.
    pub(super) fn describe(&self) -> &'static str {
        match self.exposure {
            Exposure::Public => "the bucket is public at present",
            Exposure::NotPublic if self.objects_may_be_public() => {
                "the bucket is not public at present by its policy or its ACL; ACLs are in effect, and \
                 those of its objects are not read"
            }
            Exposure::NotPublic => "the bucket is not public at present",
            Exposure::Unknown => "whether the bucket is public could not be read",
        }
    }
}
