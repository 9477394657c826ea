use std::future::ready;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::world::{Account, Group, World, group, infected, names};
use super::{detail, outcome};
use crate::{Action, Ec2, IsolateInterface};
use aws::playbook::Playbook as _;
use fixtures::{now, run_with};
use model::plan::{Action as _, Step};
use model::planner::Planner as _;
use model::report::Outcome::{Already, Applied, Failed, Skipped};
use model::settings::{Ec2Settings, Settings};

const ISOLATED: &str = "sg-gdr-isolation-vpc-1";
const OPEN: &str = "sg-gdr-conversion-vpc-1";

fn cutting(seconds: u8) -> Settings {
    Settings {
        ec2: Ec2Settings {
            cut_connections_seconds: seconds,
            ..Ec2Settings::default()
        },
        ..Settings::default()
    }
}

fn history(world: &World) -> Vec<Vec<String>> {
    let account = world.now();
    let of_first = account.history.iter().filter(|(id, _)| id == "eni-1");
    of_first
        .map(|(_, groups)| groups.iter().cloned().collect())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn connections_are_cut_only_if_a_setting_says_so() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &Settings::default()).await;
    assert_eq!(history(&world), [[ISOLATED]]);
}

#[tokio::test(start_paused = true)]
async fn it_is_isolated_then_open_for_both_families_for_the_time_set_then_isolated() {
    let world = World::new(Account::default());
    let before = Instant::now();
    let done = run_with(&world.playbook, &infected(), &cutting(25)).await;
    assert_eq!(
        outcome(&done, "ec2:CutTrackedConnections", "eni-1"),
        Some(Applied),
        "{:#?}",
        done.steps
    );
    assert_eq!(history(&world), [[ISOLATED], [OPEN], [ISOLATED]]);
    let took = before.elapsed();
    assert!(
        (Duration::from_secs(25)..Duration::from_secs(30)).contains(&took),
        "{took:?}"
    );
    let account = world.now();
    assert_eq!(account.left_open.len(), 2);
    for open in &account.left_open {
        assert_eq!(open.ingress, names(["0.0.0.0/0", "::/0"]));
        assert_eq!(open.egress, names(["0.0.0.0/0", "::/0"]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_open_group_has_no_rules_afterwards_unless_another_interface_is_in_it() {
    let world = World::new(Account::default());
    let done = run_with(&world.playbook, &infected(), &cutting(5)).await;
    assert!(world.now().groups[OPEN].ingress.is_empty());
    assert!(world.now().groups[OPEN].egress.is_empty());
    let told = |risk: &String| risk.contains("remove its rules");
    assert!(
        !done.residual_risks.iter().any(told),
        "{:?}",
        done.residual_risks
    );
    let world = World::new(Account {
        others_open: 1,
        ..Account::default()
    });
    let done = run_with(&world.playbook, &infected(), &cutting(5)).await;
    assert_eq!(world.now().groups[OPEN].ingress.len(), 2);
    assert!(
        done.residual_risks.iter().any(told),
        "{:?}",
        done.residual_risks
    );
    assert!(world.is_isolated("eni-1") && world.is_isolated("eni-2"));
}

#[tokio::test(start_paused = true)]
async fn rules_that_cannot_be_taken_away_again_do_not_keep_the_interface_from_being_isolated() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &Settings::default()).await;
    for revoke in [
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
    ] {
        world.wire.fail(revoke, 403, "UnauthorizedOperation");
    }
    let done = run_with(&world.playbook, &infected(), &cutting(5)).await;
    assert_eq!(
        outcome(&done, "ec2:CutTrackedConnections", "eni-1"),
        Some(Applied)
    );
    assert!(world.is_isolated("eni-1"));
    let told = |risk: &String| risk.contains(OPEN) && risk.contains("remove its rules");
    assert!(
        done.residual_risks.iter().any(told),
        "{:?}",
        done.residual_risks
    );
}

#[tokio::test(start_paused = true)]
async fn connections_are_not_said_to_be_cut_if_another_run_took_the_rules_away() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &Settings::default()).await;
    let cut = cut_of(&world).await;
    let until = Instant::now() + Duration::from_secs(100);
    let cutting = world.playbook.apply_by(&cut, until, ready(()));
    let closing = async {
        sleep(Duration::from_secs(3)).await;
        world.now().groups.get_mut(OPEN).unwrap().ingress.clear();
    };
    let (cut, ()) = futures::join!(cutting, closing);
    assert!(cut.unwrap_err().to_string().contains("may not be cut"));
    assert!(world.is_isolated("eni-1"));
    assert!(
        !world.now().interfaces["eni-1"]
            .tags
            .contains_key("gdr:connections-cut")
    );
}

