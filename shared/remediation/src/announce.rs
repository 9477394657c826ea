//! The announcement of a report: the next recheck, the record, the page, the notices.

mod evidence;
mod news;
mod security_hub;

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::Instant;

use self::news::{should_send, should_store};
use crate::breaker::Page;
use crate::containment::Containment;
use crate::deadline::within;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::notify::{Channel, Message};
use crate::plan::Action as _;
use crate::recheck::{self, Cause};
use crate::record::{NOT_DONE_AGAIN, Recorded, Times, unrecorded};
use crate::report::{Report, Status, StepReport};
use crate::responder::Responder;
use aws::playbook::Playbook;

/// How much of the reserve notices may take; the rest is for the claims and the line in the log.
const NOTICES: Duration = Duration::from_secs(6);

/// How long sending for the next recheck and each write of the record may take: a table that hangs must not cost
/// the notice.
const SENDING: Duration = Duration::from_millis(1_500);
const WRITING: Duration = Duration::from_secs(2);
const RECORDING: &str = "dynamodb:UpdateItem";

/// The consequence of a reversal that an earlier attempt found.
const DONE_AGAIN_BEFORE: &str = "an earlier attempt found it, and sent no notice";

/// The failures of an announcement.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    pub(crate) errors: Vec<Error>,
    /// How many notices could not be sent.
    pub(crate) unsent: usize,
}

impl<P: Playbook> Responder<P> {
    /// Has the containment looked at again, records the report, stores its page, and sends it where it is news.
    /// Returns what failed, which the report then says too.
    pub(crate) async fn announce(
        &self,
        delivery: &Delivery<'_>,
        containment: &mut Containment,
    ) -> Failures {
        let mut failures = Failures::default();
        let times = Times {
            received: Some(delivery.received_at()),
            decided: containment.planned_at,
            contained: containment.contained_at,
            look: delivery.recheck.is_some(),
        };
        let mut cause = cause::<P>(delivery, &containment.report, times);
        let report = &mut containment.report;
        let scheduled = self.schedule_recheck(delivery, report, &cause).await;
        failures.errors.extend(scheduled.err());
        if cause.provisional && self.recheck.is_none() {
            report.next_steps.push(
                "check in 15 minutes whether CloudTrail shows that the mark was set just now: this \
                 function does no recheck (RECHECK_QUEUE_URL is not set)"
                    .to_owned(),
            );
        }
        let before = self.conclude_record(delivery, containment, times).await;
        let report = &mut containment.report;
        let before = before.unwrap_or_else(|error| {
            tracing::error!(%error, "not recorded: the line of the report is the record");
            let next = format!("keep the log: the incident was not recorded: {error}");
            report.next_steps.push(next);
            failures.errors.push(error);
            None
        });
        if let Some(before) = &before
            && !cause.stands
            && goes_on::<P>(delivery, report, before, &mut cause)
        {
            let scheduled = self.schedule_recheck(delivery, report, &cause).await;
            failures.errors.extend(scheduled.err());
        }
        let stored = self.store_page(delivery, containment, before.as_ref(), times);
        failures.errors.extend(Box::pin(stored).await.err());
        self.notify(delivery, containment, before.as_ref(), &mut failures)
            .await;
        failures
    }

    /// Has the target looked at again, if there is a cause.
    async fn schedule_recheck(
        &self,
        delivery: &Delivery<'_>,
        report: &mut Report,
        cause: &Cause,
    ) -> Result<()> {
        let Some(recheck) = &self.recheck else {
            return Ok(());
        };
        let (event, done, trace) = (delivery.event, delivery.recheck, delivery.trace);
        let scheduling = recheck.schedule(P::CATEGORY, event, report.steps(), cause, done, trace);
        let until = Instant::now() + SENDING;
        let scheduled = within(until, "sqs:SendMessage", Box::pin(scheduling)).await;
        if let Err(error) = &scheduled {
            report.next_steps.push(format!(
                "check whether the containment is still in effect, and in 15 minutes CloudTrail: the \
                 recheck could not be scheduled: {error}"
            ));
        }
        scheduled
    }

    /// Records the report. Answers what the record showed before.
    async fn conclude_record(
        &self,
        delivery: &Delivery<'_>,
        containment: &mut Containment,
        times: Times,
    ) -> Result<Option<Recorded>> {
        let Some(record) = &self.record else {
            return Ok(None);
        };
        let Containment {
            report,
            post_evidence,
            ..
        } = containment;
        let (finding, event, now) = (delivery.finding, delivery.event, delivery.now());
        let concluding = record.conclude(finding, event, report, post_evidence, times, now);
        let until = Instant::now() + WRITING;
        let recorded = within(until, RECORDING, Box::pin(concluding)).await?;
        report.stands = recorded.kept && report.status() != Status::AlreadyContained;
        if recorded.undone {
            report.tell_undone(NOT_DONE_AGAIN);
        } else if recorded.undoing_untold && !report.undone() {
            report.tell_undone(DONE_AGAIN_BEFORE);
        }
        Ok(Some(recorded))
    }

