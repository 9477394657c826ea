//! Buckets, instances and their copies, databases, and the services that hold names or mail.

use crate::finding::FindingType;

/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-s3.html>
pub(super) fn bucket(kind: &FindingType) -> &'static str {
    match (kind.purpose(), kind.family()) {
        (_, "AccountBlockPublicAccessDisabled") => {
            "turn Block Public Access of the account on again, unless a bucket is public on purpose"
        }
        (_, "ServerAccessLoggingDisabled") => "turn the bucket's server access logging on again",
        (_, "MaliciousFile" | "SuspiciousFile") if kind.artifact().is_some() => recovery_point(),
        (_, "MaliciousFile" | "SuspiciousFile") => {
            "isolate or delete the object after you secure a copy, and find out who uploaded it and who \
             read it since; if GuardDuty tags objects, a bucket policy can deny reading those tagged as \
             a threat (GuardDutyMalwareScanStatus = THREATS_FOUND)"
        }
        (_, "DisableOrModifyTools") => {
            "look for objects that were rewritten with keys of the caller's (SSE-C), as extortionists do; \
             contain the principal, block SSE-C in the bucket's default encryption (BlockedEncryptionTypes), \
             and restore earlier versions"
        }
        (_, "TransferDataToCloudAccount") => {
            "remove the account that you do not know from the bucket's policy, and review its reads \
             since (CloudTrail data events, server access logs)"
        }
        (_, "DataDestruction") => {
            "remove the lifecycle rule today, before S3 carries it out; then check whether versioning is \
             on and which objects expired, and restore them"
        }
        ("Policy", _) => {
            "review who may read the bucket: its policy, its ACL, and Block Public Access"
        }
        _ => {
            "review who may read the bucket (its policy, its ACL, Block Public Access, access points); \
             check which objects were read or changed since the first event, and whether they are \
             sensitive (Macie); a preflight request by an anonymous caller is evidence of CORS, not of \
             public access. If the access was intended, mark the bucket (gdr:public-ok) or suppress such \
             findings by a GuardDuty rule"
        }
    }
}

/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-ec2.html>
pub(super) fn instance(kind: &FindingType) -> &'static str {
    match (kind.purpose(), kind.family(), kind.artifact()) {
        (_, "MaliciousFile", Some("RecoveryPoint")) => recovery_point(),
        (_, "MaliciousFile", Some("Snapshot")) => {
            "stop sharing the snapshot, and stop restores from it; keep it as evidence under a tag; find \
             the instance that it was taken of and the volumes made from it, and scan them"
        }
        (_, "MaliciousFile", Some("AMI")) => {
            "remove the launch permissions of the image, disable it, and take it out of launch \
             templates; find the instances launched from it, and the origin of the file"
        }
        (_, "MaliciousFile" | "SuspiciousFile", _) => {
            "look at the files that the finding lists: are they expected on this instance? If not, \
             isolate it and preserve its volumes before anything is stopped or terminated"
        }
        (_, "PortProbeUnprotectedPort" | "PortProbeEMRUnprotectedPort", _) => {
            "close the port that was probed in the instance's security groups, or admit only the \
             addresses that need it; for EMR turn its block of public access on; then check in the \
             instance's logs whether someone got in"
        }
        (_, "SSHBruteForce" | "RDPBruteForce" | "WinRMBruteForce", _) => {
            "if the instance is the target, admit only known addresses to the port (or use Session \
             Manager), and search its logs for a successful login; if it is the source, isolate it"
        }
        (_, "UnusualDNSResolver" | "UnusualDoHActivity" | "UnusualDoTActivity", _) => {
            "ask the owner whether the instance is to use that resolver (a release, an agent, a browser that \
             encrypts its look-ups); if nobody knows of it, look at the process that asks, and isolate the \
             instance"
        }
        (_, "Spambot", _) => {
            "ask the owner whether the instance is to send mail over port 25; if not, look at the process \
             that sends it and at who can reach its mail service, and isolate the instance"
        }
        ("Behavior", ..) => {
            "ask the owner what changed on the instance (a release, a backup, a new peer); if nothing did, \
             look at the processes behind the traffic, and isolate it"
        }
        (_, "NewBinaryExecuted" | "NewLibraryLoaded", _) => {
            "compare the file and its hash with what was installed at that time; if no update or \
             deployment explains it, isolate the instance and preserve its volumes"
        }
        (_, "SensitiveFileModified", _) => sensitive_file(),
        (_, "InstanceCredentialExfiltration", _) => {
            "find out how the credentials left the instance (a request forged through its application, \
             IMDSv1, a process of the attacker's); require IMDSv2, and revoke the sessions of its role"
        }
        (_, "MetadataDNSRebind", _) => {
            "find the application that resolves names which an attacker chose; require IMDSv2, and \
             revoke the sessions of the instance's role, whose credentials may have been read"
        }
        (_, "DisableOrModifyTools", _) => {
            "recreate the VPC's flow logs, and review the principal's activity in that time; if it \
             turned termination protection on, ask the instance's owner whether the instance is known"
        }
        (_, "TransferDataToCloudAccount", _) => {
            "remove the other account's permission from the image or snapshot, and turn on the Region's \
             block of public sharing; assume that its content was copied: rotate the secrets that it \
             contains"
        }
        (_, "UnsecuredCredentials", _) => {
            "ask who fetched the instance's Windows administrator password; if nobody knows, change it, \
             replace the key pair, and look for logins since"
        }
        (_, "RemoteServices", _) => {
            "ask the user who pushed an SSH key to the instance; if nobody knows, look at its logins and \
             processes since, and narrow who may call ec2-instance-connect:SendSSHPublicKey"
        }
        (_, "BootOrLogonInitializationScripts", _) => {
            "read the instance's user data before its next start, put back what was deployed, and look \
             for a stop and a start since the change"
        }
        (_, "ExternalRemoteServices", _) => {
            "remove the rule that opens SSH to every address from the security group, and look for \
             logins on the instances that use it"
        }
        _ => {
            "check the instance; if it is compromised, isolate it, and preserve its volumes before any stop"
        }
    }
}

