//! What becomes of a whole instance: protected, left by its groups, isolated, its credentials denied,
//! preserved, marked, and put back.

#![expect(
    clippy::disallowed_methods,
    reason = "the account answers the calls that containment itself may not make"
)]

mod adversity;
mod approval;
mod bystanders;
mod contain;
mod credentials;
mod cut;
mod ec2_rules;
mod elsewhere;
mod forensics;
mod golden;
mod hostile;
mod investigation;
mod isolation;
mod mark;
mod no_room;
mod other_rules;
mod out_of_reach;
mod policies;
mod protect;
mod release;
mod shared_groups;
mod snapshots;
mod target_groups;
mod waves;
mod world;

use self::world::{Account, World, account, group, infected};
use super::Ec2;
use super::action::{Action, DenyCredentials, IsolateInterface};
use aws::error::Error;
use aws::playbook::Playbook as _;
use fixtures::{World as _, answer, now};
use model::plan::Plan;
use model::planner::Planner as _;
use model::report::{Outcome, Report, Status};
use model::settings::Settings;
use remediation::execute::Execution;

const MODIFY: &str = "ec2:ModifyNetworkInterfaceAttribute";
const PREPARE: &str = "ec2:PrepareIsolationGroup";
const ISOLATE: &str = "ec2:IsolateInterface";

/// The group that is made in vpc-a.
const MADE: &str = "sg-gdr-isolation-vpc-a";

/// The outcome of the step of this action on this target.
fn outcome(done: &Execution<Action>, action: &str, target: &str) -> Option<Outcome> {
    let mut steps = done.steps.iter();
    let step = steps.find(|step| step.action() == action && step.target() == target);
    step.map(|step| step.outcome())
}

fn detail<'a>(done: &'a Execution<Action>, action: &str) -> &'a str {
    let mut steps = done.steps.iter();
    let step = steps.find(|step| step.action() == action);
    step.map_or("no such step", |step| step.detail())
}

/// One interface in one VPC.
fn one() -> Account {
    account([("eni-1", "vpc-a")])
}

/// [`one`], where the group exists already, with these rules in and out.
fn prepared<const I: usize, const E: usize>(ingress: [&str; I], egress: [&str; E]) -> Account {
    Account {
        groups: [("sg-isolation".to_owned(), group("vpc-a", ingress, egress))].into(),
        ..one()
    }
}

async fn contain(world: &World) -> (Report, Option<Error>) {
    answer(&world.playbook, &infected()).await
}

/// Contains, and asserts that it is so.
async fn contained(world: &World) -> Report {
    let (report, transient) = contain(world).await;
    assert_eq!(report.status(), Status::Contained, "{}", report.to_line());
    assert!(world.is_contained());
    assert!(transient.is_none());
    report
}

async fn planned(world: &World) -> Plan<Action> {
    let state = world.playbook.observe(&infected()).await.unwrap();
    Ec2::plan(&infected(), &state, &Settings::default(), now())
}

/// The outcome and detail of the step of this action on this target.
fn step<'a>(report: &'a Report, action: &str, target: &str) -> (Outcome, &'a str) {
    let mut steps = report.steps().iter();
    let step = steps.find(|step| step.action() == action && step.target() == target);
    let step = step.unwrap_or_else(|| panic!("no {action} on {target}: {}", report.to_line()));
    (step.outcome(), step.detail())
}
