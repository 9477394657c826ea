//! A sliding window of containments: how many places there are in it, and who has one until when.
//!
//! One item per window (`BREAKER#<category>#<account>`, for a crowd `…#<crowd>` / `window`). Its map `taken` has an
//! entry for each place that is taken: the target's name, and the epoch milliseconds at which the place is free again.
//! A caller takes a slot by one conditional write, which succeeds only if there is room. So no more of any number of
//! invocations get one than there are slots: DynamoDB evaluates a condition and writes as one step,
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html#WorkingWithItems.ConditionalUpdate>.
//! Expired slots are removed in the same write that takes one of them, on the condition that the map is still the one
//! read.

mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem, Update};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

pub use self::shown::Shown;
use super::write::Write;
use super::{IncidentStore, Item, get, number};
use crate::breaker::has_room;
pub use crate::breaker::{Full, Opened, Window};
use crate::error::{CallContext, CallError, CallFailure, Result};

/// DynamoDB's code for a write that meets a transaction of the same item.
const CONFLICT: &str = "TransactionConflictException";
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// On which terms places are taken.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How many there are.
    pub places: usize,
    /// The time of day.
    pub now: Timestamp,
    /// How long one is taken.
    pub lasts: SignedDuration,
    /// How long others may be in the way before it is an error.
    pub until: Instant,
}

/// The result of asking for slots.
#[derive(Debug)]
pub enum Taken {
    /// They are taken.
    Places(Places),
    /// There is not enough room. None was taken.
    Full(Full),
}

/// Places that were taken, to be given back.
#[derive(Debug)]
pub struct Places {
    window: Window,
    /// When they are free again.
    until: i64,
    /// Until when each was taken before, if it was.
    before: BTreeMap<String, Option<i64>>,
}

impl IncidentStore {
    /// Takes a place in `window` for each of `names`, or none. Who has one keeps it, for longer.
    ///
    /// # Errors
    /// If the table cannot be written, or others were in the way until `terms.until`.
    pub async fn take(
        &self,
        window: &Window,
        names: &BTreeSet<String>,
        terms: &Terms,
    ) -> Result<Taken> {
        let now = terms.now.as_millisecond();
        let until = now.saturating_add(millis(terms.lasts));
        let places = |before: &BTreeMap<String, i64>| {
            // A call that is repeated since its answer was lost finds its own place.
            let before = |name: &String| before.get(name).copied().filter(|then| *then != until);
            Taken::Places(Places {
                window: window.clone(),
                until,
                before: names
                    .iter()
                    .map(|name| (name.clone(), before(name)))
                    .collect(),
            })
        };
        let mut call = self.add(window, names, terms, until);
        loop {
            let item = match refusable(call.clone().send().await, &self.table) {
                Ok(Ok(before)) => return Ok(places(&taken(&before))),
                Ok(Err(item)) => item,
                // Another's transaction is about to be done, or to be given up.
                Err(error) if error.has_code(CONFLICT) && Instant::now() < terms.until => {
                    sleep(CONFLICT_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let all = taken(&item);
            let live: BTreeMap<_, _> = all.iter().filter(|(_, until)| **until > now).collect();
            if !has_room(names, terms.places, live.len(), |it| live.contains_key(it)) {
                return Ok(Taken::Full(Full {
                    taken: times(&all, now),
                    opened: opened(&item, now),
                }));
            }
            if Instant::now() >= terms.until {
                return Err(CallError {
                    operation: "dynamodb:UpdateItem",
                    target: self.table.clone(),
                    code: "Contended".to_owned(),
                    message: format!("others were writing the window of {window} all the time"),
                    kind: CallFailure::Transient,
                }
                .into());
            }
            let room = all.len() == live.len() && all.len() + names.len() <= terms.places;
            call = if room && item.contains_key("taken") {
                self.add(window, names, terms, until)
            } else {
                let kept = live.into_iter().map(|(name, then)| (name.clone(), *then));
                let wanted = kept.chain(names.iter().map(|name| (name.clone(), until)));
                self.replace(window, item.get("taken"), wanted.collect(), terms.places)
            };
        }
    }

    /// Takes places in all of these windows by one transaction, or in none. False: in none that is known of; the caller
    /// that then asks for each with [`IncidentStore::take`] learns why.
    pub(crate) async fn take_all(&self, windows: &[(&Window, &BTreeSet<String>, Terms)]) -> bool {
        let mut call = self.client.transact_write_items();
        for (window, names, terms) in windows {
            let until = terms
                .now
                .as_millisecond()
                .saturating_add(millis(terms.lasts));
            let add = self.add(window, names, terms, until);
            let add = add.as_input();
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(add.get_key().clone())
                .set_update_expression(add.get_update_expression().clone())
                .set_condition_expression(add.get_condition_expression().clone())
                .set_expression_attribute_names(add.get_expression_attribute_names().clone())
                .set_expression_attribute_values(add.get_expression_attribute_values().clone());
            // Only a builder without its required members fails, and this one has them.
            let Ok(update) = update.build() else {
                return false;
            };
            call = call.transact_items(TransactWriteItem::builder().update(update).build());
        }
        match call.send().await {
            Ok(_) => true,
            Err(error) => {
                let code = error.code().unwrap_or_default();
                tracing::debug!(code, "the windows are asked one after the other");
                false
            }
        }
    }

    /// Takes places if there is room, whatever else is in the map.
    fn add(
        &self,
        window: &Window,
        names: &BTreeSet<String>,
        terms: &Terms,
        until: i64,
    ) -> UpdateItemFluentBuilder {
        let most = terms.places.checked_sub(names.len());
        let room = most.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX));
        let mut write = self
            .window(window)
            .set("kind", "window")
            .set_value("places", count(terms.places))
            .value(":until", number(until))
            .value(":room", number(room));
        for (index, name) in names.iter().enumerate() {
            write = write
                .name(&format!("#p{index}"), name)
                .set_by(format!("taken.#p{index} = :until"));
        }
        let room = "size(taken) <= :room";
        write = if names.len() == 1 {
            write
                .when(format!("taken.#p0 > :now OR {room}"))
                .value(":now", number(terms.now.as_millisecond()))
        } else {
            write.when(room)
        };
        write.call().return_values(ReturnValue::AllOld)
    }

    /// Puts another map in the place of the one that was looked at.
    fn replace(
        &self,
        window: &Window,
        seen: Option<&AttributeValue>,
        wanted: BTreeMap<String, i64>,
        places: usize,
    ) -> UpdateItemFluentBuilder {
        let wanted = wanted
            .into_iter()
            .map(|(name, until)| (name, number(until)));
        let write = self
            .window(window)
            .set("kind", "window")
            .set_value("places", count(places))
            .set_value("taken", AttributeValue::M(wanted.collect()));
        let write = match seen {
            Some(seen) => write.when("taken = :seen").value(":seen", seen.clone()),
            None => write.when("attribute_not_exists(taken)"),
        };
        write.call().return_values(ReturnValue::AllOld)
    }

    /// Gives places back, so that others have them. Who had one before has it as long as before.
    ///
    /// # Errors
    /// If the table cannot be written. The places are then free when their time is over.
    pub async fn give_places_back(&self, places: &Places) -> Result<()> {
        let mut write = self
            .window(&places.window)
            .value(":until", number(places.until));
        let mut conditions = Vec::new();
        for (index, (name, before)) in places.before.iter().enumerate() {
            write = write.name(&format!("#p{index}"), name);
            conditions.push(format!("taken.#p{index} = :until"));
            write = match before {
                Some(before) => write
                    .set_by(format!("taken.#p{index} = :b{index}"))
                    .value(&format!(":b{index}"), number(*before)),
                None => write.remove([format!("taken.#p{index}")]),
            };
        }
        let done = write.when(conditions.join(" AND ")).call().send().await;
        // The window was reset, or the places are someone else's by now.
        refusable(done, &self.table).map(drop)
    }

    /// Writes down that `by` tells people of a window without room, if nobody does so yet. Says who does.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub async fn mark_opened(
        &self,
        window: &Window,
        by: &str,
        now: Timestamp,
        lasts: SignedDuration,
    ) -> Result<Opened> {
        let until = now.saturating_add(lasts).unwrap_or(now);
        let done = self
            .window(window)
            .set("kind", "window")
            .set("opened_by", by)
            .set("opened_at", now)
            .set_value("open_until", number(until.as_millisecond()))
            .when("attribute_not_exists(open_until) OR open_until <= :now")
            .value(":now", number(now.as_millisecond()))
            .call()
            .send()
            .await;
        let own = Opened {
            by: by.to_owned(),
            at: now,
            until,
        };
        Ok(match refusable(done, &self.table)? {
            Ok(_) => own,
            Err(item) => opened(&item, now.as_millisecond()).unwrap_or(own),
        })
    }

