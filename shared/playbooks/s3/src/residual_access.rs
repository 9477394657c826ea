//! Who can still read a bucket, and who is shut out, as far as was read of this very bucket.

use std::collections::BTreeSet;

use super::alternatives::alternatives;
use super::grants::Grants;
use super::state::Bucket;
use model::finding::{Finding, Principal};
use model::investigation::listed;
use model::plan::Plan;

/// Statements in a sentence.
const MOST: usize = 10;

/// Adds the access that remains after the bucket's public access is blocked, or the caller denied.
pub(super) fn remaining_access<A>(
    plan: &mut Plan<A>,
    finding: &Finding,
    name: &str,
    bucket: &Bucket,
    blocked: bool,
) {
    let account = &finding.account_id;
    plan.residual_risks.push(format!(
        "IAM principals of account {account} can still read {name} by their own policies, and by presigned URLs \
         (7 days at most by signature version 4)"
    ));
    // RestrictPublicBuckets: while any statement is public, only the owner's account and AWS services
    // get in.
    let restricted = blocked && matches!(bucket.policy_is_public, Ok(true));
    by_policy(plan, finding, name, bucket, restricted);
    by_acls(&mut plan.residual_risks, name, bucket, restricted);
    plan.residual_risks.extend(by_access_points(name, bucket));
    if blocked {
        shut_out(&mut plan.next_steps, name, bucket, restricted);
    }
}

fn by_policy<A>(
    plan: &mut Plan<A>,
    finding: &Finding,
    name: &str,
    bucket: &Bucket,
    restricted: bool,
) {
    let risks = &mut plan.residual_risks;
    let policy = match &bucket.policy {
        Ok(Some(policy)) => policy,
        Ok(None) => return,
        Err(error) => {
            let unknown = format!("it is not known whom the policy of {name} lets in: {error}");
            return risks.push(unknown);
        }
    };
    let grants = Grants::of(&policy.document, &finding.account_id);
    let (left, shut_out) = policy_grants(&grants, finding, name, restricted);
    risks.extend(left);
    risks.extend(open_statements(&grants, bucket, name));
    if grants.let_others_in() && !restricted {
        risks.push(format!(
            "Multi-Region access points of {name} are not read: they let in everybody whom both their \
             policy and that of {name} let in"
        ));
    }
    plan.next_steps.extend(shut_out);
}

fn by_acls(risks: &mut Vec<String>, name: &str, bucket: &Bucket, restricted: bool) {
    match &bucket.acl {
        Ok(acl) => risks.extend(acl.foreign().map(|grant| {
            format!(
                "the ACL of {name} gives {} to the account with the canonical id {}",
                grant.permission, grant.grantee
            )
        })),
        Err(error) => risks.push(format!(
            "it is not known whom the ACL of {name} lets in: {error}"
        )),
    }
    match &bucket.acls_enabled {
        Ok(true) if !restricted => risks.push(format!(
            "ACLs are in effect in {name} (Object Ownership): those of its objects are not read, and let \
             in the accounts that they name, and the owner of each object"
        )),
        Ok(_) => {}
        Err(error) => risks.push(format!(
            "whether ACLs of objects in {name} let in other accounts is not known: {error}"
        )),
    }
}

fn by_access_points(name: &str, bucket: &Bucket) -> Option<String> {
    match bucket.access_points.as_ref()? {
        Ok(points) if points.names.is_empty() => None,
        Ok(points) => Some(format!(
            "{name} can be reached through access points, by those whom their own policies let in: {}{}",
            points.names.join(", "),
            if points.more { " and more" } else { "" }
        )),
        Err(error) => Some(format!("access points of {name} are not known: {error}")),
    }
}

/// Adds the steps for the users that the flags shut out.
fn shut_out(next_steps: &mut Vec<String>, name: &str, bucket: &Bucket, restricted: bool) {
    if let Err(error) = &bucket.tagged {
        next_steps.push(format!(
            "check whether {name} is public on purpose: its tags could not be read ({error})"
        ));
    }
    if matches!(bucket.website, Ok(true)) {
        next_steps.push(format!(
            "serve the static website of {name} through CloudFront: it answers 403 while the flags are on (undo: \
             gdr release)"
        ));
    } else if may_have_been_public(bucket) {
        next_steps.push(format!(
            "check whether {name} is public on purpose: the flags block everybody without credentials (undo: \
             gdr release)"
        ));
    } else {
        return;
    }
    next_steps.push(alternatives(name, bucket, restricted));
}

/// False only if it is certain that nobody came in without credentials. With `IgnorePublicAcls` on
/// the stored ACL cannot be read.
fn may_have_been_public(bucket: &Bucket) -> bool {
    let by_policy = !matches!(bucket.policy_is_public, Ok(false));
    let by_acl = !matches!(&bucket.acl, Ok(acl) if !acl.is_public());
    by_policy || by_acl || bucket.block.ignore_public_acls
}

/// The statements for everybody of a policy that is not known to be public, which Block Public Access
/// does not touch.
fn open_statements(grants: &Grants, bucket: &Bucket, name: &str) -> Option<String> {
    let status = match &bucket.policy_is_public {
        Ok(true) => return None,
        Ok(false) => "which S3 does not call public".to_owned(),
        Err(error) => format!("unless S3 calls it public, which is not known ({error})"),
    };
    let open: Vec<_> = grants.open.iter().map(ToString::to_string).collect();
    (!open.is_empty()).then(|| {
        format!(
            "the policy of {name}, {status}, lets in everybody who meets the condition of a statement \
             for everybody, and Block Public Access does not stop that: {}",
            listed(&open, MOST)
        )
    })
}

fn policy_grants(
    grants: &Grants,
    finding: &Finding,
    name: &str,
    restricted: bool,
) -> (Vec<String>, Vec<String>) {
    let mut left = Vec::new();
    let mut shut_out = Vec::new();
    let mut accounts: Vec<_> = grants
        .accounts
        .iter()
        .map(|(id, actions)| {
            let actions: Vec<_> = actions.iter().map(String::as_str).collect();
            format!("account {id} ({})", actions.join(", "))
        })
        .collect();
    accounts.extend(
        grants
            .organizations
            .iter()
            .map(|id| format!("organization {id}")),
    );
    if !accounts.is_empty() {
        let accounts = accounts.join(", ");
        if restricted {
            shut_out.push(format!(
                "the policy of {name} also lets in {accounts}; they are shut out as long as another \
                 statement of it is public: take that statement out to let them in again{}",
                but_for_the_caller(grants, finding)
            ));
        } else {
            left.push(format!("the policy of {name} lets in {accounts}"));
        }
    }
    let list = |items: &BTreeSet<String>| {
        items
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !grants.services.is_empty() {
        left.push(format!(
            "the policy of {name} lets in AWS services: {}",
            list(&grants.services)
        ));
    }
    if !grants.others.is_empty() {
        left.push(format!(
            "the policy of {name} lets in {}",
            list(&grants.others)
        ));
    }
    (left, shut_out)
}

/// Letting others in again lets in whom the finding is about, if it is one of them.
fn but_for_the_caller(grants: &Grants, finding: &Finding) -> String {
    match (finding.remote_account(), finding.principal()) {
        (Some(account), _) if grants.accounts.contains_key(account) => format!(
            ". It lets in account {account} too, which this finding names: take out what allows it first"
        ),
        (_, Ok(Principal::OtherAccount { .. })) => {
            ". The caller of this finding may be one of them: take out what allows it first"
                .to_owned()
        }
        _ => String::new(),
    }
}
