//! The words of finding types that mean the same for every kind of resource,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html>.

use crate::finding::FindingType;

/// True for a purpose that is an attacker's.
///
/// Not among them: `Policy` and `Stealth` (a changed configuration, mostly by an administrator), `Behavior` (only a
/// difference from the baseline), and purposes that this version does not know.
pub(super) fn is_hostile(kind: &FindingType) -> bool {
    matches!(
        kind.purpose(),
        "Backdoor"
            | "CredentialAccess"
            | "CryptoCurrency"
            | "DefenseEvasion"
            | "Discovery"
            | "Execution"
            | "Exfiltration"
            | "Impact"
            | "InitialAccess"
            | "PenTest"
            | "Persistence"
            | "PrivilegeEscalation"
            | "Recon"
            | "ResourceConsumption"
            | "Trojan"
            | "UnauthorizedAccess"
    )
}

/// True for the families of AWS API calls by a known bad caller, from an attacker's tool, or unlike
/// any that were seen before.
pub(super) fn is_misuse_of_an_api(kind: &FindingType) -> bool {
    matches!(
        kind.family(),
        "AnomalousBehavior"
            | "KaliLinux"
            | "MaliciousIPCaller"
            | "ParrotLinux"
            | "PentooLinux"
            | "TorIPCaller"
    )
}
