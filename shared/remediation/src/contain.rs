//! From a decision to contain to what came of it: claim and observe, plan, write down, execute,
//! collect.

mod begin;
mod put_off;
mod ready;

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures::future::{MaybeDone, maybe_done};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) use self::begin::keep_in_log;
use self::begin::{Part, begin};
pub(crate) use self::put_off::PutOff;
use self::ready::prepare;
use crate::approve::{self, Waiting};
use crate::breaker::Page;
use crate::catalogue::Category;
use crate::config::Config;
use crate::error::Error;
use crate::execute::{Execution, execute_with, within};
use crate::finding::Finding;
use crate::guard::{Authorized, Gate, Guard, UNUSABLE};
use crate::guidance;
use crate::history::{EventHistory, plan_by_history};
use crate::investigate::afterwards::{self, Afterwards};
use crate::investigate::{self, Inquiry, Investigation};
use crate::plan::{Action, Plan, Step, StepKey};
use crate::playbook::Playbook;
use crate::policy_parameter::PolicyParameter;
use crate::recheck::Look;
use crate::record::{Claim, Record, TargetState};
use crate::report::{Obstacle, Outcome, Report, Status, StepReport};
use crate::slots::Alone;
use crate::trace::Trace;
use crate::verify::Verifier;

/// One event at one function.
pub(crate) struct Incoming<'a> {
    pub(crate) event: &'a Value,
    pub(crate) finding: &'a Finding,
    /// Identifies the invocation; the same when Lambda retries it.
    pub(crate) invocation: &'a str,
    pub(crate) now: Timestamp,
    /// When that was, on the clock that does not jump.
    pub(crate) started: Instant,
    /// When containing must be done, so that the record and the notice still have time.
    pub(crate) until: Instant,
    /// The look at a containment that this is, if it is one.
    pub(crate) look: Option<&'a Look>,
    /// The message of the function's own queue that it came by, if it did: a look, or a delivery that was put off.
    pub(crate) came_back: Option<&'a Look>,
    /// The trace that it is a part of.
    pub(crate) trace: Option<&'a Trace>,
    /// How long another invocation that is at work on a target is waited for.
    pub(crate) waits: Duration,
    /// How often it was put off before. `None`: it cannot be put off.
    pub(crate) put_off: Option<u64>,
}

impl Incoming<'_> {
    /// What is known beyond the finding. `state`: what was observed before.
    pub(crate) async fn investigate<P: Playbook>(
        &self,
        playbook: &P,
        state: Option<&P::State>,
    ) -> Investigation {
        let inquiry = Inquiry::new(self.finding, self.clock(), self.until);
        investigate::investigate(playbook, &inquiry, state).await
    }

    /// The time of day, by what has passed since the event came in.
    pub(crate) fn clock(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        self.now.saturating_add(passed).unwrap_or(self.now)
    }
}

/// What came of containing.
pub(crate) struct Contained {
    pub(crate) report: Report,
    pub(crate) transient: Option<Error>,
    pub(crate) collected: Value,
    pub(crate) claims: Vec<Claim>,
    /// Whether there was anything that could be planned. If not, the targets are as they were.
    pub(crate) begun: bool,
    /// When it was known what to do.
    pub(crate) decided: Option<Timestamp>,
    /// When something contains the target, as read back.
    pub(crate) contained: Option<Timestamp>,
    /// Set if the breaker let nothing through: whether people are told.
    pub(crate) refused: Option<Page>,
    /// Set if what could not be done now can be done later.
    pub(crate) put_off: Option<PutOff>,
    /// A window of the breaker had no room.
    pub(crate) breaker_open: bool,
    /// A part of an attack sequence was refused by its function for good.
    pub(crate) not_handed_over: bool,
}

impl Contained {
    pub(crate) fn just(report: Report, transient: Option<Error>) -> Self {
        Self {
            report,
            transient,
            collected: Value::Null,
            claims: Vec::new(),
            begun: false,
            decided: None,
            contained: None,
            refused: None,
            put_off: None,
            breaker_open: false,
            not_handed_over: false,
        }
    }
}

