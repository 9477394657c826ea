//! What no group isolates is named, and keeps the containment from being whole.

use super::*;
use model::report::Outcome::{Already, Applied, Skipped};
use model::settings::Ec2Settings;

/// Two interfaces on an Outpost, whose subnets have local network interfaces at this index.
fn outpost(local_at: Option<i32>) -> Account {
    let mut account = account([("eni-1", "vpc-a"), ("eni-2", "vpc-a")]);
    for (index, interface) in (0..).zip(account.interfaces.values_mut()) {
        interface.outpost = true;
        interface.device_index = index;
    }
    Account {
        local_at,
        ..account
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_network_interface_is_left_to_the_local_firewall_by_name() {
    let world = World::new(outpost(Some(1)));
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, ISOLATE, "eni-2");
    assert_eq!(outcome, Skipped);
    assert!(
        detail.contains("firewall of that local network"),
        "{detail}"
    );
    assert!(world.is_isolated("eni-1"));
    assert!(!world.is_isolated("eni-2"));
    let (again, _) = contain(&world).await;
    assert_eq!(again.status(), Status::Partial, "{}", again.to_line());
}

#[tokio::test(start_paused = true)]
async fn interfaces_on_an_outpost_without_a_local_network_are_isolated() {
    let world = World::new(outpost(None));
    contained(&world).await;
}

/// As people have reported it: the finding alone shows the Outpost.
#[tokio::test(start_paused = true)]
async fn the_finding_is_enough_to_know_of_an_outpost() {
    let mut account = outpost(Some(1));
    for interface in account.interfaces.values_mut() {
        interface.outpost = false;
    }
    let world = World::new(account);
    let case = fixtures::case("instance-on-outposts");
    let (report, _) = answer(&world.playbook, &case).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(step(&report, ISOLATE, "eni-2").0, Skipped);
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn where_the_subnet_is_not_read_a_secondary_interface_is_isolated_and_named() {
    for refused in [true, false] {
        let world = World::new(Account {
            no_subnets: true,
            ..outpost(Some(1))
        });
        if refused {
            let describe = "ec2:DescribeSubnets";
            world.wire.fail(describe, 403, "UnauthorizedOperation");
        }
        let (report, _) = contain(&world).await;
        assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
        let (outcome, detail) = step(&report, ISOLATE, "the local network of eni-2");
        assert_eq!(outcome, Skipped);
        assert!(detail.contains("could not be read"), "{detail}");
        assert!(world.is_isolated("eni-1") && world.is_isolated("eni-2"));
    }
}

#[tokio::test(start_paused = true)]
async fn subnets_that_could_not_be_read_just_now_are_tried_again() {
    let world = World::new(outpost(Some(1)));
    let describe = "ec2:DescribeSubnets";
    world.wire.fail(describe, 503, "RequestLimitExceeded");
    let (report, transient) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert!(transient.is_some());
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn no_subnet_is_read_of_an_instance_that_is_on_no_outpost() {
    let world = World::new(one());
    contained(&world).await;
    assert!(!world.wire.calls().contains(&"ec2:DescribeSubnets"));
}

#[tokio::test(start_paused = true)]
async fn secondary_interfaces_are_left_to_their_network_by_name() {
    let world = World::new(Account {
        secondary: vec![("si-1", "sn-rdma-7")],
        ..one()
    });
    let case = fixtures::case("instance-with-secondary-interface");
    let (report, _) = answer(&world.playbook, &case).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, ISOLATE, "si-1");
    assert_eq!(outcome, Skipped);
    assert!(detail.contains("sn-rdma-7"), "{detail}");
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn a_branch_interface_is_left_to_its_pod_or_task() {
    let mut account = account([("eni-1", "vpc-a"), ("eni-2", "vpc-a")]);
    account.interfaces.get_mut("eni-2").unwrap().kind = "branch";
    let world = World::new(account);
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, ISOLATE, "eni-2");
    assert_eq!(outcome, Skipped);
    assert!(detail.contains("pod or task"), "{detail}");
    assert!(world.is_isolated("eni-1"));
}

fn wavelength(allocation: Option<&'static str>) -> Account {
    let mut account = one();
    let interface = account.interfaces.get_mut("eni-1").unwrap();
    interface.carrier = Some(("155.146.1.7", allocation));
    account
}

#[tokio::test(start_paused = true)]
async fn a_carrier_s_address_faces_the_internet() {
    let world = World::new(wavelength(None));
    let state = world.playbook.observe(&infected()).await.unwrap();
    let plan = planned(&world).await;
    let action = plan.steps.iter().find_map(|step| match step {
        model::plan::Step::Do(action) => Some(action),
        _ => None,
    });
    let shown = format!("{:?}", Ec2::resource(&infected(), &state, action.unwrap()));
    assert!(shown.contains("\"internetFacing\": Flag(true)"), "{shown}");
    let risks = plan.residual_risks.join("\n");
    assert!(
        risks.contains("keeps its public address 155.146.1.7"),
        "{risks}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_carrier_s_address_is_taken_away_where_it_was_allocated() {
    const ADDRESS: &str = "ec2:RemovePublicAddress";
    let settings = Settings {
        ec2: Ec2Settings {
            remove_public_address: true,
            ..Ec2Settings::default()
        },
        ..Settings::default()
    };
    let world = World::new(wavelength(Some("eipalloc-c")));
    let done = fixtures::run_with(&world.playbook, &infected(), &settings).await;
    assert_eq!(outcome(&done, ADDRESS, "eni-1"), Some(Applied));
    assert!(world.now().interfaces["eni-1"].carrier.is_none());
    let world = World::new(wavelength(None));
    let done = fixtures::run_with(&world.playbook, &infected(), &settings).await;
    assert_eq!(outcome(&done, ADDRESS, "eni-1"), Some(Already));
    assert!(detail(&done, ADDRESS).contains("155.146.1.7"));
    let risks = done.residual_risks.join("\n");
    assert!(
        risks.contains("keeps its public address 155.146.1.7"),
        "{risks}"
    );
}
