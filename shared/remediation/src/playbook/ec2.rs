//! Instances: every network interface into a security group that lets nothing in or out.
//!
//! After step 2 of
//! <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-ec2.html>. Each interface is
//! changed by itself, since the call that changes "the instance's" groups covers only the primary
//! one; and each is read back.

mod isolation_group;
mod observe;

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Region;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::isolation_group::{IsolationGroup, NAME as ISOLATION_GROUP};
use super::Playbook;
use crate::catalogue::Category;
use crate::error::{CallContext, Result};
use crate::finding::Finding;
use crate::plan::{Action, Phase, Plan, Step, Undo};
use crate::settings::Settings;

const PREPARE: &str = "ec2:PrepareIsolationGroup";
const ISOLATE: &str = "ec2:IsolateInterface";

/// The playbook of the EC2 function.
#[derive(Debug)]
pub struct Ec2 {
    client: Client,
}

impl Ec2 {
    /// A playbook that calls with these settings, in the Region of each finding.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }

    fn client_in(&self, region: &str) -> Client {
        let config = self.client.config();
        if config.region().is_some_and(|own| own.as_ref() == region) {
            return self.client.clone();
        }
        Client::from_conf(
            config
                .to_builder()
                .region(Region::new(region.to_owned()))
                .build(),
        )
    }
}

/// What was read of an instance.
#[derive(Debug)]
pub struct State {
    /// `None`: there is no such instance (any more).
    instance: Option<Instance>,
    interfaces: Vec<Interface>,
    /// The isolation group of each VPC that has one.
    groups: BTreeMap<String, IsolationGroup>,
}

/// An instance.
#[derive(Debug)]
pub struct Instance {
    state: String,
    profile: Option<String>,
}

/// A network interface of an instance.
#[derive(Debug)]
pub struct Interface {
    id: String,
    vpc: String,
    groups: BTreeSet<String>,
    /// An AWS service manages it and allows no one else to change its groups.
    requester: Option<String>,
}

/// A change to an interface, or to the group that isolates it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// Makes sure that a VPC has an isolation group without rules.
    PrepareIsolationGroup {
        /// The Region.
        region: String,
        /// The VPC.
        vpc: String,
        /// The group as it was. `None`: there was none.
        from: Option<IsolationGroup>,
    },
    /// Puts an interface into the isolation group of its VPC, and into no other.
    IsolateInterface {
        /// The Region.
        region: String,
        /// The interface.
        interface: String,
        /// Its VPC.
        vpc: String,
        /// The groups it was in.
        from: BTreeSet<String>,
        /// The group it is to be in. `None`: it is made by the step before.
        to: Option<String>,
    },
}

impl Action for Change {
    const PERMISSIONS: &'static [(&'static str, &'static [&'static str])] = &[
        (
            PREPARE,
            &[
                "ec2:CreateSecurityGroup",
                "ec2:CreateTags",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeSecurityGroups",
                "ec2:RevokeSecurityGroupEgress",
                "ec2:RevokeSecurityGroupIngress",
            ],
        ),
        (
            ISOLATE,
            &[
                "ec2:DescribeSecurityGroups",
                "ec2:ModifyNetworkInterfaceAttribute",
            ],
        ),
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::PrepareIsolationGroup { .. } => PREPARE,
            Self::IsolateInterface { .. } => ISOLATE,
        }
    }
    fn target(&self) -> String {
        match self {
            Self::PrepareIsolationGroup { vpc, .. } => vpc.clone(),
            Self::IsolateInterface { interface, .. } => interface.clone(),
        }
    }
    fn phase(&self) -> Phase {
        Phase::Contain
    }
    fn order(&self) -> u8 {
        match self {
            Self::PrepareIsolationGroup { .. } => 0,
            Self::IsolateInterface { .. } => 1,
        }
    }
    fn from(&self) -> Value {
        match self {
            Self::PrepareIsolationGroup { from, .. } => {
                from.as_ref().map_or(json!({}), IsolationGroup::to_json)
            }
            Self::IsolateInterface { from, .. } => json!({ "Groups": from }),
        }
    }
    fn to(&self) -> Value {
        match self {
            Self::PrepareIsolationGroup { from, .. } => {
                let id = from.as_ref().map_or("to be created", |group| &group.id);
                json!({ "GroupName": ISOLATION_GROUP, "GroupId": id, "Rules": [] })
            }
            Self::IsolateInterface { to, .. } => {
                let group = to.as_deref().unwrap_or(ISOLATION_GROUP);
                json!({ "Groups": [group] })
            }
        }
    }
    fn undo(&self) -> Undo {
        match self {
            Self::PrepareIsolationGroup { .. } => Undo::Nothing(
                "the isolation group stays for the next time; without rules it does nothing",
            ),
            Self::IsolateInterface { .. } => Undo::Restore,
        }
    }
}

