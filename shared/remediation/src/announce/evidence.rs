//! The page of an incident, kept as evidence.

use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::within;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::evidence::Evidence;
use crate::page::{self, Place};
use crate::record::Incident;
use crate::report::Report;
use crate::responder::Responder;
use crate::undo;
use aws::playbook::Playbook;

/// How long the page of an incident may take to be stored: well within what is reserved, so that time is left
/// for the notices.
const STORING: Duration = Duration::from_secs(4);

impl<P: Playbook> Responder<P> {
    /// Stores the page of the incident before the notices, so that they name its place. It is given little time: the
    /// notice waits for it.
    pub(super) async fn store_evidence(
        &self,
        evidence: &Evidence,
        delivery: &Delivery<'_>,
        incident: &Incident,
        recorded: bool,
        report: &mut Report,
    ) -> Result<()> {
        let record = self.record.as_ref().filter(|_| recorded);
        let place = record.map(|record| Place {
            table: record.table(),
            policy_parameter: self.config.policy_parameter.as_deref(),
        });
        let (actions, now) = (undo::recorded::<P>(incident), delivery.now());
        let page = page::incident(incident, &actions, place, now);
        let storing = evidence.store(incident, page, now);
        let until = (Instant::now() + STORING).min(delivery.deadline + STORING);
        match within(until, "s3:PutObject", Box::pin(storing)).await {
            Ok(stored) => {
                if let Some(record) = record
                    && let Err(error) = record
                        .mark_stored(P::CATEGORY, delivery.finding, &stored)
                        .await
                {
                    tracing::error!(%error, place = stored.place(), "not recorded where the page is");
                }
                report.stored = Some(stored);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the page of the incident was not stored");
                report.next_steps.push(format!(
                    "keep the page of the incident yourself (gdr incident {} --html), which was not \
                     stored: {error}",
                    delivery.finding.id
                ));
                Err(error)
            }
        }
    }
}