/// Packages and administrators write such files too, but GuardDuty reports them only together with other
/// suspicious activity,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/findings-runtime-monitoring.html>.
pub(super) fn sensitive_file() -> &'static str {
    "compare the file with what was installed or deployed at that time, since packages and administrators \
     write such files too; if neither explains it, look for keys, users, sudo rules and scheduled tasks that \
     were added, and for logs that were cut"
}

/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-ec2-recoverypoint.html>,
/// <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-s3-recoverypoint.html>
fn recovery_point() -> &'static str {
    "deny restoring from the recovery point in its vault's access policy, suspend restore jobs and \
     tests that use it, tag it as evidence; scan what it is a copy of, and find the last clean one"
}

/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-remediate-compromised-database-rds.html>
pub(super) fn database(kind: &FindingType) -> &'static str {
    let name = kind.name();
    match kind.family() {
        "ModifyAuthenticationProcess" if kind.purpose() == "CredentialAccess" => {
            "ask who reset the master password; if nobody knows, reset it again, contain the principal, \
             and look at the connections and queries since"
        }
        "ModifyAuthenticationProcess" => {
            "turn IAM authentication of the database on again, and look for database users and passwords \
             that were made for going around it"
        }
        "TransferDataToCloudAccount" => {
            "stop sharing the snapshot with the public (rds:ModifyDBSnapshotAttribute, restore, remove \
             all), assume that its data was copied, and find out who shared it"
        }
        "ExploitPublicFacingApplication" => {
            "make the database private again (not publicly accessible), narrow its security groups, and \
             look for logins from outside since"
        }
        _ if matches!(kind.purpose(), "Exfiltration" | "Impact") => of_data(kind.purpose()),
        _ if name.ends_with("FailedLogin") => {
            "admit only the application's security groups to the database's port and make it private; \
             check that no login from that address succeeded, and that the user name is not a real one's"
        }
        _ if name.ends_with("SuccessfulLogin") || name.ends_with("SuccessfulBruteForce") => {
            "ask the owner of the database user about the login; if it was not theirs, change the \
             password, end the user's sessions and narrow the security groups; find out from the \
             database's log what was read or changed"
        }
        _ => {
            "the database answered an address of bad reputation: narrow its security groups, make it \
             private if it need not be public, and look for logins from there"
        }
    }
}

/// Data of a database that were read in bulk, dropped or deleted,
/// <https://aws.amazon.com/about-aws/whats-new/2026/10/guardduty-rds-data-exfiltration/>.
fn of_data(purpose: &str) -> &'static str {
    match purpose {
        "Impact" => {
            "take a snapshot and keep the automated backups; end the database user's sessions, change \
             its password, and narrow the security groups; restore dropped or deleted data to a point in \
             time before the deletion (rds:RestoreDBInstanceToPointInTime)"
        }
        _ => {
            "end the database user's sessions, change its password, and narrow the security groups; find \
             out from the database's log what was read, and assume that it was copied; take a snapshot \
             as evidence"
        }
    }
}

/// Custom Detection Rules on services that no playbook knows.
pub(super) fn service(name: &str) -> Option<&'static str> {
    Some(match name {
        "Route53Resolver" => {
            "recreate the query logging configuration and associate it with its VPCs; GuardDuty's own \
             DNS findings do not depend on it, so look for some from the time without a log"
        }
        "SageMaker" => {
            "read the notebook's lifecycle configuration before its next start, since it runs as root; \
             put the deployed one back, and review the activity of the notebook's role since"
        }
        "SES" => {
            "ask who verified the domain or turned sending on; if nobody did, delete the identity, pause \
             the account's sending, and look at what was sent and with which credentials"
        }
        _ => return None,
    })
}
