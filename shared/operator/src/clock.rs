//! The time of day by AWS's clock.
//!
//! The functions compare the times of releases and claims with theirs. By a machine's clock that is ahead, a
//! release would cover what happens after it, and a claim would take over one that is held.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sts::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use remediation::error::{Error, Result};

/// By how many milliseconds this machine's clock is ahead of AWS's, as far as is known.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// AWS says the time in whole seconds, and its answer takes a while: less than this is no difference.
const SAME: SignedDuration = SignedDuration::from_secs(5);

/// The time by AWS's clock, as far as an answer was seen by [`Date`].
pub(crate) fn now() -> Timestamp {
    let ahead = SignedDuration::from_millis(AHEAD.load(Ordering::Relaxed));
    let here = Timestamp::now();
    here.saturating_sub(ahead).unwrap_or(here)
}

/// By how much a clock that shows `here` is ahead of AWS's, which shows `date`.
fn ahead(date: &str, here: Timestamp) -> Result<SignedDuration> {
    let there = rfc2822::parse(date)
        .map_err(|error| Error::Refused(format!("the date {date} cannot be read: {error}")))?;
    Ok(here.duration_since(there.timestamp()))
}

/// True for clocks that do not differ measurably.
pub(crate) fn is_same(ahead: SignedDuration) -> bool {
    ahead.abs() <= SAME
}

/// Sees the `Date` of an answer, and has [`now`] go by it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Date(Arc<Mutex<Option<Result<SignedDuration>>>>);

impl Date {
    /// By how much this machine's clock is ahead.
    ///
    /// # Errors
    /// If there was no answer, or it had no date that can be read.
    pub(crate) fn ahead(&self) -> Result<SignedDuration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        seen.unwrap_or_else(|| Err(Error::Refused("the answer has no date".to_owned())))
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let seen = date.map(|date| ahead(date, Timestamp::now()));
        if let Some(Ok(ahead)) = seen {
            let ahead = if is_same(ahead) { 0 } else { ahead.as_millis() };
            let ahead = i64::try_from(ahead).unwrap_or_default();
            AHEAD.store(ahead, Ordering::Relaxed);
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_minutes_off_is_recognized() {
        let here: Timestamp = "2026-03-04T05:10:00.5Z".parse().expect("a time");
        for (date, seconds, same) in [
            ("Wed, 04 Mar 2026 05:10:00 GMT", 0, true),
            ("Wed, 04 Mar 2026 05:10:04 GMT", -3, true),
            ("Wed, 04 Mar 2026 05:06:00 GMT", 240, false),
            ("Wed, 04 Mar 2026 05:14:00 GMT", -239, false),
        ] {
            let ahead = ahead(date, here).expect("a date");
            assert_eq!(ahead.as_secs(), seconds, "{date}");
            assert_eq!(is_same(ahead), same, "{date}");
        }
        assert!(ahead("yesterday", here).is_err());
    }
}
