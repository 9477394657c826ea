//! What contains several credentials of one user at once.

use super::*;
use fixtures::table::table;
use fixtures::windows::Windows;
use fixtures::{recorded, release};
use remediation::record::IncidentStore;
use remediation::release::{Allowance, Releaser, Verdict, plan};

/// A finding about this key of mallory's, seen at that time of its day.
fn stolen(id: &str, key: &str, seen: &str) -> Value {
    let mut detail = user_detail("mallory");
    detail["id"] = json!(id);
    detail["resource"]["accessKeyDetails"]["accessKeyId"] = json!(key);
    detail["service"]["eventLastSeen"] = json!(format!("2026-03-04T{seen}Z"));
    event(detail)
}

fn at(time: &str) -> Timestamp {
    format!("2026-03-04T{time}Z").parse().expect("a time")
}

async fn contain(world: &World, record: &IncidentStore, event: &Value, time: &str) {
    let settings = Settings::default();
    let report = recorded(&world.iam, record, event, &settings, at(time)).await;
    let stands = [Status::Contained, Status::AlreadyContained];
    assert!(stands.contains(&report.status()), "{}", report.to_line());
}

async fn put_back(world: &World, record: &IncidentStore, event: &Value) -> Verdict {
    let allowance = Allowance::default();
    let (verdicts, released) = release(&world.iam, record, event, &allowance, at("08:00:00")).await;
    let released = released.expect("released");
    assert!(
        released.iter().all(|step| step.problem.is_none()),
        "{released:?}"
    );
    let id = event["detail"]["id"].as_str().expect("an id");
    let incident = record.incidents_of(id).await.expect("read").remove(0);
    assert_eq!(incident.status, "released");
    let revoked = verdicts.into_iter().find(|(action, _)| *action == REVOKE);
    revoked.expect("it was recorded").1
}

