use serde_json::json;

use crate::breaker::*;
use crate::error::{CallError, CallFailure};
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
fn what_is_contained_already_or_only_preserved_takes_no_place() {
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
fn a_crowd_whose_size_is_not_known_is_not_counted_and_is_told() {
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
