//! What must be known and held before anything is planned: the target, its state, GuardDuty's word, the
//! policies. All of it is asked for at once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, join3};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Contained, Incoming, Means, alarm_if_unusable, notified, prevented, put_off};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::guard::{Authorized, Gate, Guard};
use crate::playbook::Playbook;
use crate::policy::{self, Decision};
use crate::record::{Claim, Lease, Record};
use crate::report::{Obstacle, Report};
use crate::verify::{Verdict, Verifier};

/// How long the table may take before the containment, for the claims and for what is written down together.
/// It serves, and does not decide.
const PATIENCE: Duration = Duration::from_secs(5);

/// A target that may be planned for.
pub(super) struct Ready<S> {
    pub(super) claims: Vec<Claim>,
    /// The targets that other invocations are at work on.
    pub(super) busy: Vec<String>,
    /// What decides how it is contained.
    pub(super) state: S,
    pub(super) guard: Arc<Guard>,
    /// Why the claims could not be recorded.
    pub(super) unrecorded: Option<Error>,
    /// The finding as GuardDuty has it, if it was asked; and with what CloudTrail shows, if that is newer.
    verified: Option<Box<Finding>>,
}

impl<S> Ready<S> {
    /// What is enforced.
    pub(super) fn finding<'a>(&'a self, incoming: &Incoming<'a>) -> &'a Finding {
        self.verified.as_deref().unwrap_or(incoming.finding)
    }

    /// The activity goes on until this time at least, by what CloudTrail shows. True if that can be taken into
    /// account.
    pub(super) fn go_on_until(&mut self, incoming: &Incoming<'_>, seen: Timestamp) -> bool {
        let known = self.verified.take();
        let anew = || Finding::parse(incoming.event).ok().map(Box::new);
        self.verified = known.or_else(anew);
        let Some(finding) = &mut self.verified else {
            return false;
        };
        finding.see_marks(incoming.finding.marks_seen_at());
        finding.go_on_until(seen);
        true
    }

    /// How long the table may still take.
    pub(super) fn patience(&self) -> Duration {
        let claimed = self.claims.iter().map(|claim| claim.took).max();
        PATIENCE.saturating_sub(claimed.unwrap_or_default())
    }

    /// Leaves out of a plan made of `state` what a person released, and what another invocation is at work on.
    pub(super) fn leave_out<P: Playbook<State = S>>(
        &self,
        finding: &Finding,
        state: &S,
        plan: &mut Authorized<P::Action>,
    ) {
        plan.leave_out(|action| {
            let of = P::resource(finding, state, action);
            if self.busy.iter().any(|target| target == of.name()) {
                return Some("another invocation is at work on it".to_owned());
            }
            let mut left = self.claims.iter().filter_map(Claim::left);
            let (_, released) = left.find(|(target, _)| *target == of.name())?;
            Some(released_at(released))
        });
    }

    /// True if another invocation was at work on a target.
    pub(super) fn waited(&self) -> bool {
        self.claims.iter().any(|claim| claim.waited)
    }
}

