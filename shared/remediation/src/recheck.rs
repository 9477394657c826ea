//! Looking again after a containment.
//!
//! IAM takes seconds to enforce a change everywhere, and whoever holds the credentials can use
//! them to take the deny off again. So a containment comes back twice, through a queue that holds
//! it back, instead of keeping a function waiting.

use aws_sdk_sqs::Client;
use serde_json::{Value, json};

use crate::error::{CallContext, Result};
use crate::finding::abridged;
use crate::queue_message;
use crate::trace::Trace;

/// The IAM permissions that sending needs.
pub const PERMISSIONS: &[&str] = &["sqs:SendMessage"];

/// Seconds until the first look and from there to the second: 10 and 60 after the containment.
const DELAYS: [i32; 2] = [10, 50];

/// A message has at most 256 KB in every Region and setting,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>.
const EVENT_LIMIT: usize = 255 * 1024;

/// The queue that holds containments back.
#[derive(Clone, Debug)]
pub struct Recheck {
    client: Client,
    queue_url: String,
}

impl Recheck {
    /// The queue at `queue_url`.
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    /// Sends `event` to be looked at again, for the time after `done` looks, as a part of `trace`. Does
    /// nothing when all looks are done.
    ///
    /// # Errors
    /// If SQS refused it or could not be reached.
    pub async fn schedule(&self, event: &Value, done: usize, trace: Option<&Trace>) -> Result<()> {
        let Some(delay) = DELAYS.get(done) else {
            return Ok(());
        };
        let event = abridged(event, EVENT_LIMIT);
        let message = json!({ "recheck": done + 1, "event": event });
        self.client
            .send_message()
            .queue_url(&self.queue_url)
            .delay_seconds(*delay)
            .message_body(message.to_string())
            .set_message_system_attributes(trace.and_then(Trace::sqs_attributes))
            .send()
            .await
            .during("sqs:SendMessage", &self.queue_url)?;
        Ok(())
    }
}

/// Takes a message of [`Recheck::schedule`] apart, as Lambda hands it over: the event, and which
/// look this is. `None`: the payload is something else.
pub fn received(payload: &Value) -> Option<(Value, usize)> {
    let (_, message) = queue_message::received(payload)?;
    let look = usize::try_from(message["recheck"].as_u64()?).ok()?;
    Some((message["event"].clone(), look))
}

/// What Lambda hands over of a message of [`Recheck::schedule`], made of the message: to have a look done
/// that the queue has given up on. `None`: it is no such message.
pub fn handed_over(message: &str) -> Option<Value> {
    let payload = queue_message::handed_over(message);
    received(&payload).is_some().then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_the_event_that_was_sent() {
        let event = json!({ "detail": { "id": "x" } });
        let body = json!({ "recheck": 2, "event": event }).to_string();
        let payload = json!({ "Records": [{ "eventSource": "aws:sqs", "body": body }] });
        assert_eq!(received(&payload), Some((event, 2)));
    }

    #[test]
    fn only_a_look_is_handed_over_as_one() {
        let event = json!({ "detail": { "id": "x" } });
        let message = json!({ "recheck": 1, "event": event }).to_string();
        let payload = handed_over(&message).unwrap();
        assert_eq!(received(&payload), Some((event, 1)));
        for other in ["", "{}", r#"{"event":{}}"#, r#"{"requestPayload":{}}"#] {
            assert_eq!(handed_over(other), None, "{other}");
        }
    }

    #[test]
    fn anything_else_is_an_event_of_its_own() {
        for payload in [
            json!({}),
            json!([]),
            json!({ "Records": [] }),
            json!({ "Records": [{ "eventSource": "aws:s3", "body": "{}" }] }),
            json!({ "Records": [{ "eventSource": "aws:sqs", "body": "{}" }] }),
            json!({ "Records": [{ "eventSource": "aws:sqs", "body": 5 }] }),
        ] {
            assert_eq!(received(&payload), None, "{payload}");
        }
    }
}
