//! What would notice that an isolated instance does not answer any more, and terminate it or send
//! people to it: its Auto Scaling group, its target groups, its Classic Load Balancers.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_elasticloadbalancingv2::types::{
    ProtocolEnum, TargetDescription, TargetGroup, TargetHealthStateEnum,
};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::sleep;

use super::state::{Interface, Membership, Registrations, Target};
use crate::error::{CallContext, Error, Result};

/// How many target groups or pages of load balancers are looked through. Beyond it the report says
/// that a person must look.
const MOST_TARGET_GROUPS: usize = 500;
const MOST_PAGES: usize = 5;
/// How many target groups are asked at once.
const AT_ONCE: usize = 10;

/// The group's own activities end within seconds, or are none of ours to wait for.
const BUSY: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

pub(super) async fn scaling(
    client: &aws_sdk_autoscaling::Client,
    id: &str,
) -> Result<Option<Membership>> {
    let answer = client
        .describe_auto_scaling_instances()
        .instance_ids(id)
        .send()
        .await
        .during("autoscaling:DescribeAutoScalingInstances", id)?;
    let found = answer.auto_scaling_instances.unwrap_or_default();
    Ok(found.into_iter().next().map(|member| Membership {
        group: member.auto_scaling_group_name.unwrap_or_default(),
        lifecycle: member.lifecycle_state.unwrap_or_default(),
        size: Err(Error::Refused("the group was not asked for".to_owned())),
    }))
}

/// How many instances a group has. One that was taken out and is not replaced yet counts too: the
/// capacity that is wanted stays the same.
pub(super) async fn size(client: &aws_sdk_autoscaling::Client, group: &str) -> Result<usize> {
    let found = described(client, group).await?;
    let wanted = usize::try_from(found.desired_capacity().unwrap_or_default());
    Ok(found.instances().len().max(wanted.unwrap_or_default()))
}

async fn described(client: &aws_sdk_autoscaling::Client, group: &str) -> Result<AutoScalingGroup> {
    let answer = client
        .describe_auto_scaling_groups()
        .auto_scaling_group_names(group)
        .send()
        .await
        .during("autoscaling:DescribeAutoScalingGroups", group)?;
    let mut found = answer.auto_scaling_groups.unwrap_or_default();
    found.pop().ok_or_else(|| {
        let operation = "autoscaling:DescribeAutoScalingGroups";
        Error::Refused(format!("{operation} answered without the group {group}"))
    })
}

/// Takes the instance out of its group without lowering the desired capacity, so that the group
/// starts another one,
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-detach-attach-instances.html>.
pub(super) async fn detach(
    client: &aws_sdk_autoscaling::Client,
    group: &str,
    id: &str,
) -> Result<()> {
    unless_busy(|| async {
        client
            .detach_instances()
            .auto_scaling_group_name(group)
            .instance_ids(id)
            .should_decrement_desired_capacity(false)
            .send()
            .await
            .during("autoscaling:DetachInstances", id)
            .map(drop)
    })
    .await
}

/// Puts the instance on standby in its group without lowering the desired capacity.
pub(super) async fn enter_standby(
    client: &aws_sdk_autoscaling::Client,
    group: &str,
    id: &str,
) -> Result<()> {
    unless_busy(|| async {
        client
            .enter_standby()
            .auto_scaling_group_name(group)
            .instance_ids(id)
            .should_decrement_desired_capacity(false)
            .send()
            .await
            .during("autoscaling:EnterStandby", id)
            .map(drop)
    })
    .await
}

pub(super) async fn exit_standby(
    client: &aws_sdk_autoscaling::Client,
    group: &str,
    id: &str,
) -> Result<()> {
    unless_busy(|| async {
        client
            .exit_standby()
            .auto_scaling_group_name(group)
            .instance_ids(id)
            .send()
            .await
            .during("autoscaling:ExitStandby", id)
            .map(drop)
    })
    .await
}

