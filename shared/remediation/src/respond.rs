//! The flow: from an event to a report. A finding that is to be contained goes through the phases
//! [`prepare`](crate::prepare), [`authorize`](crate::authorize), [`admit`](crate::admit),
//! [`execute`](crate::execute), [`conclude`](crate::conclude) and [`announce`](crate::announce).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::accounts::Elsewhere;
use crate::announce::Failures;
use crate::authorize::forbidden_outright;
use crate::category::Category;
use crate::contain::contain;
use crate::containment::{Containment, advise, target_state};
use crate::deadline::within;
use crate::decision::{Decision, decide};
use crate::delivery::{Clock, Delivery};
use crate::dry_run;
use crate::error::{Error, Result};
use crate::finding::{Finding, printable};
use crate::hand_over::{self};
use crate::metrics::{self, Measured};
use crate::postpone::postpone;
use crate::recheck::{self, Recheck};
use crate::record::{Claim, TargetState};
use crate::report::{Obstacle, Report, Status};
pub use crate::responder::{Invocation, Responder};
use crate::session::{Services, Session};
use aws::playbook::Playbook;

/// The part of an invocation's time that is kept for the record and the notice, after containment.
const RESERVE: Duration = Duration::from_secs(10);

/// How long another invocation that is at work on a target is waited for, where the event can come again later:
/// who waits keeps others from being contained.
const CLAIM_WAIT: Duration = Duration::from_secs(2);

impl<P: Playbook> Responder<P> {
    /// Answers an event: decides, contains, reads back, records, notifies and logs.
    ///
    /// # Errors
    /// A transient failure that is left after everything that could be done was done and reported,
    /// so that Lambda tries again. Any other failure is an answer: a [`Report`] that says so.
    pub async fn respond(&self, event: Value, invocation: &Invocation) -> Result<Report> {
        let (finding, decision) = match self.assess(&event, invocation.look.as_ref()) {
            Ok(assessed) => assessed,
            Err(error) => {
                let report = self.malformed(&event, &error);
                self.log(&report, None, &Measured::default(), invocation.now);
                return Ok(report);
            }
        };
        let sent = aws::sent();
        let delivery = self.delivery(&event, &finding, invocation);
        let decided_to = decision.as_str();
        let mut done = Box::pin(self.act(&delivery, decision)).await;
        if let (Some(recheck), Some(postponement)) = (&self.recheck, done.postponement.take()) {
            let record = self.record.as_ref();
            let postponing = postpone::<P>(recheck, record, &delivery, postponement, done);
            done = Box::pin(postponing).await;
        }
        done.report.trace_id = delivery.trace.map(|trace| trace.id().to_owned());
        done.report.run_by.clone_from(&self.run_by);
        let mut failures = Failures::default();
        // Whoever sent a drill waits for the record of it.
        if done.report.status() != Status::Ignored || finding.is_drill() {
            failures = Box::pin(self.announce(&delivery, &mut done)).await;
        }
        self.end_claims(&delivery, &done).await;
        let measured = Measured {
            decision: Some(decided_to),
            decided: done.planned_at.or(Some(invocation.now)),
            contained: done.contained_at,
            sent: aws::sent().since(sent),
            refused: done.breaker_open,
            not_handed_over: done.not_handed_over,
            unsent: failures.unsent,
        };
        self.log(&done.report, Some(&finding), &measured, delivery.now());
        let untold = failures.errors.into_iter().find(Error::is_transient);
        self.answer(done.report, done.retryable.or(untold))
    }

    /// The answer to Lambda, or to the operator who runs it by hand.
    fn answer(&self, mut report: Report, retryable: Option<Error>) -> Result<Report> {
        match retryable {
            Some(error) if self.run_by.is_some() => {
                let next = format!("run it again, since this may pass: {error}");
                report.next_steps.push(next);
                Ok(report)
            }
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    fn delivery<'a>(
        &self,
        event: &'a Value,
        finding: &'a Finding,
        invocation: &'a Invocation,
    ) -> Delivery<'a> {
        let look = invocation.look.as_ref();
        let times = look.map_or(0, |look| look.put_off);
        let clock = Clock::start(invocation.now);
        let time = invocation.time_left.saturating_sub(RESERVE);
        // An operator who runs it by hand waits, and has no use for what comes later.
        let comes_again = self.recheck.is_some() && self.run_by.is_none();
        Delivery {
            event,
            finding,
            invocation: &invocation.id,
            clock,
            deadline: clock.started() + time,
            recheck: look.filter(|look| look.is_one()),
            came_back: look,
            trace: invocation.trace.as_ref(),
            claim_wait: if comes_again { CLAIM_WAIT } else { time },
            put_off: Some(times).filter(|times| comes_again && *times < recheck::PUT_OFF_AT_MOST),
        }
    }

    /// Ends the claims, each with what became of its target by the report.
    async fn end_claims(&self, delivery: &Delivery<'_>, done: &Containment) {
        let Some(record) = &self.record else {
            return;
        };
        let report = &done.report;
        let outcome = |claim: &Claim| {
            let withheld = done.breaker_alert.is_some() || claim.finds_undone(report.steps());
            let withheld = withheld.then_some(TargetState::Withheld);
            let state = target_state(report).or(withheld);
            // A target that was not begun or not read is as it was, and a released one is still released.
            let state = state.filter(|_| done.planned && !report.stands && claim.left().is_none());
            let severity = delivery.finding.severity.value();
            state.map(|state| claim.conclude(state, report.steps(), severity))
        };
        let again = report.provisional && self.recheck.is_some();
        let ending = done.claims.end(record, delivery, again, outcome);
        ending.await;
    }

