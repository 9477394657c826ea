//! What comes after the containment: the record, the notices, the next look.

use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::Responder;
use super::keep::keeps;
use crate::breaker::Page;
use crate::catalogue::Category;
use crate::contain::Incoming;
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::metrics;
use crate::notify::security_hub::{Update, Updated};
use crate::notify::{Channel, Message};
use crate::playbook::Playbook;
use crate::recheck::{self, Cause, Look};
use crate::record::{Incident, NOT_DONE_AGAIN, Recorded, Times};
use crate::report::{Report, Status, StepReport};

/// How much of the reserve notices may take; the rest is for the claims and the line in the log.
const NOTICES: Duration = Duration::from_secs(6);

/// How long sending for the next look and each write of the record may take: a table that hangs must not cost
/// the notice.
const SENDING: Duration = Duration::from_millis(1_500);
const WRITING: Duration = Duration::from_secs(2);
const RECORDING: &str = "dynamodb:UpdateItem";

/// What came of an undoing that an earlier attempt found.
const DONE_AGAIN_BEFORE: &str = "an earlier attempt found it, which told nobody";

/// What failed of telling.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub(super) errors: Vec<Error>,
    /// How many notices could not be sent.
    pub(super) unsent: usize,
}

impl<P: Playbook> Responder<P> {
    /// Records the report, keeps its page, tells it where it is news, and has the containment looked at again.
    /// Returns what failed, which the report then says too.
    pub(super) async fn tell(
        &self,
        incoming: &Incoming<'_>,
        report: &mut Report,
        collected: &Value,
        times: Times,
        refused: Option<Page>,
    ) -> Failures {
        let Incoming {
            event,
            finding,
            look,
            trace,
            ..
        } = *incoming;
        let mut failures = Failures::default();
        let mut cause = cause::<P>(finding, report, look, times, incoming.now);
        let scheduled = self.look_again(incoming, report, &cause).await;
        failures.errors.extend(scheduled.err());
        if cause.provisional && self.recheck.is_none() {
            report.next_steps.push(
                "look in 15 minutes whether CloudTrail shows that the mark was set just now: this function \
                 looks at nothing again (RECHECK_QUEUE_URL is not set)"
                    .to_owned(),
            );
        }
        let mut before = None;
        if let Some(record) = &self.record {
            let now = incoming.clock();
            let concluding = record.conclude(finding, event, report, collected, times, now);
            let concluding = Box::pin(concluding);
            match within(Instant::now() + WRITING, RECORDING, concluding).await {
                Ok(recorded) => {
                    report.stands = recorded.kept && report.status() != Status::AlreadyContained;
                    if recorded.undone {
                        report.tell_undone(NOT_DONE_AGAIN);
                    } else if recorded.undoing_untold && !report.undone() {
                        report.tell_undone(DONE_AGAIN_BEFORE);
                    }
                    if !cause.stands && goes_on::<P>(finding, report, look, &recorded, &mut cause) {
                        let scheduled = self.look_again(incoming, report, &cause).await;
                        failures.errors.extend(scheduled.err());
                    }
                    before = Some(recorded);
                }
                Err(error) => {
                    tracing::error!(%error, "not recorded: the line of the report is the record");
                    report.next_steps.push(format!(
                        "keep the log: the incident was not recorded: {error}"
                    ));
                    failures.errors.push(error);
                }
            }
        }
        let now = incoming.clock();
        if let Some(evidence) = &self.evidence {
            let news = is_due(Channel::Text, before.as_ref(), report, refused, now);
            let recorded = before.as_ref().map(|before| &*before.incident);
            if keeps(report, recorded, news) {
                let incident = match recorded {
                    Some(incident) => Cow::Borrowed(incident),
                    None => Cow::Owned(Incident::unrecorded(
                        finding, event, report, collected, times, now,
                    )),
                };
                let kept = self.keep(evidence, incoming, &incident, recorded.is_some(), report);
                failures.errors.extend(Box::pin(kept).await.err());
            }
        }
        let mut channels = self.notices.channels(report);
        channels.retain(|channel| is_due(*channel, before.as_ref(), report, refused, now));
        // A person who runs it by hand knows.
        if self.run_by.is_some() && self.config.topic_arn.is_none() {
            channels.retain(|channel| *channel != Channel::Text);
        }
        if channels.is_empty() {
            return failures;
        }
        let message = Message {
            report,
            finding,
            trace,
        };
        let until = incoming.until + NOTICES;
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
                Box::pin(record.mark_notified(finding, report, &sent, incoming.clock()))
            && let Err(error) = within(Instant::now() + WRITING, RECORDING, marking).await
        {
            tracing::error!(%error, "people may be notified again");
        }
        failures
    }

