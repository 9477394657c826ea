//! The credential's part of `*:IAMUser/*` and of `*:S3/*`,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-iam.html>.

use super::Disposition::{self, Contain, Notify};
use super::{UNKNOWN, buckets, custom, is_malware, kinds};
use crate::finding::{Finding, FindingType};

pub(super) fn disposition(finding: &Finding) -> Disposition {
    let kind = &finding.finding_type;
    if custom::found(finding) {
        return Notify(custom::WHY);
    }
    if kind.resource() == "S3" {
        of_bucket(kind)
    } else {
        of_principal(kind)
    }
}

fn of_bucket(kind: &FindingType) -> Disposition {
    match kind.purpose() {
        "Policy" | "Stealth" => Notify(
            "the principal is named for review, not contained: such a change is usually an \
             administrator's mistake",
        ),
        _ if is_malware(kind) => Notify(
            "a malicious file was found; a principal in such a finding is no evidence that its \
             credentials are stolen",
        ),
        _ if buckets::is_misuse(kind) => Contain,
        _ => Notify(UNKNOWN),
    }
}

fn of_principal(kind: &FindingType) -> Disposition {
    match (kind.purpose(), kind.family()) {
        ("Policy", "RootCredentialUsage" | "ShortTermRootCredentialUsage") => Notify(
            "the root user acted: no policy of the account binds it, and only its owner can delete its \
             keys",
        ),
        ("Policy", _) => {
            Notify("a rule of the account was broken; nothing shows that credentials are stolen")
        }
        ("Stealth", _) | ("DefenseEvasion", "BedrockLoggingDisabled") => Notify(
            "a configuration that protects or observes the account was changed, usually by an \
             administrator: put it back, and review the principal",
        ),
        ("Behavior", _) => Notify(
            "the activity differs from the usual; this alone is no evidence of stolen credentials",
        ),
        (_, "PromptInjection") => Notify(
            "an application passes its users' prompts to a model: its credentials are not stolen, and \
             without them it fails",
        ),
        (_, family)
            if kinds::is_hostile(kind)
                && (kinds::is_misuse_of_an_api(kind) || is_misuse(family)) =>
        {
            Contain
        }
        _ => Notify(UNKNOWN),
    }
}

/// True for the families that only findings about principals have.
fn is_misuse(family: &str) -> bool {
    matches!(
        family,
        // Of models, by AI Protection.
        "AnomalousModelInvocation"
            | "CostHarvesting"
            // A key that Amazon's threat intelligence knows as leaked, and that was used since.
            | "CompromisedCredentials"
            // Credentials of an instance, a function or an ECS task, used elsewhere.
            | "InstanceCredentialExfiltration"
            | "ResourceCredentialExfiltration"
            | "ConsoleLoginSuccess"
            // The anomalies as GuardDuty called them until 2021.
            | "AdministrativePermissions"
            | "ComputeResources"
            | "ConsoleLogin"
            | "NetworkPermissions"
            | "ResourcePermissions"
            | "UnusualASNCaller"
            | "UserPermissions"
    )
}
