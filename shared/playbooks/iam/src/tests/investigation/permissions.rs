//! What a principal may do, and which services it used last.

use std::time::Duration;

use tokio::time::Instant;

use super::super::role::{own_account, payroll};
use super::super::session_finding;
use super::super::world::{Account, mallory, mallory_with, world};
use super::{asked, grouped, listed_buckets};
use fixtures::{answered, investigate, user_finding};
use model::investigation::Question;

#[tokio::test(start_paused = true)]
async fn permissions_are_listed_with_their_source_and_administrators_first() {
    let (_, found) = asked(grouped(), &user_finding("mallory")).await;
    let answer = answered(&found, Question::Permissions);
    assert!(answer.is_known(), "{answer:?}");
    let text = answer.answer();
    assert!(
        text.starts_with("user mallory: ADMINISTRATOR, who may do everything, by the inline policy own; MAY CHANGE IAM"),
        "{text}"
    );
    for part in [
        "by build (group ops)",
        "attached: ReadOnlyAccess",
        "of-ops (group ops)",
        "groups: ops",
        "bounded by arn:aws:iam::111122223333:policy/limits",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("gdr-"),
        "the responder's own policy gives nothing: {text}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_policies_of_a_role_are_listed_too() {
    let mut account = payroll(own_account());
    let role = account.roles.get_mut("payroll").unwrap();
    role.attached = ["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()].into();
    let (_, found) = asked(account, &session_finding()).await;
    let answer = answered(&found, Question::Permissions);
    assert!(answer.is_known(), "{answer:?}");
    assert!(
        answer.answer().starts_with("role payroll: ADMINISTRATOR"),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn permissions_that_could_be_read_only_in_part_are_open_and_name_the_rest() {
    let parts = [
        "iam:GetUser",
        "iam:ListUserPolicies",
        "iam:GetUserPolicy",
        "iam:ListAttachedUserPolicies",
        "iam:ListGroupsForUser",
        "iam:ListGroupPolicies",
        "iam:GetGroupPolicy",
        "iam:ListAttachedGroupPolicies",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
    ];
    for denied in parts {
        let world = world(grouped());
        world.wire.fail(denied, 403, "AccessDenied");
        let found = investigate(&world.iam, &user_finding("mallory")).await;
        let answer = answered(&found, Question::Permissions);
        assert!(!answer.is_known(), "{denied}: {answer:?}");
        let text = answer.answer();
        assert!(
            text.contains(&format!("role allows {denied}")),
            "{denied}: {text}"
        );
        assert!(!text.contains("no administrator"), "{denied}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_is_gone_or_made_anew_is_not_taken_for_the_one_that_acted() {
    for (account, told) in [
        (Account::default(), "no longer exists"),
        (
            mallory_with(|user| user.id = "AIDASOMEONEELSE"),
            "recreated",
        ),
    ] {
        let (_, found) = asked(account, &user_finding("mallory")).await;
        for question in [Question::Permissions, Question::LastUsed] {
            let answer = answered(&found, question);
            assert!(
                !answer.is_known() && answer.answer().contains(told),
                "{answer:?}"
            );
        }
    }
}

fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[tokio::test(start_paused = true)]
async fn services_used_before_the_first_event_are_listed_apart_from_later_ones() {
    let mut account = mallory();
    account.services.working = 2;
    account.services.used = vec![
        ("ec2", None),
        ("iam", Some(seconds("2026-03-04T04:51:00Z"))),
        ("s3", Some(seconds("2026-03-03T00:00:00Z"))),
    ];
    let (world, found) = asked(account, &listed_buckets()).await;
    let answer = answered(&found, Question::LastUsed);
    assert!(answer.is_known(), "{answer:?}");
    let text = answer.answer();
    let (before, since) = text.split_once("last used since").expect("both parts");
    assert!(
        before.contains("s3, which was called here, was used before"),
        "{text}"
    );
    assert!(
        before.contains("s3 (2026-03-03T00:00:00Z)") && !before.contains("iam"),
        "{text}"
    );
    assert!(
        since.contains("iam (2026-03-04T04:51:00Z)") && since.contains("may be the attack"),
        "{text}"
    );
    assert!(since.contains("1 services"), "{text}");
    assert!(
        answer.source().contains("2026-03-04T05:05:00Z"),
        "{answer:?}"
    );
    let looks = world.wire.calls().into_iter();
    let looks = looks.filter(|call| *call == "iam:GetServiceLastAccessedDetails");
    assert_eq!(looks.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_fails_is_denied_or_takes_too_long_is_open() {
    for (fault, told) in [
        ("fails", "failed"),
        ("working", "not ready within 6 seconds"),
        (
            "denied",
            "role allows iam:GenerateServiceLastAccessedDetails",
        ),
    ] {
        let mut account = mallory();
        account.services.fails = fault == "fails";
        account.services.working = if fault == "working" { usize::MAX } else { 0 };
        let world = world(account);
        if fault == "denied" {
            world.wire.fail(
                "iam:GenerateServiceLastAccessedDetails",
                403,
                "AccessDenied",
            );
        }
        let started = Instant::now();
        let found = investigate(&world.iam, &listed_buckets()).await;
        let answer = answered(&found, Question::LastUsed);
        assert!(
            !answer.is_known() && answer.answer().contains(told),
            "{answer:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
