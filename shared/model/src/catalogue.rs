//! Which functions a finding concerns, and whether its kind is one to contain.
//!
//! Decided by the parts of the type's name. The types to contain are listed by purpose and family, and every other type
//! is notified: so a new or renamed type falls into the careful answer of its kind. The rules in `template.yaml` say
//! the same thing as [`routes`]; a test holds the two against each other, and another the answers about every type that
//! AWS has named.

mod buckets;
mod credentials;
mod custom;
mod functions;
mod instances;
mod kinds;

use crate::category::Category;
use crate::finding::{Finding, FindingType};

const UNKNOWN: &str = "this version of the responder does not know this finding type, and contains only \
    the types that it knows";

/// The answer to findings of a type, before settings and severity count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Observe and plan; the plan may still turn out to hold nothing to do.
    Contain,
    /// The on-call engineer looks at it, for this reason.
    Notify(&'static str),
}

/// The functions that receive a finding. Never empty; more than one where a finding concerns two
/// kinds of resource.
///
/// Routed on the type: `resourceType` is `AccessKey` for all `Policy:S3/*` and `Stealth:S3/*`
/// findings, <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-s3.html>.
pub fn routes(finding: &Finding) -> Vec<Category> {
    if let Some(to) = finding.handed_over_to() {
        return vec![to];
    }
    let kind = &finding.finding_type;
    let resource_type = finding.resource_type();
    let mut routes = Vec::new();
    // By the resource type, since a pattern of EventBridge cannot exclude a type that it includes.
    if resource_type != "AttackSequence" {
        match kind.resource() {
            "S3" => {
                routes.push(Category::S3);
                if finding.names_own_principal() {
                    routes.push(Category::Iam);
                }
            }
            "IAMUser" => {
                routes.push(Category::Iam);
                // The credentials of an instance, used elsewhere: the instance is the source.
                if kind.name().starts_with("InstanceCredentialExfiltration.") {
                    routes.push(Category::Ec2);
                }
            }
            "EC2" => routes.push(Category::Ec2),
            "Runtime" if resource_type == "Instance" => routes.push(Category::Ec2),
            "Runtime" => {}
            // Not by the type: EventBridge takes a pattern that excludes four, and not five.
            _ if resource_type == "Lambda" => routes.push(Category::Lambda),
            _ => {}
        }
    }
    if routes.is_empty() {
        routes.push(Category::Triage);
    }
    routes
}

/// Whether the part of `finding` that concerns `category` is one to contain.
pub fn disposition(category: Category, finding: &Finding) -> Disposition {
    // Which resources of a sequence are handed over was decided before: see `hand_over`.
    if finding.handed_over_to() == Some(category) {
        return Disposition::Contain;
    }
    match category {
        Category::S3 => buckets::disposition(finding),
        Category::Iam => credentials::disposition(finding),
        Category::Ec2 => instances::disposition(finding),
        Category::Lambda => functions::disposition(finding),
        Category::Triage => Disposition::Notify(triage(finding)),
    }
}

/// Why nothing is contained on account of a finding that is for triage.
fn triage(finding: &Finding) -> &'static str {
    if finding.resource_type() == "AttackSequence" {
        "an attack on several resources; the responder answers each of its findings"
    } else if custom::found(finding) {
        custom::WHY
    } else {
        "no playbook contains resources of this kind; it is recorded and notified"
    }
}

/// True for what a malware scan found: in an object, on an instance, or in a copy of either.
fn is_malware(kind: &FindingType) -> bool {
    matches!(kind.family(), "MaliciousFile" | "SuspiciousFile")
}

/// True for a finding that a scan found a malicious object in a bucket, and not in a copy of one.
pub fn concerns_object(finding: &Finding) -> bool {
    let kind = &finding.finding_type;
    kind.resource() == "S3"
        && matches!(kind.purpose(), "Object" | "S3Object")
        && is_malware(kind)
        && kind.artifact().is_none()
        && !custom::found(finding)
}

/// True for a finding about the Block Public Access of a whole account. It names no bucket.
pub fn concerns_account_block(finding: &Finding) -> bool {
    finding.finding_type.as_str() == "Policy:S3/AccountBlockPublicAccessDisabled"
}

#[cfg(test)]
mod tests;
