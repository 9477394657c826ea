//! Why a finding is not contained, by the finding alone: whatever its target is like. Pure.

use crate::finding::{Finding, Principal};
use crate::guidance;

/// The codes by which S3 refuses a caller,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. Any other code is of a call that was
/// let through: `NoSuchKey` tells a caller who may list the bucket that there is no such object.
const REFUSALS: [&str; 4] = [
    "AccessDenied",
    "AccessDeniedException",
    "AllAccessDisabled",
    "Forbidden",
];

/// Names the code by which S3 refused a call without credentials, so that the caller got nothing. The finding
/// gives that of the last call, where it tells of several.
pub fn refusal_code(finding: &Finding) -> Option<String> {
    let anonymous = matches!(finding.principal(), Ok(Principal::Anonymous));
    if !anonymous || is_about_exposure(finding) {
        return None;
    }
    let code = finding.api_call()?.error_code?;
    REFUSALS.contains(&code.as_str()).then_some(code)
}

/// True if all that the finding tells of is one call without credentials, and S3 refused it.
pub fn got_nothing(finding: &Finding) -> bool {
    refusal_code(finding).is_some() && finding.count() == Some(1)
}

/// True if the finding says that the bucket was not public before: the bucket was granted public
/// access, <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-s3.html>.
pub fn was_private(finding: &Finding) -> bool {
    let kind = &finding.finding_type;
    kind.purpose() == "Policy" && kind.family().ends_with("Granted")
}

/// Says why blocking public access is not the answer to a finding, if it is not, whatever its bucket is like.
pub fn block_is_no_answer(finding: &Finding) -> Option<String> {
    if let Some(code) = refusal_code(finding).filter(|_| finding.count() == Some(1)) {
        let why = format!("S3 refused the call ({code}), so that the caller got nothing");
        return Some(why);
    }
    caller_is_not_stopped(finding)
}

/// True if the finding is that the bucket was made public, whoever did it; or that whoever attacks it has
/// credentials that could do it next.
pub fn is_about_exposure(finding: &Finding) -> bool {
    finding.finding_type.purpose() == "Policy" || finding.handed_over_to().is_some()
}

/// Says why blocking public access does not stop the caller, if it does not. The finding does not say how another
/// account gets in.
pub fn caller_is_not_stopped(finding: &Finding) -> Option<String> {
    if is_about_exposure(finding) {
        return None;
    }
    match finding.principal() {
        Ok(Principal::Anonymous) if finding.api() == Some("PreflightRequest") => Some(
            "a successful preflight request shows a cross-origin (CORS) rule, not public access: \
             review the bucket's CORS configuration"
                .to_owned(),
        ),
        Ok(Principal::Anonymous | Principal::OtherAccount { .. }) => None,
        Ok(principal @ Principal::Root) => Some(format!(
            "{principal} acted, which blocking public access does not stop: no function contains it, \
             and its credentials are the account owner's to change"
        )),
        Ok(principal) if principal.is_own() => Some(format!(
            "{principal} acted with credentials, which blocking public access does not stop: the iam \
             function and its settings decide whether to contain them"
        )),
        Ok(principal) => Some(format!(
            "{principal} acted, which blocking public access does not stop: no function contains it, \
             find out on whose behalf it acted"
        )),
        Err(error) => Some(format!(
            "the finding does not say that the caller was anonymous, and blocking public access stops \
             no one else ({error})"
        )),
    }
}

/// Says why the credentials of a principal of this kind are not contained.
pub fn unsupported(principal: &Principal) -> String {
    match principal {
        Principal::Root => {
            "the root user cannot be denied anything in its own account: sign in as root, change the \
             password, replace the MFA device, delete root's access keys"
                .to_owned()
        }
        Principal::Anonymous => {
            "an anonymous caller has no credentials: the s3 function deals with the bucket".to_owned()
        }
        Principal::OtherAccount { .. } => {
            "the principal belongs to another account, which must contain it: deny it in the policy of \
             the resource that it used"
                .to_owned()
        }
        _ => guidance::uncontained(principal),
    }
}
