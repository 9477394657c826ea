//! The activity that continues although a function is throttled. Pure.

use super::action::Action;
use super::state::{State, Surroundings};
use aws::error::Result;
use model::finding::Finding;
use model::investigation::listed;
use model::plan::{Plan, Step};

/// Names in a sentence.
const MOST: usize = 10;

pub(super) fn tell(plan: &mut Plan<Action>, finding: &Finding, state: &State, function: &str) {
    let throttled = plan.steps.iter().any(|step| {
        matches!(
            step,
            Step::Do(Action::Throttle(_)) | Step::Already(Action::Throttle(_), _)
        )
    });
    if !throttled {
        return;
    }
    let timeout = state.configuration.as_ref().ok();
    let longest = timeout.and_then(|found| found.timeout).unwrap_or(900);
    plan.residual_risks.push(format!(
        "invocations of {function} that run continue for {longest} seconds at most: their network is not cut, and \
         their logs are refused"
    ));
    if state
        .configuration
        .as_ref()
        .is_ok_and(|found| found.durable)
    {
        plan.residual_risks.push(format!(
            "durable executions of {function} continue after its release: stop those that the attacker began \
             (lambda:ListDurableExecutionsByFunction)"
        ));
    }
    plan.next_steps.push(format!(
        "tell the owner that {function} is throttled: callers get 429, and asynchronous events fail after six hours \
         of retries"
    ));
    if let Some(around) = &state.surroundings {
        surroundings(plan, around, function);
    }
    let variables = state.configuration.as_ref().map(|found| &found.variables);
    if let Ok(variables) = variables
        && !variables.is_empty()
    {
        plan.next_steps.push(format!(
            "rotate the secrets in the environment of {function}: {}",
            listed(variables, MOST),
        ));
    }
    plan.next_steps.push(format!(
        "compare the code and layers of {function} with its deployment before you release it: version {}",
        finding.function_version().unwrap_or("$LATEST"),
    ));
}

fn surroundings(plan: &mut Plan<Action>, around: &Surroundings, function: &str) {
    let mut unread = Vec::new();
    if let Some(sources) = some_of(&around.event_sources, &mut unread) {
        plan.residual_risks.push(format!(
            "events of {sources} wait for {function} until they expire: watch the age of the oldest, or disable the \
             event source"
        ));
    }
    if let Some(urls) = some_of(&around.urls, &mut unread) {
        plan.residual_risks.push(format!(
            "the URL {urls} stays, and answers 429 while {function} is throttled"
        ));
    }
    if let Some(provisioned) = some_of(&around.provisioned, &mut unread) {
        plan.residual_risks.push(format!(
            "provisioned concurrency of {provisioned} is still charged: delete it, then resend the finding if the \
             throttle was refused for it"
        ));
    }
    for error in unread {
        plan.next_steps
            .push(format!("find out what else invokes {function}: {error}"));
    }
}

/// The names, if there are any.
fn some_of(read: &Result<Vec<String>>, unread: &mut Vec<String>) -> Option<String> {
    match read {
        Ok(names) if names.is_empty() => None,
        Ok(names) => Some(listed(names, MOST)),
        Err(error) => {
            unread.push(error.to_string());
            None
        }
    }
}
