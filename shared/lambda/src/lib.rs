//! AWS Lambda around a [`Responder`]: it reads the event and the clock, and says which errors are worth a retry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use aws::playbook::Playbook;
use remediation::error::Error;
use remediation::notify::security_hub::{self, Updated};
use remediation::recheck;
use remediation::report::Report;
use remediation::respond::{Invocation, Responder};
use remediation::trace::Trace;

pub use lambda_runtime::Error as RuntimeError;

/// Runs a function whose playbook `build` makes, with the settings of its environment, until Lambda shuts it down.
///
/// The event is taken as anything at all: an event gets an answer if it is no finding, nests too deep or has an invalid
/// number. It causes no runtime error that Lambda would retry in vain.
///
/// # Errors
/// If the runtime API cannot be reached.
pub async fn run<P: Playbook + 'static>(build: fn(&SdkConfig) -> P) -> Result<(), RuntimeError> {
    lambda_runtime::tracing::init_default_subscriber();
    let sdk = aws::load().await;
    answer(Responder::from_env(build, &sdk)).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
async fn answer<P: Playbook>(responder: Responder<P>) -> Result<(), RuntimeError> {
    let responder = &responder;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Payload>| {
        let (Payload(event), context) = event.into_parts();
        let event = match event {
            Ok(event) => event,
            Err(problem) => {
                let report = responder.unreadable(&problem, Timestamp::now());
                return Ok(Response::Report(Box::new(report)));
            }
        };
        if let Some(update) = security_hub::received(&event) {
            return responder
                .update(&update, Timestamp::now())
                .await
                .map(Response::Updated)
                .map_err(Failure);
        }
        let (event, look) = match recheck::received(&event) {
            Some((event, look)) => (event, Some(look)),
            None => (event, None),
        };
        let invocation = Invocation {
            id: context.request_id,
            now: Timestamp::now(),
            time_left: time_left(context.deadline),
            look,
            trace: context.xray_trace_id.as_deref().and_then(Trace::parse),
        };
        // Boxed, since the future of a whole response is too deep for the compiler to lay out in one.
        let responding = Box::pin(responder.respond(event, &invocation));
        let report = responding.await.map_err(Failure)?;
        Ok::<_, Failure>(Response::Report(Box::new(report)))
    }))
    .await
}

/// A function's answer: about a finding, or about a message to Security Hub.
#[derive(Serialize)]
#[serde(untagged)]
enum Response {
    Report(Box<Report>),
    Updated(Updated),
}

/// The payload of the invocation, or why it cannot be read.
///
/// The runtime answers what its own reader refuses with an error, of which Lambda makes three
/// attempts; so nothing is refused here. It asks for no more than this one value, and what is left
/// unread behind an error does not disturb it.
struct Payload(Result<Value, String>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(
            Value::deserialize(deserializer).map_err(|error| error.to_string()),
        ))
    }
}

/// The deadline is in milliseconds of the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the deadline is a time of day")]
fn time_left(deadline: u64) -> Duration {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_millis(deadline).saturating_sub(now)
}

/// A failure as Lambda sees it.
#[derive(Debug)]
struct Failure(Error);

impl From<Failure> for Diagnostic {
    fn from(Failure(error): Failure) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads as the runtime does.
    fn read(payload: &str) -> Result<Value, String> {
        let mut reader = serde_json::Deserializer::from_slice(payload.as_bytes());
        let Payload(event) =
            serde_path_to_error::deserialize(&mut reader).expect("nothing is refused");
        event
    }

    #[test]
    fn an_event_that_the_runtime_refuses_has_a_reason() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let within = |inner: &str| format!(r#"{{"detail": {{"id": {inner}, "type": "x"}}}}"#);
        for (payload, named) in [
            (nested(128), "recursion limit"),
            (nested(100_000), "recursion limit"),
            (r#"{"a":"#.repeat(100_000), "recursion limit"),
            (within(&nested(500)), "recursion limit"),
            (within("1e999"), "number out of range"),
            (within(r#""\ud800""#), "hex escape"),
            (within("01"), "invalid number"),
            (within("NaN"), "expected value"),
            (String::new(), "EOF"),
        ] {
            let problem = read(&payload).expect_err("it cannot be read");
            assert!(problem.contains(named), "{problem}");
        }
    }

    #[test]
    fn any_other_json_is_the_event() {
        for payload in [
            "{}",
            "[]",
            "null",
            "5",
            "true",
            r#""x""#,
            r#"{"detail":{}}"#,
        ] {
            assert_eq!(read(payload), Ok(serde_json::from_str(payload).unwrap()));
        }
        let deep = "[".repeat(127) + &"]".repeat(127);
        assert!(read(&deep).is_ok());
    }
}