#[tokio::test(start_paused = true)]
async fn an_interface_is_isolated_again_also_if_its_isolation_group_is_gone_meanwhile() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &Settings::default()).await;
    let cut = cut_of(&world).await;
    let until = Instant::now() + Duration::from_secs(100);
    let cutting = world.playbook.apply_by(&cut, until, ready(()));
    let deleting = async {
        sleep(Duration::from_secs(3)).await;
        assert!(!world.is_isolated("eni-1"), "it is open at that moment");
        world.now().groups.remove(ISOLATED);
    };
    let (cut, ()) = futures::join!(cutting, deleting);
    cut.unwrap();
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_the_open_groups_name_that_is_not_ours_is_neither_used_nor_changed() {
    for name in ["gdr-conversion", "GDR-Conversion"] {
        let world = World::new(Account::default());
        let somebodys = Group {
            name: name.to_owned(),
            ..group("vpc-1", ["198.51.100.7/32"], [])
        };
        world
            .now()
            .groups
            .insert("sg-somebodys".to_owned(), somebodys);
        let done = run_with(&world.playbook, &infected(), &cutting(5)).await;
        let outcome = outcome(&done, "ec2:CutTrackedConnections", "eni-1");
        assert_eq!(outcome, Some(Applied), "{:#?}", done.steps);
        let history = history(&world);
        assert!(
            history[1][0].starts_with("sg-gdr-conversion-"),
            "{history:?}"
        );
        assert_eq!(
            world.now().groups["sg-somebodys"].ingress,
            names(["198.51.100.7/32"])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_interface_with_an_ipv6_address_of_the_internet_is_not_opened() {
    let mut account = Account::default();
    account.interfaces.get_mut("eni-1").unwrap().ipv6 = vec!["2600:1f13::5"];
    account.interfaces.get_mut("eni-2").unwrap().ipv6 = vec!["fd00:ec2::5"];
    let world = World::new(account);
    let settings = Settings {
        ec2: Ec2Settings {
            remove_public_address: true,
            ..cutting(5).ec2
        },
        ..Settings::default()
    };
    let done = run_with(&world.playbook, &infected(), &settings).await;
    let cut = "ec2:CutTrackedConnections";
    assert_eq!(outcome(&done, cut, "eni-1"), Some(Skipped));
    assert!(detail(&done, cut).contains("IPv6"), "{:#?}", done.steps);
    assert_eq!(outcome(&done, cut, "eni-2"), Some(Applied));
    assert_eq!(history(&world), [[ISOLATED]]);
    let risks = done.residual_risks.join("\n");
    assert!(risks.contains("public address 2600:1f13::5:"), "{risks}");
    assert!(risks.contains("were open keep working on eni-1"), "{risks}");
    assert!(risks.contains("while eni-2 was open"), "{risks}");
    assert!(!risks.contains("fd00:"), "{risks}");
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_address_that_comes_up_before_it_is_opened_keeps_it_isolated() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &Settings::default()).await;
    let cut = cut_of(&world).await;
    world.now().interfaces.get_mut("eni-1").unwrap().ipv6 = vec!["2600:1f13::5"];
    let until = Instant::now() + Duration::from_secs(100);
    let refused = world.playbook.apply_by(&cut, until, ready(())).await;
    assert!(refused.unwrap_err().to_string().contains("2600:1f13::5"));
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn the_time_for_cutting_is_limited_by_the_remaining_time_of_the_function() {
    let world = World::new(Account::default());
    let before = Instant::now();
    // run_with gives a minute, of which twenty seconds are kept for isolating again.
    let done = run_with(&world.playbook, &infected(), &cutting(90)).await;
    assert_eq!(
        outcome(&done, "ec2:CutTrackedConnections", "eni-1"),
        Some(Applied)
    );
    assert!(
        before.elapsed() < Duration::from_secs(45),
        "{:?}",
        before.elapsed()
    );
    assert!(world.is_isolated("eni-1") && world.is_isolated("eni-2"));
}

async fn cut_of(world: &World) -> Action {
    let state = world.playbook.observe(&infected()).await.unwrap();
    let plan = Ec2::plan(&infected(), &state, &cutting(30), now());
    let mut steps = plan.steps.into_iter();
    steps
        .find_map(|step| match step {
            Step::Do(change) if change.name() == "ec2:CutTrackedConnections" => Some(change),
            _ => None,
        })
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_ends_isolated_also_when_the_waiting_call_is_cut_off() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &Settings::default()).await;
    let cut = cut_of(&world).await;
    let until = Instant::now() + Duration::from_secs(100);
    let dropped = timeout(
        Duration::from_secs(5),
        world.playbook.apply_by(&cut, until, ready(())),
    )
    .await;
    assert!(dropped.is_err());
    assert!(!world.is_isolated("eni-1"), "it is open at that moment");
    sleep(Duration::from_secs(40)).await;
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn it_ends_isolated_also_when_the_calls_fail() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &Settings::default()).await;
    let cut = cut_of(&world).await;
    let until = Instant::now() + Duration::from_secs(100);
    // Opening takes effect and seems to fail; isolating again fails for a while.
    let modify = "ec2:ModifyNetworkInterfaceAttribute";
    world.wire.fail_after_effect(modify, 500, "InternalError");
    assert!(
        world
            .playbook
            .apply_by(&cut, until, ready(()))
            .await
            .is_err()
    );
    assert!(world.is_isolated("eni-1"));
    world.wire.fail(modify, 503, "RequestLimitExceeded");
    let cutting = world.playbook.apply_by(&cut, until, ready(()));
    let recovering = async {
        sleep(Duration::from_secs(3)).await;
        world.wire.fail_once(modify, 503, "RequestLimitExceeded");
    };
    let (cut, ()) = futures::join!(cutting, recovering);
    assert!(cut.is_err());
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_opened_that_has_a_public_address_or_is_not_isolated_or_without_time() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &Settings::default()).await;
    let cut = cut_of(&world).await;
    let until = Instant::now() + Duration::from_secs(100);
    let before = history(&world);
    let refused = world
        .playbook
        .apply_by(&cut, Instant::now() + Duration::from_secs(15), ready(()))
        .await;
    assert!(refused.unwrap_err().to_string().contains("too little"));
    world.now().interfaces.get_mut("eni-1").unwrap().public = vec![("203.0.113.8", None, None)];
    let refused = world.playbook.apply_by(&cut, until, ready(())).await;
    assert!(refused.unwrap_err().to_string().contains("203.0.113.8"));
    world.now().interfaces.get_mut("eni-1").unwrap().groups = names(["sg-web"]);
    let refused = world.playbook.apply_by(&cut, until, ready(())).await;
    assert!(refused.unwrap_err().to_string().contains("not isolated"));
    assert_eq!(history(&world), before);
}

