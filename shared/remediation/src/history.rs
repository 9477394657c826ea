//! Planning with what CloudTrail's event history tells, where a decision rests on it.

mod prior_activity;

use std::time::Duration;

use tokio::time::Instant;

pub use crate::cloudtrail::event_history::EventHistory;
use crate::cloudtrail::tag_age::tagged_since;
use crate::error::{Error, Result};
use crate::execute::within;
use crate::inquiry::Inquiry;
use crate::investigation::reason;
use crate::policy_parameter::PolicyParameter;
use crate::settings::Settings;
use aws::playbook::Playbook;
use policy::{
    Authorized, Gate, HistoryAnswer, OpenQuestion, PriorActivity, TagAge, TaggedResource,
};

/// How long CloudTrail is waited for, by each of the two questions. It allows an account two look-ups a
/// second, <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>.
const PATIENCE: Duration = Duration::from_secs(3);

/// The sources that a function asks before it acts.
#[derive(Debug)]
pub struct AuthorizationSources {
    /// The policies.
    pub policies: PolicyParameter,
    /// The event history with the age of tags and the principal's earlier calls. `None`: the one of the playbook.
    pub history: Option<EventHistory>,
}

/// Plans, asks CloudTrail what a policy decides by, and plans again. A missing answer of CloudTrail stays unknown, and
/// becomes a step for the on-call engineer.
pub async fn plan_by_history<P: Playbook>(
    gate: &Gate<'_>,
    state: &P::State,
    settings: &Settings,
    history: Option<&EventHistory>,
    until: Instant,
) -> Authorized<P::Action> {
    let mut plan = gate.plan::<P>(state, settings);
    if gate
        .open_questions(&plan)
        .contains(&OpenQuestion::PriorActivity)
    {
        gate.learn(Box::pin(prior_activity(gate, history, until)).await);
        plan = gate.plan::<P>(state, settings);
    }
    let until = until.min(Instant::now() + PATIENCE);
    let mut learned = false;
    for question in gate.open_questions(&plan) {
        if let OpenQuestion::TagAge(resource) = question {
            gate.learn(Box::pin(tag_age(gate, history, resource, until)).await);
            learned = true;
        }
    }
    if learned {
        plan = gate.plan::<P>(state, settings);
    }
    plan.advise(gate.remarks());
    plan
}

fn not_asked<T>() -> Result<T> {
    Err(Error::Refused("CloudTrail is not asked here".to_owned()))
}

/// Asks what the principal did before. If CloudTrail does not answer, GuardDuty's anomaly model may.
async fn prior_activity(
    gate: &Gate<'_>,
    history: Option<&EventHistory>,
    until: Instant,
) -> HistoryAnswer {
    let inquiry = Inquiry {
        finding: gate.finding(),
        now: gate.now(),
        until: until.min(Instant::now() + PATIENCE),
    };
    let asked = match history {
        // A call is recorded in the Region of the finding, wherever the function is.
        Some(history) => {
            let there = history.in_region(&inquiry.finding.region);
            prior_activity::read(&there, &inquiry).await
        }
        None => not_asked(),
    };
    let (activity, missing) = asked.unwrap_or_else(|error| {
        let of_model = PriorActivity::of_model(gate.finding());
        (of_model, Some(reason(&error)))
    });
    HistoryAnswer::PriorActivity(activity, missing)
}

/// Asks who has tagged a resource since the activity began.
async fn tag_age(
    gate: &Gate<'_>,
    history: Option<&EventHistory>,
    resource: TaggedResource,
    until: Instant,
) -> HistoryAnswer {
    let asked = async {
        let Some(history) = history else {
            return not_asked();
        };
        let TaggedResource { name, region } = &resource;
        let there = history.in_region(region);
        tagged_since(&there, gate.category(), gate.finding(), name, gate.now()).await
    };
    let age = match within(until, "cloudtrail:LookupEvents", asked).await {
        Ok(None) => TagAge::Older,
        Ok(Some(who)) => TagAge::SetSince(who),
        Err(error) => TagAge::Unknown(error.to_string()),
    };
    HistoryAnswer::TagAge(resource, age)
}

#[cfg(test)]
mod tests;
