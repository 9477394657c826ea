//! A GuardDuty finding, typed: read from the event, checked once, and trusted from then on.

mod abridged;
mod actor;
mod behaviour;
mod drill;
mod forms;
mod ids;
mod kind;
mod object;
mod origin;
mod principal;
mod printable;
mod resource;
mod runtime;
mod same;
mod sample;
mod sequence;
mod when;
mod wire;

use crate::error::{Error, Result};
pub use abridged::abridged;
pub use behaviour::{Aspect, Behaviour, Frequency, Whose};
pub use drill::DRILL_SOURCE;
pub use forms::{DETAIL_TYPE, detail_of, split};
pub use kind::{FindingType, Severity};
pub use object::ObjectVersion;
pub use origin::{ApiCall, Remote};
pub use principal::{Principal, RoleSession};
pub use printable::{printable, visible};
pub use resource::{Bucket, Interface};
pub use runtime::FileChange;
pub use sequence::instance;
pub use sequence::{Actor, Endpoint, Indicator, Resource, Sequence, Signal};

/// One finding of Amazon GuardDuty,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html>.
#[derive(Debug)]
pub struct Finding {
    /// GuardDuty's id, the same for every update of the finding.
    pub id: String,
    /// GuardDuty's name for it.
    pub finding_type: FindingType,
    /// The account that owns the resource.
    pub account_id: String,
    /// The Region that the finding names. For a call that CloudTrail recorded it is that of the call; see
    /// [`Finding::instance_region`].
    pub region: String,
    /// How bad GuardDuty holds it to be.
    pub severity: Severity,
    detector: forms::Detector,
    detail: wire::Detail,
    /// The beginning of the paths of the detail's members. `detail.`, or nothing for a bare one.
    root: &'static str,
    drill: bool,
    /// When the marks of its buckets were seen first, where that is known.
    marks_seen_at: Option<jiff::Timestamp>,
}

impl Finding {
    fn checked(
        detail: wire::Detail,
        root: &'static str,
        detector: Option<forms::Detector>,
    ) -> Result<Self> {
        let detector = detector.unwrap_or_default();
        let (account_at, account) = stated(
            (format!("{root}accountId"), &detail.account_id),
            ("account", &detector.account),
        )?;
        let (region_at, region) = stated(
            (format!("{root}region"), &detail.region),
            ("region", &detector.region),
        )?;
        Ok(Self {
            id: ids::finding(format_args!("{root}id"), &detail.id)?,
            finding_type: FindingType::at(format_args!("{root}type"), &detail.finding_type)?,
            account_id: ids::account(account_at, &account)?,
            region: ids::region(region_at, &region)?,
            severity: Severity::at(format_args!("{root}severity"), detail.severity)?,
            detector,
            detail,
            root,
            drill: false,
            marks_seen_at: None,
        })
    }

    /// The name of the account's own detection rule that made the finding, printable. `None`: it is one of
    /// GuardDuty's own detections, or of a rule that AWS wrote.
    pub fn custom_detection_rule(&self) -> Option<&str> {
        self.detail.custom_detection_rule_name.as_deref()
    }

    /// GuardDuty's title for people; control and direction characters made visible.
    pub fn title(&self) -> String {
        self.detail.title.clone().unwrap_or_default()
    }

    /// GuardDuty's description for people; control and direction characters made visible.
    pub fn description(&self) -> String {
        self.detail.description.clone().unwrap_or_default()
    }

    /// The finding's ARN, or its id where it has none.
    pub fn arn(&self) -> String {
        self.detail.arn.as_ref().unwrap_or(&self.id).clone()
    }

    /// The finding's ARN in GuardDuty, by which other services know it.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it has none, or one of another form.
    pub fn guardduty_arn(&self) -> Result<String> {
        let member = format!("{}arn", self.root);
        ids::finding_arn(
            member,
            self.detail.arn.as_deref().unwrap_or_default(),
            &self.id,
        )
    }