/// What taking an instance back from standby would do to its group, if that has another one in its place.
pub(super) async fn replaced(
    client: &aws_sdk_autoscaling::Client,
    group: &str,
    id: &str,
) -> Option<String> {
    let found = match described(client, group).await {
        Ok(found) => found,
        Err(error) => {
            return Some(format!(
                "whether {group} has replaced {id} could not be read: {error}"
            ));
        }
    };
    let members = found.instances().iter();
    let others = members.filter(|member| member.instance_id() != Some(id));
    let serving = others.filter(|member| {
        let lifecycle = member.lifecycle_state().map(|state| state.as_str());
        lifecycle.is_some_and(|state| state == "InService" || state.starts_with("Pending"))
    });
    let wanted = usize::try_from(found.desired_capacity().unwrap_or_default()).unwrap_or_default();
    (serving.count() >= wanted).then(|| {
        format!(
            "{group} has replaced {id}: taking it back raises the group's desired capacity from {wanted} to \
             {}, and where that is more than it needs, its termination policy may terminate this instance \
             or another",
            wanted + 1,
        )
    })
}

async fn unless_busy<W: Future<Output = Result<()>>>(work: impl Fn() -> W) -> Result<()> {
    for pause in BUSY {
        match work().await {
            Err(error)
                if error.has_code("ScalingActivityInProgress")
                    || error.has_code("ResourceContention") =>
            {
                sleep(pause).await;
            }
            result => return result,
        }
    }
    work().await
}

/// Registrations of the instance: by its id, or by an address that it has in the group's VPC.
///
/// The targets of a group are not asked for by id: a registration with a port of its own is found
/// only by that port. `only`: the groups that are asked.
pub(super) async fn targets(
    client: &aws_sdk_elasticloadbalancingv2::Client,
    id: &str,
    interfaces: &[Interface],
    only: Option<&BTreeSet<String>>,
) -> Result<Registrations> {
    if only.is_some_and(BTreeSet::is_empty) {
        return Ok(Registrations::default());
    }
    let mut pages = client.describe_target_groups().into_paginator().send();
    let mut groups = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.during("elasticloadbalancing:DescribeTargetGroups", id)?;
        groups.extend(page.target_groups.unwrap_or_default());
        if groups.len() > MOST_TARGET_GROUPS {
            return Err(Error::Refused(format!(
                "there are more than {MOST_TARGET_GROUPS} target groups, which are too many to look \
                 through for {id}: deregister it by hand where it is registered"
            )));
        }
    }
    let is_asked = |group: &TargetGroup| {
        only.is_none_or(|only| {
            group
                .target_group_arn()
                .is_some_and(|arn| only.contains(arn))
        })
    };
    let groups = groups.into_iter().filter(is_asked);
    let registered = stream::iter(groups.map(|group| in_group(client, group, id, interfaces)));
    let found: Vec<Registrations> = registered.buffer_unordered(AT_ONCE).try_collect().await?;
    let mut all = Registrations::default();
    for group in found {
        all.own.extend(group.own);
        all.elsewhere.extend(group.elsewhere);
    }
    for targets in [&mut all.own, &mut all.elsewhere] {
        targets.sort_by(|a, b| (&a.group, &a.id, a.port).cmp(&(&b.group, &b.id, b.port)));
    }
    Ok(all)
}

/// Private addresses are unique in a VPC only. What a group of another VPC has under the zone `all` is
/// outside that VPC, and may be this instance or what has its address in a third one,
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetDescription.html>.
async fn in_group(
    client: &aws_sdk_elasticloadbalancingv2::Client,
    group: TargetGroup,
    id: &str,
    interfaces: &[Interface],
) -> Result<Registrations> {
    let mut registrations = Registrations::default();
    let vpc = group.vpc_id.as_deref();
    let there = |interface: &&Interface| Some(interface.vpc.as_str()) == vpc;
    let has = |address: &str, interface: &Interface| interface.has_address(address);
    let by_address = match group.target_type.as_ref().map(|kind| kind.as_str()) {
        // An instance is registered by its id in a group of its own VPC only.
        Some("instance") | None if vpc.is_some() && !interfaces.iter().any(|i| there(&i)) => {
            return Ok(registrations);
        }
        Some("instance") | None => false,
        Some("ip") => true,
        Some(_) => return Ok(registrations),
    };
    let network = matches!(
        group.protocol,
        Some(
            ProtocolEnum::Tcp
                | ProtocolEnum::Udp
                | ProtocolEnum::Tls
                | ProtocolEnum::TcpUdp
                | ProtocolEnum::Quic
                | ProtocolEnum::TcpQuic
        )
    );
    let arn = group.target_group_arn.as_deref().unwrap_or_default();
    let health = client
        .describe_target_health()
        .target_group_arn(arn)
        .send()
        .await
        .during("elasticloadbalancing:DescribeTargetHealth", arn)?;
    for found in health.target_health_descriptions.unwrap_or_default() {
        let state = found.target_health.and_then(|health| health.state);
        let Some(target) = found.target else {
            continue;
        };
        let target = Target {
            group: arn.to_owned(),
            id: target.id.unwrap_or_default(),
            port: target.port,
            zone: target.availability_zone,
            network,
            draining: state == Some(TargetHealthStateEnum::Draining),
        };
        let named = |interface: &&Interface| by_address && has(&target.id, interface);
        let outside = vpc.is_none() || target.zone.as_deref() == Some("all");
        if (!by_address && target.id == id) || interfaces.iter().filter(there).any(|i| named(&i)) {
            registrations.own.push(target);
        } else if outside && interfaces.iter().any(|i| named(&i)) {
            registrations.elsewhere.push(target);
        }
    }
    Ok(registrations)
}

