//! The policies' answers about a finding before anything was observed: for the command line.

use jiff::Timestamp;

use super::authorization::Authorization;
use super::loaded_policies::LoadedPolicies;
use super::policies::schema;
use super::request_context::RequestContext;
use model::actions;
use model::catalogue;
use model::category::Category;
use model::decision::{Decision, ResponseSettings, decide};
use model::error::{Error, Result};
use model::finding::{Finding, Principal};
use model::plan::{Phase, StepKey};
use model::resource::{Kind, Resource};

/// One function's response to a finding.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The function.
    pub category: Category,
    /// The decision before the policies are asked.
    pub decision: Decision,
    /// The steps that it might plan, if it is to contain.
    pub steps: Vec<Explained>,
}

/// A step that might be planned, and what the policies say of it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The action's name.
    pub action: &'static str,
    /// The phase it belongs to.
    pub phase: Phase,
    /// The kind of resource and its ARN.
    pub resource: (Kind, String),
    /// The policies' answer.
    pub verdict: Authorization,
}

/// Asks the policies about every step that the functions might plan for `finding`.
///
/// Nothing is observed: the resource has the values of the finding, and its tags count as unchanged. Other values (a
/// path, a group, a role, the history) are absent.
///
/// # Errors
/// [`Error::Malformed`] if the finding lacks what names the target.
pub fn explain(
    guard: &LoadedPolicies,
    finding: &Finding,
    settings: &ResponseSettings,
    now: Timestamp,
) -> Result<Vec<Explanation>> {
    let mut explanations = Vec::new();
    for category in catalogue::routes(finding) {
        let decision = decide(category, finding, settings);
        let mut steps = Vec::new();
        if let Decision::Contain(_) = decision {
            let context = RequestContext::new(finding, settings, category, false, now);
            for resource in resources(category, finding)? {
                let possible = possible(category, resource.kind)?;
                steps.extend(possible.into_iter().map(|(action, phase)| {
                    let target = resource.arn.clone();
                    let step = StepKey { action, target };
                    Explained {
                        action,
                        phase,
                        resource: (resource.kind, resource.arn.clone()),
                        verdict: guard.judge(&context, &step, &resource, false),
                    }
                }));
            }
        }
        explanations.push(Explanation {
            category,
            decision,
            steps,
        });
    }
    Ok(explanations)
}

/// The actions of a function that the schema has for a kind of resource.
pub(super) fn possible(category: Category, kind: Kind) -> Result<Vec<(&'static str, Phase)>> {
    let schema = schema().map_err(Error::Refused)?;
    let applies = |name: &str| {
        let mut known = schema
            .actions()
            .filter(|known| known.id().unescaped() == name);
        known.any(|action| {
            let mut kinds = schema.resources_for_action(action).into_iter().flatten();
            kinds.any(|known| known.basename() == kind.as_str())
        })
    };
    let actions = actions::of(category).iter().copied();
    Ok(actions.filter(|(name, _)| applies(name)).collect())
}

/// The targets with the values that the finding has.
pub(super) fn resources(category: Category, finding: &Finding) -> Result<Vec<Resource>> {
    Ok(match category {
        Category::S3 if catalogue::concerns_account_block(finding) => {
            vec![Resource::account(finding)]
        }
        Category::S3 => finding
            .buckets()?
            .iter()
            .map(|bucket| {
                let tags = finding.bucket_tags(bucket).unwrap_or_default();
                let resource = Resource::bucket(finding, &finding.region, bucket);
                resource.tags(tags.iter().copied(), Some(&tags))
            })
            .collect(),
        Category::Iam => match finding.principal()? {
            Principal::User { name, .. } => vec![Resource::user(finding, &name, None)],
            Principal::RoleSession { role, .. } => vec![Resource::role(finding, &role, None)],
            _ => Vec::new(),
        },
        Category::Ec2 => {
            let tags = finding.instance_tags().unwrap_or_default();
            let resource = Resource::instance(finding, &finding.instance_id()?);
            vec![resource.tags(tags.iter().copied(), Some(&tags))]
        }
        Category::Lambda => {
            let tags = finding.function_tags().unwrap_or_default();
            let resource = Resource::function(finding, &finding.function_name()?);
            vec![resource.tags(tags.iter().copied(), Some(&tags))]
        }
        Category::Triage => Vec::new(),
    })
}
