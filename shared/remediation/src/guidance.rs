//! What a person should do about a finding that is not contained, by its kind.
//!
//! After the remediation pages of the GuardDuty user guide,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_remediate.html>.

mod account;
mod principals;
mod resources;
mod workloads;

use crate::catalogue::{self, Category};
use crate::finding::{Finding, FindingType};
use crate::investigate::Answer;

/// The next steps for the part of `finding` that concerns `category` where it was not contained.
pub fn next_steps(category: Category, finding: &Finding) -> Vec<String> {
    let mut steps = vec![advice(category, &finding.finding_type).to_owned()];
    steps.extend(other_reports(category, finding));
    steps
}

/// What a person should find out also where it was contained.
pub fn questions(category: Category, finding: &Finding) -> Vec<String> {
    other_reports(category, finding).into_iter().collect()
}

/// What a person should do where the account may be compromised as a whole, contained or not. Empty: nothing
/// in the finding or in what was found out suggests it.
pub fn whole_account(category: Category, finding: &Finding, answers: &[Answer]) -> Vec<String> {
    account::steps(category, finding, answers)
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
