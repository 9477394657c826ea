//! What a person should do about a finding that is not contained, by its kind.
//!
//! After the remediation pages of the GuardDuty user guide,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_remediate.html>.

use crate::catalogue::{self, Category};
use crate::finding::Finding;

/// The next steps for the part of `finding` that concerns `category` where it was not contained.
pub fn next_steps(category: Category, finding: &Finding) -> Vec<String> {
    let mut steps = owners_question(finding);
    steps.push(advice(category, finding).to_owned());
    steps.extend(other_reports(category, finding));
    steps
}

/// What a person should find out also where it was contained.
pub fn questions(category: Category, finding: &Finding) -> Vec<String> {
    let mut steps = owners_question(finding);
    steps.extend(other_reports(category, finding));
    steps
}

fn owners_question(finding: &Finding) -> Vec<String> {
    let mut steps = Vec::new();
    if let Ok(principal) = finding.principal() {
        let call = finding
            .api()
            .map(crate::finding::printable)
            .unwrap_or_default();
        let address = finding.remote_address().unwrap_or_default();
        let owner = if principal.is_own() {
            "ask the owner of the credentials"
        } else {
            "find out"
        };
        steps.push(format!(
            "{owner}: did {principal} {}{}, and was it meant to?",
            if call.is_empty() {
                "act".to_owned()
            } else {
                format!("call {call}")
            },
            if address.is_empty() {
                String::new()
            } else {
                format!(" from {address}")
            },
        ));
    }
    steps
}

fn other_reports(category: Category, finding: &Finding) -> Option<String> {
    let whole = finding.handed_over_to().map(|_| Category::Triage);
    let others: Vec<_> = catalogue::routes(finding)
        .into_iter()
        .chain(whole)
        .filter(|route| *route != category)
        .map(Category::as_str)
        .collect();
    (!others.is_empty()).then(|| {
        format!(
            "see also what the {} function reports about this finding",
            others.join(" and "),
        )
    })
}

fn advice(category: Category, finding: &Finding) -> &'static str {
    let kind = &finding.finding_type;
    match category {
        Category::S3 => match kind.name() {
            "AccountBlockPublicAccessDisabled" => {
                "turn Block Public Access of the account on again, unless a bucket is public on purpose"
            }
            "ServerAccessLoggingDisabled" => "turn the bucket's server access logging on again",
            name if name.starts_with("MaliciousFile") => {
                "isolate or delete the object after a copy of it is secured, and find out who uploaded it"
            }
            _ => "review who may read the bucket: its policy, its ACL, and Block Public Access",
        },
        Category::Iam => {
            "review what the principal may do and what it did since the first event (CloudTrail); \
             rotate its credentials if the owner did not make the call"
        }
        Category::Ec2 => {
            "check the instance; if it is compromised, isolate it and preserve its volumes before \
             anything is stopped or terminated"
        }
        Category::Triage => by_resource(kind.purpose(), kind.resource()),
    }
}

fn by_resource(purpose: &str, resource: &str) -> &'static str {
    if purpose == "AttackSequence" {
        return "open the sequence in GuardDuty; the findings that it is made of are handled one by one \
                as they arrive";
    }
    match resource {
        "Kubernetes" => {
            "review the cluster's audit log for the user named in the finding, and revoke the access \
             of that user or service account"
        }
        "Runtime" | "Container" | "ECS" => {
            "isolate the pod or task (a network policy that denies all, a security group without \
             rules), keep its memory and file system, and revoke its role's credentials"
        }
        "RDS" => {
            "restrict the database's security groups, change the password of the database user, and \
             review what it read"
        }
        "Lambda" => {
            "set the function's reserved concurrency to 0 to stop it, compare its code with the \
             deployed version, and rotate what its environment holds"
        }
        _ => "open the finding in GuardDuty and follow the remediation of its kind",
    }
}
