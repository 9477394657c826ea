mod asked;
mod authorized;
mod examples;
mod gate;
mod questions;
mod rails;
mod unread;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use cedar_policy::Effect;
use serde_json::{Value, json};

use jiff::Timestamp;

use crate::fixtures::{ENFORCING, Ec2, Iam, S3, finding, now, user_detail, user_finding};
use crate::*;
use model::actions;
use model::category::Category;
use model::decision::{Decision, ResponseMode, ResponseSettings, decide};
use model::finding::Finding;
use model::plan::{Phase, StepKey, Withheld};
use model::planner::Planner;

const ALL: &str = "permit (principal, action, resource);";

fn settings() -> ResponseSettings {
    ResponseSettings {
        minimum_severity: Some(4.0),
        responder_roles: vec!["gdr-IamResponderRole-ABC".to_owned()],
        never_contain: vec!["arn:aws:iam::111122223333:role/break-glass".to_owned()],
        ..ENFORCING.clone()
    }
}

/// Policies are read once: that takes longer than to ask them.
fn loaded(text: &str) -> Arc<LoadedPolicies> {
    static READ: LazyLock<Mutex<HashMap<String, Arc<LoadedPolicies>>>> =
        LazyLock::new(Mutex::default);
    let known = READ.lock().unwrap().get(text).cloned();
    known.unwrap_or_else(|| {
        let guard = Arc::new(LoadedPolicies::new(text));
        let mut read = READ.lock().unwrap();
        Arc::clone(read.entry(text.to_owned()).or_insert(guard))
    })
}

/// The ids of what withholds a step, or none if it may run.
fn withheld_by<P: Planner>(
    policies: &str,
    settings: &ResponseSettings,
    finding: &Finding,
    action: &'static str,
    resource: &Resource,
) -> Vec<String> {
    judged::<P>(policies, settings, finding, action, resource, now())
}

fn judged<P: Planner>(
    policies: &str,
    settings: &ResponseSettings,
    finding: &Finding,
    action: &'static str,
    resource: &Resource,
    now: Timestamp,
) -> Vec<String> {
    let guard = loaded(policies);
    assert_eq!(guard.problem(), None);
    let step = StepKey {
        action,
        target: resource.name().to_owned(),
    };
    match Gate::new::<P>(&guard, finding, settings, false, now).judge(&step, resource) {
        Authorization::Permitted(by) => {
            assert!(!by.is_empty(), "somebody permitted it");
            Vec::new()
        }
        Authorization::Withheld(Withheld { by, .. }) => {
            assert!(!by.is_empty(), "somebody withheld it");
            by
        }
    }
}

/// An instance that calls home.
fn instance_finding(changes: Value) -> Finding {
    let mut detail = json!({
        "type": "Backdoor:EC2/C&CActivity.B!DNS",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": "i-0abc1234" },
        },
    });
    if let (Value::Object(detail), Value::Object(changes)) = (&mut detail, changes) {
        detail.extend(changes);
    }
    finding(detail)
}

