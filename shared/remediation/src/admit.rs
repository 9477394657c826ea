//! Admission of a plan: the breaker is asked whether it may be executed, and the intent is written down.

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::Value;
use tokio::time::Instant;

use crate::breaker::{self, Denial, SlotRequest};
use crate::claims::Claims;
use crate::deadline::{NO_ANSWER, within};
use crate::error::{Error, Result};
use crate::plan::{Action as _, Phase, Step, StepKey};
use crate::prepare::released_at;
use crate::record::{Claim, Intended};
use crate::report::Status;
use crate::session::{Services, Session};
use crate::slots::{self, Requester};
use crate::standing::standing;
use aws::playbook::Playbook;
use policy::Authorized;

/// How long the table may take before the containment, for the claims and for what is written down together.
/// It serves, and does not decide.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the table may take for what is written before something is done.
const WRITING_PATIENCE: Duration = Duration::from_secs(3);
const WRITING: &str = "dynamodb:UpdateItem";

/// The result of asking for a plan to be admitted.
pub(crate) struct Admission {
    /// The breaker's, after which nothing of the plan is to be done.
    pub(crate) refusal: Option<Box<Denial>>,
    /// The remarks for people on limits that were not held.
    pub(crate) remarks: Vec<String>,
    /// The places that were asked for.
    needs: SlotRequest,
    /// Nothing was intended before.
    first: bool,
    /// An earlier attempt of the same invocation intended something.
    pub(crate) retried: bool,
    /// A step that is to be done was in effect by the record, so someone undid it.
    pub(crate) reverted: bool,
    /// The status that the record showed before this, if that was a containment.
    pub(crate) stood: Option<Status>,
    table: TableStatus,
}

impl Admission {
    /// Adds what came of a later part of the plan.
    pub(crate) fn merge(&mut self, later: Self) {
        self.reverted |= later.reverted;
        self.stood = self.stood.or(later.stood);
        self.refusal = self.refusal.take().or(later.refusal);
        self.remarks.extend(later.remarks);
    }
}

/// The state of the table, as this session knows it.
#[derive(Clone)]
enum TableStatus {
    Answers,
    /// It did not answer in time, and is not asked again.
    TimedOut(Error),
    /// It could not be written.
    Failed(Error),
}

impl TableStatus {
    fn of(error: Option<&Error>) -> Self {
        match error {
            None => Self::Answers,
            Some(error) if error.has_code(NO_ANSWER) => Self::TimedOut(error.clone()),
            Some(error) => Self::Failed(error.clone()),
        }
    }

    /// Why the table did not answer in time, if it did not.
    fn timed_out(&self) -> Option<&Error> {
        match self {
            Self::TimedOut(error) => Some(error),
            Self::Answers | Self::Failed(_) => None,
        }
    }

    fn error(&self) -> Option<&Error> {
        match self {
            Self::Answers => None,
            Self::TimedOut(error) | Self::Failed(error) => Some(error),
        }
    }
}

/// A part of what is done.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    /// The first.
    First,
    /// The steps that the first lacked, by a fuller observation before anything was changed.
    Fuller(&'a Admission),
    /// The steps that came up when reading back.
    CameUp(&'a Admission),
}

impl<'a> Part<'a> {
    fn earlier(self) -> Option<&'a Admission> {
        match self {
            Self::First => None,
            Self::Fuller(first) | Self::CameUp(first) => Some(first),
        }
    }
}

/// The table's answers to the intent. `None`: nothing was written.
type Written = (Result<Option<Intended>>, Result<()>);

