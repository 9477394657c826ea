//! Planning with what CloudTrail's event history tells, where a decision rests on it.

use std::time::Duration;

use tokio::time::Instant;

use super::past::Past;
use super::{Authorized, Gate};
use crate::error::Error;
use crate::finding::printable;
use crate::investigate::trail::Trail;
use crate::investigate::{Inquiry, reason};
use crate::playbook::Playbook;
use crate::settings::Settings;

/// How long CloudTrail is waited for, by each of the two questions. It allows an account two look-ups a
/// second, <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// CloudTrail's event history, asked only where a decision rests on it.
#[derive(Clone, Debug)]
pub struct EventHistory {
    trail: Trail,
}

impl EventHistory {
    /// The IAM permissions that asking needs, in the account of the finding.
    pub const PERMISSIONS: &[&str] = &["cloudtrail:LookupEvents"];

    /// What a playbook reads of it: with the same pace, and the same answers.
    pub(crate) fn of<P: Playbook>(playbook: &P) -> Option<Self> {
        let trail = playbook.trail()?.clone();
        Some(Self { trail })
    }

    /// A history that is read through this client.
    #[cfg(test)]
    pub(crate) fn with_client(client: aws_sdk_cloudtrail::Client) -> Self {
        let trail = Trail::of(client, None);
        Self { trail }
    }

    pub(super) fn trail(&self) -> &Trail {
        &self.trail
    }
}

impl<'a> Gate<'a> {
    /// [`Gate::plan`], with what CloudTrail tells of the principal and of the tags, if a policy decides
    /// by it. What it does not tell is absent, and a person is told.
    pub async fn plan_by_history<P: Playbook>(
        &self,
        state: &P::State,
        settings: &Settings,
        history: Option<&EventHistory>,
        until: Instant,
    ) -> Authorized<P::Action> {
        let mut plan = self.plan::<P>(state, settings);
        let asked = self.known.borrow().past.is_some();
        if plan.rests_on_past && !asked {
            Box::pin(self.look_back(history, until)).await;
            plan = self.plan::<P>(state, settings);
        }
        if Box::pin(self.weigh_tags(&plan, history, until)).await {
            plan = self.plan::<P>(state, settings);
        }
        let told = self.known.borrow().told.clone();
        plan.plan.next_steps.extend(told);
        plan
    }

    /// Asks what the principal did before; tells why that is not known, if it is not.
    async fn look_back(&self, history: Option<&EventHistory>, until: Instant) {
        let inquiry = Inquiry {
            finding: self.finding(),
            now: self.situation.now,
            until: until.min(Instant::now() + PATIENCE),
        };
        let asked = match history {
            // A call is recorded in the Region of the finding, wherever the function is.
            Some(history) => {
                let there = history.trail.in_region(&inquiry.finding.region);
                Past::read(&there, &inquiry).await
            }
            None => Err(Error::Refused("CloudTrail is not asked here".to_owned())),
        };
        let why_not = match asked {
            Ok((past, why_not)) => {
                self.knows(past);
                why_not
            }
            Err(error) => {
                self.knows(Past::of_model(self.finding()));
                Some(reason(&error))
            }
        };
        let told = why_not.map(|why_not| {
            format!(
                "find out whether the principal has made such calls before, from the same address, \
                 since policies decide by it: {}",
                printable(&why_not)
            )
        });
        self.known.borrow_mut().told.extend(told);
    }
}
