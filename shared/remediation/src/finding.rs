//! A GuardDuty finding, typed: read from the event, checked once, and trusted from then on.

mod ids;
mod kind;
mod principal;
mod same;
mod wire;

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};
pub use kind::{FindingType, Severity};
pub use principal::{Principal, RoleSession};

/// One finding of Amazon GuardDuty,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html>.
#[derive(Debug)]
pub struct Finding {
    /// GuardDuty's id, the same for every update of the finding.
    pub id: String,
    /// What GuardDuty calls it.
    pub finding_type: FindingType,
    /// The account that owns the resource.
    pub account_id: String,
    /// The Region of the resource.
    pub region: String,
    /// How bad GuardDuty holds it to be.
    pub severity: Severity,
    detail: wire::Detail,
}

impl Finding {
    /// Reads the event that EventBridge hands to a function, or the bare `detail` of one.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the path of the member that is missing, of the wrong type or not
    /// of its grammar.
    pub fn parse(event: &Value) -> Result<Self> {
        let Value::Object(members) = event else {
            return Err(Error::malformed(
                "event",
                format!("expected a JSON object, found {}", wire::kind(event)),
            ));
        };
        if members.contains_key("schemaVersion") && !members.contains_key("detail") {
            return Self::from_detail(event, "");
        }
        // A rule hands over other kinds of GuardDuty events too if someone widens its pattern, and
        // a person can invoke the function with anything.
        let envelope: EventBridgeEvent<Value> = typed(event, "")?;
        if envelope.detail_type != "GuardDuty Finding" {
            return Err(Error::malformed(
                "detail-type",
                format!(
                    "expected 'GuardDuty Finding', found '{}'",
                    printable(&envelope.detail_type)
                ),
            ));
        }
        if envelope.source != "aws.guardduty" {
            return Err(Error::malformed(
                "source",
                format!(
                    "expected 'aws.guardduty', found '{}'",
                    printable(&envelope.source)
                ),
            ));
        }
        Self::from_detail(&envelope.detail, "detail")
    }

    fn from_detail(detail: &Value, path: &str) -> Result<Self> {
        if !detail.is_object() {
            return Err(Error::malformed(
                if path.is_empty() { "event" } else { path },
                format!("expected a JSON object, found {}", wire::kind(detail)),
            ));
        }
        let detail: wire::Detail = typed(detail, path)?;
        Ok(Self {
            id: ids::finding("detail.id", &detail.id)?,
            finding_type: FindingType::parse(&detail.finding_type)?,
            account_id: ids::account("detail.accountId", &detail.account_id)?,
            region: ids::region("detail.region", &detail.region)?,
            severity: Severity::new(detail.severity)?,
            detail,
        })
    }

    /// GuardDuty's title for people; control and direction characters made visible.
    pub fn title(&self) -> String {
        printable(self.detail.title.as_deref().unwrap_or_default())
    }

    /// GuardDuty's description for people; control and direction characters made visible.
    pub fn description(&self) -> String {
        printable(self.detail.description.as_deref().unwrap_or_default())
    }

    /// The finding's ARN, or its id where it has none.
    pub fn arn(&self) -> String {
        printable(self.detail.arn.as_deref().unwrap_or(&self.id))
    }

    /// The AWS partition, from the finding's ARN: `aws` unless it says otherwise.
    pub fn partition(&self) -> &str {
        let arn = self.detail.arn.as_deref().unwrap_or_default();
        match arn.split(':').nth(1) {
            Some(partition @ ("aws-cn" | "aws-us-gov")) => partition,
            _ => "aws",
        }
    }

    /// `Instance`, `AccessKey`, `S3Bucket` …; it does not tell S3 findings from IAM ones.
    pub fn resource_type(&self) -> &str {
        self.detail
            .resource
            .resource_type
            .as_deref()
            .unwrap_or_default()
    }

    /// True if a person archived the finding in GuardDuty.
    pub fn is_archived(&self) -> bool {
        self.detail.service.archived
    }

