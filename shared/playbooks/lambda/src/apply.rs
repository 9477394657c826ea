//! Makes the changes, and puts back what they found.

use std::time::Duration;

use aws_sdk_lambda::Client;

use super::action::{Action, DenyCredentials, Throttle};
use super::clients::Clients;
use super::role;
use aws::conflict;
use aws::error::{CallContext, Result};
use aws::iam_policy::Entity;

/// Lambda and IAM refuse a change while another one of the same resource is under way, and the SDK does not retry
/// that.
const CONFLICTS: [&str; 3] = [
    "ResourceConflictException",
    "ConcurrentModification",
    "EntityTemporarilyUnmodifiable",
];
const CONFLICT_PAUSES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Makes one change.
pub(super) async fn apply(clients: &Clients, action: &Action) -> Result<()> {
    match action {
        Action::Throttle(action) => {
            let lambda = clients.lambda_in(&action.region);
            despite_conflicts(async || reserve(&lambda, &action.function, 0).await).await
        }
        Action::DenyCredentials(DenyCredentials {
            role, policy, to, ..
        }) => despite_conflicts(async || role::put(&clients.iam, role, policy, to).await).await,
    }
}

/// Puts back what a change found.
pub(super) async fn restore(clients: &Clients, action: &Action) -> Result<()> {
    match action {
        Action::Throttle(Throttle {
            region,
            function,
            from,
            ..
        }) => {
            let lambda = clients.lambda_in(region);
            despite_conflicts(async || match from {
                Some(from) => reserve(&lambda, function, *from).await,
                None => reserve_none(&lambda, function).await,
            })
            .await
        }
        Action::DenyCredentials(DenyCredentials {
            role, policy, from, ..
        }) => {
            despite_conflicts(async || match from {
                Some(from) => role::put(&clients.iam, role, policy, from).await,
                None => Entity::Role(role).delete_policy(&clients.iam, policy).await,
            })
            .await
        }
    }
}

async fn reserve(client: &Client, function: &str, concurrency: i32) -> Result<()> {
    let call = client.put_function_concurrency().function_name(function);
    let done = call.reserved_concurrent_executions(concurrency).send();
    let done = done.await;
    done.during("lambda:PutFunctionConcurrency", function)
        .map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "release takes away a limit that only the responder set"
)]
async fn reserve_none(client: &Client, function: &str) -> Result<()> {
    let call = client.delete_function_concurrency();
    let done = call.function_name(function).send().await;
    done.during("lambda:DeleteFunctionConcurrency", function)
        .map(drop)
}

async fn despite_conflicts(change: impl AsyncFn() -> Result<()>) -> Result<()> {
    conflict::despite_conflicts(&CONFLICTS, &CONFLICT_PAUSES, change).await
}
