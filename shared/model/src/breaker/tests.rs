use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::breaker::*;
use crate::category::Category;
use crate::error::{CallError, CallFailure, Error};
use crate::finding::Finding;
use crate::fixtures::{Act, Fake, act, finding, now};
use crate::plan::Phase;
use crate::planner::Planner;
use crate::settings::Settings;

fn of_buckets(names: &[&str]) -> Finding {
    let buckets: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
    finding(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": buckets },
    }))
}

fn needs_of(finding: &Finding, state: &[(Act, bool)]) -> SlotRequest {
    let (state, settings) = (state.to_vec(), Settings::default());
    let plan = Fake::plan(finding, &state, &settings, now());
    needs::<Fake>(&Limits::default(), finding, &state, &plan)
}

/// The names in each window, by its crowd.
fn names(needs: &SlotRequest) -> Vec<(Option<BlastRadiusGroup>, Vec<&str>)> {
    let windows = needs.windows.iter();
    windows
        .map(|(_, window, names)| {
            let names = names.iter().map(String::as_str).collect();
            (window.crowd.clone(), names)
        })
        .collect()
}

#[test]
fn each_bucket_that_is_to_be_contained_takes_a_place_and_no_other() {
    let finding = of_buckets(&["bucket-a", "bucket-b", "bucket-c"]);
    let state = [
        (act("bucket-a"), false),
        (act("bucket-b"), true),
        (act("bucket-c"), false),
    ];
    let needs = needs_of(&finding, &state);
    assert_eq!(names(&needs), [(None, vec!["bucket-a", "bucket-c"])]);
}

#[test]
fn a_contained_or_only_preserved_target_takes_no_slot() {
    let finding = of_buckets(&["bucket-a"]);
    let preserved = Act {
        phase: Phase::Preserve,
        ..act("bucket-a")
    };
    let marked = Act {
        phase: Phase::Annotate,
        ..act("bucket-a")
    };
    for state in [
        vec![],
        vec![(act("bucket-a"), true)],
        vec![(act("bucket-a"), true), (preserved, false), (marked, false)],
    ] {
        assert_eq!(needs_of(&finding, &state).windows, []);
    }
}

#[test]
fn several_steps_on_one_target_take_one_place() {
    let finding = of_buckets(&["bucket-a"]);
    let protects = Act {
        phase: Phase::Protect,
        ..act("first")
    };
    let needs = needs_of(&finding, &[(protects, false), (act("second"), false)]);
    assert_eq!(names(&needs), [(None, vec!["bucket-a"])]);
}

fn crowd(name: &str) -> BlastRadiusGroup {
    let region = "us-east-1".to_owned();
    let name = name.to_owned();
    BlastRadiusGroup::AutoScalingGroup { region, name }
}

#[test]
fn a_share_of_a_crowd_is_rounded_down_and_one_member_always_is_contained() {
    let limits = Limits::default();
    for (size, places) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (9, 4), (500, 250)] {
        assert_eq!(limits.share_of(&crowd("web"), size), places, "{size}");
    }
    let all = Limits {
        share_percent: 100,
        ..limits
    };
    assert_eq!(all.share_of(&crowd("web"), 7), 7);
}

#[test]
fn of_fewer_than_ten_users_as_many_are_contained_as_of_anything_and_from_ten_on_a_share() {
    let limits = Limits::default();
    for (size, places) in [
        (0, 20),
        (1, 20),
        (3, 20),
        (9, 20),
        (10, 5),
        (11, 5),
        (500, 250),
    ] {
        assert_eq!(
            limits.share_of(&BlastRadiusGroup::Users, size),
            places,
            "{size}"
        );
    }
    let few = Limits {
        containments: 2,
        ..limits
    };
    assert_eq!(few.share_of(&BlastRadiusGroup::Users, 9), 2);
}

