//! Malicious objects: a deny of reading what has the tag, and the tag on the version that the finding names. Objects
//! are never copied, moved or deleted, and their content is never read.
//!
//! <https://docs.aws.amazon.com/guardduty/latest/ug/tag-based-access-s3-malware-protection.html>: the policy of a bucket
//! can decide by the tags of an object. GuardDuty's own tag is not used: it is only there if the bucket's Malware
//! Protection plan has tagging on.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::action::{Action, BucketRef, DenyTaggedObjects, TagObjectVersion};
use super::apply::{deny, despite_conflicts, lift_deny};
use super::bucket;
use super::bucket_policy::{has_sid, holds};
use super::clients::Clients;
use super::exposure::Seen;
use super::object::{self, Object, ObjectState, TAG, Tags};
use super::plan::another_accounts;
use super::policy_deny::Wanted;
use super::state::{Bucket, BucketState, State};
use aws::error::{Error, Result};
use model::actions::s3 as name;
use model::finding::{Finding, ObjectVersion, printable};
use model::plan::{Plan, Step};

/// S3 allows an object 10 tags, <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>.
const MOST_TAGS: usize = 10;
/// The longest value of a tag.
const LONGEST_VALUE: usize = 256;

/// Pauses before the tag is taken off again, since S3 refused: a changed policy is not in effect everywhere immediately.
const POLICY_PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// The statements of the policy of the bucket of this ARN. The first denies reading what has the tag; a copy is read,
/// too. The second keeps the tag on: without it, whoever may tag the object takes the tag off.
///
/// Nobody is exempt, not even the bucket's owner. The role of the operator who releases is not known beforehand. So a
/// release takes the second statement out for the moment in which it takes the tag off. The first one stays.
fn statements(bucket_arn: &str) -> Vec<Value> {
    let statement = |sid: &str, actions: &[&str]| {
        json!({
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": actions,
            "Resource": format!("{bucket_arn}/*"),
            "Condition": { "StringLike": { format!("s3:ExistingObjectTag/{TAG}"): "*" } },
        })
    };
    let reads = ["s3:GetObject", "s3:GetObjectVersion"];
    let tags = [
        "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersionTagging",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionTagging",
    ];
    vec![
        statement("GuardDutyResponderDenyTagged", &reads),
        statement("GuardDutyResponderKeepTags", &tags),
    ]
}

/// Plans the quarantine of the objects of `finding`. Pure.
pub(super) fn quarantine(plan: &mut Plan<Action>, finding: &Finding, state: &State) {
    for (name, found) in &state.buckets {
        let objects = state.objects.iter();
        let objects: Vec<_> = objects.filter(|(of, _)| of.bucket == *name).collect();
        if let BucketState::Live(bucket) = found {
            let of = BucketRef {
                name: name.clone(),
                arn: format!("arn:{}:s3:::{name}", finding.partition()),
                region: bucket.region.clone(),
                owner_account: finding.account_id.clone(),
            };
            in_bucket(plan, finding, &of, bucket, state, &objects);
            continue;
        }
        for (_, object) in objects {
            let arn = object.object().arn.clone();
            plan.steps.push(match found {
                BucketState::Unreadable(error) => Step::unknown(name::TAG_OBJECT, arn, error),
                BucketState::AnotherAccounts => {
                    another_accounts(plan, name::TAG_OBJECT, finding, name, arn);
                    continue;
                }
                BucketState::OtherKind(_) => Step::skipped(
                    name::TAG_OBJECT,
                    arn,
                    "the objects of a bucket of this kind have no tags: deny reading the object by its ARN \
                     in the bucket's policy",
                ),
                BucketState::Gone | BucketState::Live(_) => {
                    Step::skipped(name::TAG_OBJECT, arn, "there is no such bucket now")
                }
            });
        }
    }
}

fn in_bucket(
    plan: &mut Plan<Action>,
    finding: &Finding,
    of: &BucketRef,
    bucket: &Bucket,
    state: &State,
    objects: &[&(ObjectVersion, ObjectState)],
) {
    let statements = statements(&of.arn);
    let wanted = Wanted {
        name: name::DENY_TAGGED,
        statements: &statements,
        instead: "make room, or deny reading the object by hand",
        refuses_public: Seen::of(bucket, &state.account)
            .effective
            .block_public_policy,
    };
    let deny = wanted.step(of, bucket, |from| {
        Action::DenyTagged(DenyTaggedObjects {
            bucket: of.clone(),
            statements: statements.clone(),
            from,
        })
    });
    let tags: Vec<_> = objects
        .iter()
        .map(|(_, found)| tag_step(finding, of, found, &deny))
        .collect();
    let live = |step: &Step<Action>| matches!(step, Step::Do(_) | Step::Already(..));
    // Nothing is denied on account of an object that cannot be tagged. What stands is told, for a release.
    let denies = tags.iter().any(live) || !matches!(deny, Step::Do(_));
    for ((_, found), step) in objects.iter().zip(&tags) {
        if live(step) {
            remains(plan, found.object());
        }
    }
    if tags.iter().any(live) {
        plan.next_steps.extend([
            format!(
                "find out who uploaded the object to {} and who read it (CloudTrail data events, access logs); scan \
                 the readers",
                of.name
            ),
            "then delete the version, or release it if it is harmless: gdr release".to_owned(),
        ]);
    }
    plan.steps.extend(Some(deny).filter(|_| denies));
    plan.steps.extend(tags);
}