    /// True for a sample, by the flag in either of its places or by the ids that GuardDuty's sample
    /// generator uses. A sample is never enforced.
    pub fn is_sample(&self) -> bool {
        let info = &self.detail.service.additional_info;
        let flagged = |info: &Value| wire::as_truth(&info["sample"]) == Some(true);
        let in_value = info["value"]
            .as_str()
            .and_then(|text| serde_json::from_str::<Value>(text).ok())
            .is_some_and(|value| flagged(&value));
        let resource = &self.detail.resource;
        let placeholder = |text: &Option<String>| {
            text.as_deref().is_some_and(|text| {
                text.starts_with("GeneratedFinding") || matches!(text, "i-99999999" | "bucketName")
            })
        };
        flagged(info)
            || in_value
            || self.title().starts_with("[SAMPLE]")
            || resource
                .instance_details
                .as_ref()
                .is_some_and(|i| placeholder(&i.instance_id))
            || resource
                .s3_bucket_details
                .iter()
                .any(|bucket| placeholder(&bucket.name))
            || resource.access_key_details.as_ref().is_some_and(|key| {
                placeholder(&key.access_key_id)
                    || placeholder(&key.principal_id)
                    || placeholder(&key.user_name)
            })
    }

    /// When the activity was last seen; else when the finding was last updated.
    pub fn last_seen(&self) -> Option<Timestamp> {
        [
            &self.detail.service.event_last_seen,
            &self.detail.updated_at,
        ]
        .into_iter()
        .find_map(|text| text.as_deref()?.parse().ok())
    }

