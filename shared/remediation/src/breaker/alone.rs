//! What an execution environment lets through by itself.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// While the table cannot be asked: one finding in any time as long as the window. A failure of the table
/// then keeps no attacker in, and of a storm no more gets through than there are environments.
#[derive(Debug, Default)]
pub(crate) struct Alone(Mutex<Option<(String, Timestamp)>>);

impl Alone {
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
