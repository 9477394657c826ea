//! Instances: every network interface into a security group that lets nothing in or out, the
//! credentials of this one instance denied everything, and nothing lost that is evidence.
//!
//! After step 2 of
//! <https://docs.aws.amazon.com/guardduty/latest/ug/compromised-ec2.html>. Each interface is
//! changed by itself, since the call that changes "the instance's" groups covers only the primary
//! one; and each is read back.

mod address;
mod agreement;
mod apply;
mod attributes;
mod bystanders;
mod change;
mod conversion;
mod describe;
mod forensics;
mod group_rules;
mod investigate;
mod isolation_group;
mod local_network;
mod locate;
mod membership;
pub(crate) mod name;
mod observe;
mod plan;
mod preserve;
mod risks;
mod role;
mod routes;
mod state;
mod target_groups;
mod timeouts;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_ec2::config::Region;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use self::change::{Attribute, Change};
pub use self::isolation_group::{IsolationGroup, NAME as ISOLATION_GROUP};
use self::locate::name_elsewhere;
pub use self::state::{Address, Instance, Interface, State, Target, Timeouts};
use super::{Playbook, Remains};
use crate::breaker::Member;
use crate::catalogue::Category;
use crate::error::{Error, Result};
use crate::execute::within;
use crate::finding::Finding;
use crate::guard::Resource;
use crate::investigate::afterwards::Credential;
use crate::investigate::trail::Trail;
use crate::investigate::{Answer, Inquiry, Investigation, Question, reason};
use crate::plan::{Action, Phase, Plan};
use crate::planner::Planner;
use crate::settings::{ForensicsRule, Settings};

/// How long a step may take that only protects: the interfaces wait for it.
const PROTECT_PATIENCE: Duration = Duration::from_secs(10);

/// The playbook of the EC2 function.
#[derive(Debug)]
pub struct Ec2 {
    clients: Clients,
    /// Those of other Regions, by Region, since the first use of each.
    elsewhere: Mutex<HashMap<String, Clients>>,
    /// `None`: CloudTrail is not asked.
    trail: Option<Trail>,
    /// The rules by which forensics get in, of which the peers are read with the instance.
    forensics_access: Vec<ForensicsRule>,
}

/// The services that it calls.
#[derive(Clone, Debug)]
struct Clients {
    ec2: aws_sdk_ec2::Client,
    iam: aws_sdk_iam::Client,
    autoscaling: aws_sdk_autoscaling::Client,
    elb: aws_sdk_elasticloadbalancing::Client,
    elbv2: aws_sdk_elasticloadbalancingv2::Client,
}

impl Ec2 {
    /// A playbook that calls with these settings, in the Region of each finding.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            clients: Clients {
                ec2: aws_sdk_ec2::Client::new(sdk),
                iam: aws_sdk_iam::Client::new(sdk),
                autoscaling: aws_sdk_autoscaling::Client::new(sdk),
                elb: aws_sdk_elasticloadbalancing::Client::new(sdk),
                elbv2: aws_sdk_elasticloadbalancingv2::Client::new(sdk),
            },
            elsewhere: Mutex::default(),
            trail: Some(Trail::new(sdk)),
            forensics_access: Vec::new(),
        }
    }

    fn clients_in(&self, region: &str) -> Clients {
        let own = self.clients.ec2.config().region();
        if own.is_some_and(|own| own.as_ref() == region) {
            return self.clients.clone();
        }
        // The map is whole after a panic too: it is changed by single calls.
        let mut elsewhere = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let there = elsewhere.entry(region.to_owned());
        there
            .or_insert_with(|| self.clients.in_region(region))
            .clone()
    }
}

/// The role, if what denies it the instance is not read yet.
fn undenied<'a>(
    role: &'a Result<Option<state::Role>>,
    deny: Option<&Result<Option<Value>>>,
) -> Option<&'a state::Role> {
    role.as_ref().ok()?.as_ref().filter(|_| deny.is_none())
}

impl Clients {
    fn in_region(&self, region: &str) -> Self {
        let region = Region::new(region.to_owned());
        macro_rules! there {
            ($service:ident, $client:expr) => {
                $service::Client::from_conf(
                    $client.config().to_builder().region(region.clone()).build(),
                )
            };
        }
        Self {
            ec2: there!(aws_sdk_ec2, self.ec2),
            // IAM is the same in every Region.
            iam: self.iam.clone(),
            autoscaling: there!(aws_sdk_autoscaling, self.autoscaling),
            elb: there!(aws_sdk_elasticloadbalancing, self.elb),
            elbv2: there!(aws_sdk_elasticloadbalancingv2, self.elbv2),
        }
    }
}

