//! The bucket's part of `*:S3/*`,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-s3.html>.

use super::Disposition::{self, Contain, Notify};
use super::{UNKNOWN, custom, is_malware, kinds};
use crate::finding::{Finding, FindingType};

pub(super) fn disposition(finding: &Finding) -> Disposition {
    let kind = &finding.finding_type;
    if custom::found(finding) {
        return Notify(custom::WHY);
    }
    if is_malware(kind) {
        return Notify(
            "a malicious file was found; blocking public access would not make it harmless",
        );
    }
    match (kind.purpose(), kind.name()) {
        (
            "Policy",
            "BucketAnonymousAccessGranted"
            | "BucketPublicAccessGranted"
            | "BucketBlockPublicAccessDisabled"
            // Whether the account's setting may be touched is the playbook's to say: it has a setting.
            | "AccountBlockPublicAccessDisabled",
        ) => Contain,
        ("Policy" | "Stealth", _) => {
            Notify("a configuration was changed; no bucket is known to be exposed by it")
        }
        _ if is_misuse(kind) => Contain,
        _ => Notify(UNKNOWN),
    }
}

/// True for a kind that reports calls to a bucket by someone who should not make them.
pub(super) fn is_misuse(kind: &FindingType) -> bool {
    kinds::is_hostile(kind)
        && (kinds::is_misuse_of_an_api(kind)
            // The anomalies as GuardDuty called them until 2021.
            || matches!(
                kind.name(),
                "BucketEnumeration.Unusual"
                    | "ObjectDelete.Unusual"
                    | "ObjectRead.Unusual"
                    | "PermissionsModification.Unusual"
            ))
}
