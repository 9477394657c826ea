//! The permissions of a role, simulated by IAM without trying them.
//!
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>: it looks at the
//! role's policies, its boundary and service control policies. A resource `*` matches only statements that
//! say `*`, so that each permission is asked on an ARN of the kind that it is about; conditions are asked with
//! the values that the playbooks send.

use std::fmt;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType,
};
use remediation::error::{CallContext as _, Error, Result};
use remediation::finding::Finding;

/// The limits of every answer, for the operator.
pub(super) const LIMITS: &str = "ROLE is what IAM simulates of the role's policies, its boundary and service control \
     policies. It knows neither policies of resources (a bucket's) nor resource control policies, and no \
     condition whose value is known only when the call is made.";

/// IAM's answer about a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The role may.
    Allowed,
    /// The role may not, by these.
    Denied(String),
    /// Not known, for this reason.
    Unknown(String),
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied(_) => "denied",
            Self::Unknown(_) => "unknown",
        }
    }

    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Self::Allowed => None,
            Self::Denied(why) | Self::Unknown(why) => Some(why),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why() {
            Some(why) => write!(formatter, "{}: {why}", self.word()),
            None => formatter.write_str(self.word()),
        }
    }
}

/// The location of a finding's resources.
pub(super) struct Place {
    partition: &'static str,
    account: String,
    region: String,
    /// The user or role that the finding names.
    entity: String,
}

impl Place {
    pub(super) fn of(finding: &Finding) -> Self {
        let principal = finding.principal().ok();
        let entity = principal.as_ref().and_then(|it| it.entity_name());
        Self {
            partition: finding.partition(),
            account: finding.account_id.clone(),
            region: finding.instance_region(),
            entity: entity.unwrap_or("any").to_owned(),
        }
    }

    /// ARNs of the kinds of resources that a permission is asked on. `target` is the step's.
    fn resources(&self, permission: &str, target: &str) -> Vec<String> {
        let Self {
            partition,
            account,
            region,
            entity,
        } = self;
        let regional = |service: &str, rest: &str| {
            format!("arn:{partition}:{service}:{region}:{account}:{rest}")
        };
        let ec2 = |kinds: &[&str]| {
            let kinds = kinds.iter();
            kinds
                .map(|kind| regional("ec2", &format!("{kind}/{kind}-0")))
                .collect()
        };
        let (service, operation) = permission.split_once(':').unwrap_or_default();
        let (reads, on_account) = (
            operation.starts_with("Describe"),
            operation.contains("Account"),
        );
        match (service, operation) {
            ("iam", _) => {
                let kind = if operation.contains("Role") {
                    "role"
                } else {
                    "user"
                };
                // A step on a session has the role's ARN and the session in one.
                let arn = target.split(' ').next().unwrap_or(target);
                if arn.contains(&format!(":{kind}/")) {
                    return vec![arn.to_owned()];
                }
                vec![format!("arn:{partition}:iam::{account}:{kind}/{entity}")]
            }
            ("lambda", _) if target.starts_with("arn:") => vec![target.to_owned()],
            ("s3", _) if !on_account && target.starts_with("arn:") => {
                // A step on a version has the ARN of the object and the version in one.
                let version = ["?versionId=", "?eTag="].iter();
                let version = version.filter_map(|sign| target.rsplit_once(sign)).next();
                let object = version.map_or(target, |(object, _)| object);
                let bucket = object.split('/').next().unwrap_or(object);
                let of_object = operation.contains("Object");
                vec![if of_object { object } else { bucket }.to_owned()]
            }
            ("ec2", "CreateSecurityGroup") => ec2(&["security-group", "vpc"]),
            ("ec2", "ModifyNetworkInterfaceAttribute") => {
                ec2(&["network-interface", "security-group"])
            }
            ("ec2", "DisassociateAddress") => ec2(&["network-interface"]),
            ("ec2", "CreateSnapshots") => ec2(&["instance", "volume"]),
            ("ec2", "ModifyInstanceAttribute" | "ModifyInstanceMetadataOptions") => {
                ec2(&["instance"])
            }
            ("ec2", "CreateTags") if target.starts_with("vpc-") || target.starts_with("sg-") => {
                ec2(&["security-group"])
            }
            ("ec2", "CreateTags") => ec2(&["instance"]),
            ("ec2", _) if operation.contains("SecurityGroup") && !reads => ec2(&["security-group"]),
            ("autoscaling", _) if !reads => {
                vec![regional(
                    service,
                    "autoScalingGroup:0:autoScalingGroupName/any",
                )]
            }
            ("elasticloadbalancing", "DeregisterTargets") => {
                vec![regional(service, "targetgroup/any/0")]
            }
            ("elasticloadbalancing", "DeregisterInstancesFromLoadBalancer") => {
                vec![regional(service, "loadbalancer/any")]
            }
            _ => vec!["*".to_owned()],
        }
    }

