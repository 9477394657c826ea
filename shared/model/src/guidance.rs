//! The steps for the on-call engineer about a finding that is not contained, by its type.
//!
//! After the remediation pages of the GuardDuty user guide,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_remediate.html>.

mod account;
mod principals;
mod resources;
mod workloads;

pub use self::principals::uncontained;
use crate::catalogue;
use crate::category::Category;
use crate::finding::{Finding, FindingType};
use crate::investigation::Answer;

/// The family of the findings about files that grant access, or that log it.
const SENSITIVE_FILE: &str = "SensitiveFileModified";

/// The next steps for the part of `finding` that concerns `category` where it was not contained.
pub fn next_steps(category: Category, finding: &Finding) -> Vec<String> {
    let mut steps = vec![advice(category, &finding.finding_type).to_owned()];
    steps.extend(clients_of_a_resolver(category, finding));
    steps.extend(other_reports(category, finding));
    steps
}

/// The questions for the on-call engineer, also after a containment.
pub fn questions(category: Category, finding: &Finding) -> Vec<String> {
    let files = category == Category::Ec2 && finding.finding_type.family() == SENSITIVE_FILE;
    let files = files.then(|| resources::sensitive_file().to_owned());
    files
        .into_iter()
        .chain(clients_of_a_resolver(category, finding))
        .chain(other_reports(category, finding))
        .collect()
}

/// The VPC's resolver, whose log GuardDuty reads, knows a look-up by the host that sent it there. A DNS server
/// sends the look-ups of its clients. The agent of Runtime Monitoring sees the process itself.
fn clients_of_a_resolver(category: Category, finding: &Finding) -> Option<String> {
    let kind = &finding.finding_type;
    let by_dns = category == Category::Ec2
        && kind.resource() == "EC2"
        && (kind.artifact() == Some("DNS")
            || kind.family().ends_with("DomainRequest")
            || kind.family() == "DNSDataExfiltration");
    by_dns.then(|| {
        "find out whether the instance answers DNS for others (a domain controller, a resolver): \
         GuardDuty names it for its clients' queries. If it does, find the client in the DNS server's \
         query log, contain that client, and release the instance"
            .to_owned()
    })
}

/// The steps if the account may be compromised as a whole, contained or not. Empty: nothing in the finding or in what
/// was found out suggests it.
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
            "read the report of the {} function about this finding too",
            others.join(" and "),
        )
    })
}

/// The steps for the part of a finding of `kind` that concerns `category`, if it is not contained.
pub fn advice(category: Category, kind: &FindingType) -> &'static str {
    let known = match category {
        Category::S3 => Some(resources::bucket(kind)),
        Category::Iam => Some(principals::credentials(kind)),
        Category::Ec2 => Some(resources::instance(kind)),
        Category::Lambda => Some(workloads::function(kind)),
        Category::Triage => triage(kind),
    };
    known.unwrap_or(
        "open the finding in GuardDuty and follow the remediation of its type; review the activity of \
         its principal or resource since the first event",
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
