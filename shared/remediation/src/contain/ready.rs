//! What must be known and held before anything is planned: the target, its state, GuardDuty's word, the
//! policies. All of it is asked for at once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join3;
use tokio::time::Instant;

use super::{Contained, Incoming, Means, alarm_if_unusable, notified, unobserved};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::guard::{Gate, Guard};
use crate::playbook::Playbook;
use crate::policy::{self, Decision};
use crate::record::{Claim, Lease, Record};
use crate::report::Report;
use crate::verify::{Verdict, Verifier};

/// A target that may be planned for.
pub(super) struct Ready<S> {
    pub(super) claims: Vec<Claim>,
    /// What decides how it is contained.
    pub(super) state: S,
    pub(super) guard: Arc<Guard>,
    /// Why the claims could not be recorded.
    pub(super) unrecorded: Option<Error>,
    /// The finding as GuardDuty has it, if it was asked.
    verified: Option<Box<Finding>>,
}

impl<S> Ready<S> {
    /// What is enforced.
    pub(super) fn finding<'a>(&'a self, incoming: &Incoming<'a>) -> &'a Finding {
        self.verified.as_deref().unwrap_or(incoming.finding)
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
    let ((claims, state, verified), guard) = policies
        .during(
            now,
            until,
            join3(
                claim::<P>(record, incoming),
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
    let mut unrecorded = None;
    let claims = match claims {
        Ok(claims) => claims,
        Err(error @ Error::Busy { .. }) => {
            return Err(Box::new(unobserved::<P>(finding, &error, false)));
        }
        Err(error) => {
            unrecorded = Some(error);
            Vec::new()
        }
    };
    let verified = match verified {
        Ok(Verdict::Genuine(current)) => Some(current),
        Ok(Verdict::Unasked) => None,
        Ok(Verdict::Withheld(why)) => {
            let report = notified(Some(playbook), incoming, why, false).await;
            return Err(Box::new(Contained {
                claims,
                ..Contained::just(report, None)
            }));
        }
        Err(error) => {
            return Err(Box::new(Contained {
                claims,
                ..unobserved::<P>(finding, &error, false)
            }));
        }
    };
    let finding = verified.as_deref().unwrap_or(finding);
    let gate = Gate::new::<P>(&guard, finding, &config.policy, false, now);
    if let Some(why) = gate.forbids_outright() {
        let report = notified(Some(playbook), incoming, why.to_string(), false).await;
        return Err(Box::new(Contained {
            claims,
            ..Contained::just(report, None)
        }));
    }
    let released = claims.iter().filter_map(|claim| claim.released_at).max();
    if let Some(released) = released
        && finding.last_seen().is_none_or(|seen| seen <= released)
    {
        let why = format!("a person released it at {released}, and there is no newer activity");
        let report = Report::ignored(P::CATEGORY, finding, why, false);
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
                ..unobserved::<P>(finding, &error, false)
            }));
        }
    };
    Ok(Ready {
        claims,
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
    Ok(match policy::decide(P::CATEGORY, &current, policy)? {
        Decision::Contain(_) if policy.is_dry_run(&current) => {
            Verdict::Withheld("GuardDuty has it as a sample".to_owned())
        }
        Decision::Contain(_) => Verdict::Genuine(current),
        Decision::Notify(why) | Decision::Ignore(why) => Verdict::Withheld(why),
    })
}

async fn claim<P: Playbook>(
    record: Option<&Record>,
    incoming: &Incoming<'_>,
) -> Result<Vec<Claim>> {
    let Some(record) = record else {
        return Ok(Vec::new());
    };
    let Incoming {
        finding,
        invocation,
        now,
        until,
        ..
    } = *incoming;
    // No longer than the invocation itself can take.
    let lasts = until.saturating_duration_since(Instant::now()) + Duration::from_secs(10);
    let lease = Lease {
        owner: invocation,
        now,
        lasts,
        until,
    };
    let mut claims = Vec::new();
    for target in policy::targets(P::CATEGORY, finding)? {
        claims.push(record.claim(P::CATEGORY, finding, &target, &lease).await?);
    }
    Ok(claims)
}
