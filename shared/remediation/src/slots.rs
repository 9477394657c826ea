//! Taking places in the breaker's windows, which are items of the table.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::breaker::{BreakerDecision, Denial, Limits, OpenBreaker, Opened, Page, SlotRequest};
use crate::error::Error;
use crate::record::{IncidentStore, Places, Taken, Terms};

/// How the line in the log begins that says that a window has no room.
const OPEN: &str = "breaker open";

/// While the table cannot be asked: one finding in any time as long as the window. A failure of the table
/// then keeps no attacker in, and of a storm no more gets through than there are environments.
#[derive(Debug, Default)]
pub(crate) struct FallbackQuota(Mutex<Option<(String, Timestamp)>>);

impl FallbackQuota {
    /// True if the finding of this id is that one, as a retry is.
    pub(crate) fn lets(&self, finding_id: &str, now: Timestamp, window: SignedDuration) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, until)) = &*last
            && *until > now
        {
            return id == finding_id;
        }
        let until = now.saturating_add(window).unwrap_or(now);
        *last = Some((finding_id.to_owned(), until));
        true
    }
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requester<'a> {
    pub(crate) invocation: &'a str,
    pub(crate) finding_id: &'a str,
    pub(crate) alone: &'a FallbackQuota,
    pub(crate) now: Timestamp,
    pub(crate) until: Instant,
}

/// Takes the places that a plan needs, or says why it may not be executed.
pub(crate) async fn ask(
    record: &IncidentStore,
    limits: &Limits,
    needs: &SlotRequest,
    asker: &Requester<'_>,
) -> BreakerDecision {
    let terms = |places| Terms {
        places,
        now: asker.now,
        lasts: limits.window,
        until: asker.until,
    };
    if needs.windows.len() > 1 {
        let all = needs.windows.iter();
        let all = all.map(|(places, window, names)| (window, names, terms(*places)));
        if Box::pin(record.take_all(&all.collect::<Vec<_>>())).await {
            return BreakerDecision::Room;
        }
    }
    let mut held = Vec::new();
    for (places, window, names) in &needs.windows {
        let refusal = match Box::pin(record.take(window, names, &terms(*places))).await {
            Ok(Taken::Places(places)) => {
                held.push(places);
                continue;
            }
            Ok(Taken::Full(full)) => {
                let overload = OpenBreaker::new(limits, *places, window, &full);
                if names.len() > *places {
                    Denial::too_many(names.len(), &overload)
                } else {
                    Box::pin(refused(record, overload, full.opened, limits, asker)).await
                }
            }
            Err(error) => {
                if asker.alone.lets(asker.finding_id, asker.now, limits.window) {
                    return alone(&error);
                }
                unasked(error)
            }
        };
        give_back(record, &held).await;
        return BreakerDecision::Refused(Box::new(refusal));
    }
    BreakerDecision::Room
}

/// The answer if the table does not answer, for this reason.
pub(crate) fn unanswered(
    limits: &Limits,
    needs: &SlotRequest,
    asker: &Requester<'_>,
    error: Error,
) -> BreakerDecision {
    if needs.windows.is_empty() {
        return BreakerDecision::Room;
    }
    if asker.alone.lets(asker.finding_id, asker.now, limits.window) {
        return alone(&error);
    }
    BreakerDecision::Refused(Box::new(unasked(error)))
}

async fn give_back(record: &IncidentStore, held: &[Places]) {
    for places in held {
        if let Err(error) = record.give_places_back(places).await {
            tracing::error!(%error, "slots of a window were not returned and end by their time");
        }
    }
}

async fn refused(
    record: &IncidentStore,
    overload: OpenBreaker,
    opened: Option<Opened>,
    limits: &Limits,
    asker: &Requester<'_>,
) -> Denial {
    let Requester {
        invocation, now, ..
    } = *asker;
    let window = overload.window();
    let known = opened.is_some();
    let opened = match opened {
        Some(opened) => Ok(opened),
        None => {
            let marked = record.mark_opened(window, invocation, now, limits.window);
            marked.await
        }
    };
    let page = match opened {
        Ok(opened) if opened.by != invocation => Page::Done,
        // A retry, whose attempt before may not have come to telling.
        Ok(_) if known => Page::AsUsual,
        Ok(_) => Page::Due,
        Err(error) => {
            tracing::error!(%error, "people may be notified again that the breaker is open");
            Page::Due
        }
    };
    let reason = overload.reason();
    if page == Page::Done {
        tracing::warn!(reason, "withheld by the breaker");
    } else {
        tracing::error!("{OPEN}: {reason}");
    }
    Denial::open(overload, page)
}

fn alone(error: &Error) -> BreakerDecision {
    tracing::error!(%error, "the breaker could not be asked: this finding is contained, the next is not");
    BreakerDecision::FallbackQuota(format!(
        "check how much was contained lately: the circuit breaker could not be read, so it admitted this \
         finding alone, and withholds further ones: {error}"
    ))
}

fn unasked(error: Error) -> Denial {
    tracing::error!(%error, "the breaker could not be asked: nothing more is contained");
    Denial::unasked(error)
}