    /// The values that the playbooks send for the conditions of the roles.
    fn context(&self, action: &str, resource: &str) -> Vec<(&'static str, String)> {
        let deny_all = format!("arn:{}:iam::aws:policy/AWSDenyAll", self.partition);
        let mut context = vec![
            ("s3:ResourceAccount", self.account.clone()),
            ("iam:PolicyARN", deny_all.clone()),
            ("iam:PermissionsBoundary", deny_all),
        ];
        match action {
            "iam:MarkContained" => context.push(("aws:TagKeys", "gdr:contained".to_owned())),
            "ec2:MarkContained" if resource.contains(":security-group/") => {
                context.push(("aws:TagKeys", "gdr:role".to_owned()));
                context.push(("aws:RequestTag/gdr:role", "isolation".to_owned()));
            }
            "ec2:MarkContained" => context.push(("aws:TagKeys", "gdr:incident".to_owned())),
            "s3:TagObjectVersion" => {
                context.push(("s3:RequestObjectTag/gdr:quarantined", "any".to_owned()));
            }
            _ => {}
        }
        context
    }
}

/// A role, and what it would do.
pub(super) struct Simulation {
    pub(super) client: Client,
    pub(super) role: String,
    pub(super) place: Place,
}

impl Simulation {
    /// Asks whether the role has the permission that a step takes. The answer is unknown if IAM may not be asked.
    pub(super) async fn ask(&self, permission: &str, action: &str, target: &str) -> Verdict {
        let mut worst = Verdict::Allowed;
        // One resource at a time: of several, each kind would be asked with the conditions of all.
        for resource in self.place.resources(permission, target) {
            match self.simulate(permission, action, &resource).await {
                Ok(Verdict::Allowed) => {}
                Ok(verdict) => worst = verdict,
                Err(error) => worst = Verdict::Unknown(error.to_string()),
            }
        }
        worst
    }

    async fn simulate(&self, permission: &str, action: &str, resource: &str) -> Result<Verdict> {
        let context = self
            .place
            .context(action, resource)
            .into_iter()
            .map(|(key, value)| {
                ContextEntry::builder()
                    .context_key_name(key)
                    .context_key_type(if key == "aws:TagKeys" {
                        ContextKeyTypeEnum::StringList
                    } else {
                        ContextKeyTypeEnum::String
                    })
                    .context_key_values(value)
                    .build()
            });
        let answer = self
            .client
            .simulate_principal_policy()
            .policy_source_arn(&self.role)
            .action_names(permission)
            .resource_arns(resource)
            .set_context_entries(Some(context.collect()))
            .send()
            .await
            .during("iam:SimulatePrincipalPolicy", &self.role)?;
        let result = answer.evaluation_results().first();
        let result = result.ok_or_else(|| {
            Error::Refused(format!(
                "iam:SimulatePrincipalPolicy on {}: no result",
                self.role
            ))
        })?;
        Ok(verdict(result, resource))
    }
}

fn verdict(result: &EvaluationResult, resource: &str) -> Verdict {
    if result.eval_decision == PolicyEvaluationDecisionType::Allowed {
        return Verdict::Allowed;
    }
    let organization = result.organizations_decision_detail.as_ref();
    let boundary = result.permissions_boundary_decision_detail.as_ref();
    let explicit = result.eval_decision == PolicyEvaluationDecisionType::ExplicitDeny;
    let missing = result.missing_context_values();
    if organization.is_some_and(|detail| !detail.allowed_by_organizations) {
        return Verdict::Denied("by a service control policy".to_owned());
    }
    if boundary.is_some_and(|detail| !detail.allowed_by_permissions_boundary) {
        return Verdict::Denied("by the role's permissions boundary".to_owned());
    }
    if explicit {
        let statements = result.matched_statements().iter();
        let by: Vec<_> = statements.filter_map(|it| it.source_policy_id()).collect();
        return Verdict::Denied(format!("on {resource}, explicitly by {}", by.join(", ")));
    }
    if !missing.is_empty() {
        let keys = missing.join(", ");
        return Verdict::Unknown(format!(
            "on {resource} it depends on {keys}, known only in the call"
        ));
    }
    Verdict::Denied(format!("nothing allows it on {resource}"))
}

#[cfg(test)]
mod tests;
