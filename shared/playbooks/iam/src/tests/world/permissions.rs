//! What IAM tells of policies, groups and services last used.

use std::sync::{Arc, Mutex};

use aws_sdk_iam::operation::*;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{Group, JobStatusType, Policy, PolicyVersion, ServiceLastAccessed};
use testkit::{Rule, mock};

use super::rules::{attached, encoded};
use super::{Account, Entity};
use aws_sdk_iam::Client;
use fixtures::Wire;

/// What the access advisor knows.
#[derive(Clone, Default)]
pub(crate) struct Services {
    /// Namespace, second of the last use.
    pub(crate) used: Vec<(&'static str, Option<i64>)>,
    /// How many looks find the job at work still.
    pub(crate) working: usize,
    /// The job fails.
    pub(crate) fails: bool,
}

fn names(entity: &Entity) -> Vec<String> {
    entity.inline.keys().cloned().collect()
}

pub(super) fn permission_rules(account: &Arc<Mutex<Account>>, wire: &Wire) -> Vec<Rule> {
    let on = (account, wire);
    let generate_details = mock!(Client::generate_service_last_accessed_details);
    vec![
        mock!(Client::list_user_policies).answered_by(on, "iam:ListUserPolicies", |state, request| {
                let names = names(state.user(request.user_name())?);
                let built = list_user_policies::ListUserPoliciesOutput::builder();
                Ok(built.set_policy_names(Some(names)).build().unwrap())
            }),
        mock!(Client::list_role_policies).answered_by(on, "iam:ListRolePolicies", |state, request| {
                let names = names(state.role(request.role_name())?);
                let built = list_role_policies::ListRolePoliciesOutput::builder();
                Ok(built.set_policy_names(Some(names)).build().unwrap())
            }),
        mock!(Client::list_groups_for_user).answered_by(on, "iam:ListGroupsForUser", |state, request| {
                let groups = state.user(request.user_name())?.groups.clone();
                let groups = groups.into_iter().map(|name| {
                    let group = Group::builder().path("/").group_name(name).group_id("AGPA");
                    let group = group.arn("arn").create_date(DateTime::from_secs(0));
                    group.build().unwrap()
                });
                let built = list_groups_for_user::ListGroupsForUserOutput::builder();
                Ok(built.set_groups(Some(groups.collect())).build().unwrap())
            }),
        mock!(Client::list_group_policies).answered_by(on, "iam:ListGroupPolicies", |state, request| {
                let names = names(state.group(request.group_name())?);
                let built = list_group_policies::ListGroupPoliciesOutput::builder();
                Ok(built.set_policy_names(Some(names)).build().unwrap())
            }),
        mock!(Client::get_group_policy).answered_by(on, "iam:GetGroupPolicy", |state, request| {
                let name = request.policy_name().unwrap();
                let document = encoded(&state.group(request.group_name())?.inline[name]);
                let built = get_group_policy::GetGroupPolicyOutput::builder();
                let built = built.group_name("-").policy_name(name);
                Ok(built.policy_document(document).build().unwrap())
            }),
        mock!(Client::list_attached_group_policies).answered_by(on, "iam:ListAttachedGroupPolicies", |state, request| {
                let attached = attached(state.group(request.group_name())?);
                let built =
                    list_attached_group_policies::ListAttachedGroupPoliciesOutput::builder();
                Ok(built.set_attached_policies(Some(attached)).build())
            }),
        mock!(Client::get_policy).answered_by(on, "iam:GetPolicy", |state, request| {
                let arn = request.policy_arn().unwrap();
                state.policies.get(arn).ok_or("NoSuchEntity")?;
                let policy = Policy::builder().arn(arn).default_version_id("v3").build();
                Ok(get_policy::GetPolicyOutput::builder()
                    .policy(policy)
                    .build())
            }),
        mock!(Client::get_policy_version).answered_by(on, "iam:GetPolicyVersion", |state, request| {
                assert_eq!(request.version_id(), Some("v3"), "the version in force");
                let document = &state.policies[request.policy_arn().unwrap()];
                let version = PolicyVersion::builder().document(encoded(&document.to_string()));
                let built = get_policy_version::GetPolicyVersionOutput::builder();
                Ok(built.policy_version(version.build()).build())
            }),
        generate_details.answered_by(on, "iam:GenerateServiceLastAccessedDetails", |_state, request| {
                let arn = request.arn().unwrap();
                assert!(arn.starts_with("arn:aws:iam::111122223333:"), "{arn}");
                let built =
                    generate_service_last_accessed_details::GenerateServiceLastAccessedDetailsOutput::builder();
                Ok(built.job_id("6a2ff8d4-0e63-4a34-9d5c-2b7d9d2f8a11").build())
            }),
        mock!(Client::get_service_last_accessed_details).answered_by(on, "iam:GetServiceLastAccessedDetails", |state, _request| {
                let services = &mut state.services;
                let status = match services.working {
                    0 if services.fails => JobStatusType::Failed,
                    0 => JobStatusType::Completed,
                    _ => JobStatusType::InProgress,
                };
                services.working = services.working.saturating_sub(1);
                let used = services.used.iter().map(|(name, at)| {
                    let built = ServiceLastAccessed::builder().service_namespace(*name);
                    let built = built.service_name(*name);
                    let at = at.map(DateTime::from_secs);
                    built.set_last_authenticated(at).build().unwrap()
                });
                let built =
                    get_service_last_accessed_details::GetServiceLastAccessedDetailsOutput::builder(
                    );
                let built = built
                    .job_status(status)
                    .job_creation_date(DateTime::from_secs(0));
                let built = built.job_completion_date(DateTime::from_secs(1_772_600_700));
                let built = built.set_services_last_accessed(Some(used.collect()));
                Ok(built.build().unwrap())
            }),
    ]
}
