//! The forms in which a finding is handed over.
//!
//! | form | source | read by |
//! |---|---|---|
//! | EventBridge event, the finding in `detail`, of GuardDuty's or of a [drill](DRILL_SOURCE) | the rules of the stack | [`Finding::parse`] |
//! | the bare `detail` | the export to S3 | [`Finding::parse`] |
//! | the members in capitals (`Id`, `AccountId`) | the API `GetFindings`, as the AWS CLI and most SDKs show it | [`Finding::read`] |
//! | either inside an event that lacks members | test events | [`Finding::read`] |
//! | each of these inside a record of SNS or SQS, an entry of `PutEvents`, a line of a log | relays and their archives | [`split`], then [`Finding::read`] |
//!
//! A finding of Security Hub (ASFF, OCSF) is none of them, and is refused as what it is. So is a record of
//! SNS or SQS by a function, which reads only what EventBridge hands to it.

mod security_hub;
mod wrapping;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::wrapping::split;
use super::{DRILL_SOURCE, Finding, printable, wire};
use crate::error::{Error, Result};

/// The `detail-type` of a finding's event.
pub const DETAIL_TYPE: &str = "GuardDuty Finding";
const SOURCE: &str = "aws.guardduty";

/// The account and the Region of the detector, and the time of the event, as the envelope has them.
#[derive(Debug, Default)]
pub(super) struct Detector {
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) time: Option<Timestamp>,
    /// The finding is as the API shows it: only as it was last.
    pub(super) of_api: bool,
}

/// An event as EventBridge hands it over,
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Envelope {
    detail_type: String,
    source: String,
    account: Option<String>,
    time: Option<Timestamp>,
    region: Option<String>,
    detail: Value,
}

impl Finding {
    /// Reads the event that EventBridge hands to a function, or the bare `detail` of one.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the path of the member that is missing, of the wrong type or not
    /// of its grammar.
    pub fn parse(event: &Value) -> Result<Self> {
        let members = object(event, "event")?;
        if members.contains_key("schemaVersion") && !members.contains_key("detail") {
            return Self::from_detail(event, "", None);
        }
        wrapping::refuse(members)?;
        security_hub::refuse(members, "")?;
        Self::from_event(event)
    }

    /// Reads a finding in any of the [forms](self). An event that lacks `source` or `detail-type`
    /// is taken for GuardDuty's; one that has others is refused.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the path of the member in the document. It is written with the
    /// wire's names, so that `Resource.InstanceDetails.InstanceId` is
    /// `resource.instanceDetails.instanceId`.
    pub fn read(document: &Value) -> Result<Self> {
        let members = object(document, "document")?;
        let Some(detail) = members.get("detail") else {
            wrapping::refuse(members)?;
            security_hub::refuse(members, "")?;
            return match wire_names(members) {
                Some(converted) => {
                    let detector = Detector {
                        of_api: true,
                        ..Detector::default()
                    };
                    Self::from_detail(&converted, "", Some(detector))
                }
                None => Self::from_detail(document, "", None),
            };
        };
        let mut event = members.clone();
        for (member, ours) in [("detail-type", DETAIL_TYPE), ("source", SOURCE)] {
            event.entry(member).or_insert_with(|| ours.into());
        }
        if let Some(members) = detail.as_object() {
            security_hub::refuse(members, "detail.")?;
            if let Some(converted) = wire_names(members) {
                event.insert("detail".to_owned(), converted);
            }
        }
        Self::from_event(&Value::Object(event))
    }

    /// [`read`](Self::read) for JSON text. A bare `detail`, the form that there are gigabytes of,
    /// is read without building the document in between.
    ///
    /// # Errors
    /// As for [`read`](Self::read); and [`Error::Malformed`] for what is not JSON, with the place.
    pub fn read_slice(json: &[u8]) -> Result<Self> {
        if let Ok(detail) = serde_json::from_slice::<wire::Object<wire::Detail>>(json)
            && detail.0.detail.is_none()
        {
            return Self::checked(detail.0, "", None);
        }
        // Anything else goes the way that can say what it is, or what is wrong with it.
        let document = serde_json::from_slice(json)
            .map_err(|error| Error::malformed("document", format!("not JSON: {error}")))?;
        Self::read(&document)
    }

    fn from_event(event: &Value) -> Result<Self> {
        // A rule hands over other kinds of GuardDuty events too if someone widens its pattern, and
        // a person can invoke the function with anything.
        let envelope: Envelope = typed(event, "")?;
        security_hub::refuse_event(&envelope)?;
        let drill = envelope.source == DRILL_SOURCE;
        let source = if drill { DRILL_SOURCE } else { SOURCE };
        for (member, found, expected) in [
            ("detail-type", &envelope.detail_type, DETAIL_TYPE),
            ("source", &envelope.source, source),
        ] {
            if found != expected {
                return Err(Error::malformed(
                    member,
                    format!("expected '{expected}', found '{}'", printable(found)),
                ));
            }
        }
        let detector = Detector {
            account: envelope.account,
            region: envelope.region,
            time: envelope.time,
            of_api: false,
        };
        object(&envelope.detail, "detail")?;
        Ok(Self {
            drill,
            ..Self::from_detail(&envelope.detail, "detail.", Some(detector))?
        })
    }

