use super::world::{Account, ID, World, infected, names};
use crate::{Action, Ec2, IsolateInterface, State};
use aws::playbook::Playbook as _;
use fixtures::table::table;
use fixtures::{event, now, recorded, release, run_with};
use model::plan::{Action as _, Step, Undo};
use model::planner::Planner as _;
use model::report::Status;
use model::settings::{AutoScaling, Ec2Settings, Settings};
use remediation::record::Incident;
use remediation::release::{self, Allowance, Verdict};
use serde_json::{Value, json};

fn everything() -> Settings {
    Settings {
        ec2: Ec2Settings {
            auto_scaling: AutoScaling::Standby,
            cut_connections_seconds: 5,
            shorten_timeouts: true,
            remove_public_address: true,
            disable_metadata: true,
            ..Ec2Settings::default()
        },
        ..Settings::default()
    }
}

async fn planned(world: &World) -> Vec<Action> {
    let state = world.playbook.observe(&infected()).await.unwrap();
    let plan = Ec2::plan(&infected(), &state, &everything(), now());
    let steps = plan.steps.into_iter();
    steps
        .filter_map(|step| match step {
            Step::Do(change) => Some(change),
            _ => None,
        })
        .collect()
}

fn busy() -> Account {
    let mut account = Account {
        scaling: Some(("web-asg".to_owned(), "InService")),
        targets: vec![("tg-web".to_owned(), ID.to_owned(), 8443, false)],
        balancers: names(["classic"]),
        ..Account::default()
    };
    let first = account.interfaces.get_mut("eni-1").unwrap();
    first.public = vec![("203.0.113.7", Some("eipassoc-1"), Some("eipalloc-1"))];
    first.timeouts = Some((350, 120, 45));
    account
}

#[tokio::test(start_paused = true)]
async fn a_release_restores_exactly_the_recorded_values() {
    let world = World::to_release(busy());
    // As the incident record keeps them.
    let record: Vec<Value> = planned(&world)
        .await
        .iter()
        .map(|change| serde_json::to_value(change).unwrap())
        .collect();
    run_with(&world.playbook, &infected(), &everything()).await;
    assert!(world.is_isolated("eni-1"));
    for _ in 0..2 {
        for change in &record {
            let change: Action = serde_json::from_value(change.clone()).unwrap();
            if change.undo() == Undo::Restore && !matches!(change, Action::RemovePublicAddress(_)) {
                world.playbook.restore(&change).await.unwrap();
            }
        }
    }
    for change in &record {
        let change: Action = serde_json::from_value(change.clone()).unwrap();
        if matches!(change, Action::RemovePublicAddress(_)) {
            world.playbook.restore(&change).await.unwrap();
        }
    }
    let (before, after) = (busy(), world.now());
    for id in ["eni-1", "eni-2"] {
        assert_eq!(after.interfaces[id].groups, before.interfaces[id].groups);
        assert_eq!(after.interfaces[id].public, before.interfaces[id].public);
        assert!(
            after.interfaces[id].tags.is_empty(),
            "{:?}",
            after.interfaces[id].tags
        );
    }
    assert_eq!(after.interfaces["eni-1"].timeouts, Some((350, 120, 45)));
    assert_eq!((after.termination, after.stop), (false, false));
    assert_eq!(after.shutdown, "terminate");
    assert_eq!(after.metadata, "enabled");
    assert!(after.volumes["vol-root"].1 && !after.volumes["vol-data"].1);
    assert_eq!(after.scaling, before.scaling);
    assert_eq!(after.targets, before.targets);
    assert_eq!(after.balancers, before.balancers);
    assert!(after.policies.is_empty() && after.tags.is_empty());
    assert_eq!(after.snapshots.len(), 2, "evidence stays");
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_the_denys_name_that_was_there_is_put_back() {
    let world = World::to_release(Account::default());
    let own = r#"{"Statement":[],"Version":"2012-10-17"}"#;
    let name = format!("gdr-deny-{ID}");
    world.now().policies.insert(name.clone(), own.to_owned());
    let changes = planned(&world).await;
    let deny = changes
        .iter()
        .find(|change| matches!(change, Action::DenyCredentials(_)))
        .unwrap();
    world.playbook.apply(deny).await.unwrap();
    assert_ne!(world.now().policies[&name], own);
    world.playbook.restore(deny).await.unwrap();
    assert_eq!(world.now().policies[&name], own);
}

#[tokio::test(start_paused = true)]
async fn an_interface_whose_groups_are_not_known_is_left_to_a_person() {
    let world = World::to_release(Account::default());
    let unknown = Action::IsolateInterface(IsolateInterface {
        region: "us-east-1".to_owned(),
        interface: "eni-1".to_owned(),
        vpc: "vpc-1".to_owned(),
        account: "111122223333".to_owned(),
        from: names([]),
        to: None,
    });
    let refused = world.playbook.restore(&unknown).await.unwrap_err();
    assert!(refused.to_string().contains("by hand"), "{refused}");
    assert!(world.wire.writes().is_empty());
}

async fn collected(world: &World, state: &State) -> Value {
    let collected = world.playbook.collect(&infected(), state).await;
    collected.unwrap()
}

#[tokio::test(start_paused = true)]
async fn evidence_holds_the_described_state_and_the_failed_reads() {
    let world = World::to_release(busy());
    world
        .wire
        .fail("iam:GetInstanceProfile", 403, "AccessDenied");
    let state = world.playbook.observe(&infected()).await.unwrap();
    let evidence = Ec2::evidence(&state);
    assert_eq!(evidence["instance"]["id"], ID);
    assert_eq!(
        evidence["interfaces"][0]["public_addresses"][0]["public"],
        "203.0.113.7"
    );
    assert_eq!(evidence["scaling"]["group"], "web-asg");
    assert!(
        evidence["role"]["NotRead"]
            .as_str()
            .unwrap()
            .contains("iam:GetInstanceProfile")
    );
    let collected = collected(&world, &state).await;
    assert_eq!(collected["ConsoleOutput"]["OutputBase64"], "bG9naW46");
}

/// What a release would do about the step of this name, once everything was done that can be.
async fn verdict_of(world: &World, action: &str) -> (Verdict, Action) {
    let changes = planned(world).await;
    run_with(&world.playbook, &infected(), &everything()).await;
    let recorded = |change: &Action| (change.name().to_owned(), json!(change));
    let wanted = changes.iter().filter(|change| change.name() == action);
    let change = wanted
        .clone()
        .find(|change| change.from() != json!({ "Addresses": [] }));
    let incident = Incident {
        event: event(json!({
            "type": "Backdoor:EC2/C&CActivity.B",
            "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": ID } },
        })),
        settings: everything(),
        actions: change.map(recorded).into_iter().collect(),
        ..Incident::default()
    };
    let allowance = Allowance::default();
    let steps = release::plan(&world.playbook, &table().1, &incident, &allowance, now()).await;
    let steps = steps.unwrap();
    (steps[0].verdict.clone(), change.unwrap().clone())
}