/// Asks the breaker for places and writes the intent of a part of a plan, which was made of `state`. Withholds every
/// step if the breaker refuses. Without the record, what must not be done twice waits.
pub(crate) async fn admit<P: Playbook>(
    services: &Services<'_>,
    session: &Session<'_, P>,
    state: &P::State,
    plan: &mut Authorized<P::Action>,
    part: Part<'_>,
) -> Admission {
    leave_out(session, state, plan);
    let limits = &services.config.limits;
    let mut needs = breaker::needs::<P>(limits, session.finding(), state, plan);
    let mut table = TableStatus::of(session.claims.unrecorded.as_ref());
    if let Some(earlier) = part.earlier() {
        needs.leave_out(&earlier.needs);
        table = earlier.table.clone();
    }
    let writing = Admitting {
        services,
        session,
        table: &table,
        answers_by: Instant::now() + patience(&session.claims),
    };
    let (asked, (intended, begun), ()) = futures::join!(
        Box::pin(writing.ask(&needs)),
        Box::pin(writing.intend(state, plan, part)),
        Box::pin(writing.rely(plan, part)),
    );
    let (answer, unasked) = asked;
    let (refusal, by_fallback) = match answer {
        breaker::BreakerDecision::Room => (None, None),
        breaker::BreakerDecision::FallbackQuota(remark) => (None, Some(remark)),
        breaker::BreakerDecision::Refused(refusal) => (Some(refusal), None),
    };
    if let Some(refusal) = &refusal {
        plan.withhold(&refusal.withheld);
        if let Ok(Some(intended)) = &intended {
            writing.withdraw(intended).await;
        }
    }
    let recorded = intended.as_ref().ok().and_then(Option::as_ref);
    // A retry may read what was so before its first attempt contained the target.
    let settled = recorded.is_some_and(Intended::is_settled);
    let reverted = !settled && is_reverted(session, state, plan, recorded);
    let first = recorded.is_some_and(Intended::is_first);
    let retried = recorded.is_some_and(Intended::is_retried);
    let stood = recorded.and_then(Intended::stood);
    let failed = intended.map(drop).and(begun).err();
    let unrecorded = table.error().or(failed.as_ref());
    let unrecorded = unrecorded.filter(|_| session.record.is_some() && refusal.is_none());
    if let Some(error) = unrecorded {
        log_intent(error, &plan.recorded_actions());
        // Without the record nothing says whether this incident has its snapshots already, and they cost.
        let until_then = format!("waits until the incident can be recorded: {error}");
        plan.hold_back(Phase::Preserve, &until_then);
    }
    let unanswered = failed.or(unasked).filter(|error| error.has_code(NO_ANSWER));
    if let Some(error) = unanswered.filter(|_| table.timed_out().is_none()) {
        table = TableStatus::TimedOut(error);
    }
    let remarks = needs.remarks().filter(|_| session.record.is_some());
    Admission {
        refusal,
        remarks: remarks.chain(by_fallback).collect(),
        needs,
        first,
        retried,
        reverted,
        stood,
        table,
    }
}

/// How long the table may still take.
fn patience(claims: &Claims) -> Duration {
    PATIENCE.saturating_sub(claims.took()).min(WRITING_PATIENCE)
}

/// Leaves out of a plan made of `state` the targets that the operator released, and those that another invocation
/// is at work on.
fn leave_out<P: Playbook>(
    session: &Session<'_, P>,
    state: &P::State,
    plan: &mut Authorized<P::Action>,
) {
    let claims = &session.claims;
    plan.leave_out(|action| {
        let of = P::resource(session.finding(), state, action);
        if claims.busy.iter().any(|target| target == of.name()) {
            return Some("another invocation is at work on it".to_owned());
        }
        let mut released = claims.held.iter().filter_map(Claim::left);
        let (_, released) = released.find(|(target, _)| *target == of.name())?;
        Some(released_at(released))
    });
}

/// The calls to the table before something is done. They are made at the same time.
struct Admitting<'a, 's, P> {
    services: &'a Services<'a>,
    session: &'a Session<'s, P>,
    table: &'a TableStatus,
    answers_by: Instant,
}

impl<P: Playbook> Admitting<'_, '_, P> {
    /// Asks the breaker. The error is set if it did not answer in time.
    async fn ask(&self, needs: &SlotRequest) -> (breaker::BreakerDecision, Option<Error>) {
        let (session, limits) = (self.session, &self.services.config.limits);
        let asker = Requester {
            invocation: session.delivery.invocation,
            finding_id: &session.finding().id,
            alone: self.services.alone,
            now: session.now(),
            until: session.delivery.deadline,
        };
        if let Some(error) = self.table.timed_out() {
            return (
                slots::unanswered(limits, needs, &asker, error.clone()),
                None,
            );
        }
        let Some(record) = session.record else {
            return (breaker::BreakerDecision::Room, None);
        };
        let asking = async { Ok(Box::pin(slots::ask(record, limits, needs, &asker)).await) };
        match within(self.answers_by, WRITING, asking).await {
            Ok(answer) => (answer, None),
            Err(error) => {
                let answer = slots::unanswered(limits, needs, &asker, error.clone());
                (answer, Some(error))
            }
        }
    }

