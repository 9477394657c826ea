//! The report as an event on the default bus, for any other tool.
//!
//! No rule of the stack takes it: they take findings, from GuardDuty and from drills. The report of a drill has a
//! detail type of its own. Anybody who may put events can send a drill, and no tool must take it for real.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

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

/// Puts the report on the bus.
pub(super) async fn put(client: &Client, message: Message<'_>) -> Result<()> {
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
        .detail(report.within(DETAIL_LIMIT))
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
        None => Ok(()),
    }
}
