//! The playbook for Lambda functions against the emulators: the function ran before and does not after, its stolen
//! credentials are refused, another function of its role goes on, and a release puts everything back.

use std::time::Duration;

use integration_tests::scenario::{HijackedFunction, all_work, none_works};
use integration_tests::{ENFORCING, LocalAws, Result, Scenario};
use playbooks::Playbook;
use playbooks::lambda::{Action, Lambda};
use policy::{DEFAULT, Gate, LoadedPolicies};
use remediation::execute::execute;
use remediation::finding::Finding;
use remediation::plan::Step;
use remediation::planner::Planner as _;
use remediation::report::Outcome;
use remediation::settings::Settings;
use tokio::time::Instant;

use crate::shared_aws::on_aws;

#[test]
fn a_hijacked_function_is_throttled_and_released_on_local_aws() -> Result {
    on_aws(async |aws| {
        contained_and_released(aws, None).await?;
        contained_and_released(aws, Some(3)).await
    })
}

async fn contained_and_released(aws: &LocalAws, concurrency: Option<i32>) -> Result {
    let victim = HijackedFunction::create(aws, concurrency).await?;
    let playbook = Lambda::new(&aws.root());
    let finding = Finding::parse(&victim.finding()?.0)?;
    assert!(all_work(&victim.attack().await?) && all_work(&victim.bystanders().await?));

    let (settings, guard) = (Settings::default(), LoadedPolicies::new(DEFAULT));
    let now = "2026-03-04T05:06:07Z".parse()?;
    let state = playbook.observe(&finding).await?;
    let planned = Lambda::plan(&finding, &state, &settings, now).steps;
    let planned = planned.into_iter().filter_map(|step| match step {
        Step::Do(action) => Some(action),
        _ => None,
    });
    let planned: Vec<Action> = planned.collect();
    let gate = Gate::new::<Lambda>(&guard, &finding, &ENFORCING, false, now);
    let plan = gate.plan::<Lambda>(&state, &settings);
    let until = Instant::now() + Duration::from_secs(60);
    let done = execute(&playbook, &gate, plan, &settings, until).await;
    let outcomes: Vec<_> = done.steps.iter().map(|step| step.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Applied; 2], "{:?}", done.steps);
    assert_eq!(victim.concurrency().await?, Some(0));
    let attack = victim.attack().await?;
    assert!(none_works(&attack), "{attack:#?}");
    let bystanders = victim.bystanders().await?;
    assert!(all_work(&bystanders), "{bystanders:#?}");

    for action in planned.iter().rev() {
        playbook.restore(action).await?;
    }
    assert_eq!(victim.concurrency().await?, concurrency);
    let attack = victim.attack().await?;
    assert!(all_work(&attack), "{attack:#?}");
    Ok(())
}