    /// `root` is what the paths of the detail's members begin with.
    fn from_detail(detail: &Value, root: &'static str, detector: Option<Detector>) -> Result<Self> {
        let detail = typed(detail, root)?;
        Self::checked(detail, root, detector)
    }
}

/// The finding in a document of one of the [forms](self), without its envelope. It has the wire's names, as the
/// `detail` of an event has it.
///
/// # Errors
/// As for [`Finding::read`].
pub fn detail_of(document: &Value) -> Result<Value> {
    let finding = Finding::read(document)?;
    let members = object(document, "document")?;
    let detail = match members.get("detail") {
        Some(detail) => object(detail, "detail")?,
        None => members,
    };
    let mut detail = wire_names(detail).unwrap_or_else(|| Value::Object(detail.clone()));
    // The envelope may say it in their place, which the detail is without here.
    for (member, value) in [
        ("accountId", finding.account_id),
        ("region", finding.region),
    ] {
        if detail[member].as_str().is_none_or(str::is_empty) {
            detail[member] = value.into();
        }
    }
    Ok(detail)
}

fn object<'a>(value: &'a Value, member: &str) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| {
        Error::malformed(
            member,
            format!("expected a JSON object, found {}", wire::kind(value)),
        )
    })
}

/// The detail by the wire's names, if it has those of the API.
fn wire_names(members: &Map<String, Value>) -> Option<Value> {
    let of_api = ["Id", "Type", "AccountId", "Resource", "Service"];
    let is_api = of_api.iter().any(|name| members.contains_key(*name));
    is_api.then(|| renamed(members, "", 0))
}

/// Members whose name on the wire is not the API's with a small first letter: the member that they
/// are in, the API's name, the wire's. From the service's model, as botocore has it.
const IRREGULAR: [(&str, &str, &str); 11] = [
    ("account", "Name", "account"),
    ("ec2Instance", "IamInstanceProfile", "IamInstanceProfile"),
    ("kubernetesWorkload", "KubernetesResourcesTypes", "type"),
    ("location", "Latitude", "lat"),
    ("location", "Longitude", "lon"),
    ("productCodes", "Code", "productCodeId"),
    ("productCodes", "ProductType", "productCodeType"),
    (
        "rdsLoginAttemptAction",
        "LoginAttributes",
        "LoginAttributes",
    ),
    ("kubernetesApiCallAction", "SourceIps", "sourceIPs"),
    ("taskDetails", "TaskCreatedAt", "createdAt"),
    ("session", "MfAStatus", "mfaStatus"),
];

/// Members that are maps, and how many levels of them: their keys are data, such as the names of
/// features and of kinds of resources.
const MAPS: [(&str, u8); 3] = [("affectedResources", 1), ("profiles", 2), ("behavior", 2)];

fn renamed(members: &Map<String, Value>, parent: &str, levels_of_data: u8) -> Value {
    let rename = |(name, value): (&String, &Value)| {
        if levels_of_data > 0 {
            return (name.clone(), renamed_value(value, "", levels_of_data - 1));
        }
        let name = wire_name(parent, name);
        let map = MAPS.iter().find(|(map, _)| *map == name);
        let value = renamed_value(value, &name, map.map_or(0, |(_, levels)| *levels));
        (name, value)
    };
    // Where a document has a member by both names, the wire's stands.
    let (of_api, of_wire): (Vec<_>, Vec<_>) = members
        .iter()
        .partition(|(name, _)| name.starts_with(|first: char| first.is_ascii_uppercase()));
    Value::Object(of_api.into_iter().chain(of_wire).map(rename).collect())
}

fn renamed_value(value: &Value, parent: &str, levels_of_data: u8) -> Value {
    match value {
        Value::Object(members) => renamed(members, parent, levels_of_data),
        Value::Array(members) => members
            .iter()
            .map(|member| renamed_value(member, parent, levels_of_data))
            .collect(),
        plain => plain.clone(),
    }
}

fn wire_name(parent: &str, name: &str) -> String {
    let irregular = IRREGULAR
        .iter()
        .find(|(within, api, _)| *within == parent && *api == name);
    if let Some((_, _, wire)) = irregular {
        return (*wire).to_owned();
    }
    let mut wire = name.to_owned();
    if let Some(first) = wire.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    wire
}

/// Reads `value`; an error names the member by its path, which begins with `root`.
fn typed<T: DeserializeOwned>(value: &Value, root: &str) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let problem = printable(&error.inner().to_string());
        // serde names a missing member in its message and only its parent in the path.
        let missing = problem
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'));
        let inner = error.path().to_string();
        let inner = if inner == "." { "" } else { inner.as_str() };
        let member = [
            root.trim_end_matches('.'),
            inner,
            missing.unwrap_or_default(),
        ]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(".");
        let member = if member.is_empty() { "event" } else { &member };
        match missing {
            Some(_) => Error::malformed(printable(member), "missing"),
            None => Error::malformed(printable(member), problem),
        }
    })
}

#[cfg(test)]
mod tests;
