//! The flow: from an event to a report. The only function that calls all the others.

mod build;
mod keep;
mod lines;
mod tell;

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use self::lines::Lines;
use crate::accounts::{Accounts, Elsewhere};
use crate::aws;
use crate::catalogue::Category;
use crate::config::Config;
use crate::contain::{
    Contained, Incoming, Means, PutOff, contain, notified, prevented, rehearse, target_state,
};
use crate::error::{Error, Result};
use crate::evidence::Evidence;
use crate::execute::within;
use crate::finding::{Finding, printable};
use crate::guard::Gate;
use crate::guidance;
use crate::hand_over::{self, HandOver};
use crate::history::Guards;
use crate::metrics::{self, Measured};
use crate::notify::Notices;
use crate::notify::security_hub::SecurityHub;
use crate::playbook::Playbook;
use crate::policy::{Decision, decide};
use crate::recheck::{self, Look, Recheck};
use crate::record::{Record, TargetState, Times};
use crate::report::{Obstacle, Report, Status};
use crate::slots::Alone;
use crate::trace::Trace;
use crate::verify::Verifier;

/// What is kept of an invocation's time for the record and the notice, after containment.
const RESERVE: Duration = Duration::from_secs(10);

/// How much of the reserve may be over when the last claim is given back.
const GIVING_BACK: Duration = Duration::from_secs(9);

/// How long another invocation that is at work on a target is waited for, where the event can come again later:
/// who waits keeps others from being contained.
const WAITS: Duration = Duration::from_secs(2);

/// How long sending an event that is put off may take.
const PUTTING_OFF: Duration = Duration::from_secs(2);

/// A function: its settings and clients, built once at start.
#[derive(Debug)]
pub struct Responder<P> {
    playbook: P,
    config: Config,
    guards: Guards,
    notices: Notices,
    security_hub: Option<SecurityHub>,
    accounts: Option<Accounts<P>>,
    verifier: Option<Verifier>,
    record: Option<Record>,
    evidence: Option<Evidence>,
    recheck: Option<Recheck>,
    hand_over: Option<HandOver>,
    alone: Alone,
    /// The person who runs it, to whom the report goes instead of to a log.
    run_by: Option<String>,
    lines: Lines,
}

/// One invocation of a function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id, the same when Lambda retries it.
    pub id: String,
    /// When it came in.
    pub now: Timestamp,
    /// What it may still take.
    pub time_left: Duration,
    /// The look at a containment that this is, if it is one.
    pub look: Option<Look>,
    /// The trace that it is a part of.
    pub trace: Option<Trace>,
}

