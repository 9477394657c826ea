//! The steps for each bucket of a finding, and for the account's setting, by the state that was read. Pure.

use jiff::Timestamp;

use super::action::{Action, BlockAccount, BlockBucket, BucketRef};
use super::alternatives::alternatives_of_account;
use super::block::BlockPublicAccess;
use super::exemption::{Exemption, TAG, exemption, mark};
use super::exposure::{Exposure, Seen};
use super::policy_deny::{ExternalCaller, deny, external_caller};
use super::quarantine::quarantine;
use super::refused_call::refused_call;
use super::residual_access::remaining_access;
use super::state::{Bucket, BucketState, State};
use aws::error::{Error, Result};
use model::actions::s3 as name;
use model::finding::{Finding, Principal};
use model::plan::{Plan, Step, StepKey};
use model::settings::S3Settings;
use model::{catalogue, not_contained};

const ALL_FLAGS: &str = "all four flags are in effect, by the account's own setting or by the policy of its \
                         organization";

pub(super) fn plan(
    finding: &Finding,
    state: &State,
    settings: &S3Settings,
    now: Timestamp,
) -> Plan<Action> {
    let mut plan = Plan::default();
    if catalogue::concerns_object(finding) {
        quarantine(&mut plan, finding, state);
        return plan;
    }
    if catalogue::concerns_account_block(finding) {
        account(&mut plan, finding, &state.account, settings);
    }
    for (name, bucket) in &state.buckets {
        let arn = format!("arn:{}:s3:::{name}", finding.partition());
        let skipped = |reason: &str| Step::skipped(name::BLOCK, &arn, reason);
        match bucket {
            BucketState::Live(bucket) => {
                let of = BucketRef {
                    name: name.clone(),
                    arn,
                    region: bucket.region.clone(),
                    owner_account: finding.account_id.clone(),
                };
                live(&mut plan, finding, &of, bucket, state, settings, now);
            }
            BucketState::Gone => plan.steps.push(skipped("there is no such bucket now")),
            BucketState::OtherKind(why) => plan.steps.push(skipped(why)),
            BucketState::AnotherAccounts => {
                another_accounts(&mut plan, name::BLOCK, finding, name, arn);
            }
            BucketState::Unreadable(error) => {
                // Whatever the bucket is like, so that it need not be read.
                let step = match not_contained::block_is_no_answer(finding) {
                    Some(reason) => {
                        skipped(&format!("{reason} (the bucket could not be read: {error})"))
                    }
                    None => Step::unknown(name::BLOCK, arn, error),
                };
                plan.steps.push(step);
            }
        }
    }
    plan
}

/// True if a bucket stays public for the sake of a mark that could have been set in the last minutes.
pub(super) fn is_provisional(finding: &Finding, state: &State, now: Timestamp) -> bool {
    !catalogue::concerns_object(finding)
        && state.buckets.iter().any(|(name, found)| {
            let BucketState::Live(bucket) = found else {
                return false;
            };
            let seen = Seen::of(bucket, &state.account);
            bucket.block != BlockPublicAccess::ALL
                && refused_call(finding, &seen).is_none()
                && refusal(finding, &seen).is_none()
                && matches!(
                    exemption(finding, name, bucket, now),
                    Exemption::HonouredForNow(_)
                )
        })
}

pub(super) fn another_accounts(
    plan: &mut Plan<Action>,
    action: &'static str,
    finding: &Finding,
    name: &str,
    target: String,
) {
    let account = &finding.account_id;
    let reason = format!(
        "the bucket belongs to another account: S3 refuses it to account {account}, and it is not among \
         the buckets of that account"
    );
    plan.steps.push(Step::skipped(action, target, reason));
    plan.next_steps.push(format!(
        "{name} belongs to another account, and only its owner can shut it: find out in CloudTrail what \
         principals of account {account} wrote to it or read from it"
    ));
}