#[test]
fn the_schema_has_the_actions_of_the_playbooks_each_in_the_group_of_its_phase() {
    let known = Category::CONTAINING.into_iter().flat_map(actions::of);
    let expected: BTreeMap<_, _> = known
        .map(|(name, phase)| {
            let group = match phase {
                Phase::Protect => "Protect",
                Phase::Contain => "Contain",
                Phase::Preserve => "Preserve",
                Phase::Annotate => "Annotate",
            };
            ((*name).to_owned(), group.to_owned())
        })
        .collect();
    let schema = schema().expect("the schema is one");
    let entities = schema.action_entities().expect("actions");
    let groups = ["Protect", "Contain", "Preserve", "Annotate"];
    let mut found = BTreeMap::new();
    for action in schema.actions() {
        let name = action.id().unescaped();
        let above = entities.ancestors(action).expect("an action");
        let above: Vec<_> = above.map(|group| group.id().unescaped()).collect();
        if groups.contains(&name) {
            assert!(above.is_empty(), "{name}");
        } else {
            assert_eq!(above.len(), 1, "{name}: {above:?}");
            found.insert(name.to_owned(), above[0].to_owned());
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn how_often_the_activity_was_seen_is_known_if_the_finding_says_so() {
    let user = Resource::user(&user_finding("mallory"), "mallory", None);
    let often = format!(
        "{ALL} @id(\"often\") forbid (principal, action, resource)
        when {{ context.finding has count && context.finding.count > 1 }};"
    );
    for (count, by) in [
        (json!(null), &[][..]),
        (json!(1), &[]),
        (json!(2), &["often"]),
        (json!(u64::MAX), &["often"]),
    ] {
        let mut detail = user_detail("mallory");
        detail["service"]["count"] = count;
        let action = "iam:DeactivateAccessKey";
        let found = withheld_by::<Iam>(&often, &settings(), &finding(detail), action, &user);
        assert_eq!(found, by);
    }
}

#[test]
fn the_simple_parameters_work_through_the_default_policies() {
    let user = Resource::user(&user_finding("mallory"), "mallory", None);
    let by = |settings: &ResponseSettings, severity: f64| {
        let mut detail = user_detail("mallory");
        detail["severity"] = json!(severity);
        let finding = finding(detail);
        withheld_by::<Iam>(
            DEFAULT,
            settings,
            &finding,
            "iam:DeactivateAccessKey",
            &user,
        )
    };
    assert!(by(&settings(), 4.0).is_empty());
    assert_eq!(by(&settings(), 3.9), ["minimum-severity"]);
    let unread = ResponseSettings {
        minimum_severity: None,
        ..settings()
    };
    assert_eq!(by(&unread, 10.0), ["minimum-severity"]);
    let notify = ResponseSettings {
        mode: ResponseMode::Notify,
        ..settings()
    };
    assert_eq!(by(&notify, 8.0), ["response-mode"]);
    assert_eq!(by(&notify, 1.0), ["minimum-severity", "response-mode"]);
}

/// What the default policies say of deactivating a key in mode `approve`.
fn asked(severity: f64, approved: bool, not_needed_from: Option<f64>) -> Authorization {
    let settings = ResponseSettings {
        mode: ResponseMode::Approve,
        approval_not_needed_from: not_needed_from,
        ..settings()
    };
    let mut detail = user_detail("mallory");
    detail["severity"] = json!(severity);
    let finding = finding(detail);
    let step = StepKey {
        action: "iam:DeactivateAccessKey",
        target: "AKIA".to_owned(),
    };
    let guard = loaded(DEFAULT);
    let gate = Gate::new::<Iam>(&guard, &finding, &settings, false, now());
    let gate = gate.approving(approved.then(|| step.clone()).into_iter().collect());
    gate.judge(&step, &Resource::user(&finding, "mallory", None))
}

#[test]
fn in_mode_approve_a_step_waits_for_a_person_unless_it_is_severe_enough() {
    let Authorization::Withheld(why) = asked(8.0, false, None) else {
        panic!("permitted without approval");
    };
    assert!(why.awaits_approval, "{why:?}");
    assert_eq!(why.by, ["approval"]);
    assert!(matches!(
        asked(8.0, true, None),
        Authorization::Permitted(_)
    ));
    assert!(matches!(
        asked(8.0, false, Some(8.0)),
        Authorization::Permitted(_)
    ));
    assert!(matches!(
        asked(7.9, false, Some(8.0)),
        Authorization::Withheld(_)
    ));
    // What no approval would permit does not wait for one.
    for approved in [false, true] {
        let Authorization::Withheld(why) = asked(3.9, approved, None) else {
            panic!("permitted below the minimum severity");
        };
        assert!(!why.awaits_approval, "{why:?}");
    }
}

#[test]
fn an_approval_is_for_the_steps_that_it_names_and_lifts_no_rail() {
    let finding = user_finding("mallory");
    let guard = LoadedPolicies::new(&format!(
        "{ALL} forbid (principal, action, resource) unless {{ context.approved }};"
    ));
    let settings = settings();
    let step = |target: &str| StepKey {
        action: "iam:DenyRoleSession",
        target: target.to_owned(),
    };
    let gate = Gate::new::<Iam>(&guard, &finding, &settings, false, now());
    let gate = gate.approving([step("a")].into());
    let role = Resource::role(&finding, "web", None);
    assert!(matches!(
        gate.judge(&step("a"), &role),
        Authorization::Permitted(_)
    ));
    assert!(matches!(
        gate.judge(&step("b"), &role),
        Authorization::Withheld(why) if why.awaits_approval
    ));
    let own = Resource::role(&finding, "gdr-IamResponderRole-ABC", None);
    assert!(matches!(
        gate.judge(&step("a"), &own),
        Authorization::Withheld(why) if why.by == ["rail:own-roles"]
    ));
}

#[test]
fn steps_that_no_policy_permits_are_withheld() {
    let finding = user_finding("mallory");
    let user = Resource::user(&finding, "mallory", None);
    let only_buckets = "permit (principal == Playbook::\"s3\", action, resource);";
    let by = |policies| {
        withheld_by::<Iam>(
            policies,
            &settings(),
            &finding,
            "iam:DeactivateAccessKey",
            &user,
        )
    };
    assert_eq!(by(only_buckets), [NOT_PERMITTED]);
    assert!(by(ALL).is_empty());
}

#[test]
fn a_policy_that_cannot_be_evaluated_withholds() {
    let finding = user_finding("mallory");
    let user = Resource::user(&finding, "mallory", None);
    // The validator cannot know that the sum is too large.
    let overflows = format!(
        "{ALL} @id(\"sum\") forbid (principal, action, resource)
         when {{ context.hour + 9223372036854775807 == 0 }};"
    );
    let by = withheld_by::<Iam>(
        &overflows,
        &settings(),
        &finding,
        "iam:DeactivateAccessKey",
        &user,
    );
    assert_eq!(by, ["sum"]);
}

#[test]
fn an_action_that_the_schema_does_not_know_is_withheld() {
    let finding = user_finding("mallory");
    let user = Resource::user(&finding, "mallory", None);
    let by = withheld_by::<Iam>(ALL, &settings(), &finding, "iam:DeleteUser", &user);
    assert_eq!(by, [NOT_PERMITTED]);
}

#[test]
fn a_text_that_is_not_valid_is_refused_with_the_place_and_withholds_everything() {
    for (text, at, word) in [
        (
            "permit (principal, action, resource)",
            Some((1, 37)),
            "unexpected end",
        ),
        (
            "permit (principal, action, resource)\nwhen { resource.nmae == \"x\" };",
            Some((2, 8)),
            "nmae",
        ),
        (
            "permit (\n  principal, action == Action::\"iam:DeleteUser\", resource);",
            None,
            "DeleteUser",
        ),
        (
            "permit (principal == ?principal, action, resource);",
            None,
            "template",
        ),
        (
            "@id(\"a\") permit (principal, action, resource);
             @id(\"a\") forbid (principal, action, resource);",
            None,
            "'a'",
        ),
        (
            "@id(\"rail:samples\") permit (principal, action, resource);",
            None,
            "rail:",
        ),
        ("// nothing", None, "no policy"),
        ("", None, "no policy"),
    ] {
        let problems = Policies::parse(text).expect_err(text);
        assert!(
            problems
                .iter()
                .any(|problem| problem.message.contains(word)),
            "{text}: {problems:?}"
        );
        if let Some(at) = at {
            assert_eq!(problems[0].at, Some(at), "{text}: {problems:?}");
        }
        let guard = LoadedPolicies::new(text);
        assert!(guard.problem().is_some());
        let (finding, settings) = (user_finding("mallory"), settings());
        let gate = Gate::new::<Iam>(&guard, &finding, &settings, false, now());
        let step = StepKey {
            action: "iam:DeactivateAccessKey",
            target: String::new(),
        };
        let user = Resource::user(&finding, "mallory", None);
        let Authorization::Withheld(why) = gate.judge(&step, &user) else {
            panic!("permitted under {text}");
        };
        assert_eq!(why.by, [NO_POLICY]);
    }
}

#[test]
fn a_policy_that_can_never_apply_is_warned_of() {
    let policies = Policies::parse(
        "permit (principal, action, resource);
         forbid (principal, action, resource is Bucket) when { resource has path };",
    )
    .expect("valid");
    assert_eq!(policies.warnings.len(), 1, "{:?}", policies.warnings);
    assert_eq!(policies.warnings[0].at.map(|(line, _)| line), Some(2));
}

#[test]
fn a_step_that_is_forbidden_for_every_target_needs_no_observation() {
    let mut detail = user_detail("mallory");
    detail["severity"] = json!(2.0);
    let (mild, severe) = (finding(detail), user_finding("mallory"));
    let settings = settings();
    let outright = |text: &str, finding: &Finding| {
        let guard = LoadedPolicies::new(text);
        let gate = Gate::new::<Iam>(&guard, finding, &settings, false, now());
        gate.forbids_outright().map(|why| why.by)
    };
    assert_eq!(
        outright(DEFAULT, &mild),
        Some(vec!["minimum-severity".to_owned()])
    );
    assert_eq!(outright(DEFAULT, &severe), None);
    // It might be another one if the target were known.
    for looks_closer in [
        "forbid (principal, action, resource) unless { resource.name == \"x\" };",
        "forbid (principal, action, resource) unless { context.target == \"x\" };",
        "forbid (principal, action == Action::\"iam:DenyRoleSession\", resource);",
        "forbid (principal, action, resource is Role);",
        "forbid (principal, action, resource) when { action in Action::\"Contain\" };",
    ] {
        let text = format!("{ALL} {looks_closer}");
        assert_eq!(outright(&text, &severe), None, "{looks_closer}");
    }
    // A person could approve it.
    let asks = "forbid (principal, action, resource) unless { context.approved };";
    assert_eq!(outright(&format!("{ALL} {asks}"), &severe), None);
    let mild_and_asks = format!("{DEFAULT} @id(\"ask\") {asks}");
    assert_eq!(
        outright(&mild_and_asks, &mild),
        Some(vec!["minimum-severity".to_owned()])
    );
    let by_playbook = format!(
        "{ALL} @id(\"x\") forbid (principal == Playbook::\"iam\", action, resource)
         when {{ context.finding.purpose == \"UnauthorizedAccess\" }};"
    );
    assert_eq!(outright(&by_playbook, &severe), Some(vec!["x".to_owned()]));
}

#[test]
fn a_tag_that_the_attacker_may_have_set_does_not_count_and_is_reported() {
    let finding = instance_finding(json!({}));
    let guard = LoadedPolicies::new(&format!(
        "{ALL} @id(\"tagged\") forbid (principal, action, resource)
         when {{ resource.hasTag(\"isolation\") && resource.getTag(\"isolation\") == \"never\" }};"
    ));
    let settings = settings();
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    let tags = [("isolation", "never")];
    let step = StepKey {
        action: "ec2:IsolateInterface",
        target: "eni-1".to_owned(),
    };
    let doubtful = Resource::instance(&finding, "i-0abc1234").tags(tags, Some(&[]));
    assert!(matches!(
        gate.judge(&step, &doubtful),
        Authorization::Permitted(_)
    ));
    let told = gate.doubted(&step, &doubtful).expect("it is told of");
    assert!(
        told.contains("i-0abc1234") && told.contains("tagged"),
        "{told}"
    );
    let trusted = Resource::instance(&finding, "i-0abc1234").tags(tags, Some(&tags));
    assert!(matches!(
        gate.judge(&step, &trusted),
        Authorization::Withheld(_)
    ));
    assert_eq!(gate.doubted(&step, &trusted), None);
}

/// The policies' own cost for one step, for whoever wants to know: not a promise.
#[test]
#[ignore = "a measurement: cargo test --release -p policy the_cost_of_a_step -- --ignored --nocapture"]
#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn the_cost_of_a_step() {
    let finding = instance_finding(json!({}));
    let settings = settings();
    let start = std::time::Instant::now();
    let guard = LoadedPolicies::new(DEFAULT);
    let first = start.elapsed();
    let start = std::time::Instant::now();
    drop(LoadedPolicies::new(DEFAULT));
    let again = start.elapsed();
    let gate = Gate::new::<Ec2>(&guard, &finding, &settings, false, now());
    let resource = Resource::instance(&finding, "i-0abc1234").with_role(Resource::role(
        &finding,
        "web",
        Some("arn:aws:iam::111122223333:role/web"),
    ));
    let step = StepKey {
        action: "ec2:IsolateInterface",
        target: "eni-1".to_owned(),
    };
    let start = std::time::Instant::now();
    for _ in 0..1_000 {
        assert!(matches!(
            gate.judge(&step, &resource),
            Authorization::Permitted(_)
        ));
    }
    let step = start.elapsed() / 1_000;
    eprintln!("schema and policies {first:?}, policies alone {again:?}, a step {step:?}");
}

#[test]
fn policy_requests_can_be_explained_without_observing() {
    let mut detail = json!({});
    detail["resource"] = json!({
        "resourceType": "Instance",
        "instanceDetails": {
            "instanceId": "i-0abc1234", "tags": [{ "key": "isolation", "value": "never" }],
        },
    });
    let finding = instance_finding(detail);
    let guard = LoadedPolicies::new(&format!(
        "{DEFAULT} @id(\"tagged\") forbid (principal, action in Action::\"Contain\", resource)
         when {{ resource.hasTag(\"isolation\") }};"
    ));
    let explained = explain(&guard, &finding, &settings(), now()).expect("explained");
    let [of] = explained.as_slice() else {
        panic!("{explained:?}")
    };
    assert_eq!(of.category, Category::Ec2);
    assert_eq!(of.steps.len(), actions::of(Category::Ec2).len());
    for step in &of.steps {
        let withheld =
            matches!(&step.verdict, Authorization::Withheld(why) if why.by == ["tagged"]);
        assert_eq!(withheld, step.phase == Phase::Contain, "{step:?}");
    }
    // Of a user only what is done to users.
    let user = explain(&guard, &user_finding("mallory"), &settings(), now()).expect("explained");
    let actions: Vec<_> = user[0].steps.iter().map(|step| step.action).collect();
    assert_eq!(
        actions,
        [
            "iam:RevokeUserSessions",
            "iam:DeactivateAccessKey",
            "iam:DeactivateServiceSpecificCredential",
            "iam:MarkContained"
        ]
    );
    assert_eq!(user[0].steps[0].phase, Phase::Contain);
}

#[test]
fn credentials_that_are_used_from_an_affiliated_network_are_left_to_its_owner_unless_a_policy_differs()
 {
    let settings = settings();
    let of = |kind: &str, remote: Value| {
        finding(json!({
            "type": format!("UnauthorizedAccess:IAMUser/{kind}"),
            "severity": 5,
            "resource": {
                "resourceType": "AccessKey",
                "accessKeyDetails": {
                    "accessKeyId": "ASIASESSION000000000", "userType": "AssumedRole",
                    "principalId": "AROAPAYROLL:i-0abc1234def567890", "userName": "payroll",
                },
                "instanceDetails": { "instanceId": "i-0abc1234def567890" },
            },
            "service": { "action": { "awsApiCallAction": { "remoteAccountDetails": remote } } },
        }))
    };
    let own = DEFAULT.split("@id(\"affiliated-network\")").next().unwrap();
    let instance = "InstanceCredentialExfiltration.InsideAWS";
    for (kind, remote, left) in [
        (
            instance,
            json!({ "accountId": "999988887777", "affiliated": true }),
            true,
        ),
        (
            instance,
            json!({ "accountId": "999988887777", "affiliated": false }),
            false,
        ),
        (instance, json!({ "accountId": "999988887777" }), false),
        (
            instance,
            json!({ "accountId": "999988887777", "affiliated": false, "awsServiceName": "batch.amazonaws.com" }),
            true,
        ),
        (
            "ResourceCredentialExfiltration.InsideAWS",
            json!({ "accountId": "999988887777", "affiliated": true }),
            true,
        ),
        (
            "InstanceCredentialExfiltration.OutsideAWS",
            json!({ "accountId": "999988887777", "affiliated": true }),
            false,
        ),
    ] {
        let finding = of(kind, remote.clone());
        for category in [Category::Iam, Category::Ec2] {
            let decided = decide(category, &finding, &settings);
            if category == Category::Iam || kind == instance {
                let contains = matches!(decided, Decision::Contain(_));
                assert!(contains, "{decided:?}");
            }
            let withheld = |text: &str| {
                let guard = loaded(text);
                assert_eq!(guard.problem(), None);
                guard
                    .forbids(category, &finding, &settings, now())
                    .map(|why| why.by)
            };
            let by = vec!["affiliated-network".to_owned()];
            assert_eq!(withheld(DEFAULT), left.then_some(by), "{kind} {remote}");
            assert_eq!(withheld(own), None, "another policy decides otherwise");
        }
    }
}