#[test]
fn the_window_with_the_fewest_places_is_asked_first() {
    let finding = of_buckets(&["bucket-a"]);
    let mut act = act("bucket-a");
    act.crowds = vec![("large", Ok(1_000)), ("small", Ok(4))];
    let needs = needs_of(&finding, &[(act, false)]);
    let windows: Vec<_> = needs
        .windows
        .iter()
        .map(|(places, window, _)| (*places, window.crowd.clone()))
        .collect();
    assert_eq!(
        windows,
        [
            (2, Some(crowd("small"))),
            (20, None),
            (500, Some(crowd("large")))
        ]
    );
}

#[test]
fn a_blast_radius_group_of_unknown_size_is_not_counted_and_is_reported() {
    let finding = of_buckets(&["bucket-a"]);
    let mut act = act("bucket-a");
    let denied = CallError {
        operation: "autoscaling:DescribeAutoScalingGroups",
        target: "web".to_owned(),
        code: "AccessDenied".to_owned(),
        message: "not authorized".to_owned(),
        kind: CallFailure::Denied,
    };
    act.crowds = vec![("web", Err(denied.into()))];
    let needs = needs_of(&finding, &[(act, false)]);
    assert_eq!(names(&needs), [(None, vec!["bucket-a"])]);
    let remarks: Vec<_> = needs.remarks().collect();
    assert_eq!(remarks.len(), 1);
    for part in [
        "Auto Scaling group web",
        "autoscaling:DescribeAutoScalingGroups",
    ] {
        assert!(remarks[0].contains(part), "{remarks:?}");
    }
}

#[test]
fn a_crowd_is_found_again_from_the_key_of_its_window() {
    let role = BlastRadiusGroup::Role {
        region: "eu-west-1".to_owned(),
        name: "web".to_owned(),
    };
    for crowd in [BlastRadiusGroup::Users, role, crowd("a/b#c")] {
        assert_eq!(BlastRadiusGroup::from_key(&crowd.key()), Some(crowd));
    }
    for key in ["", "group", "role#web", "something#new/x"] {
        assert_eq!(BlastRadiusGroup::from_key(key), None, "{key}");
    }
}

#[test]
fn a_slot_requested_before_is_not_requested_again() {
    let finding = of_buckets(&["bucket-a", "bucket-b"]);
    let with = |crowds: Vec<(&'static str, crate::Result<usize>)>, more: Option<Act>| {
        let mut first = act("bucket-a");
        first.crowds = crowds;
        let acts = [first].into_iter().chain(more);
        needs_of(&finding, &acts.map(|act| (act, false)).collect::<Vec<_>>())
    };
    let unknown = || Error::Refused("no answer".to_owned());
    let asked = with(vec![("web", Ok(4)), ("new", Err(unknown()))], None);
    let mut again = with(
        vec![
            ("web", Ok(4)),
            ("new", Err(unknown())),
            ("late", Err(unknown())),
        ],
        Some(act("bucket-b")),
    );
    again.leave_out(&asked);
    assert_eq!(names(&again), [(None, vec!["bucket-a", "bucket-b"])]);
    let remarks: Vec<_> = again.remarks().collect();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(
        remarks[0].contains("Auto Scaling group late"),
        "{remarks:?}"
    );
}

/// A window that is full: two of two instances in an hour.
fn open_breaker() -> OpenBreaker {
    let at = |time: &str| -> Timestamp { time.parse().expect("a time") };
    let full = Full {
        taken: BTreeMap::from([
            ("us-east-1/i-1".to_owned(), at("2026-03-04T06:30:00Z")),
            ("us-east-1/i-2".to_owned(), at("2026-03-04T06:00:00Z")),
        ]),
        opened: None,
    };
    let limits = Limits {
        window: SignedDuration::from_mins(90),
        ..Limits::default()
    };
    OpenBreaker::new(&limits, 2, &window(None), &full)
}

fn window(crowd: Option<BlastRadiusGroup>) -> Window {
    Window {
        category: Category::Ec2,
        account_id: "111122223333".to_owned(),
        crowd,
    }
}

