//! What becomes of a function: throttled, its credentials denied, and put back.

mod golden;
mod release;
mod world;

use self::world::{ARN, Account, OTHER, World, arn_of, detail, infected};
use super::Lambda;
use fixtures::{World as _, answer, each_call_fails_in_turn, finding, investigate, now, run};
use model::actions::lambda::{DENY, THROTTLE};
use model::investigation::Question;
use model::plan::Step;
use model::planner::Planner as _;
use model::report::{Outcome, Report, Status};
use model::settings::Settings;
use serde_json::json;

use aws::playbook::Playbook as _;

/// The outcome and detail of the step of this action.
fn step<'a>(report: &'a Report, action: &str) -> (Outcome, &'a str) {
    let mut steps = report.steps().iter();
    let step = steps.find(|step| step.action() == action);
    let step = step.unwrap_or_else(|| panic!("no {action}: {}", report.to_line()));
    (step.outcome(), step.detail())
}

#[tokio::test(start_paused = true)]
async fn a_function_is_throttled_and_its_credentials_are_refused_wherever_they_are_used() {
    let world = World::new(Account::default());
    let (report, transient) = answer(&world.playbook, &infected()).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(transient.is_none());
    assert_eq!(world.now().concurrency, Some(0));
    // By its code, and by whoever has carried its credentials off.
    assert!(world.refuses("worker", "orders", Some(ARN)));
    assert!(world.refuses("worker", "orders", None));
    // Another function of the role goes on, also one of the same name in another Region.
    let elsewhere = ARN.replace("us-east-1", "eu-west-1");
    assert!(!world.refuses("worker", "reports", Some(OTHER)));
    assert!(!world.refuses("worker", "reports", None));
    assert!(!world.refuses("worker", "orders", Some(&elsewhere)));
    assert_eq!(
        world.wire.writes(),
        ["lambda:PutFunctionConcurrency", "iam:PutRolePolicy"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_contained_function_is_left_as_it_is() {
    let world = World::new(Account::default());
    run(&world.playbook, &infected()).await;
    world.wire.clear();
    let (report, _) = answer(&world.playbook, &infected()).await;
    assert_eq!(report.status(), Status::AlreadyContained);
    assert_eq!(world.wire.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_role_that_the_function_had_is_denied_too() {
    let mut detail = detail();
    detail["resource"]["lambdaDetails"]["role"] = json!(arn_of("former"));
    let world = World::new(Account::default());
    let (report, _) = answer(&world.playbook, &finding(detail)).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(world.refuses("worker", "orders", None));
    assert!(world.refuses("former", "orders", None));
}

#[tokio::test(start_paused = true)]
async fn the_credentials_of_a_function_that_is_gone_are_denied() {
    let world = World::new(Account::default());
    for operation in [
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionConfiguration",
        "lambda:ListTags",
    ] {
        world.wire.fail(operation, 404, "ResourceNotFoundException");
    }
    let (report, _) = answer(&world.playbook, &infected()).await;
    assert_eq!(step(&report, THROTTLE).0, Outcome::Skipped);
    assert_eq!(step(&report, DENY).0, Outcome::Applied);
    assert!(world.refuses("worker", "orders", None));
}

#[tokio::test(start_paused = true)]
async fn each_failure_of_a_call_is_told_and_mended_by_a_retry() {
    let gone = |operation: &str| match operation.split(':').next() {
        Some("iam") => "NoSuchEntity",
        _ => "ResourceNotFoundException",
    };
    each_call_fails_in_turn(&infected(), || World::new(Account::default()), gone).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_not_kept_is_no_containment() {
    let world = World::new(Account {
        forgets: true,
        ..Account::default()
    });
    let (report, _) = answer(&world.playbook, &infected()).await;
    assert_eq!(report.status(), Status::Failed, "{}", report.to_line());
    assert!(!world.is_contained());
}

#[tokio::test(start_paused = true)]
async fn a_role_without_room_is_told_with_the_policy_to_attach() {
    let world = World::new(Account {
        full: true,
        ..Account::default()
    });
    let (report, transient) = answer(&world.playbook, &infected()).await;
    assert_eq!(report.status(), Status::Partial, "{}", report.to_line());
    let (outcome, detail) = step(&report, DENY);
    assert_eq!(outcome, Outcome::Failed);
    assert!(detail.contains("lambda:SourceFunctionArn"), "{detail}");
    assert!(transient.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_is_told() {
    let world = World::new(Account {
        durable: true,
        event_sources: vec!["arn:aws:sqs:us-east-1:111122223333:orders"],
        urls: vec!["https://abc.lambda-url.us-east-1.on.aws/"],
        provisioned: vec!["arn:aws:lambda:us-east-1:111122223333:function:orders:live"],
        environment: vec![("DATABASE_PASSWORD", "hunter2")],
        ..Account::default()
    });
    let (report, _) = answer(&world.playbook, &infected()).await;
    let risks = report.residual_risks.join("\n");
    for told in [
        "30 seconds at most",
        "their logs are refused",
        "durable executions of orders",
        "arn:aws:sqs:us-east-1:111122223333:orders",
        "https://abc.lambda-url.us-east-1.on.aws/ (authentication NONE)",
        "function:orders:live",
    ] {
        assert!(risks.contains(told), "{told}: {risks}");
    }
    let next = report.next_steps.join("\n");
    assert!(
        next.contains("DATABASE_PASSWORD") && next.contains("version 7"),
        "{next}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_values_of_the_environment_are_kept_nowhere() {
    let world = World::new(Account {
        environment: vec![("DATABASE_PASSWORD", "hunter2")],
        changes: vec!["UpdateFunctionCode20150331v2", "GetFunction20150331v2"],
        ..Account::default()
    });
    let state = world.playbook.observe(&infected()).await.unwrap();
    let evidence = Lambda::evidence(&state).to_string();
    let found = investigate(&world.playbook, &infected()).await;
    let told: Vec<_> = found.answers.iter().map(|it| it.answer()).collect();
    let told = told.join("\n");
    for text in [&evidence, &told] {
        assert!(
            text.contains("DATABASE_PASSWORD") && !text.contains("hunter2"),
            "{text}"
        );
    }
    assert!(
        found
            .answers
            .iter()
            .all(|it| it.question() == Question::Function)
    );
    assert!(
        told.contains("UpdateFunctionCode20150331v2 by mallory"),
        "{told}"
    );
    assert!(!told.contains("GetFunction20150331v2"), "{told}");
    assert!(
        told.contains("7 (deployed, 2026-03-03T12:00:00.000+0000)"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_no_function_s_is_not_asked_for() {
    for (name, arn) in [
        ("*", None),
        ("orders:7", None),
        ("us-east-1.orders", None),
        (
            "orders",
            Some("arn:aws:lambda:us-east-1:444455556666:function:orders"),
        ),
        (
            "orders",
            Some("arn:aws:lambda:eu-west-1:111122223333:function:orders"),
        ),
        (
            "orders",
            Some("arn:aws:lambda:us-east-1:111122223333:function:orders2"),
        ),
    ] {
        let mut detail = detail();
        let details = &mut detail["resource"]["lambdaDetails"];
        details["functionName"] = json!(name);
        if let Some(arn) = arn {
            details["functionArn"] = json!(arn);
        }
        let world = World::new(Account::default());
        assert!(
            world.playbook.observe(&finding(detail)).await.is_err(),
            "{name} {arn:?}"
        );
        assert_eq!(world.wire.calls(), [""; 0], "{name} {arn:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_responder_s_own_functions_are_left_alone_and_so_are_roles_on_the_list() {
    let finding = infected();
    let world = World::new(Account::default());
    let state = world.playbook.observe(&finding).await.unwrap();
    let plan = |policy| {
        let guard = policy::LoadedPolicies::new("permit (principal, action, resource);");
        let gate = policy::Gate::new::<Lambda>(&guard, &finding, &policy, false, now());
        let plan = gate.plan::<Lambda>(&state, &Settings::default());
        let steps = plan.into_plan().steps.into_iter();
        steps
            .map(|step| matches!(step, Step::Do(_)))
            .collect::<Vec<_>>()
    };
    let listed = |responder: &[&str], never: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        model::decision::ResponseSettings {
            responder_roles: owned(responder),
            never_contain: owned(never),
            ..fixtures::ENFORCING.clone()
        }
    };
    assert_eq!(plan(listed(&[], &[])), [true, true]);
    assert_eq!(plan(listed(&["worker"], &[])), [false, false]);
    assert_eq!(plan(listed(&[], &["worker"])), [true, false]);
    // The finding has the function's tags, so that policies may look at them.
    let plan = Lambda::plan(&finding, &state, &Settings::default(), now());
    for step in &plan.steps {
        let Step::Do(action) = step else {
            panic!("{step:?}");
        };
        let resource = Lambda::resource(&finding, &state, action);
        assert_eq!(resource.tags["Owner"], "team-shop");
    }
}
