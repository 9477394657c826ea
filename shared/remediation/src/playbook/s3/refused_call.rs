//! A call without credentials that S3 refused: the caller got nothing, whatever the bucket lets out. Pure.

use super::block::BlockPublicAccess;
use super::exposure::{Exposure, Seen};
use crate::finding::{Finding, Principal};

/// The codes by which S3 refuses a caller,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. Any other code is of a call that was
/// let through: `NoSuchKey` tells a caller who may list the bucket that there is no such object.
const REFUSALS: [&str; 4] = [
    "AccessDenied",
    "AccessDeniedException",
    "AllAccessDisabled",
    "Forbidden",
];

/// True if all that the finding tells of is one call without credentials, and S3 refused it.
pub(crate) fn got_nothing(finding: &Finding) -> bool {
    code(finding).is_some() && finding.count() == Some(1)
}

/// The code of the refusal. The finding gives that of the last call, where it tells of several.
fn code(finding: &Finding) -> Option<String> {
    let about_access = finding.finding_type.purpose() != "Policy";
    let anonymous = matches!(finding.principal(), Ok(Principal::Anonymous));
    if !about_access || !anonymous || finding.handed_over_to().is_some() {
        return None;
    }
    let code = finding.api_call()?.error_code?;
    REFUSALS.contains(&code.as_str()).then_some(code)
}

/// Why nothing is to be done about the call of `finding`, if nothing is. `None` for `seen`: whatever the
/// bucket is like.
pub(super) fn refused_call(finding: &Finding, seen: Option<&Seen<'_>>) -> Option<String> {
    let code = code(finding)?;
    let several = finding.count() != Some(1);
    let Some(seen) = seen else {
        return (!several)
            .then(|| format!("S3 refused the call ({code}), so that the caller got nothing"));
    };
    // The flags may be what refused it: they are told as the containment that they are.
    if seen.bucket.block == BlockPublicAccess::ALL {
        return None;
    }
    if several {
        return seen.is_shut_to_anybody(finding).then(|| {
            format!(
                "S3 refused the last of several calls ({code}), and nobody gets in without credentials \
                 by now: find out what the calls before it got"
            )
        });
    }
    let left = match seen.exposure {
        Exposure::Public => format!(
            "; that the bucket is public by {} is left to its owner",
            seen.ways(finding).join(" and ")
        ),
        Exposure::NotPublic => String::new(),
        Exposure::Unknown => "; look whether the bucket is public".to_owned(),
    };
    Some(format!(
        "S3 refused the call ({code}), so that the caller got nothing{left}"
    ))
}
