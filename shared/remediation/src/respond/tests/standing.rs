//! A containment that stands, and attempts that say nothing of it; and one that was undone and is not done again.

use super::*;
use crate::fixtures::hostile::recording::incidents;
use crate::fixtures::looks::{delays, next, queue};
use crate::fixtures::table::{Items, table};
use crate::record::IncidentStore;
use crate::report::Report;

const FORBIDDEN: &str = "@id(\"hands-off\") forbid (principal, action, resource);";
const WITHHELD: &str = "permit (principal, action, resource); @id(\"hands-off\") \
                        forbid (principal, action, resource) when { resource.name == \"exposed\" };";

fn status(items: &Items) -> String {
    incidents(items)[0]["status"].clone()
}

fn subjects(notices: &Notices) -> Vec<String> {
    let notices = notices.lock().unwrap();
    let heads = notices.iter().map(|(subject, _)| subject.split(']').next());
    heads.map(|head| format!("{}]", head.unwrap())).collect()
}

fn later(id: &str) -> Invocation {
    Invocation {
        id: id.to_owned(),
        ..invocation(LONG)
    }
}

/// The bucket, contained on account of the finding.
async fn contained(record: &IncidentStore, sns: &Client) -> Fake {
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns.clone());
    let responder = responder.recording(record.clone());
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    responder.playbook
}

