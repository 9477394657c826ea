//! Which steps a plan could have, by the finding and the settings alone.
//!
//! The playbooks plan by what they observe. Here each action is planned surely, never, or if something is
//! so that only observing would show.

use std::collections::HashMap;

use super::evaluation::{Judgement, Left, Reason, Step, StepVerdict, Target};
use model::breaker::BlastRadiusGroup;
use model::catalogue;
use model::category::Category;
use model::finding::{Finding, Principal};
use model::not_contained;
use model::plan::{Phase, Withheld};
use model::settings::{AutoScaling, Settings};
use policy::{self, Forecaster, Kind, RequestContext, Resource};

/// The id of the rail that holds for the principals of `NeverContain`.
const NEVER: &str = "rail:never-contain";

/// Whether a plan has a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planned {
    Surely,
    /// If this is so.
    If(&'static str),
    Never,
}

/// The targets of a finding of a type to contain. `outright`: the reason that forbids all of it.
pub(super) fn targets(
    forecaster: &Forecaster,
    context: &RequestContext<'_>,
    settings: &Settings,
    outright: Option<Withheld>,
) -> Judgement {
    let (finding, function) = (context.finding, context.category);
    let left = |cause, reason: String| Judgement::Left(Left { cause, reason });
    let resources = match Forecaster::resources(function, finding) {
        Ok(resources) => resources,
        Err(error) => return left(Reason::Malformed, error.to_string()),
    };
    if let Some((cause, reason)) = nothing(function, finding, settings) {
        return left(cause, reason);
    }
    let places = model::decision::places(function, finding).unwrap_or_default();
    let mut targets = Vec::new();
    for resource in resources {
        let resource = with_telling_path(finding, resource);
        let mut steps = Vec::new();
        let mut said: HashMap<usize, policy::Forecast> = HashMap::new();
        for action in forecaster.actions(function, resource.kind()) {
            let condition = match planned(action.name, finding, settings) {
                Planned::Never => continue,
                Planned::Surely => None,
                Planned::If(condition) => Some(condition),
            };
            let forecast = said.entry(action.class).or_insert_with(|| match &outright {
                Some(why) => policy::Forecast {
                    verdict: policy::Authorization::Withheld(why.clone()),
                    depends_on: Vec::new(),
                },
                None => forecaster.forecast(context, action.name, &resource),
            });
            steps.push(step(action.name, action.phase, condition, forecast.clone()));
        }
        // As the breaker names them.
        let place = match places.as_slice() {
            [one] => one.clone(),
            _ => resource.name().to_owned(),
        };
        targets.push(Target {
            place,
            kind: resource.kind(),
            arn: resource.arn().to_owned(),
            name: resource.name().to_owned(),
            crowds: crowds(finding, resource.kind()),
            renewed: finding
                .last_seen()
                .filter(|_| renews(function, finding, settings)),
            steps,
        });
    }
    if targets.iter().all(|target| target.steps.is_empty()) {
        return left(
            Reason::Nothing,
            "the settings let nothing be done".to_owned(),
        );
    }
    Judgement::Contain(targets)
}

/// A principal that is never contained, as a target of which everything is withheld.
pub(super) fn spared(function: Category, finding: &Finding, why: &str) -> Option<Target> {
    let resource = Forecaster::resources(function, finding).ok()?.pop()?;
    let place = model::decision::targets(function, finding).ok()?.pop()?;
    let withheld = Withheld {
        by: vec![NEVER.to_owned()],
        reason: why.to_owned(),
        awaits_approval: false,
    };
    let forecast = policy::Forecast {
        verdict: policy::Authorization::Withheld(withheld),
        depends_on: Vec::new(),
    };
    let action = match resource.kind() {
        Kind::User => "iam:RevokeUserSessions",
        _ => "iam:DenyRoleSession",
    };
    Some(Target {
        place,
        kind: resource.kind(),
        arn: resource.arn().to_owned(),
        name: resource.name().to_owned(),
        crowds: Vec::new(),
        renewed: None,
        steps: vec![step(action, Phase::Contain, None, forecast)],
    })
}

fn step(
    action: &'static str,
    phase: Phase,
    condition: Option<&'static str>,
    forecast: policy::Forecast,
) -> Step {
    let (verdict, by, reason) = match forecast.verdict {
        policy::Authorization::Permitted(by) => (StepVerdict::Permitted, by, String::new()),
        policy::Authorization::Withheld(why) if why.awaits_approval => {
            (StepVerdict::AwaitsApproval, why.by, why.reason)
        }
        policy::Authorization::Withheld(why) => (StepVerdict::Withheld, why.by, why.reason),
    };
    Step {
        action,
        phase,
        condition,
        verdict,
        by,
        reason,
        depends_on: forecast.depends_on,
    }
}

