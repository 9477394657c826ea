//! Approving an isolation whose VPC is not to the letter as it was planned for.

use jiff::SignedDuration;
use serde_json::Value;

use super::world::{Group, names};
use super::*;
use aws::error::Result;
use fixtures::hostile::recording::incidents;
use fixtures::table::table;
use fixtures::windows::{Windows, invocation};
use fixtures::{enforcing, event};
use model::decision::ResponseMode;
use policy::{DEFAULT, LoadedPolicies};
use remediation::approve::{Approver, approve};
use remediation::policy_parameter::PolicyParameter;
use remediation::record::Incident;

fn again(world: &World) -> Ec2 {
    Ec2::over(world.playbook.clients.own.clone())
}

/// What comes of approving, where this happens after the plan was stored.
async fn approved(account: Account, happens: impl FnOnce(&mut Account)) -> (World, Result<Report>) {
    approved_as_stored(account, |_| {}, happens).await
}

/// The same, where the plan in the table is changed so.
async fn approved_as_stored(
    account: Account,
    change: impl FnOnce(&mut Value),
    happens: impl FnOnce(&mut Account),
) -> (World, Result<Report>) {
    let world = World::new(account);
    let (items, record) = table();
    let mut config = enforcing();
    config.policy.mode = ResponseMode::Approve;
    let responder = Windows::new().responder(again(&world), config);
    let responder = responder.recording(record.clone());
    let event = event(serde_json::json!({
        "type": "Backdoor:EC2/C&CActivity.B",
        "resource": { "resourceType": "Instance", "instanceDetails": { "instanceId": world::ID } },
    }));
    let report = Box::pin(responder.respond(event.clone(), &invocation("request"))).await;
    let report = report.expect("an answer");
    assert!(report.approval().is_some(), "{}", report.to_line());
    assert!(world.wire.writes().is_empty(), "{:?}", world.wire.writes());
    let found = incidents(&items).remove(0);
    let mut awaiting = serde_json::from_str(&found["awaiting"]).expect("JSON");
    change(&mut awaiting);
    let incident = Incident {
        id: report.finding_id().to_owned(),
        category: "ec2".to_owned(),
        account_id: "111122223333".to_owned(),
        status: "notified".to_owned(),
        awaiting,
        event,
        ..Incident::default()
    };
    happens(&mut world.now());
    let policies = PolicyParameter::fixed(LoadedPolicies::new(DEFAULT));
    let approver = Approver {
        by: "arn:aws:iam::111122223333:user/ann",
        record: &record,
        policies: &policies,
        current: None,
        notices: None,
    };
    let later = now() + SignedDuration::from_mins(5);
    let done = Box::pin(approve(again(&world), &approver, &incident, later)).await;
    (world, done)
}

fn isolated(world: &World, done: Result<Report>) {
    let report = done.expect("it is approved");
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(world.is_isolated("eni-1"));
}

#[tokio::test(start_paused = true)]
async fn the_second_instance_of_a_vpc_is_approved_when_the_first_one_made_the_group() {
    let (world, done) = approved(one(), |account| {
        account.groups = prepared([], []).groups;
    })
    .await;
    isolated(&world, done);
    assert_eq!(world.groups_of("eni-1"), ["sg-isolation"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_group_before_the_approval_does_not_block_it() {
    let opened = |account: &mut Account| {
        let group = account.groups.get_mut("sg-isolation").expect("the group");
        group.ingress = names(["0.0.0.0/0"]);
    };
    let (world, done) = approved(prepared([], []), opened).await;
    isolated(&world, done);
    // One of the name is made, with rules and without the tag.
    let (world, done) = approved(one(), |account| {
        let made = Group {
            role: None,
            ..group("vpc-a", ["0.0.0.0/0"], ["0.0.0.0/0"])
        };
        account.groups.insert("sg-isolation-made".to_owned(), made);
    })
    .await;
    isolated(&world, done);
    assert_eq!(world.groups_of("eni-1"), ["sg-isolation-made"]);
    // The one that was there loses its tag, and another one of ours is opened.
    let (world, done) = approved(prepared([], []), |account| {
        account.groups.get_mut("sg-isolation").unwrap().role = None;
        let other = Group {
            name: "gdr-isolation-00c0ffee".to_owned(),
            ..group("vpc-a", ["0.0.0.0/0"], [])
        };
        account
            .groups
            .insert("sg-isolation-other".to_owned(), other);
    })
    .await;
    isolated(&world, done);
    assert!(world.now().groups["sg-isolation-other"].ingress.is_empty());
    let role = world.now().groups["sg-isolation"].role.clone();
    assert_eq!(role.as_deref(), Some("isolation"));
}

#[tokio::test(start_paused = true)]
async fn a_changed_instance_is_refused_at_approval() {
    let (world, done) = approved(one(), |account| {
        let interface = account.interfaces.get_mut("eni-1").expect("it");
        interface.groups = names(["sg-other"]);
    })
    .await;
    let refused = done.expect_err("it is refused").to_string();
    assert!(
        refused.contains("ec2:IsolateInterface on eni-1"),
        "{refused}"
    );
    assert!(world.wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_an_earlier_version_stored_is_approved() {
    let without_the_account = |plan: &mut Value| {
        for step in plan["steps"].as_array_mut().expect("steps") {
            let recorded = step["recorded"].as_object_mut().expect("an action");
            for action in recorded.values_mut() {
                let action = action.as_object_mut().expect("its values");
                action.remove("account");
            }
        }
    };
    let (world, done) = approved_as_stored(prepared([], []), without_the_account, |_| {}).await;
    isolated(&world, done);
}
