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
        "invocations of {function} that are under way go on until they end, {longest} seconds at most, and reach \
         whatever needs no credentials of AWS"
    ));
    if state
        .configuration
        .as_ref()
        .is_ok_and(|found| found.durable)
    {
        plan.residual_risks.push(format!(
            "durable executions of {function} stay open, and go on when it is released: list them \
             (lambda:ListDurableExecutionsByFunction), and stop those that the attacker began"
        ));
    }
    plan.next_steps.push(format!(
        "find out what has not been done since {function} was throttled: synchronous callers get an error (429). \
         Lambda retries an asynchronous event for six hours at most. Then it goes to its destination on failure or \
         its dead-letter queue, or is lost"
    ));
    if let Some(around) = &state.surroundings {
        surroundings(plan, around, function);
    }
    let variables = state.configuration.as_ref().map(|found| &found.variables);
    if let Ok(variables) = variables
        && !variables.is_empty()
    {
        plan.next_steps.push(format!(
            "rotate the secrets that the environment of {function} holds, if any: its code could read {}",
            listed(variables, MOST),
        ));
    }
    plan.next_steps.push(format!(
        "compare the code and the layers of {function} with what was deployed, before it is released: version {}",
        finding.function_version().unwrap_or("$LATEST"),
    ));
}

fn surroundings(plan: &mut Plan<Action>, around: &Surroundings, function: &str) {
    let mut unread = Vec::new();
    if let Some(sources) = some_of(&around.event_sources, &mut unread) {
        plan.residual_risks.push(format!(
            "{function} is still offered the events of {sources}: a queue keeps them until they expire or go to its \
             dead-letter queue, a stream until its retention ends; watch the age of the oldest, or disable the event \
             source"
        ));
    }
    if let Some(urls) = some_of(&around.urls, &mut unread) {
        plan.residual_risks.push(format!(
            "{urls} stays, and answers 429 while the function is throttled"
        ));
    }
    if let Some(provisioned) = some_of(&around.provisioned, &mut unread) {
        plan.residual_risks.push(format!(
            "the execution environments of {provisioned} are kept ready, and paid for. If Lambda refuses a reserved \
             concurrency below the provisioned one, delete the provisioned one, and send the finding once more"
        ));
    }
    for error in unread {
        plan.next_steps.push(format!(
            "look what else invokes {function}, which could not be read: {error}"
        ));
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
