//! Has this principal called this API before, or been at this address?
//!
//! An event that CloudTrail does not show is unknown, never "no": its event history has the last 90 days, no data
//! events, and gets events some 5 minutes late. It is read only so far back as its quota allows,
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html>.

use jiff::Timestamp;

use crate::cloudtrail::activity::PrincipalEvents;
use crate::cloudtrail::data_events::is_data_event;
use crate::cloudtrail::event::CloudTrailEvent;
use crate::cloudtrail::event_history::EventHistory;
use crate::cloudtrail::prior_events::{PriorEvents, history_of, looks};
use crate::inquiry::Inquiry;
use model::finding::{ApiCall, Finding, Principal};
use model::investigation::{Answer, Question, reason};

/// The step for the on-call engineer if CloudTrail's event history does not answer.
const INSTEAD: &str = "look in your own trail or CloudTrail Lake";

/// Asks by the access key first, which is exact; then by the name of the user or session.
pub(super) async fn history(
    trail: &EventHistory,
    inquiry: &Inquiry<'_>,
    principal: &Principal,
) -> Vec<Answer> {
    let finding = inquiry.finding;
    let call = finding.api_call();
    let address = finding.remote().and_then(|remote| remote.address);
    if call.is_none() && address.is_none() {
        return Vec::new();
    }
    let history = history_of(trail, call.as_ref());
    let looks = looks(finding, principal);
    let attributes: Vec<_> = looks.iter().map(|deeds| deeds.attribute).collect();
    let source = format!(
        "CloudTrail LookupEvents by {} in {}",
        attributes.join(", then by "),
        trail.region(history),
    );
    let Some(first) = finding.first_seen() else {
        let why = format!("the finding does not say when the activity began; {INSTEAD}");
        let unknown = |question| Answer::unknown(question, &why, &source);
        return call.iter().map(|_| unknown(Question::History)).collect();
    };
    let found =
        |record: &CloudTrailEvent| call.as_ref().is_some_and(|call| record.name() == call.api);
    let before = PriorEvents::read(trail, history, inquiry, principal, first, found).await;
    let seen_there = address
        .as_deref()
        .and_then(|address| seen_at(address, &before, &source));
    call.map(|call| called(&call, finding, &before, first, &source))
        .into_iter()
        .chain(seen_there)
        .collect()
}

fn called(
    call: &ApiCall,
    finding: &Finding,
    before: &PriorEvents,
    first: Timestamp,
    source: &str,
) -> Answer {
    let api = &call.api;
    let service = call.service.as_deref().unwrap_or_default();
    let calls: Vec<_> = before
        .records
        .iter()
        .filter(|record| record.name() == api)
        .collect();
    if let [newest, ..] = calls.as_slice() {
        let refused = calls.iter().filter(|record| !record.succeeded()).count();
        let refused = match refused {
            0 => String::new(),
            refused => format!(", of which {refused} met an error"),
        };
        let more = if before.cut { "at least " } else { "" };
        return Answer::known(
            Question::History,
            &format!(
                "yes: {more}{} calls of {api} before {first}{refused}; the newest at {} from {}. This \
                 says nothing about the calls of this finding",
                calls.len(),
                newest.time(),
                newest.address().unwrap_or("an unknown address"),
            ),
            source,
        );
    }
    let unknown = |why: &str| Answer::unknown(Question::History, why, source);
    if is_data_event(service, api) {
        return unknown(&format!(
            "{api} of {service} is a data event, which CloudTrail's event history does not have; look in a \
             trail that logs data events, or in S3 server access logs"
        ));
    }
    if let Some(error) = &before.failed {
        return unknown(&format!("{}; {INSTEAD}", reason(error)));
    }
    let events = before.records.len();
    if before.cut {
        return unknown(&format!(
            "{api} is not among the newest {events} events of the principal before {first}, and there are \
             older ones; {INSTEAD}"
        ));
    }
    if finding.access_key_id().is_none() && finding.principal().is_ok_and(|p| !can_look(&p)) {
        return unknown(&format!(
            "the finding does not say enough about the principal to find its events; {INSTEAD}"
        ));
    }
    Answer::known(
        Question::History,
        &format!(
            "no call of {api} before {first} is among the principal's {events} events of the last 90 days; \
             other sessions and other Regions were not looked at"
        ),
        source,
    )
}

fn can_look(principal: &Principal) -> bool {
    PrincipalEvents::by_name(principal).is_some()
}

/// `None`: there is nothing to compare with.
fn seen_at(address: &str, before: &PriorEvents, source: &str) -> Option<Answer> {
    let events = before.records.len();
    let there = |record: &&CloudTrailEvent| record.address() == Some(address);
    let count = before.records.iter().filter(there).count();
    let newest = before.records.iter().find(there);
    if let Some(newest) = newest {
        return Some(Answer::known(
            Question::WhereBefore,
            &format!(
                "yes: {count} of the principal's {events} events before the first one came from {address}, \
                 the newest at {}",
                newest.time(),
            ),
            source,
        ));
    }
    let question = Question::WhereBefore;
    match &before.failed {
        Some(error) => Some(Answer::unknown(
            question,
            &format!("{}; {INSTEAD}", reason(error)),
            source,
        )),
        None if events == 0 => None,
        None if before.cut => Some(Answer::unknown(
            question,
            &format!(
                "none of the newest {events} events before the first one came from {address}, and there are \
                 older ones; {INSTEAD}"
            ),
            source,
        )),
        None => Some(Answer::known(
            question,
            &format!(
                "no: none of the principal's {events} events of the last 90 days before the first one came \
                 from {address}"
            ),
            source,
        )),
    }
}
