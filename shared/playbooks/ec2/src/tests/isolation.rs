use std::collections::BTreeSet;

use serde_json::json;

use super::elsewhere::undescribed;
use super::world::{Account, ID, Iface, World, account, group, infected, names};
use super::*;
use fixtures::{declared, run, run_with};
use model::plan::{Action as _, Step};
use model::settings::{AutoScaling, Ec2Settings, ForensicsRule, Settings};

#[tokio::test(start_paused = true)]
async fn every_interface_gets_the_isolation_group_in_place_of_all_its_groups() {
    let world = World::new(account([("eni-1", "vpc-a"), ("eni-2", "vpc-a")]));
    contained(&world).await;
    for eni in ["eni-1", "eni-2"] {
        assert_eq!(world.groups_of(eni), [MADE]);
    }
    let writes = world.wire.writes();
    let count = |call: &str| writes.iter().filter(|write| **write == call).count();
    assert_eq!(count("ec2:CreateSecurityGroup"), 1, "{writes:?}");
    assert_eq!(count(MODIFY), 2, "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_of_another_name_or_vpc_is_not_used() {
    let mut other = group("vpc-a", [], []);
    other.name = "default".to_owned();
    let elsewhere = group("vpc-b", [], []);
    let world = World::new(Account {
        groups: [("sg-other", other), ("sg-elsewhere", elsewhere)]
            .map(|(id, group)| (id.to_owned(), group))
            .into(),
        ..one()
    });
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), [MADE]);
}

#[tokio::test(start_paused = true)]
async fn where_a_name_that_differs_in_case_only_is_taken_the_group_gets_another_and_is_found_again()
{
    let mut taken = group("vpc-a", ["10.0.0.0/8"], ["0.0.0.0/0"]);
    taken.name = "GDR-Isolation".to_owned();
    let world = World::new(Account {
        groups: [("sg-taken".to_owned(), taken.clone())].into(),
        ..account([("eni-1", "vpc-a"), ("eni-2", "vpc-a")])
    });
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), world.groups_of("eni-2"));
    assert!(world.groups_of("eni-1")[0].starts_with("sg-gdr-isolation-"));
    assert_eq!(world.now().groups["sg-taken"].ingress, taken.ingress);
    assert_eq!(world.now().groups["sg-taken"].egress, taken.egress);
    world.wire.clear();
    let (report, _) = contain(&world).await;
    assert_eq!(
        report.status(),
        Status::AlreadyContained,
        "{}",
        report.to_line()
    );
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_name_only_begins_as_ours_is_not_used() {
    let mut other = group("vpc-a", ["10.0.0.0/8"], []);
    other.name = "gdr-isolation-tests".to_owned();
    other.role = None;
    let world = World::new(Account {
        groups: [("sg-0".to_owned(), other)].into(),
        ..one()
    });
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), [MADE]);
    assert_eq!(world.now().groups["sg-0"].ingress, names(["10.0.0.0/8"]));
}

