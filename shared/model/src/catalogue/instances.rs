//! The instance's part of `*:EC2/*`, of `*:Runtime/*` and of stolen instance credentials,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-ec2.html>,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/findings-runtime-monitoring.html>,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/findings-malware-protection.html>.

use super::Disposition::{self, Contain, Notify};
use super::{UNKNOWN, custom, is_malware, kinds};
use crate::finding::{Finding, FindingType};

pub(super) fn disposition(finding: &Finding) -> Disposition {
    let kind = &finding.finding_type;
    if custom::found(finding) {
        return Notify(custom::WHY);
    }
    if is_malware(kind) && kind.artifact().is_some() {
        return Notify(
            "the malicious file is in a copy (a snapshot, an image, a recovery point), and no instance \
             is known to run it",
        );
    }
    let stolen = kind.family() == "InstanceCredentialExfiltration";
    let named = match finding.resource_type() {
        "Instance" => true,
        "" => finding.has_instance(),
        _ => false,
    };
    if !stolen && !named {
        return Notify("the finding names no instance that could be isolated");
    }
    match (kind.purpose(), kind.family()) {
        ("Behavior", _) => Notify(
            "the traffic differs from the instance's usual; this alone is no evidence of a compromise",
        ),
        ("Execution", "NewBinaryExecuted" | "NewLibraryLoaded") => Notify(
            "a program ran that was written after the container or instance was started: an update of \
             its software looks the same",
        ),
        ("Execution", "SuspiciousFile") => Notify(
            "the file may be unwanted (adware, a dual-use tool): the resource owner knows whether it is \
             expected there",
        ),
        _ if finding.instance_is_victim() => Notify(
            "the instance is the target of the activity, not its source: isolating it would punish \
             the victim",
        ),
        _ if kinds::is_hostile(kind) && is_compromise(kind) => Contain,
        _ => Notify(UNKNOWN),
    }
}

/// True for the families of what a compromised instance does, by whatever GuardDuty saw it: flow logs,
/// DNS, its agent, or a scan.
fn is_compromise(kind: &FindingType) -> bool {
    let seen = matches!(kind.artifact(), None | Some("DNS"));
    seen && matches!(
        kind.family(),
        // By the network, from the flow logs, the DNS logs or the agent.
        "AbusedDomainRequest"
            | "BitcoinDomainRequest"
            | "BitcoinTool"
            | "BlackholeTraffic"
            | "C&CActivity"
            | "DGADomainRequest"
            | "DNSDataExfiltration"
            | "DenialOfService"
            | "DriveBySourceTraffic"
            | "DropPoint"
            | "MaliciousDomainRequest"
            | "MaliciousIPCaller"
            | "MetadataDNSRebind"
            | "PhishingDomainRequest"
            | "PortSweep"
            | "Portscan"
            | "RDPBruteForce"
            | "SSHBruteForce"
            | "Spambot"
            | "SuspiciousDomainRequest"
            | "TorClient"
            | "TorIPCaller"
            | "TorRelay"
            | "UnusualDNSResolver"
            | "UnusualDoHActivity"
            | "UnusualDoTActivity"
            | "WinRMBruteForce"
            | "XORDDOS"
            // By its processes, from the agent.
            | "CGroupsReleaseAgentModified"
            | "ContainerMountsHostDirectory"
            | "CryptoMinerExecuted"
            | "DockerSocketAccessed"
            | "ElevationToRoot"
            | "FilelessExecution"
            | "KernelModuleLoaded"
            | "MaliciousFileExecuted"
            | "ProcessInjection"
            | "PtraceAntiDebugging"
            | "ReverseShell"
            | "RuncContainerEscape"
            // GuardDuty reports it only together with other suspicious activity.
            | "SensitiveFileModified"
            | "SuspiciousCommand"
            | "SuspiciousShellCreated"
            | "SuspiciousTool"
            | "UserfaultfdUsage"
            // By its files, from a scan.
            | "MaliciousFile"
            // By its credentials.
            | "InstanceCredentialExfiltration"
    )
}
