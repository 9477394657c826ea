//! What is to be done about each bucket of a finding, or about the account's setting. Pure.

use jiff::Timestamp;

use super::action::{BLOCK, BLOCK_ACCOUNT, BlockAccount, BlockBucket, BucketRef, DENY, S3Action};
use super::alternatives::alternatives_of_account;
use super::block::BlockPublicAccess;
use super::denying::{Stranger, deny, stranger};
use super::exemption::{Exemption, TAG, exemption, mark};
use super::exposure::{Exposure, Seen};
use super::observe::{Bucket, BucketState, State};
use super::refused_call::refused_call;
use super::remaining::remaining_access;
use crate::catalogue;
use crate::error::Result;
use crate::finding::{Finding, Principal};
use crate::guard::Resource;
use crate::plan::{Plan, Step, StepKey};
use crate::settings::S3Settings;

const ALL_FLAGS: &str = "all four flags are in effect, by the account's own setting or by the policy of its \
                         organization";

pub(super) fn plan(
    finding: &Finding,
    state: &State,
    settings: &S3Settings,
    now: Timestamp,
) -> Plan<S3Action> {
    let mut plan = Plan::default();
    if catalogue::concerns_account_block(finding) {
        account(&mut plan, finding, &state.account, settings);
    }
    for (name, bucket) in &state.buckets {
        let arn = format!("arn:{}:s3:::{name}", finding.partition());
        let skipped = |reason: &str| skipped(BLOCK, &arn, reason.to_owned());
        match bucket {
            BucketState::Live(bucket) => {
                let of = BucketRef {
                    name: name.clone(),
                    arn,
                    region: bucket.region.clone(),
                    owner_account: finding.account_id.clone(),
                };
                live(&mut plan, finding, of, bucket, state, settings, now);
            }
            BucketState::Gone => plan
                .steps
                .push(skipped("there is no such bucket (any more)")),
            BucketState::OtherKind(why) => plan.steps.push(skipped(why)),
            BucketState::AnotherAccounts => another_accounts(&mut plan, finding, name, arn),
            BucketState::Unreadable(error) => plan.steps.push(match refused(finding) {
                // Whatever the bucket is like, so that it need not be read.
                Some(reason) => {
                    skipped(&format!("{reason} (the bucket could not be read: {error})"))
                }
                None => Step::Unknown {
                    action: BLOCK,
                    target: arn,
                    error: error.clone(),
                },
            }),
        }
    }
    plan
}

/// True if a bucket stays public for the sake of a mark that could have been set in the last minutes.
pub(super) fn is_provisional(finding: &Finding, state: &State, now: Timestamp) -> bool {
    state.buckets.iter().any(|(name, found)| {
        let BucketState::Live(bucket) = found else {
            return false;
        };
        let seen = Seen::of(bucket, &state.account);
        bucket.block != BlockPublicAccess::ALL
            && refused_call(finding, Some(&seen)).is_none()
            && refusal(finding, Some(&seen)).is_none()
            && matches!(
                exemption(finding, name, bucket, now),
                Exemption::HonouredForNow(_)
            )
    })
}

fn another_accounts(plan: &mut Plan<S3Action>, finding: &Finding, name: &str, arn: String) {
    let account = &finding.account_id;
    let reason = format!(
        "the bucket belongs to another account: S3 refuses it to account {account}, and it is not among \
         the buckets of that account"
    );
    plan.steps.push(skipped(BLOCK, &arn, reason));
    plan.next_steps.push(format!(
        "{name} belongs to another account, and only its owner can shut it: find out in CloudTrail what \
         principals of account {account} wrote to it or read from it"
    ));
}

/// The bucket as policies see it.
pub(super) fn resource(finding: &Finding, state: &State, of: &BucketRef) -> Resource {
    let resource = Resource::bucket(finding, &of.region, &of.name);
    let found = state.buckets.iter().find(|(name, _)| *name == of.name);
    let Some((_, BucketState::Live(bucket))) = found else {
        return resource.unread("public");
    };
    let resource = match Seen::of(bucket, &state.account).exposure {
        Exposure::Public => resource.flag("public", true),
        Exposure::NotPublic => resource.flag("public", false),
        Exposure::Unknown => resource.unread("public"),
    };
    let shown = finding.bucket_tags(&of.name);
    if bucket.tagged.is_err() {
        return resource.unread_tags(shown.as_deref());
    }
    let tags = bucket.tags.iter();
    let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
    resource.tags(tags, shown.as_deref())
}

pub(super) fn skipped(action: &'static str, target: &str, reason: String) -> Step<S3Action> {
    Step::Skipped {
        action,
        target: target.to_owned(),
        reason,
    }
}