#[tokio::test(start_paused = true)]
async fn the_branch_interfaces_of_a_trunk_make_the_containment_partial() {
    let mut account = one();
    account.interfaces.get_mut("eni-1").unwrap().kind = "trunk";
    let world = World::new(account);
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, ISOLATE, "the branch interfaces of eni-1");
    assert_eq!(outcome, Outcome::Skipped);
    assert!(detail.contains("pods and tasks"), "{detail}");
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn an_instance_with_an_ipv6_address_of_the_internet_faces_it() {
    for (address, faces) in [("2600:1f13::5", true), ("fd00:ec2::5", false)] {
        let mut account = one();
        account.interfaces.get_mut("eni-1").unwrap().ipv6 = vec![address];
        let world = World::new(account);
        let state = world.playbook.observe(&infected()).await.unwrap();
        let plan = planned(&world).await;
        let action = plan.steps.iter().find_map(|step| match step {
            Step::Do(action) => Some(action),
            _ => None,
        });
        let resource = Ec2::resource(&infected(), &state, action.unwrap());
        let shown = format!("{resource:?}");
        assert!(
            shown.contains(&format!("\"internetFacing\": Flag({faces})")),
            "{shown}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn interfaces_beyond_the_first_page_are_isolated_too() {
    let world = World::new(Account {
        page: 1,
        ..account(["eni-1", "eni-2", "eni-3"].map(|id| (id, "vpc-a")))
    });
    contained(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_group_is_stripped_and_verified_before_an_interface_is_attached() {
    let world = World::new(one());
    contained(&world).await;
    let calls = about_groups(&world);
    assert_eq!(
        calls[..7],
        [
            "ec2:DescribeSecurityGroups",
            "ec2:CreateSecurityGroup",
            "ec2:DescribeSecurityGroupRules",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:DescribeSecurityGroups",
            MODIFY,
            "ec2:DescribeSecurityGroups",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_group_that_exists_is_attached_after_one_more_look_at_it() {
    let world = World::new(prepared([], []));
    contained(&world).await;
    let look = "ec2:DescribeSecurityGroups";
    assert_eq!(about_groups(&world)[..3], [look, look, MODIFY]);
    let group = |call: &&str| call.contains("SecurityGroup");
    assert!(!world.wire.writes().iter().any(group));
    assert_eq!(world.groups_of("eni-1"), ["sg-isolation"]);
}

#[tokio::test(start_paused = true)]
async fn rules_of_the_isolation_group_are_removed_and_reported() {
    let world = World::new(prepared(["198.51.100.7/32"], ["::/0"]));
    let plan = planned(&world).await;
    assert!(plan.next_steps[0].contains("who gave rules to sg-isolation"));
    let mut steps = plan.steps.iter();
    let prepare = steps.find_map(|step| match step {
        Step::Do(change) if change.name() == PREPARE => Some(change),
        _ => None,
    });
    let from = json!({ "GroupId": "sg-isolation",
        "Ingress": ["all traffic 198.51.100.7/32"], "Egress": ["all traffic ::/0"] });
    assert_eq!(prepare.unwrap().from(), from);
    contained(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_squatted_isolation_group_is_reported_after_its_rules_were_removed() {
    let world = World::new(prepared(["0.0.0.0/0"], []));
    let done = run(&world.playbook, &infected()).await;
    let told = |next: &String| next.contains("who gave rules to sg-isolation");
    assert!(done.next_steps.iter().any(told), "{:?}", done.next_steps);
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_a_service_manages_is_skipped_and_makes_the_containment_partial() {
    let mut account = account([("eni-1", "vpc-a"), ("eni-managed", "vpc-b")]);
    account.interfaces.get_mut("eni-managed").unwrap().requester = true;
    let world = World::new(account);
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, ISOLATE, "eni-managed");
    assert_eq!(outcome, Outcome::Skipped);
    assert!(detail.contains("amazon-elb manages"), "{detail}");
    assert!(world.is_isolated("eni-1"));
    let account = world.now();
    assert!(account.history.iter().all(|(id, _)| id == "eni-1"));
    assert!(account.groups.values().all(|group| group.vpc == "vpc-a"));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_is_left_alone() {
    for (missing, state, why) in [
        (true, "running", "us-east-1 has no such instance"),
        (false, "terminated", "terminated"),
        (false, "shutting-down", "shutting-down"),
    ] {
        let world = World::new(Account {
            missing,
            state,
            profile: None,
            ..one()
        });
        let (report, transient) = contain(&world).await;
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert_eq!(report.steps().len(), 1);
        let (outcome, detail) = step(&report, ISOLATE, ID);
        assert_eq!(outcome, Outcome::Skipped);
        assert!(detail.contains(why), "{detail}");
        assert!(world.wire.writes().is_empty());
        assert!(transient.is_none());
        let risks = report.residual_risks().join("\n");
        assert!(risks.contains("up to six hours"), "{risks}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_interfaces_is_reported_and_its_credentials_are_denied() {
    let world = World::new(account([]));
    let (report, transient) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, ISOLATE, ID);
    assert_eq!(outcome, Outcome::Skipped);
    assert!(detail.contains("no network interface"), "{detail}");
    assert_eq!(world.now().policies.len(), 1);
    assert!(transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_instance_is_isolated_before_it_is_started_again() {
    let world = World::new(Account {
        state: "stopped",
        ..one()
    });
    contained(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_run_writes_nothing_and_looks_once() {
    let world = World::new(account([("eni-1", "vpc-a"), ("eni-2", "vpc-b")]));
    contained(&world).await;
    world.wire.clear();
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::AlreadyContained);
    assert!(world.wire.writes().is_empty());
    let calls = world.wire.calls();
    let count = |call: &str| calls.iter().filter(|made| **made == call).count();
    for (call, times) in [
        // Once for those with its role.
        ("ec2:DescribeInstances", 2),
        // Once for the VPCs' endpoints.
        ("ec2:DescribeNetworkInterfaces", 2),
        ("ec2:DescribeSecurityGroups", 1),
        ("iam:GetRolePolicy", 1),
    ] {
        assert_eq!(count(call), times, "{calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_opened_later_is_stripped_again_and_the_interface_stays_in_it() {
    let world = World::new(one());
    contained(&world).await;
    world.open(MADE);
    assert!(!world.is_contained());
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), [MADE]);
}

#[tokio::test(start_paused = true)]
async fn the_report_lists_the_residual_risks_of_an_isolation() {
    let world = World::new(one());
    let done = run(&world.playbook, &infected()).await;
    let risks = done.residual_risks.join("\n");
    for risk in ["open keep working", "DNS", "assumed as web"] {
        assert!(risks.contains(risk), "{risk}: {risks}");
    }
}

/// The calls about security groups, in their order.
fn about_groups(world: &World) -> Vec<&'static str> {
    let mut calls = world.wire.calls();
    calls.retain(|call| call.contains("SecurityGroup") || *call == MODIFY);
    calls
}

/// Every way to act that a setting chooses.
fn settings() -> [Settings; 2] {
    [AutoScaling::Detach, AutoScaling::Standby].map(|auto_scaling| Settings {
        ec2: Ec2Settings {
            auto_scaling,
            cut_connections_seconds: 5,
            shorten_timeouts: true,
            remove_public_address: true,
            disable_metadata: true,
            ..Ec2Settings::default()
        },
        ..Settings::default()
    })
}

async fn on_an_outpost_with_forensics() -> Vec<&'static str> {
    let settings = Settings {
        ec2: Ec2Settings {
            forensics_access: ForensicsRule::parse_all(
                "from pl-01234567 tcp/22, to 192.0.2.7/32 tcp/443",
            )
            .expect("rules"),
            ..Ec2Settings::default()
        },
        ..Settings::default()
    };
    let mut account = Account {
        lists: [("pl-01234567", vec!["192.0.2.16/28"])].into(),
        ..prepared([], [])
    };
    account.interfaces.get_mut("eni-1").unwrap().outpost = true;
    let mut world = World::new(account);
    world.playbook.configure(&settings);
    run_with(&world.playbook, &infected(), &settings).await;
    world.wire.calls()
}

#[tokio::test(start_paused = true)]
async fn the_calls_are_those_that_the_playbook_declares_permissions_for() {
    let mut called = BTreeSet::new();
    for settings in settings() {
        let mut account = Account {
            scaling: Some(("web-asg".to_owned(), "InService")),
            targets: vec![("tg-web".to_owned(), ID.to_owned(), 443, false)],
            balancers: names(["classic"]),
            ..prepared(["0.0.0.0/0"], ["::/0"])
        };
        let other = Iface {
            vpc: "vpc-b",
            groups: names(["sg-app"]),
            public: vec![("203.0.113.7", Some("eipassoc-1"), Some("eipalloc-1"))],
            ..Iface::default()
        };
        account.interfaces.insert("eni-2", other);
        let world = World::new(account);
        run_with(&world.playbook, &infected(), &settings).await;
        let state = world.playbook.glance(&infected()).await.unwrap();
        let collecting = world.playbook.collect(&infected(), &state).await;
        collecting.unwrap();
        called.extend(world.wire.calls());
    }
    let world = World::new(Account {
        missing: true,
        ..one()
    });
    run(&world.playbook, &undescribed()).await;
    called.extend(world.wire.calls());
    called.extend(on_an_outpost_with_forensics().await);
    assert_eq!(called, declared::<Ec2>());
}
