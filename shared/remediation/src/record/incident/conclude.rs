//! Writing down the end of an attempt: a report without a reading of the target never replaces a containment that is in
//! effect.

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    AFTERWARDS_LIMIT, DRILL_LASTS, EVENT_LIMIT, PART_LIMIT, PLAN, PLAN_NOTIFIED, RELIES_ON,
    Recorded, Times, cut,
};
use crate::error::{Error, Result};
use crate::finding::{Finding, abridged};
use crate::record::write::Write;
use crate::record::{DRILL_EXPIRES, IncidentStore, Item, number, text};
use crate::report::{Report, Status, StepReport};

/// The end of one attempt.
struct Conclusion<'a> {
    finding: &'a Finding,
    event: &'a Value,
    report: &'a Report,
    collected: &'a Value,
    times: Times,
    now: Timestamp,
}

/// In which state of the record something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    /// The record shows a containment of all.
    Contained,
    /// It shows no containment.
    NothingStands,
    /// Nor is another invocation at work.
    Idle,
}

impl IncidentStore {
    /// Writes down what came of a finding. A report that says nothing of the target leaves status and report of
    /// a containment as they are.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn conclude(
        &self,
        finding: &Finding,
        event: &Value,
        report: &Report,
        collected: &Value,
        times: Times,
        now: Timestamp,
    ) -> Result<Recorded> {
        let done = Conclusion {
            finding,
            event,
            report,
            collected,
            times,
            now,
        };
        if finding.is_drill() {
            return Ok(Recorded::of(&self.write(&done, When::Always).await?));
        }
        // A delivery that found nothing to do says nothing new of what was done.
        if report.status() == Status::AlreadyContained {
            return match self.keep(&done, When::Contained).await {
                // An earlier version left the report of a failure there.
                Ok(kept) if !shows_otherwise(&kept.incident.report) => Ok(kept),
                Err(error) if !is_unmet(&error) => Err(error),
                _ => Ok(Recorded::of(&self.write(&done, When::Always).await?)),
            };
        }
        if report.tells_of_target() {
            return Ok(Recorded::of(&self.write(&done, When::Always).await?));
        }
        // The record showed a containment before this attempt wrote down what it was about to do.
        if report.stood.is_some() {
            return self.keep(&done, When::Always).await;
        }
        let when = if report.is_busy() {
            When::Idle
        } else {
            When::NothingStands
        };
        let kept = match self.write(&done, when).await {
            Err(error) if is_unmet(&error) => self.keep(&done, When::Always).await?,
            written => return Ok(Recorded::of(&written?)),
        };
        let stored = kept.incident.report.clone();
        if !finds_undone(report, &stored) {
            return Ok(kept);
        }
        let mut undone = report.clone();
        undone.tell_undone(NOT_DONE_AGAIN);
        let done = Conclusion {
            report: &undone,
            ..done
        };
        let written = self.write(&done, When::Always).await?;
        Ok(Recorded {
            undone: true,
            ..Recorded::of(&written)
        })
    }

    /// Writes status and report.
    async fn write(&self, done: &Conclusion<'_>, when: When) -> Result<Item> {
        let Conclusion {
            finding,
            event,
            report,
            collected,
            times,
            now,
        } = *done;
        let received = times.received.unwrap_or(now);
        let status = match report.status() {
            Status::AlreadyContained if !finding.is_drill() => Status::Contained,
            status => status,
        };
        let write = self
            .also(done)
            .set("kind", "incident")
            .set_once("received_at", received)
            .set_once("concluded_at", now)
            .set_once("event", abridged(event, EVENT_LIMIT))
            .set("finding_type", finding.finding_type.as_str())
            .set("account_id", &finding.account_id)
            .set("#region", &finding.region)
            .set("#status", status.as_str())
            .set("report", report.within(PART_LIMIT))
            .set("collected", cut(collected))
            .set("version", crate::VERSION);
        // Which channel told which status is not touched, so that it is as it was before.
        under(write, when).send_for(ReturnValue::AllNew).await
    }

    /// Leaves status and report as they are. A status that this attempt wrote over is put back.
    async fn keep(&self, done: &Conclusion<'_>, when: When) -> Result<Recorded> {
        let mut write = self.also(done);
        if let Some(stood) = done.report.stood {
            write = write.set("#status", stood.as_str());
        }
        let kept = under(write, when).send_for(ReturnValue::AllNew).await?;
        Ok(Recorded {
            kept: true,
            ..Recorded::of(&kept)
        })
    }

    /// The write whatever the status and report become.
    fn also(&self, done: &Conclusion<'_>) -> Write<'_> {
        let Conclusion {
            finding,
            report,
            times,
            now,
            ..
        } = *done;
        let mut write = self.item(finding, report.category()).set("updated_at", now);
        for (name, time) in [
            ("decided_at", times.decided),
            ("contained_at", times.contained),
        ] {
            if let Some(time) = time {
                write = write.set_once(name, time);
            }
        }
        if times.look {
            write = write.set("looked_at", now);
        }
        if let Some(after) = report.afterwards() {
            write = write.set("afterwards", after.within(AFTERWARDS_LIMIT));
        }
        if finding.is_drill() {
            let until = now.saturating_add(DRILL_LASTS).unwrap_or(now).as_second();
            write = write.set_value(DRILL_EXPIRES, number(until));
        }
        write = write.remove([RELIES_ON]);
        // No plan about what is contained awaits approval, so that the next one is told.
        let contained = [Status::Contained, Status::AlreadyContained];
        if contained.contains(&report.status()) {
            write = write.remove(PLAN).remove(PLAN_NOTIFIED);
        }
        write
    }
}

/// The consequence of an undoing that a dry run found.
pub(crate) const NOT_DONE_AGAIN: &str = "it was not done again, since this is a dry run";

fn under(write: Write<'_>, when: When) -> Write<'_> {
    let nothing = "attribute_not_exists(#status) OR #status <> :contained AND #status <> :partial";
    let (condition, statuses): (_, &[_]) = match when {
        When::Always => return write,
        When::Contained => ("#status = :contained".to_owned(), &["contained"]),
        When::NothingStands => (nothing.to_owned(), &["contained", "partial"]),
        When::Idle => (
            format!("{nothing} AND #status <> :containing"),
            &["contained", "partial", "containing"],
        ),
    };
    let write = write.when(condition).name("#status", "status");
    statuses.iter().fold(write, |write, status| {
        write.value(&format!(":{status}"), text(*status))
    })
}

fn is_unmet(error: &Error) -> bool {
    error.has_code("ConditionalCheckFailedException")
}

/// True if the stored report is not that of a containment.
fn shows_otherwise(report: &Value) -> bool {
    let contained = [Status::Contained, Status::AlreadyContained].map(Status::as_str);
    let status = report["status"].as_str();
    status.is_some_and(|status| !contained.contains(&status))
}

/// True if a dry run read that something is not in effect that the `stored` report shows in effect.
fn finds_undone(report: &Report, stored: &Value) -> bool {
    let stood: Vec<_> = model::incident::in_effect(stored).collect();
    let mut open = report.steps().iter().filter(|step| step.is_still_open());
    report.read && open.any(|step: &StepReport| stood.contains(&step.key()))
}
