//! The deny in a bucket's policy: the callers that Block Public Access does not stop, and whether S3 would take the
//! statement. Pure.

use std::net::IpAddr;

use serde_json::Value;

use super::action::{Action, BucketRef, DenyInPolicy};
use super::bucket_policy::{Caller, SIZE_LIMIT, holds, with};
use super::grants::{Grants, Open};
use super::state::Bucket;
use model::actions::s3 as name;
use model::finding::{Finding, Principal};
use model::plan::{Plan, Step};

/// A caller from elsewhere whom Block Public Access does not stop, or may not.
pub(super) struct ExternalCaller {
    /// `Err`: the finding does not identify it, for this reason.
    pub(super) caller: Result<Caller, String>,
    /// How it may get in while public access is blocked. Empty while it is not.
    pub(super) way: String,
}

/// The caller that a statement in the bucket's policy would stop, and Block Public Access does not.
pub(super) fn external_caller(
    finding: &Finding,
    blocked: bool,
    bucket: &Bucket,
) -> Option<ExternalCaller> {
    // Whoever changed a configuration is an administrator of the account.
    if matches!(finding.finding_type.purpose(), "Policy" | "Stealth") {
        return None;
    }
    let way = match finding.principal() {
        Ok(Principal::Anonymous) if finding.api() == Some("PreflightRequest") => None,
        Ok(Principal::Anonymous) if !blocked => Some(String::new()),
        Ok(Principal::Anonymous) => open_to_anybody(bucket, &finding.account_id),
        Ok(Principal::OtherAccount { .. }) if !blocked => Some(String::new()),
        Ok(Principal::OtherAccount { .. }) => open_to_others(bucket, &finding.account_id),
        _ => None,
    }?;
    let caller = match finding.principal() {
        Ok(Principal::Anonymous) => address(finding),
        _ => foreign(finding),
    };
    Some(ExternalCaller { caller, way })
}

fn address(finding: &Finding) -> Result<Caller, String> {
    let address = finding.remote_address().unwrap_or_default();
    // An IPv4 address that is written as one of IPv6 would match nobody.
    match address.parse().map(|found: IpAddr| found.to_canonical()) {
        Ok(address) if is_private(address) => Err(format!(
            "the caller came from {address}, through a VPC endpoint: deny that endpoint \
             (aws:SourceVpce), since private addresses are the same everywhere"
        )),
        Ok(address) => Ok(Caller::Address(address)),
        Err(_) => Err(format!(
            "the finding gives no address that could be denied ('{address}')"
        )),
    }
}

fn foreign(finding: &Finding) -> Result<Caller, String> {
    let account = finding.remote_account();
    finding
        .foreign_principal_id()
        .map(|id| Caller::Principal(id.to_owned()))
        .or_else(|| account.map(|id| Caller::Account(id.to_owned())))
        .ok_or_else(|| {
            "the finding gives neither the unique id of the principal nor its account".to_owned()
        })
}

/// How somebody without credentials gets in although all four flags are on: by a policy that S3 does
/// not call public. `RestrictPublicBuckets` is for public policies only, and `IgnorePublicAcls` stops
/// the ACLs.
fn open_to_anybody(bucket: &Bucket, own_account: &str) -> Option<String> {
    let Ok(Some(policy)) = &bucket.policy else {
        return None;
    };
    let open = Grants::of(&policy.document, own_account).open;
    let (stays, status) = match &bucket.policy_is_public {
        Ok(public) => (!public, "which S3 does not call public"),
        // Certainly public, if one has no condition.
        Err(_) => (
            open.iter().all(Open::is_conditional),
            "whose public status could not be read",
        ),
    };
    let first = open.first().filter(|_| stays)?;
    Some(format!(
        "the caller may be let in by the policy, {status}: by {first}"
    ))
}