impl Planner for Ec2 {
    const CATEGORY: Category = Category::Ec2;

    type State = State;

    type Action = Change;

    fn recorded_target(finding: &Finding, action: &Change) -> Option<String> {
        name_elsewhere(finding, action.region())
    }

    fn plan(finding: &Finding, state: &State, settings: &Settings, now: Timestamp) -> Plan<Change> {
        plan::plan(finding, state, &settings.ec2, now)
    }

    fn resource(finding: &Finding, state: &State, action: &Change) -> Resource {
        let role = match action {
            Change::DenyCredentials { role_arn, .. } => Some(role_arn.as_str()),
            _ => None,
        };
        state.resource(finding, role)
    }

    fn blast_radius_groups(_finding: &Finding, state: &State, _action: &Change) -> Vec<Member> {
        state.crowds()
    }
}

impl Playbook for Ec2 {
    const READS: &'static [&'static str] = &[
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstances",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRegions",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSnapshots",
        "ec2:DescribeSubnets",
        "ec2:DescribeVolumes",
        "ec2:GetConsoleOutput",
        "ec2:GetManagedPrefixListEntries",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "iam:GetInstanceProfile",
        "iam:GetRolePolicy",
    ];
    const INVESTIGATES: &'static [&'static str] = Self::READS;

    fn configure(&mut self, settings: &Settings) {
        self.forensics_access
            .clone_from(&settings.ec2.forensics_access);
    }

    async fn observe(&self, finding: &Finding) -> Result<State> {
        let state = self.found(finding).await?;
        Ok(self.observed(finding, state, None).await)
    }

    /// A Region may have hundreds of target groups: only those that had the instance are asked again. So is only the
    /// Region in which it was found.
    async fn read_back(&self, finding: &Finding, planned: &[&Change]) -> Result<State> {
        let seen = planned.iter().find_map(|change| match change {
            Change::DeregisterTargets {
                seen: Some(seen), ..
            } => Some(seen.clone()),
            Change::DeregisterTargets { from, .. } => {
                Some(from.iter().map(|target| target.group.clone()).collect())
            }
            _ => None,
        });
        let state = match planned.iter().find_map(|change| change.region()) {
            Some(region) => {
                let id = finding.instance_id()?;
                self.glance_in(region, finding, &id).await?
            }
            None => self.found(finding).await?,
        };
        Ok(self
            .observed(finding, state, Some(&seen.unwrap_or_default()))
            .await)
    }

    fn reads_all_again(name: &str) -> bool {
        name != name::TARGETS
    }

    async fn glance(&self, finding: &Finding) -> Result<State> {
        self.found(finding).await
    }

    /// First what denying the credentials depends on, then the rest, if there is an instance for it; and the target
    /// groups of an account that has many.
    async fn complete(&self, finding: &Finding, part: &State) -> Option<State> {
        self.completed(finding, part, None).await
    }

    fn found_target(finding: &Finding, state: &State) -> Option<String> {
        let region = state.instance.as_ref().map(|_| state.region.as_str());
        name_elsewhere(finding, region)
    }

    fn evidence(state: &State) -> Value {
        json!(state)
    }

    async fn collect(&self, finding: &Finding, state: &State) -> Result<Value> {
        let clients = self.clients_in(&state.region);
        preserve::console(&clients.ec2, &finding.instance_id()?).await
    }

    async fn apply(&self, action: &Change) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        self.apply_by(action, until, std::future::ready(())).await
    }

    async fn apply_by(
        &self,
        action: &Change,
        until: Instant,
        preceding: impl Future<Output = ()>,
    ) -> Result<()> {
        let until = if action.phase() == Phase::Protect {
            until.min(Instant::now() + PROTECT_PATIENCE)
        } else {
            until
        };
        // Only cutting connections looks at the time itself; see there.
        // In a box, as the other futures here that hold many calls: each takes kilobytes of the stack.
        let change = Box::pin(async {
            if let Change::IsolateInterface {
                region,
                interface,
                vpc,
                account,
                to: Some(_),
                ..
            } = action
            {
                let ec2 = self.clients_in(region).ec2;
                return isolation_group::attach(&ec2, account, vpc, interface, preceding).await;
            }
            preceding.await;
            self.change(action, until).await
        });
        within(until, action.name(), change).await
    }

    /// A volume that EC2 has snapshotted too often for another one has one of a moment ago.
    fn dispensable(state: &State, action: &Change, error: &Error) -> Option<String> {
        match action {
            Change::SnapshotVolumes { volumes, .. } if preserve::is_too_often(error) => {
                preserve::covered(volumes, state.rest.as_ref()?)
            }
            _ => None,
        }
    }

    /// The deny of the role outlives its instance. A setting of an instance that a service operates was never
    /// changed by anybody else.
    fn remains(state: &State, action: &Change) -> Remains {
        let there = state.instance.as_ref();
        let ended = |state: &str| matches!(state, "terminated" | "shutting-down");
        let operated = there.is_some_and(|instance| instance.operator.is_some());
        match action {
            Change::ProtectAttribute { .. }
            | Change::KeepVolume { .. }
            | Change::DisableMetadata { .. }
                if operated =>
            {
                Remains::Nothing
            }
            _ if there.is_some_and(|instance| !ended(&instance.state)) => Remains::Unknown,
            Change::DenyCredentials { .. } => Remains::Itself,
            _ => Remains::Nothing,
        }
    }

    async fn restore(&self, action: &Change) -> Result<()> {
        Box::pin(self.put_back(action)).await
    }

    /// What others got meanwhile that putting back would take from them.
    async fn obstacle(&self, action: &Change) -> Option<String> {
        match action {
            Change::RemovePublicAddress {
                region,
                interface,
                from,
            } => address::taken(&self.clients_in(region).ec2, interface, from).await,
            Change::LeaveAutoScalingGroup {
                region,
                instance,
                group: Some(group),
                standby: true,
            } => membership::replaced(&self.clients_in(region).autoscaling, group, instance).await,
            _ => None,
        }
    }

    /// What was observed before tells of the instance; where nothing was, it is observed now.
    fn trail(&self) -> Option<&Trail> {
        self.trail.as_ref()
    }

    /// The instance's own credentials, where its role denies them everything.
    fn kept_out(finding: &Finding, in_effect: &BTreeSet<String>) -> Option<Credential> {
        let denies = |key: &String| key.split(' ').next() == Some(name::DENY);
        let id = finding.instance_id().ok()?;
        let denied = in_effect.iter().any(denies);
        denied.then(|| Credential::instance(&id))
    }

    async fn investigate(&self, inquiry: &Inquiry<'_>, state: Option<&State>) -> Investigation {
        let mut investigation = Investigation::default();
        if let Some(state) = state {
            let answer = investigate::answer(inquiry.finding, state);
            investigation.answers.push(answer);
        } else if inquiry.finding.has_instance() || inquiry.finding.instance_id().is_ok() {
            let observed = inquiry.within(self.glance(inquiry.finding)).await;
            investigation.answers.push(match observed {
                Ok(state) => investigate::answer(inquiry.finding, &state),
                Err(error) => Answer::unknown(
                    Question::Instance,
                    &format!(
                        "{}; look at the instance in the console of EC2",
                        reason(&error)
                    ),
                    "EC2",
                ),
            });
        }
        investigation
    }
}

