//! The target groups that the instance is registered in.
//!
//! An account may have hundreds, and only asking each for its targets tells which have the instance. So they are asked
//! at a pace that leaves the account's own controllers their share, beside the isolation. A few are asked at a time;
//! the rest then, each at its time.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    ProtocolEnum, TargetDescription, TargetGroup, TargetHealthStateEnum,
};
use futures::stream::{self, StreamExt as _};
use tokio::time::{Instant, sleep_until};

use super::instance::Interface;
use super::membership;
use super::state::{Group, Registrations, Target};
use aws::deadline::within;
use aws::error::{CallContext, Error, Result};

/// How many target groups are looked through. Beyond it the report says that the on-call engineer must look.
const MOST: usize = 500;

/// How many requests are sent as fast as they are answered, and from one to the next after them: the limits that
/// the AWS Load Balancer Controller sets itself,
/// <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/>.
const BURST: usize = 40;
const PACE: Duration = Duration::from_millis(100);

/// How many requests wait for an answer at the same time.
const AT_ONCE: usize = 10;

/// How long the first ones may take, and how long the rest.
const BURST_PATIENCE: Duration = Duration::from_secs(6);
const PACED_PATIENCE: Duration = Duration::from_secs(60);

impl Group {
    /// `None`: its targets are neither instances nor addresses.
    fn of(found: TargetGroup) -> Option<Self> {
        use ProtocolEnum::{Quic, Tcp, TcpQuic, TcpUdp, Tls, Udp};
        let by_address = match found.target_type.as_ref().map(|kind| kind.as_str()) {
            Some("instance") | None => false,
            Some("ip") => true,
            Some(_) => return None,
        };
        Some(Self {
            arn: found.target_group_arn.unwrap_or_default(),
            vpc: found.vpc_id,
            by_address,
            network: matches!(
                found.protocol,
                Some(Tcp | Udp | Tls | TcpUdp | Quic | TcpQuic)
            ),
        })
    }

    fn is_in_vpc_of(&self, interface: &Interface) -> bool {
        self.vpc.as_deref() == Some(interface.vpc.as_str())
    }
}

/// Registrations of the instance: by its id, or by an address that it has in the group's VPC. If there are many
/// groups, the first are looked through, and [`Registrations::left`] has the others, for [`rest`].
///
/// The targets of a group are not asked for by id: a registration with a port of its own is found
/// only by that port. `only`: the groups that are asked.
pub(super) async fn first(
    client: &Client,
    id: &str,
    interfaces: &[Interface],
    only: Option<&BTreeSet<String>>,
) -> Result<Registrations> {
    if only.is_some_and(BTreeSet::is_empty) {
        return Ok(Registrations::default());
    }
    let until = Instant::now() + BURST_PATIENCE;
    let operation = "elasticloadbalancing:DescribeTargetGroups";
    let mut groups = within(until, operation, Box::pin(groups(client, id))).await?;
    groups.retain(|group| {
        let asked = only.is_none_or(|only| only.contains(&group.arn));
        let near = group.by_address
            || group.vpc.is_none()
            || interfaces.iter().any(|found| group.is_in_vpc_of(found));
        asked && near
    });
    let left = groups.split_off(groups.len().min(BURST));
    let look = Look {
        client,
        id,
        interfaces,
        pace: Duration::ZERO,
        until,
    };
    let mut all = Registrations::default();
    // Those that did not answer in time get a second chance among the rest.
    let failed = look.through(groups, &mut all).await;
    let (again, failed): (Vec<_>, Vec<_>) = failed
        .into_iter()
        .partition(|(_, error)| error.is_transient());
    all.unread
        .extend(failed.into_iter().map(|(_, error)| error));
    all.left = again.into_iter().map(|(group, _)| group).collect();
    all.left.extend(left);
    all.sort();
    Ok(all)
}

/// Looks through the groups that are left, at a pace.
pub(super) async fn rest(
    client: &Client,
    id: &str,
    interfaces: &[Interface],
    found: &Registrations,
) -> Registrations {
    let mut all = found.clone();
    let look = Look {
        client,
        id,
        interfaces,
        pace: PACE,
        until: Instant::now() + PACED_PATIENCE,
    };
    let failed = look.through(std::mem::take(&mut all.left), &mut all).await;
    all.unread
        .extend(failed.into_iter().map(|(_, error)| error));
    all.sort();
    all
}

/// Why some groups could not be looked through, and whether that may pass.
pub(super) struct Unread {
    pub(super) may_pass: bool,
    pub(super) why: String,
}

impl Unread {
    /// The first of these errors that does not pass; else the first. `None`: there is none.
    pub(super) fn of(id: &str, errors: &[Error]) -> Option<Self> {
        let lasting = errors.iter().find(|error| !error.is_transient());
        let error = lasting.or(errors.first())?;
        // No retry of the invocation is announced: the next look at the containment asks again.
        let shown = match error {
            Error::Call(call) if lasting.is_none() => {
                format!("{}: {}: {}", call.operation, call.code, call.message)
            }
            other => other.to_string(),
        };
        Some(Self {
            may_pass: lasting.is_none(),
            why: format!(
                "not all target groups could be read: deregister {id} by hand where it is registered, \
                 unless the next recheck does ({shown})"
            ),
        })
    }
}

