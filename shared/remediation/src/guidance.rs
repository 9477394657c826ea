//! What a person should do about a finding that is not contained, by its kind.
//!
//! After the remediation pages of the GuardDuty user guide,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_remediate.html>.

mod principals;
mod resources;
mod workloads;

use crate::catalogue::{self, Category};
use crate::finding::{Finding, FindingType};

/// The next steps for the part of `finding` that concerns `category` where it was not contained.
pub fn next_steps(category: Category, finding: &Finding) -> Vec<String> {
    let mut steps = owners_question(finding);
    steps.push(advice(category, &finding.finding_type).to_owned());
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
    let others: Vec<_> = catalogue::routes(finding)
        .into_iter()
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

/// What to do about the part of a finding of `kind` that concerns `category`, if it is not contained.
pub fn advice(category: Category, kind: &FindingType) -> &'static str {
    let known = match category {
        Category::S3 => Some(resources::bucket(kind)),
        Category::Iam => Some(principals::credentials(kind)),
        Category::Ec2 => Some(resources::instance(kind)),
        Category::Triage => triage(kind),
    };
    known.unwrap_or(
        "open the finding in GuardDuty and follow the remediation of its type; look at what the \
         principal or resource that it names did since the first event",
    )
}

fn triage(kind: &FindingType) -> Option<&'static str> {
    if kind.purpose() == "AttackSequence" {
        return Some(workloads::sequence(kind.resource()));
    }
    match kind.resource() {
        "IAM" | "Organizations" | "RolesAnywhere" => principals::administration(kind),
        "Kubernetes" => Some(workloads::kubernetes(kind)),
        "Runtime" | "Container" | "ECS" => Some(workloads::container(kind)),
        "Lambda" => Some(workloads::function(kind)),
        "RDS" => Some(resources::database(kind)),
        "Route53Resolver" | "SageMaker" | "SES" => resources::service(kind.resource()),
        _ => None,
    }
}