#[tokio::test(start_paused = true)]
async fn with_a_public_address_that_is_to_stay_the_step_is_skipped() {
    let mut account = Account::default();
    account.interfaces.get_mut("eni-1").unwrap().public = vec![("203.0.113.8", None, None)];
    let world = World::new(account);
    let done = run_with(&world.playbook, &infected(), &cutting(30)).await;
    assert_eq!(
        outcome(&done, "ec2:CutTrackedConnections", "eni-1"),
        Some(Skipped)
    );
    assert!(detail(&done, "ec2:CutTrackedConnections").contains("EC2_REMOVE_PUBLIC_ADDRESS"));
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_instance_is_not_opened_and_a_cut_is_not_repeated() {
    let world = World::new(Account {
        state: "stopped",
        ..Account::default()
    });
    let done = run_with(&world.playbook, &infected(), &cutting(30)).await;
    assert_eq!(outcome(&done, "ec2:CutTrackedConnections", "eni-1"), None);
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &cutting(30)).await;
    let done = run_with(&world.playbook, &infected(), &cutting(30)).await;
    assert_eq!(
        outcome(&done, "ec2:CutTrackedConnections", "eni-1"),
        Some(Already)
    );
    assert_eq!(history(&world).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_a_crash_left_open_is_isolated_and_never_given_back_the_open_group() {
    let world = World::new(Account::default());
    run_with(&world.playbook, &infected(), &cutting(30)).await;
    world.now().interfaces.get_mut("eni-1").unwrap().groups = names([OPEN]);
    world.open(OPEN);
    let state = world.playbook.observe(&infected()).await.unwrap();
    let plan = Ec2::plan(&infected(), &state, &Settings::default(), now());
    let from = plan.steps.iter().find_map(|step| match step {
        Step::Do(Action::IsolateInterface(IsolateInterface { from, .. })) => Some(from.clone()),
        _ => None,
    });
    assert_eq!(
        from,
        Some(names(["sg-admin", "sg-web"])),
        "as the mark tells"
    );
    assert!(
        plan.residual_risks
            .iter()
            .any(|risk| risk.contains("open to everything"))
    );
    let done = run_with(&world.playbook, &infected(), &Settings::default()).await;
    assert_eq!(
        outcome(&done, "ec2:IsolateInterface", "eni-1"),
        Some(Applied)
    );
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_is_not_isolated_is_not_opened() {
    let world = World::new(Account::default());
    world.wire.fail(
        "ec2:ModifyNetworkInterfaceAttribute",
        403,
        "UnauthorizedOperation",
    );
    let done = run_with(&world.playbook, &infected(), &cutting(30)).await;
    assert_eq!(
        outcome(&done, "ec2:CutTrackedConnections", "eni-1"),
        Some(Failed)
    );
    assert!(history(&world).is_empty());
}

/// An account in which this is so.
fn where_it_is(change: impl Fn(&mut Account)) -> Account {
    let mut account = Account::default();
    change(&mut account);
    account
}

#[tokio::test(start_paused = true)]
async fn always_tracked_flows_keep_the_interface_closed() {
    let ways: [(&str, Account); 6] = [
        ("nat-1", where_it_is(|account| account.nat = true)),
        ("tgw-1", where_it_is(|account| account.transit = true)),
        (
            "cagw-1",
            where_it_is(|account| account.carrier_gateway = true),
        ),
        (
            "vpce-1",
            where_it_is(|account| account.endpoints = vec!["vpce-1"]),
        ),
        (
            "tg-web",
            where_it_is(|account| {
                account.targets =
                    vec![("tg-web".to_owned(), super::world::ID.to_owned(), 443, false)];
            }),
        ),
        (
            "clb-web",
            where_it_is(|account| account.balancers = names(["clb-web"])),
        ),
    ];
    for (way, account) in ways {
        let world = World::new(account);
        let done = run_with(&world.playbook, &infected(), &cutting(5)).await;
        let cut = "ec2:CutTrackedConnections";
        assert_eq!(
            outcome(&done, cut, "eni-1"),
            Some(Skipped),
            "{way}: {:#?}",
            done.steps
        );
        assert!(detail(&done, cut).contains(way), "{}", detail(&done, cut));
        assert_eq!(history(&world), [[ISOLATED]], "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unread_device_counts_as_on_the_path() {
    for call in [
        "ec2:DescribeRouteTables",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeLoadBalancers",
    ] {
        let world = World::new(Account::default());
        world.wire.fail(call, 403, "UnauthorizedOperation");
        let done = run_with(&world.playbook, &infected(), &cutting(5)).await;
        let cut = "ec2:CutTrackedConnections";
        assert_eq!(
            outcome(&done, cut, "eni-1"),
            Some(Skipped),
            "{call}: {:#?}",
            done.steps
        );
        assert!(detail(&done, cut).contains("could not be read"), "{call}");
        assert_eq!(history(&world), [[ISOLATED]], "{call}");
    }
    let world = World::new(where_it_is(|account| account.no_tables = true));
    let done = run_with(&world.playbook, &infected(), &cutting(5)).await;
    assert!(detail(&done, "ec2:CutTrackedConnections").contains("no route table"));
    assert_eq!(history(&world), [[ISOLATED]]);
}

#[tokio::test(start_paused = true)]
async fn a_carrier_s_address_that_stays_keeps_the_interface_closed() {
    let world = World::new(where_it_is(|account| {
        account.interfaces.get_mut("eni-1").unwrap().carrier = Some(("155.146.1.7", None));
    }));
    let mut settings = cutting(5);
    settings.ec2.remove_public_address = true;
    let done = run_with(&world.playbook, &infected(), &settings).await;
    assert_eq!(
        outcome(&done, "ec2:CutTrackedConnections", "eni-1"),
        Some(Skipped)
    );
    assert!(detail(&done, "ec2:CutTrackedConnections").contains("155.146.1.7"));
    assert_eq!(history(&world), [[ISOLATED]]);
}
