//! Whether the principal has made the call of the finding before, and from where.
//!
//! Only where a policy decides by it is CloudTrail asked, so that it holds up nothing else.

use jiff::SignedDuration;

use crate::error::{Error, Result};
use crate::finding::{ApiCall, Finding, Frequency};
use crate::investigate::before::{Before, history_of};
use crate::investigate::data_events::is_data_event;
use crate::investigate::record::Record;
use crate::investigate::trail::Trail;
use crate::investigate::{Inquiry, reason};

/// How much older than the first event a call must be, to tell of the principal and not of an intruder:
/// what GuardDuty finds first is seldom what was done first.
const APART: SignedDuration = SignedDuration::from_hours(24);

/// What is known of the principal's calls before the activity. `None`: it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    called: Option<bool>,
    seen_there: Option<bool>,
    called_from_there: Option<bool>,
}

impl Past {
    /// Nothing is known.
    pub(super) const UNKNOWN: Self = Self {
        called: None,
        seen_there: None,
        called_from_there: None,
    };

    /// What there may turn out to be, the unknown last.
    pub(super) const POSSIBLE: [Self; 6] = [
        Self::known(true, true, true),
        Self::known(true, true, false),
        Self::known(true, false, false),
        Self::known(false, true, false),
        Self::known(false, false, false),
        Self::UNKNOWN,
    ];

    pub(super) const fn known(called: bool, seen_there: bool, called_from_there: bool) -> Self {
        Self {
            called: Some(called),
            seen_there: Some(seen_there),
            called_from_there: Some(called_from_there),
        }
    }

    /// What CloudTrail shows; and why that is not all, if it is not.
    ///
    /// # Errors
    /// If the finding does not say what to ask for.
    pub(super) async fn read(
        trail: &Trail,
        inquiry: &Inquiry<'_>,
    ) -> Result<(Self, Option<String>)> {
        let finding = inquiry.finding;
        let principal = finding.principal()?;
        let began = finding.first_seen().ok_or_else(|| {
            Error::Refused("the finding does not say when the activity began".to_owned())
        })?;
        let time = began
            .checked_sub(APART)
            .map_err(|error| Error::Refused(error.to_string()))?;
        let sought = Sought {
            call: finding.api_call(),
            address: finding.remote_address(),
            model: Self::of_model(finding),
        };
        let history = history_of(trail, sought.call.as_ref());
        let enough = |record: &_| sought.is_call(record) && sought.is_there(record);
        let before = Before::read(trail, history, inquiry, &principal, time, enough).await;
        Ok(sought.among(&before))
    }

    /// That the principal never did so, as far as the finding says what GuardDuty's anomaly model has seen.
    /// That it did is no answer: the model may have learned from the intruder.
    pub(super) fn of_model(finding: &Finding) -> Self {
        let never = |seen: Option<Frequency>| (seen == Some(Frequency::Unseen)).then_some(false);
        let model = Self {
            called: never(finding.api_was_seen()),
            seen_there: never(finding.network_was_seen()),
            called_from_there: None,
        };
        Self::UNKNOWN.or(model)
    }

    /// What CloudTrail shows, and where it does not tell what the model says.
    fn or(self, model: Self) -> Self {
        let called = self.called.or(model.called);
        let seen_there = self.seen_there.or(model.seen_there);
        let neither = called == Some(false) || seen_there == Some(false);
        Self {
            called,
            seen_there,
            called_from_there: self.called_from_there.or(neither.then_some(false)),
        }
    }

    /// As the schema has it.
    pub(super) fn members(self) -> impl Iterator<Item = (&'static str, bool)> {
        let members = [
            ("called", self.called),
            ("seenThere", self.seen_there),
            ("calledFromThere", self.called_from_there),
        ];
        let known = |(name, value): (_, Option<bool>)| Some((name, value?));
        members.into_iter().filter_map(known)
    }
}

/// What is looked for among the principal's events.
struct Sought {
    call: Option<ApiCall>,
    address: Option<String>,
    /// What GuardDuty's anomaly model says of it.
    model: Past,
}

impl Sought {
    /// What was refused is nothing that the principal did.
    fn is_call(&self, record: &Record) -> bool {
        let call = self.call.as_ref();
        record.succeeded() && call.is_some_and(|call| record.is_of(call))
    }

    fn is_there(&self, record: &Record) -> bool {
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

    fn among(&self, before: &Before) -> (Past, Option<String>) {
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
        let any = |sought: &dyn Fn(&Record) -> bool, why_not: &Option<String>| {
            let found = before.records.iter().any(sought);
            (found || why_not.is_none()).then_some(found)
        };
        let past = Past {
            called: any(&|record| self.is_call(record), &of_call),
            seen_there: any(&|record| self.is_there(record), &of_address),
            called_from_there: any(
                &|record| self.is_call(record) && self.is_there(record),
                &of_both,
            ),
        }
        .or(self.model);
        let complete = past.members().count() == 3;
        (past, of_both.filter(|_| !complete))
    }
}