/// How a principal of another account may get in although all four flags are on. `None`: it is certain
/// that it does not.
fn open_to_others(bucket: &Bucket, own_account: &str) -> Option<String> {
    // While the policy is public, RestrictPublicBuckets shuts all other accounts out.
    if matches!(bucket.policy_is_public, Ok(true)) {
        return None;
    }
    let by_policy = match &bucket.policy {
        Ok(Some(policy)) => Grants::of(&policy.document, own_account).let_others_in(),
        Ok(None) => false,
        Err(_) => true,
    };
    let by_acl = match &bucket.acl {
        Ok(acl) => acl.foreign().next().is_some(),
        Err(_) => true,
    };
    // Whoever wrote an object under them may own it, and nobody reads the ACL of each.
    let by_objects = !matches!(bucket.acls_enabled, Ok(false));
    let by_access_point = match &bucket.access_points {
        None => false,
        Some(Ok(points)) => !points.names.is_empty(),
        Some(Err(_)) => true,
    };
    let ways = [
        (by_policy, "by name or by a condition in the policy"),
        (by_acl, "by the bucket's ACL"),
        (by_objects, "by the ACL of an object"),
        (by_access_point, "by the policy of an access point"),
    ];
    let ways: Vec<_> = ways.iter().filter(|(may, _)| *may).collect();
    let ways: Vec<_> = ways.iter().map(|(_, way)| *way).collect();
    (!ways.is_empty()).then(|| format!("the caller may be let in {}", ways.join(", or ")))
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_link_local() || address.is_loopback()
        }
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback()
        }
    }
}

/// `refuses_public`: S3 takes no public policy, since `BlockPublicPolicy` is on, or will be by then,
/// for the bucket or for its account.
pub(super) fn deny(
    plan: &mut Plan<Action>,
    of: &BucketRef,
    bucket: &Bucket,
    refuses_public: bool,
    caller: Result<Caller, String>,
) -> Step<Action> {
    let caller = match caller {
        Ok(caller) => caller,
        Err(reason) => return Step::skipped(name::DENY, &of.arn, reason),
    };
    let statement = caller.statement(&of.arn);
    let wanted = Wanted {
        name: name::DENY,
        statements: std::slice::from_ref(&statement),
        instead: "make room and deny the caller by hand",
        refuses_public,
    };
    let step = wanted.step(of, bucket, |from| {
        Action::DenyInPolicy(DenyInPolicy {
            bucket: of.clone(),
            statement: statement.clone(),
            from,
        })
    });
    if matches!(step, Step::Do(_) | Step::Already(..)) {
        plan.residual_risks.push(caller.consequence(&of.name));
    }
    step
}

/// The statements that a bucket's policy is to have.
pub(super) struct Wanted<'a> {
    /// The action's name.
    pub(super) name: &'static str,
    pub(super) statements: &'a [Value],
    /// The work of the operator where the policy has no room for them.
    pub(super) instead: &'static str,
    /// As of [`deny`].
    pub(super) refuses_public: bool,
}

impl Wanted<'_> {
    /// The step that adds them. `action` is given the present policy, to the letter.
    pub(super) fn step(
        &self,
        of: &BucketRef,
        bucket: &Bucket,
        action: impl FnOnce(Option<String>) -> Action,
    ) -> Step<Action> {
        let standing = match &bucket.policy {
            Ok(standing) => standing.as_ref(),
            Err(error) => return Step::unknown(self.name, &of.arn, error),
        };
        let document = standing.map(|policy| &policy.document);
        let action = action(standing.map(|policy| policy.text.clone()));
        if holds(document, self.statements) {
            let seen = "the bucket's policy has the statement already";
            return Step::Already(action, seen.to_owned());
        }
        let size = with(document, self.statements).to_string().len();
        if size > SIZE_LIMIT {
            let reason = format!(
                "with one more statement the bucket's policy would be {size} bytes long, and S3 \
                 allows {SIZE_LIMIT}: {}",
                self.instead
            );
            return Step::skipped(self.name, &of.arn, reason);
        }
        if self.refuses_public && matches!(bucket.policy_is_public, Ok(true)) {
            return Step::skipped(
                self.name,
                &of.arn,
                "the bucket's policy is public, and with BlockPublicPolicy on S3 refuses to take it back \
                 with a statement more: take the public statement out first",
            );
        }
        Step::Do(action)
    }
}
