//! The report as an event on the default bus, for any other tool.
//!
//! No rule of the stack takes it: they take findings, from GuardDuty and from drills. The report of a drill has a
//! detail type of its own. Anybody who may put events can send a drill, and no tool must take it for real.
//! A report that asks for people has an alert.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::Value;

use super::{DETAIL_TYPE, Message};
use crate::error::{CallContext, CallError, Error, Result};

/// The source of the events.
pub const SOURCE: &str = "guardduty-responder";
/// The detail type of what came of a drill.
pub const DRILL_DETAIL_TYPE: &str = "GuardDuty Response Drill";

/// An entry has at most 256 KB in every Region, with its source, detail type and resources,
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/calculate-putevents-entry-size.html>. A cut event says so
/// itself.
const DETAIL_LIMIT: usize = 250 * 1024;
/// The part of it that the alert may take.
const ALERT_LIMIT: usize = 10 * 1024;

/// Puts the report on the bus. Answers the event's id.
pub(super) async fn put(client: &Client, message: Message<'_>) -> Result<String> {
    const OPERATION: &str = "events:PutEvents";
    const BUS: &str = "the default event bus";
    let Message { report, trace, .. } = message;
    let detail_type = if report.drill() {
        DRILL_DETAIL_TYPE
    } else {
        DETAIL_TYPE
    };
    let entry = PutEventsRequestEntry::builder()
        .source(SOURCE)
        .detail_type(detail_type)
        .detail(detail(message))
        .set_trace_header(trace.map(|trace| trace.header().to_owned()))
        .build();
    let answer = client.put_events().entries(entry).send().await;
    let answer = answer.during(OPERATION, BUS)?;
    // The call succeeds also where its entry does not.
    let failed = answer.entries().iter().find_map(|entry| {
        let code = entry.error_code()?;
        let message = entry.error_message().unwrap_or_default();
        Some(CallError::within_answer(OPERATION, BUS, code, message))
    });
    match failed {
        Some(error) => Err(error.into()),
        None if answer.failed_entry_count() > 0 => Err(Error::Refused(
            "events:PutEvents took no entry and gave no reason".to_owned(),
        )),
        None => Ok(answer
            .entries()
            .first()
            .and_then(|entry| entry.event_id())
            .unwrap_or_default()
            .to_owned()),
    }
}

/// The report, with its alert where people are asked for.
fn detail(message: Message<'_>) -> String {
    let report = message.report.within(DETAIL_LIMIT - ALERT_LIMIT);
    match serde_json::from_str::<Value>(&report) {
        Ok(mut detail) if message.asks_people => {
            detail["alert"] = render::alert::alert(message.report);
            detail.to_string()
        }
        _ => report,
    }
}