/// With what a function answers one finding.
pub(crate) struct Means<'a, P> {
    pub(crate) playbook: &'a P,
    pub(crate) config: &'a Config,
    pub(crate) policies: &'a PolicyParameter,
    pub(crate) history: Option<&'a EventHistory>,
    pub(crate) record: Option<&'a Record>,
    pub(crate) verifier: Option<&'a Verifier>,
    pub(crate) alone: &'a Alone,
}

/// Plans and changes nothing.
pub(crate) async fn rehearse<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    what: String,
) -> Contained {
    let Incoming {
        finding,
        now,
        until,
        ..
    } = *incoming;
    let Means {
        playbook,
        config,
        policies,
        history,
        ..
    } = *means;
    let observing = within(until, "observing", Box::pin(playbook.observe(finding)));
    let (state, guard) = policies.during(now, until, observing).await;
    alarm_if_unusable(&guard);
    let gate = Gate::new::<P>(&guard, finding, &config.policy, true, now);
    if let Some(why) = gate.forbids_outright() {
        let report = notified(Some(playbook), incoming, why.to_string(), true).await;
        return Contained::just(report, None);
    }
    let state = match state {
        Ok(state) => state,
        Err(error) => return prevented::<P>(finding, Obstacle::Target, &error, true),
    };
    let plan = plan_by_history::<P>(&gate, &state, &config.settings, history, until);
    let plan = plan.await.into_plan();
    let decided = Some(incoming.clock());
    let transient = plan.steps.iter().find_map(|step| match step {
        Step::Unknown { action, error, .. } => {
            let counts = P::Action::phase_of(action).is_worth_a_retry();
            Some(error.clone()).filter(|error| counts && error.is_transient())
        }
        _ => None,
    });
    let transient = transient.or_else(|| guard.transient().cloned());
    let steps = plan.steps.iter().map(StepReport::unexecuted).collect();
    let mut report = Report::concluded(P::CATEGORY, finding, what, true, steps);
    report.is_retried = transient.is_some();
    report.residual_risks = plan.residual_risks;
    report.next_steps = plan.next_steps;
    tell(
        &mut report,
        incoming.investigate(playbook, Some(&state)).await,
    );
    let left = what_is_left(P::CATEGORY, finding, &report);
    report.next_steps.extend(left);
    Contained {
        decided,
        ..Contained::just(report, transient)
    }
}

/// Adds what was found out, which changes neither the status nor the steps.
pub(crate) fn tell(report: &mut Report, investigation: Investigation) {
    report.investigation = investigation.answers;
    report.next_steps.extend(investigation.leads);
}

