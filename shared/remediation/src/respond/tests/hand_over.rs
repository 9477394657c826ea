//! Attack sequences: told by triage, and handed over to the functions that contain their parts.

use aws_sdk_lambda::operation::invoke::InvokeOutput;

use super::*;
use crate::fixtures::attack;
use crate::hand_over::Functions;

/// What was sent: to which function, as what kind of invocation, with which payload.
type Sent = Arc<Mutex<Vec<(String, String, Value)>>>;

fn functions() -> (Wire, Sent, HandOver) {
    use aws_sdk_lambda::Client;
    let (wire, sent) = (Wire::new(Protocol::Json), Sent::default());
    let (on, to) = (wire.clone(), Arc::clone(&sent));
    let invoke = mock!(Client::invoke).then_compute_response(move |request| {
        on.answer("lambda:InvokeFunction", || {
            let kind = request
                .invocation_type()
                .map(|kind| kind.as_str().to_owned());
            let payload = request.payload().expect("a payload").as_ref();
            to.lock().unwrap().push((
                request.function_name().unwrap_or_default().to_owned(),
                kind.unwrap_or_default(),
                serde_json::from_slice(payload).expect("JSON"),
            ));
            Ok(InvokeOutput::builder().status_code(202).build())
        })
    });
    let client = mock_client!(aws_sdk_lambda, [&invoke]);
    (wire, sent, HandOver::new(client, named()))
}

fn named() -> Functions {
    Functions {
        s3: "function-s3".to_owned(),
        iam: "function-iam".to_owned(),
        ec2: "function-ec2".to_owned(),
    }
}

/// A client of which every call is a panic.
fn nowhere() -> HandOver {
    let client = mock_client!(aws_sdk_lambda, [] as [&Rule; 0]);
    HandOver::new(client, named())
}

fn body(notices: &Notices) -> String {
    notices.lock().unwrap()[0].1.clone()
}

