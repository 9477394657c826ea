//! Forensics get into what is isolated by the listed rules, and by nothing else.

use super::world::{Group, names};
use super::*;
use fixtures::run_with;
use model::report::Outcome::{Already, Applied, Failed, Skipped};
use model::settings::{Ec2Settings, ForensicsRule};

const ADMIT: &str = "ec2:AdmitForensics";
const BASTION: &str = "sg-0ba5710000000000a";
const ENDPOINTS: &str = "sg-0e2d001000000000b";
const LIST: &str = "pl-0123456789abcdef0";
const OPEN: &str = "sg-gdr-forensics-vpc-a";

fn listed() -> String {
    format!("from {BASTION} tcp/22, to {ENDPOINTS} tcp/443")
}

fn allowing(rules: &str) -> Settings {
    Settings {
        ec2: Ec2Settings {
            forensics_access: ForensicsRule::parse_all(rules).expect("rules"),
            ..Ec2Settings::default()
        },
        ..Settings::default()
    }
}

fn other(name: &str) -> Group {
    Group {
        name: name.to_owned(),
        role: None,
        ..group("vpc-a", ["10.0.0.0/8"], ["0.0.0.0/0"])
    }
}

/// One interface in a VPC with the groups that are listed.
fn examined() -> Account {
    let mut account = prepared([], []);
    for (id, name) in [(BASTION, "bastion"), (ENDPOINTS, "endpoints")] {
        account.groups.insert(id.to_owned(), other(name));
    }
    account
}

async fn execute(world: &mut World, settings: &Settings) -> Execution<Action> {
    world.playbook.configure(settings);
    run_with(&world.playbook, &infected(), settings).await
}

/// The rules of a group, in and out.
fn rules(world: &World, group: &str) -> (Vec<String>, Vec<String>) {
    let group = &world.now().groups[group];
    let all = |rules: &std::collections::BTreeSet<String>| rules.iter().cloned().collect();
    (all(&group.ingress), all(&group.egress))
}