/// Contains. The playbook's futures are boxed: together they are larger than a thread's stack likes.
pub(crate) async fn contain<P: Playbook>(
    means: &Means<'_, P>,
    incoming: &Incoming<'_>,
    what: String,
) -> Contained {
    let Means {
        playbook,
        config,
        history,
        ..
    } = *means;
    let Incoming {
        now, until, look, ..
    } = *incoming;
    let mut ready = match Box::pin(prepare(means, incoming)).await {
        Ok(ready) => ready,
        Err(answered) => return *answered,
    };
    let afterwards = Box::pin(look_back(playbook, incoming, ready.finding(incoming))).await;
    // Newer activity moves a cut-off forward.
    let works = afterwards.as_ref().and_then(Afterwards::not_held);
    if let Some(seen) = works {
        ready.go_on_until(incoming, seen);
    }
    let ready = ready;
    let finding = ready.finding(incoming);
    let gate = Gate::new::<P>(&ready.guard, finding, &config.policy, false, now);
    let gate = gate.about(&ready.claims);
    let plan = plan_by_history::<P>(&gate, &ready.state, &config.settings, history, until);
    let mut plan = plan.await;
    let mut whole = None;
    let hurries = plan.contains();
    if !hurries {
        let completing = async { Ok(completed(playbook, finding, &ready.state).await) };
        let completed = within(until, "observing", Box::pin(completing)).await;
        whole = match completed {
            Ok(whole) => whole,
            Err(error) => {
                let answered = prevented::<P>(finding, Obstacle::Target, &error, false);
                return Contained {
                    claims: ready.claims,
                    ..answered
                };
            }
        };
        if let Some(state) = &whole {
            let planning = plan_by_history::<P>(&gate, state, &config.settings, history, until);
            plan = planning.await;
        }
    }
    let decided = Some(incoming.clock());
    let state = whole.as_ref().unwrap_or(&ready.state);
    let mut reading = maybe_done(Box::pin(async {
        if hurries {
            playbook.complete(finding, &ready.state).await
        } else {
            None
        }
    }));
    let begun = Box::pin(begin(
        means,
        incoming,
        &ready,
        state,
        &mut plan,
        Part::First,
    ));
    let begun = beside(&mut reading, begun).await;
    let mut known: HashSet<_> = plan.steps.iter().map(Step::key).collect();
    let (mut latest, mut also_begun) = (None, Vec::new());
    // What is read while the plan is executed is planned, written down and executed beside it.
    let more = async || {
        let state = if let Some(state) = &latest {
            playbook.complete(finding, state).await
        } else if matches!(reading, MaybeDone::Gone) {
            None
        } else {
            (&mut reading).await;
            Pin::new(&mut reading).take_output().flatten()
        };
        let state = latest.insert(state?);
        let planning = plan_by_history::<P>(&gate, state, &config.settings, history, until);
        let mut more = Box::pin(planning).await.without(&known);
        known.extend(more.steps.iter().map(Step::key));
        match &begun.refusal {
            Some(refusal) => more.withhold(&refusal.withheld),
            None => {
                let part = Part::Fuller(&begun);
                let beginning = begin(means, incoming, &ready, state, &mut more, part);
                also_begun.push(Box::pin(beginning).await);
            }
        }
        Some(more)
    };
    let mut came_up_begun = Vec::new();
    let admit = async |state: &P::State, mut came_up: Authorized<P::Action>| {
        let part = Part::CameUp(&begun);
        let beginning = begin(means, incoming, &ready, state, &mut came_up, part);
        came_up_begun.push(Box::pin(beginning).await);
        came_up
    };
    let executing = execute_with(playbook, &gate, plan, more, admit, &config.settings, until);
    let noting = begin::note_undone(means, incoming, finding, &begun);
    let (done, ()) = futures::join!(Box::pin(executing), Box::pin(noting));
    drop(reading);
    let whole = whole.or(latest);
    let state = whole.as_ref().unwrap_or(&ready.state);
    let retried = begun.retried;
    let (mut undone, mut stood) = (begun.undone, begun.stood);
    let (mut refusal, mut remarks) = (begun.refusal, begun.remarks);
    for also in also_begun.into_iter().chain(came_up_begun) {
        undone |= also.undone;
        stood = stood.or(also.stood);
        refusal = refusal.or(also.refusal);
        remarks.extend(also.remarks);
    }
    let Execution {
        steps,
        transient,
        residual_risks,
        next_steps,
        awaiting,
    } = done;
    let mut steps = steps;
    let still_works = afterwards.as_ref().filter(|_| works.is_some());
    let again = steps.iter().any(StepReport::contained_now);
    // What reading back shows in effect, and does not keep the credential out, contains only in part.
    steps.extend(still_works.filter(|_| !again).map(StepReport::contradicted));
    let mut report = Report::concluded(P::CATEGORY, finding, what.clone(), false, steps);
    report.provisional = P::is_provisional(finding, state, now);
    report.stood = stood;
    let released = ready.claims.iter().any(|claim| claim.released_at.is_some());
    let looked = look.is_some_and(|look| look.finds_undone(report.steps()));
    let undone = undone || (looked && !released);
    report.anew = !retried && report.steps().iter().any(StepReport::contained_now);
    let contained = matches!(report.status(), Status::Contained | Status::Partial);
    let contained = contained.then(|| incoming.clock());
    let goes_on = report.steps().iter().filter_map(StepReport::goes_on);
    report.residual_risks = goes_on.chain(residual_risks).collect();
    report.next_steps = next_steps;
    let waiting = Waiting {
        actions: &awaiting,
        evidence: P::evidence(state),
        what,
    };
    let unheld = approve::hold(means, incoming, finding, waiting, &mut report).await;
    report.next_steps.extend(remarks);
    let transient = transient.or(unheld);
    let mut transient = transient.or_else(|| ready.guard.transient().cloned());
    let (mut refused, mut breaker_open) = (None, false);
    if let Some(refusal) = refusal {
        report.breaker = refusal.overload;
        breaker_open = !refusal.unasked;
        transient = transient.or(refusal.transient);
        // That someone undid a containment is news by itself; so is what was contained beside what has no room,
        // and a plan that awaits approval.
        let news = undone || report.anew || report.approval().is_some();
        refused = Some(if news { Page::AsUsual } else { refusal.page });
    }
    report.is_retried = transient.is_some();
    // Nobody is told of a look that finds nothing undone, nor what the invocation that was waited
    // for tells, nor what the breaker withholds once it is open; and others may be waiting for the
    // claims.
    let unchanged = report.status() == Status::AlreadyContained;
    let repeats = unchanged && (ready.waited() || incoming.put_off.is_some_and(|times| times > 0));
    let untold = refused == Some(Page::Done);
    let investigated = async {
        if repeats || untold || (look.is_some() && (!undone || works.is_some())) {
            investigate::from_finding(finding)
        } else {
            incoming.investigate(playbook, Some(state)).await
        }
    };
    let (collected, investigation) = futures::join!(
        within(
            until,
            "collecting evidence",
            Box::pin(playbook.collect(finding, state))
        ),
        Box::pin(investigated),
    );
    let collected = collected.unwrap_or_else(|error| json!({ "error": error.to_string() }));
    tell(&mut report, investigation);
    let left = what_is_left(P::CATEGORY, finding, &report);
    report.next_steps.extend(left);
    if let Some(after) = still_works {
        report.undone = true;
        report.next_steps.insert(0, not_held(after, again));
        report.next_steps.extend(after.made.iter().cloned());
    }
    report.afterwards = afterwards;
    // A cut-off that moved forward was not undone.
    if undone && works.is_none() {
        report.tell_undone(what_came_of(&report, again));
    }
    let busy = ready.busy.first().cloned();
    let busy = busy.map(|target| Error::Busy { target });
    let put_off = busy
        .as_ref()
        .and_then(|why| PutOff::of_the_rest(incoming, why, ready.busy.clone()));
    let transient = transient.or(busy.filter(|_| put_off.is_none()));
    Contained {
        put_off,
        report,
        transient,
        collected,
        claims: ready.claims,
        begun: true,
        decided,
        contained,
        refused,
        breaker_open,
        not_handed_over: false,
    }
}