#[tokio::test(start_paused = true)]
async fn a_deny_that_another_incident_counts_on_stays_until_that_one_is_released() {
    // The second moves the cut-off, or finds it far enough.
    for (seen, status, moved) in [
        ("06:30:00", StatusType::Active, true),
        ("05:01:00", StatusType::Inactive, false),
    ] {
        let (_, record) = table();
        let world = world(mallory_with(|user| {
            user.keys.retain(|(id, ..)| *id == KEY);
            user.keys.push((SECOND, status.clone(), 0));
        }));
        let first = stolen("first", KEY, "05:00:00");
        let second = stolen("second", SECOND, seen);
        contain(&world, &record, &first, "05:06:00").await;
        contain(&world, &record, &second, "07:00:00").await;
        let cut_off = world.cut_off().expect("a cut-off");
        // Where a key is deactivated, it is a minute ahead.
        assert_eq!(cut_off == "2026-03-04T07:01:00Z", moved);

        let verdict = put_back(&world, &record, &first).await;
        let Verdict::Left(why) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(why.contains("incident second"), "{why}");
        assert_eq!(
            world.cut_off(),
            Some(cut_off),
            "the second is still contained"
        );

        // What was found before the first is put back.
        assert_eq!(put_back(&world, &record, &second).await, Verdict::Restore);
        assert_eq!(world.cut_off(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_later_incident_leaves_the_deny_to_the_earlier_one() {
    let (_, record) = table();
    let world = world(mallory_with(|user| {
        user.keys.retain(|(id, ..)| *id == KEY);
        user.keys.push((SECOND, StatusType::Active, 0));
    }));
    let first = stolen("first", KEY, "05:00:00");
    let second = stolen("second", SECOND, "06:30:00");
    contain(&world, &record, &first, "05:06:00").await;
    contain(&world, &record, &second, "07:00:00").await;
    let verdict = put_back(&world, &record, &second).await;
    assert!(matches!(verdict, Verdict::Left(_)), "{verdict:?}");
    assert!(world.cut_off().is_some());
    assert_eq!(put_back(&world, &record, &first).await, Verdict::Restore);
    assert_eq!(world.cut_off(), None);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_changed_since_it_was_shown_is_not_released() {
    let (_, record) = table();
    let world = world(mallory());
    let first = stolen("first", KEY, "05:00:00");
    contain(&world, &record, &first, "05:06:00").await;
    let incidents = record.incidents_of("first").await.expect("read");
    let (incident, allowance) = (&incidents[0], Allowance::default());
    let planned = plan(&world.iam, &record, incident, &allowance, at("08:00:00")).await;
    let shown = planned.expect("planned");
    world.change_mallory(|user| {
        user.inline.remove(USER_POLICY);
    });
    let (playbook, now) = (&world.iam, at("08:01:00"));
    let releaser = Releaser {
        by: "me",
        record: &record,
        notices: None,
    };
    let released =
        remediation::release::release(playbook, &releaser, incident, shown, &allowance, now).await;
    let refused = released.expect_err("it is refused").to_string();
    assert!(refused.contains("not as it was a moment ago"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_is_at_work_is_waited_for_and_not_released_under() {
    let (items, record) = table();
    let world = world(mallory());
    let first = stolen("first", KEY, "05:00:00");
    contain(&world, &record, &first, "05:06:00").await;
    let (pk, later) = (
        format!("TARGET#iam#111122223333#user/mallory/{KEY}"),
        at("09:00:00"),
    );
    let ends = aws_sdk_dynamodb::types::AttributeValue::N(later.as_millisecond().to_string());
    let item = [("lease_ends".to_owned(), ends)];
    items
        .lock()
        .unwrap()
        .insert((pk, "state".to_owned()), item.into());
    let allowance = Allowance::default();
    let (_, released) = release(&world.iam, &record, &first, &allowance, at("08:00:00")).await;
    let busy = released.expect_err("it is refused");
    assert!(matches!(busy, aws::Error::Busy { .. }), "{busy}");
    assert!(world.cut_off().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_credentials_of_a_deleted_user_are_left() {
    let (_, record) = table();
    let world = world(mallory());
    let first = stolen("first", KEY, "05:00:00");
    contain(&world, &record, &first, "05:06:00").await;
    world.account.lock().unwrap().users.clear();
    let verdict = put_back(&world, &record, &first).await;
    assert!(matches!(verdict, Verdict::Left(_)), "{verdict:?}");
}

async fn status(record: &IncidentStore, id: &str) -> String {
    let incidents = record.incidents_of(id).await.expect("read");
    incidents[0].status.clone()
}

/// The first attempt about the second key could read nothing; the next finds the deny of the first.
#[tokio::test(start_paused = true)]
async fn a_deny_stays_for_an_incident_that_found_it_after_a_failure() {
    let (_, record) = table();
    let world = world(mallory_with(|user| {
        user.keys.retain(|(id, ..)| *id == KEY);
        user.keys.push((SECOND, StatusType::Inactive, 0));
    }));
    let first = stolen("first", KEY, "05:00:00");
    let second = stolen("second", SECOND, "05:01:00");
    contain(&world, &record, &first, "05:06:00").await;
    let finding = Finding::parse(&second).expect("a finding");
    let error = aws::Error::Refused("nothing answered".to_owned());
    let failed = model::report::Report::prevented(
        model::category::Category::Iam,
        &finding,
        model::report::Obstacle::Target,
        &error,
        false,
    );
    let times = remediation::record::Times::default();
    let none = Value::Null;
    let concluded = record.conclude(&finding, &second, &failed, &none, times, at("06:00:00"));
    concluded.await.expect("written");
    assert_eq!(status(&record, "second").await, "failed");
    contain(&world, &record, &second, "07:00:00").await;
    assert_eq!(status(&record, "second").await, "contained");
    let verdict = put_back(&world, &record, &first).await;
    assert!(matches!(verdict, Verdict::Left(_)), "{verdict:?}");
    assert!(world.cut_off().is_some(), "the second is still contained");
}

#[tokio::test(start_paused = true)]
async fn a_release_closes_the_other_incidents_that_the_same_steps_contained() {
    let (_, record) = table();
    let world = world(mallory_with(|user| {
        user.keys.retain(|(id, ..)| *id == KEY);
    }));
    let first = stolen("first", KEY, "05:00:00");
    let second = stolen("second", KEY, "05:01:00");
    contain(&world, &record, &first, "05:06:00").await;
    contain(&world, &record, &second, "05:07:00").await;
    assert_eq!(status(&record, "second").await, "contained");
    let (windows, allowance) = (Windows::new(), Allowance::default());
    let told_by = windows.told_by();
    let releaser = Releaser {
        by: "ann",
        record: &record,
        notices: Some(&told_by),
    };
    let incidents = record.incidents_of("first").await.expect("read");
    let (incident, now) = (&incidents[0], at("08:00:00"));
    let shown = plan(&world.iam, &record, incident, &allowance, now).await;
    let (iam, shown) = (&world.iam, shown.expect("planned"));
    let done =
        remediation::release::release(iam, &releaser, incident, shown, &allowance, now).await;
    let done = done.expect("released");
    assert!(done.succeeded() && done.next_steps.is_empty(), "{done:?}");
    assert_eq!(done.with, ["second"]);
    assert_eq!(world.cut_off(), None);
    assert_eq!(status(&record, "first").await, "released");
    assert_eq!(status(&record, "second").await, "released");
    // Both had a notice.
    let told = windows.notices().clone();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|it| it.starts_with("[RELEASED]")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_release_is_reported_as_one_in_part() {
    let (_, record) = table();
    let world = world(mallory());
    let first = stolen("first", KEY, "05:00:00");
    contain(&world, &record, &first, "05:06:00").await;
    let (windows, allowance) = (Windows::new(), Allowance::default());
    let told_by = windows.told_by();
    let releaser = Releaser {
        by: "ann",
        record: &record,
        notices: Some(&told_by),
    };
    let incidents = record.incidents_of("first").await.expect("read");
    let (incident, now) = (&incidents[0], at("08:00:00"));
    let shown = plan(&world.iam, &record, incident, &allowance, now).await;
    let (iam, shown) = (&world.iam, shown.expect("planned"));
    world.wire.fail("iam:DeleteUserPolicy", 403, "AccessDenied");
    let done =
        remediation::release::release(iam, &releaser, incident, shown, &allowance, now).await;
    assert!(!done.expect("an answer").succeeded());
    assert!(world.cut_off().is_some());
    assert_eq!(status(&record, "first").await, "contained");
    let told = windows.notices().clone();
    assert!(
        matches!(told.as_slice(), [told] if told.starts_with("[RELEASED IN PART]")),
        "{told:?}"
    );
}

/// The other one began what contains the target, and its release puts it back.
#[tokio::test(start_paused = true)]
async fn a_release_of_follow_up_steps_closes_no_incident_with_steps_in_effect() {
    let (_, record) = table();
    let world = world(mallory_with(|user| {
        user.keys.retain(|(id, ..)| *id == KEY);
    }));
    let first = stolen("first", KEY, "05:00:00");
    let second = stolen("second", KEY, "06:30:00");
    contain(&world, &record, &first, "05:06:00").await;
    // The cut-off moves on.
    contain(&world, &record, &second, "07:00:00").await;
    let moved = world.cut_off();
    put_back(&world, &record, &second).await;
    assert_ne!(world.cut_off(), moved);
    let left = status(&record, "first").await;
    assert!(left == "partial" || left == "contained", "{left}");
    assert_eq!(put_back(&world, &record, &first).await, Verdict::Restore);
    assert_eq!(world.cut_off(), None);
}
