//! What the playbook for instances does to an account: the attacker's ways are closed, the evidence
//! stays, the neighbour does not notice, and a release puts everything back.

use std::time::Duration;

use aws_config::SdkConfig;
use integration_tests::scenario::{InfectedInstance, all_work, none_works};
use integration_tests::{ENFORCING, LocalAws, Result, Scenario};
use playbooks::Playbook;
use playbooks::ec2::{Action, Ec2};
use policy::{DEFAULT, Gate, LoadedPolicies};
use remediation::execute::{Execution, execute};
use remediation::finding::Finding;
use remediation::plan::{Action as _, Step, Undo};
use remediation::planner::Planner as _;
use remediation::report::Outcome;
use remediation::settings::Settings;
use tokio::time::Instant;

use crate::shared_aws::on_aws;

/// Everything at the emulator of EC2, which knows instance profiles and roles too.
fn sdk(aws: &LocalAws) -> SdkConfig {
    let root = aws.root().into_builder();
    root.endpoint_url(&aws.ec2_endpoint).build()
}

async fn planned(playbook: &Ec2, finding: &Finding) -> Result<Vec<Step<Action>>> {
    let state = playbook.observe(finding).await?;
    let now = "2026-03-04T05:06:07Z".parse()?;
    Ok(Ec2::plan(finding, &state, &Settings::default(), now).steps)
}

async fn contain(playbook: &Ec2, finding: &Finding) -> Result<Execution<Action>> {
    let state = playbook.observe(finding).await?;
    let now = "2026-03-04T05:06:07Z".parse()?;
    let (settings, guard) = (Settings::default(), LoadedPolicies::new(DEFAULT));
    let gate = Gate::new::<Ec2>(&guard, finding, &ENFORCING, false, now);
    let plan = gate.plan::<Ec2>(&state, &settings);
    let until = Instant::now() + Duration::from_secs(60);
    Ok(execute(playbook, &gate, plan, &settings, until).await)
}

fn finding_of(victim: &InfectedInstance) -> Result<Finding> {
    Ok(Finding::parse(&victim.finding()?.0)?)
}

#[test]
fn an_infected_instance_is_contained_and_released() -> Result {
    on_aws(async |aws| {
        let sdk = sdk(aws);
        let playbook = Ec2::new(&sdk);
        Box::pin(contained_whole(aws, &sdk, &playbook)).await?;
        ten_at_once(aws, &playbook).await
    })
}

async fn contained_whole(aws: &LocalAws, sdk: &SdkConfig, playbook: &Ec2) -> Result {
    let victim = InfectedInstance::create(aws).await?;
    let role = victim.give_role(sdk).await?;
    let finding = finding_of(&victim)?;
    assert!(all_work(&victim.attack().await?) && all_work(&victim.bystanders().await?));

    let planned_changes: Vec<Action> = planned(playbook, &finding)
        .await?
        .into_iter()
        .filter_map(|step| match step {
            Step::Do(change) => Some(change),
            _ => None,
        })
        .collect();
    let done = contain(playbook, &finding).await?;
    let open: Vec<_> = done
        .steps
        .iter()
        .filter(|step| !matches!(step.outcome(), Outcome::Applied | Outcome::Already))
        .collect();
    assert!(open.is_empty(), "{open:#?}");
    let attack = victim.attack().await?;
    assert!(none_works(&attack), "{attack:#?}");
    assert!(all_work(&victim.bystanders().await?));

    // Nobody can terminate it by mistake, and its volume would stay.
    let ec2 = aws.ec2();
    let refused = ec2
        .terminate_instances()
        .instance_ids(&victim.id)
        .send()
        .await;
    assert!(refused.is_err(), "{refused:?}");
    let policy = format!("gdr-deny-{}", victim.id);
    let iam = aws_sdk_iam::Client::new(sdk);
    let denied = iam.list_role_policies().role_name(&role).send().await?;
    assert_eq!(denied.policy_names(), [policy.as_str()]);
    let snapshots = snapshots(&ec2, &finding).await?;
    assert!(snapshots > 0);

    let again = contain(playbook, &finding).await?;
    assert!(
        again
            .steps
            .iter()
            .all(|step| step.outcome() == Outcome::Already),
        "{:#?}",
        again.steps
    );
    assert_eq!(self::snapshots(&ec2, &finding).await?, snapshots);

    for change in &planned_changes {
        if change.undo() == Undo::Restore {
            playbook.restore(change).await?;
        }
    }
    assert!(victim.is_untouched().await?, "{:?}", victim.groups().await?);
    assert!(all_work(&victim.attack().await?));
    let left = iam.list_role_policies().role_name(&role).send().await?;
    assert!(left.policy_names().is_empty());
    ec2.terminate_instances()
        .instance_ids(&victim.id)
        .send()
        .await?;
    Ok(())
}

/// Ten deliveries of one finding end with one isolation group.
async fn ten_at_once(aws: &LocalAws, playbook: &Ec2) -> Result {
    let victim = InfectedInstance::create(aws).await?;
    let finding = finding_of(&victim)?;
    let runs = (0..10).map(|_| contain(playbook, &finding));
    for done in futures::future::join_all(runs).await {
        let done = done?;
        let isolated = done
            .steps
            .iter()
            .filter(|step| step.action() == "ec2:IsolateInterface");
        assert!(
            isolated
                .clone()
                .all(|step| matches!(step.outcome(), Outcome::Applied | Outcome::Already)),
            "{:#?}",
            done.steps
        );
        assert_eq!(isolated.count(), 2);
    }
    assert!(none_works(&victim.attack().await?));
    assert_eq!(victim.groups_named("gdr-isolation").await?.len(), 1);
    Ok(())
}

async fn snapshots(ec2: &aws_sdk_ec2::Client, finding: &Finding) -> Result<usize> {
    let of_finding = aws_sdk_ec2::types::Filter::builder()
        .name("tag:gdr:finding")
        .values(&finding.id)
        .build();
    let found = ec2.describe_snapshots().filters(of_finding).send().await?;
    Ok(found.snapshots().len())
}
