//! A containment in words; or why there is none.

use crate::category::Category;
use crate::finding::{Finding, Principal, printable};

/// The function's response to a finding on one resource; or why it would do nothing.
pub(super) fn what(function: Category, finding: &Finding) -> Result<String, String> {
    let unnamed = |error: crate::Error| error.to_string();
    Ok(match function {
        Category::S3 => {
            let names = finding.buckets().map_err(unnamed)?.join(", ");
            format!("block public access to bucket {names}")
        }
        Category::Ec2 => {
            let id = finding.instance_id().map_err(unnamed)?;
            format!("isolate instance {id} in {}", finding.instance_region())
        }
        Category::Iam => match finding.principal().map_err(unnamed)? {
            Principal::User {
                name,
                long_term_key: Some(key),
                ..
            } => format!("deny user {name}'s sessions so far, and deactivate access key {key}"),
            Principal::User { name, .. } => format!("deny user {name}'s sessions so far"),
            Principal::KeyOwner { key, .. } => {
                format!(
                    "deny the sessions so far of the user who has access key {key}, and deactivate it"
                )
            }
            Principal::RoleSession {
                role,
                session: Some(session),
            } => format!("deny session {} of role {role}", session.name),
            Principal::RoleSession { role, .. } => {
                return Err(format!(
                    "it does not say which session of role {role} acted"
                ));
            }
            Principal::FederatedUser { name } => {
                let name = printable(&name);
                format!("deny federated user {name}'s issuer, if CloudTrail shows who it is")
            }
            Principal::Root => {
                return Err(
                    "the root user cannot be denied anything: change its password and \
                            delete its access keys, and ask AWS Support"
                        .to_owned(),
                );
            }
            other => {
                let other = printable(&other.to_string());
                return Err(format!("{other} is not a user or role of this account"));
            }
        },
        // No resource of a sequence is a Lambda function, by GuardDuty's list of their kinds.
        Category::Lambda | Category::Triage => return Err("there is nothing to contain".to_owned()),
    })
}

/// The steps for a kind of resource that no function contains.
pub(super) fn by_hand(kind: &str) -> String {
    match kind {
        "EKS_CLUSTER" | "KUBERNETES_WORKLOAD" => {
            "no function contains it: isolate the pods with a network policy that denies all, and \
             revoke what their service account and node may do"
        }
        "CONTAINER" | "ECS_CLUSTER" | "ECS_TASK" => {
            "no function contains it: give the task a security group without rules, and revoke the \
             credentials of its role"
        }
        _ => {
            let kind = if kind.is_empty() { "its kind" } else { kind };
            return format!("no function contains {kind}");
        }
    }
    .to_owned()
}
