//! Whatever a function is invoked with, it answers, names what is wrong and calls no one.

use integration_tests::finding::Finding;
use integration_tests::stack::RESPONDERS;
use integration_tests::{Result, trail};
use serde_json::{Value, json};

use crate::e2e::world::{expect_status, on_aws};

/// Events, and what the reason must name.
fn bad_events() -> Result<Vec<(Value, &'static str)>> {
    let good = Finding::stolen_key()?.0;
    let broken = |pointer: &str, value: Option<Value>| {
        let mut event = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        let members = event.pointer_mut(parent).and_then(Value::as_object_mut);
        if let Some(members) = members {
            members.remove(key);
            members.extend(value.map(|value| (key.to_owned(), value)));
        }
        event
    };
    Ok(vec![
        (json!({}), "detail"),
        (json!([]), "event"),
        (Value::Null, "event"),
        (json!("x"), "event"),
        (json!(5), "event"),
        (json!(true), "event"),
        (broken("/source", Some(json!("aws.health"))), "source"),
        (
            broken("/detail-type", Some(json!("Something else"))),
            "detail-type",
        ),
        (broken("/detail", Some(json!([]))), "detail"),
        (broken("/detail/id", None), "id"),
        (broken("/detail/type", None), "type"),
        (broken("/detail/accountId", Some(json!("12"))), "accountId"),
        (broken("/detail/severity", Some(json!("high"))), "severity"),
        (broken("/detail/severity", Some(json!(1e300))), "severity"),
    ])
}

#[test]
fn a_bad_event_is_answered_with_its_fault_and_no_call() -> Result {
    on_aws(async |world| {
        for responder in RESPONDERS {
            // No topic: the notice that something came in broken is no call on the customer's things,
            // but here none at all shall be seen.
            let function = world
                .enforcing
                .variant(responder, None, &[("NOTIFICATION_TOPIC_ARN", "")])
                .await?;
            for (event, named) in bad_events()? {
                let report = world.enforcing.invoke(&function, &event).await?;
                expect_status(&report, "failed");
                let reason = report["reason"].as_str().unwrap_or_default();
                assert!(reason.contains(named), "{responder}, {event}: {reason}");
                assert!(
                    report["steps"].as_array().is_none_or(Vec::is_empty),
                    "{report:#}"
                );
            }
            let calls = trail::calls(world.aws, &function).await?;
            assert!(calls.is_empty(), "{responder}: {calls:?}");
        }
        Ok(())
    })
}
