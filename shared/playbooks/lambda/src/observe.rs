//! Reads a function: its concurrency first, then its roles, then its event sources and URLs.

use futures::future::join_all;

use super::clients::Clients;
use super::describe;
use super::role;
use super::state::{State, Surroundings};
use aws::error::Result;
use model::finding::Finding;

/// The IAM permissions that observing needs.
pub(super) const PERMISSIONS: &[&str] = &[
    "iam:GetRole",
    "iam:GetRolePolicy",
    "lambda:GetAccountSettings",
    "lambda:GetFunctionConcurrency",
    "lambda:GetFunctionConfiguration",
    "lambda:ListEventSourceMappings",
    "lambda:ListFunctionUrlConfigs",
    "lambda:ListProvisionedConcurrencyConfigs",
    "lambda:ListTags",
];

/// Reads all.
pub(super) async fn observe(clients: &Clients, finding: &Finding) -> Result<State> {
    let mut state = glance(clients, finding).await?;
    while let Some(more) = complete(clients, finding, &state).await {
        state = more;
    }
    Ok(state)
}

/// Reads the part that decides how the function is contained.
pub(super) async fn glance(clients: &Clients, finding: &Finding) -> Result<State> {
    let name = finding.function_name()?;
    let arn = finding.function_arn(&name);
    let lambda = clients.lambda_in(&finding.region);
    let (concurrency, configuration, tags, functions) = futures::join!(
        Box::pin(describe::concurrency(&lambda, &name)),
        Box::pin(describe::configuration(&lambda, &name)),
        Box::pin(describe::tags(&lambda, &arn)),
        Box::pin(describe::functions(&lambda)),
    );
    Ok(State {
        concurrency,
        configuration,
        tags,
        functions,
        roles: None,
        surroundings: None,
    })
}

/// Reads the part that [`glance`] has left out: the roles, and then the rest. `None`: nothing is left.
pub(super) async fn complete(clients: &Clients, finding: &Finding, part: &State) -> Option<State> {
    if part.roles.is_none() {
        return Some(with_roles(clients, finding, part).await);
    }
    if part.surroundings.is_some() || part.is_gone() {
        return None;
    }
    let name = finding.function_name().ok()?;
    let lambda = clients.lambda_in(&finding.region);
    let (event_sources, urls, provisioned) = futures::join!(
        Box::pin(describe::event_sources(&lambda, &name)),
        Box::pin(describe::urls(&lambda, &name)),
        Box::pin(describe::provisioned(&lambda, &name)),
    );
    Some(State {
        surroundings: Some(Surroundings {
            event_sources,
            urls,
            provisioned,
        }),
        ..part.clone()
    })
}

/// The role that the function has, and that which it had by the finding: credentials that it was given work for
/// hours after the role left it.
async fn with_roles(clients: &Clients, finding: &Finding, part: &State) -> State {
    let policy = finding.function_name();
    let policy = policy.map_or_else(|_| String::new(), |name| role::policy_name(finding, &name));
    let current = part.configuration.as_ref().ok();
    let current = current.map(|found| found.role.as_str());
    let mut arns: Vec<_> = current.into_iter().chain(finding.function_role()).collect();
    arns.dedup();
    let read = arns.into_iter();
    let read = read.map(|arn| Box::pin(role::read(&clients.iam, arn, &policy)));
    State {
        roles: Some(join_all(read).await),
        ..part.clone()
    }
}
