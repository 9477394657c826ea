//! Findings by Custom Detection Rules, which a customer turns on one by one or writes,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/findings-custom-detection-rules.html>.
//!
//! They bear the names of other kinds (`Exfiltration:S3/…`, `Persistence:EC2/…`), and are another
//! thing: something happened that the rule looks for, such as a call that CloudTrail or a program that
//! Runtime Monitoring saw. The resource that the type names need not have done anything.

use crate::finding::Finding;

pub(super) const WHY: &str = "a custom detection rule of this account matched activity that \
    administrators have, too";

/// True for a finding of such a rule: GuardDuty names the rule (`customDetectionRuleName`). Findings of
/// before it did so are known by their families: techniques of MITRE ATT&CK, which no other finding has.
pub(super) fn found(finding: &Finding) -> bool {
    finding.custom_detection_rule().is_some() || is_technique(finding.finding_type.family())
}

fn is_technique(family: &str) -> bool {
    matches!(
        family,
        "AccountManipulation"
            | "BootOrLogonInitializationScripts"
            | "CommandAndScriptingInterpreter"
            | "CompromiseAccounts"
            | "DataDestruction"
            | "DisableOrModifyTools"
            | "ExploitPublicFacingApplication"
            | "ExternalRemoteServices"
            | "ModifyAuthenticationProcess"
            | "ModifyCloudResourceHierarchy"
            | "RemoteServices"
            | "ResourceHijacking"
            | "TransferDataToCloudAccount"
            | "UnsecuredCredentials"
            | "ValidAccounts"
    )
}
