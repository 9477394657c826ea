//! The principal's events before a time, as far as CloudTrail tells.

use jiff::{SignedDuration, Timestamp};

use super::activity::PrincipalEvents;
use super::event::CloudTrailEvent;
use super::event_history::{EventHistory, History, Lookup, MOST_PAGES};
use crate::error::Error;
use crate::inquiry::Inquiry;
use model::finding::{ApiCall, Finding, Principal};

/// Services without Regions of their own, whose events are where those of IAM are.
const GLOBAL: [&str; 4] = ["iam", "cloudfront", "organizations", "route53"];

/// The principal's events before a time, newest first.
#[derive(Default)]
pub struct PriorEvents {
    /// The events that were read.
    pub records: Vec<CloudTrailEvent>,
    /// Whether there are older ones that were not read.
    pub cut: bool,
    /// Why not all were read.
    pub failed: Option<Error>,
}

impl PriorEvents {
    /// Asks by the access key first, which is exact; then by the name of the user or session, unless what
    /// is looked for (`enough`) was among those.
    pub async fn read(
        trail: &EventHistory,
        history: History,
        inquiry: &Inquiry<'_>,
        principal: &Principal,
        time: Timestamp,
        enough: impl Fn(&CloudTrailEvent) -> bool,
    ) -> Self {
        let mut before = Self::default();
        for deeds in looks(inquiry.finding, principal) {
            if before.records.iter().any(&enough) {
                break;
            }
            let lookup = Lookup {
                history,
                attribute: deeds.attribute,
                value: deeds.value.clone(),
                since: None,
                // Whole seconds are asked for, and the events must be older than the time.
                until: time.checked_sub(SignedDuration::from_secs(1)).ok(),
                pages: MOST_PAGES,
            };
            match inquiry.within(trail.events(lookup)).await {
                Ok(events) => {
                    let older = |record: &CloudTrailEvent| record.at().is_some_and(|at| at < time);
                    let mut records = events.records;
                    records.retain(|record| deeds.has(record) && older(record));
                    before.add(records);
                    before.cut |= events.cut;
                }
                Err(error) => before.failed = Some(error),
            }
        }
        before
    }

    /// Both looks find what was called with the key.
    fn add(&mut self, records: Vec<CloudTrailEvent>) {
        for record in records {
            let known = |other: &CloudTrailEvent| other.id().is_some() && other.id() == record.id();
            if !self.records.iter().any(known) {
                self.records.push(record);
            }
        }
    }
}

/// By what the principal's events are found.
pub(crate) fn looks(finding: &Finding, principal: &Principal) -> Vec<PrincipalEvents> {
    [
        PrincipalEvents::by_key(finding),
        PrincipalEvents::by_name(principal),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The event history that records such a call.
pub fn history_of(trail: &EventHistory, call: Option<&ApiCall>) -> History {
    let service = call.and_then(|call| call.service.as_deref());
    let service = service.and_then(|service| service.split('.').next());
    if service.is_some_and(|service| GLOBAL.contains(&service)) {
        trail.of_iam()
    } else {
        History::Regional
    }
}