fn account(
    plan: &mut Plan<Action>,
    finding: &Finding,
    block: &Result<BlockPublicAccess>,
    settings: &S3Settings,
) {
    let target = &finding.account_id;
    let step = match block {
        Err(error) => Step::unknown(name::BLOCK_ACCOUNT, target, error),
        Ok(from) => {
            let action = Action::BlockAccount(BlockAccount {
                account: target.clone(),
                region: finding.region.clone(),
                from: *from,
            });
            if *from == BlockPublicAccess::ALL {
                Step::Already(action, ALL_FLAGS.to_owned())
            } else if settings.account_block {
                Step::Do(action)
            } else {
                Step::skipped(
                    name::BLOCK_ACCOUNT,
                    target,
                    "the account's Block Public Access is left to the operator: it shuts out the users \
                     of every public bucket of the account (S3_ACCOUNT_BLOCK is off)",
                )
            }
        }
    };
    if matches!(step, Step::Do(_) | Step::Already(..)) {
        plan.residual_risks.push(format!(
            "grants of buckets of account {target} to named accounts, and presigned URLs, still work; a bucket \
             opened later is found only by its own finding"
        ));
        plan.next_steps.push(format!(
            "find the buckets of account {target} that are public on purpose: the account's setting blocks their \
             users, whatever their tags are"
        ));
        plan.next_steps.push(alternatives_of_account(target));
    }
    plan.steps.push(step);
}

fn live(
    plan: &mut Plan<Action>,
    finding: &Finding,
    of: &BucketRef,
    bucket: &Bucket,
    state: &State,
    settings: &S3Settings,
    now: Timestamp,
) {
    let seen = Seen::of(bucket, &state.account);
    let refused_call = refused_call(finding, &seen);
    let refusal = refused_call.clone().or_else(|| refusal(finding, &seen));
    let exemption = match refusal {
        None if bucket.block != BlockPublicAccess::ALL => exemption(finding, &of.name, bucket, now),
        _ => Exemption::Unmarked,
    };
    let described = described(finding, &seen);
    let block = match (&refusal, &exemption) {
        (Some(reason), _)
        | (None, Exemption::Honoured(reason) | Exemption::HonouredForNow(reason)) => {
            Step::skipped(name::BLOCK, &of.arn, format!("{reason} ({described})"))
        }
        (None, _) => block(of, bucket, &state.account, &described),
    };
    let blocked = matches!(block, Step::Do(_) | Step::Already(..));
    if let Exemption::NotHonoured(why) = &exemption {
        plan.next_steps.push(why.clone());
    }
    let is_refused_call = refused_call.is_some();
    if !blocked && seen.exposure == Exposure::Public {
        stays_public(plan, &of.name, &exemption, is_refused_call);
    }
    let caller = match refused_call {
        // Whoever got nothing is not to be shut out.
        Some(_) => None,
        None => external_caller(finding, blocked, bucket),
    };
    let deny = caller.and_then(|caller| deny_if_set(plan, of, &seen, blocked, caller, settings));
    if bucket.block == BlockPublicAccess::ALL
        && blocked
        && let Some(mark) = mark(bucket)
    {
        plan.next_steps.push(format!(
            "{} is marked as public on purpose ({mark}), and is blocked: a mark counts only if it is \
             known to be older than the activity, and a website only if the bucket was public before. If \
             it is right, restore the flags",
            of.name,
        ));
    }
    let denied = matches!(deny, Some(Step::Do(_) | Step::Already(..)));
    if blocked || denied {
        remaining_access(plan, finding, &of.name, bucket, blocked);
    }
    if matches!(block, Step::Do(_)) {
        shut_by_account(plan, of, &state.account);
    }
    // What the deny answers needs no step that says why the block is not the answer.
    if blocked || !denied || exemption.is_honoured() {
        plan.steps.push(block);
    }
    plan.steps.extend(deny);
}

/// The description of the bucket, for a sentence.
fn described(finding: &Finding, seen: &Seen<'_>) -> String {
    let bucket = seen.bucket;
    let mut described = seen.describe().to_owned();
    if let Ok(acl) = &bucket.acl
        && let Some(owner) = &acl.owner
    {
        described.push_str(&format!(", owner {owner}"));
    }
    if bucket.region != finding.region {
        described.push_str(&format!(
            "; it is in {}, not in {} as the finding says",
            bucket.region, finding.region
        ));
    }
    described
}