    /// Has the target looked at again, if there is a cause.
    async fn look_again(
        &self,
        incoming: &Incoming<'_>,
        report: &mut Report,
        cause: &Cause,
    ) -> Result<()> {
        let Incoming {
            event, look, trace, ..
        } = *incoming;
        let Some(recheck) = &self.recheck else {
            return Ok(());
        };
        let scheduling = recheck.schedule(P::CATEGORY, event, report.steps(), cause, look, trace);
        let until = Instant::now() + SENDING;
        let scheduled = within(until, "sqs:SendMessage", Box::pin(scheduling)).await;
        if let Err(error) = &scheduled {
            report.next_steps.push(format!(
                "look again whether the containment stands, and in 15 minutes at what CloudTrail shows: {error}"
            ));
        }
        scheduled
    }

    /// Tells Security Hub what an invocation before left for it.
    ///
    /// # Errors
    /// If a later attempt may do it, so that the queue gives it again.
    pub async fn update(&self, update: &Update, now: Timestamp) -> Result<Updated> {
        // The category is a constant, so that no other function has the code.
        let done = match &self.security_hub {
            Some(hub) if P::CATEGORY == Category::Triage => {
                Box::pin(hub.update(update, self.record.as_ref())).await
            }
            _ => Err(Error::Refused(
                "only triage updates Security Hub".to_owned(),
            )),
        };
        let Err(error) = done else {
            return Ok(Updated::new(update, None));
        };
        if error.is_transient() && !update.is_last() {
            return Err(error);
        }
        tracing::error!(%error, "Security Hub was not updated");
        let told = format!("{}: {error}", Channel::SecurityHub.instead());
        if let Some(namespace) = &self.config.metrics_namespace {
            let line = metrics::notice_failed(&told, namespace, now);
            if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
                tracing::error!(%error, line, "the metric could not be written to standard output");
            }
        }
        Ok(Updated::new(update, Some(told)))
    }
}

/// Why the target is to be looked at again.
fn cause<P: Playbook>(
    finding: &Finding,
    report: &Report,
    look: Option<&Look>,
    times: Times,
    now: Timestamp,
) -> Cause {
    let keeps_out = P::kept_out(finding, &recheck::in_effect(report.steps()));
    let contained_now = report.steps().iter().any(StepReport::contained_now);
    Cause {
        stands: is_looked_at_again(report, look),
        unread: false,
        anew: contained_now || report.undone(),
        contained_at: times.contained,
        keeps_out: keeps_out.is_some(),
        provisional: report.provisional,
        now: Some(now),
    }
}

/// Whether someone may undo what was contained. A look goes on also where it found all of it standing: an
/// attacker may wait.
fn is_looked_at_again(report: &Report, look: Option<&Look>) -> bool {
    match report.status() {
        Status::Contained | Status::Partial => true,
        Status::AlreadyContained => look.is_some(),
        _ => false,
    }
}

/// Whether the target is looked at again on account of what the record says.
fn goes_on<P: Playbook>(
    finding: &Finding,
    report: &Report,
    look: Option<&Look>,
    recorded: &Recorded,
    cause: &mut Cause,
) -> bool {
    if report.status() == Status::AlreadyContained {
        // The deny that was found may be taken off by the release of another incident, which does not know of
        // this one until now.
        cause.stands = P::CATEGORY == Category::Iam && !recorded.kept;
    } else if let Some(known) = look.and_then(|look| look.in_effect.as_ref()) {
        // A look that read nothing says nothing of what somebody does before the next one.
        cause.stands = recorded.kept && !report.is_retried;
        cause.unread = cause.stands;
        cause.keeps_out = P::kept_out(finding, known).is_some();
    }
    cause.stands
}