/// Claims, observes, verifies, and asks the policies what is forbidden whatever the target is. The error is
/// an answer: there is nothing to plan.
pub(super) async fn prepare<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
) -> Result<Ready<P::State>, Box<Contained>> {
    let Means {
        playbook,
        config,
        policies,
        record,
        verifier,
        ..
    } = *means;
    let Incoming {
        finding,
        now,
        until,
        ..
    } = *incoming;
    let ((claimed, state, verified), guard) = policies
        .during(
            now,
            until,
            join3(
                Box::pin(claim::<P>(
                    record,
                    incoming,
                    policy::targets(P::CATEGORY, finding),
                )),
                within(until, "observing", Box::pin(playbook.glance(finding))),
                within(
                    until,
                    "verifying",
                    verified::<P>(verifier, config, incoming),
                ),
            ),
        )
        .await;
    alarm_if_unusable(&guard);
    let found = state.as_ref().ok();
    let found = found.and_then(|state| P::found_target(finding, state));
    let mut claimed = claimed;
    if let Some(found) = found.clone().filter(|_| claimed.unrecorded.is_none()) {
        claimed.add(claim::<P>(record, incoming, Ok(vec![found])).await);
    }
    let Claimed {
        mut claims,
        busy,
        unrecorded,
    } = claimed;
    // Before anything that may fail: a person's word stands whatever GuardDuty answers.
    let latest = match &verified {
        Ok(Verdict::Genuine(current)) => current,
        _ => finding,
    };
    let seen = latest.last_seen();
    for claim in &mut claims {
        claim.leave_unless(seen);
    }
    // The name by which it was found decides, not that by which it was sought.
    let decides = |claim: &&Claim| found.as_ref().is_none_or(|found| claim.is_of(found));
    let mut deciding = claims.iter().filter(decides);
    let all_left = deciding.all(|claim| claim.left().is_some());
    if all_left
        && unrecorded.is_none()
        && let Some(target) = busy.first()
    {
        let target = target.clone();
        let at_work = put_off::at_work::<P>(incoming, claims, target, busy);
        return Err(Box::new(at_work));
    }
    let released = claims.iter().filter_map(Claim::left);
    let released = released.map(|(_, released)| released).max();
    if let Some(released) = released.filter(|_| all_left) {
        let report = Box::pin(left_released(means, incoming, released)).await;
        return Err(Box::new(Contained {
            claims,
            ..Contained::just(report, None)
        }));
    }
    let verified = match verified {
        Ok(Verdict::Genuine(mut current)) => {
            current.see_marks(incoming.finding.marks_seen_at());
            Some(current)
        }
        Ok(Verdict::Unasked) => None,
        Ok(Verdict::Missing(why)) if incoming.put_off == Some(0) => {
            return Err(Box::new(put_off::missing::<P>(incoming, claims, why)));
        }
        // It was verified when it was contained, and the finding has gone on since.
        Ok(Verdict::Later(..)) if incoming.look.is_some() && all_stand(&claims) => None,
        Ok(Verdict::Later(why, detail))
            if incoming.look.is_none() && incoming.put_off.is_some() =>
        {
            let later = put_off::later(playbook, incoming, claims, why, *detail);
            return Err(Box::new(later.await));
        }
        Ok(Verdict::Withheld(why) | Verdict::Missing(why) | Verdict::Later(why, _)) => {
            let report = notified(Some(playbook), incoming, why, false).await;
            return Err(Box::new(Contained {
                claims,
                ..Contained::just(report, None)
            }));
        }
        Err(error) => {
            return Err(Box::new(Contained {
                claims,
                ..prevented::<P>(finding, Obstacle::GuardDuty, &error, false)
            }));
        }
    };
    if verified.is_none()
        && unrecorded.is_none()
        && let Some(why) = unbelieved(record, incoming, &claims)
    {
        // Knowledge of it may be with a target that another invocation is at work on.
        if let Some(target) = busy.first().cloned() {
            let at_work = put_off::at_work::<P>(incoming, claims, target, busy);
            return Err(Box::new(at_work));
        }
        tracing::error!(
            why,
            "a message was refused: find out in CloudTrail who sent it"
        );
        let report = Report::ignored(P::CATEGORY, finding, why, false);
        return Err(Box::new(Contained {
            claims,
            ..Contained::just(report, None)
        }));
    }
    let finding = verified.as_deref().unwrap_or(finding);
    let gate = Gate::new::<P>(&guard, finding, &config.policy, false, now).about(&claims);
    if let Some(why) = gate.forbids_outright() {
        let report = notified(Some(playbook), incoming, why.to_string(), false).await;
        return Err(Box::new(Contained {
            claims,
            ..Contained::just(report, None)
        }));
    }
    // What was read while another invocation was at work is not what there is now.
    let state = if claims.iter().any(|claim| claim.waited) {
        within(until, "observing", Box::pin(playbook.glance(finding))).await
    } else {
        state
    };
    let state = match state {
        Ok(state) => state,
        Err(error) => {
            return Err(Box::new(Contained {
                claims,
                ..prevented::<P>(finding, Obstacle::Target, &error, false)
            }));
        }
    };
    Ok(Ready {
        claims,
        busy,
        state,
        guard,
        unrecorded,
        verified,
    })
}

/// What GuardDuty has of the finding, if that is to be asked and is one to contain.
async fn verified<P: Playbook>(
    verifier: Option<&Verifier>,
    config: &Config,
    incoming: &Incoming<'_>,
) -> Result<Verdict> {
    let Some(verifier) = verifier else {
        return Ok(Verdict::Unasked);
    };
    let policy = &config.policy;
    let (event, finding) = (incoming.event, incoming.finding);
    let verdict = verifier.verify(event, finding, policy).await?;
    let Verdict::Genuine(current) = verdict else {
        return Ok(verdict);
    };
    // The event's severity may have been another, or its sign of a sample missing.
    Ok(match policy::decide(P::CATEGORY, &current, policy) {
        Decision::Contain(_) if policy.is_dry_run(&current) => {
            Verdict::Withheld("GuardDuty has it as a sample".to_owned())
        }
        Decision::Contain(_) => Verdict::Genuine(current),
        Decision::Notify(why) | Decision::Ignore(why) => Verdict::Withheld(why),
    })
}

