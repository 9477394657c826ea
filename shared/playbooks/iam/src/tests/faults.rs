//! Each write failing in turn, and a world that changes while it is being contained.

use serde_json::json;

use super::role::{payroll, session_finding};
use super::world::{mallory, settings, world};
use fixtures::{run, run_with, user_finding};
use model::report::Outcome;

const FAULTS: [(u16, &str, bool); 4] = [
    (403, "AccessDenied", false),
    (400, "Throttling", true),
    (500, "ServiceFailure", true),
    (400, "UnmodifiableEntity", false),
];

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_reported_and_hides_no_other() {
    for (status, code, transient) in FAULTS {
        for (failing, action) in [
            ("iam:PutUserPolicy", "iam:RevokeUserSessions"),
            ("iam:UpdateAccessKey", "iam:DeactivateAccessKey"),
        ] {
            let world = world(mallory());
            world.wire.fail(failing, status, code);
            let done = run(&world.iam, &user_finding("mallory")).await;
            assert_eq!(done.steps.len(), 2);
            for step in &done.steps {
                let expected = if step.action() == action {
                    Outcome::Failed
                } else {
                    Outcome::Applied
                };
                assert_eq!(step.outcome(), expected, "{code}: {step:?}");
            }
            assert_eq!(done.transient.is_some(), transient, "{code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_on_a_role_that_fails_is_reported_for_each_of_its_denies() {
    for (status, code, transient) in FAULTS {
        let world = world(payroll(json!({ "AWS": "*" })));
        world.wire.fail("iam:PutRolePolicy", status, code);
        let wide = settings(|iam| iam.role_wide = true);
        let done = run_with(&world.iam, &session_finding(), &wide).await;
        assert_eq!(done.steps.len(), 2);
        for step in &done.steps {
            assert_eq!(step.outcome(), Outcome::Failed, "{code}: {step:?}");
        }
        assert_eq!(done.transient.is_some(), transient, "{code}");
        assert!(world.role("payroll").attached.is_empty(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_took_effect_despite_an_error_counts_as_applied() {
    let world = world(mallory());
    for operation in ["iam:PutUserPolicy", "iam:UpdateAccessKey"] {
        world
            .wire
            .fail_after_effect(operation, 500, "ServiceFailure");
    }
    let done = run(&world.iam, &user_finding("mallory")).await;
    for step in &done.steps {
        assert_eq!(step.outcome(), Outcome::Applied, "{step:?}");
    }
    assert!(done.transient.is_none());
}