impl<P: Playbook> Responder<P> {
    /// Answers an event: decides, contains, reads back, records, notifies and logs.
    ///
    /// # Errors
    /// A transient failure that is left after everything that could be done was done and reported,
    /// so that Lambda tries again. Any other failure is an answer: a [`Report`] that says so.
    pub async fn respond(&self, event: Value, invocation: &Invocation) -> Result<Report> {
        let look = invocation.look.as_ref();
        let (finding, decision) = match self.assess(&event, look) {
            Ok(assessed) => assessed,
            Err(error) => {
                let report = self.malformed(&event, &error);
                self.log(&report, None, &Measured::default(), invocation.now);
                return Ok(report);
            }
        };
        let (started, sent) = (Instant::now(), aws::sent());
        let times = look.map_or(0, |look| look.put_off);
        let until = started + invocation.time_left.saturating_sub(RESERVE);
        // A person who runs it by hand waits, and has no use for what comes later.
        let comes_again = self.recheck.is_some() && self.run_by.is_none();
        let incoming = Incoming {
            event: &event,
            finding: &finding,
            invocation: &invocation.id,
            now: invocation.now,
            started,
            until,
            look: look.filter(|look| look.is_one()),
            came_back: look,
            trace: invocation.trace.as_ref(),
            waits: if comes_again { WAITS } else { until - started },
            put_off: Some(times).filter(|times| comes_again && *times < recheck::PUT_OFF_AT_MOST),
        };
        let decided_to = decision.as_str();
        let mut done = Box::pin(self.act(&incoming, decision)).await;
        if let Some(put_off) = done.put_off.take() {
            done = Box::pin(self.put_off(&incoming, look, put_off, done)).await;
        }
        let look = incoming.look;
        let Contained {
            mut report,
            mut transient,
            collected,
            claims,
            begun,
            decided,
            contained,
            refused,
            put_off: _,
            breaker_open,
            not_handed_over,
        } = done;
        report.trace_id = invocation.trace.as_ref().map(|trace| trace.id().to_owned());
        let mut unsent = 0;
        report.run_by.clone_from(&self.run_by);
        // Whoever sent a drill waits for the record of it.
        if report.status() != Status::Ignored || finding.is_drill() {
            let times = Times {
                received: Some(invocation.now),
                decided,
                contained,
                look: look.is_some(),
            };
            let told = self.tell(&incoming, &mut report, &collected, times, refused);
            let failures = Box::pin(told).await;
            unsent = failures.unsent;
            for error in failures.errors {
                if error.is_transient() {
                    transient.get_or_insert(error);
                }
            }
        }
        if let Some(record) = &self.record {
            let given_back_by = incoming.until + GIVING_BACK;
            let giving_back = claims.iter().map(async |claim| {
                let withheld = refused.is_some() || claim.finds_undone(report.steps());
                let withheld = withheld.then_some(TargetState::Withheld);
                let state = target_state(&report).or(withheld);
                // A target that was not begun or not read is as it was, and a released one is still released.
                let state = state.filter(|_| begun && !report.stands && claim.left().is_none());
                let severity = finding.severity.value();
                let state = state.map(|state| claim.conclude(state, report.steps(), severity));
                let again = report.provisional && self.recheck.is_some();
                let giving = Box::pin(record.give_back_until(claim, state, again, incoming.clock()));
                if let Err(error) = within(given_back_by, "dynamodb:UpdateItem", giving).await {
                    tracing::error!(%error, "the claim on a target was not given back and ends by its time");
                }
            });
            join_all(giving_back.map(Box::pin)).await;
        }
        let measured = Measured {
            decision: Some(decided_to),
            decided: decided.or(Some(incoming.now)),
            contained,
            sent: aws::sent().since(sent),
            refused: breaker_open,
            not_handed_over,
            unsent,
        };
        self.log(&report, Some(&finding), &measured, incoming.clock());
        match transient {
            Some(error) if self.run_by.is_some() => {
                report
                    .next_steps
                    .push(format!("run it again, since this may pass: {error}"));
                Ok(report)
            }
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    /// Answers what is no JSON that can be read, for this reason.
    pub fn unreadable(&self, problem: &str, now: Timestamp) -> Report {
        let error = Error::malformed("event", format!("cannot be read: {}", printable(problem)));
        let report = self.malformed(&Value::Null, &error);
        self.log(&report, None, &Measured::default(), now);
        report
    }

    fn assess(&self, event: &Value, look: Option<&Look>) -> Result<(Finding, Decision)> {
        let mut finding = Finding::parse(event)?;
        finding.see_marks(look.and_then(|look| look.marks_seen_at));
        let decision = decide(P::CATEGORY, &finding, &self.config.policy);
        Ok((finding, decision))
    }

    async fn act(&self, incoming: &Incoming<'_>, decision: Decision) -> Contained {
        let finding = incoming.finding;
        let dry_run = self.config.policy.is_dry_run(finding);
        let what = match decision {
            Decision::Contain(what) => what,
            Decision::Ignore(why) => {
                let report = Report::ignored(P::CATEGORY, finding, why, dry_run);
                return Contained::just(report, None);
            }
            Decision::Notify(why)
                if P::CATEGORY == Category::Triage && finding.is_attack_sequence() =>
            {
                return self.unfold(incoming, why).await;
            }
            Decision::Notify(why) => return self.leave(incoming, why, dry_run).await,
        };
        if let Some(why) = self.forbidden(incoming, dry_run) {
            return self.leave(incoming, why, dry_run).await;
        }
        let elsewhere = match self.elsewhere(incoming).await {
            Ok(elsewhere) => elsewhere,
            Err(error) => return prevented::<P>(finding, Obstacle::Account, &error, dry_run),
        };
        let there = elsewhere.as_ref();
        let playbook = there.map_or(&self.playbook, |there| &*there.playbook);
        let history = self.guards.history.clone();
        let history = history.or_else(|| playbook.trail().cloned());
        let means = Means {
            playbook,
            config: &self.config,
            policies: &self.guards.policies,
            history: history.as_ref(),
            record: self.record.as_ref(),
            verifier: self.verifier.as_ref(),
            alone: &self.alone,
        };
        let mut done = if dry_run {
            Box::pin(rehearse(&means, incoming, what)).await
        } else {
            Box::pin(contain(&means, incoming, what)).await
        };
        let remark = elsewhere.and_then(|elsewhere| elsewhere.remark);
        done.report.next_steps.extend(remark);
        done
    }

    /// Has the event come again later. If it cannot, what was done is the answer. `look`: how it came.
    async fn put_off(
        &self,
        incoming: &Incoming<'_>,
        look: Option<&Look>,
        put_off: PutOff,
        done: Contained,
    ) -> Contained {
        let Some(recheck) = &self.recheck else {
            return done;
        };
        let Incoming {
            event,
            finding,
            trace,
            ..
        } = *incoming;
        let PutOff {
            why,
            event: other,
            tells,
            awaited,
        } = put_off;
        let comes = other.as_ref().unwrap_or(event);
        let sending = async {
            if let Some(record) = &self.record {
                let now = incoming.clock();
                let noting = awaited.iter();
                let noting = noting.map(|it| record.await_again(P::CATEGORY, finding, it, now));
                try_join_all(noting.map(Box::pin)).await?;
            }
            let sending = recheck.put_off(P::CATEGORY, comes, &finding.id, look, trace);
            sending.await
        };
        let until = Instant::now() + PUTTING_OFF;
        let mut done = done;
        match within(until, "sqs:SendMessage", Box::pin(sending)).await {
            Ok(seconds) if tells => {
                let next =
                    format!("nothing: it is dealt with again in {seconds} seconds, since {why}");
                done.report.next_steps.push(next);
                done
            }
            Ok(seconds) => {
                let why = format!("it is dealt with again in {seconds} seconds, since {why}");
                let report = Report::ignored(P::CATEGORY, finding, why, false);
                Contained {
                    claims: done.claims,
                    ..Contained::just(report, None)
                }
            }
            Err(error) => {
                tracing::error!(%error, "the event was not put off");
                done.transient = done.transient.or(Some(error));
                done
            }
        }
    }

    /// Leaves the finding to a person, for this reason, and tells what can be found out.
    async fn leave(&self, incoming: &Incoming<'_>, why: String, dry_run: bool) -> Contained {
        let mut unreached = None;
        let elsewhere = if self.is_foreign(incoming.finding) {
            None
        } else {
            self.elsewhere(incoming).await.unwrap_or_else(|error| {
                unreached = Some(format!("look yourself, nothing was asked there: {error}"));
                None
            })
        };
        let playbook = match &elsewhere {
            Some(there) => Some(&*there.playbook),
            None if unreached.is_some() || self.is_foreign(incoming.finding) => None,
            None => Some(&self.playbook),
        };
        let mut report = notified(playbook, incoming, why, dry_run).await;
        report.next_steps.extend(unreached);
        Contained::just(report, None)
    }

    /// True for a finding of an account in which the function has no role: asking in its own account
    /// instead would answer about others of the same names.
    fn is_foreign(&self, finding: &Finding) -> bool {
        let own = match &self.config.hub {
            Some(hub) if P::CATEGORY == Category::Triage => hub.account.as_ref(),
            Some(_) => None,
            None => self.config.policy.own_account.as_ref(),
        };
        own.is_some_and(|own| *own != finding.account_id)
    }

    /// What acts in the finding's account and Region, if the function's own playbook does not.
    async fn elsewhere(&self, incoming: &Incoming<'_>) -> Result<Option<Elsewhere<P>>> {
        let Some(accounts) = &self.accounts else {
            return Ok(None);
        };
        let time_left = incoming.until.saturating_duration_since(incoming.started);
        let playbook = accounts.playbook(incoming.finding, incoming.now, time_left);
        within(incoming.until, "sts:AssumeRole", playbook).await
    }

    /// Tells of an attack sequence, and hands its parts over.
    async fn unfold(&self, incoming: &Incoming<'_>, why: String) -> Contained {
        let (finding, policy) = (incoming.finding, &self.config.policy);
        let unfolded = hand_over::unfold(self.hand_over.as_ref(), policy, incoming).await;
        let reason = format!("{why}; {}", unfolded.summary);
        let dry_run = policy.is_dry_run(finding);
        let mut report = Report::notified(P::CATEGORY, finding, reason, dry_run);
        report.sequence = unfolded.outline;
        report.next_steps = unfolded.next_steps;
        report
            .next_steps
            .extend(guidance::next_steps(P::CATEGORY, finding));
        report
            .next_steps
            .extend(guidance::whole_account(P::CATEGORY, finding, &[]));
        Contained {
            not_handed_over: unfolded.refused,
            ..Contained::just(report, unfolded.transient)
        }
    }

    /// Why nothing is permitted, whatever the target is. Then it need not be observed.
    fn forbidden(&self, incoming: &Incoming<'_>, dry_run: bool) -> Option<String> {
        let Incoming { finding, now, .. } = *incoming;
        let guard = self.guards.policies.fresh(now)?;
        let gate = Gate::new::<P>(&guard, finding, &self.config.policy, dry_run, now);
        let why = gate.forbids_outright()?;
        // A bucket that is contained and was opened again is closed again whatever the finding's severity, and
        // what is contained only the record knows.
        let reopened = P::CATEGORY == Category::S3 && self.record.is_some() && !dry_run;
        (!reopened || !gate.may_restore()).then(|| why.to_string())
    }

    /// No call is made for an event that is not a finding, not even for a notice: whoever can
    /// invoke the function could page people with it. The log line raises the stack's alarm.
    fn malformed(&self, event: &Value, error: &Error) -> Report {
        tracing::error!(%error, "malformed event");
        Report::malformed(P::CATEGORY, event, error, self.config.policy.dry_run)
    }

    /// Writes the report, which is the record of last resort, with its metrics.
    fn log(&self, report: &Report, finding: Option<&Finding>, measured: &Measured, now: Timestamp) {
        if self.run_by.is_some() {
            return;
        }
        let line = match &self.config.metrics_namespace {
            Some(namespace) => metrics::line(report, finding, measured, namespace, now),
            None => report.to_line(),
        };
        for line in std::iter::once(line).chain(report.left_out()) {
            if let Err(error) = self.lines.write(&line) {
                tracing::error!(%error, line, "the report could not be written to the log");
            }
        }
    }
}

#[cfg(test)]
mod tests;