#[tokio::test(start_paused = true)]
async fn a_containment_stays_contained_under_a_policy_a_setting_and_a_dry_run_without_a_notice() {
    let mut notify = enforcing();
    notify.policy.mode = ResponseMode::Notify;
    for (name, config, policies) in [
        ("policy", enforcing(), Some(FORBIDDEN)),
        ("setting", notify, None),
        ("dry run", dry_run(), None),
        ("dry run under a policy", dry_run(), Some(FORBIDDEN)),
    ] {
        let (_, notices, sns) = topic();
        let (items, record) = table();
        let fake = contained(&record, &sns).await;
        let mut responder = Responder::new(fake, config, sns).recording(record);
        if let Some(policies) = policies {
            responder = responder.guarded(under(policies));
        }
        let before = incidents(&items)[0]["report"].clone();
        let again = responder.respond(made_public(), &later("later")).await;
        again.unwrap();
        assert_eq!(status(&items), "contained", "{name}");
        assert_eq!(incidents(&items)[0]["report"], before, "{name}");
        assert_eq!(subjects(&notices), ["[CONTAINED]"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_recheck_is_notified_only_if_no_attempt_follows() {
    for (kind, told) in [
        (CallFailure::Transient, &["[CONTAINED]"][..]),
        (
            CallFailure::Denied,
            &["[CONTAINED]", "[CONTAINED BEFORE, NOT READ NOW]"],
        ),
    ] {
        // The target is not read at all, or a step of it is not.
        for whole in [true, false] {
            let (_, notices, sns) = topic();
            let (items, record) = table();
            contained(&record, &sns).await;
            let mut fake = Fake::new([Act {
                unread: (!whole).then(|| error(kind)),
                ..act("exposed")
            }]);
            fake.unreadable = whole.then(|| (0, error(kind)));
            let responder = Responder::new(fake, enforcing(), sns).recording(record);
            let (lines, responder) = logged(responder);
            let answered = responder.respond(made_public(), &later("later")).await;
            assert_eq!(answered.is_err(), kind == CallFailure::Transient);
            assert_eq!(lines.lock().unwrap()[0]["NotContained"], 0);
            assert_eq!(status(&items), "contained", "{kind:?} {whole}");
            assert_eq!(subjects(&notices), told, "{kind:?} {whole}");
            let body = notices.lock().unwrap().last().unwrap().1.clone();
            assert!(!body.contains("still live"), "{body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_cannot_be_put_off_tells_that_another_invocation_kept_it_out() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let finding = Finding::parse(&made_public()).unwrap();
    let lease = crate::record::Lease {
        owner: "another",
        now: now(),
        lasts: Duration::from_secs(600),
        until: Instant::now() + LONG,
    };
    let claim = record
        .claim(Category::S3, &finding, "exposed", &lease)
        .await;
    let claim = claim.unwrap();
    record.begin(&claim, &finding, now()).await.unwrap();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let responder = responder.recording(record);
    let answered = answer(&responder, made_public()).await;
    assert!(matches!(answered, Err(Error::Busy { .. })), "{answered:?}");
    let told = subjects(&notices);
    let [subject] = told.as_slice() else {
        panic!("{told:?}")
    };
    let headline = "[ANOTHER INVOCATION IS AT WORK, LOOK AT THIS]";
    assert!(subject.starts_with(headline), "{subject}");
    assert_eq!(incidents(&items).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_that_finds_a_containment_undone_says_so_once_and_the_record_does_too() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let fake = contained(&record, &sns).await;
    fake.undo("exposed");
    let responder = Responder::new(fake, dry_run(), sns).recording(record);
    for undone in [true, false] {
        let report = responder.respond(made_public(), &later("later")).await;
        let report = report.unwrap();
        assert_eq!(report.undone(), undone, "{}", report.to_line());
        assert_eq!(report.status(), Status::DryRun);
        assert_eq!(status(&items), "dry_run");
        assert_eq!(notices.lock().unwrap().len(), 2);
    }
    let body = notices.lock().unwrap()[1].1.clone();
    assert!(body.contains("it was not done again"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_revert_is_notified_once_if_the_policies_withhold_the_second_containment() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let fake = contained(&record, &sns).await;
    fake.undo("exposed");
    let responder = Responder::new(fake, enforcing(), sns).recording(record);
    let responder = responder.guarded(under(WITHHELD));
    for undone in [true, false] {
        let report = responder.respond(made_public(), &later("later")).await;
        let report = report.unwrap();
        assert_eq!(report.undone(), undone, "{}", report.to_line());
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert_eq!(status(&items), "notified");
        assert_eq!(notices.lock().unwrap().len(), 2);
    }
    let body = notices.lock().unwrap()[1].1.clone();
    assert!(
        body.contains(
            "someone undid this containment and it was not done again, since it is withheld"
        ),
        "{body}"
    );
}

/// The function dies after it has written down what it is about to do again, and Lambda tries again.
#[tokio::test(start_paused = true)]
async fn a_revert_that_the_attempt_before_found_without_a_notice_is_notified_by_the_retry() {
    let (_, notices, sns) = topic();
    let (_, record) = table();
    let fake = contained(&record, &sns).await;
    fake.undo("exposed");
    let (event, retried) = (made_public(), later("retried"));
    let finding = Finding::parse(&event).unwrap();
    let intent = crate::record::Intent {
        received_at: now(),
        evidence: json!({}),
        settings: crate::settings::Settings::default(),
        actions: Vec::new(),
        completes: false,
        approved: None,
        invocation: retried.id.clone(),
    };
    let intended = record.intend(Category::S3, &finding, &event, &intent, now());
    intended.await.unwrap();
    let responder = Responder::new(fake, enforcing(), sns).recording(record);
    let report = responder.respond(event, &retried).await.unwrap();
    assert!(report.undone(), "{}", report.to_line());
    assert_eq!(notices.lock().unwrap().len(), 2);
}

/// A finding of another id about the same bucket.
fn another(seen: &str) -> Value {
    let mut event = made_public();
    event["detail"]["id"] = json!("b".repeat(32));
    event["detail"]["service"]["eventLastSeen"] = json!(seen);
    event
}

#[tokio::test(start_paused = true)]
async fn a_release_for_another_finding_is_not_called_a_revert() {
    let (_, _, sns) = topic();
    let (_, record) = table();
    let fake = contained(&record, &sns).await;
    let responder = Responder::new(fake, enforcing(), sns).recording(record.clone());
    let report = answer(&responder, another("2026-03-04T05:01:00Z")).await;
    assert_eq!(report.unwrap().status(), Status::AlreadyContained);
    // The operator releases the first.
    responder.playbook.undo("exposed");
    let finding = Finding::parse(&made_public()).unwrap();
    let lease = crate::record::Lease {
        owner: "ann",
        now: now(),
        lasts: LONG,
        until: Instant::now() + LONG,
    };
    let claim = record
        .claim(Category::S3, &finding, "exposed", &lease)
        .await;
    let claim = claim.unwrap();
    record.mark_released(&claim, "ann", now()).await.unwrap();
    record.end_claim(&claim, None, false, now()).await.unwrap();

    let newer = another("2026-03-04T05:07:00Z");
    let report = responder.respond(newer, &later("later")).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(!report.undone(), "{}", report.to_line());
}

#[tokio::test(start_paused = true)]
async fn a_report_of_nothing_contained_does_not_stay_in_a_record_that_shows_it_contained() {
    for by_an_earlier_version in [false, true] {
        Box::pin(found_contained_after_a_failure(by_an_earlier_version)).await;
    }
}

async fn found_contained_after_a_failure(by_an_earlier_version: bool) {
    let (_, _, sns) = topic();
    let (items, record) = table();
    let finding = Finding::parse(&made_public()).unwrap();
    let denied = error(CallFailure::Denied);
    let failed = Report::prevented(Category::S3, &finding, Obstacle::Target, &denied, false);
    let (event, times) = (made_public(), Times::default());
    let concluded = record.conclude(&finding, &event, &failed, &Value::Null, times, now());
    concluded.await.unwrap();
    assert_eq!(status(&items), "failed");
    if by_an_earlier_version {
        let mut items = items.lock().unwrap();
        let item = items.values_mut().next().unwrap();
        let contained = aws_sdk_dynamodb::types::AttributeValue::S("contained".to_owned());
        item.insert("status".to_owned(), contained);
    }
    let other = Responder::new(Fake::new([act("exposed")]), enforcing(), sns.clone());
    let other = other.recording(record.clone());
    answer(&other, another("2026-03-04T05:01:00Z"))
        .await
        .unwrap();
    let responder = Responder::new(other.playbook, enforcing(), sns).recording(record.clone());
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::AlreadyContained);
    let incident = record.incidents_of(&finding.id).await.unwrap().remove(0);
    assert_eq!(incident.status, "contained");
    let standing: Vec<_> = incident.standing().collect();
    assert_eq!(standing, ["s3:BlockBucketPublicAccess exposed"]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_the_policies_keep_from_reading_is_followed_by_the_next_that_finds_the_undoing()
{
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let (sent, recheck) = queue();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns.clone());
    let responder = responder
        .recording(record.clone())
        .rechecking(recheck.clone());
    answer(&responder, made_public()).await.unwrap();
    let looks = async |responder: &Responder<Fake>| {
        let (event, look) = next(&sent);
        let invocation = Invocation {
            look: Some(look.clone()),
            ..later(&format!("look {}", look.number))
        };
        responder.respond(event, &invocation).await.unwrap()
    };
    let fake = responder.playbook;
    fake.undo("exposed");
    let forbidden = Responder::new(fake, enforcing(), sns.clone()).recording(record.clone());
    let forbidden = forbidden
        .rechecking(recheck.clone())
        .guarded(under(FORBIDDEN));
    let first = looks(&forbidden).await;
    assert!(!first.undone(), "{}", first.to_line());
    assert_eq!(status(&items), "contained");
    assert_eq!(delays(&sent), [50]);
    let responder = Responder::new(forbidden.playbook, enforcing(), sns);
    let responder = responder.recording(record).rechecking(recheck);
    let second = looks(&responder).await;
    assert!(second.undone(), "{}", second.to_line());
    assert_eq!(second.status(), Status::Contained);
    assert_eq!(notices.lock().unwrap().len(), 2);
}