    /// Answers what is no JSON that can be read, for this reason.
    pub fn unreadable(&self, problem: &str, now: Timestamp) -> Report {
        let error = Error::malformed("event", format!("cannot be read: {}", printable(problem)));
        let report = self.malformed(&Value::Null, &error);
        self.log(&report, None, &Measured::default(), now);
        report
    }

    fn assess(&self, event: &Value, look: Option<&Recheck>) -> Result<(Finding, Decision)> {
        let mut finding = Finding::parse(event)?;
        finding.see_marks(look.and_then(|look| look.marks_seen_at));
        let decision = decide(P::CATEGORY, &finding, &self.config.policy);
        Ok((finding, decision))
    }

    async fn act(&self, delivery: &Delivery<'_>, decision: Decision) -> Containment {
        let finding = delivery.finding;
        let dry_run = self.config.policy.is_dry_run(finding);
        let what = match decision {
            Decision::Contain(what) => what,
            Decision::Ignore(why) => {
                return Containment::answer(Report::ignored(P::CATEGORY, finding, why, dry_run));
            }
            Decision::Notify(why)
                if P::CATEGORY == Category::Triage && finding.is_attack_sequence() =>
            {
                return self.dispatch(delivery, why).await;
            }
            Decision::Notify(why) => return self.leave(delivery, why, dry_run).await,
        };
        let history = self.guards.history.clone();
        let mut services = Services {
            config: &self.config,
            policies: &self.guards.policies,
            history: history.as_ref(),
            verifier: self.verifier.as_ref(),
            alone: &self.alone,
        };
        let mut session = Session::new(&self.playbook, self.record.as_ref(), delivery);
        if let Some(why) = forbidden_outright(&session, services.policies, services.rules(dry_run))
        {
            return self.leave(delivery, why.to_string(), dry_run).await;
        }
        let elsewhere = match self.elsewhere(delivery).await {
            Ok(elsewhere) => elsewhere,
            Err(error) => {
                return Containment::failed::<P>(finding, Obstacle::Account, &error, dry_run);
            }
        };
        if let Some(there) = &elsewhere {
            session.playbook = &there.playbook;
        }
        let of_playbook = session.playbook.trail().cloned();
        services.history = history.as_ref().or(of_playbook.as_ref());
        let mut done = if dry_run {
            Box::pin(dry_run::dry_run(&services, &session, what)).await
        } else {
            Box::pin(contain(&services, &mut session, what)).await
        };
        done.claims = session.claims;
        let remark = elsewhere.and_then(|elsewhere| elsewhere.remark);
        done.report.next_steps.extend(remark);
        done
    }

    /// Leaves the finding to the on-call engineer, for this reason, and tells what can be found out.
    async fn leave(&self, delivery: &Delivery<'_>, why: String, dry_run: bool) -> Containment {
        let mut unreached = None;
        let elsewhere = if self.is_foreign(delivery.finding) {
            None
        } else {
            self.elsewhere(delivery).await.unwrap_or_else(|error| {
                unreached = Some(format!(
                    "look yourself, nothing could be read there: {error}"
                ));
                None
            })
        };
        let playbook = match &elsewhere {
            Some(there) => Some(&*there.playbook),
            None if unreached.is_some() || self.is_foreign(delivery.finding) => None,
            None => Some(&self.playbook),
        };
        let mut left = Containment::notified(playbook, delivery, why, dry_run).await;
        left.report.next_steps.extend(unreached);
        left
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

    /// The playbook for the finding's account and Region, if the function's own is not for them.
    async fn elsewhere(&self, delivery: &Delivery<'_>) -> Result<Option<Elsewhere<P>>> {
        let Some(accounts) = &self.accounts else {
            return Ok(None);
        };
        let deadline = delivery.deadline;
        let time_left = deadline.saturating_duration_since(delivery.clock.started());
        let playbook = accounts.playbook(delivery.finding, delivery.received_at(), time_left);
        within(deadline, "sts:AssumeRole", playbook).await
    }

    /// Tells of an attack sequence, and hands its parts over.
    async fn dispatch(&self, delivery: &Delivery<'_>, why: String) -> Containment {
        let (finding, policy) = (delivery.finding, &self.config.policy);
        let unfolded = hand_over::unfold(self.hand_over.as_ref(), policy, delivery).await;
        let reason = format!("{why}; {}", unfolded.summary);
        let dry_run = policy.is_dry_run(finding);
        let mut report = Report::notified(P::CATEGORY, finding, reason, dry_run);
        report.sequence = unfolded.outline;
        report.next_steps = unfolded.next_steps;
        advise(&mut report, P::CATEGORY, finding);
        Containment {
            not_handed_over: unfolded.refused,
            retryable: unfolded.transient,
            ..Containment::answer(report)
        }
    }

    /// No call is made for an event that is not a finding, not even for a notice: anybody who can invoke the function
    /// could page people with it. The log line raises the stack's alarm.
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