/// Why the playbook would find nothing to contain, whatever it observes.
fn nothing(function: Category, finding: &Finding, settings: &Settings) -> Option<(Reason, String)> {
    match function {
        Category::S3 if catalogue::concerns_account_block(finding) => (!settings.s3.account_block)
            .then(|| {
                (
                    Reason::Setting,
                    "the account's Block Public Access is left to the operator (S3AccountBlock)"
                        .to_owned(),
                )
            }),
        Category::S3 if catalogue::concerns_object(finding) => None,
        Category::S3 => {
            let refused = not_contained::block_is_no_answer(finding)?;
            let deniable = settings.s3.policy_deny
                && !not_contained::got_nothing(finding)
                && matches!(
                    finding.principal(),
                    Ok(Principal::Anonymous | Principal::OtherAccount { .. })
                );
            (!deniable).then_some((Reason::Nothing, refused))
        }
        Category::Iam => match finding.principal().ok()? {
            Principal::User { .. } => None,
            Principal::RoleSession { role, session } => {
                let whole = session.is_none() && !settings.iam.role_wide;
                whole.then(|| {
                    let why = format!(
                        "the finding does not name the session of {role}, and the role as a whole is \
                         left alone (IamRoleWide)"
                    );
                    (Reason::Nothing, why)
                })
            }
            Principal::KeyOwner { key, .. } => Some((
                Reason::Unknown,
                format!(
                    "the playbook asks IAM for the user of the key {key}, deactivates the key, and \
                     denies that user's sessions"
                ),
            )),
            Principal::FederatedUser { .. } => {
                let why = "the playbook asks CloudTrail for the user who issued the federated session, \
                    and denies that user's sessions";
                Some((Reason::Unknown, why.to_owned()))
            }
            other => Some((Reason::Nothing, not_contained::unsupported(&other))),
        },
        Category::Ec2 | Category::Lambda | Category::Triage => None,
    }
}

/// Whether a plan about `finding` has the action of this name.
fn planned(action: &str, finding: &Finding, settings: &Settings) -> Planned {
    use Planned::{If, Never, Surely};
    let when = |on: bool, then: Planned| if on { then } else { Never };
    match action {
        "s3:BlockBucketPublicAccess" | "s3:DenyInBucketPolicy"
            if catalogue::concerns_object(finding) =>
        {
            Never
        }
        "s3:BlockBucketPublicAccess" => block(finding),
        "s3:DenyInBucketPolicy" => when(settings.s3.policy_deny, deny(finding)),
        "s3:DenyTaggedObjects" | "s3:TagObjectVersion" => match catalogue::concerns_object(finding)
        {
            true => If("the version is still there, and there is room in its tags and the policy"),
            false => Never,
        },
        "s3:BlockAccountPublicAccess" => when(settings.s3.account_block, Surely),
        "iam:RevokeUserSessions" | "ec2:KeepVolume" | "ec2:SnapshotVolumes" => Surely,
        "lambda:ThrottleFunction" | "iam:DenyFunctionCredentials" => Surely,
        "iam:DeactivateAccessKey" => key(finding, settings),
        "iam:DeactivateServiceSpecificCredential" => service_credential(finding, settings),
        "iam:DenyRoleSession" => match finding.principal() {
            Ok(Principal::RoleSession {
                session: Some(_), ..
            }) => Surely,
            _ => Never,
        },
        "iam:RevokeRoleSessions" => when(settings.iam.role_wide, Surely),
        "iam:MarkContained" => when(settings.iam.mark_contained, Surely),
        "ec2:ProtectFromTermination" | "ec2:ProtectFromStop" => If("it is no Spot Instance"),
        "ec2:StopOnShutdown" => If("its root volume is one of EBS"),
        "ec2:MarkContained" => Surely,
        "autoscaling:DetachInstance" => when(
            settings.ec2.auto_scaling == AutoScaling::Detach,
            scaling(finding),
        ),
        "autoscaling:EnterStandby" => when(
            settings.ec2.auto_scaling == AutoScaling::Standby,
            scaling(finding),
        ),
        "elasticloadbalancing:DeregisterTarget" => If("a target group has it"),
        "elasticloadbalancing:DeregisterInstance" => If("a Classic Load Balancer has it"),
        "ec2:PrepareIsolationGroup" => If("its VPC has no isolation group yet"),
        "ec2:CloseIsolationGroup" => If("another group of ours in its VPC was given rules"),
        "ec2:IsolateInterface" if settings.ec2.isolate_container_nodes => {
            If("it forwards for nobody else")
        }
        "ec2:IsolateInterface" => If(
            "it is no node of EKS or ECS, no AWS service operates it, and it forwards for nobody else",
        ),
        "iam:DenyInstanceCredentials" => match finding.instance_profile() {
            Some(_) => Surely,
            None => If("it has a role"),
        },
        "ec2:RemovePublicAddress" => when(
            settings.ec2.remove_public_address,
            If("it has a public address"),
        ),
        "ec2:DisableInstanceMetadata" => when(settings.ec2.disable_metadata, Surely),
        "ec2:ShortenIdleTimeouts" => when(
            settings.ec2.shorten_timeouts,
            If("its kind of instance has idle time-outs"),
        ),
        "ec2:CutTrackedConnections" => when(
            settings.ec2.cut_connections_seconds > 0,
            If(
                "it runs, no address of the internet stays, and no gateway, endpoint or load balancer is on the way",
            ),
        ),
        "ec2:AdmitForensics" => when(
            !settings.ec2.forensics_access.is_empty(),
            If("its VPC has the groups that are listed"),
        ),
        _ => If("the playbook plans it"),
    }
}

