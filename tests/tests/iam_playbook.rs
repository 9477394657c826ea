//! The IAM playbook against local AWS, without a stack: what it contains no longer works, what it is
//! not about still does, and what is released works again.

use std::time::Duration;

use integration_tests::finding::Finding as Event;
use integration_tests::scenario::{StolenKey, StolenRoleSession, all_work, none_works};
use integration_tests::{ENFORCING, LocalAws, Result, Scenario, waits};
use jiff::Timestamp;
use playbooks::Playbook as _;
use playbooks::iam::{Action, Iam};
use policy::{DEFAULT, Gate, LoadedPolicies};
use remediation::execute::{Execution, execute};
use remediation::finding::Finding;
use remediation::plan::{Action as _, Step, Undo};
use remediation::report::Outcome;
use remediation::settings::Settings;
use tokio::time::Instant;

use crate::shared_aws::on_aws;

/// The cut-off is a minute ahead of the containment's time. That time is so long ago here that the cut-off
/// comes in a quarter of a minute.
const EARLIER: Duration = Duration::from_secs(45);

/// Contains, and answers what was done with the actions that did it.
async fn contain(
    aws: &LocalAws,
    event: &Event,
    settings: &Settings,
    now: Timestamp,
) -> Result<(Execution<Action>, Vec<Action>)> {
    let mut iam = Iam::new(&aws.root());
    iam.configure(settings);
    let finding = Finding::parse(&event.0)?;
    let state = iam.observe(&finding).await?;
    let guard = LoadedPolicies::new(DEFAULT);
    let gate = Gate::new::<Iam>(&guard, &finding, &ENFORCING, false, now);
    let plan = gate.plan::<Iam>(&state, settings);
    let actions = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Do(action) => Some(action.clone()),
            _ => None,
        })
        .collect();
    let until = Instant::now() + Duration::from_secs(60);
    let done = execute(&iam, &gate, plan, settings, until).await;
    Ok((done, actions))
}

fn all(done: &Execution<Action>, outcome: Outcome) {
    assert!(!done.steps.is_empty());
    for step in &done.steps {
        assert_eq!(step.outcome(), outcome, "{step:?}");
    }
}

#[test]
fn stolen_credentials_stop_working_until_released_and_others_continue() -> Result {
    on_aws(async |aws| {
        stolen_key(aws).await?;
        stolen_session(aws).await?;
        whole_role(aws).await?;
        quarantined_by_hand(aws).await
    })
}

async fn stolen_key(aws: &LocalAws) -> Result {
    let theft = StolenKey::create(aws).await?;
    assert!(all_work(&theft.attack().await?));
    let event = theft.finding()?;
    let earlier = Timestamp::now() - EARLIER;
    let (done, actions) = contain(aws, &event, &Settings::default(), earlier).await?;
    all(&done, Outcome::Applied);
    let attack = theft.attack().await?;
    assert!(none_works(&attack), "{attack:?}");
    let bystanders = theft.bystanders().await?;
    assert!(all_work(&bystanders), "{bystanders:?}");
    // Made while the deactivation may not be enforced everywhere yet.
    assert!(!theft.new_session().await?.works);
    // Sessions are dated to the second, and the cut-off is a minute ahead, rounded up.
    tokio::time::sleep(waits::CUT_OFF - EARLIER).await;
    assert!(theft.new_session().await?.works);

    let (again, more) = contain(aws, &event, &Settings::default(), Timestamp::now()).await?;
    all(&again, Outcome::Already);
    assert!(more.is_empty());

    let iam = Iam::new(&aws.root());
    for action in &actions {
        if action.undo() == Undo::Restore {
            iam.restore(action).await?;
        }
    }
    let attack = theft.attack().await?;
    assert!(attack[1].works && !attack[0].works, "{attack:?}");
    for action in &actions {
        iam.restore(action).await?;
    }
    let attack = theft.attack().await?;
    assert!(all_work(&attack), "{attack:?}");
    let (active, policies) = theft.state().await?;
    assert!(active);
    assert_eq!(policies, ["ListBuckets"]);
    Ok(())
}

async fn stolen_session(aws: &LocalAws) -> Result {
    let theft = StolenRoleSession::create(aws).await?;
    let (done, actions) = contain(
        aws,
        &theft.finding()?,
        &Settings::default(),
        Timestamp::now(),
    )
    .await?;
    all(&done, Outcome::Applied);
    let attack = theft.attack().await?;
    assert!(none_works(&attack), "{attack:?}");
    let bystanders = theft.bystanders().await?;
    assert!(all_work(&bystanders), "{bystanders:?}");

    let iam = Iam::new(&aws.root());
    for action in &actions {
        iam.restore(action).await?;
    }
    assert!(all_work(&theft.attack().await?));
    Ok(())
}

async fn whole_role(aws: &LocalAws) -> Result {
    let theft = StolenRoleSession::create(aws).await?;
    let mut settings = Settings::default();
    settings.iam.role_wide = true;
    waits::next_second().await;
    let event = theft.finding()?;
    let (done, actions) = contain(aws, &event, &settings, Timestamp::now()).await?;
    all(&done, Outcome::Applied);
    assert_eq!(done.steps.len(), 2);
    let attack = theft.attack().await?;
    assert!(none_works(&attack), "{attack:?}");
    let others = theft.bystanders().await?;
    assert!(none_works(&others), "everybody is hit: {others:?}");
    let (again, _) = contain(aws, &event, &settings, Timestamp::now()).await?;
    all(&again, Outcome::Already);

    let iam = Iam::new(&aws.root());
    for action in &actions {
        iam.restore(action).await?;
    }
    assert!(all_work(&theft.attack().await?));
    assert!(all_work(&theft.bystanders().await?));
    Ok(())
}

/// A person was faster: everything is denied already, and only the key is left to deactivate.
async fn quarantined_by_hand(aws: &LocalAws) -> Result {
    let theft = StolenKey::create(aws).await?;
    aws.iam()
        .attach_user_policy()
        .user_name(theft.user_name())
        .policy_arn("arn:aws:iam::aws:policy/AWSDenyAll")
        .send()
        .await?;
    let (done, actions) = contain(
        aws,
        &theft.finding()?,
        &Settings::default(),
        Timestamp::now(),
    )
    .await?;
    let outcomes: Vec<_> = done
        .steps
        .iter()
        .map(|step| (step.action().to_owned(), step.outcome()))
        .collect();
    assert!(
        outcomes.contains(&("iam:RevokeUserSessions".to_owned(), Outcome::Already)),
        "{outcomes:?}"
    );
    assert_eq!(actions.len(), 1);
    Ok(())
}
