//! Findings by Custom Detection Rules, which a customer turns on one by one,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/findings-custom-detection-rules.html>.
//!
//! They bear the names of other kinds (`Exfiltration:S3/…`, `Persistence:EC2/…`), and are another
//! thing: a principal called an API, according to CloudTrail. The resource that the type names did
//! nothing.

use crate::finding::FindingType;

pub(super) const WHY: &str = "a detection rule that this account turned on saw a call that \
                              administrators make too";

/// True for the families of such rules: techniques of MITRE ATT&CK. No other finding has them.
pub(super) fn found(kind: &FindingType) -> bool {
    matches!(
        kind.family(),
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
