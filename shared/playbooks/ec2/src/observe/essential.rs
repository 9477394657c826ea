//! Reads what decides whether and how an instance is contained, in one Region.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::super::clients::Services;
use super::super::describe::{alike, instance, interfaces};
use super::super::forensics;
use super::super::instance::{Instance, Interface};
use super::super::isolation_group::{self, Found, IsolationGroup, Purpose};
use super::super::state::{Earlier, ForwardingTable, LocalNetworks, Membership, Role, State};
use super::super::{bystanders, local_network, membership, role};
use aws::deadline::within;
use aws::error::Result;
use model::finding::Finding;
use model::settings::ForensicsRule;

/// How long the reads may take that do not decide whether an interface is isolated.
const PATIENCE: Duration = Duration::from_secs(6);

/// The time for reading the sizes of groups. Without an answer the limit is not applied, and the report says so.
const SIZING_PATIENCE: Duration = Duration::from_secs(2);

/// Bounds a read that does not decide whether an interface is isolated. In a box, since it holds many calls.
pub(super) fn in_time<T>(
    operation: &'static str,
    reading: impl Future<Output = Result<T>>,
) -> impl Future<Output = Result<T>> {
    within(Instant::now() + PATIENCE, operation, Box::pin(reading))
}

/// The values that decide whether and how an instance is contained: in one round trip, where the finding shows the
/// instance profile and the tags of its Auto Scaling group as they still are.
pub(super) async fn read(
    services: &Services,
    finding: &Finding,
    region: &str,
    id: &str,
    access: &[ForensicsRule],
) -> Result<State> {
    let ec2 = &services.ec2;
    let shown = finding.instance_profile_arn();
    let (core, scaling, of_profile, peers) = futures::join!(
        Box::pin(core(ec2, finding, id)),
        Box::pin(scaling(&services.autoscaling, finding, id)),
        Box::pin(of_profile(services, shown)),
        Box::pin(forensics::peers(ec2, access, Instant::now() + PATIENCE)),
    );
    let Core {
        instance,
        interfaces,
        groups,
        forwarding,
    } = core?;
    let local_networks = Box::pin(local_networks(ec2, finding, instance.as_ref(), &interfaces));
    let local_networks = local_networks.await;
    let profile = instance.as_ref().and_then(|found| found.profile.as_deref());
    let ((role, alike), earlier) = if profile == shown {
        (of_profile, None)
    } else {
        let current = Box::pin(self::of_profile(services, profile)).await;
        (current, earlier(shown, of_profile.0))
    };
    let same = |earlier: &Earlier| match (&earlier.role, &role) {
        (Ok(Some(earlier)), Ok(Some(role))) => earlier.arn == role.arn,
        _ => false,
    };
    let earlier = earlier.filter(|earlier| !same(earlier));
    let vpcs: BTreeSet<_> = interfaces.iter().map(|found| found.vpc.clone()).collect();
    let ours: BTreeSet<_> = groups.iter().map(|found| found.group.id.clone()).collect();
    let Groups {
        by_vpc,
        others,
        conversion,
    } = by_purpose(groups, &vpcs);
    Ok(State {
        region: region.to_owned(),
        elsewhere: None,
        access: forensics::access(access, &peers, &vpcs, &ours),
        instance,
        interfaces,
        groups: by_vpc,
        other_groups: others,
        conversion_groups: conversion,
        local_networks,
        forwarding,
        scaling,
        role,
        alike,
        deny: None,
        earlier,
        rest: None,
    })
}

/// The instance and what lets it out of its VPC.
struct Core {
    instance: Option<Instance>,
    interfaces: Vec<Interface>,
    groups: Vec<Found>,
    forwarding: Result<Vec<ForwardingTable>>,
}