#[tokio::test(start_paused = true)]
async fn an_address_that_another_interface_has_now_is_drift_and_stays_there() {
    let address = "ec2:RemovePublicAddress";
    let world = World::to_release(busy());
    assert_eq!(verdict_of(&world, address).await.0, Verdict::Restore);
    let world = World::to_release(Account {
        address_at: Some("eni-other"),
        ..busy()
    });
    let (verdict, change) = verdict_of(&world, address).await;
    let Verdict::Drifted(why) = verdict else {
        panic!("{verdict:?}");
    };
    assert!(
        why.contains("203.0.113.7 is associated with eni-other"),
        "{why}"
    );
    assert!(world.playbook.restore(&change).await.is_err());
    assert_eq!(world.now().address_at, Some("eni-other"));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_given_back_also_by_one_who_may_not_look_who_has_it() {
    let world = World::to_release(busy());
    world
        .wire
        .fail("ec2:DescribeAddresses", 403, "UnauthorizedOperation");
    let (verdict, change) = verdict_of(&world, "ec2:RemovePublicAddress").await;
    assert_eq!(verdict, Verdict::Restore);
    for _ in 0..2 {
        world.playbook.restore(&change).await.unwrap();
    }
    assert_eq!(world.now().interfaces["eni-1"].public.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn returning_from_standby_to_a_group_that_has_a_replacement_is_for_a_person_to_force() {
    for replaced in [false, true] {
        let world = World::to_release(Account { replaced, ..busy() });
        let (verdict, _) = verdict_of(&world, "autoscaling:EnterStandby").await;
        match verdict {
            Verdict::Restore => assert!(!replaced),
            Verdict::Drifted(why) => {
                assert!(replaced && why.contains("from 6 to 7"), "{why}");
                assert!(why.contains("termination policy"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_busy_is_asked_again_to_take_the_instance_back() {
    let world = World::to_release(busy());
    let (_, change) = verdict_of(&world, "autoscaling:EnterStandby").await;
    let exit = "autoscaling:ExitStandby";
    world.wire.fail_once(exit, 400, "ScalingActivityInProgress");
    world.playbook.restore(&change).await.unwrap();
    assert_eq!(world.now().scaling.as_ref().unwrap().1, "InService");
}

#[tokio::test(start_paused = true)]
async fn of_a_full_console_the_end_is_kept_that_the_record_takes() {
    let world = World::new(Account {
        console: format!("{}RU5E", "QUFB".repeat(64 * 1024 / 3)),
        ..Account::default()
    });
    let state = world.playbook.observe(&infected()).await.unwrap();
    let collected = collected(&world, &state).await;
    let console = &collected["ConsoleOutput"];
    let kept = console["OutputBase64"].as_str().unwrap();
    assert!(kept.ends_with("RU5E") && kept.len() % 4 == 0);
    assert!(collected.to_string().len() <= 64 * 1024);
    let omitted = console["OmittedBytes"].as_u64().unwrap();
    assert_eq!(omitted + kept.len() as u64 / 4 * 3, 64 * 1024 / 3 * 3 + 3);
}

fn infected_event() -> Value {
    event(json!({ "resource": { "instanceDetails": { "instanceId": ID } } }))
}

#[tokio::test(start_paused = true)]
async fn a_release_by_the_record_reads_back_that_all_of_it_is_as_it_was_found() {
    let (_, record) = table();
    let world = World::to_release(busy());
    let report = recorded(
        &world.playbook,
        &record,
        &infected_event(),
        &everything(),
        now(),
    )
    .await;
    // The load balancers keep its connections from being cut.
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let allowance = Allowance::default();
    let event = infected_event();
    let (_, released) = release(&world.playbook, &record, &event, &allowance, now()).await;
    for step in released.expect("released") {
        assert_eq!(step.problem, None, "{step:?}");
    }
    let id = infected().id;
    let incident = record.incidents_of(&id).await.unwrap().remove(0);
    assert_eq!(incident.status, "released");
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_a_terminated_instance_are_left_and_the_deny_of_its_role_is_removed() {
    for ended in ["terminated", "missing"] {
        let (_, record) = table();
        let world = World::to_release(busy());
        let event = infected_event();
        recorded(&world.playbook, &record, &event, &everything(), now()).await;
        assert!(!world.now().policies.is_empty());
        if ended == "missing" {
            world.now().missing = true;
        } else {
            world.now().state = "terminated";
        }
        let allowance = Allowance::default();
        let (verdicts, released) =
            release(&world.playbook, &record, &event, &allowance, now()).await;
        let released = released.expect("released");
        let [deny] = released.as_slice() else {
            panic!("{released:?}");
        };
        assert_eq!(
            (deny.action, &deny.problem),
            ("iam:DenyInstanceCredentials", &None)
        );
        let left = |verdict: &Verdict| matches!(verdict, Verdict::Left(_));
        let others = verdicts.len() - 1;
        assert_eq!(
            verdicts.iter().filter(|(_, verdict)| left(verdict)).count(),
            others
        );
        assert!(world.now().policies.is_empty());
        let incident = record.incidents_of(&infected().id).await.unwrap().remove(0);
        assert_eq!(incident.status, "released");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_back_is_a_problem_and_the_incident_stays_open() {
    let (_, record) = table();
    let mut account = Account::default();
    account.interfaces.retain(|id, _| *id == "eni-1");
    let world = World::to_release(account);
    let event = infected_event();
    recorded(
        &world.playbook,
        &record,
        &event,
        &Settings::default(),
        now(),
    )
    .await;
    // EC2 goes on showing another group than was given back.
    if let Some(interface) = world.now().interfaces.get_mut("eni-1") {
        (interface.before, interface.lags) = (None, usize::MAX);
    }
    let allowance = Allowance::default();
    let (_, released) = release(&world.playbook, &record, &event, &allowance, now()).await;
    let released = released.expect("released");
    let isolated = released
        .iter()
        .find(|step| step.action == "ec2:IsolateInterface");
    assert!(
        isolated.is_some_and(|step| step.problem.is_some()),
        "{released:?}"
    );
    let incident = record.incidents_of(&infected().id).await.unwrap().remove(0);
    assert!(!incident.actions.is_empty() && incident.status == "contained");
}