/// The consequence of what someone undid.
fn what_came_of(report: &Report, again: bool) -> &'static str {
    let mut steps = report.steps().iter();
    if again {
        "it was done again"
    } else if steps.any(|step| step.outcome() == Outcome::Withheld) {
        "it was not done again, since it is withheld"
    } else {
        "it could not be done again"
    }
}

/// What CloudTrail shows of the credential that was contained, if this is the look for that.
async fn look_back<P: Playbook>(
    playbook: &P,
    incoming: &Incoming<'_>,
    finding: &Finding,
) -> Option<Afterwards> {
    let look = incoming.look.filter(|look| look.is_by_trail())?;
    let credential = P::kept_out(finding, look.in_effect.as_ref()?)?;
    let inquiry = Inquiry::new(finding, incoming.clock(), incoming.until);
    let (trail, contained_at) = (playbook.trail()?, look.contained_at?);
    Some(afterwards::read(trail, &inquiry, &credential, contained_at).await)
}

/// What a person must know where a containment did not hold.
fn not_held(after: &Afterwards, again: bool) -> String {
    let again = if again {
        "it was contained again; find out in CloudTrail whether somebody undid it"
    } else {
        "what contains it is in effect as read back, and nothing more could be done: delete or change the \
         credential itself, and look for what else lets it in"
    };
    format!("the containment did not hold: {}; {again}", after.summary)
}

