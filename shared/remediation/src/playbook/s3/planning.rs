//! What is to be done about each bucket of a finding, or about the account's setting. Pure.

use jiff::Timestamp;

use super::action::{BLOCK, BLOCK_ACCOUNT, BlockAccount, BlockBucket, BucketRef, DENY, S3Action};
use super::block::BlockPublicAccess;
use super::denying::{Stranger, deny, stranger};
use super::exemption::{Exemption, exemption, mark};
use super::observe::{Bucket, BucketState, State};
use super::remaining::remaining_access;
use crate::catalogue;
use crate::error::Result;
use crate::finding::{Finding, Principal};
use crate::guard::Resource;
use crate::plan::{Plan, Step};
use crate::settings::S3Settings;

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
            BucketState::Unreadable(error) => plan.steps.push(Step::Unknown {
                action: BLOCK,
                target: arn,
                error: error.clone(),
            }),
        }
    }
    plan
}

/// True if a bucket stays public for the sake of a mark that could have been set in the last minutes.
pub(super) fn is_provisional(finding: &Finding, state: &State, now: Timestamp) -> bool {
    let account = state.account.clone().unwrap_or_default();
    state.buckets.iter().any(|(name, state)| {
        let BucketState::Live(bucket) = state else {
            return false;
        };
        let exposure = Exposure::of(bucket.block.and(account), bucket);
        bucket.block != BlockPublicAccess::ALL
            && refusal(finding, bucket.block, exposure).is_none()
            && matches!(
                exemption(finding, name, bucket, now),
                Exemption::HonouredForNow(_)
            )
    })
}

/// The bucket as policies see it.
pub(super) fn resource(finding: &Finding, state: &State, of: &BucketRef) -> Resource {
    let resource = Resource::bucket(finding, &of.region, &of.name);
    let found = state.buckets.iter().find(|(name, _)| *name == of.name);
    let Some((_, BucketState::Live(bucket))) = found else {
        return resource.unread("public");
    };
    let effective = bucket.block.and(state.account.clone().unwrap_or_default());
    let resource = match Exposure::of(effective, bucket) {
        Exposure::Public => resource.flag("public", true),
        Exposure::NotPublic => resource.flag("public", false),
        Exposure::Unknown => resource.unread("public"),
    };
    let tags = bucket.tags.iter();
    let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
    resource.tags(tags, finding.bucket_tags(&of.name).as_deref())
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
                let seen = "all four flags are in effect, by the account's own setting or by the \
                            policy of its organization";
                Step::Already(action, seen.to_owned())
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
    let effective = bucket.block.and(state.account.clone().unwrap_or_default());
    let exposure = Exposure::of(effective, bucket);
    let mut seen = exposure.describe().to_owned();
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
    let refusal = refusal(finding, bucket.block, exposure);
    let exemption = match refusal {
        None if bucket.block != BlockPublicAccess::ALL => exemption(finding, &name, bucket, now),
        _ => Exemption::Unmarked,
    };
    let block = match (&refusal, &exemption) {
        (Some(reason), _)
        | (None, Exemption::Honoured(reason) | Exemption::HonouredForNow(reason)) => {
            skipped(BLOCK, &of.arn, format!("{reason} ({seen})"))
        }
        (None, _) => {
            let action = S3Action::BlockBucket(BlockBucket {
                bucket: of.clone(),
                from: bucket.block,
                acl: bucket.acl.as_ref().ok().cloned(),
            });
            if bucket.block == BlockPublicAccess::ALL {
                Step::Already(action, format!("all four flags are on ({seen})"))
            } else {
                Step::Do(action)
            }
        }
    };
    let blocked = matches!(block, Step::Do(_) | Step::Already(..));
    if let Exemption::NotHonoured(why) = &exemption {
        plan.next_steps.push(why.clone());
    }
    if !blocked && exposure == Exposure::Public {
        plan.residual_risks.push(match exemption {
            Exemption::Honoured(_) | Exemption::HonouredForNow(_) => {
                format!("{name} stays public, as it is marked")
            }
            _ => format!("{name} is public at present, apart from what this finding is about"),
        });
    }

    let deny = match stranger(finding, blocked, bucket) {
        Some(Stranger { caller, .. }) if settings.policy_deny => {
            let refuses_public = blocked || effective.block_public_policy;
            Some(deny(plan, &of, bucket, refuses_public, caller))
        }
        // The flags alone would look like the whole of it.
        Some(Stranger { way, .. }) if blocked => Some(skipped(
            DENY,
            &of.arn,
            format!(
                "{way}, which the flags do not stop, and the bucket's policy is left to a person \
                 (S3_POLICY_DENY is off)"
            ),
        )),
        Some(_) => {
            plan.next_steps.push(format!(
                "to shut the caller out of {name}, deny it in the bucket's policy (S3_POLICY_DENY \
                 does so)"
            ));
            None
        }
        None => None,
    };
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exposure {
    Public,
    NotPublic,
    Unknown,
}

impl Exposure {
    /// What the flags that apply make of the bucket's policy and ACL.
    fn of(block: BlockPublicAccess, bucket: &Bucket) -> Self {
        let policy = if block.restrict_public_buckets {
            Some(false)
        } else {
            bucket.policy_is_public.as_ref().ok().copied()
        };
        let acl = if block.ignore_public_acls {
            Some(false)
        } else {
            bucket.acl.as_ref().ok().map(super::block::Acl::is_public)
        };
        match (policy, acl) {
            (Some(true), _) | (_, Some(true)) => Self::Public,
            (Some(false), Some(false)) => Self::NotPublic,
            _ => Self::Unknown,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Public => "the bucket is public at present",
            Self::NotPublic => "the bucket is not public at present",
            Self::Unknown => "whether the bucket is public could not be read",
        }
    }
}

/// Why the block is not the answer to the finding, whatever is found of the bucket.
pub(crate) fn refused(finding: &Finding) -> Option<String> {
    refusal(finding, BlockPublicAccess::ALL, Exposure::Public)
}

/// Why blocking public access is not the answer to this finding, if it is not.
fn refusal(finding: &Finding, block: BlockPublicAccess, exposure: Exposure) -> Option<String> {
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
        // Let in by the public grant; once that is blocked the bucket is no longer public.
        Ok(Principal::OtherAccount { .. })
            if exposure == Exposure::Public || block == BlockPublicAccess::ALL =>
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
