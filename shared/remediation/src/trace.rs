//! The X-Ray trace that an invocation belongs to, carried on to what it sends.

use std::collections::HashMap;

use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends as SystemAttribute, MessageSystemAttributeValue,
};

/// The IAM permissions that Lambda needs of a function's role to write the trace,
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html>.
pub const PERMISSIONS: &[&str] = &["xray:PutTelemetryRecords", "xray:PutTraceSegments"];

/// The HTTP header that a trace is carried on in.
pub(crate) const HEADER: &str = "x-amzn-trace-id";

/// A tracing header,
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    header: String,
    id: String,
}

impl Trace {
    /// The trace of a header such as `Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1`. `None`: it
    /// has none, or not one of X-Ray's form, with which SQS would refuse a message.
    pub fn parse(header: &str) -> Option<Self> {
        let mut members = header
            .split(';')
            .filter_map(|member| member.split_once('='));
        let id =
            members.find_map(|(name, value)| (name.trim() == "Root").then_some(value.trim()))?;
        let mut parts = id.split('-');
        let hexadecimal = |part: Option<&str>, length| {
            part.is_some_and(|part| {
                part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        };
        let well_formed = parts.next() == Some("1")
            && hexadecimal(parts.next(), 8)
            && hexadecimal(parts.next(), 24)
            && parts.next().is_none();
        let sendable = header.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        (well_formed && sendable).then(|| Self {
            header: header.to_owned(),
            id: id.to_owned(),
        })
    }

    /// The whole header, for what is sent.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The trace's id, by which the console of X-Ray finds it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The attribute that carries it on in a message,
    /// <https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html>.
    pub(crate) fn sqs_attributes(
        &self,
    ) -> Option<HashMap<SystemAttribute, MessageSystemAttributeValue>> {
        let value = MessageSystemAttributeValue::builder()
            .data_type("String")
            .string_value(&self.header)
            .build()
            .ok()?;
        Some([(SystemAttribute::AwsTraceHeader, value)].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_its_header_and_the_id_to_look_it_up_by() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let trace = Trace::parse(header).expect("a trace");
        assert_eq!(trace.header(), header);
        assert_eq!(trace.id(), "1-5759e988-bd862e3fe1be46a994272793");
    }

    #[test]
    fn a_trace_header_that_sqs_refuses_is_dropped() {
        for header in [
            "",
            "Sampled=1",
            "Root=",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a99427279",
            "Root=1-5759e988-bd862e3fe1be46a99427279g",
            "Root=1-5759e988-bd862e3fe1be46a994272793-1",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=\u{7}",
        ] {
            assert_eq!(Trace::parse(header), None, "{header:?}");
        }
    }
}
