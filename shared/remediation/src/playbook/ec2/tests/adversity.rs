//! Refusals, races, answers that lag behind, and a world that changes meanwhile.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_interface_is_not_put_into_a_group_that_cannot_be_stripped() {
    for (rule, revoke) in [
        ((true, "0.0.0.0/0"), "ec2:RevokeSecurityGroupEgress"),
        ((false, "0.0.0.0/0"), "ec2:RevokeSecurityGroupIngress"),
    ] {
        let world = World::new(prepared(&[rule]));
        world.wire.fail(revoke, 403, "UnauthorizedOperation");
        let (report, transient) = contain(&world).await;
        assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
        assert!(step(&report, "vpc-a").1.contains(revoke));
        let (outcome, detail) = step(&report, "eni-1");
        assert_eq!(outcome, Outcome::Failed);
        assert!(
            detail.contains("sg-isolation") && detail.contains("0.0.0.0/0"),
            "{detail}"
        );
        assert_eq!(world.groups_of("eni-1"), ["sg-app", "sg-ssh", "sg-db"]);
        assert!(transient.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_group_of_a_responder_that_was_faster_is_stripped_and_used() {
    let world = World::new(Cloud {
        raced: true,
        ..one()
    });
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), ["sg-faster"]);
}

#[tokio::test(start_paused = true)]
async fn rules_that_another_responder_revoked_meanwhile_are_no_failure() {
    let world = World::new(prepared(&[(true, "0.0.0.0/0"), (false, "::/0")]));
    for revoke in [
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
    ] {
        let code = "InvalidSecurityGroupRuleId.NotFound";
        world.wire.fail_after_effect(revoke, 400, code);
    }
    let report = contained(&world).await;
    let (_, detail) = step(&report, "vpc-a");
    assert_eq!(detail, "applied and read back");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_know_the_new_group_yet_is_made_again() {
    for call in [
        "ec2:DescribeSecurityGroupRules",
        "ec2:RevokeSecurityGroupEgress",
        MODIFY,
    ] {
        let world = World::new(one());
        world.wire.fail_once(call, 400, "InvalidGroup.NotFound");
        let (report, _) = contain(&world).await;
        let line = report.to_line();
        assert_eq!(report.status(), Status::Contained, "{call}: {line}");
        assert!(world.is_contained());
    }
}

#[tokio::test(start_paused = true)]
async fn reads_that_lag_behind_the_new_group_do_not_keep_the_interface_where_it_is() {
    for reads in [1, 2] {
        for lagging in [
            Cloud {
                new_group_hidden: reads,
                ..one()
            },
            Cloud {
                new_rules_hidden: reads,
                ..one()
            },
            Cloud {
                revoked_shown: reads,
                ..one()
            },
        ] {
            let world = World::new(lagging.clone());
            let (report, _) = contain(&world).await;
            let lags = [
                lagging.new_group_hidden,
                lagging.new_rules_hidden,
                lagging.revoked_shown,
            ];
            let line = report.to_line();
            assert_eq!(report.status(), Status::Contained, "{lags:?}: {line}");
            assert!(world.is_contained());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_refuses_does_not_keep_the_others_from_being_isolated() {
    let refusing = Nic {
        refuses: Some("OperationNotPermitted"),
        ..nic("eni-1", "vpc-a")
    };
    let world = World::new(cloud([refusing, nic("eni-2", "vpc-a")]));
    let (report, transient) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, "eni-1");
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("OperationNotPermitted"), "{detail}");
    assert_eq!(step(&report, "eni-2").0, Outcome::Applied);
    assert_eq!(world.groups_of("eni-2"), ["sg-a"]);
    assert!(transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_is_attached_meanwhile_is_isolated_too() {
    for vpc in ["vpc-a", "vpc-b"] {
        let late = Nic {
            attached_after: 1,
            ..nic("eni-late", vpc)
        };
        let world = World::new(cloud([nic("eni-1", "vpc-a"), late]));
        let report = contained(&world).await;
        assert_eq!(step(&report, "eni-late").0, Outcome::Applied);
    }
}

#[tokio::test(start_paused = true)]
async fn a_managed_interface_that_is_attached_meanwhile_is_not_passed_over() {
    let late = Nic {
        attached_after: 1,
        ..managed()
    };
    let world = World::new(cloud([nic("eni-1", "vpc-a"), late]));
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(step(&report, "eni-managed").0, Outcome::Skipped);
}

#[tokio::test(start_paused = true)]
async fn reading_back_waits_for_answers_that_lag_behind() {
    for (lags, outcome) in [
        (1, Outcome::Applied),
        (2, Outcome::Applied),
        (99, Outcome::Failed),
    ] {
        let slow = Nic {
            lags,
            ..nic("eni-1", "vpc-a")
        };
        let world = World::new(cloud([slow]));
        let (report, _) = contain(&world).await;
        let (found, detail) = step(&report, "eni-1");
        assert_eq!(found, outcome, "{lags}: {detail}");
        if outcome == Outcome::Failed {
            assert!(detail.contains("reading back does not show it"), "{detail}");
        }
        let writes = world.wire.writes();
        assert_eq!(writes.iter().filter(|write| **write == MODIFY).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_is_deleted_meanwhile_is_no_failure() {
    let gone = Nic {
        refuses: Some("InvalidNetworkInterfaceID.NotFound"),
        ..nic("eni-gone", "vpc-a")
    };
    let world = World::new(cloud([nic("eni-1", "vpc-a"), gone]));
    let state = world.playbook.observe(&spambot()).await.unwrap();
    let plan = Ec2::plan(
        &spambot(),
        &state,
        &crate::settings::Settings::default(),
        now(),
    );
    world.change(|cloud| drop(cloud.nics.pop()));
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let done = crate::execute::execute(
        &world.playbook,
        &spambot(),
        plan,
        &crate::settings::Settings::default(),
        now(),
        until,
    )
    .await;
    let gone = done.steps.iter().find(|step| step.target() == "eni-gone");
    let gone = gone.expect("a step");
    assert_eq!(gone.outcome(), Outcome::Skipped, "{}", gone.detail());
    assert!(done.transient.is_none());
    assert!(world.is_contained());
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_the_answer_is_true_and_a_retry_completes_the_containment() {
    let gone = |operation: &str| match operation {
        "ec2:DescribeInstances" => "InvalidInstanceID.NotFound",
        MODIFY => "InvalidNetworkInterfaceID.NotFound",
        _ => "InvalidGroup.NotFound",
    };
    for cloud in scenarios() {
        each_call_fails_in_turn(&spambot(), || World::new(cloud.clone()), gone).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_interface_in_a_group_that_stays_open_is_not_called_isolated() {
    let world = World::new(one());
    contained(&world).await;
    let opened = group("sg-a", "vpc-a", &[(false, "0.0.0.0/0")]);
    world.change(|cloud| cloud.groups = vec![opened]);
    let revoke = "ec2:RevokeSecurityGroupIngress";
    world.wire.fail(revoke, 403, "UnauthorizedOperation");
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
    assert_eq!(step(&report, "eni-1").0, Outcome::Failed);
}