impl Ec2 {
    /// The whole, from what was read at a glance. `groups`: the only target groups to ask.
    async fn observed(
        &self,
        finding: &Finding,
        glanced: State,
        groups: Option<&BTreeSet<String>>,
    ) -> State {
        let mut state = glanced;
        while let Some(more) = self.completed(finding, &state, groups).await {
            state = more;
        }
        state
    }

    async fn completed(
        &self,
        finding: &Finding,
        part: &State,
        groups: Option<&BTreeSet<String>>,
    ) -> Option<State> {
        let clients = self.clients_in(&part.region);
        let id = finding.instance_id().ok()?;
        let mut state = part.clone();
        let current = undenied(&part.role, part.deny.as_ref());
        let earlier = part.earlier.as_ref();
        let earlier = earlier.and_then(|found| undenied(&found.role, found.deny.as_ref()));
        if current.is_some() || earlier.is_some() {
            let read = async |role: Option<&state::Role>| match role {
                Some(role) => Some(Box::pin(observe::deny(&clients, role, &id)).await),
                None => None,
            };
            let (of_current, of_earlier) = futures::join!(read(current), read(earlier));
            state.deny = of_current.or(state.deny);
            if let Some(found) = &mut state.earlier {
                found.deny = of_earlier.or(found.deny.take());
            }
        } else if part.rest.is_none() && part.gone().is_none() {
            let rest = Box::pin(observe::rest(&clients, finding, &id, part, groups));
            state.rest = Some(rest.await);
        } else {
            let rest = state.rest.as_mut()?;
            let found = rest.targets.as_ref().ok()?;
            if found.left.is_empty() {
                return None;
            }
            let looking = target_groups::rest(&clients.elbv2, &id, &part.interfaces, found);
            rest.targets = Ok(Box::pin(looking).await);
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests;