fn account(
    plan: &mut Plan<S3Action>,
    finding: &Finding,
    block: &Result<BlockPublicAccess>,
    settings: &S3Settings,
) {
    let target = &finding.account_id;
    let step = match block {
        Err(error) => Step::Unknown {
            action: BLOCK_ACCOUNT,
            target: target.clone(),
            error: error.clone(),
        },
        Ok(from) => {
            let action = S3Action::BlockAccount(BlockAccount {
                account: target.clone(),
                region: finding.region.clone(),
                from: *from,
            });
            if *from == BlockPublicAccess::ALL {
                Step::Already(action, ALL_FLAGS.to_owned())
            } else if settings.account_block {
                Step::Do(action)
            } else {
                skipped(
                    BLOCK_ACCOUNT,
                    target,
                    "the account's Block Public Access is left to a person, since it shuts out the \
                     users of every public bucket of the account (S3_ACCOUNT_BLOCK is off)"
                        .to_owned(),
                )
            }
        }
    };
    if matches!(step, Step::Do(_) | Step::Already(..)) {
        plan.residual_risks.push(format!(
            "what each bucket of account {target} grants to other accounts by name stays in effect, \
             and so do presigned URLs; a bucket that is opened anew is found by its own finding only"
        ));
        plan.next_steps.push(format!(
            "list the buckets of account {target} that are public on purpose (websites, downloads): \
             their users are shut out while the account's setting is on, whatever their tags say"
        ));
        plan.next_steps.push(alternatives_of_account(target));
    }
    plan.steps.push(step);
}

fn live(
    plan: &mut Plan<S3Action>,
    finding: &Finding,
    of: BucketRef,
    bucket: &Bucket,
    state: &State,
    settings: &S3Settings,
    now: Timestamp,
) {
    let name = of.name.clone();
    let under_flags = Seen::of(bucket, &state.account);
    let mut seen = under_flags.describe().to_owned();
    if let Ok(acl) = &bucket.acl
        && let Some(owner) = &acl.owner
    {
        seen.push_str(&format!(", owner {owner}"));
    }
    if bucket.region != finding.region {
        seen.push_str(&format!(
            "; it is in {}, not in {} as the finding says",
            bucket.region, finding.region
        ));
    }
    let refused_call = refused_call(finding, Some(&under_flags));
    let refusal = match &refused_call {
        Some(reason) => Some(reason.clone()),
        None => refusal(finding, Some(&under_flags)),
    };
    let exemption = match refusal {
        None if bucket.block != BlockPublicAccess::ALL => exemption(finding, &name, bucket, now),
        _ => Exemption::Unmarked,
    };
    let block = match (&refusal, &exemption) {
        (Some(reason), _)
        | (None, Exemption::Honoured(reason) | Exemption::HonouredForNow(reason)) => {
            skipped(BLOCK, &of.arn, format!("{reason} ({seen})"))
        }
        (None, _) => block(&of, bucket, &state.account, &seen),
    };
    let blocked = matches!(block, Step::Do(_) | Step::Already(..));
    if let Exemption::NotHonoured(why) = &exemption {
        plan.next_steps.push(why.clone());
    }
    if !blocked && under_flags.exposure == Exposure::Public {
        plan.residual_risks.push(match exemption {
            Exemption::Honoured(_) | Exemption::HonouredForNow(_) => {
                format!("{name} stays public, as it is marked")
            }
            _ => format!("{name} is public at present, apart from what this finding is about"),
        });
        if refused_call.is_some() {
            plan.next_steps.push(format!(
                "ask the owner of {name} whether it is public on purpose: if not, turn its Block Public \
                 Access on; if so, mark it ({TAG})"
            ));
        }
    }

    let stranger = match refused_call {
        // Whoever got nothing is not to be shut out.
        Some(_) => None,
        None => stranger(finding, blocked, bucket),
    };
    let refuses_public = blocked || under_flags.effective.block_public_policy;
    let deny = deny_if_set(
        plan,
        &of,
        bucket,
        refuses_public,
        blocked,
        stranger,
        settings,
    );
    if bucket.block == BlockPublicAccess::ALL
        && blocked
        && let Some(mark) = mark(bucket)
    {
        plan.next_steps.push(format!(
            "{name} is marked as public on purpose ({mark}), and is blocked: where a mark is not known \
             to be older than the activity it does not count, nor does a website of a bucket that was \
             not public before. If it is right, restore the flags"
        ));
    }
    let denied = matches!(deny, Some(Step::Do(_) | Step::Already(..)));
    if blocked || denied {
        remaining_access(plan, finding, &name, bucket, blocked);
    }
    if matches!(block, Step::Do(_)) {
        shut_by_account(plan, &of, &state.account);
    }
    // What the deny answers needs no step that says why the block is not the answer.
    let exempt = matches!(
        exemption,
        Exemption::Honoured(_) | Exemption::HonouredForNow(_)
    );
    if blocked || !denied || exempt {
        plan.steps.push(block);
    }
    plan.steps.extend(deny);
}

