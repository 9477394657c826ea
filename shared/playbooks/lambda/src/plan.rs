//! The plan for a function. Pure.

use super::action::{Action, DenyCredentials, Throttle};
use super::residual_risks;
use super::role;
use super::state::{Role, State};
use model::actions::lambda as name;
use model::finding::Finding;
use model::plan::{Plan, Step};

pub(super) fn plan(finding: &Finding, state: &State) -> Plan<Action> {
    let mut plan = Plan::default();
    // Without a name nothing is observed.
    let Ok(function) = finding.function_name() else {
        return plan;
    };
    plan.steps.push(throttle(finding, state, &function));
    for role in state.roles.iter().flatten() {
        plan.steps.push(deny(finding, &function, role));
    }
    // It may have another role by now than the finding says.
    if state.roles.is_some()
        && let Err(error) = &state.configuration
        && !error.is_gone()
    {
        let arn = finding.function_arn(&function);
        plan.steps.push(Step::unknown(name::DENY, arn, error));
    }
    residual_risks::tell(&mut plan, finding, state, &function);
    plan
}

fn throttle(finding: &Finding, state: &State, function: &str) -> Step<Action> {
    let arn = finding.function_arn(function);
    let from = match &state.concurrency {
        Ok(from) => *from,
        Err(error) if error.is_gone() => {
            return Step::skipped(name::THROTTLE, arn, "there is no such function");
        }
        Err(error) => return Step::unknown(name::THROTTLE, arn, error),
    };
    let action = Action::Throttle(Throttle {
        region: finding.region.clone(),
        function: function.to_owned(),
        arn,
        from,
    });
    match from {
        Some(0) => Step::Already(action, "its reserved concurrency is 0".to_owned()),
        _ => Step::Do(action),
    }
}

/// The deny of the credentials that the function has, or had, of one role.
fn deny(finding: &Finding, function: &str, role: &Role) -> Step<Action> {
    let (id, from) = match (&role.id, &role.deny) {
        (Err(error), _) if error.is_gone() => {
            let why = "the role is gone, and its credentials with it";
            return Step::skipped(name::DENY, &role.arn, why);
        }
        (Err(error), _) | (_, Err(error)) => return Step::unknown(name::DENY, &role.arn, error),
        (Ok(id), Ok(from)) => (id, from.clone()),
    };
    let to = role::policy(finding, function, id);
    let policy = role::policy_name(finding, function);
    let denied = from.as_ref() == Some(&to);
    let seen = format!("{policy} denies this function everything");
    let action = Action::DenyCredentials(DenyCredentials {
        role: role.name.clone(),
        role_arn: role.arn.clone(),
        policy,
        from,
        to,
    });
    if denied {
        Step::Already(action, seen)
    } else {
        Step::Do(action)
    }
}
