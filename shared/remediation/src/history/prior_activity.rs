//! Whether the principal has made the call of the finding before, and from where.
//!
//! Only where a policy decides by it is CloudTrail asked, so that it holds up nothing else.

use jiff::SignedDuration;

use crate::cloudtrail::data_events::is_data_event;
use crate::cloudtrail::event::CloudTrailEvent;
use crate::cloudtrail::event_history::EventHistory;
use crate::cloudtrail::prior_events::{PriorEvents, history_of};
use crate::cloudtrail::tag_age::began;
use crate::error::{Error, Result};
use crate::finding::ApiCall;
use crate::inquiry::Inquiry;
use crate::investigation::reason;
use policy::PriorActivity;

/// How much older than the first event a call must be, to tell of the principal and not of an intruder: GuardDuty's
/// first finding is seldom the first activity.
const APART: SignedDuration = SignedDuration::from_hours(24);

/// CloudTrail's evidence; and why that is not all, if it is not.
///
/// # Errors
/// If the finding does not say what to ask for.
pub(super) async fn read(
    trail: &EventHistory,
    inquiry: &Inquiry<'_>,
) -> Result<(PriorActivity, Option<String>)> {
    let finding = inquiry.finding;
    let principal = finding.principal()?;
    let time = began(finding)?
        .checked_sub(APART)
        .map_err(|error| Error::Refused(error.to_string()))?;
    let query = ActivityQuery {
        call: finding.api_call(),
        address: finding.remote_address(),
        model: PriorActivity::of_model(finding),
    };
    let history = history_of(trail, query.call.as_ref());
    let enough = |record: &_| query.is_call(record) && query.is_there(record);
    let before = PriorEvents::read(trail, history, inquiry, &principal, time, enough).await;
    Ok(query.among(&before))
}

/// The query for the principal's events.
struct ActivityQuery {
    call: Option<ApiCall>,
    address: Option<String>,
    /// The anomaly model's answer about it.
    model: PriorActivity,
}

impl ActivityQuery {
    /// A refused call is no activity of the principal.
    fn is_call(&self, record: &CloudTrailEvent) -> bool {
        let call = self.call.as_ref();
        record.succeeded() && call.is_some_and(|call| record.is_of(call))
    }

    fn is_there(&self, record: &CloudTrailEvent) -> bool {
        record.succeeded() && self.address.is_some() && record.address() == self.address.as_deref()
    }

    /// Why `before` cannot have all calls of the finding's API.
    fn unrecorded(&self) -> Option<String> {
        let Some(ApiCall { api, service, .. }) = &self.call else {
            return Some("the finding is not about a call of an API".to_owned());
        };
        let service = service.as_deref().unwrap_or_default();
        is_data_event(service, api).then(|| {
            format!("{api} is a data event, which CloudTrail's event history does not have")
        })
    }

    fn among(&self, before: &PriorEvents) -> (PriorActivity, Option<String>) {
        let incomplete = match &before.failed {
            Some(error) => Some(reason(error)),
            None if before.cut => Some("there are older events than were read".to_owned()),
            None if before.records.is_empty() => Some("CloudTrail has no event of it".to_owned()),
            None => None,
        };
        let addressless = self.address.is_none();
        let addressless = addressless.then(|| "the finding has no remote address".to_owned());
        let of_call = incomplete.clone().or(self.unrecorded());
        let of_address = incomplete.or(addressless);
        let of_both = of_call.clone().or(of_address.clone());
        let any = |query: &dyn Fn(&CloudTrailEvent) -> bool, why_not: &Option<String>| {
            let found = before.records.iter().any(query);
            (found || why_not.is_none()).then_some(found)
        };
        let activity = PriorActivity {
            called: any(&|record| self.is_call(record), &of_call),
            seen_there: any(&|record| self.is_there(record), &of_address),
            called_from_there: any(
                &|record| self.is_call(record) && self.is_there(record),
                &of_both,
            ),
        }
        .or(self.model);
        let complete = activity.members().count() == 3;
        (activity, of_both.filter(|_| !complete))
    }
}
