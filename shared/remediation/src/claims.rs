//! The claims on the targets of a finding: one invocation acts on a target at a time.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::category::Category;
use crate::deadline::within;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::record::{Claim, IncidentStore, Lease, TargetState};
use crate::standing::Standing;

/// How long a claim lasts after the deadline of its delivery, if it is not ended: no longer than an invocation can
/// take.
const LASTS_AFTER: Duration = Duration::from_secs(10);

/// How long after the deadline of the delivery the last claim is ended.
const ENDED_WITHIN: Duration = Duration::from_secs(9);

/// The claims of one delivery.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) held: Vec<Claim>,
    /// The targets that other invocations are at work on.
    pub(crate) busy: Vec<String>,
    /// Why other targets could not be claimed.
    pub(crate) unrecorded: Option<Error>,
}

impl Claims {
    /// Claims these targets at the same time, so that all together take no longer than one. Nobody waits long for
    /// another while holding what a third one waits for: targets that are not free then are postponed.
    pub(crate) async fn claim(
        &mut self,
        record: &IncidentStore,
        category: Category,
        delivery: &Delivery<'_>,
        targets: Result<Vec<String>>,
    ) {
        let targets = targets.unwrap_or_else(|error| {
            self.unrecorded.get_or_insert(error);
            Vec::new()
        });
        let (now, finding) = (Instant::now(), delivery.finding);
        let lease = Lease {
            owner: delivery.invocation,
            now: delivery.received_at(),
            lasts: delivery.deadline.saturating_duration_since(now) + LASTS_AFTER,
            until: delivery.deadline.min(now + delivery.claim_wait),
        };
        let claiming = targets.iter();
        let claiming =
            claiming.map(|target| Box::pin(record.claim(category, finding, target, &lease)));
        for done in join_all(claiming).await {
            match done {
                Ok(claim) => self.held.push(claim),
                Err(Error::Busy { target }) => self.busy.push(target),
                Err(error) => {
                    self.unrecorded.get_or_insert(error);
                }
            }
        }
    }

    /// Refuses to go on if a target was not claimed.
    ///
    /// # Errors
    /// Why it was not.
    pub(crate) fn all(&self) -> Result<()> {
        let busy = self.busy.first().cloned();
        let busy = busy.map(|target| Error::Busy { target });
        match self.unrecorded.clone().or(busy) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Leaves those targets alone that were released, and of which nothing was `seen` since.
    pub(crate) fn respect_releases(&mut self, seen: Option<Timestamp>) {
        for claim in &mut self.held {
            claim.leave_unless(seen);
        }
    }

    /// True if another invocation was waited for, so that what was read before is stale.
    pub(crate) fn waited(&self) -> bool {
        self.held.iter().any(|claim| claim.waited)
    }

    /// True if all targets are contained by the record.
    pub(crate) fn all_stand(&self) -> bool {
        !self.held.is_empty() && self.held.iter().all(|claim| claim.stands().is_some())
    }

    /// The longest time that the table took to answer.
    pub(crate) fn took(&self) -> Duration {
        let took = self.held.iter().map(|claim| claim.took).max();
        took.unwrap_or_default()
    }

    /// Ends the claims, each with what became of its target. `again`: a message of the finding is to come,
    /// although nothing contains the target.
    pub(crate) async fn end(
        &self,
        record: &IncidentStore,
        delivery: &Delivery<'_>,
        again: bool,
        outcome: impl Fn(&Claim) -> Option<(TargetState, Standing)>,
    ) {
        let ending = self.held.iter().map(async |claim| {
            let ending = record.end_claim(claim, outcome(claim), again, delivery.now());
            let until = delivery.deadline + ENDED_WITHIN;
            if let Err(error) = within(until, "dynamodb:UpdateItem", Box::pin(ending)).await {
                tracing::error!(%error, "the claim on a target was not given back and ends by its time");
            }
        });
        join_all(ending.map(Box::pin)).await;
    }
}