    /// A refused write brings the item as it was then.
    fn window(&self, window: &Window) -> Write<'_> {
        self.update(window.key(), "window").keeping_the_refused()
    }
}

/// The item before the write, or, where the condition did not hold, the item as it is.
fn refusable(
    done: std::result::Result<UpdateItemOutput, SdkError<UpdateItemError, HttpResponse>>,
    table: &str,
) -> Result<std::result::Result<Item, Item>> {
    if let Err(SdkError::ServiceError(service)) = &done
        && let UpdateItemError::ConditionalCheckFailedException(refused) = service.err()
    {
        return Ok(Err(refused.item().cloned().unwrap_or_default()));
    }
    let done = done.during("dynamodb:UpdateItem", table)?;
    Ok(Ok(done.attributes.unwrap_or_default()))
}

/// Each place that is in the map, and the epoch milliseconds until which it is taken.
fn taken(item: &Item) -> BTreeMap<String, i64> {
    let map = item.get("taken").and_then(|taken| taken.as_m().ok());
    let places = map.into_iter().flatten();
    places
        .filter_map(|(name, until)| Some((name.clone(), int(until)?)))
        .collect()
}

/// The places that are taken at `now`.
fn times(taken: &BTreeMap<String, i64>, now: i64) -> BTreeMap<String, Timestamp> {
    let live = taken.iter().filter(|(_, until)| **until > now);
    live.filter_map(|(name, until)| Some((name.clone(), Timestamp::from_millisecond(*until).ok()?)))
        .collect()
}

fn opened(item: &Item, now: i64) -> Option<Opened> {
    let until = item.get("open_until").and_then(int)?;
    (until > now).then_some(())?;
    Some(Opened {
        by: get(item, "opened_by")?.to_owned(),
        at: get(item, "opened_at")?.parse().ok()?,
        until: Timestamp::from_millisecond(until).ok()?,
    })
}

fn int(value: &AttributeValue) -> Option<i64> {
    value.as_n().ok()?.parse().ok()
}

fn count(places: usize) -> AttributeValue {
    AttributeValue::N(places.to_string())
}

fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