    /// Writes down what is about to be done, and of which targets.
    async fn intend(
        &self,
        state: &P::State,
        plan: &Authorized<P::Action>,
        part: Part<'_>,
    ) -> Written {
        let session = self.session;
        let (Some(record), TableStatus::Answers, false) =
            (session.record, self.table, plan.is_empty())
        else {
            return (Ok(None), Ok(()));
        };
        let (finding, now) = (session.finding(), session.now());
        let mut intent = session.intent(state, plan, &self.services.rules(false));
        // A retry keeps what the first attempt found.
        intent.completes = matches!(part, Part::Fuller(earlier) if earlier.first);
        let claims = session.claims.held.iter();
        let unbegun = claims.filter(|claim| part.earlier().is_none() && claim.left().is_none());
        let beginning = unbegun.map(|claim| record.begin(claim, finding, now));
        let event = session.delivery.event;
        let intending = Box::pin(record.intend(P::CATEGORY, finding, event, &intent, now));
        let (intended, begun) = futures::join!(
            within(self.answers_by, WRITING, intending),
            within(self.answers_by, WRITING, Box::pin(try_join_all(beginning))),
        );
        (intended.map(Some), begun.map(drop))
    }

    /// Notes what contains the target already together with others: a deny of another credential for the same user or
    /// role, or of another object of the same bucket. A release of that one would remove the deny while this
    /// invocation finds out more.
    async fn rely(&self, plan: &Authorized<P::Action>, part: Part<'_>) {
        let (Some(record), Part::First, None) = (self.session.record, part, self.table.timed_out())
        else {
            return;
        };
        let stands = plan.steps.iter().filter_map(|step| match step {
            Step::Already(action, _) if P::Action::is_shared(action.name()) => {
                Some(StepKey::of(action).to_string())
            }
            _ => None,
        });
        let stands: Vec<_> = stands.collect();
        if stands.is_empty() {
            return;
        }
        let (finding, now) = (self.session.finding(), self.session.now());
        let event = self.session.delivery.event;
        let relying = Box::pin(record.rely_on(P::CATEGORY, finding, event, &stands, now));
        if let Err(error) = within(self.answers_by, WRITING, relying).await {
            tracing::error!(%error, "a release of another incident may take away what contains this one");
        }
    }

    /// Takes the intent back, since the breaker refused.
    async fn withdraw(&self, intended: &Intended) {
        let Some(record) = self.session.record else {
            return;
        };
        let finding = self.session.finding();
        let withdrawing = Box::pin(record.withdraw(P::CATEGORY, finding, intended));
        let until = Instant::now() + WRITING_PATIENCE;
        if let Err(error) = within(until, WRITING, withdrawing).await {
            tracing::error!(%error, "the record says that something was intended, and nothing was done");
        }
    }
}

/// Notes a reversal, beside what is done about it.
pub(crate) async fn note_reversal<P: Playbook>(session: &Session<'_, P>, admission: &Admission) {
    let answers = admission.table.timed_out().is_none();
    let Some(record) = session.record.filter(|_| admission.reverted && answers) else {
        return;
    };
    let noting = Box::pin(record.find_undone(P::CATEGORY, session.finding(), session.now()));
    if let Err(error) = within(Instant::now() + WRITING_PATIENCE, WRITING, noting).await {
        tracing::error!(%error, "if this attempt sends no notice of the reversal, no retry does");
    }
}

/// True if something is not in effect that was by the record, of this incident or of its target on account of
/// whatever finding: somebody undid it. The operator who released the target did not, nor does a mark go by
/// somebody else: it comes off with a release. A cut-off that moved on with newer activity was not undone.
fn is_reverted<P: Playbook>(
    session: &Session<'_, P>,
    state: &P::State,
    plan: &Authorized<P::Action>,
    recorded: Option<&Intended>,
) -> bool {
    let claims = &session.claims.held;
    plan.steps.iter().any(|step| {
        let (Step::Do(action) | Step::Withheld(action, _)) = step else {
            return false;
        };
        let (key, resource) = (
            StepKey::of(action),
            P::resource(session.finding(), state, action),
        );
        let released = match claims.as_slice() {
            [claim] => claim.released_at.is_some(),
            claims => claims
                .iter()
                .any(|claim| claim.is_of(resource.name()) && claim.released_at.is_some()),
        };
        if released || action.continues_own_change() || action.phase() == Phase::Annotate {
            return false;
        }
        let by_incident = recorded.is_some_and(|recorded| recorded.was_in_effect(&key));
        let stood = standing(claims, &key, &resource);
        let by_target = stood.is_some_and(|stood| stood.is_in_effect(&key.to_string()));
        by_incident || (action.phase() == Phase::Contain && by_target)
    })
}

/// Logs what is about to be done: the log is the record of last resort.
pub(crate) fn log_intent(error: &Error, actions: &[(String, Value)]) {
    tracing::error!(%error, "not recorded: containing without the record");
    for (key, action) in actions {
        tracing::warn!(key, %action, "about to act; keep this to undo it");
    }
}
