//! A message of a queue, as Lambda hands it over,
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>. The functions take one at a time.

use serde_json::{Value, json};

/// The record of the one message in `payload`, and the message. `None`: the payload is something else.
pub(crate) fn received(payload: &Value) -> Option<(&Value, Value)> {
    let [record] = payload.get("Records")?.as_array()?.as_slice() else {
        return None;
    };
    if record["eventSource"] != "aws:sqs" {
        return None;
    }
    let message = serde_json::from_str(record["body"].as_str()?).ok()?;
    Some((record, message))
}

/// The JSON that Lambda would hand over of `message`.
pub(crate) fn handed_over(message: &str) -> Value {
    json!({ "Records": [{ "eventSource": "aws:sqs", "body": message }] })
}