#[tokio::test(start_paused = true)]
async fn each_part_of_a_sequence_is_handed_to_its_function_and_listed() {
    let (_, notices, sns) = topic();
    let (_, sent, hand_over) = functions();
    let responder = Responder::new(triage(), enforcing(), sns).handing_over(hand_over);
    let report = answer(&responder, attack(json!({}))).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(
        report
            .reason()
            .contains("3 of its parts handed over (ec2, iam, s3)"),
        "{}",
        report.reason()
    );
    assert!(report.steps().is_empty());
    let sent = sent.lock().unwrap();
    let mut to: Vec<_> = sent.iter().map(|(to, ..)| to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["function-ec2", "function-iam", "function-s3"]);
    for (to, kind, payload) in sent.iter() {
        assert_eq!(kind, "Event");
        let finding = Finding::parse(payload).expect("a finding");
        let function = finding.handed_over_to().expect("handed over");
        assert_eq!(*to, format!("function-{function}"));
    }
    let body = body(&notices);
    for part in [
        "THE SEQUENCE",
        "actor: IAMUser, alice",
        "deactivate access key AKIAIOSFODNN7EXAMPLE (iam function): handed over",
        "resource: S3_BUCKET, arn:aws:s3:::exposed",
        "block public access to bucket exposed (s3 function): handed over",
        "isolate instance i-0abc1234def567890 in eu-west-1 (ec2 function): handed over",
        "signal: FINDING, Exfiltration:S3/AnomalousBehavior, severity 8 High, 1 time",
        "endpoint: 198.51.100.7, port 443, Oslo, Norway, Example Networks, AS64500, INBOUND",
        "indicator: ATTACK_TACTIC Exfiltration, Impact",
    ] {
        assert!(body.contains(part), "no {part} in:\n{body}");
    }
    let listed = serde_json::to_value(&report).unwrap();
    assert_eq!(listed["sequence"]["actors"].as_array().unwrap().len(), 1);
    assert_eq!(listed["sequence"]["resources"].as_array().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn where_several_principals_acted_the_notice_has_the_steps_for_the_whole_account() {
    let actor = |name: &str| json!({ "id": name, "user": { "name": name, "type": "IAMUser" } });
    for (actors, told) in [(vec!["alice"], false), (vec!["alice", "bob"], true)] {
        let (_, notices, sns) = topic();
        let responder = Responder::new(triage(), enforcing(), sns);
        let actors: Vec<_> = actors.into_iter().map(actor).collect();
        let event = attack(json!({ "actors": actors }));
        answer(&responder, event).await.unwrap();
        let body = body(&notices);
        for part in [
            "treat the whole account 111122223333 as compromised",
            "several of its principals acted in one attack (alice, bob)",
            "change the root password of 111122223333",
        ] {
            assert_eq!(body.contains(part), told, "{part} in:\n{body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dry_runs_and_samples_list_the_parts_and_dispatch_none() {
    let mut sample = attack(json!({}));
    sample["detail"]["service"]["additionalInfo"] = json!({ "sample": true });
    for (config, event) in [(dry_run(), attack(json!({}))), (enforcing(), sample)] {
        let (_, notices, sns) = topic();
        let responder = Responder::new(triage(), config, sns).handing_over(nowhere());
        let report = answer(&responder, event).await.unwrap();
        assert_eq!(report.status(), Status::Notified);
        assert!(report.dry_run());
        assert!(
            report
                .reason()
                .contains("3 of its parts would be handed over"),
            "{}",
            report.reason()
        );
        assert!(body(&notices).contains("(s3 function): would be handed over"));
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_the_parts_are_listed_and_stay_with_the_person() {
    let (_, notices, sns) = topic();
    let responder = Responder::new(triage(), enforcing(), sns);
    let report = answer(&responder, attack(json!({}))).await.unwrap();
    assert!(report.reason().contains("HAND_OVER_SEQUENCES is off"));
    let body = body(&notices);
    assert!(body.contains("(s3 function): not handed over"), "{body}");
    assert!(body.contains("set HandOverSequences to true"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_may_be_handed_over_later_fails_the_invocation_and_the_rest_goes() {
    let (_, notices, sns) = topic();
    let (wire, sent, hand_over) = functions();
    wire.fail_once("lambda:InvokeFunction", 429, "TooManyRequestsException");
    let responder = Responder::new(triage(), enforcing(), sns).handing_over(hand_over);
    let error = answer(&responder, attack(json!({}))).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(sent.lock().unwrap().len(), 2);
    let told = body(&notices);
    assert!(told.contains("1 could NOT be handed over"), "{told}");
    assert!(
        told.contains("NOT HANDED OVER: lambda:InvokeFunction on function-"),
        "{told}"
    );

    let retried = answer(&responder, attack(json!({}))).await.unwrap();
    assert!(retried.reason().contains("3 of its parts handed over"));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_cannot_be_dispatched_is_reported_with_the_permission() {
    let (_, _, sns) = topic();
    let (wire, _, hand_over) = functions();
    wire.fail("lambda:InvokeFunction", 403, "AccessDeniedException");
    let responder = Responder::new(triage(), enforcing(), sns).handing_over(hand_over);
    let report = answer(&responder, attack(json!({}))).await.unwrap();
    assert_eq!(report.status(), Status::Notified);
    assert!(report.reason().contains("3 could NOT be handed over"));
    let by_hand: Vec<_> = report
        .next_steps()
        .iter()
        .filter(|step| {
            step.contains("do it by hand") && step.contains("role allows lambda:InvokeFunction")
        })
        .collect();
    assert_eq!(by_hand.len(), 3, "{:?}", report.next_steps());
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_unreadable_sequence_is_notified_too() {
    let bare = event(json!({
        "type": "AttackSequence:S3/CompromisedData",
        "resource": { "resourceType": "AttackSequence" },
    }));
    for (event, why) in [
        (bare, "does not carry the sequence"),
        (
            attack(json!({ "actors": "x" })),
            "detail.service.detection.sequence.actors",
        ),
    ] {
        let (_, notices, sns) = topic();
        let responder = Responder::new(triage(), enforcing(), sns).handing_over(nowhere());
        let report = answer(&responder, event).await.unwrap();
        assert_eq!(report.status(), Status::Notified);
        assert!(report.reason().contains(why), "{}", report.reason());
        assert!(report.sequence().is_none());
        assert!(body(&notices).contains("look the sequence up in GuardDuty"));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_was_handed_over_or_is_archived_is_handed_over() {
    let (_, _, sns) = topic();
    let (_, sent, hand_over) = functions();
    let responder = Responder::new(triage(), enforcing(), sns).handing_over(hand_over);
    answer(&responder, attack(json!({}))).await.unwrap();
    let mut archived = attack(json!({}));
    archived["detail"]["service"]["archived"] = json!(true);
    let parts = sent.lock().unwrap().clone();
    let parts = parts.into_iter().map(|(_, _, event)| event);
    for event in parts.chain([archived]) {
        let responder = Responder::new(triage(), enforcing(), silent()).handing_over(nowhere());
        let report = answer(&responder, event).await.unwrap();
        assert_eq!(report.status(), Status::Ignored, "{}", report.to_line());
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_that_a_part_is_handed_to_contains_it_and_hands_nothing_on() {
    let (_, _, sns) = topic();
    let (_, sent, hand_over) = functions();
    let triage = Responder::new(triage(), enforcing(), sns).handing_over(hand_over);
    answer(&triage, attack(json!({}))).await.unwrap();
    let (.., part) = sent
        .lock()
        .unwrap()
        .iter()
        .find(|(to, ..)| to == "function-s3")
        .cloned()
        .expect("a bucket");
    let (_, _, sns) = topic();
    let fake = Fake::new([act("exposed")]);
    let responder = Responder::new(fake, enforcing(), sns).handing_over(nowhere());
    let report = answer(&responder, part.clone()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(report.finding_type(), "AttackSequence:S3/CompromisedData");

    // By its own settings.
    let mut notify = enforcing();
    notify.policy.mode = ResponseMode::Notify;
    let (_, _, sns) = topic();
    let fake = Fake::new([act("exposed")]);
    let responder = Responder::new(fake, notify, sns).handing_over(nowhere());
    let report = answer(&responder, part).await.unwrap();
    assert_eq!(report.status(), Status::Notified);
}

#[tokio::test(start_paused = true)]
async fn the_notice_of_a_long_sequence_keeps_its_next_steps() {
    let name = "n\u{202e}".repeat(300);
    let many = |member: &str| {
        (0..400)
            .map(|index| json!({ member: format!("{index}{name}"), "resourceType": "S3_BUCKET" }))
            .collect::<Vec<_>>()
    };
    let (_, notices, sns) = topic();
    let responder = Responder::new(triage(), enforcing(), sns);
    let event = attack(json!({
        "description": name,
        "actors": many("id"), "resources": many("uid"), "endpoints": many("ip"),
        "signals": many("name"), "sequenceIndicators": many("key"),
    }));
    let report = answer(&responder, event).await.unwrap();
    let body = body(&notices);
    assert!(body.len() < 64 * 1024 && !body.contains('\u{202e}'));
    assert!(body.contains("actor: and 380 more"), "{body}");
    assert!(body.contains("signal: and 390 more"), "{body}");
    assert!(body.contains("WHAT TO DO NOW"), "{body}");
    assert!(report.to_line().len() < 64 * 1024);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_may_not_be_handed_over_counts_as_not_contained() {
    for (status, code, counted) in [(403, "AccessDeniedException", 1), (202, "", 0)] {
        let (_, _, sns) = topic();
        let (wire, _, hand_over) = functions();
        if counted > 0 {
            wire.fail("lambda:InvokeFunction", status, code);
        }
        let responder = Responder::new(triage(), enforcing(), sns).handing_over(hand_over);
        let (lines, responder) = logged(responder);
        let report = answer(&responder, attack(json!({}))).await.unwrap();
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert_eq!(lines.lock().unwrap()[0]["NotContained"], counted);
    }
}
