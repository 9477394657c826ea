//! Rejecting a plan that awaits approval.

use jiff::Timestamp;

use crate::error::Result;
use crate::finding::Finding;
use crate::notify::Notices;
use crate::record::{Incident, IncidentStore};
use crate::report::Report;

/// Rejects the plan of `incident`, and tells so by all that the function tells by. Answers the channels that failed,
/// each with what to do instead.
///
/// # Errors
/// If the incident has no plan, or another one since it was read; or if the table cannot be written. Nothing was
/// rejected then.
pub async fn reject(
    record: &IncidentStore,
    notices: Option<&Notices>,
    incident: &Incident,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<String>> {
    record.reject(incident, by, reason, now).await?;
    let Some(notices) = notices else {
        return Ok(Vec::new());
    };
    let told = incident.known_category().and_then(|category| {
        let finding = Finding::parse(&incident.event)?;
        Ok((Report::rejected(category, &finding, by, reason), finding))
    });
    Ok(match told {
        Ok((mut report, finding)) => {
            Box::pin(notices.announce(&mut report, &finding)).await;
            report.next_steps
        }
        Err(error) => vec![format!(
            "tell everybody who waits for an answer, since no notice of the rejection was sent: {error}"
        )],
    })
}
