//! Quotas that leave no room for what containing makes.

use super::world::ID;
use super::*;
use aws::cloudtrail::afterwards::Credential;
use fixtures::case;

const ROLE: &str = "arn:aws:iam::111122223333:role/web";
const DENY: &str = "iam:DenyInstanceCredentials";

#[tokio::test(start_paused = true)]
async fn a_role_without_room_for_a_policy_is_named_with_the_way_on_and_all_else_is_done() {
    let world = World::new(prepared([], []));
    world.wire.fail("iam:PutRolePolicy", 409, "LimitExceeded");
    let (report, transient) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert!(world.is_isolated("eni-1") && transient.is_none());
    assert_eq!(world.now().snapshots.len(), 2);
    let (outcome, detail) = step(&report, DENY, ROLE);
    assert_eq!(outcome, Outcome::Failed);
    for said in [
        "credentials of i-0abc1234def567890 still work",
        "no room",
        "managed policy",
        "\"Effect\":\"Deny\"",
        "LimitExceeded",
    ] {
        assert!(detail.contains(said), "{said}: {detail}");
    }
    assert!(report.reason().contains("no room"), "{}", report.reason());
    assert!(world.now().policies.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_reported_case_of_a_full_role_is_isolated_and_partial() {
    let world = World::new(prepared([], []));
    world.wire.fail("iam:PutRolePolicy", 409, "LimitExceeded");
    let (report, _) = answer(&world.playbook, &case("instance-whose-role-is-full")).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert!(world.is_isolated("eni-1"));
    let in_effect = remediation::recheck::in_effect(report.steps());
    let kept_out = Ec2::kept_out(&case("instance-whose-role-is-full"), &in_effect);
    assert_eq!(kept_out, None::<Credential>);
}

#[tokio::test(start_paused = true)]
async fn an_account_without_room_for_a_group_says_so_and_all_else_is_done() {
    let world = World::new(one());
    world
        .wire
        .fail("ec2:CreateSecurityGroup", 400, "SecurityGroupLimitExceeded");
    let (report, transient) = contain(&world).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert!(transient.is_none());
    assert!(
        report.reason().contains("as many security groups"),
        "{}",
        report.reason()
    );
    assert_eq!(step(&report, ISOLATE, "eni-1").0, Outcome::Failed);
    assert_eq!(step(&report, DENY, ROLE).0, Outcome::Applied);
    assert_eq!(world.groups_of("eni-1"), ["sg-app", "sg-db", "sg-ssh"]);
    let account = world.now();
    assert!(account.termination && account.snapshots.len() == 2);
    assert!(account.policies.contains_key(&format!("gdr-deny-{ID}")));
}

#[tokio::test(start_paused = true)]
async fn a_group_without_which_nothing_is_isolated_makes_nothing_contained() {
    let world = World::new(Account {
        profile: None,
        ..one()
    });
    world
        .wire
        .fail("ec2:CreateSecurityGroup", 400, "SecurityGroupLimitExceeded");
    for _ in 0..2 {
        let (report, _) = contain(&world).await;
        assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
    }
}

#[tokio::test(start_paused = true)]
async fn tags_without_room_are_reported_and_do_not_page() {
    let world = World::new(prepared([], []));
    world.wire.fail("ec2:CreateTags", 400, "TagLimitExceeded");
    let (report, transient) = contain(&world).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(transient.is_none() && world.is_contained());
    let (outcome, detail) = step(&report, "ec2:MarkContained", ID);
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("as many tags as AWS allows"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_throttled_is_left_to_the_next_look() {
    let world = World::new(prepared([], []));
    world.wire.fail("ec2:CreateTags", 400, "Throttling");
    let (report, transient) = contain(&world).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(transient.is_none(), "{transient:?}");
}
