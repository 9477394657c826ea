//! The content of an attack sequence: who acted, on which resources, from where, by which signs.
//!
//! Its members: the `Sequence` shape of GuardDuty,
//! <https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Sequence.html>. A member that only informs may be
//! absent or of any type; all text is made [printable](super::printable). Ids of resources are held against AWS's
//! grammars where they are read.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Finding, ids, printable, wire};
use crate::category::Category;
use crate::error::{Error, Result};

const MEMBER: &str = "detail.service.detection.sequence";

/// An attack sequence. Actors, resources and endpoints that more signals name come first; signals
/// that are more severe do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequence {
    /// The sequence's id.
    pub uid: Option<String>,
    /// GuardDuty's description for people.
    pub description: Option<String>,
    /// Who acted.
    pub actors: Vec<Actor>,
    /// The affected resources.
    pub resources: Vec<Resource>,
    /// The remote ends of the actors' connections.
    pub endpoints: Vec<Endpoint>,
    /// The events and findings that it was put together from.
    pub signals: Vec<Signal>,
    /// The indicators over all signals.
    pub indicators: Vec<Indicator>,
    /// Types of other sequences that it may be part of.
    pub additional_types: Vec<String>,
}

/// Who acted: a principal, a process, or both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actor {
    /// By which signals name it.
    pub id: Option<String>,
    /// The principal's name.
    pub user_name: Option<String>,
    /// The principal's unique id: `AIDA…`, or `AROA…:session`.
    pub user_uid: Option<String>,
    /// `IAMUser`, `AssumedRole` and so on, as CloudTrail calls it.
    pub user_type: Option<String>,
    /// The access key that was used.
    pub credential: Option<String>,
    /// The account in which the principal acted; it may be another one's.
    pub account: Option<String>,
    /// The ARN of who issued the session.
    pub issuer: Option<String>,
    /// `ENABLED` or `DISABLED`.
    pub mfa: Option<String>,
    /// The path of the process, or its name.
    pub process: Option<String>,
}

/// A resource that is concerned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// Its ARN, or its id.
    pub uid: Option<String>,
    /// Its name, which may be a tag.
    pub name: Option<String>,
    /// `S3_BUCKET`, `EC2_INSTANCE`, `ACCESS_KEY` and so on.
    pub kind: String,
    /// The account that owns it.
    pub account: Option<String>,
    /// Its Region.
    pub region: Option<String>,
    /// Its tags, as keys and values.
    pub tags: Vec<(String, String)>,
    /// For an access key: the unique id of its principal.
    pub principal_id: Option<String>,
    /// For an access key: the name of its principal.
    pub user_name: Option<String>,
    /// For an access key: `IAMUser`, `AssumedRole` and so on.
    pub user_type: Option<String>,
    /// For a bucket: `PUBLIC` or `NOT_PUBLIC`.
    pub effective_permission: Option<String>,
    /// For a network interface: its public address.
    pub public_ip: Option<String>,
    /// For an instance: its network interfaces.
    pub interfaces: Vec<String>,
    /// The ARN of the instance profile, of an instance.
    pub instance_profile: Option<String>,
    /// The Availability Zone, of an instance.
    pub zone: Option<String>,
    /// For a holder of instances, such as a cluster or an instance profile: their ARNs or ids.
    pub instances: Vec<String>,
}

/// The remote end of an actor's connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoint {
    /// By which signals name it.
    pub id: Option<String>,
    /// The address.
    pub ip: Option<String>,
    /// The domain.
    pub domain: Option<String>,
    /// The port.
    pub port: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The country.
    pub country: Option<String>,
    /// The name of the network's operator.
    pub organisation: Option<String>,
    /// The number of the autonomous system.
    pub asn: Option<String>,
    /// `INBOUND` or `OUTBOUND`.
    pub direction: Option<String>,
}

/// An event or a finding that is part of the sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signal {
    /// Its id; a finding's is the finding's.
    pub uid: Option<String>,
    /// `FINDING`, `CLOUD_TRAIL`, `S3_DATA_EVENTS` and so on.
    pub kind: Option<String>,
    /// The finding's type, or the name of the API.
    pub name: Option<String>,
    /// 0 to 10, where it has one.
    pub severity: Option<f64>,
    /// How often it was seen.
    pub count: Option<u64>,
    /// When it was first seen.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen.
    pub last_seen: Option<Timestamp>,
    /// The [`Resource::uid`]s of what it concerns.
    pub resources: Vec<String>,
    /// The [`Actor::id`]s of who did it.
    pub actors: Vec<String>,
    /// The [`Endpoint::id`]s of where it came from.
    pub endpoints: Vec<String>,
    /// The indicators.
    pub indicators: Vec<Indicator>,
}

