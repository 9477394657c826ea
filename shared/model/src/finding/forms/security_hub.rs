//! Security Hub tells GuardDuty's findings in formats of its own, which lack what the responder needs,
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html>,
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-ocsf.html>.

use serde_json::{Map, Value};

use super::Envelope;
use crate::error::{Error, Result};
use crate::finding::printable;

const SOURCE: &str = "aws.securityhub";

const INSTEAD: &str = "not of GuardDuty: take it from GuardDuty itself, with `aws guardduty get-findings` \
                       or from its export to S3";

/// Members that only a finding in that format has, and the format's name.
const FORMATS: [(&[&str], &str); 3] = [
    (&["AwsAccountId"], "ASFF"),
    (&["ProductArn"], "ASFF"),
    (&["class_uid", "finding_info"], "OCSF"),
];

/// Refuses a finding in one of these formats.
///
/// # Errors
/// [`Error::Malformed`] with the member that tells. `root` is what the paths begin with.
pub(super) fn refuse(members: &Map<String, Value>, root: &str) -> Result<()> {
    let of_guardduty = members.contains_key("type") || members.contains_key("Type");
    let has = |names: &&[&str]| names.iter().all(|name| members.contains_key(*name));
    match FORMATS.iter().find(|(names, _)| has(names)) {
        Some((names, format)) if !of_guardduty => Err(Error::malformed(
            format!("{root}{}", names[0]),
            format!("this is a finding of AWS Security Hub ({format}), {INSTEAD}"),
        )),
        _ => Ok(()),
    }
}

/// Refuses an event of Security Hub.
///
/// # Errors
/// [`Error::Malformed`] with the source.
pub(super) fn refuse_event(envelope: &Envelope) -> Result<()> {
    if envelope.source != SOURCE {
        return Ok(());
    }
    Err(Error::malformed(
        "source",
        format!(
            "expected '{}', found '{SOURCE}': this is an event of AWS Security Hub ('{}'), which sends \
             findings in its own formats (ASFF, OCSF), {INSTEAD}",
            super::SOURCE,
            printable(&envelope.detail_type),
        ),
    ))
}
