//! Refusals, races, answers that lag behind, and a world that changes meanwhile.

use super::world::{ID, names};
use super::*;
use fixtures::{carry_out, each_call_fails_in_turn};

#[tokio::test(start_paused = true)]
async fn an_interface_is_not_put_into_a_group_that_cannot_be_stripped() {
    let everything = "0.0.0.0/0";
    for (account, revoke) in [
        (prepared([], [everything]), "ec2:RevokeSecurityGroupEgress"),
        (prepared([everything], []), "ec2:RevokeSecurityGroupIngress"),
    ] {
        let world = World::new(account);
        world.wire.fail(revoke, 403, "UnauthorizedOperation");
        let (report, transient) = contain(&world).await;
        assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
        assert!(step(&report, PREPARE, "vpc-a").1.contains(revoke));
        let (outcome, detail) = step(&report, ISOLATE, "eni-1");
        assert_eq!(outcome, Outcome::Failed);
        assert!(
            detail.contains("sg-isolation") && detail.contains("0.0.0.0/0"),
            "{detail}"
        );
        assert_eq!(world.groups_of("eni-1"), ["sg-app", "sg-db", "sg-ssh"]);
        assert!(transient.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_group_of_a_responder_that_was_faster_is_stripped_and_used() {
    let world = World::new(Account {
        raced: true,
        ..one()
    });
    contained(&world).await;
    assert_eq!(world.groups_of("eni-1"), ["sg-faster"]);
}

#[tokio::test(start_paused = true)]
async fn rules_that_another_responder_revoked_meanwhile_are_no_failure() {
    let world = World::new(prepared(["::/0"], ["0.0.0.0/0"]));
    for revoke in [
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
    ] {
        let code = "InvalidSecurityGroupRuleId.NotFound";
        world.wire.fail_after_effect(revoke, 400, code);
    }
    let report = contained(&world).await;
    let (_, detail) = step(&report, PREPARE, "vpc-a");
    assert!(detail.starts_with("applied and read back"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_know_the_new_group_yet_is_made_again() {
    let calls = [
        "ec2:DescribeSecurityGroupRules",
        "ec2:RevokeSecurityGroupEgress",
        MODIFY,
    ];
    let codes = ["InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"];
    for (call, code) in calls
        .into_iter()
        .flat_map(|call| codes.map(|code| (call, code)))
    {
        let world = World::new(one());
        world.wire.fail_once(call, 400, code);
        let (report, _) = contain(&world).await;
        let line = report.to_line();
        assert_eq!(report.status(), Status::Contained, "{call}: {line}");
        assert!(world.is_contained());
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_only_starting_is_tried_again() {
    let world = World::new(one());
    world
        .wire
        .fail("ec2:ModifyInstanceAttribute", 400, "IncorrectInstanceState");
    let (_, transient) = contain(&world).await;
    assert!(transient.is_some());
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn reads_that_lag_behind_the_new_group_do_not_keep_the_interface_where_it_is() {
    for reads in [1, 2] {
        for lagging in [
            Account {
                new_group_hidden: reads,
                ..one()
            },
            Account {
                new_rules_hidden: reads,
                ..one()
            },
            Account {
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
    let mut account = account([("eni-1", "vpc-a"), ("eni-2", "vpc-a")]);
    account.interfaces.get_mut("eni-1").unwrap().refuses = Some("OperationNotPermitted");
    let world = World::new(account);
    let (report, transient) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, ISOLATE, "eni-1");
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("OperationNotPermitted"), "{detail}");
    assert_eq!(step(&report, ISOLATE, "eni-2").0, Outcome::Applied);
    assert_eq!(world.groups_of("eni-2"), [MADE]);
    assert!(transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_is_attached_meanwhile_is_isolated_too() {
    for vpc in ["vpc-a", "vpc-b"] {
        let mut account = account([("eni-1", "vpc-a"), ("eni-late", vpc)]);
        account
            .interfaces
            .get_mut("eni-late")
            .unwrap()
            .attached_after = 1;
        let world = World::new(account);
        let report = contained(&world).await;
        assert_eq!(step(&report, ISOLATE, "eni-late").0, Outcome::Applied);
    }
}

#[tokio::test(start_paused = true)]
async fn a_managed_interface_that_is_attached_meanwhile_is_not_passed_over() {
    let mut account = account([("eni-1", "vpc-a"), ("eni-managed", "vpc-b")]);
    let late = account.interfaces.get_mut("eni-managed").unwrap();
    (late.requester, late.attached_after) = (true, 1);
    let world = World::new(account);
    let (report, _) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(step(&report, ISOLATE, "eni-managed").0, Outcome::Skipped);
}

#[tokio::test(start_paused = true)]
async fn reading_back_waits_for_answers_that_lag_behind() {
    for (lags, outcome) in [
        (1, Outcome::Applied),
        (2, Outcome::Applied),
        (99, Outcome::Failed),
    ] {
        let mut account = one();
        account.interfaces.get_mut("eni-1").unwrap().lags = lags;
        let world = World::new(account);
        let (report, _) = contain(&world).await;
        let (found, detail) = step(&report, ISOLATE, "eni-1");
        assert_eq!(found, outcome, "{lags}: {detail}");
        if outcome == Outcome::Failed {
            assert!(
                detail.contains("reading back does not show it in effect"),
                "{detail}"
            );
        }
        let writes = world.wire.writes();
        assert_eq!(writes.iter().filter(|write| **write == MODIFY).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_is_deleted_meanwhile_is_no_failure() {
    let world = World::new(account([("eni-1", "vpc-a"), ("eni-gone", "vpc-a")]));
    let state = world.playbook.observe(&infected()).await.unwrap();
    world.now().interfaces.remove("eni-gone");
    let settings = Settings::default();
    let done = carry_out(&world.playbook, &infected(), &state, &settings, now()).await;
    assert_eq!(
        outcome(&done, ISOLATE, "eni-gone"),
        Some(Outcome::Skipped),
        "{:#?}",
        done.steps
    );
    assert!(done.transient.is_none());
    assert!(world.is_contained());
}

/// Fails each call that containing this account takes.
async fn whatever_call_fails(account: Account) {
    let gone = |operation: &str| match operation {
        MODIFY => "InvalidNetworkInterfaceID.NotFound",
        call if call.contains("SecurityGroup") => "InvalidGroup.NotFound",
        call if call.starts_with("iam:") => "NoSuchEntity",
        // A group that is gone is passed over, and here it is not gone.
        "elasticloadbalancing:DescribeTargetHealth" => "ValidationError",
        call if call.starts_with("elasticloadbalancing:") => "TargetGroupNotFound",
        call if call.starts_with("autoscaling:") => "ValidationError",
        _ => "InvalidInstanceID.NotFound",
    };
    each_call_fails_in_turn(&infected(), || World::new(account.clone()), gone).await;
}

/// A group is made in one VPC, and one without rules is found in the other.
#[tokio::test(start_paused = true)]
async fn whatever_call_fails_the_answer_is_true_and_a_retry_completes_the_containment() {
    let account = Account {
        groups: prepared([], []).groups,
        ..account([("eni-1", "vpc-a"), ("eni-2", "vpc-b")])
    };
    whatever_call_fails(account).await;
}

/// A group is stripped in one VPC, and another responder is faster in the other.
#[tokio::test(start_paused = true)]
async fn whatever_call_fails_for_an_instance_that_others_hold_the_same_is_true() {
    let account = Account {
        groups: prepared(["::/0"], ["0.0.0.0/0"]).groups,
        raced: true,
        scaling: Some(("web-asg".to_owned(), "InService")),
        targets: vec![("tg-web".to_owned(), ID.to_owned(), 443, false)],
        balancers: names(["classic"]),
        ..account([("eni-1", "vpc-a"), ("eni-2", "vpc-b")])
    };
    whatever_call_fails(account).await;
}

#[tokio::test(start_paused = true)]
async fn an_interface_in_a_group_that_stays_open_is_not_called_isolated() {
    let world = World::new(one());
    contained(&world).await;
    world.open(MADE);
    let revoke = "ec2:RevokeSecurityGroupIngress";
    world.wire.fail(revoke, 403, "UnauthorizedOperation");
    let (report, _) = contain(&world).await;
    assert_eq!(step(&report, ISOLATE, "eni-1").0, Outcome::Failed);
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
}