#[test]
fn an_open_breaker_names_its_count_the_next_free_slot_and_the_reset() {
    let open = open_breaker();
    assert_eq!(
        open.reason(),
        "circuit breaker open for ec2 in account 111122223333: 2 of 2 allowed containments in 90 minutes are used; \
         next slot at 2026-03-04T06:00:00Z"
    );
    assert_eq!(
        open.reset(),
        "gdr breaker reset --category ec2 --account 111122223333"
    );
    assert_eq!(*open.window(), window(None));
    let contained: Vec<_> = open.contained().collect();
    assert_eq!(contained, ["us-east-1/i-1", "us-east-1/i-2"]);
}

#[test]
fn a_step_without_a_slot_is_withheld_with_the_way_out_and_notified_by_one_invocation() {
    for (page, told) in [
        (Page::Due, true),
        (Page::AsUsual, true),
        (Page::Done, false),
    ] {
        let denial = Denial::open(open_breaker(), page);
        assert_eq!(denial.withheld.by, [BREAKER]);
        assert!(!denial.withheld.awaits_approval);
        for part in ["circuit breaker open", "to contain more, gdr breaker reset"] {
            assert!(denial.withheld.reason.contains(part), "{denial:?}");
        }
        assert_eq!(denial.page, page);
        assert_eq!(denial.overload.is_some(), told, "{page:?}");
        assert!(!denial.unasked && denial.transient.is_none());
    }
}

#[test]
fn a_finding_with_more_targets_than_slots_is_reported_with_both_numbers() {
    let denial = Denial::too_many(30, &open_breaker());
    for part in ["needs 30 slots", "allows 2 containments in 90 minutes"] {
        assert!(denial.withheld.reason.contains(part), "{denial:?}");
    }
    assert_eq!(denial.page, Page::AsUsual);
    assert!(!denial.unasked && denial.overload.is_none());
}

#[test]
fn without_the_table_only_a_transient_failure_is_retried() {
    for (kind, retried) in [(CallFailure::Transient, true), (CallFailure::Denied, false)] {
        let error = CallError {
            operation: "dynamodb:TransactWriteItems",
            target: "incidents".to_owned(),
            code: "it".to_owned(),
            message: "failed".to_owned(),
            kind,
        };
        let denial = Denial::unasked(error.into());
        assert!(denial.unasked);
        assert_eq!(denial.transient.is_some(), retried, "{kind:?}");
        let reason = &denial.withheld.reason;
        assert!(reason.contains("dynamodb:TransactWriteItems"), "{reason}");
        assert_eq!(denial.page, Page::AsUsual);
    }
}

#[test]
fn a_window_is_restored_from_its_key_and_named_by_its_count() {
    for (crowd, key, words) in [
        (
            None,
            "BREAKER#ec2#111122223333",
            "ec2 in account 111122223333",
        ),
        (
            Some(crowd("web")),
            "BREAKER#ec2#111122223333#group#us-east-1/web",
            "ec2 in the Auto Scaling group web (us-east-1) of account 111122223333",
        ),
        (
            Some(BlastRadiusGroup::Users),
            "BREAKER#ec2#111122223333#users",
            "ec2 in the users of account 111122223333",
        ),
        (
            Some(BlastRadiusGroup::Role {
                region: "eu-west-1".to_owned(),
                name: "app".to_owned(),
            }),
            "BREAKER#ec2#111122223333#role#eu-west-1/app",
            "ec2 in the instances of the role app (eu-west-1) of account 111122223333",
        ),
    ] {
        let window = window(crowd);
        assert_eq!(window.key(), key);
        assert_eq!(window.to_string(), words);
        assert_eq!(serde_json::json!(window), words);
        assert_eq!(Window::from_key(key), Some(window));
    }
    for key in ["ec2#111122223333", "BREAKER#new#1", "BREAKER#ec2#1#new"] {
        assert_eq!(Window::from_key(key), None, "{key}");
    }
}