fn stays_public(plan: &mut Plan<Action>, name: &str, exemption: &Exemption, is_refused_call: bool) {
    plan.residual_risks.push(if exemption.is_honoured() {
        format!("{name} stays public, as it is marked")
    } else {
        format!("{name} is public at present, apart from what this finding is about")
    });
    if is_refused_call {
        plan.next_steps.push(format!(
            "ask the owner of {name} whether it is public on purpose: if not, turn its Block Public \
             Access on; if so, mark it ({TAG})"
        ));
    }
}

/// The deny of a caller whom the flags do not stop, as far as the setting lets it.
fn deny_if_set(
    plan: &mut Plan<Action>,
    of: &BucketRef,
    seen: &Seen<'_>,
    blocked: bool,
    ExternalCaller { caller, way }: ExternalCaller,
    settings: &S3Settings,
) -> Option<Step<Action>> {
    if settings.policy_deny {
        let refuses_public = blocked || seen.effective.block_public_policy;
        return Some(deny(plan, of, seen.bucket, refuses_public, caller));
    }
    if blocked {
        // The flags alone would look like the whole of it.
        let reason = format!(
            "{way}, which the flags do not stop, and the bucket's policy is left to the operator \
             (S3_POLICY_DENY is off)"
        );
        return Some(Step::skipped(name::DENY, &of.arn, reason));
    }
    plan.next_steps.push(format!(
        "to shut the caller out of {}, deny it in the bucket's policy (S3_POLICY_DENY does so)",
        of.name
    ));
    None
}

fn block(
    of: &BucketRef,
    bucket: &Bucket,
    account: &Result<BlockPublicAccess>,
    seen: &str,
) -> Step<Action> {
    let done = bucket.block == BlockPublicAccess::ALL;
    let action = Action::BlockBucket(BlockBucket {
        bucket: of.clone(),
        from: bucket.block,
        acl: bucket.acl.as_ref().ok().cloned(),
        account_is_blocked: !done && matches!(account, Ok(BlockPublicAccess::ALL)),
    });
    if done {
        Step::Already(action, format!("all four flags are on ({seen})"))
    } else {
        Step::Do(action)
    }
}

/// Tells that the account's flags shut the bucket already, so that its own only keep it shut. They are set all the
/// same: a change of the account's flags does not open the bucket then. A policy of the organization may refuse that,
/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_s3.html>.
fn shut_by_account(plan: &mut Plan<Action>, of: &BucketRef, account: &Result<BlockPublicAccess>) {
    let Ok(BlockPublicAccess::ALL) = account else {
        return;
    };
    let action = Action::BlockAccount(BlockAccount {
        account: of.owner_account.clone(),
        region: of.region.clone(),
        from: BlockPublicAccess::ALL,
    });
    let key = StepKey::of(&action);
    if plan.steps.iter().all(|step| step.key() != key) {
        let seen = format!("{ALL_FLAGS}: they shut each of its buckets");
        plan.steps.push(Step::Already(action, seen));
    }
}

/// The reason that a bucket's own flags, which S3 refused to set, may be off: its account's shut it.
pub(super) fn dispensable(state: &State, action: &Action, error: &Error) -> Option<String> {
    let (Action::BlockBucket(action), Ok(account)) = (action, &state.account) else {
        return None;
    };
    (error.is_denied() && account.shut()).then(|| {
        format!(
            "the flags of account {} shut {}, whose own are off; S3 refused to set these",
            action.bucket.owner_account, action.bucket.name
        )
    })
}

/// Why blocking public access is not the answer to this finding, if it is not.
fn refusal(finding: &Finding, seen: &Seen<'_>) -> Option<String> {
    let principal = match finding.principal() {
        Ok(principal @ Principal::OtherAccount { .. }) => principal,
        _ => return not_contained::caller_is_not_stopped(finding),
    };
    // Let in by the public grant, or perhaps by that of an object; once these are blocked the bucket is
    // no longer public.
    let may_be_stopped = not_contained::is_about_exposure(finding)
        || seen.exposure == Exposure::Public
        || seen.bucket.block == BlockPublicAccess::ALL
        || seen.may_be_let_in_by_an_object(finding);
    (!may_be_stopped).then(|| {
        format!(
            "{principal} is let in by name, which blocking public access does not stop: deny it in \
             the bucket policy"
        )
    })
}