/// Something noticed: `TOR_IP`, `ATTACK_TECHNIQUE` and so on, with its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Indicator {
    /// The name of the indicator.
    pub key: String,
    /// Which.
    pub values: Vec<String>,
}

impl Finding {
    /// True for the kinds of findings that GuardDuty puts together from others,
    /// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-attack-sequence-finding-types.html>.
    pub fn is_attack_sequence(&self) -> bool {
        self.finding_type.purpose() == "AttackSequence"
    }

    /// The sequence that the finding describes. `None`: it has no such section, as events have been
    /// seen to.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the section or one of its lists is of another type.
    pub fn sequence(&self) -> Result<Option<Sequence>> {
        match &self.detail.service.detection["sequence"] {
            Value::Null => Ok(None),
            value @ Value::Object(_) => Sequence::read(value).map(Some),
            other => Err(unexpected(MEMBER, "an object", other)),
        }
    }

    /// The function that triage handed a part of an attack sequence to. The finding then names that
    /// one resource, where a finding on it alone would. `None`: it is a finding as GuardDuty made it.
    pub fn handed_over_to(&self) -> Option<Category> {
        let whole = self.resource_type() == "AttackSequence";
        let word = self.detail.handed_over_to.as_str()?;
        Category::from_word(word)
            .filter(|to| self.is_attack_sequence() && !whole && *to != Category::Triage)
    }
}

impl Sequence {
    fn read(value: &Value) -> Result<Self> {
        let mut sequence = Self {
            uid: text(&value["uid"]),
            description: text(&value["description"]),
            actors: list(value, "actors", Actor::read)?,
            resources: list(value, "resources", Resource::read)?,
            endpoints: list(value, "endpoints", Endpoint::read)?,
            signals: list(value, "signals", Signal::read)?,
            indicators: list(value, "sequenceIndicators", Indicator::read)?,
            additional_types: texts(&value["additionalSequenceTypes"]),
        };
        sequence.sort();
        Ok(sequence)
    }

    fn sort(&mut self) {
        self.signals.sort_by(|a, b| {
            let weight = |signal: &Signal| signal.severity.unwrap_or_default();
            weight(b).total_cmp(&weight(a)).then(b.count.cmp(&a.count))
        });
        let signals = &self.signals;
        let named = |of: fn(&Signal) -> &Vec<String>| {
            let mut named = HashMap::<&String, usize>::new();
            for id in signals.iter().flat_map(of) {
                *named.entry(id).or_default() += 1;
            }
            move |id: &Option<String>| Reverse(id.as_ref().and_then(|id| named.get(id).copied()))
        };
        let (actors, resources) = (named(|s| &s.actors), named(|s| &s.resources));
        let endpoints = named(|s| &s.endpoints);
        self.actors.sort_by_key(|actor| actors(&actor.id));
        self.resources
            .sort_by_key(|resource| resources(&resource.uid));
        self.endpoints
            .sort_by_key(|endpoint| endpoints(&endpoint.id));
    }
}

impl Actor {
    fn read(value: &Value) -> Self {
        let (user, session) = (&value["user"], &value["session"]);
        let process = &value["process"];
        Self {
            id: text(&value["id"]),
            user_name: text(&user["name"]),
            user_uid: text(&user["uid"]),
            user_type: text(&user["type"]),
            credential: text(&user["credentialUid"]),
            account: text(&user["account"]["uid"]),
            issuer: text(&session["issuer"]),
            mfa: text(&session["mfaStatus"]),
            process: text(&process["path"]).or_else(|| text(&process["name"])),
        }
    }
}

impl Resource {
    fn read(value: &Value) -> Self {
        let data = &value["data"];
        let key = &data["accessKey"];
        let instance = &data["ec2Instance"];
        // The API's name of it begins with a capital, as no other's.
        let profiles = ["IamInstanceProfile", "iamInstanceProfile"];
        let tags = value["tags"].as_array().into_iter().flatten();
        // One member of `data`, by the kind of resource, lists instances.
        let parts = data.as_object().into_iter().flat_map(|data| data.values());
        Self {
            uid: text(&value["uid"]),
            name: text(&value["name"]),
            kind: text(&value["resourceType"]).unwrap_or_default(),
            account: text(&value["accountId"]),
            region: text(&value["region"]),
            tags: tags
                .filter_map(|tag| {
                    let value = text(&tag["value"]).unwrap_or_default();
                    Some((text(&tag["key"])?, value))
                })
                .collect(),
            principal_id: text(&key["principalId"]),
            user_name: text(&key["userName"]),
            user_type: text(&key["userType"]),
            effective_permission: text(&data["s3Bucket"]["effectivePermission"]),
            public_ip: text(&data["ec2NetworkInterface"]["publicIp"]),
            interfaces: texts(&instance["ec2NetworkInterfaceUids"]),
            instance_profile: profiles
                .iter()
                .find_map(|member| text(&instance[*member]["arn"])),
            zone: text(&instance["availabilityZone"]),
            instances: parts
                .flat_map(|part| texts(&part["ec2InstanceUids"]))
                .collect(),
        }
    }

