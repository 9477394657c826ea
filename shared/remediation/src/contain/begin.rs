//! Writing down what is about to be done, and asking the breaker whether it may be.

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::Value;
use tokio::time::Instant;

use super::ready::Ready;
use super::{Incoming, Means, actions_of};
use crate::breaker::{self, Needs, Refusal};
use crate::catalogue::Category;
use crate::error::Error;
use crate::execute::{NO_ANSWER, within};
use crate::finding::Finding;
use crate::guard::Authorized;
use crate::plan::{Action as _, Phase, Step, StepKey};
use crate::playbook::Playbook;
use crate::record::{Claim, Intended, Intent};
use crate::report::Status;
use crate::slots::{self, Asker};
use crate::standing::standing;

/// How long the table may take for what is written before something is done.
const PATIENCE: Duration = Duration::from_secs(3);
const WRITING: &str = "dynamodb:UpdateItem";

/// What came of beginning.
pub(super) struct Begun {
    /// The breaker's, after which nothing of the plan is to be done.
    pub(super) refusal: Option<Box<Refusal>>,
    /// What a person should know of limits that were not held.
    pub(super) remarks: Vec<String>,
    /// The places that were asked for.
    needs: Needs,
    /// Nothing was intended before.
    first: bool,
    /// An earlier attempt of the same invocation intended something.
    pub(super) retried: bool,
    /// What is to be done was in effect by what was recorded, so someone undid it.
    pub(super) undone: bool,
    /// The status that the record showed before this, if that was a containment.
    pub(super) stood: Option<Status>,
    /// The table did not answer in time, and is not asked again.
    silent: Option<Error>,
}

/// Which part of what is done is begun.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// The first.
    First,
    /// What the first lacked, by a fuller look at the world before anything was changed.
    Fuller(&'a Begun),
    /// What came up when reading back.
    CameUp(&'a Begun),
}

impl<'a> Part<'a> {
    fn after(self) -> Option<&'a Begun> {
        match self {
            Self::First => None,
            Self::Fuller(first) | Self::CameUp(first) => Some(first),
        }
    }
}

/// Begins a part of a plan, which was made of `state`. Steps that the breaker refuses are withheld; without the record,
/// what must not be done twice waits.
pub(super) async fn begin<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    ready: &Ready<P::State>,
    state: &P::State,
    plan: &mut Authorized<P::Action>,
    part: Part<'_>,
) -> Begun {
    let after = part.after();
    let Means {
        config,
        record,
        alone,
        ..
    } = *means;
    let Incoming {
        event, now, until, ..
    } = *incoming;
    let Ready {
        claims, unrecorded, ..
    } = ready;
    let finding = ready.finding(incoming);
    ready.leave_out::<P>(finding, state, plan);
    let mut needs = breaker::needs::<P>(&config.limits, finding, state, plan);
    if let Some(after) = after {
        needs.leave_out(&after.needs);
    }
    let at = incoming.clock();
    let asker = Asker {
        invocation: incoming.invocation,
        finding_id: &finding.id,
        alone,
        now: at,
        until,
    };
    let silent = after.map_or(unrecorded.as_ref(), |after| after.silent.as_ref());
    let silent = silent.filter(|error| error.has_code(NO_ANSWER)).cloned();
    let answers_by = Instant::now() + ready.patience().min(PATIENCE);
    let asked = async {
        let (limits, needs) = (&config.limits, &needs);
        let (Some(record), None) = (record, &silent) else {
            return Ok(silent.clone().map_or(breaker::Answer::Room, |error| {
                slots::unanswered(limits, needs, &asker, error)
            }));
        };
        let asking = Box::pin(slots::ask(record, limits, needs, &asker));
        let asking = async { Ok(asking.await) };
        within(answers_by, WRITING, asking).await
    };
    let intending = async {
        let (Some(record), None, None, false) = (record, unrecorded, &silent, plan.is_empty())
        else {
            return (Ok(None), Ok(()));
        };
        let intent = Intent {
            received_at: now,
            evidence: P::evidence(state),
            settings: config.settings.clone(),
            actions: actions_of(plan),
            // A retry keeps what the first attempt found.
            completes: matches!(part, Part::Fuller(after) if after.first),
            approved: None,
            invocation: incoming.invocation.to_owned(),
        };
        let unbegun = if after.is_none() { claims } else { &[][..] };
        let unbegun = unbegun.iter().filter(|claim| claim.left().is_none());
        let targets = unbegun.map(|claim| record.begin(claim, finding, at));
        let intending = Box::pin(record.intend(P::CATEGORY, finding, event, &intent, at));
        let (intended, begun) = futures::join!(
            within(answers_by, WRITING, intending),
            within(answers_by, WRITING, Box::pin(try_join_all(targets))),
        );
        (intended.map(Some), begun.map(drop))
    };
    let relying = rely::<P>(means, incoming, finding, plan, answers_by);
    let relying = async {
        if after.is_none() && silent.is_none() {
            Box::pin(relying).await;
        }
    };
    let (answer, (intended, begun), ()) =
        futures::join!(Box::pin(asked), Box::pin(intending), relying);
    let unasked = answer.as_ref().err().cloned();
    let answer =
        answer.unwrap_or_else(|error| slots::unanswered(&config.limits, &needs, &asker, error));
    let (refusal, let_through_alone) = match answer {
        breaker::Answer::Room => (None, None),
        breaker::Answer::Alone(remark) => (None, Some(remark)),
        breaker::Answer::Refused(refusal) => (Some(refusal), None),
    };
    if let Some(refusal) = &refusal {
        plan.withhold(&refusal.withheld);
        if let (Some(record), Ok(Some(intended))) = (record, &intended)
            && let withdrawing = Box::pin(record.withdraw(P::CATEGORY, finding, intended))
            && let Err(error) = within(Instant::now() + PATIENCE, WRITING, withdrawing).await
        {
            tracing::error!(%error, "the record says that something was intended, and nothing was done");
        }
    }
    let recorded = intended.as_ref().ok().and_then(Option::as_ref);
    let first = recorded.is_some_and(Intended::is_first);
    let retried = recorded.is_some_and(Intended::is_retried);
    // A retry may read what was so before its first attempt contained the target.
    let settled = recorded.is_some_and(Intended::is_settled);
    let undone = !settled && is_undone::<P>(finding, state, plan, claims, recorded);
    let stood = recorded.and_then(Intended::stood);
    let failed = intended.map(drop).and(begun).err();
    let unanswered = failed.clone().or(unasked);
    let silent = silent.or(unanswered.filter(|error| error.has_code(NO_ANSWER)));
    let unrecorded = unrecorded.clone().or(failed);
    let unrecorded = unrecorded.filter(|_| record.is_some() && refusal.is_none());
    if let Some(error) = &unrecorded {
        keep_in_log(error, &actions_of(plan));
        // Without the record nothing says whether this incident has its snapshots already, and they cost.
        let until_then = format!("waits until the incident can be recorded: {error}");
        plan.hold_back(Phase::Preserve, &until_then);
    }
    let remarks = needs.remarks().filter(|_| record.is_some());
    Begun {
        refusal,
        remarks: remarks.chain(let_through_alone).collect(),
        needs,
        first,
        retried,
        undone,
        stood,
        silent,
    }
}

