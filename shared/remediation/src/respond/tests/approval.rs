//! What waits for a person.

use jiff::SignedDuration;

use super::*;
use crate::fixtures::table::{Items, table};
use crate::hostile::recording::incidents;

fn approving() -> Config {
    let mut config = enforcing();
    config.policy.mode = ResponseMode::Approve;
    config
}

fn at(later: SignedDuration) -> Invocation {
    Invocation {
        now: now() + later,
        ..invocation(LONG)
    }
}

fn stored(items: &Items) -> Option<Value> {
    let incidents = incidents(items);
    let plan = incidents.first()?.get("awaiting")?;
    Some(serde_json::from_str(plan).expect("JSON"))
}

#[tokio::test(start_paused = true)]
async fn in_mode_approve_the_plan_is_stored_and_the_notice_says_how_it_is_approved() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let fake = Fake::new([act("exposed"), act("another")]);
    let responder = Responder::new(fake, approving(), sns).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(responder.playbook.applied().is_empty());

    let approval = report.approval().expect("something awaits approval");
    assert_eq!(approval.expires_at, now() + SignedDuration::from_hours(4));
    let targets: Vec<_> = approval.steps.iter().map(|step| &step.target).collect();
    assert_eq!(targets, ["exposed", "another"]);
    let plan = stored(&items).expect("it is stored");
    assert_eq!(plan["steps"][1]["recorded"], "another");
    assert_eq!(plan["policy"]["mode"], "approve");

    let (subject, body) = notices.lock().unwrap()[0].clone();
    assert!(subject.starts_with("[APPROVE OR REJECT]"), "{subject}");
    for told in [
        "AWAITS APPROVAL (until 2026-03-04T09:06:07.5Z)",
        "s3:BlockBucketPublicAccess on another",
        "gdr approve 16afba5c5c43e07c9e3e5e2e544e95df\n",
        "gdr reject 16afba5c5c43e07c9e3e5e2e544e95df --reason",
    ] {
        assert!(body.contains(told), "{told}: {body}");
    }
    assert!(!body.contains("WHAT WAS NOT DONE"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_severity_from_the_level_on_is_contained_without_waiting() {
    for (level, status) in [(8.0, Status::Contained), (8.1, Status::Notified)] {
        let (_, _, sns) = topic();
        let (items, record) = table();
        let mut config = approving();
        config.policy.approval_not_needed_from = Some(level);
        let responder = Responder::new(Fake::new([act("exposed")]), config, sns).recording(record);
        let report = answer(&responder, made_public()).await.unwrap();
        assert_eq!(report.status(), status, "{}", report.to_line());
        assert_eq!(stored(&items).is_some(), status == Status::Notified);
    }
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_approval_is_done_at_once_beside_what_does() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let one =
        "permit (principal, action, resource); @id(\"ask\") forbid (principal, action, resource)
        when { resource.name == \"another\" } unless { context.approved };";
    let fake = Fake::new([act("exposed"), act("another")]);
    let responder = Responder::new(fake, enforcing(), sns);
    let responder = responder.guarded(under(one)).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    assert_eq!(responder.playbook.applied(), ["exposed"]);
    let plan = stored(&items).expect("it is stored");
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(1), "{plan}");
    assert_eq!(plan["steps"][0]["target"], "another");
    let body = notices.lock().unwrap()[0].1.clone();
    assert!(
        body.contains("WHAT WAS DONE") && body.contains("AWAITS APPROVAL"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn people_are_told_again_of_another_plan_or_when_the_one_they_know_is_too_old() {
    let (_, notices, sns) = topic();
    let (_, record) = table();
    let told = || notices.lock().unwrap().len();
    let responder = |acts: &[&'static str]| {
        let fake = Fake::new(acts.iter().map(|target| act(target)));
        Responder::new(fake, approving(), sns.clone()).recording(record.clone())
    };
    let minutes = SignedDuration::from_mins;
    for (acts, later, notices) in [
        (&["exposed"][..], 0, 1),
        (&["exposed"], 30, 1),
        (&["exposed", "another"], 60, 2),
        (&["exposed", "another"], 299, 2),
        (&["exposed", "another"], 301, 3),
    ] {
        let at = at(minutes(later));
        let answer = responder(acts).respond(made_public(), &at).await.unwrap();
        assert!(answer.approval().is_some());
        assert_eq!(told(), notices, "after {later} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_cannot_be_approved_and_the_notice_says_why() {
    let (_, notices, sns) = topic();
    let responder = Responder::new(Fake::new([act("exposed")]), approving(), sns);
    let report = answer(&responder, made_public()).await.unwrap();
    assert!(report.approval().is_none());
    let body = notices.lock().unwrap()[0].1.clone();
    assert!(
        body.contains("cannot be approved") && body.contains("INCIDENT_TABLE"),
        "{body}"
    );
    assert!(!body.contains("gdr approve"), "{body}");

    for (status, code, retried) in [
        (500, "InternalServerError", true),
        (403, "AccessDeniedException", false),
    ] {
        let (_, notices, sns) = topic();
        let wire = Wire::new(Protocol::Json);
        let on = wire.clone();
        let update =
            mock!(aws_sdk_dynamodb::Client::update_item).then_compute_response(move |request| {
                let holds = request
                    .update_expression()
                    .is_some_and(|it| it.contains("awaiting = :plan"));
                on.answer(if holds { "hold" } else { "dynamodb:UpdateItem" }, || {
                    Ok(
                        aws_sdk_dynamodb::operation::update_item::UpdateItemOutput::builder()
                            .build(),
                    )
                })
            });
        let client = mock_client!(aws_sdk_dynamodb, [&update]);
        wire.fail("hold", status, code);
        let record = crate::record::Record::new(client, "incidents".to_owned());
        let responder = Responder::new(Fake::new([act("exposed")]), approving(), sns);
        let answer = answer(&responder.recording(record), made_public()).await;
        assert_eq!(answer.is_err(), retried, "{answer:?}");
        let body = notices.lock().unwrap()[0].1.clone();
        assert!(
            body.contains("cannot be approved") && body.contains(code),
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_stores_no_plan() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let mut config = approving();
    config.policy.dry_run = true;
    let responder = Responder::new(Fake::new([act("exposed")]), config, sns).recording(record);
    let report = answer(&responder, made_public()).await.unwrap();
    assert!(report.approval().is_none());
    assert_eq!(stored(&items), None);
    let body = notices.lock().unwrap()[0].1.clone();
    assert!(body.contains("until a person approves it"), "{body}");
}