async fn groups(client: &Client, id: &str) -> Result<Vec<Group>> {
    let mut pages = client.describe_target_groups().into_paginator().send();
    let mut groups = Vec::new();
    let mut listed = 0;
    while let Some(page) = pages.next().await {
        let page = page.during("elasticloadbalancing:DescribeTargetGroups", id)?;
        let found = page.target_groups.unwrap_or_default();
        listed += found.len();
        if listed > MOST {
            return Err(Error::Refused(format!(
                "there are more than {MOST} target groups, too many to read for {id}: deregister it by \
                 hand where it is registered"
            )));
        }
        groups.extend(found.into_iter().filter_map(Group::of));
    }
    Ok(groups)
}

/// How groups are looked through.
struct Look<'a> {
    client: &'a Client,
    id: &'a str,
    interfaces: &'a [Interface],
    /// From one request to the next.
    pace: Duration,
    until: Instant,
}

impl Look<'_> {
    /// Adds to `all` what the groups have. Answers those that did not say, and why. A group that was deleted
    /// since it was listed has nothing.
    async fn through(&self, groups: Vec<Group>, all: &mut Registrations) -> Vec<(Group, Error)> {
        let begun = Instant::now();
        let asked = groups
            .into_iter()
            .zip(0_u32..)
            .map(|(group, index)| async move {
                let asking = async {
                    sleep_until(begun + self.pace * index).await;
                    self.in_group(&group).await
                };
                let operation = "elasticloadbalancing:DescribeTargetHealth";
                let found = within(self.until, operation, Box::pin(asking)).await;
                (group, found)
            });
        let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut failed = Vec::new();
        while let Some((group, found)) = answers.next().await {
            match found {
                Ok(found) => {
                    all.own.extend(found.own);
                    all.elsewhere.extend(found.elsewhere);
                }
                Err(error) if error.has_code("TargetGroupNotFound") => {}
                Err(error) => failed.push((group, error)),
            }
        }
        failed
    }

    /// Private addresses are unique in a VPC only. A target of another VPC's group under the zone `all` is outside that
    /// VPC. It may be this instance, or have its address in a third one,
    /// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetDescription.html>.
    async fn in_group(&self, group: &Group) -> Result<Registrations> {
        let mut registrations = Registrations::default();
        let (id, interfaces) = (self.id, self.interfaces);
        let there = |interface: &&Interface| group.is_in_vpc_of(interface);
        let health = self
            .client
            .describe_target_health()
            .target_group_arn(&group.arn)
            .send()
            .await
            .during("elasticloadbalancing:DescribeTargetHealth", &group.arn)?;
        for found in health.target_health_descriptions.unwrap_or_default() {
            let state = found.target_health.and_then(|health| health.state);
            let Some(target) = found.target else {
                continue;
            };
            let target = Target {
                group: group.arn.clone(),
                id: target.id.unwrap_or_default(),
                port: target.port,
                zone: target.availability_zone,
                network: group.network,
                draining: state == Some(TargetHealthStateEnum::Draining),
            };
            let named =
                |interface: &&Interface| group.by_address && interface.has_address(&target.id);
            let outside = group.vpc.is_none() || target.zone.as_deref() == Some("all");
            if (!group.by_address && target.id == id)
                || interfaces.iter().filter(there).any(|i| named(&i))
            {
                registrations.own.push(target);
            } else if outside && interfaces.iter().any(|i| named(&i)) {
                registrations.elsewhere.push(target);
            }
        }
        Ok(registrations)
    }
}

fn description(target: &Target) -> TargetDescription {
    TargetDescription::builder()
        .id(&target.id)
        .set_port(target.port)
        // A zone is given back only where it must be given: for an address outside the VPC.
        .set_availability_zone(target.zone.clone().filter(|zone| zone == "all"))
        .build()
}

#[expect(
    clippy::disallowed_methods,
    reason = "no requests go to what is isolated; a release puts it back"
)]
pub(super) async fn deregister_targets(client: &Client, targets: &[Target]) -> Result<()> {
    membership::all(targets.iter().map(async |target| {
        let call = client.deregister_targets().target_group_arn(&target.group);
        let done = call.targets(description(target)).send().await;
        match done.during("elasticloadbalancing:DeregisterTargets", &target.group) {
            // The group was deleted since.
            Err(error) if error.has_code("TargetGroupNotFound") => Ok(()),
            done => done.map(drop),
        }
    }))
    .await
}

pub(super) async fn register_targets(client: &Client, targets: &[Target]) -> Result<()> {
    membership::all(targets.iter().map(async |target| {
        let call = client.register_targets().target_group_arn(&target.group);
        let done = call.targets(description(target)).send().await;
        done.during("elasticloadbalancing:RegisterTargets", &target.group)
            .map(drop)
    }))
    .await
}
