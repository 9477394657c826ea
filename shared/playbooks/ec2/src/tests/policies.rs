//! What policies see of an instance, and what the breaker counts of it.

use std::collections::BTreeMap;

use aws_sdk_cloudtrail::operation::lookup_events::{LookupEventsError, LookupEventsOutput};
use aws_sdk_cloudtrail::types::Event;
use aws_sdk_sns::operation::publish::{PublishError, PublishOutput};
use serde_json::json;
use testkit::{MockResponse, mock, mock_client};

use super::world::{ID, infected_with};
use super::*;
use fixtures::windows::{Windows, invocation};
use fixtures::{ENFORCING, enforcing, event};
use model::plan::{Action as _, Phase, Step};
use model::settings::Ec2Settings;
use policy::{Gate, LoadedPolicies};
use remediation::history::{AuthorizationSources, EventHistory};
use remediation::policy_parameter::PolicyParameter;
use remediation::respond::Responder;

fn tags(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    let tags = tags.iter();
    tags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Whether a policy with this condition withholds each step that contains, or none.
async fn withheld(account: Account, condition: &str) -> bool {
    let finding = infected_with(&account.tags);
    let world = World::new(account);
    let state = world.playbook.observe(&finding).await.unwrap();
    let guard = LoadedPolicies::new(&format!(
        "permit (principal, action, resource);
         @id(\"it\") forbid (principal, action, resource is Instance) when {{ {condition} }};"
    ));
    assert_eq!(guard.problem(), None, "{condition}");
    // Else a node is left alone whatever the policies say.
    let settings = Settings {
        ec2: Ec2Settings {
            isolate_container_nodes: true,
            ..Ec2Settings::default()
        },
        ..Settings::default()
    };
    let gate = Gate::new::<Ec2>(&guard, &finding, &ENFORCING, false, now());
    let plan = gate.plan::<Ec2>(&state, &settings);
    let steps = plan.steps.iter().filter_map(|step| match step {
        Step::Do(action) if action.phase() == Phase::Contain => Some(false),
        Step::Withheld(action, why) if action.phase() == Phase::Contain => Some(why.by == ["it"]),
        _ => None,
    });
    let steps: Vec<_> = steps.collect();
    assert!(steps.iter().all(|step| *step == steps[0]), "{condition}");
    steps[0]
}

#[tokio::test(start_paused = true)]
async fn a_policy_sees_all_that_is_observed_of_an_instance() {
    let plain = Account::default();
    let mut public = plain.clone();
    let interface = public.interfaces.get_mut("eni-2").expect("an interface");
    interface.public = vec![("198.51.100.9", None, None)];
    let grouped = Account {
        scaling: Some(("web-asg".to_owned(), "InService")),
        ..plain.clone()
    };
    let node = Account {
        tags: tags(&[("aws:eks:cluster-name", "prod")]),
        ..plain.clone()
    };
    let operated = Account {
        operator: true,
        ..plain.clone()
    };
    let of_path = Account {
        role_path: "/apps/",
        ..plain.clone()
    };
    let tagged = Account {
        tags: tags(&[("environment", "production")]),
        ..plain.clone()
    };
    for (condition, with, without) in [
        (
            "resource has autoScalingGroup && resource.autoScalingGroup == \"web-asg\"",
            &grouped,
            &plain,
        ),
        (
            "resource has internetFacing && resource.internetFacing",
            &public,
            &plain,
        ),
        (
            "resource has internetFacing && !resource.internetFacing",
            &plain,
            &public,
        ),
        (
            "resource has cluster && resource.cluster like \"EKS*\"",
            &node,
            &plain,
        ),
        ("resource has operator", &operated, &plain),
        (
            "resource has role && resource.role has path && resource.role.path == \"/apps/\"",
            &of_path,
            &plain,
        ),
        (
            "resource.hasTag(\"environment\") && resource.getTag(\"environment\") == \"production\"",
            &tagged,
            &plain,
        ),
    ] {
        assert!(withheld(with.clone(), condition).await, "{condition}");
        assert!(!withheld(without.clone(), condition).await, "{condition}");
    }
    let of_id = format!("resource.name == \"{ID}\"");
    assert!(withheld(plain, &of_id).await);
}

fn infected_event(tags: serde_json::Value) -> serde_json::Value {
    event(json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": { "instanceId": ID, "tags": tags },
        },
    }))
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_share_of_a_group_or_of_a_roles_instances_is_contained() {
    // Half of a group of six, half of four instances with the role.
    let account = |alike| Account {
        scaling: Some(("web-asg".to_owned(), "InService")),
        alike,
        ..prepared([], [])
    };
    for (window, alike, before, contained) in [
        ("group#us-east-1/web-asg", 100, &["i-1", "i-2"][..], true),
        (
            "group#us-east-1/web-asg",
            100,
            &["i-1", "i-2", "i-3"],
            false,
        ),
        ("role#us-east-1/web", 4, &["i-1"], true),
        ("role#us-east-1/web", 4, &["i-1", "i-2"], false),
        // It has its place already.
        ("role#us-east-1/web", 4, &["i-1", ID], true),
    ] {
        let windows = Windows::new();
        let key = format!("BREAKER#ec2#111122223333#{window}");
        windows.take(&key, before);
        let world = World::new(account(alike));
        let playbook = Ec2::over(world.playbook.clients.own.clone());
        let report = windows.answered(playbook, infected_event(json!([]))).await;
        let line = report.to_line();
        assert_eq!(world.is_isolated("eni-1"), contained, "{window}: {line}");
        let withheld = line.contains("withheld by breaker");
        assert_eq!(withheld, !contained, "{window}: {line}");
        let mut places: Vec<_> = before.iter().map(ToString::to_string).collect();
        places.extend(contained.then(|| ID.to_owned()));
        assert_eq!(
            windows.taken(&key),
            places.into_iter().collect(),
            "{window}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_was_set_since_spares_no_step_that_is_planned_while_others_are_executed() {
    let policy = "permit (principal, action, resource);
        @id(\"spared\") forbid (principal, action == Action::\"iam:DenyInstanceCredentials\", resource)
        when { resource.hasTag(\"isolation\") && resource.getTag(\"isolation\") == \"never\" };";
    for (call, denied) in [("CreateTags", true), ("StartInstances", false)] {
        let lookup = mock!(aws_sdk_cloudtrail::Client::lookup_events).then_compute_response(
            move |request| {
                assert_eq!(request.lookup_attributes()[0].attribute_value(), ID);
                let record =
                    json!({ "eventName": call, "userIdentity": { "userName": "mallory" } });
                let called = Event::builder()
                    .cloud_trail_event(record.to_string())
                    .build();
                MockResponse::Output::<_, LookupEventsError>(
                    LookupEventsOutput::builder().events(called).build(),
                )
            },
        );
        let publish = mock!(aws_sdk_sns::Client::publish).then_compute_response(|_| {
            MockResponse::Output::<_, PublishError>(PublishOutput::builder().build())
        });
        let trail = mock_client!(aws_sdk_cloudtrail, [&lookup]);
        let sns = mock_client!(aws_sdk_sns, [&publish]);
        let world = World::new(Account {
            tags: tags(&[("isolation", "never")]),
            ..prepared([], [])
        });
        let playbook = Ec2::over(world.playbook.clients.own.clone());
        let guards = AuthorizationSources {
            policies: PolicyParameter::fixed(LoadedPolicies::new(policy)),
            history: Some(EventHistory::with_clients(trail, None)),
        };
        let responder = Responder::new(playbook, enforcing(), sns).guarded(guards);
        let event = infected_event(json!([{ "key": "isolation", "value": "never" }]));
        let report = Box::pin(responder.respond(event, &invocation("request"))).await;
        let report = report.unwrap();
        assert!(world.is_isolated("eni-1"), "{}", report.to_line());
        assert_eq!(
            !world.now().policies.is_empty(),
            denied,
            "{}",
            report.to_line()
        );
        let told = report.next_steps().join("; ");
        assert_eq!(told.contains("mallory called CreateTags"), denied, "{told}");
    }
}