/// Whether `report` is to be told by `channel`. `before`: what was recorded of the incident, if it could
/// be.
fn is_due(
    channel: Channel,
    before: Option<&Recorded>,
    report: &Report,
    refused: Option<Page>,
    now: Timestamp,
) -> bool {
    match refused.filter(|_| channel.is_for_people()) {
        Some(Page::Due) => return true,
        Some(Page::Done) => return false,
        Some(Page::AsUsual) | None => {}
    }
    let news = before.is_none_or(|before| is_news(channel, before, report, now));
    news && report.status() != Status::Ignored
}

/// Each status is told once, not once of each delivery; so is what is contained once more, and a plan that can be
/// approved, unless it is the one that is known and can be approved still.
///
/// Where the record shows a containment and nothing that was read says otherwise, only this is told: that the
/// target cannot be read and no attempt follows; and what a dry run would contain beside it.
fn is_news(channel: Channel, before: &Recorded, report: &Report, now: Timestamp) -> bool {
    let told = before.notified.get(&channel).map(String::as_str);
    let unknown = |approval| !before.told_of(approval, now);
    let contained = [
        Status::Contained.as_str(),
        Status::AlreadyContained.as_str(),
    ];
    let again = told == Some(report.status().as_str());
    let still = report.status() == Status::AlreadyContained
        && told.is_some_and(|told| contained.contains(&told));
    // An attempt died that had begun to contain the target once more, and told nobody.
    let still = still && before.kept;
    let unread = matches!(report.status(), Status::Failed | Status::Partial) && !report.is_retried;
    let worth_telling = match report.status() {
        Status::Notified | Status::Failed | Status::Partial | Status::DryRun if before.kept => {
            unread || report.steps().iter().any(StepReport::would_contain)
        }
        _ => true,
    };
    let anew = report.undone() || report.anew;
    anew || report.approval().is_some_and(unknown) || (worth_telling && !(again || still))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{finding, now};
    use serde_json::json;

    fn told(of: &[(Channel, Status)]) -> Recorded {
        Recorded {
            incident: Box::default(),
            notified: of
                .iter()
                .map(|(channel, status)| (*channel, status.as_str().to_owned()))
                .collect(),
            plan: None,
            kept: false,
            undone: false,
            undoing_untold: false,
        }
    }

    fn due(before: Option<&Recorded>, report: &Report, refused: Option<Page>) -> Vec<Channel> {
        let mut channels = Channel::ALL.to_vec();
        channels.retain(|channel| is_due(*channel, before, report, refused, now()));
        channels
    }

    #[test]
    fn a_status_is_told_once_by_each_channel() {
        let finding = finding(json!({}));
        let report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        assert_eq!(due(None, &report, None), Channel::ALL);
        let before = told(&[
            (Channel::Text, Status::Notified),
            (Channel::Chat, Status::Failed),
        ]);
        let open = [Channel::Chat, Channel::Event, Channel::SecurityHub];
        assert_eq!(due(Some(&before), &report, None), open);
        let ignored = Report::ignored(Category::Ec2, &finding, "why".to_owned(), false);
        assert_eq!(due(None, &ignored, None), []);
    }

    #[test]
    fn what_the_breaker_withholds_is_told_to_people_once_and_to_tools_each_time() {
        let finding = finding(json!({}));
        let report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        assert_eq!(due(None, &report, Some(Page::Done)), [Channel::Event]);
        let before = told(&Channel::ALL.map(|channel| (channel, Status::Notified)));
        let people = [Channel::Text, Channel::Chat, Channel::SecurityHub];
        assert_eq!(due(Some(&before), &report, Some(Page::Due)), people);
        assert_eq!(due(Some(&before), &report, Some(Page::AsUsual)), []);
    }

    #[test]
    fn that_someone_undid_a_containment_is_news_to_all() {
        let finding = finding(json!({}));
        let mut report = Report::notified(Category::Ec2, &finding, "why".to_owned(), false);
        report.undone = true;
        let before = told(&Channel::ALL.map(|channel| (channel, Status::Notified)));
        assert_eq!(due(Some(&before), &report, None), Channel::ALL);
    }
}
