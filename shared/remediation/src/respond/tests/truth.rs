//! What is said where nothing of the threat, or all of it, is contained.

use super::*;
use crate::fixtures::table::table;
use crate::plan::Phase;

const WITHHELD: &str = "permit (principal, action, resource); @id(\"it\") \
                        forbid (principal, action, resource) when { resource.name == \"exposed\" };";

fn in_phase(phase: Phase, target: &'static str) -> Act {
    Act {
        phase,
        ..act(target)
    }
}

/// The metrics of the lines that were logged.
fn logged<P: Playbook>(responder: Responder<P>) -> (Responder<P>, Arc<Mutex<Vec<Value>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let mut responder = responder;
    responder.config.metrics_namespace = Some("gdr".to_owned());
    responder.lines = Lines::to(move |line| {
        let line = serde_json::from_str(line).expect("JSON");
        kept.lock().unwrap().push(line);
        Ok(())
    });
    (responder, lines)
}

#[tokio::test(start_paused = true)]
async fn evidence_that_is_secured_makes_a_containment_that_is_left_to_the_engineer_not_partial() {
    let (_, notices, sns) = topic();
    let (items, record) = table();
    let acts = [act("exposed"), in_phase(Phase::Protect, "evidence")];
    let responder = Responder::new(Fake::new(acts), enforcing(), sns);
    let responder = responder.guarded(under(WITHHELD)).recording(record);
    let (responder, lines) = logged(responder);
    for delivery in 0..2 {
        let report = answer(&responder, made_public()).await.unwrap();
        assert_eq!(report.status(), Status::Notified, "{}", report.to_line());
        let line = lines.lock().unwrap()[delivery].clone();
        assert_eq!(line["NotContained"], 0, "{line}");
        assert_eq!(line["EventToContained"], Value::Null, "{line}");
    }
    assert_eq!(responder.playbook.applied(), ["evidence"]);
    let notices = notices.lock().unwrap();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].0.starts_with("[LOOK AT THIS]"), "{notices:?}");
    let items = items.lock().unwrap();
    let incident = items.values().find(|item| item.contains_key("report"));
    let incident = incident.expect("an incident");
    assert!(!incident.contains_key("contained_at"), "{incident:?}");
    let mut states = items.values().filter_map(|item| item.get("target_state"));
    let state = states.next().and_then(|state| state.as_s().ok());
    assert_eq!(state.map(String::as_str), Some("withheld"));
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_failed_alone_calls_nobody_out_and_is_named() {
    for kind in [CallFailure::Denied, CallFailure::Transient] {
        let (_, notices, sns) = topic();
        let mark = Act {
            fails: Some(error(kind)),
            ..in_phase(Phase::Annotate, "marked")
        };
        let fake = Fake::new([act("exposed"), mark]);
        let (responder, lines) = logged(Responder::new(fake, enforcing(), sns));
        let report = answer(&responder, made_public()).await;
        let report = report.expect("no error of the invocation");
        assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
        let failed = report.steps().iter().find(|step| step.target() == "marked");
        assert_eq!(failed.expect("a step").outcome(), Outcome::Failed);
        let line = lines.lock().unwrap()[0].clone();
        assert_eq!(line["NotContained"], 0, "{line}");
        let notices = notices.lock().unwrap();
        assert!(notices[0].0.starts_with("[CONTAINED]"), "{notices:?}");
        assert!(notices[0].1.contains("on marked"), "{}", notices[0].1);
    }
}
