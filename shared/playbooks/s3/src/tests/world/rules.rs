//! What S3 makes of a bucket: whether anybody gets an object, which policies it takes, whose it lists.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::operation::list_buckets::ListBucketsOutput;
use serde_json::Value;
use testkit::mock;

use super::{Bucket, World};
use fixtures::Wire;

impl Bucket {
    pub(super) fn takes(&self, policy: &str) -> Result<(), &'static str> {
        let policy: Value = serde_json::from_str(policy).map_err(|_| "MalformedPolicy")?;
        let named = policy["Statement"].to_string();
        let principals = ["\"AWS\":\"AIDA", "\"AWS\":\"AROA"];
        let deleted = self.deleted.is_some_and(|arn| named.contains(arn));
        if deleted || principals.iter().any(|id| named.contains(id)) {
            return Err("MalformedPolicy");
        }
        Ok(())
    }
}

impl World {
    /// Whether somebody without credentials of the account gets an object, by what S3 evaluates.
    pub(in super::super) fn anybody_gets_an_object(&self) -> bool {
        let bucket = self.now();
        let on =
            |own: Option<bool>, account: Option<bool>| own == Some(true) || account == Some(true);
        let (own, account) = (bucket.block.as_ref(), bucket.account.as_ref());
        let restricts = on(
            own.and_then(|flags| flags.restrict_public_buckets),
            account.and_then(|flags| flags.restrict_public_buckets),
        );
        let ignores = on(
            own.and_then(|flags| flags.ignore_public_acls),
            account.and_then(|flags| flags.ignore_public_acls),
        );
        let by_policy = bucket.policy_is_public && !restricts;
        let by_object = bucket.object_is_public && bucket.acls_enabled;
        by_policy || (!ignores && (bucket.acl_is_public || by_object))
    }
}

/// The account has the bucket that it is asked for, and one of a longer name.
pub(super) fn list_buckets(bucket: &Arc<Mutex<Bucket>>, wire: &Wire) -> testkit::Rule {
    let list = mock!(aws_sdk_s3::Client::list_buckets);
    list.answered_by((bucket, wire), "s3:ListAllMyBuckets", |bucket, request| {
        let prefix = request.prefix().expect("a prefix");
        let own = !bucket.gone && bucket.of_another_account != Some(prefix);
        let names = own.then(|| prefix.to_owned()).into_iter();
        let names = names.chain([format!("{prefix}-logs")]);
        let named = names.map(|name| aws_sdk_s3::types::Bucket::builder().name(name).build());
        Ok(ListBucketsOutput::builder()
            .set_buckets(Some(named.collect()))
            .build())
    })
}