/// The interfaces' VPCs are not known yet; the groups' names find them in all VPCs, so that nothing has to wait
/// for the interfaces.
async fn core(client: &aws_sdk_ec2::Client, finding: &Finding, id: &str) -> Result<Core> {
    let (instance, interfaces, groups) = futures::try_join!(
        Box::pin(instance(client, finding, id)),
        Box::pin(interfaces(client, id)),
        Box::pin(isolation_group::find(client, &finding.account_id, None)),
    )?;
    let reading = bystanders::forwarding(client, &interfaces);
    let forwarding = in_time("ec2:DescribeRouteTables", reading).await;
    Ok(Core {
        instance,
        interfaces,
        groups,
        forwarding,
    })
}

/// Our groups by what they are for.
#[derive(Default)]
struct Groups {
    /// The group that isolates, in each VPC.
    by_vpc: BTreeMap<String, IsolationGroup>,
    /// The others in the VPCs of the instance, in which other instances may be isolated.
    others: Vec<IsolationGroup>,
    /// By id, those that let everything through.
    conversion: BTreeMap<String, IsolationGroup>,
}

fn by_purpose(found: Vec<Found>, vpcs: &BTreeSet<String>) -> Groups {
    let mut groups = Groups::default();
    for Found { group, purpose, .. } in found {
        match purpose {
            Purpose::Isolation if !groups.by_vpc.contains_key(&group.vpc) => {
                groups.by_vpc.insert(group.vpc.clone(), group);
            }
            Purpose::Isolation | Purpose::Forensics => groups.others.push(group),
            Purpose::Conversion => {
                groups.conversion.insert(group.id.clone(), group);
            }
        }
    }
    groups.others.retain(|group| vpcs.contains(&group.vpc));
    groups
}

/// Only an Outpost has local networks, so that no other instance waits for its subnets.
async fn local_networks(
    client: &aws_sdk_ec2::Client,
    finding: &Finding,
    instance: Option<&Instance>,
    interfaces: &[Interface],
) -> Option<LocalNetworks> {
    let on_outpost = finding.is_on_outpost()
        || instance.is_some_and(|instance| instance.on_outpost)
        || interfaces.iter().any(|interface| interface.on_outpost);
    if !on_outpost {
        return None;
    }
    let reading = local_network::read(client, interfaces);
    Some(LocalNetworks(in_time("ec2:DescribeSubnets", reading).await))
}

/// The reading of the finding's profile, if the instance no longer has it.
fn earlier(profile: Option<&str>, role: Result<Option<Role>>) -> Option<Earlier> {
    let role = match role {
        Err(error) if error.is_gone() => Ok(None),
        role => role,
    };
    Some(Earlier {
        profile: profile?.to_owned(),
        role,
        deny: None,
    })
}

/// The role of an instance profile, and how many instances have it.
async fn of_profile(
    services: &Services,
    profile: Option<&str>,
) -> (Result<Option<Role>>, Result<usize>) {
    futures::join!(
        in_time("iam:GetInstanceProfile", role::read(&services.iam, profile)),
        within(
            Instant::now() + SIZING_PATIENCE,
            "ec2:DescribeInstances",
            Box::pin(alike(&services.ec2, profile))
        ),
    )
}

/// The instance's Auto Scaling group, and how large that is. The group that the finding shows is asked for its size at
/// the same time.
async fn scaling(
    client: &aws_sdk_autoscaling::Client,
    finding: &Finding,
    id: &str,
) -> Result<Option<Membership>> {
    let shown = finding.auto_scaling_group();
    let size = async |group: Option<&str>| {
        let until = Instant::now() + SIZING_PATIENCE;
        let operation = "autoscaling:DescribeAutoScalingGroups";
        match group {
            Some(group) => within(until, operation, membership::size(client, group)).await,
            None => Ok(0),
        }
    };
    let operation = "autoscaling:DescribeAutoScalingInstances";
    let reading = in_time(operation, membership::scaling(client, id));
    let (found, of_shown) = futures::join!(reading, size(shown));
    let Some(mut found) = found? else {
        return Ok(None);
    };
    found.size = if shown == Some(found.group.as_str()) {
        of_shown
    } else {
        size(Some(&found.group)).await
    };
    Ok(Some(found))
}
