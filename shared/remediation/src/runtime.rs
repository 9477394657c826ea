//! The Lambda runtime around a [`Responder`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;

use crate::error::Error;
use crate::playbook::Playbook;
use crate::respond::Responder;

/// Answers events until the environment is shut down.
///
/// The event is taken as any JSON: what is not a finding is an answer, not a runtime error that
/// Lambda would retry in vain.
///
/// # Errors
/// If the runtime API cannot be reached.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub async fn run<P: Playbook>(responder: Responder<P>) -> Result<(), lambda_runtime::Error> {
    let responder = &responder;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let time_left = time_left(event.context.deadline);
        // Boxed, since the future of a whole response is too deep for the compiler to lay out in one.
        Box::pin(responder.respond(event.payload, Timestamp::now(), time_left)).await
    }))
    .await
}

/// The deadline is in milliseconds of the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the deadline is a time of day")]
fn time_left(deadline: u64) -> Duration {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_millis(deadline).saturating_sub(now)
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: if error.is_transient() {
                "Retryable"
            } else {
                "NonRetryable"
            }
            .to_owned(),
            error_message: error.to_string(),
        }
    }
}
