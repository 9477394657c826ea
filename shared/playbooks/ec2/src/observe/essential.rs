//! Reads what decides whether and how an instance is contained, in one Region.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::super::clients::Services;
use super::super::describe::{alike, instance, interfaces};
use super::super::forensics;
use super::super::instance::{Instance, Interface};
use super::super::isolation_group::{self, Purpose};
use super::super::state::{Earlier, LocalNetworks, Membership, Role, State};
use super::super::{bystanders, local_network, membership, role};
use aws::deadline::within;
use aws::error::{Error, Result};
use model::finding::Finding;
use model::settings::ForensicsRule;

/// How long the reads may take that do not decide whether an interface is isolated.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);

/// The time for reading the sizes of groups. Without an answer the limit is not applied, and the report says so.
const SIZING_PATIENCE: Duration = Duration::from_secs(2);

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
    let account = &finding.account_id;
    let shown = finding.instance_profile_arn();
    let (core, scaling, of_profile, peers) = futures::join!(
        // The interfaces' VPCs are not known yet; the groups' names find them in all VPCs, so that
        // nothing has to wait for the interfaces.
        Box::pin(async {
            let (instance, interfaces, groups) = futures::try_join!(
                Box::pin(instance(ec2, finding, id)),
                Box::pin(interfaces(ec2, id)),
                Box::pin(isolation_group::find(ec2, account, None)),
            )?;
            let reading = Box::pin(bystanders::forwarding(ec2, &interfaces));
            let until = Instant::now() + PATIENCE;
            let forwarding = within(until, "ec2:DescribeRouteTables", reading).await;
            Ok::<_, Error>((instance, interfaces, groups, forwarding))
        }),
        Box::pin(scaling(&services.autoscaling, finding, id)),
        Box::pin(of_profile(services, shown)),
        Box::pin(forensics::peers(ec2, access, Instant::now() + PATIENCE)),
    );
    let (instance, interfaces, groups, forwarding) = core?;
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
    let ours: BTreeSet<_> = groups.iter().map(|found| found.group.id.clone()).collect();
    let (mut by_vpc, mut conversion_groups) = (BTreeMap::new(), BTreeMap::new());
    let mut other_groups = Vec::new();
    for found in groups {
        let group = found.group;
        match found.purpose {
            Purpose::Isolation if !by_vpc.contains_key(&group.vpc) => {
                by_vpc.insert(group.vpc.clone(), group);
            }
            Purpose::Isolation | Purpose::Forensics => other_groups.push(group),
            Purpose::Conversion => {
                conversion_groups.insert(group.id.clone(), group);
            }
        }
    }
    let vpcs: BTreeSet<_> = interfaces.iter().map(|found| found.vpc.clone()).collect();
    other_groups.retain(|group| vpcs.contains(&group.vpc));
    Ok(State {
        region: region.to_owned(),
        elsewhere: None,
        access: forensics::access(access, &peers, &vpcs, &ours),
        instance,
        interfaces,
        groups: by_vpc,
        other_groups,
        conversion_groups,
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
    let until = Instant::now() + PATIENCE;
    let reading = Box::pin(local_network::read(client, interfaces));
    Some(LocalNetworks(
        within(until, "ec2:DescribeSubnets", reading).await,
    ))
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
    let until = Instant::now() + PATIENCE;
    futures::join!(
        within(
            until,
            "iam:GetInstanceProfile",
            Box::pin(role::read(&services.iam, profile))
        ),
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
    let until = Instant::now() + PATIENCE;
    let operation = "autoscaling:DescribeAutoScalingInstances";
    let (found, of_shown) = futures::join!(
        within(until, operation, membership::scaling(client, id)),
        size(shown)
    );
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