    /// When the activity was first seen.
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.detail
            .service
            .event_first_seen
            .as_deref()?
            .parse()
            .ok()
    }

    /// The names of the buckets, each once.
    ///
    /// # Errors
    /// [`Error::Malformed`] if one has no name or not a bucket's.
    pub fn buckets(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for (index, bucket) in self.detail.resource.s3_bucket_details.iter().enumerate() {
            let member = format!("detail.resource.s3BucketDetails[{index}].name");
            let name = ids::bucket(&member, needed(&member, &bucket.name)?)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The tags that `bucket` had when GuardDuty made the finding, as keys and values. `None`: the
    /// finding does not say.
    pub fn bucket_tags(&self, bucket: &str) -> Option<Vec<(&str, &str)>> {
        let buckets = &self.detail.resource.s3_bucket_details;
        let described = buckets
            .iter()
            .find(|described| described.name.as_deref() == Some(bucket))?;
        let tags = described.tags.as_array()?.iter();
        Some(
            tags.filter_map(|tag| {
                Some((
                    tag["key"].as_str()?,
                    tag["value"].as_str().unwrap_or_default(),
                ))
            })
            .collect(),
        )
    }

    /// The unique id of the user or role of another account that acted: `AIDA…`, or `AROA…` without
    /// the name of the session. `None`: the finding does not say, or by an id of no such grammar.
    pub fn foreign_principal_id(&self) -> Option<&str> {
        let details = self.detail.resource.access_key_details.as_ref()?;
        let id = details.principal_id.as_deref()?.split(':').next()?;
        let known = id.starts_with("AIDA") || id.starts_with("AROA");
        (known && id.len() > 4 && ids::unique_id("principalId", id).is_ok()).then_some(id)
    }

    /// True if the finding has the section that describes an instance.
    pub fn has_instance(&self) -> bool {
        self.detail.resource.instance_details.is_some()
    }

    /// The id of the instance.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the finding has none or it is not an instance's.
    pub fn instance_id(&self) -> Result<String> {
        const MEMBER: &str = "detail.resource.instanceDetails.instanceId";
        let details = self.detail.resource.instance_details.as_ref();
        let id = details.map_or(&None, |details| &details.instance_id);
        ids::instance(MEMBER, needed(MEMBER, id)?)
    }

    /// The principal that acted.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the finding names none, or one of this account by an id that is not
    /// of its grammar.
    pub fn principal(&self) -> Result<Principal> {
        const MEMBER: &str = "detail.resource.accessKeyDetails";
        let details = self.detail.resource.access_key_details.as_ref();
        let details = details.ok_or_else(|| Error::malformed(MEMBER, "missing"))?;
        needed(&format!("{MEMBER}.userType"), &details.user_type)?;
        Principal::parse(details)
    }

    /// The access key, long-term or temporary, with which the principal acted, if the finding has it
    /// and it is of the grammar of one.
    pub fn access_key_id(&self) -> Option<String> {
        let details = self.detail.resource.access_key_details.as_ref()?;
        let key = details.access_key_id.as_deref()?;
        ids::access_key("detail.resource.accessKeyDetails.accessKeyId", key).ok()
    }

    /// True if the finding says that a principal of this account acted, readable or not.
    pub fn names_own_principal(&self) -> bool {
        let details = self.detail.resource.access_key_details.as_ref();
        details.is_some_and(|key| {
            matches!(
                key.user_type.as_deref(),
                Some("IAMUser" | "AssumedRole" | "FederatedUser" | "Root")
            )
        })
    }

    /// The API that was called, for findings about API calls.
    pub fn api(&self) -> Option<&str> {
        self.detail
            .service
            .action
            .as_ref()?
            .aws_api_call_action
            .as_ref()?
            .api
            .as_deref()
    }

    /// The remote address of the API call or connection.
    pub fn remote_address(&self) -> Option<String> {
        let action = self.detail.service.action.as_ref()?;
        let call = action
            .aws_api_call_action
            .as_ref()
            .and_then(|a| a.remote_ip_details.as_ref());
        let connection = action
            .network_connection_action
            .as_ref()
            .and_then(|a| a.remote_ip_details.as_ref());
        let remote = call.or(connection)?;
        let address = remote
            .ip_address_v4
            .as_ref()
            .or(remote.ip_address_v6.as_ref())?;
        Some(printable(address))
    }

    /// The account that the call came from, if it came from another one.
    pub fn remote_account(&self) -> Option<&str> {
        let call = self
            .detail
            .service
            .action
            .as_ref()?
            .aws_api_call_action
            .as_ref()?;
        let account = call
            .remote_account_details
            .as_ref()?
            .account_id
            .as_deref()?;
        Some(account).filter(|account| *account != self.account_id)
    }

    /// True if the instance is the one that was attacked, not the one that attacks.
    ///
    /// `resourceRole` alone does not tell: GuardDuty sets TARGET on DNS findings, where the
    /// instance asked for the malicious domain, and leaves it out of Runtime Monitoring findings.
    pub fn instance_is_victim(&self) -> bool {
        let service = &self.detail.service;
        let target = service.resource_role.as_deref() == Some("TARGET");
        let action = service.action.as_ref();
        let probed = action.is_some_and(|a| a.action_type.as_deref() == Some("PORT_PROBE"));
        let inbound = action
            .and_then(|a| a.network_connection_action.as_ref())
            .is_some_and(|c| c.connection_direction.as_deref() == Some("INBOUND"));
        let name = self.finding_type.name();
        let probe = name.starts_with("PortProbe");
        let either = name.ends_with("BruteForce");
        probe
            || probed
            || (target && inbound)
            || (either && service.resource_role.as_deref() != Some("ACTOR"))
    }
}

/// Text from outside, made safe to show to a person: control characters and the marks that
/// reverse the direction of writing become visible escapes, and what is very long is cut.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 2_000;
    let mut shown = String::new();
    for character in text.chars().take(LONGEST) {
        let reorders = matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        );
        if character.is_control() || reorders {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

fn needed<'a>(member: &str, value: &'a Option<String>) -> Result<&'a str> {
    match value.as_deref() {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Error::malformed(member, "missing or empty")),
    }
}

fn typed<T: DeserializeOwned>(value: &Value, path: &str) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let problem = printable(&error.inner().to_string());
        // serde names a missing member in its message and only its parent in the path.
        let missing = problem
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'));
        let inner = error.path().to_string();
        let inner = if inner == "." { "" } else { inner.as_str() };
        let member = [path, inner, missing.unwrap_or_default()]
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