    /// The AWS partition of the Region, <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>. The
    /// partition in the finding's ARN does not count: the calls go to the Region.
    pub fn partition(&self) -> &'static str {
        partition_of(&self.region)
    }

    /// The account of the detector that made the finding, where the event says so; else the
    /// resource's. A delegated administrator's account gets the findings of its members too.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the event gives what is no account id. An error stops no containment: the resource's
    /// account is [`account_id`](Self::account_id).
    pub fn detector_account(&self) -> Result<String> {
        let account = self.detector.account.as_ref();
        account.map_or_else(
            || Ok(self.account_id.clone()),
            |text| ids::account("account", text),
        )
    }

    /// The Region of the detector that made the finding, where the event says so; else the
    /// resource's. They differ for findings from the events of global services; a call about the
    /// finding itself goes to the detector's.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the event gives what is no Region.
    pub fn detector_region(&self) -> Result<String> {
        let region = self.detector.region.as_ref();
        region.map_or_else(
            || Ok(self.region.clone()),
            |text| ids::region("region", text),
        )
    }

    /// `Instance`, `AccessKey`, `S3Bucket` …; it does not tell S3 findings from IAM ones.
    pub fn resource_type(&self) -> &str {
        let resource_type = self.detail.resource.resource_type.as_deref();
        resource_type.unwrap_or_default()
    }

    /// True if an analyst archived the finding in GuardDuty.
    pub fn is_archived(&self) -> bool {
        self.detail.service.archived
    }

    /// Takes the finding for what it was before it was archived.
    pub fn take_out_of_archive(&mut self) {
        self.detail.service.archived = false;
    }

    /// True if the instance is the one that was attacked, not the one that attacks.
    ///
    /// `resourceRole` alone does not tell: GuardDuty sets TARGET on DNS findings, where the
    /// instance asked for the malicious domain, and leaves it out of Runtime Monitoring findings.
    pub fn instance_is_victim(&self) -> bool {
        let service = &self.detail.service;
        let action = &service.action;
        let target = service.resource_role.as_deref() == Some("TARGET");
        let probed = action.action_type.as_deref() == Some("PORT_PROBE");
        let connection = action.network_connection_action.as_ref();
        let inbound = connection.is_some_and(|connection| {
            connection.connection_direction.as_deref() == Some("INBOUND")
        });
        let name = self.finding_type.name();
        let probe = name.starts_with("PortProbe");
        let either = name.ends_with("BruteForce");
        probe
            || probed
            || (target && inbound)
            || (either && service.resource_role.as_deref() != Some("ACTOR"))
    }

    /// The path of a member of the detail, as in the document that was read.
    fn path(&self, member: &str) -> String {
        format!("{}{member}", self.root)
    }
}

/// The AWS partition of a Region.
pub fn partition_of(region: &str) -> &'static str {
    const BY_REGION: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    BY_REGION
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("aws", |(_, partition)| partition)
}

/// True if `text` is the id of an instance.
pub fn is_instance_id(text: &str) -> bool {
    ids::instance("session", text).is_ok()
}

/// The member of the detail, or that of the envelope if the detail has none; after its path.
fn stated(
    (in_detail, value): (String, &Option<String>),
    (in_envelope, otherwise): (&str, &Option<String>),
) -> Result<(String, String)> {
    let said = |text: &&String| !text.is_empty();
    match (value.as_ref().filter(said), otherwise.as_ref().filter(said)) {
        (Some(text), _) => Ok((in_detail, text.clone())),
        (None, Some(text)) => Ok((in_envelope.to_owned(), text.clone())),
        (None, None) => Err(Error::malformed(in_detail, "missing")),
    }
}

/// The value of `member`, which must be there.
fn needed(member: impl Into<String>, value: &Option<String>) -> Result<&str> {
    match value.as_deref() {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Error::malformed(member, "missing or empty")),
    }
}

#[cfg(test)]
mod tests;