fn description(target: &Target) -> TargetDescription {
    TargetDescription::builder()
        .id(&target.id)
        .set_port(target.port)
        // A zone is given back only where it must be given: for an address outside the VPC.
        .set_availability_zone(target.zone.clone().filter(|zone| zone == "all"))
        .build()
}

pub(super) async fn deregister_targets(
    client: &aws_sdk_elasticloadbalancingv2::Client,
    targets: &[Target],
) -> Result<()> {
    all(targets.iter().map(async |target| {
        let call = client.deregister_targets().target_group_arn(&target.group);
        let done = call.targets(description(target)).send().await;
        done.during("elasticloadbalancing:DeregisterTargets", &target.group)
            .map(drop)
    }))
    .await
}

pub(super) async fn register_targets(
    client: &aws_sdk_elasticloadbalancingv2::Client,
    targets: &[Target],
) -> Result<()> {
    all(targets.iter().map(async |target| {
        let call = client.register_targets().target_group_arn(&target.group);
        let done = call.targets(description(target)).send().await;
        done.during("elasticloadbalancing:RegisterTargets", &target.group)
            .map(drop)
    }))
    .await
}

pub(super) async fn balancers(
    client: &aws_sdk_elasticloadbalancing::Client,
    id: &str,
) -> Result<BTreeSet<String>> {
    let mut pages = client.describe_load_balancers().into_paginator().send();
    let mut names = BTreeSet::new();
    let mut seen = 0;
    while let Some(page) = pages.next().await {
        let page = page.during("elasticloadbalancing:DescribeLoadBalancers", id)?;
        for balancer in page.load_balancer_descriptions.unwrap_or_default() {
            let mut instances = balancer.instances().iter();
            if instances.any(|instance| instance.instance_id() == Some(id)) {
                names.extend(balancer.load_balancer_name);
            }
        }
        seen += 1;
        if seen == MOST_PAGES && page.next_marker.is_some() {
            return Err(Error::Refused(format!(
                "there are more Classic Load Balancers than {MOST_PAGES} pages hold: deregister {id} by \
                 hand where it is registered"
            )));
        }
    }
    Ok(names)
}

fn classic(id: &str) -> aws_sdk_elasticloadbalancing::types::Instance {
    aws_sdk_elasticloadbalancing::types::Instance::builder()
        .instance_id(id)
        .build()
}

pub(super) async fn leave_balancers(
    client: &aws_sdk_elasticloadbalancing::Client,
    names: &BTreeSet<String>,
    id: &str,
) -> Result<()> {
    all(names.iter().map(async |name| {
        let call = client.deregister_instances_from_load_balancer();
        let done = call.load_balancer_name(name).instances(classic(id)).send();
        done.await
            .during(
                "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
                name,
            )
            .map(drop)
    }))
    .await
}

pub(super) async fn join_balancers(
    client: &aws_sdk_elasticloadbalancing::Client,
    names: &BTreeSet<String>,
    id: &str,
) -> Result<()> {
    all(names.iter().map(async |name| {
        let call = client.register_instances_with_load_balancer();
        let done = call.load_balancer_name(name).instances(classic(id)).send();
        done.await
            .during(
                "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
                name,
            )
            .map(drop)
    }))
    .await
}

/// All of them, whatever becomes of each; then the first error.
pub(super) async fn all<W: Future<Output = Result<()>>>(
    work: impl IntoIterator<Item = W>,
) -> Result<()> {
    join_all(work).await.into_iter().collect()
}