fn remains(plan: &mut Plan<Action>, object: &Object) {
    let key = printable(&object.key);
    plan.residual_risks.extend([
        format!(
            "earlier copies of {key} can be read (replicas, backups, other keys, downloads, caches), and replication \
             continues"
        ),
        format!(
            "only this version of {key} is denied: other versions and objects are not, and writers can replace or \
             delete it"
        ),
        format!(
            "nobody can read this version of {key} now, also by presigned URLs and access points; GuardDuty cannot \
             scan it again"
        ),
    ]);
}

fn tag_step(
    finding: &Finding,
    of: &BucketRef,
    found: &ObjectState,
    deny: &Step<Action>,
) -> Step<Action> {
    let skipped =
        |object: &Object, why: &str| Step::skipped(name::TAG_OBJECT, object.arn.clone(), why);
    let (object, tags) = match found {
        ObjectState::Live(object, tags) => (object, tags),
        ObjectState::Gone(object) => {
            return skipped(
                object,
                "there is no such version now, so there is nothing to deny: find out who deleted it, and \
                 look for other versions and copies of it",
            );
        }
        ObjectState::Overwritten(object) => {
            return skipped(
                object,
                "the object was overwritten, and what is there now is another one, which is not tagged: see \
                 whether GuardDuty has scanned it",
            );
        }
        ObjectState::Unidentified(object) => {
            return skipped(
                object,
                "the finding gives neither the version nor the entity tag of the object, so that another \
                 one could be tagged: tag it by hand",
            );
        }
        ObjectState::Unreadable(object, error) => {
            return Step::unknown(name::TAG_OBJECT, object.arn.clone(), error);
        }
    };
    let action = Action::TagObject(TagObjectVersion {
        bucket: of.clone(),
        object: object.clone(),
        finding: finding.id.chars().take(LONGEST_VALUE).collect(),
        from: tags.printable(),
    });
    match deny {
        Step::Already(..) if tags.has_ours() => {
            let seen = "the version has the tag, and the bucket's policy denies reading it";
            Step::Already(action, seen.to_owned())
        }
        Step::Do(_) | Step::Already(..) => match no_room(tags) {
            Some(why) => skipped(object, &why),
            None => Step::Do(action),
        },
        _ => skipped(
            object,
            "the bucket's policy does not deny reading what is tagged, and the tag alone contains nothing",
        ),
    }
}

fn no_room(tags: &Tags) -> Option<String> {
    let full = !tags.has_ours() && tags.set.len() >= MOST_TAGS;
    full.then(|| {
        format!(
            "the version has {MOST_TAGS} tags already, and S3 allows no more: take one off that nobody needs and \
             run the finding again (gdr run), or deny reading the object by hand"
        )
    })
}

/// Tags the version, if it is still the one of the finding and its bucket denies reading what is tagged.
pub(super) async fn tag(clients: &Clients, action: &TagObjectVersion) -> Result<()> {
    let (of, object) = (&action.bucket, &action.object);
    let owner = &of.owner_account;
    let clients = clients.in_region(&of.region);
    despite_conflicts(async || {
        let policy = bucket::policy(&clients, &of.name, owner);
        let (policy, found) = futures::join!(policy, object::read(&clients, object, owner));
        let policy = policy?.map(|policy| policy.document);
        if !holds(policy.as_ref(), &statements(&of.arn)) {
            return Err(Error::Refused(format!(
                "the policy of {} does not deny reading what is tagged, and the tag alone contains nothing",
                of.name
            )));
        }
        let tags = match found {
            ObjectState::Live(_, tags) => tags,
            ObjectState::Unreadable(_, error) => return Err(error),
            _ => {
                return Err(Error::Refused(
                    "the version is no longer there, so nothing was tagged".to_owned(),
                ));
            }
        };
        if tags.has_ours() {
            return Ok(());
        }
        if let Some(why) = no_room(&tags) {
            return Err(Error::Refused(why));
        }
        let mut set = tags.others();
        set.push((TAG.to_owned(), action.finding.clone()));
        object::set_tags(&clients, object, tags.version_id, set, owner).await
    })
    .await
}

/// Takes our tag off, and leaves the others as they are now. Reading stays denied until then.
pub(super) async fn take_tag_off(clients: &Clients, action: &TagObjectVersion) -> Result<()> {
    let (of, object) = (&action.bucket, &action.object);
    let owner = &of.owner_account;
    let there = clients.in_region(&of.region);
    match object::read(&there, object, owner).await {
        ObjectState::Live(_, tags) if tags.has_ours() => {}
        ObjectState::Unreadable(_, error) => return Err(error),
        // It went with the version, or somebody took it off.
        _ => return Ok(()),
    }
    let keeps = &statements(&of.arn)[1..];
    let policy = bucket::policy(&there, &of.name, owner).await?;
    let kept = policy.is_some_and(|policy| has_sid(&policy.document, &keeps[0]));
    if kept {
        lift_deny(clients, of, keeps, None).await?;
    }
    let untagged = untag(&there, object, owner).await;
    if kept {
        deny(clients, of, keeps).await?;
    }
    untagged
}

async fn untag(clients: &Clients, object: &Object, owner: &str) -> Result<()> {
    let once = async || match object::read(clients, object, owner).await {
        ObjectState::Live(_, tags) if tags.has_ours() => {
            let others = tags.others();
            if others.is_empty() {
                return object::delete_tags(clients, object, tags.version_id, owner).await;
            }
            object::set_tags(clients, object, tags.version_id, others, owner).await
        }
        ObjectState::Unreadable(_, error) => Err(error),
        _ => Ok(()),
    };
    for pause in POLICY_PAUSES {
        match despite_conflicts(once).await {
            Err(error) if error.is_denied() => sleep(pause).await,
            done => return done,
        }
    }
    despite_conflicts(once).await
}
