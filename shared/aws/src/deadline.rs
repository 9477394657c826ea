//! Calls that end by a deadline, so that what comes after them still has its time.

use tokio::time::{Instant, timeout_at};

use crate::error::{CallError, CallFailure, Result};

/// The code of a call that was not answered in the time set for it.
pub const NO_ANSWER: &str = "DeadlineExceeded";

/// Ends `work` at `until`, with an error that a retry may not meet.
pub async fn within<T>(
    until: Instant,
    what: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match timeout_at(until, work).await {
        Ok(result) => result,
        Err(_) => Err(CallError {
            operation: what,
            target: "the finding's target".to_owned(),
            code: NO_ANSWER.to_owned(),
            message: "no answer came in the time allowed".to_owned(),
            kind: CallFailure::Transient,
        }
        .into()),
    }
}
