//! Answers questions about the buckets: is each public now, by what, and was it meant to be? They are read again, after
//! containing.

use super::action::Action;
use super::block::BlockPublicAccess;
use super::clients::Clients;
use super::exemption::{self, Exemption};
use super::observe;
use super::residual_access::remaining_access;
use super::state::{Bucket, BucketState, State};
use aws::error::Result;
use aws::inquiry::Inquiry;
use model::catalogue;
use model::finding::Finding;
use model::investigation::{Answer, Investigation, Question, listed, reason};
use model::plan::Plan;

const SOURCE: &str =
    "Block Public Access, policy status and ACL of the bucket, as they are after this response";
const INSTEAD: &str = "look at its permissions in the console of S3";
/// Tags and grants in a sentence.
const MOST: usize = 10;

/// `observed`: the planned state, whose report already lists the remaining readers of the bucket.
pub(super) async fn investigate(
    clients: &Clients,
    inquiry: &Inquiry<'_>,
    observed: Option<&State>,
) -> Investigation {
    let finding = inquiry.finding;
    let observing = Box::pin(observe::buckets(clients, finding));
    let State {
        buckets, account, ..
    } = match inquiry.within(observing).await {
        Ok(state) => state,
        Err(error) => {
            let why = format!("{}; {INSTEAD}", reason(&error));
            return answered(vec![Answer::unknown(Question::PublicNow, &why, SOURCE)]);
        }
    };
    let mut answers = Vec::new();
    if catalogue::concerns_account_block(finding) {
        answers.push(account_now(&finding.account_id, &account));
    }
    for (name, bucket) in buckets {
        let answer = match bucket {
            BucketState::Live(bucket) => {
                let bucket = with_history(clients, inquiry, &name, *bucket).await;
                answers.push(public_now(finding, &name, &bucket, &account));
                answers.push(meant_public(inquiry, &name, &bucket));
                if observed.is_some() {
                    continue;
                }
                other_access(finding, &name, &bucket)
            }
            BucketState::Gone => not_public(&name, "there is no such bucket now"),
            BucketState::OtherKind(why) => not_public(&name, why),
            BucketState::AnotherAccounts => another_accounts(finding, &name),
            BucketState::Unreadable(error) => {
                let why = format!("{name}: {}; {INSTEAD}", reason(&error));
                Answer::unknown(Question::PublicNow, &why, SOURCE)
            }
        };
        answers.push(answer);
    }
    answered(answers)
}

fn answered(answers: Vec<Answer>) -> Investigation {
    Investigation {
        answers,
        ..Investigation::default()
    }
}

/// The bucket, with who may have marked it.
async fn with_history(
    clients: &Clients,
    inquiry: &Inquiry<'_>,
    name: &str,
    mut bucket: Bucket,
) -> Bucket {
    let marks = exemption::marks_of(&bucket.tagged, &bucket.website);
    if !marks.is_empty() && bucket.history.is_none() {
        let trail = clients.in_region(&bucket.region).trail;
        let history = exemption::history(&trail, name, &marks, inquiry.finding.first_seen());
        bucket.history = Some(inquiry.within(history).await);
    }
    bucket
}

fn not_public(name: &str, why: &str) -> Answer {
    let what = format!("{name} is not public: {why}");
    Answer::known(Question::PublicNow, &what, SOURCE)
}

fn another_accounts(finding: &Finding, name: &str) -> Answer {
    let why = format!(
        "{name} belongs to another account, which alone can tell: it is not among the buckets of account {}",
        finding.account_id
    );
    Answer::unknown(Question::PublicNow, &why, "s3:ListBuckets")
}

fn account_now(account: &str, flags: &Result<BlockPublicAccess>) -> Answer {
    let source = "s3:GetAccountPublicAccessBlock, after this response";
    match flags {
        Ok(flags) if *flags == BlockPublicAccess::ALL => Answer::known(
            Question::PublicNow,
            &format!("no bucket of account {account} can be public: its Block Public Access is on"),
            source,
        ),
        Ok(_) => Answer::known(
            Question::PublicNow,
            &format!(
                "buckets of account {account} can be public: not all of its Block Public Access is on, and \
                 each bucket's own settings decide"
            ),
            source,
        ),
        Err(error) => Answer::unknown(
            Question::PublicNow,
            &format!(
                "{}; look at the account's settings in the console of S3",
                reason(error)
            ),
            source,
        ),
    }
}