/// The deny of a caller whom the flags do not stop, as far as the setting lets it.
fn deny_if_set(
    plan: &mut Plan<S3Action>,
    of: &BucketRef,
    bucket: &Bucket,
    refuses_public: bool,
    blocked: bool,
    stranger: Option<Stranger>,
    settings: &S3Settings,
) -> Option<Step<S3Action>> {
    let Stranger { caller, way } = stranger?;
    if settings.policy_deny {
        return Some(deny(plan, of, bucket, refuses_public, caller));
    }
    if blocked {
        // The flags alone would look like the whole of it.
        let reason = format!(
            "{way}, which the flags do not stop, and the bucket's policy is left to a person \
             (S3_POLICY_DENY is off)"
        );
        return Some(skipped(DENY, &of.arn, reason));
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
) -> Step<S3Action> {
    let done = bucket.block == BlockPublicAccess::ALL;
    let action = S3Action::BlockBucket(BlockBucket {
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

/// Tells that the account's flags shut the bucket already, so that its own only keep it shut. They are set
/// all the same: whoever opens the account does not open the bucket then. A policy of the organization may
/// refuse that, <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_s3.html>.
fn shut_by_account(plan: &mut Plan<S3Action>, of: &BucketRef, account: &Result<BlockPublicAccess>) {
    let Ok(BlockPublicAccess::ALL) = account else {
        return;
    };
    let action = S3Action::BlockAccount(BlockAccount {
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

/// Why a bucket's own flags, which S3 did not let be set, may be off: its account's shut it.
pub(super) fn dispensable(state: &State, action: &S3Action) -> Option<String> {
    let (S3Action::BlockBucket(action), Ok(account)) = (action, &state.account) else {
        return None;
    };
    account.shut().then(|| {
        format!(
            "the flags of account {} shut {}, whose own are off; to set these was refused",
            action.bucket.owner_account, action.bucket.name
        )
    })
}

/// Why the block is not the answer to the finding, whatever is found of the bucket.
pub(crate) fn refused(finding: &Finding) -> Option<String> {
    refused_call(finding, None).or_else(|| refusal(finding, None))
}

/// Why blocking public access is not the answer to this finding, if it is not. `None` for `seen`: whatever
/// the bucket is like.
fn refusal(finding: &Finding, seen: Option<&Seen<'_>>) -> Option<String> {
    let kind = &finding.finding_type;
    // The finding is that the bucket was made public, whoever did it; or that whoever attacks it has
    // credentials that could do it next.
    if kind.purpose() == "Policy" || finding.handed_over_to().is_some() {
        return None;
    }
    match finding.principal() {
        Ok(Principal::Anonymous) if finding.api() == Some("PreflightRequest") => Some(
            "a successful preflight request shows a cross-origin (CORS) rule, not public access: \
             review the bucket's CORS configuration"
                .to_owned(),
        ),
        Ok(Principal::Anonymous) => None,
        // Let in by the public grant, or perhaps by that of an object; once these are blocked the bucket is
        // no longer public.
        Ok(Principal::OtherAccount { .. })
            if seen.is_none_or(|seen| {
                seen.exposure == Exposure::Public
                    || seen.bucket.block == BlockPublicAccess::ALL
                    || seen.may_be_let_in_by_an_object(finding)
            }) =>
        {
            None
        }
        Ok(principal @ Principal::OtherAccount { .. }) => Some(format!(
            "{principal} is let in by name, which blocking public access does not stop: deny it in \
             the bucket policy"
        )),
        Ok(principal @ Principal::Root) => Some(format!(
            "{principal} acted, which blocking public access does not stop: no function contains it, \
             and its credentials are the account owner's to change"
        )),
        Ok(principal) if principal.is_own() => Some(format!(
            "{principal} acted with credentials, which blocking public access does not stop: whether \
             they are contained is for the iam function and its settings"
        )),
        Ok(principal) => Some(format!(
            "{principal} acted, which blocking public access does not stop: no function contains it, \
             find out on whose behalf it acted"
        )),
        Err(error) => Some(format!(
            "the finding does not say that the caller was anonymous, and blocking public access stops \
             no one else ({error})"
        )),
    }
}