#[tokio::test(start_paused = true)]
async fn forensics_get_in_by_the_listed_rules_after_it_is_isolated() {
    let mut world = World::new(examined());
    let settings = allowing(&listed());
    let done = execute(&mut world, &settings).await;
    assert_eq!(outcome(&done, ISOLATE, "eni-1"), Some(Applied));
    assert_eq!(
        outcome(&done, ADMIT, "eni-1"),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    let history: Vec<_> = world
        .now()
        .history
        .iter()
        .map(|(_, groups)| groups.clone())
        .collect();
    assert_eq!(history, [names(["sg-isolation"]), names([OPEN])]);
    let ingress = vec![format!("tcp 22 {BASTION}")];
    assert_eq!(
        rules(&world, OPEN),
        (ingress, vec![format!("tcp 443 {ENDPOINTS}")])
    );
    assert_eq!(rules(&world, "sg-isolation"), (Vec::new(), Vec::new()));
    let risks = done.residual_risks.join("\n");
    let told = format!(
        "eni-1 stays reachable for forensics (EC2_FORENSICS_ACCESS): from {BASTION} tcp/22"
    );
    assert!(risks.contains(&told), "{risks}");
    let mut steps = done.steps.iter();
    let isolate = steps.find(|step| step.action() == ISOLATE).unwrap();
    assert_eq!(isolate.to()["Groups"][0], OPEN, "as read back");
    // Read again, it is contained, and stays as it is.
    world.wire.clear();
    let again = execute(&mut world, &settings).await;
    assert!(
        again.steps.iter().all(|step| step.outcome() == Already),
        "{:#?}",
        again.steps
    );
    assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_nothing_gets_in_and_nothing_is_asked() {
    let mut world = World::new(examined());
    let done = execute(&mut world, &Settings::default()).await;
    assert_eq!(outcome(&done, ADMIT, "eni-1"), None);
    assert_eq!(world.groups_of("eni-1"), ["sg-isolation"]);
    let reads = world.wire.calls();
    assert!(!reads.contains(&"ec2:GetManagedPrefixListEntries"));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_not_listed_isolates_the_interface_again_and_is_taken_away() {
    let mut world = World::new(examined());
    let settings = allowing(&listed());
    execute(&mut world, &settings).await;
    world.open(OPEN);
    let done = execute(&mut world, &settings).await;
    assert_eq!(
        outcome(&done, ISOLATE, "eni-1"),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    assert_eq!(
        outcome(&done, "ec2:CloseIsolationGroup", OPEN),
        Some(Applied)
    );
    let ingress = vec![format!("tcp 22 {BASTION}")];
    assert_eq!(rules(&world, OPEN).0, ingress);
    let history: Vec<_> = world
        .now()
        .history
        .iter()
        .map(|(_, groups)| groups.clone())
        .collect();
    assert_eq!(history[2..], [names(["sg-isolation"]), names([OPEN])]);
}

#[tokio::test(start_paused = true)]
async fn where_the_setting_is_taken_back_the_interface_goes_back_and_the_group_is_emptied() {
    let mut world = World::new(examined());
    execute(&mut world, &allowing(&listed())).await;
    let done = execute(&mut world, &Settings::default()).await;
    assert_eq!(
        outcome(&done, ISOLATE, "eni-1"),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    assert!(world.is_isolated("eni-1"));
    assert_eq!(rules(&world, OPEN), (Vec::new(), Vec::new()));
}

/// A release gives back the groups of before, and never the group with rules.
#[tokio::test(start_paused = true)]
async fn a_group_of_forensics_is_not_one_that_a_release_gives_back() {
    let mut world = World::new(examined());
    execute(&mut world, &allowing(&listed())).await;
    let state = world.playbook.observe(&infected()).await.unwrap();
    world.playbook.configure(&Settings::default());
    let opened = world.playbook.observe(&infected()).await.unwrap();
    assert!(state.isolates(&state.interfaces[0]).is_some());
    assert!(opened.isolates(&opened.interfaces[0]).is_none());
    let plan = Ec2::plan(&infected(), &opened, &Settings::default(), now());
    let from = plan.steps.into_iter().find_map(|step| match step {
        model::plan::Step::Do(Action::IsolateInterface(IsolateInterface { from, .. })) => {
            Some(from)
        }
        _ => None,
    });
    assert_eq!(
        from,
        Some(names(["sg-app", "sg-db", "sg-ssh"])),
        "as the mark tells"
    );
}

#[tokio::test(start_paused = true)]
async fn whatever_is_amiss_with_the_group_leaves_the_interface_isolated() {
    for call in [
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:CreateSecurityGroup",
        "ec2:RevokeSecurityGroupEgress",
    ] {
        let mut world = World::new(examined());
        world.wire.fail(call, 403, "UnauthorizedOperation");
        let done = execute(&mut world, &allowing(&listed())).await;
        assert_eq!(outcome(&done, ADMIT, "eni-1"), Some(Failed), "{call}");
        assert_eq!(outcome(&done, ISOLATE, "eni-1"), Some(Applied), "{call}");
        assert_eq!(world.groups_of("eni-1"), ["sg-isolation"], "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn forensics_are_not_admitted_to_an_interface_that_is_not_isolated() {
    let mut world = World::new(examined());
    world.wire.fail_once(MODIFY, 403, "UnauthorizedOperation");
    let done = execute(&mut world, &allowing(&listed())).await;
    assert_eq!(outcome(&done, ADMIT, "eni-1"), Some(Failed));
    assert_eq!(world.groups_of("eni-1"), ["sg-app", "sg-db", "sg-ssh"]);
}

#[tokio::test(start_paused = true)]
async fn an_open_group_of_that_name_that_somebody_made_is_not_used() {
    let mut account = examined();
    account
        .groups
        .insert("sg-0-forensics".to_owned(), other("gdr-forensics"));
    let mut world = World::new(account);
    let done = execute(&mut world, &allowing(&listed())).await;
    assert_eq!(
        outcome(&done, ADMIT, "eni-1"),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    let [group] = &world.groups_of("eni-1")[..] else {
        panic!("several groups")
    };
    assert!(group.starts_with("sg-gdr-forensics-"), "{group}");
    assert_eq!(rules(&world, group).0, [format!("tcp 22 {BASTION}")]);
    let (ingress, _) = rules(&world, "sg-0-forensics");
    assert_eq!(ingress, ["10.0.0.0/8"], "it is not touched");
}

#[tokio::test(start_paused = true)]
async fn a_prefix_list_is_used_while_its_entries_are_narrow() {
    let settings = allowing(&format!("to {LIST} tcp/443"));
    let mut world = World::new(Account {
        lists: [(LIST, vec!["192.0.2.16/28", "2001:db8::10/124"])].into(),
        ..examined()
    });
    let done = execute(&mut world, &settings).await;
    assert_eq!(
        outcome(&done, ADMIT, "eni-1"),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    assert_eq!(rules(&world, OPEN).1, [format!("tcp 443 {LIST}")]);
    // Somebody widens it.
    world.now().lists.insert(LIST, vec!["0.0.0.0/0"]);
    let done = execute(&mut world, &settings).await;
    assert_eq!(
        outcome(&done, ISOLATE, "eni-1"),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    assert!(world.is_isolated("eni-1"));
    assert_eq!(rules(&world, OPEN), (Vec::new(), Vec::new()));
    let told = done.next_steps.join("\n");
    assert!(told.contains("'0.0.0.0/0' is wider than /28"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_forensics_rule_with_a_missing_or_isolated_peer_is_left_out_and_reported() {
    for (rules, why) in [
        ("from sg-0deadbeef00000000 tcp/22", "no VPC of the instance"),
        ("from sg-00000000000150150 tcp/22", "isolated themselves"),
    ] {
        let mut account = examined();
        let isolation = account.groups.remove("sg-isolation").unwrap();
        account
            .groups
            .insert("sg-00000000000150150".to_owned(), isolation);
        let mut world = World::new(account);
        let done = execute(&mut world, &allowing(rules)).await;
        assert_eq!(outcome(&done, ADMIT, "eni-1"), None, "{rules}");
        assert!(world.is_isolated("eni-1"), "{rules}");
        let told = done.next_steps.join("\n");
        assert!(told.contains(rules) && told.contains(why), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_peer_is_reported_and_retried() {
    let call = "ec2:GetManagedPrefixListEntries";
    for (status, code, again) in [
        (403, "UnauthorizedOperation", false),
        (503, "RequestLimitExceeded", true),
    ] {
        let mut world = World::new(examined());
        world.wire.fail(call, status, code);
        let wanted = format!("{}, to {LIST} tcp/443", listed());
        let done = execute(&mut world, &allowing(&wanted)).await;
        assert_eq!(
            outcome(&done, ADMIT, LIST),
            Some(Failed),
            "{:#?}",
            done.steps
        );
        assert_eq!(done.transient.is_some(), again);
        // The others are used.
        assert_eq!(outcome(&done, ADMIT, "eni-1"), Some(Applied));
        assert_eq!(rules(&world, OPEN).1, [format!("tcp 443 {ENDPOINTS}")]);
    }
}

#[tokio::test(start_paused = true)]
async fn connections_of_forensics_are_not_cut() {
    let mut world = World::new(examined());
    let mut settings = allowing(&listed());
    execute(&mut world, &settings).await;
    settings.ec2.cut_connections_seconds = 5;
    let done = execute(&mut world, &settings).await;
    let cut = "ec2:CutTrackedConnections";
    assert_eq!(
        outcome(&done, cut, "eni-1"),
        Some(Skipped),
        "{:#?}",
        done.steps
    );
    assert_eq!(world.groups_of("eni-1"), [OPEN]);
}

#[tokio::test(start_paused = true)]
async fn connections_are_cut_before_forensics_get_in() {
    let mut world = World::new(examined());
    let mut settings = allowing(&listed());
    settings.ec2.cut_connections_seconds = 5;
    let done = execute(&mut world, &settings).await;
    let cut = "ec2:CutTrackedConnections";
    assert_eq!(
        outcome(&done, cut, "eni-1"),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    assert_eq!(outcome(&done, ADMIT, "eni-1"), Some(Applied));
    let history: Vec<_> = world
        .now()
        .history
        .iter()
        .map(|(_, groups)| groups.clone())
        .collect();
    let conversion = "sg-gdr-conversion-vpc-a";
    let isolated = names(["sg-isolation"]);
    assert_eq!(
        history,
        [
            isolated.clone(),
            names([conversion]),
            isolated,
            names([OPEN])
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_release_gives_back_the_groups_of_before() {
    use fixtures::table::table;
    use fixtures::{event, recorded, release};
    use remediation::release::Allowance;
    let (_, record) = table();
    let settings = allowing(&listed());
    let mut world = World::to_release(examined());
    world.playbook.configure(&settings);
    let event = event(serde_json::json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": world::ID } },
    }));
    let report = recorded(&world.playbook, &record, &event, &settings, now()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(world.groups_of("eni-1"), [OPEN]);
    let allowance = Allowance::default();
    let (_, released) = release(&world.playbook, &record, &event, &allowance, now()).await;
    for step in released.expect("released") {
        assert_eq!(step.problem, None, "{step:?}");
    }
    assert_eq!(world.groups_of("eni-1"), ["sg-app", "sg-db", "sg-ssh"]);
}
