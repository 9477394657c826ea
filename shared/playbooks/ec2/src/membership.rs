//! The services that notice that an isolated instance no longer answers, and terminate it or send requests to it: its
//! Auto Scaling group and its Classic Load Balancers.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use futures::future::join_all;
use tokio::time::sleep;

use super::state::Membership;
use aws::error::{CallContext, Error, Result};

/// How many pages of load balancers are looked through. Beyond it the report says that the on-call engineer must
/// look.
const MOST_PAGES: usize = 5;

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
#[expect(
    clippy::disallowed_methods,
    reason = "a group would terminate what it isolates"
)]
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

#[expect(
    clippy::disallowed_methods,
    reason = "release brings back what the responder put on standby"
)]
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

/// The effect on its group of taking an instance back from standby, if the group has another one in its place.
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
            "{group} has replaced {id}: taking it back raises the group's desired capacity from {wanted} \
             to {}. If this is more than it needs, its termination policy may terminate this instance or \
             another",
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

#[expect(
    clippy::disallowed_methods,
    reason = "no requests go to what is isolated; a release puts it back"
)]
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