/// Notes an undoing, beside what is done about it.
pub(super) async fn note_undone<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    finding: &Finding,
    begun: &Begun,
) {
    let Some(record) = means
        .record
        .filter(|_| begun.undone && begun.silent.is_none())
    else {
        return;
    };
    let noting = Box::pin(record.find_undone(P::CATEGORY, finding, incoming.clock()));
    if let Err(error) = within(Instant::now() + PATIENCE, WRITING, noting).await {
        tracing::error!(%error, "if this attempt tells nobody of the undoing, no retry does");
    }
}

/// Notes what contains the credential already: the deny of another one of the same user or role, which a release
/// of that one would take away while this invocation finds out more.
async fn rely<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    finding: &Finding,
    plan: &Authorized<P::Action>,
    answers_by: Instant,
) {
    let (Some(record), Category::Iam) = (means.record, P::CATEGORY) else {
        return;
    };
    let stands = plan.steps.iter().filter_map(|step| match step {
        Step::Already(action, _) => Some(StepKey::of(action).to_string()),
        _ => None,
    });
    let stands: Vec<_> = stands.collect();
    if stands.is_empty() {
        return;
    }
    let (event, now) = (incoming.event, incoming.clock());
    let relying = Box::pin(record.rely_on(P::CATEGORY, finding, event, &stands, now));
    if let Err(error) = within(answers_by, WRITING, relying).await {
        tracing::error!(%error, "a release of another incident may take away what contains this one");
    }
}

/// True if something is not in effect that was by the record, of this incident or of its target on account of
/// whatever finding: somebody undid it. The operator who released the target did not, nor does a mark go by
/// somebody else: it comes off with a release. A cut-off that moved on with newer activity was not undone.
fn is_undone<P: Playbook>(
    finding: &Finding,
    state: &P::State,
    plan: &Authorized<P::Action>,
    claims: &[Claim],
    recorded: Option<&Intended>,
) -> bool {
    plan.steps.iter().any(|step| {
        let (Step::Do(action) | Step::Withheld(action, _)) = step else {
            return false;
        };
        let (key, resource) = (StepKey::of(action), P::resource(finding, state, action));
        let released = match claims {
            [claim] => claim.released_at.is_some(),
            claims => claims
                .iter()
                .any(|claim| claim.is_of(resource.name()) && claim.released_at.is_some()),
        };
        if released || action.found_ours() || action.phase() == Phase::Annotate {
            return false;
        }
        let by_incident = recorded.is_some_and(|recorded| recorded.was_in_effect(&key));
        let stood = standing(claims, &key, &resource);
        let by_target = stood.is_some_and(|stood| stood.is_in_effect(&key.to_string()));
        by_incident || (action.phase() == Phase::Contain && by_target)
    })
}

/// The log is the record of last resort.
pub(crate) fn keep_in_log(error: &Error, actions: &[(String, Value)]) {
    tracing::error!(%error, "not recorded: containing without the record");
    for (key, action) in actions {
        tracing::warn!(key, %action, "about to act; keep this to undo it");
    }
}
