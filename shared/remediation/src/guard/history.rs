//! Planning with what CloudTrail's event history tells, where a decision rests on it.

use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use super::past::Past;
use super::tags::TagHistory;
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
#[derive(Debug)]
pub struct EventHistory {
    tags: TagHistory,
    calls: Trail,
}

impl EventHistory {
    /// The IAM permissions that asking needs, in the account of the finding.
    pub const PERMISSIONS: &[&str] = &["cloudtrail:LookupEvents"];

    /// A history that is read with these settings: of tags in the Region of each resource, of calls in
    /// that of the settings, or of IAM.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            tags: TagHistory::new(sdk),
            calls: Trail::new(sdk),
        }
    }

    /// A history that is read through this client.
    #[cfg(test)]
    pub(crate) fn with_client(client: aws_sdk_cloudtrail::Client) -> Self {
        Self {
            tags: TagHistory::with_client(client.clone()),
            calls: Trail::of(client, None),
        }
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
        let tags = history.map(|history| &history.tags);
        if Box::pin(self.weigh_tags(&plan, tags, until)).await {
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
            Some(history) => Past::read(&history.calls, &inquiry).await,
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
