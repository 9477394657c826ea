mod approval;
mod by_hand;
mod drill;
mod evidence;
mod hand_over;
mod hub;
mod investigation;
mod limits;
mod load;
mod logged;
mod looks;
mod notices;
mod released;
mod silence;
mod standing;
mod storm;
mod traces;
mod truth;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_sdk_sns::Client;
use aws_sdk_sns::operation::publish::PublishOutput;
use serde_json::json;
use testkit::{Rule, client_over, mock, mock_client};
use tokio::time::Instant;

use super::*;
use crate::accounts::Accounts;
use crate::config::Config;
use crate::decision::ResponseMode;
use crate::error::{CallError, CallFailure};
use crate::fixtures::fake::{Act, Fake, act};
use crate::fixtures::{Protocol, Wire, enforcing, event, now, triage};
use crate::hand_over::HandOver;
use crate::history::AuthorizationSources;
use crate::policy_parameter::PolicyParameter;
use crate::recheck::RecheckQueue;
use crate::record::IncidentStore;
use crate::record::Times;
use crate::report::Outcome;
use crate::responder::lines::Lines;
use crate::trace::Trace;
use policy::LoadedPolicies;

/// The subjects and bodies of the notices that were published.
type Notices = Arc<Mutex<Vec<(String, String)>>>;

fn topic() -> (Wire, Notices, Client) {
    let (wire, notices) = (Wire::new(Protocol::Query), Notices::default());
    let (on, published) = (wire.clone(), Arc::clone(&notices));
    let publish = mock!(Client::publish).then_compute_response(move |request| {
        on.answer("sns:Publish", || {
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let notice = (text(request.subject()), text(request.message()));
            published.lock().unwrap().push(notice);
            Ok(PublishOutput::builder().build())
        })
    });
    let client = mock_client!(aws_sdk_sns, [&publish]);
    (wire, notices, client)
}

/// The lines that a function writes to its log, with their metrics.
type Logged = Arc<Mutex<Vec<Value>>>;

/// The same function, whose lines are kept.
fn logged<P: Playbook>(mut responder: Responder<P>) -> (Logged, Responder<P>) {
    let lines = Logged::default();
    let to = Arc::clone(&lines);
    responder.config.metrics_namespace = Some("metrics".to_owned());
    let responder = responder.logging(move |line| {
        to.lock().unwrap().push(serde_json::from_str(line).unwrap());
        Ok(())
    });
    (lines, responder)
}

/// A client of which every call is a panic.
fn silent() -> Client {
    mock_client!(aws_sdk_sns, [] as [&Rule; 0])
}

fn dry_run() -> Config {
    let mut config = enforcing();
    config.policy.dry_run = true;
    config
}

fn made_public() -> Value {
    event(json!({
        "type": "Policy:S3/BucketAnonymousAccessGranted",
        "resource": { "s3BucketDetails": [{ "name": "exposed" }] },
    }))
}

fn sample(additional_info: Value) -> Value {
    let mut event = made_public();
    event["detail"]["service"]["additionalInfo"] = additional_info;
    event
}

fn invocation(time_left: Duration) -> Invocation {
    Invocation {
        id: "request".to_owned(),
        now: now(),
        time_left,
        look: None,
        trace: None,
    }
}

const LONG: Duration = Duration::from_secs(60);

async fn answer<P: Playbook>(responder: &Responder<P>, event: Value) -> Result<Report> {
    responder.respond(event, &invocation(LONG)).await
}

fn error(kind: CallFailure) -> Error {
    Error::from(CallError {
        operation: "s3:GetBucketAcl",
        target: "exposed".to_owned(),
        code: "Code".to_owned(),
        message: "as the test asked".to_owned(),
        kind,
    })
}