impl Playbook for Ec2 {
    const CATEGORY: Category = Category::Ec2;
    const READS: &'static [&'static str] = &[
        "ec2:DescribeInstances",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
    ];
    type State = State;
    type Action = Change;

    async fn observe(&self, finding: &Finding) -> Result<State> {
        observe::observe(&self.client_in(&finding.region), &finding.instance_id()?).await
    }

    fn plan(
        finding: &Finding,
        state: &State,
        _settings: &Settings,
        _now: Timestamp,
    ) -> Plan<Change> {
        let id = finding.instance_id().unwrap_or_default();
        let skipped = |target: &str, reason: String| Step::Skipped {
            action: ISOLATE,
            target: target.to_owned(),
            reason,
        };
        let mut plan = Plan::default();
        let Some(instance) = &state.instance else {
            plan.steps.push(skipped(
                &id,
                "there is no such instance (any more)".to_owned(),
            ));
            return plan;
        };
        if matches!(instance.state.as_str(), "terminated" | "shutting-down") {
            plan.steps.push(skipped(
                &id,
                format!(
                    "the instance is {}: nothing is left to isolate; look for snapshots of its volumes",
                    instance.state,
                ),
            ));
            return plan;
        }
        if state.interfaces.is_empty() {
            plan.steps.push(skipped(
                &id,
                "the instance has no network interface".to_owned(),
            ));
        }
        let vpcs: BTreeSet<_> = state
            .interfaces
            .iter()
            .filter(|interface| interface.requester.is_none())
            .map(|interface| &interface.vpc)
            .collect();
        for vpc in vpcs {
            let group = state.groups.get(vpc);
            let action = Change::PrepareIsolationGroup {
                region: finding.region.clone(),
                vpc: vpc.clone(),
                from: group.cloned(),
            };
            plan.steps.push(match group {
                Some(group) if group.is_empty() => {
                    Step::Already(action, format!("{} has no rules", group.id))
                }
                _ => Step::Do(action),
            });
            if let Some(group) = group.filter(|group| !group.is_empty()) {
                plan.next_steps.push(format!(
                    "find out who gave rules to {} ({ISOLATION_GROUP}): it is to have none",
                    group.id,
                ));
            }
        }
        for interface in &state.interfaces {
            plan.steps
                .push(plan_interface(&finding.region, interface, state));
        }
        remaining_risks(&mut plan, &id, instance);
        plan
    }

    async fn apply(&self, action: &Change) -> Result<()> {
        match action {
            Change::PrepareIsolationGroup { region, vpc, from } => {
                isolation_group::prepare(&self.client_in(region), vpc, from.as_ref()).await
            }
            Change::IsolateInterface {
                region,
                interface,
                vpc,
                ..
            } => isolation_group::attach(&self.client_in(region), vpc, interface).await,
        }
    }

    async fn restore(&self, action: &Change) -> Result<()> {
        match action {
            Change::PrepareIsolationGroup { .. } => Ok(()),
            Change::IsolateInterface {
                region,
                interface,
                from,
                ..
            } => {
                let client = self.client_in(region);
                let call = client
                    .modify_network_interface_attribute()
                    .network_interface_id(interface);
                let done = call
                    .set_groups(Some(from.iter().cloned().collect()))
                    .send()
                    .await;
                done.during("ec2:ModifyNetworkInterfaceAttribute", interface)
                    .map(drop)
            }
        }
    }
}

fn plan_interface(region: &str, interface: &Interface, state: &State) -> Step<Change> {
    if let Some(requester) = &interface.requester {
        return Step::Skipped {
            action: ISOLATE,
            target: interface.id.clone(),
            reason: format!(
                "{requester} manages this interface and allows nobody else to change its groups: cut it \
                 off at its subnet's network ACL, or through that service"
            ),
        };
    }
    let group = state.groups.get(&interface.vpc);
    let action = Change::IsolateInterface {
        region: region.to_owned(),
        interface: interface.id.clone(),
        vpc: interface.vpc.clone(),
        from: interface.groups.clone(),
        to: group.map(|group| group.id.clone()),
    };
    match group {
        Some(group) if group.is_empty() && interface.groups.iter().eq([&group.id]) => {
            Step::Already(
                action,
                format!("its only group is {}, which has no rules", group.id),
            )
        }
        _ => Step::Do(action),
    }
}

/// What a change of security groups does not cut,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html>.
fn remaining_risks(plan: &mut Plan<Change>, id: &str, instance: &Instance) {
    plan.residual_risks.push(
        "connections that were open keep working until they end or time out (tracked connections, above \
         all through NAT gateways and load balancers): a network ACL on the subnet cuts them"
            .to_owned(),
    );
    plan.residual_risks.push(
        "security groups do not filter DNS to the VPC's resolver: data can leave in DNS names unless \
         Route 53 Resolver DNS Firewall forbids it"
            .to_owned(),
    );
    if let Some(profile) = &instance.profile {
        plan.residual_risks.push(format!(
            "credentials of {profile} that were read on the instance work anywhere until they expire \
             (up to six hours)"
        ));
        plan.next_steps.push(format!(
            "deny the role of {profile} everything for the session named {id} (aws:userid), and review \
             what it did in CloudTrail"
        ));
    }
    plan.next_steps.push(format!(
        "take snapshots of the volumes of {id} before anything is stopped or terminated; if it is in an \
         Auto Scaling group, detach it, or its failing health check will terminate it"
    ));
    plan.next_steps.push(
        "to release it, give each interface the groups shown under `from` of its step".to_owned(),
    );
}

#[cfg(test)]
mod tests;