/// The report on a finding whose targets were all released after its activity. The operator who released the
/// very incident knows of it; of another finding nobody may know.
async fn left_released<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    released: Timestamp,
) -> Report {
    let (finding, why) = (incoming.finding, released_at(released));
    let itself = async {
        let record = means.record?;
        let asked = record.is_released(P::CATEGORY, finding, incoming.clock());
        let asked = within(
            Instant::now() + PATIENCE,
            "dynamodb:UpdateItem",
            Box::pin(asked),
        );
        asked.await.inspect_err(|error| {
            tracing::error!(%error, "it is not known whether this incident was released: it is told");
        }).ok()
    };
    if itself.await == Some(true) {
        return Report::ignored(P::CATEGORY, finding, why, false);
    }
    let why = format!("left alone, since {why}; another incident was released, and not this one");
    // Another incident's containment may stand: a release of one that contained nothing takes nothing back.
    notified(Some(means.playbook), incoming, why, false).await
}

fn released_at(released: Timestamp) -> String {
    format!("a person released it at {released}, and there is no newer activity")
}

/// True if all targets are contained by the record.
fn all_stand(claims: &[Claim]) -> bool {
    !claims.is_empty() && claims.iter().all(|claim| claim.stands().is_some())
}

/// Why a message of the function's own queue is not believed. A look follows a containment, and what comes again was
/// put off: the record shows either. A message that somebody else sent may be about anything. Without a record, only
/// the policy of the queue keeps such messages out.
fn unbelieved(
    record: Option<&Record>,
    incoming: &Incoming<'_>,
    claims: &[Claim],
) -> Option<String> {
    incoming.came_back.and(record)?;
    let known = |claim: &Claim| claim.is_awaited() || claim.stands().is_some();
    let targets: Vec<_> = claims.iter().map(Claim::target).collect();
    (!claims.iter().any(known)).then(|| {
        format!(
            "a message asks to deal again with {}, and the record shows neither a containment of it nor that \
             the finding is awaited",
            targets.join(", ")
        )
    })
}

/// What came of claiming the targets of a finding.
#[derive(Default)]
struct Claimed {
    claims: Vec<Claim>,
    /// The targets that other invocations are at work on.
    busy: Vec<String>,
    /// Why the others could not be claimed.
    unrecorded: Option<Error>,
}

impl Claimed {
    fn add(&mut self, other: Self) {
        self.claims.extend(other.claims);
        self.busy.extend(other.busy);
        self.unrecorded = self.unrecorded.take().or(other.unrecorded);
    }
}

/// Claims all targets at once, so that all together take no longer than one. Nobody waits long for another while
/// holding what a third one waits for: what is not free then is left to later, and the rest is done.
async fn claim<P: Playbook>(
    record: Option<&Record>,
    incoming: &Incoming<'_>,
    targets: Result<Vec<String>>,
) -> Claimed {
    let mut claimed = Claimed::default();
    let Some(record) = record else {
        return claimed;
    };
    let Incoming {
        finding,
        invocation,
        now,
        until,
        waits,
        ..
    } = *incoming;
    let targets = match targets {
        Ok(targets) => targets,
        Err(error) => {
            claimed.unrecorded = Some(error);
            return claimed;
        }
    };
    // No longer than the invocation itself can take.
    let lasts = until.saturating_duration_since(Instant::now()) + Duration::from_secs(10);
    let lease = Lease {
        owner: invocation,
        now,
        lasts,
        until: until.min(Instant::now() + waits),
    };
    let claiming = targets.iter();
    let claiming =
        claiming.map(|target| Box::pin(record.claim(P::CATEGORY, finding, target, &lease)));
    for done in join_all(claiming).await {
        match done {
            Ok(claim) => claimed.claims.push(claim),
            Err(Error::Busy { target }) => claimed.busy.push(target),
            Err(error) => {
                claimed.unrecorded.get_or_insert(error);
            }
        }
    }
    claimed
}