/// The whole of what is to be read, from a part. `None`: the part is the whole.
async fn completed<P: Playbook>(
    playbook: &P,
    finding: &Finding,
    part: &P::State,
) -> Option<P::State> {
    let mut whole = playbook.complete(finding, part).await?;
    while let Some(more) = playbook.complete(finding, &whole).await {
        whole = more;
    }
    Some(whole)
}

/// Does `work`, and gets on with `aside` meanwhile.
async fn beside<A: Future + Unpin, W: Future>(aside: &mut MaybeDone<A>, work: W) -> W::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        if !matches!(aside, MaybeDone::Gone) {
            let _ = Pin::new(&mut *aside).poll(context);
        }
        work.as_mut().poll(context)
    })
    .await
}

/// Advice how to contain would only confuse where it was contained.
fn what_is_left(category: Category, finding: &Finding, report: &Report) -> Vec<String> {
    let mut left = match report.status() {
        Status::Contained | Status::AlreadyContained => guidance::questions(category, finding),
        _ => guidance::next_steps(category, finding),
    };
    left.extend(guidance::whole_account(
        category,
        finding,
        &report.investigation,
    ));
    left
}

/// The stack has an alarm on this line.
fn alarm_if_unusable(guard: &Guard) {
    if let Some(problem) = guard.problem() {
        tracing::error!(problem, "{UNUSABLE}: everything is withheld");
    }
}

/// The report for a finding that is left to a person, for this reason. `None`: nothing can look at the
/// finding's account.
pub(crate) async fn notified<P: Playbook>(
    playbook: Option<&P>,
    incoming: &Incoming<'_>,
    why: String,
    dry_run: bool,
) -> Report {
    let finding = incoming.finding;
    let mut report = Report::notified(P::CATEGORY, finding, why, dry_run);
    let investigation = match playbook {
        Some(playbook) => incoming.investigate(playbook, None).await,
        None => investigate::from_finding(finding),
    };
    tell(&mut report, investigation);
    let left = what_is_left(P::CATEGORY, finding, &report);
    report.next_steps.extend(left);
    report
}

pub(crate) fn prevented<P: Playbook>(
    finding: &Finding,
    obstacle: Obstacle,
    error: &Error,
    dry_run: bool,
) -> Contained {
    let mut report = Report::prevented(P::CATEGORY, finding, obstacle, error, dry_run);
    tell(&mut report, investigate::from_finding(finding));
    let left = what_is_left(P::CATEGORY, finding, &report);
    report.next_steps.extend(left);
    Contained::just(report, Some(error.clone()).filter(Error::is_transient))
}

pub(crate) fn actions_of<A: Action>(plan: &Plan<A>) -> Vec<(String, Value)> {
    plan.steps
        .iter()
        .filter_map(|step| match step {
            Step::Do(action) => Some(recorded(action)),
            _ => None,
        })
        .collect()
}

/// An action as the record has it: by its key, with the value that it found.
pub(crate) fn recorded<A: Action>(action: &A) -> (String, Value) {
    let key = StepKey::of(action).to_string();
    (key, serde_json::to_value(action).unwrap_or_default())
}

/// What the record is to say of the targets. `None`: they are as they were.
pub(crate) fn target_state(report: &Report) -> Option<TargetState> {
    let applied = |step: &StepReport| step.outcome() == Outcome::Applied;
    match report.status() {
        Status::Contained | Status::AlreadyContained => Some(TargetState::Contained),
        Status::Partial => Some(TargetState::Partial),
        Status::Failed => Some(TargetState::Failed),
        // Evidence was secured, and containing was left to the on-call engineer.
        Status::Notified if report.steps().iter().any(applied) => Some(TargetState::Withheld),
        Status::Ignored
        | Status::Notified
        | Status::DryRun
        | Status::Rejected
        | Status::Released => None,
    }
}