fn keys(value: &Value) -> BTreeSet<&str> {
    let members = value.as_object().expect("an object");
    members.keys().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn a_threat_is_contained_and_notified() {
    let (_, notices, sns) = topic();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert_eq!(responder.playbook.applied(), ["exposed"]);
    let notices = notices.lock().unwrap();
    let [(subject, body)] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert!(subject.starts_with("[CONTAINED] s3"), "{subject}");
    assert!(body.contains("WHAT WAS DONE"), "{body}");
    assert!(
        body.contains("a risk") && body.contains("a next step"),
        "{body}"
    );
    // How to contain it is of no use where it was contained.
    assert!(!body.contains("review who may read the bucket"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn the_report_has_exactly_the_members_of_the_contract() {
    let (_, _, sns) = topic();
    let fake = Fake::new([
        act("exposed"),
        Act {
            impossible: true,
            ..act("impossible")
        },
    ]);
    let responder = Responder::new(fake, enforcing(), sns);
    let contract = BTreeSet::from([
        "account_id",
        "category",
        "dry_run",
        "finding_id",
        "finding_type",
        "next_steps",
        "reason",
        "region",
        "residual_risks",
        "responder_version",
        "severity",
        "status",
        "steps",
        "title",
    ]);
    let of_step = BTreeSet::from([
        "action", "detail", "from", "outcome", "phase", "target", "to",
    ]);
    for event in [made_public(), json!(null), event(json!({}))] {
        let report = answer(&responder, event).await.unwrap();
        let value: Value = serde_json::from_str(&report.to_line()).unwrap();
        assert!(!report.to_line().contains('\n'));
        let mut members = keys(&value);
        // Only where something is known.
        assert_eq!(
            members.remove("investigation"),
            value["status"] == "partial"
        );
        assert_eq!(members, contract);
        for step in value["steps"].as_array().unwrap() {
            assert_eq!(keys(step), of_step);
            assert!(step["from"].is_object() && step["to"].is_object());
        }
    }
    let report = answer(&responder, made_public()).await.unwrap();
    let value = serde_json::to_value(&report).unwrap();
    assert_eq!(value["status"], "partial");
    assert_eq!(value["category"], "s3");
    assert_eq!(value["severity"], 8.0);
    assert_eq!(value["dry_run"], false);
    let outcomes = ["skipped", "already"].map(|outcome| {
        let steps = value["steps"].as_array().unwrap();
        steps
            .iter()
            .filter(|step| step["outcome"] == outcome)
            .count()
    });
    assert_eq!(outcomes, [1, 1]);
    assert_eq!(value["steps"][0]["phase"], "contain");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_in_full_and_changes_nothing() {
    let in_value = json!({ "value": "{\"sample\":true}", "type": "default" });
    for (config, event) in [
        (dry_run(), made_public()),
        (enforcing(), sample(json!({ "sample": true }))),
        (enforcing(), sample(in_value)),
    ] {
        let (_, notices, sns) = topic();
        let fake = Fake::new([act("exposed"), act("another")]);
        let responder = Responder::new(fake, config, sns);
        let report = answer(&responder, event).await.unwrap();
        assert_eq!(report.status(), Status::DryRun, "{}", report.to_line());
        assert!(report.dry_run());
        let outcomes: Vec<_> = report
            .steps()
            .iter()
            .map(crate::report::StepReport::outcome)
            .collect();
        assert_eq!(outcomes, [Outcome::Planned; 2]);
        assert!(responder.playbook.applied().is_empty());
        assert!(report.residual_risks().contains(&"a risk".to_owned()));
        let (subject, body) = notices.lock().unwrap()[0].clone();
        assert!(subject.contains("DRY RUN, NOTHING CHANGED"), "{subject}");
        assert!(body.contains("WOULD BE DONE"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn input_without_a_finding_is_answered_without_a_call() {
    let without = |member: &str| {
        let mut event = made_public();
        event["detail"].as_object_mut().unwrap().remove(member);
        event
    };
    let with = |member: &str, value: Value| {
        let mut event = made_public();
        event["detail"][member] = value;
        event
    };
    let mut other_kind = made_public();
    other_kind["detail-type"] = json!("GuardDuty Runtime Protection Unhealthy");
    let mut events = vec![
        json!({}),
        json!([]),
        json!(null),
        json!("x"),
        json!(5),
        json!({ "detail": null }),
        json!({ "detail": {} }),
        json!([made_public()]),
        other_kind,
        with("severity", json!("high")),
        with("severity", json!(99)),
        with("type", json!(["Policy:S3/X"])),
        with("type", json!("no colon")),
        with("accountId", json!("*")),
        with("region", json!("../../x")),
        with("resource", json!("text")),
        with("service", json!(7)),
        json!({ "Records": [{ "EventSource": "aws:sns",
            "Sns": { "Message": made_public().to_string() } }] }),
        json!({ "Records": [{ "eventSource": "aws:sqs", "body": made_public().to_string() }] }),
        json!({ "source": "aws.securityhub", "detail-type": "Findings Imported V2",
            "detail": { "findings": [{ "class_uid": 2004, "finding_info": {} }] } }),
    ];
    events.extend(["id", "type", "severity"].map(without));
    for (member, of_envelope) in [("accountId", "account"), ("region", "region")] {
        let mut event = without(member);
        event[of_envelope] = json!(null);
        events.push(event);
    }
    for event in events {
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), silent());
        let report = answer(&responder, event.clone()).await.unwrap();
        assert_eq!(report.status(), Status::Failed, "{event}");
        assert!(report.reason().contains("not a usable GuardDuty finding"));
        assert!(responder.playbook.calls().is_empty(), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_with_too_many_or_no_targets_notifies_the_on_call_engineer() {
    let with = |resource: Value| {
        let mut event = made_public();
        event["detail"]["resource"] = resource;
        event
    };
    let tenants: Vec<_> = (0..101)
        .map(|n| json!({ "name": format!("tenant-{n:03}") }))
        .collect();
    for (event, told) in [
        (
            with(json!({ "s3BucketDetails": tenants })),
            "names 101 buckets",
        ),
        (
            with(json!({ "s3BucketDetails": [{ "name": null }] })),
            "s3BucketDetails[0].name",
        ),
        (
            with(json!({ "s3BucketDetails": [{ "name": "a/b*" }] })),
            "s3BucketDetails[0].name",
        ),
        (with(json!({})), "names no bucket"),
    ] {
        let (_, notices, sns) = topic();
        let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
        let report = answer(&responder, event).await.unwrap();
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert!(report.reason().contains(told), "{}", report.reason());
        assert!(!report.reason().contains("not a usable"));
        assert!(!report.next_steps().is_empty());
        assert!(responder.playbook.applied().is_empty());
        assert!(notices.lock().unwrap()[0].0.starts_with("[LOOK AT THIS]"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_finding_is_answered_with_the_member_that_is_wrong() {
    let mut event = made_public();
    event["detail"]["severity"] = json!("high");
    let responder = Responder::new(Fake::new([]), enforcing(), silent());
    let report = answer(&responder, event).await.unwrap();
    assert!(
        report.reason().contains("detail.severity"),
        "{}",
        report.reason()
    );
    assert_eq!(report.finding_id(), "16afba5c5c43e07c9e3e5e2e544e95df");
}

#[tokio::test(start_paused = true)]
async fn an_ignored_finding_is_answered_without_a_call() {
    let mut off = enforcing();
    off.policy.mode = ResponseMode::Off;
    let mut archived = made_public();
    archived["detail"]["service"]["archived"] = json!(true);
    for (config, event) in [
        (off, made_public()),
        (enforcing(), archived),
        (
            enforcing(),
            event(json!({ "type": "Backdoor:EC2/Spambot" })),
        ),
    ] {
        let responder = Responder::new(Fake::new([act("exposed")]), config, silent());
        let report = answer(&responder, event).await.unwrap();
        assert_eq!(report.status(), Status::Ignored, "{}", report.to_line());
        assert!(responder.playbook.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_to_notify_is_reported_without_an_observation() {
    let (_, notices, sns) = topic();
    let mut config = enforcing();
    config.policy.mode = ResponseMode::Notify;
    let responder = Responder::new(Fake::new([act("exposed")]), config, sns);
    let report = answer(&responder, made_public()).await.unwrap();
    assert_eq!(report.status(), Status::Notified);
    assert!(!report.next_steps().is_empty());
    let calls = responder.playbook.calls().into_iter();
    assert_eq!(
        calls.map(|(what, ..)| what).collect::<Vec<_>>(),
        ["investigate"]
    );
    assert!(notices.lock().unwrap()[0].0.starts_with("[LOOK AT THIS]"));
}

#[tokio::test(start_paused = true)]
async fn triage_notifies_other_findings_with_the_next_checks() {
    for (kind, resource_type) in [
        ("AttackSequence:S3/CompromisedData", "AttackSequence"),
        ("Discovery:RDS/TorIPCaller", "RDSDBInstance"),
        ("Brand:New/Kind", "Whatever"),
    ] {
        let (_, notices, sns) = topic();
        let responder = Responder::new(triage(), enforcing(), sns);
        let resource = json!({ "resourceType": resource_type });
        let event = event(json!({ "type": kind, "resource": resource }));
        let report = answer(&responder, event).await.unwrap();
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert!(!report.next_steps().is_empty());
        assert_eq!(notices.lock().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_may_go_out_later_fails_the_invocation_after_the_containment() {
    let (wire, notices, sns) = topic();
    wire.fail_once("sns:Publish", 400, "Throttling");
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let error = answer(&responder, made_public()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(responder.playbook.applied(), ["exposed"]);

    let retried = answer(&responder, made_public()).await.unwrap();
    assert_eq!(retried.status(), Status::AlreadyContained);
    assert_eq!(responder.playbook.applied(), ["exposed"]);
    assert_eq!(notices.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_notice_refused_or_without_a_topic_is_in_the_report() {
    let without_topic = Config {
        topic_arn: None,
        ..enforcing()
    };
    for (config, why) in [
        (enforcing(), "sns:Publish"),
        (without_topic, "NOTIFICATION_TOPIC_ARN is not set"),
    ] {
        let (wire, _, sns) = topic();
        wire.fail("sns:Publish", 403, "AuthorizationError");
        let responder = Responder::new(Fake::new([act("exposed")]), config, sns);
        let report = answer(&responder, made_public()).await.unwrap();
        assert_eq!(report.status(), Status::Contained);
        let told = report.next_steps().last().unwrap();
        assert!(
            told.contains("was not notified") && told.contains(why),
            "{told}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_target_is_notified_and_retried_if_transient() {
    for (kind, retried) in [(CallFailure::Transient, true), (CallFailure::Denied, false)] {
        let (_, notices, sns) = topic();
        let mut fake = Fake::new([act("exposed")]);
        fake.unreadable = Some((0, error(kind)));
        let responder = Responder::new(fake, enforcing(), sns);
        match answer(&responder, made_public()).await {
            Err(error) => assert!(retried && error.is_transient(), "{error}"),
            Ok(report) => {
                assert!(!retried);
                assert_eq!(report.status(), Status::Failed);
                assert!(report.reason().contains("s3:GetBucketAcl on exposed"));
            }
        }
        assert!(responder.playbook.applied().is_empty());
        let (subject, body) = notices.lock().unwrap()[0].clone();
        assert!(subject.starts_with("[NOT CONTAINED, ACT NOW]"), "{subject}");
        assert!(body.contains("s3:GetBucketAcl on exposed"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_leaves_the_time_for_the_notice() {
    let (_, notices, sns) = topic();
    let hanging = Act {
        takes: Duration::from_secs(3_600),
        ..act("exposed")
    };
    let responder = Responder::new(Fake::new([hanging]), enforcing(), sns);
    let start = Instant::now();
    let error = answer(&responder, made_public()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(start.elapsed(), LONG - RESERVE);
    let subject = notices.lock().unwrap()[0].0.clone();
    assert!(subject.starts_with("[NOT CONTAINED, ACT NOW]"), "{subject}");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_transiently_fails_the_invocation_after_the_notice() {
    let (_, notices, sns) = topic();
    let throttled = Act {
        fails: Some(error(CallFailure::Transient)),
        ..act("exposed")
    };
    let fake = Fake::new([throttled, act("another")]);
    let responder = Responder::new(fake, enforcing(), sns);
    let error = answer(&responder, made_public()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let subject = notices.lock().unwrap()[0].0.clone();
    assert!(
        subject.starts_with("[PARTLY CONTAINED, ACT NOW]"),
        "{subject}"
    );
}

fn under(policies: &str) -> AuthorizationSources {
    AuthorizationSources {
        policies: PolicyParameter::fixed(LoadedPolicies::new(policies)),
        history: None,
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_usable_policy_everything_is_withheld_and_notified() {
    for config in [enforcing(), dry_run()] {
        let (_, notices, sns) = topic();
        let fake = Fake::new([act("exposed"), act("another")]);
        let responder = Responder::new(fake, config, sns).guarded(under("permit everything"));
        let report = answer(&responder, made_public()).await.unwrap();
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        assert!(responder.playbook.applied().is_empty());
        let steps = report.steps();
        assert_eq!(steps.len(), 2);
        for step in steps {
            assert_eq!(step.outcome(), Outcome::Withheld);
            assert!(step.detail().contains("no-policy"), "{}", step.detail());
        }
        assert!(report.reason().contains("not valid"), "{}", report.reason());
        assert_eq!(notices.lock().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn policies_that_could_not_be_read_for_now_ask_for_a_retry_after_the_notice() {
    for (kind, retried) in [(CallFailure::Transient, true), (CallFailure::Denied, false)] {
        for config in [enforcing(), dry_run()] {
            let (_, notices, sns) = topic();
            let guards = AuthorizationSources {
                policies: PolicyParameter::fixed(LoadedPolicies::unread(error(kind))),
                history: None,
            };
            let responder = Responder::new(Fake::new([act("exposed")]), config, sns);
            let answer = answer(&responder.guarded(guards), made_public()).await;
            assert_eq!(answer.is_err(), retried, "{kind:?}");
            assert_eq!(notices.lock().unwrap().len(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_containment_of_which_a_part_is_withheld_is_partial() {
    let one = "permit (principal, action, resource) when { resource.name == \"exposed\" };";
    for (config, status) in [(enforcing(), Status::Partial), (dry_run(), Status::DryRun)] {
        let (_, notices, sns) = topic();
        let fake = Fake::new([act("exposed"), act("another")]);
        let responder = Responder::new(fake, config, sns).guarded(under(one));
        let report = answer(&responder, made_public()).await.unwrap();
        assert_eq!(report.status(), status, "{}", report.to_line());
        let notices = notices.lock().unwrap();
        let withheld = "withheld by not-permitted: no policy permits it";
        assert!(notices[0].1.contains(withheld), "{}", notices[0].1);
        if status == Status::Partial {
            assert!(report.reason().contains(withheld), "{}", report.reason());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn targets_of_steps_forbidden_outright_are_not_observed() {
    let (_, notices, sns) = topic();
    let responder = Responder::new(Fake::new([act("exposed")]), enforcing(), sns);
    let mut mild = made_public();
    mild["detail"]["severity"] = json!(3.9);
    let report = answer(&responder, mild).await.unwrap();
    assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
    assert!(
        report.reason().contains("MINIMUM_SEVERITY"),
        "{}",
        report.reason()
    );
    let calls = responder.playbook.calls().into_iter();
    assert!(calls.map(|(what, ..)| what).eq(["investigate"]));
    assert_eq!(notices.lock().unwrap().len(), 1);
}
