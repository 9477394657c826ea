//! GuardDuty's type and severity of a finding.

use std::fmt;

use super::printable;
use crate::error::{Error, Result};

/// A finding type such as `UnauthorizedAccess:IAMUser/TorIPCaller`,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingType {
    text: String,
    colon: usize,
    slash: usize,
}

impl FindingType {
    /// Reads a type of the form `ThreatPurpose:ResourceTypeAffected/ThreatFamilyName…`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for text of another form.
    pub fn parse(text: &str) -> Result<Self> {
        Self::at("type", text)
    }

    /// [`parse`](Self::parse) for the text of `member`.
    pub(super) fn at(member: impl fmt::Display, text: &str) -> Result<Self> {
        let colon = text.find(':');
        let slash = colon.and_then(|colon| Some(colon + text[colon..].find('/')?));
        let legible = text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic());
        match (colon, slash) {
            (Some(colon), Some(slash)) if legible && colon > 0 && slash > colon + 1 => Ok(Self {
                text: text.to_owned(),
                colon,
                slash,
            }),
            _ => Err(Error::malformed(
                member.to_string(),
                format!(
                    "'{}' is not of the form Purpose:Resource/Name",
                    printable(text)
                ),
            )),
        }
    }

    /// The purpose: `UnauthorizedAccess`.
    pub fn purpose(&self) -> &str {
        &self.text[..self.colon]
    }

    /// The kind of resource: `IAMUser`.
    pub fn resource(&self) -> &str {
        &self.text[self.colon + 1..self.slash]
    }

    /// The rest: `TorIPCaller`, with any `.Variant` and `!Artifact`.
    pub fn name(&self) -> &str {
        &self.text[self.slash + 1..]
    }

    /// The family in the name: `C&CActivity` of `C&CActivity.B!DNS`, whatever the variant behind the
    /// dot and the artifact behind the exclamation mark.
    pub fn family(&self) -> &str {
        let name = self.name();
        name.find(['.', '!']).map_or(name, |end| &name[..end])
    }

    /// The artifact of the name: the source that saw the activity, or the place of the threat. `DNS`, `Snapshot`.
    pub fn artifact(&self) -> Option<&str> {
        Some(self.name().split_once('!')?.1)
    }

    /// The whole type.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for FindingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// GuardDuty's severity, 0 to 10 inclusive,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html>.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Severity(f64);

impl Severity {
    pub(super) fn at(member: impl fmt::Display, value: f64) -> Result<Self> {
        if (0.0..=10.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Error::malformed(
                member.to_string(),
                format!("{value} is not between 0 and 10"),
            ))
        }
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// AWS's word for the range that `value` is in.
    pub fn label(value: f64) -> &'static str {
        match value {
            value if value >= 9.0 => "Critical",
            value if value >= 7.0 => "High",
            value if value >= 4.0 => "Medium",
            _ => "Low",
        }
    }
}
