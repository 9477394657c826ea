//! Reads what does not decide how an instance is contained.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::time::Instant;

use super::super::clients::Services;
use super::super::describe::{hardware, pending_snapshots, snapshots, volume_tags};
use super::super::mark::tag_value;
use super::super::state::{Protection, Rest, Role, State};
use super::super::{attributes, membership, role, routes, target_groups};
use super::essential::PATIENCE;
use aws::deadline::within;
use aws::error::Result;
use model::finding::Finding;

/// The policy of the role that denies the instance everything, if it has one of its name.
pub(super) async fn deny(services: &Services, role: &Role, id: &str) -> Result<Option<Value>> {
    let until = Instant::now() + PATIENCE;
    let reading = Box::pin(role::deny(&services.iam, id, &role.name));
    within(until, "iam:GetRolePolicy", reading).await
}

/// The values that only protect, preserve and inform. `groups`: the only target groups to ask.
pub(super) async fn read(
    services: &Services,
    finding: &Finding,
    id: &str,
    glanced: &State,
    groups: Option<&BTreeSet<String>>,
) -> Rest {
    let ec2 = &services.ec2;
    let until = Instant::now() + PATIENCE;
    let finding_tag = tag_value(&finding.id);
    let interfaces = &glanced.interfaces;
    let volumes = glanced.instance.iter().flat_map(|found| &found.volumes);
    let attached: BTreeSet<_> = volumes.map(|volume| volume.id.clone()).collect();
    let (
        termination,
        stop,
        shutdown,
        targets,
        balancers,
        hardware,
        snapshots,
        pending_snapshots,
        volume_tags,
        routes,
        endpoints,
    ) = futures::join!(
        within(
            until,
            "ec2:DescribeInstanceAttribute",
            Box::pin(attributes::termination(ec2, id))
        ),
        within(
            until,
            "ec2:DescribeInstanceAttribute",
            Box::pin(attributes::stop(ec2, id))
        ),
        within(
            until,
            "ec2:DescribeInstanceAttribute",
            Box::pin(attributes::shutdown(ec2, id))
        ),
        // It has a patience of its own, and keeps what it found by then.
        Box::pin(target_groups::first(
            &services.elbv2,
            id,
            interfaces,
            groups
        )),
        within(
            until,
            "elasticloadbalancing:DescribeLoadBalancers",
            Box::pin(membership::balancers(&services.elb, id)),
        ),
        within(
            until,
            "ec2:DescribeInstanceTypes",
            Box::pin(hardware(ec2, glanced.instance.as_ref()))
        ),
        within(
            until,
            "ec2:DescribeSnapshots",
            Box::pin(snapshots(ec2, &finding_tag))
        ),
        within(
            until,
            "ec2:DescribeSnapshots",
            Box::pin(pending_snapshots(ec2, &attached))
        ),
        within(until, "ec2:DescribeVolumes", Box::pin(volume_tags(ec2, id))),
        within(
            until,
            "ec2:DescribeRouteTables",
            Box::pin(routes::routes(ec2, interfaces))
        ),
        within(
            until,
            "ec2:DescribeNetworkInterfaces",
            Box::pin(routes::endpoints(ec2, interfaces))
        ),
    );
    Rest {
        protection: Protection {
            termination,
            stop,
            shutdown,
        },
        targets,
        balancers,
        hardware,
        snapshots,
        pending_snapshots,
        volume_tags,
        routes,
        endpoints,
    }
}
