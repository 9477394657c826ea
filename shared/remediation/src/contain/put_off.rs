//! Deliveries that cannot be dealt with now: the event comes again through a queue. A function that waited
//! would keep others from being contained.

use serde_json::Value;

use super::{Contained, Incoming, notified, prevented};
use crate::error::Error;
use crate::playbook::Playbook;
use crate::record::Claim;
use crate::report::{Obstacle, Report};

/// That an event is to come again later, or another in its place.
pub(crate) struct PutOff {
    /// Why.
    pub(crate) why: String,
    /// What is to come. `None`: the event itself.
    pub(crate) event: Option<Value>,
    /// The report tells what is of interest until then, and not only that the event was put off.
    pub(crate) tells: bool,
    /// The targets about which the record is to await it.
    pub(crate) awaited: Vec<String>,
}

impl PutOff {
    /// Of what was left, where the rest was done. `None`: the event cannot come again.
    pub(super) fn of_the_rest(
        incoming: &Incoming<'_>,
        why: &Error,
        busy: Vec<String>,
    ) -> Option<Self> {
        incoming.put_off.map(|_| Self {
            why: why.to_string(),
            event: None,
            tells: true,
            awaited: busy,
        })
    }
}

/// Nothing is done, since another invocation is at work on all that there is to do.
pub(super) fn at_work<P: Playbook>(
    incoming: &Incoming<'_>,
    claims: Vec<Claim>,
    target: String,
    busy: Vec<String>,
) -> Contained {
    let error = Error::Busy { target };
    // A message that is not believed yet must not vouch for the one that follows it.
    let vouched = incoming.came_back.is_none();
    Contained {
        claims,
        put_off: incoming.put_off.map(|_| PutOff {
            why: error.to_string(),
            event: None,
            tells: false,
            awaited: if vouched { busy } else { Vec::new() },
        }),
        ..prevented::<P>(incoming.finding, Obstacle::Target, &error, false)
    }
}

/// Nothing is done, since GuardDuty does not have the finding, for this reason. It may have it soon.
pub(super) fn missing<P: Playbook>(
    incoming: &Incoming<'_>,
    claims: Vec<Claim>,
    why: String,
) -> Contained {
    let report = Report::notified(P::CATEGORY, incoming.finding, why.clone(), false);
    Contained {
        claims,
        put_off: Some(PutOff {
            why,
            event: None,
            tells: false,
            awaited: Vec::new(),
        }),
        ..Contained::just(report, None)
    }
}

/// Nothing is done about what the event names, for this reason; what GuardDuty has in its place comes by itself.
pub(super) async fn later<P: Playbook>(
    playbook: &P,
    incoming: &Incoming<'_>,
    claims: Vec<Claim>,
    why: String,
    detail: Value,
) -> Contained {
    let mut report = notified(Some(playbook), incoming, why.clone(), false).await;
    let next = "look at what the event names: only what GuardDuty shows for the finding now is dealt with by itself";
    report.next_steps.insert(0, next.to_owned());
    Contained {
        claims,
        put_off: Some(PutOff {
            why,
            event: Some(with_detail(incoming.event, detail)),
            tells: true,
            awaited: Vec::new(),
        }),
        ..Contained::just(report, None)
    }
}

/// An event with another detail, as GuardDuty has it.
fn with_detail(event: &Value, detail: Value) -> Value {
    if event.get("detail").is_none() {
        return detail;
    }
    let mut event = event.clone();
    event["detail"] = detail;
    event
}