fn block(finding: &Finding) -> Planned {
    const MARKED: &str =
        "it is not public on purpose (gdr:public-ok, or a website, from before the activity)";
    const TAGGED: &str = "it is not public on purpose (gdr:public-ok from before the activity)";
    if not_contained::block_is_no_answer(finding).is_some() {
        return Planned::Never;
    }
    match finding.principal() {
        Ok(Principal::OtherAccount { .. }) if finding.finding_type.purpose() != "Policy" => {
            Planned::If("it or its objects may be public, and not on purpose")
        }
        _ if not_contained::was_private(finding) => Planned::If(TAGGED),
        _ => Planned::If(MARKED),
    }
}

fn deny(finding: &Finding) -> Planned {
    if matches!(finding.finding_type.purpose(), "Policy" | "Stealth")
        || not_contained::got_nothing(finding)
    {
        return Planned::Never;
    }
    match finding.principal() {
        Ok(Principal::OtherAccount { .. }) => {
            Planned::If("it may let the caller in otherwise than by a public grant")
        }
        Ok(Principal::Anonymous) => Planned::If(
            "public access is not blocked, or its policy lets anybody in who meets a condition",
        ),
        _ => Planned::Never,
    }
}

fn key(finding: &Finding, settings: &Settings) -> Planned {
    match finding.principal() {
        Ok(Principal::User {
            long_term_key: Some(_),
            ..
        }) => Planned::If("the key is active"),
        Ok(Principal::User { .. }) if settings.iam.user_session_keys => {
            Planned::If("the user has active keys")
        }
        _ if settings.iam.created_keys => Planned::If("the principal created keys"),
        _ => Planned::Never,
    }
}

fn service_credential(finding: &Finding, settings: &Settings) -> Planned {
    match finding.principal() {
        Ok(Principal::User {
            long_term_key: Some(key),
            ..
        }) if !key.starts_with("AKIA") => Planned::If("IAM lists the credential as the user's"),
        Ok(Principal::User { .. }) if settings.iam.created_keys => {
            Planned::If("the user has service-specific credentials from after the first event")
        }
        _ => Planned::Never,
    }
}

fn scaling(finding: &Finding) -> Planned {
    match group(finding) {
        Some(_) => Planned::Surely,
        None => Planned::If("it is in an Auto Scaling group"),
    }
}

/// The Auto Scaling group that the finding shows the instance to be in, by the tag that AWS sets,
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html>.
fn group(finding: &Finding) -> Option<&str> {
    const TAG: &str = "aws:autoscaling:groupName";
    let tags = finding.instance_tags()?;
    let (_, name) = tags.into_iter().find(|(key, _)| *key == TAG)?;
    Some(name)
}

/// The groups that the target is a member of, as far as the finding has them.
fn crowds(finding: &Finding, kind: Kind) -> Vec<BlastRadiusGroup> {
    match kind {
        Kind::User => vec![BlastRadiusGroup::Users],
        Kind::Instance => group(finding)
            .map(|name| BlastRadiusGroup::AutoScalingGroup {
                region: finding.instance_region(),
                name: name.to_owned(),
            })
            .into_iter()
            .collect(),
        Kind::Function => vec![BlastRadiusGroup::Functions {
            region: finding.region.clone(),
        }],
        _ => Vec::new(),
    }
}

/// A key stays inactive and a named session denied; a containment cuts off the sessions of a user or role up to a time,
/// and newer ones need another.
fn renews(function: Category, finding: &Finding, settings: &Settings) -> bool {
    function == Category::Iam
        && match finding.principal() {
            Ok(Principal::User { long_term_key, .. }) => {
                long_term_key.is_none() && !settings.iam.user_session_keys
            }
            Ok(Principal::RoleSession { session, .. }) => session.is_none(),
            _ => false,
        }
}

/// Findings do not tell the path of a role. Those that only AWS may change have names of their own,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html>,
/// <https://docs.aws.amazon.com/singlesignon/latest/userguide/using-service-linked-roles.html>.
fn with_telling_path(finding: &Finding, resource: Resource) -> Resource {
    const BY_NAME: [(&str, &str); 2] = [
        ("AWSServiceRoleFor", "aws-service-role/"),
        ("AWSReservedSSO_", "aws-reserved/sso.amazonaws.com/"),
    ];
    let name = resource.name();
    let path = BY_NAME.iter().find(|(prefix, _)| name.starts_with(prefix));
    match path {
        Some((_, path)) if resource.kind() == Kind::Role => {
            let (partition, account) = (finding.partition(), &finding.account_id);
            let arn = format!("arn:{partition}:iam::{account}:role/{path}{name}");
            Resource::role(finding, name, Some(&arn))
        }
        _ => resource,
    }
}

#[cfg(test)]
mod tests;