    /// Stores the page of the incident where there is a place for it, and it shows something new.
    async fn store_page(
        &self,
        delivery: &Delivery<'_>,
        containment: &mut Containment,
        before: Option<&Recorded>,
        times: Times,
    ) -> Result<()> {
        let Some(evidence) = &self.evidence else {
            return Ok(());
        };
        let Containment {
            report,
            post_evidence,
            breaker_alert,
            ..
        } = containment;
        let now = delivery.now();
        let news = should_send(Channel::Text, before, report, *breaker_alert, now);
        let recorded = before.map(|before| &*before.incident);
        if !should_store(report, recorded, news) {
            return Ok(());
        }
        let (finding, event) = (delivery.finding, delivery.event);
        let incident = recorded.map_or_else(
            || {
                let incident = unrecorded(finding, event, report, post_evidence, times, now);
                Cow::Owned(incident)
            },
            Cow::Borrowed,
        );
        let storing =
            self.store_evidence(evidence, delivery, &incident, recorded.is_some(), report);
        Box::pin(storing).await
    }

    /// Sends the report by each channel for which it is news.
    async fn notify(
        &self,
        delivery: &Delivery<'_>,
        containment: &mut Containment,
        before: Option<&Recorded>,
        failures: &mut Failures,
    ) {
        let (report, alert) = (&mut containment.report, containment.breaker_alert);
        let now = delivery.now();
        let mut channels = self.notices.channels(report);
        channels.retain(|channel| should_send(*channel, before, report, alert, now));
        // The operator who runs it by hand knows.
        if self.run_by.is_some() && self.config.topic_arn.is_none() {
            channels.retain(|channel| *channel != Channel::Text);
        }
        if channels.is_empty() {
            return;
        }
        let message = Message {
            report,
            finding: delivery.finding,
            trace: delivery.trace,
            asks_people: !report.drill() && alert != Some(Page::Done),
        };
        let until = delivery.deadline + NOTICES;
        let sent = self.notices.send(&channels, message, until).await;
        for (channel, sent) in &sent {
            if let Err(error) = sent {
                let by = channel.as_str();
                tracing::error!(%error, by, "the notice was not sent");
                let next = format!("{}: {error}", channel.instead());
                report.next_steps.push(next);
                failures.unsent += 1;
                failures.errors.push(error.clone());
            }
        }
        if let Some(record) = self.record.as_ref().filter(|_| before.is_some())
            && let marking =
                Box::pin(record.mark_notified(delivery.finding, report, &sent, delivery.now()))
            && let Err(error) = within(Instant::now() + WRITING, RECORDING, marking).await
        {
            tracing::error!(%error, "people may be notified again");
        }
    }
}

/// The causes for which the target is to be looked at again.
fn cause<P: Playbook>(delivery: &Delivery<'_>, report: &Report, times: Times) -> Cause {
    let finding = delivery.finding;
    let keeps_out = P::kept_out(finding, &recheck::in_effect(report.steps()));
    let contained_now = report.steps().iter().any(StepReport::contained_now);
    Cause {
        stands: is_looked_at_again(report, delivery),
        unread: false,
        newly_contained: contained_now || report.undone(),
        contained_at: times.contained,
        keeps_out: keeps_out.is_some(),
        provisional: report.provisional,
        now: times.received,
    }
}

/// True if someone may undo the containment. Rechecks go on if all of it is in effect, too: an attacker may wait.
fn is_looked_at_again(report: &Report, delivery: &Delivery<'_>) -> bool {
    match report.status() {
        Status::Contained | Status::Partial => true,
        Status::AlreadyContained => delivery.recheck.is_some(),
        _ => false,
    }
}

/// True if the target is looked at again on account of the record.
fn goes_on<P: Playbook>(
    delivery: &Delivery<'_>,
    report: &Report,
    recorded: &Recorded,
    cause: &mut Cause,
) -> bool {
    let recheck = delivery.recheck;
    if report.status() == Status::AlreadyContained {
        // The deny that was found may be taken off by the release of another incident, which does not know of
        // this one until now.
        let mut steps = report.steps().iter();
        cause.stands = steps.any(|step| P::Action::is_shared(step.action())) && !recorded.kept;
    } else if let Some(known) = recheck.and_then(|recheck| recheck.in_effect.as_ref()) {
        // A look that read nothing says nothing of what somebody does before the next one.
        cause.stands = recorded.kept && !report.is_retried;
        cause.unread = cause.stands;
        cause.keeps_out = P::kept_out(delivery.finding, known).is_some();
    }
    cause.stands
}