    /// The bucket, or the one that the object is in, if its name is one.
    pub fn bucket(&self) -> Option<String> {
        let in_arn = self.uid.as_deref().and_then(|uid| uid.split_once(":s3:::"));
        let name = match in_arn {
            Some((_, path)) => path.split('/').next(),
            None if self.kind == "S3_BUCKET" => self.name.as_deref().or(self.uid.as_deref()),
            None => None,
        };
        ids::bucket("name", name?).ok()
    }

    /// The access key, if its id is one.
    pub fn access_key(&self) -> Option<String> {
        [&self.uid, &self.name]
            .into_iter()
            .flatten()
            .find_map(|id| ids::access_key("uid", last(id)).ok())
    }
}

/// The id of the instance that an ARN or an id names, if it is one. Not a name: it is a tag, which may be anything.
pub fn instance(uid: &str) -> Option<String> {
    ids::instance("uid", last(uid)).ok()
}

fn last(id: &str) -> &str {
    id.rsplit(['/', ':']).next().unwrap_or_default()
}

impl Endpoint {
    fn read(value: &Value) -> Self {
        let (location, system) = (&value["location"], &value["autonomousSystem"]);
        Self {
            id: text(&value["id"]),
            ip: text(&value["ip"]),
            domain: text(&value["domain"]),
            port: text(&value["port"]),
            city: text(&location["city"]),
            country: text(&location["country"]),
            organisation: text(&system["name"]),
            asn: text(&system["number"]),
            direction: text(&value["connection"]["direction"]),
        }
    }
}

impl Signal {
    fn read(value: &Value) -> Self {
        let severity = &value["severity"];
        let count = &value["count"];
        let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let indicators = value["signalIndicators"].as_array().into_iter().flatten();
        Self {
            uid: text(&value["uid"]),
            kind: text(&value["type"]),
            name: text(&value["name"]),
            severity: number(severity).filter(|number: &f64| number.is_finite()),
            count: count.as_u64().or_else(|| count.as_str()?.parse().ok()),
            first_seen: time(&value["firstSeenAt"]),
            last_seen: time(&value["lastSeenAt"]),
            resources: texts(&value["resourceUids"]),
            actors: texts(&value["actorIds"]),
            endpoints: texts(&value["endpointIds"]),
            indicators: indicators.map(Indicator::read).collect(),
        }
    }
}

impl Indicator {
    fn read(value: &Value) -> Self {
        Self {
            key: text(&value["key"]).unwrap_or_default(),
            values: texts(&value["values"]),
        }
    }
}

/// Text, or a number in place of text. Nothing else, and not empty.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(printable(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    let values = value.as_array().into_iter().flatten();
    values.filter_map(text).collect()
}

/// A time in RFC 3339, in the same without an offset, which is UTC, or in seconds of the epoch.
fn time(value: &Value) -> Option<Timestamp> {
    let Some(text) = value.as_str() else {
        let milliseconds = value.as_f64()? * 1000.0;
        // A cast saturates, and what is out of range is no time.
        return Timestamp::from_millisecond(milliseconds.round() as i64).ok();
    };
    text.parse()
        .ok()
        .or_else(|| format!("{text}Z").parse().ok())
}

fn list<T>(sequence: &Value, member: &str, read: impl Fn(&Value) -> T) -> Result<Vec<T>> {
    let path = format!("{MEMBER}.{member}");
    let entries = match &sequence[member] {
        Value::Null => return Ok(Vec::new()),
        Value::Array(entries) => entries,
        other => return Err(unexpected(&path, "an array", other)),
    };
    let entries = entries.iter().enumerate();
    entries
        .filter(|(_, entry)| !entry.is_null())
        .map(|(index, entry)| match entry {
            Value::Object(_) => Ok(read(entry)),
            other => Err(unexpected(&format!("{path}[{index}]"), "an object", other)),
        })
        .collect()
}

fn unexpected(member: &str, expected: &str, found: &Value) -> Error {
    let found = wire::kind(found);
    Error::malformed(member, format!("expected {expected}, found {found}"))
}

#[cfg(test)]
mod tests;
