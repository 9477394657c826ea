//! What waits for a person.

use jiff::SignedDuration;

use super::*;
use crate::fixtures::hostile::recording::incidents;
use crate::fixtures::table::{Items, table};

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
        "AWAITS APPROVAL (until 2026-03-04T09:06:07Z)",
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
async fn steps_that_need_no_approval_run_beside_those_that_wait() {
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
async fn another_plan_or_an_expired_one_is_notified_again() {
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
async fn a_plan_that_cannot_be_stored_cannot_be_approved_and_the_notice_gives_the_reason() {
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
                    .is_some_and(|it| it.contains("awaiting = :awaiting"));
                on.answer(if holds { "hold" } else { "dynamodb:UpdateItem" }, || {
                    Ok(
                        aws_sdk_dynamodb::operation::update_item::UpdateItemOutput::builder()
                            .build(),
                    )
                })
            });
        let client = mock_client!(aws_sdk_dynamodb, [&update]);
        wire.fail("hold", status, code);
        let record = crate::record::IncidentStore::new(client, "incidents".to_owned());
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
    assert!(body.contains("until it is approved"), "{body}");
}

const ANN: &str = "arn:aws:iam::111122223333:user/ann";

async fn the_incident(record: &crate::record::IncidentStore) -> crate::record::Incident {
    let incidents = record
        .incidents_of("16afba5c5c43e07c9e3e5e2e544e95df")
        .await;
    incidents.unwrap().remove(0)
}

fn told_by(sns: &Client) -> crate::notify::Notices {
    let topic = "arn:aws:sns:us-east-1:111122223333:notices".to_owned();
    crate::notify::Notices::new(sns.clone(), Some(topic.clone())).in_chat(topic)
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_notified_and_so_is_the_same_plan_later() {
    let (_, notices, sns) = topic();
    let (_, record) = table();
    let told = || notices.lock().unwrap().len();
    let fake = Fake::new([act("exposed")]);
    let responder = Responder::new(fake, approving(), sns.clone()).recording(record.clone());
    answer(&responder, made_public()).await.unwrap();
    assert_eq!(told(), 1);
    let (incident, notices_of_ours) = (the_incident(&record).await, told_by(&sns));
    let minutes = SignedDuration::from_mins;
    let rejected = crate::approve::reject(
        &record,
        Some(&notices_of_ours),
        &incident,
        ANN,
        "ours",
        now() + minutes(1),
    );
    assert_eq!(rejected.await.unwrap(), [""; 0]);
    assert_eq!(told(), 3, "the text and the chat");
    let (subject, body) = notices.lock().unwrap()[1].clone();
    assert!(subject.starts_with("[REJECTED]"), "{subject}");
    assert!(body.contains(ANN) && body.contains("ours"), "{body}");

    let same = responder.respond(made_public(), &at(minutes(2))).await;
    assert!(same.unwrap().approval().is_none());
    assert_eq!(told(), 3);
    let mut newer = made_public();
    newer["detail"]["service"]["eventLastSeen"] = json!((now() + minutes(3)).to_string());
    let next = responder.respond(newer, &at(minutes(4))).await.unwrap();
    assert!(next.approval().is_some(), "{}", next.to_line());
    assert_eq!(told(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_notified_and_a_later_plan_once_as_reverted() {
    let (_, notices, sns) = topic();
    let (_, record) = table();
    let told = || notices.lock().unwrap().len();
    let responder = |target| {
        let fake = Fake::new([act(target)]);
        Responder::new(fake, approving(), sns.clone()).recording(record.clone())
    };
    let minutes = SignedDuration::from_mins;
    answer(&responder("exposed"), made_public()).await.unwrap();
    let (incident, policies) = (
        the_incident(&record).await,
        PolicyParameter::fixed(LoadedPolicies::new(policy::DEFAULT)),
    );
    let notices_of_ours = told_by(&sns);
    let approver = crate::approve::Approver {
        by: ANN,
        record: &record,
        policies: &policies,
        current: None,
        notices: Some(&notices_of_ours),
    };
    let fake = Fake::new([act("exposed")]);
    let approved = crate::approve::approve(fake, &approver, &incident, now() + minutes(5));
    let report = Box::pin(approved).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(told(), 3, "the text and the chat");
    let (subject, body) = notices.lock().unwrap()[1].clone();
    assert!(subject.starts_with("[CONTAINED]"), "{subject}");
    assert!(body.contains(&format!("approved by {ANN}")), "{body}");

    // The attacker undoes it: the bucket of another fake is open.
    for (later, undone) in [(60, true), (90, false)] {
        let (responder, at) = (responder("exposed"), at(minutes(later)));
        let report = responder.respond(made_public(), &at).await.unwrap();
        assert!(report.approval().is_some(), "{}", report.to_line());
        assert_eq!(report.undone(), undone, "{}", report.to_line());
        assert_eq!(told(), 4, "after {later} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn an_approver_who_may_not_publish_learns_which_notices_failed() {
    let (wire, _, sns) = topic();
    let (_, record) = table();
    let fake = Fake::new([act("exposed")]);
    let responder = Responder::new(fake, approving(), sns.clone()).recording(record.clone());
    answer(&responder, made_public()).await.unwrap();
    wire.fail("sns:Publish", 403, "AuthorizationError");
    let policies = PolicyParameter::fixed(LoadedPolicies::new(policy::DEFAULT));
    let notices_of_ours = told_by(&sns);
    let approver = crate::approve::Approver {
        by: ANN,
        record: &record,
        policies: &policies,
        current: None,
        notices: Some(&notices_of_ours),
    };
    let (fake, incident) = (Fake::new([act("exposed")]), the_incident(&record).await);
    let approved = crate::approve::approve(fake, &approver, &incident, now());
    let report = Box::pin(approved).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    let next = report.next_steps().join("\n");
    assert!(
        next.contains("tell the person on call") && next.contains("sns:Publish"),
        "{next}"
    );
    assert!(next.contains("tell the chat") && next.contains("AuthorizationError"));
    assert!(the_incident(&record).await.not_notified.is_some());
}
