//! Deliveries that cannot be dealt with now: the event is delivered again through a queue. A function that waited would
//! keep others from being contained.

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::Value;
use tokio::time::Instant;

use crate::containment::{Containment, Postponement};
use crate::deadline::within;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::recheck::RecheckQueue;
use crate::record::IncidentStore;
use crate::report::{Obstacle, Report};
use crate::session::Session;
use aws::playbook::Playbook;

/// How long sending an event that is put off may take.
const SENDING: Duration = Duration::from_secs(2);

/// Leaves the targets that other invocations are at work on to a later delivery, where the rest was done. The error
/// is for Lambda, where the event cannot come again.
pub(crate) fn busy_rest<P: Playbook>(
    session: &Session<'_, P>,
) -> (Option<Postponement>, Option<Error>) {
    let busy = &session.claims.busy;
    let Some(target) = busy.first().cloned() else {
        return (None, None);
    };
    let error = Error::Busy { target };
    if session.delivery.put_off.is_none() {
        return (None, Some(error));
    }
    let postponement = Postponement {
        why: error.to_string(),
        event: None,
        tells: true,
        awaited: busy.clone(),
    };
    (Some(postponement), None)
}

/// Leaves all to a later delivery, since another invocation is at work on the target.
pub(crate) fn at_work<P: Playbook>(session: &Session<'_, P>, target: String) -> Containment {
    let error = Error::Busy { target };
    let delivery = session.delivery;
    // A message that is not believed yet must not vouch for the one that follows it.
    let vouched = delivery.came_back.is_none();
    let awaited = session.claims.busy.iter().filter(|_| vouched);
    let postponement = delivery.put_off.map(|_| Postponement {
        why: error.to_string(),
        event: None,
        tells: false,
        awaited: awaited.cloned().collect(),
    });
    let failed = Containment::failed::<P>(delivery.finding, Obstacle::Target, &error, false);
    failed.postponed(postponement)
}

/// Leaves all to a later delivery, since GuardDuty does not have the finding yet, for this reason.
pub(crate) fn missing<P: Playbook>(delivery: &Delivery<'_>, why: String) -> Containment {
    let report = Report::notified(P::CATEGORY, delivery.finding, why.clone(), false);
    Containment::answer(report).postponed(Some(Postponement {
        why,
        event: None,
        tells: false,
        awaited: Vec::new(),
    }))
}

/// Leaves what the event names to the on-call engineer, for this reason. GuardDuty's present finding is delivered by
/// itself.
pub(crate) async fn superseded<P: Playbook>(
    session: &Session<'_, P>,
    why: String,
    detail: Value,
) -> Containment {
    let delivery = session.delivery;
    let notified = Containment::notified(Some(session.playbook), delivery, why.clone(), false);
    let mut containment = notified.await;
    let next = "check the targets that the event names: only those that GuardDuty shows for the finding \
        now are handled";
    containment.report.next_steps.insert(0, next.to_owned());
    containment.postponed(Some(Postponement {
        why,
        event: Some(with_detail(delivery.event, detail)),
        tells: true,
        awaited: Vec::new(),
    }))
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

/// Has the event come again later. If it cannot, what was done is the answer.
pub(crate) async fn postpone<P: Playbook>(
    recheck: &RecheckQueue,
    record: Option<&IncidentStore>,
    delivery: &Delivery<'_>,
    postponement: Postponement,
    mut done: Containment,
) -> Containment {
    let sending = Box::pin(send::<P>(recheck, record, delivery, &postponement));
    let until = Instant::now() + SENDING;
    let Postponement { why, tells, .. } = &postponement;
    match within(until, "sqs:SendMessage", sending).await {
        Ok(seconds) if *tells => {
            let next =
                format!("no action needed: it is handled again in {seconds} seconds, since {why}");
            done.report.next_steps.push(next);
            done
        }
        Ok(seconds) => {
            let why = format!("it is handled again in {seconds} seconds, since {why}");
            let report = Report::ignored(P::CATEGORY, delivery.finding, why, false);
            let mut answer = Containment::answer(report);
            answer.claims = done.claims;
            answer
        }
        Err(error) => {
            tracing::error!(%error, "the event was not put off");
            done.retryable.get_or_insert(error);
            done
        }
    }
}

/// Answers the seconds until the event is delivered again.
async fn send<P: Playbook>(
    recheck: &RecheckQueue,
    record: Option<&IncidentStore>,
    delivery: &Delivery<'_>,
    postponement: &Postponement,
) -> Result<i32> {
    let (finding, now) = (delivery.finding, delivery.now());
    if let Some(record) = record {
        let noting = postponement.awaited.iter();
        let noting = noting.map(|target| record.await_again(P::CATEGORY, finding, target, now));
        try_join_all(noting.map(Box::pin)).await?;
    }
    let event = postponement.event.as_ref().unwrap_or(delivery.event);
    let (came_by, trace) = (delivery.came_back, delivery.trace);
    let sending = recheck.put_off(P::CATEGORY, event, &finding.id, came_by, trace);
    sending.await
}