fn public_now(
    finding: &Finding,
    name: &str,
    bucket: &Bucket,
    account: &Result<BlockPublicAccess>,
) -> Answer {
    let flags = account
        .as_ref()
        .map_or(bucket.block, |account| bucket.block.and(*account));
    let Access {
        ways,
        stopped,
        mut gaps,
    } = access(bucket, flags);
    if let (Err(error), false) = (account, ways.is_empty()) {
        gaps.push(reason(error));
    }
    let website = match bucket.website {
        Ok(true) => "; it serves a static website",
        _ => "",
    };
    let described = finding.described_buckets().into_iter();
    let then = described
        .filter(|described| described.name == name)
        .find_map(|described| described.effective_permission)
        .map(|then| format!("; when GuardDuty made the finding: {then}"))
        .unwrap_or_default();
    match (ways.as_slice(), gaps.as_slice()) {
        ([], []) => Answer::known(
            Question::PublicNow,
            &format!(
                "{name} is not public: {}{website}{then}",
                stopped.join(", ")
            ),
            SOURCE,
        ),
        (ways, []) => Answer::known(
            Question::PublicNow,
            &format!("{name} is PUBLIC, by {}{website}{then}", ways.join(" and ")),
            SOURCE,
        ),
        (ways, gaps) => {
            let open = match ways {
                [] => String::new(),
                ways => format!("{} would let everybody in; ", ways.join(" and ")),
            };
            let why = format!("{name}: {open}{}; {INSTEAD}{then}", gaps.join("; "));
            Answer::unknown(Question::PublicNow, &why, SOURCE)
        }
    }
}

/// How everybody gets into a bucket.
#[derive(Default)]
struct Access {
    ways: Vec<String>,
    /// The flags that stop the others.
    stopped: Vec<&'static str>,
    /// The failed reads.
    gaps: Vec<String>,
}

fn access(bucket: &Bucket, flags: BlockPublicAccess) -> Access {
    let mut access = Access::default();
    if flags.restrict_public_buckets {
        access
            .stopped
            .push("RestrictPublicBuckets stops public policies");
    } else {
        match &bucket.policy_is_public {
            Ok(true) => access.ways.push("its policy".to_owned()),
            Ok(false) => access.stopped.push("its policy is not public"),
            Err(error) => access.gaps.push(reason(error)),
        }
    }
    if flags.ignore_public_acls {
        access.stopped.push("IgnorePublicAcls stops public ACLs");
    } else {
        match &bucket.acl {
            Ok(acl) if acl.is_public() => access
                .ways
                .push(format!("its ACL ({})", listed(&acl.public(), MOST))),
            Ok(_) => access.stopped.push("its ACL is not public"),
            Err(error) => access.gaps.push(reason(error)),
        }
    }
    access
}

fn meant_public(inquiry: &Inquiry<'_>, name: &str, bucket: &Bucket) -> Answer {
    let finding = inquiry.finding;
    let source = "the bucket's tags and website configuration, and when CloudTrail saw them set";
    let tags = finding.bucket_tags(name).map(|tags| {
        let tags: Vec<_> = tags
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        match tags.as_slice() {
            [] => "; when GuardDuty made the finding it had no tags".to_owned(),
            tags => format!("; its tags in the finding: {}", listed(tags, MOST)),
        }
    });
    let tags = tags.unwrap_or_default();
    let question = Question::MeantPublic;
    match exemption::exemption(finding, name, bucket, inquiry.now) {
        Exemption::Honoured(why) => {
            Answer::known(question, &format!("{name}: yes: {why}{tags}"), source)
        }
        Exemption::HonouredForNow(why) | Exemption::NotHonoured(why) => Answer::unknown(
            question,
            &format!("{name}: {why}; ask its owner{tags}"),
            source,
        ),
        Exemption::Unmarked => match bucket.tagged.as_ref().and(bucket.website.as_ref()) {
            Ok(_) => Answer::known(
                question,
                &format!(
                    "{name}: nothing says so: it has no tag {} and no website configuration{tags}",
                    exemption::TAG
                ),
                source,
            ),
            Err(error) => Answer::unknown(
                question,
                &format!("{name}: {}; ask its owner{tags}", reason(error)),
                source,
            ),
        },
    }
}

/// Who else gets in: the same that is a risk after containing.
fn other_access(finding: &Finding, name: &str, bucket: &Bucket) -> Answer {
    let mut plan = Plan::<Action>::default();
    remaining_access(&mut plan, finding, name, bucket, false);
    Answer::known(
        Question::OtherAccess,
        &plan.residual_risks.join("; "),
        "the bucket's policy, ACL and access points",
    )
}
