//! An event of CloudTrail's, and the few things that are read from it.
//!
//! Its members: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>.

use aws_sdk_cloudtrail::types::Event;
use jiff::Timestamp;
use serde_json::Value;

use model::finding::{ApiCall, printable};

/// No member of CloudTrail's: the names of the resources that the event history gives for an event.
const ABOUT: &str = "namedByTheEventHistory";

/// An event of CloudTrail's event history, with the names of the resources that it is about.
#[derive(Clone, Debug)]
pub struct CloudTrailEvent(Value);

impl CloudTrailEvent {
    /// Reads an event as the event history hands it out. `None`: it has no record, or one that is no JSON.
    pub fn read(event: &Event) -> Option<Self> {
        let mut record: Value = serde_json::from_str(event.cloud_trail_event()?).ok()?;
        // The event history names what a call was about beside the record, also where the record does not:
        // <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Event.html>.
        let about = event.resources().iter();
        let about = about.filter_map(|resource| resource.resource_name());
        record
            .as_object_mut()?
            .insert(ABOUT.to_owned(), about.collect());
        Some(Self(record))
    }

    /// Unique among the events of all accounts.
    pub fn id(&self) -> Option<&str> {
        self.0["eventID"].as_str()
    }

    /// The API that was called.
    pub fn name(&self) -> &str {
        self.0["eventName"].as_str().unwrap_or_default()
    }

    /// True for a call of this API.
    pub fn is_of(&self, call: &ApiCall) -> bool {
        let source = self.0["eventSource"].as_str();
        self.name() == call.api && (call.service.is_none() || call.service.as_deref() == source)
    }

    /// The service that was called.
    pub fn service(&self) -> &str {
        self.0["eventSource"].as_str().unwrap_or_default()
    }

    /// Why the call had no effect, as CloudTrail has it. `None`: it had its effect.
    pub fn error(&self) -> Option<&str> {
        self.0["errorCode"].as_str()
    }

    /// True for a call of an API, and not an event of a service or of the console's sign-in.
    pub fn is_call(&self) -> bool {
        self.0["eventType"]
            .as_str()
            .is_none_or(|kind| kind == "AwsApiCall")
    }

    /// True if the call is about the resource of this name, or may be: if CloudTrail left the request's parameters out,
    /// the event may name it.
    pub(crate) fn may_name(&self, name: &str) -> bool {
        let parameters = &self.0["requestParameters"];
        let left_out = !parameters.is_object() || parameters.get("omitted").is_some();
        let named = [parameters, &self.0["resources"], &self.0[ABOUT]];
        left_out || named.into_iter().any(|value| names(value, name))
    }

    /// True if the call had its effect.
    pub fn succeeded(&self) -> bool {
        self.0["errorCode"].is_null()
    }

    /// When it was called.
    pub fn at(&self) -> Option<Timestamp> {
        self.0["eventTime"].as_str()?.parse().ok()
    }

    /// The address that the call came from, or the service that called.
    pub fn address(&self) -> Option<&str> {
        self.0["sourceIPAddress"].as_str()
    }

    /// The time of the call, for a sentence.
    pub fn time(&self) -> String {
        printable(self.0["eventTime"].as_str().unwrap_or("an unknown time"))
    }

    /// Who called.
    pub fn caller(&self) -> &Value {
        &self.0["userIdentity"]
    }

    /// The caller, in words.
    pub fn caller_name(&self) -> String {
        let caller = self.caller();
        let name = ["arn", "userName", "invokedBy", "principalId", "type"]
            .iter()
            .find_map(|member| caller[member].as_str());
        printable(name.unwrap_or("somebody"))
    }

    /// The temporary access key that the call issued.
    pub(crate) fn issued_key(&self) -> Option<&str> {
        self.0["responseElements"]["credentials"]["accessKeyId"].as_str()
    }

    /// A parameter of the request, printable.
    pub fn parameter(&self, member: &str) -> String {
        printable(self.0["requestParameters"][member].as_str().unwrap_or("?"))
    }

    /// The ids of the instances that the call started. Printable.
    pub(crate) fn started_instances(&self) -> Vec<String> {
        let items = self.0["responseElements"]["instancesSet"]["items"].as_array();
        let ids = items.into_iter().flatten();
        let ids = ids.filter_map(|item| item["instanceId"].as_str());
        ids.map(printable).collect()
    }

    /// The user and the id of the long-term key that the call made, if both are of their grammar.
    pub fn created_key(&self) -> Option<(String, String)> {
        if self.name() != "CreateAccessKey" || !self.succeeded() {
            return None;
        }
        let made = &self.0["responseElements"]["accessKey"];
        let key = made["accessKeyId"].as_str().filter(|key| {
            (16..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })?;
        let user = made["userName"].as_str().filter(|name| is_name(name))?;
        Some((user.to_owned(), key.to_owned()))
    }
}

/// Whether a text anywhere in `value` is the name of a resource, or an ARN that ends in it.
fn names(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => {
            let rest = text.strip_suffix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(':') || rest.ends_with('/'))
        }
        Value::Array(values) => values.iter().any(|value| names(value, name)),
        Value::Object(members) => members.values().any(|value| names(value, name)),
        _ => false,
    }
}

/// The grammar of the name of a user, so that nothing else gets into a call.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::types::Resource;

    use super::*;

    #[test]
    fn a_call_concerns_the_resources_that_the_event_history_names() {
        let record = r#"{"eventName": "PutBucketTagging", "requestParameters": {}}"#;
        let of = |name: &str| {
            let resource = Resource::builder().resource_name(name).build();
            let event = Event::builder()
                .cloud_trail_event(record)
                .resources(resource);
            CloudTrailEvent::read(&event.build()).expect("a record")
        };
        assert!(of("exposed").may_name("exposed"));
        assert!(!of("another").may_name("exposed"));
    }
}
