//! Writing down the end of an attempt: a report that says nothing of the target is not written over a containment
//! that stands.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    AFTERWARDS_LIMIT, DRILL_LASTS, EVENT_LIMIT, PART_LIMIT, RELIES_ON, Recorded, Times, cut,
};
use crate::error::{CallContext, Error, Result};
use crate::finding::{Finding, abridged};
use crate::record::{DRILL_EXPIRES, Record, text};
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

impl Record {
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
    async fn write(
        &self,
        done: &Conclusion<'_>,
        when: When,
    ) -> Result<HashMap<String, AttributeValue>> {
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
        let (more, call) = self.also(done);
        let mut call = call
            .update_expression(format!(
                "SET kind = :kind, received_at = if_not_exists(received_at, :received), updated_at = :now, \
                 concluded_at = if_not_exists(concluded_at, :now), \
                 event = if_not_exists(event, :event), finding_type = :type, account_id = :account, \
                 #region = :region, #status = :status, report = :report, collected = :collected, \
                 version = :version{more}",
            ))
            .expression_attribute_names("#region", "region")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":kind", text("incident"))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":received", text(received.to_string()))
            .expression_attribute_values(":event", text(abridged(event, EVENT_LIMIT).to_string()))
            .expression_attribute_values(":type", text(finding.finding_type.as_str()))
            .expression_attribute_values(":account", text(&finding.account_id))
            .expression_attribute_values(":region", text(&finding.region))
            .expression_attribute_values(":status", text(status.as_str()))
            .expression_attribute_values(":report", text(report.within(PART_LIMIT)))
            .expression_attribute_values(":collected", text(cut(collected)))
            .expression_attribute_values(":version", text(crate::VERSION));
        call = under(call, when);
        self.sent(call).await
    }

    /// Leaves status and report as they are. A status that this attempt wrote over is put back.
    async fn keep(&self, done: &Conclusion<'_>, when: When) -> Result<Recorded> {
        let Conclusion { report, now, .. } = *done;
        let (more, mut call) = self.also(done);
        let mut status = "";
        if let Some(stood) = report.stood {
            status = ", #status = :status";
            call = call
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", text(stood.as_str()));
        }
        let call = call
            .update_expression(format!("SET updated_at = :now{status}{more}"))
            .expression_attribute_values(":now", text(now.to_string()));
        let kept = self.sent(under(call, when)).await?;
        Ok(Recorded {
            kept: true,
            ..Recorded::of(&kept)
        })
    }

    /// The rest of the expression, which is written whatever becomes of status and report.
    fn also(&self, done: &Conclusion<'_>) -> (String, UpdateItemFluentBuilder) {
        let Conclusion {
            finding,
            report,
            times,
            now,
            ..
        } = *done;
        let mut call = self.item(finding, report.category());
        let mut more = String::new();
        for (name, time) in [("decided", times.decided), ("contained", times.contained)] {
            if let Some(time) = time {
                let _ = write!(more, ", {name}_at = if_not_exists({name}_at, :{name})");
                call = call.expression_attribute_values(format!(":{name}"), text(time.to_string()));
            }
        }
        if times.look {
            more.push_str(", looked_at = :now");
        }
        if let Some(after) = report.afterwards() {
            more.push_str(", afterwards = :afterwards");
            let after = text(after.within(AFTERWARDS_LIMIT));
            call = call.expression_attribute_values(":afterwards", after);
        }
        if finding.is_drill() {
            let until = now.saturating_add(DRILL_LASTS).unwrap_or(now).as_second();
            let _ = write!(more, ", {DRILL_EXPIRES} = :until");
            call = call.expression_attribute_values(":until", AttributeValue::N(until.to_string()));
        }
        let _ = write!(more, " REMOVE {RELIES_ON}");
        // No plan about what is contained awaits approval, so that the next one is told.
        if matches!(
            report.status(),
            Status::Contained | Status::AlreadyContained
        ) {
            more.push_str(", awaiting, planned_at, notified_plan, notified_until");
        }
        (more, call)
    }

    /// The item as it is then. Which channel told which status is not touched, so that it is as it was before.
    async fn sent(&self, call: UpdateItemFluentBuilder) -> Result<HashMap<String, AttributeValue>> {
        let written = call.return_values(ReturnValue::AllNew).send().await;
        let written = written.during("dynamodb:UpdateItem", &self.table)?;
        Ok(written.attributes.unwrap_or_default())
    }
}

/// The consequence of an undoing that a dry run found.
pub(crate) const NOT_DONE_AGAIN: &str = "it was not done again, since this is a dry run";

fn under(call: UpdateItemFluentBuilder, when: When) -> UpdateItemFluentBuilder {
    let contained = text(Status::Contained.as_str());
    let named = |call: UpdateItemFluentBuilder| {
        call.expression_attribute_names("#status", "status")
            .expression_attribute_values(":contained", contained)
    };
    let nothing = "attribute_not_exists(#status) OR #status <> :contained AND #status <> :partial";
    let partial = text(Status::Partial.as_str());
    match when {
        When::Always => call,
        When::Contained => named(call).condition_expression("#status = :contained"),
        When::NothingStands => named(call)
            .condition_expression(nothing)
            .expression_attribute_values(":partial", partial),
        When::Idle => named(call)
            .condition_expression(format!("{nothing} AND #status <> :containing"))
            .expression_attribute_values(":partial", partial)
            .expression_attribute_values(":containing", text("containing")),
    }
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
